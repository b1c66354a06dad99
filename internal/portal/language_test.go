package portal

import (
	"go/ast"
	"go/parser"
	"go/token"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/text/language"

	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// constants are the string constants of a package that a name begins with, or a type has.
func constants(t *testing.T, directory, prefix, typeName string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(directory, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(node ast.Node) bool {
			spec, isValue := node.(*ast.ValueSpec)
			if !isValue || len(spec.Values) != 1 {
				return true
			}
			literal, isLiteral := spec.Values[0].(*ast.BasicLit)
			named := prefix != "" && strings.HasPrefix(spec.Names[0].Name, prefix)
			if kind, isIdent := spec.Type.(*ast.Ident); isIdent && kind.Name == typeName {
				named = true
			}
			if selector, isSelector := spec.Type.(*ast.SelectorExpr); isSelector && selector.Sel.Name == typeName {
				named = true
			}
			if isLiteral && named {
				value, err := strconv.Unquote(literal.Value)
				if err != nil {
					t.Fatal(err)
				}
				found = append(found, value)
			}
			return true
		})
	}
	return found
}

func TestEveryLanguageHasEveryText(t *testing.T) {
	names := append(constants(t, "../../api/v1alpha1", "Reason", ""), "")
	problems := append(constants(t, "../signin", "", "Problem"), constants(t, ".", "", "Problem")...)
	if len(names) < 25 || len(problems) < 20 {
		t.Fatalf("only %d reasons and %d problems were found", len(names), len(problems))
	}
	english := english()
	for _, texts := range languages() {
		t.Run(texts.Tag.String(), func(t *testing.T) {
			value := reflect.ValueOf(texts).Elem()
			for i := range value.NumField() {
				field := value.Type().Field(i)
				compareTexts(t, field.Name, reflect.ValueOf(english).Elem().Field(i), value.Field(i))
			}
			for _, name := range names {
				words, known := texts.Reasons[name]
				if !known || words.Says == "" {
					t.Errorf("there are no words for reason %q", name)
				}
				if words.Otherwise != "" && words.Do == "" {
					t.Errorf("reason %q says what to do for some accounts alone", name)
				}
				meaning := reasons.Of(name)
				others := meaning.Cure == reasons.SignIn && meaning.Ending != reasons.ByItself // which a person is about to end
				if others != (words.Otherwise != "") {
					t.Errorf("reason %q has words for accounts that no button signs in: %q", name, words.Otherwise)
				}
			}
			for _, name := range problems {
				if words := texts.Problems[signin.Problem(name)]; words.Title == "" || words.Says == "" || words.Do == "" {
					t.Errorf("there are no words for problem %q", name)
				}
				if statuses[signin.Problem(name)] == 0 {
					t.Errorf("problem %q has no status", name)
				}
			}
			if len(texts.Problems) != len(problems) || len(statuses) != len(problems) || len(texts.Reasons) != len(names) {
				t.Errorf("there are words for %d problems and %d reasons", len(texts.Problems), len(texts.Reasons))
			}
		})
	}
}

var placeholder = regexp.MustCompile(`\{[^}]*\}`)

// compareTexts holds a text against the English one: each is there, with the same values to fill in.
func compareTexts(t *testing.T, name string, english, other reflect.Value) {
	t.Helper()
	switch english.Kind() {
	case reflect.String:
		want, got := english.String(), other.String()
		if (want == "") != (got == "") {
			t.Errorf("%s is %q, in English %q", name, got, want)
		}
		for _, part := range placeholder.FindAllString(got, -1) {
			if !slices.Contains([]string{"{marketplace}", "{n}"}, part) && !strings.Contains(want, part) {
				t.Errorf("%s has %s, the English text has not", name, part)
			}
		}
		for _, part := range placeholder.FindAllString(want, -1) {
			if part != "{marketplace}" && !strings.Contains(got, part) {
				t.Errorf("%s does not have %s", name, part)
			}
		}
	case reflect.Map:
		for _, key := range english.MapKeys() {
			value := other.MapIndex(key)
			if !value.IsValid() {
				t.Errorf("%s has nothing for %v", name, key)
				continue
			}
			compareTexts(t, name+" "+key.String(), english.MapIndex(key), value)
		}
	case reflect.Array:
		for i := range english.Len() {
			if other.Index(i).String() == "" {
				t.Errorf("%s has nothing at %d", name, i)
			}
		}
	case reflect.Struct:
		if english.Type() == reflect.TypeFor[plural]() {
			sentence := other.Interface().(plural)
			if sentence.One == "" || !strings.Contains(sentence.Many, "{n}") || sentence.Few != "" && !strings.Contains(sentence.Few, "{n}") {
				t.Errorf("%s lacks a form: %+v", name, sentence)
			}
			return
		}
		if english.Type() == reflect.TypeFor[language.Tag]() {
			return
		}
		for i := range english.NumField() {
			compareTexts(t, name+"."+english.Type().Field(i).Name, english.Field(i), other.Field(i))
		}
	default:
		t.Errorf("%s is of kind %s", name, english.Kind())
	}
}

func TestPolishPluralsHaveThreeForms(t *testing.T) {
	polish := reflect.ValueOf(polish()).Elem()
	for i := range polish.NumField() {
		if sentence, isPlural := reflect.TypeAssert[plural](polish.Field(i)); isPlural && sentence.Few == "" {
			t.Errorf("%s has no form for 2, 3 and 4", polish.Type().Field(i).Name)
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{
		1: "Jedno konto wymaga działania.", 2: "2 konta wymagają działania.", 4: "4 konta wymagają działania.",
		5: "5 kont wymaga działania.", 11: "11 kont wymaga działania.", 12: "12 kont wymaga działania.", 14: "14 kont wymaga działania.",
		21: "21 kont wymaga działania.", 22: "22 konta wymagają działania.", 25: "25 kont wymaga działania.", 112: "112 kont wymaga działania.",
		122: "122 konta wymagają działania.",
	} {
		if got := polish().count(polish().NeedPerson, n); got != want {
			t.Errorf("%d in Polish is %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int]string{1: "One account needs you.", 2: "2 accounts need you.", 22: "22 accounts need you."} {
		if got := english().count(english().NeedPerson, n); got != want {
			t.Errorf("%d in English is %q, want %q", n, got, want)
		}
	}
}

func TestLanguageOfTheVisitor(t *testing.T) {
	speech := newSpeech()
	for accepted, want := range map[string]string{
		"":                                     "en",
		"de":                                   "de",
		"de-AT,de;q=0.9,en;q=0.8":              "de",
		"pl-PL,pl;q=0.9,en-US;q=0.8":           "pl",
		"fr-FR,fr;q=0.9,pl;q=0.5":              "pl",
		"fr":                                   "en",
		"en-GB,de;q=0.9":                       "en",
		"this is not a language, de":           "en",
		";;;,,,=\x00":                          "en",
		"de," + strings.Repeat("x-y-z,", 5000): "de",
		strings.Repeat("a", 100_000):           "en",
	} {
		request := httptest.NewRequest("GET", "/", nil)
		request.Header.Set("Accept-Language", accepted)
		if got := speech.to(request).Tag.String(); got != want {
			t.Errorf("%.40q is answered in %s, want %s", accepted, got, want)
		}
	}
}

func TestMarketplacesKeepTheirSpelling(t *testing.T) {
	t.Run("of a known one", func(t *testing.T) {
		if got := english().at("eBay", "{marketplace} cannot be reached"); got != "eBay cannot be reached" {
			t.Error(got)
		}
	})
	t.Run("of one that nobody names", func(t *testing.T) {
		if got := english().at("", "{marketplace} cannot be reached"); got != "The marketplace cannot be reached" {
			t.Error(got)
		}
	})
	t.Run("of one that nobody names in German", func(t *testing.T) {
		for sentence, want := range map[string]string{
			"Abgelehnt hat {marketplace}, bei {marketplace}": "Abgelehnt hat der Marktplatz, beim Marktplatz",
			"{marketplace} lehnt ab":                         "Der Marktplatz lehnt ab",
			"Zurück von {marketplace}, zu {marketplace}":     "Zurück vom Marktplatz, zum Marktplatz",
		} {
			if got := german().at("", sentence); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
	})
	t.Run("of one that looks like something to fill in", func(t *testing.T) {
		if got := fill("{marketplace} {login}", "marketplace", "{login}", "login", "me"); got != "{login} me" {
			t.Error(got)
		}
	})
}

func TestMoment(t *testing.T) {
	for _, texts := range languages() {
		want := map[string]string{
			"en": "1 December 2026, 12:00 UTC", "de": "1. Dezember 2026, 12:00 Uhr (UTC)", "pl": "1 grudnia 2026, 12:00 (UTC)",
		}[texts.Tag.String()]
		if got := texts.moment(noon); got != want {
			t.Errorf("noon is %q, want %q", got, want)
		}
	}
}
