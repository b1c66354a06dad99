package words

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/language"
)

var noon = time.Date(2026, time.December, 1, 12, 0, 0, 0, time.UTC)

// in are the texts of a language.
func in(t *testing.T, tag language.Tag) *Texts {
	t.Helper()
	texts, err := read(tag)
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

func TestEveryLanguageHasEveryText(t *testing.T) {
	english := in(t, language.English)
	for _, tag := range tags() {
		t.Run(tag.String(), func(t *testing.T) {
			value := reflect.ValueOf(in(t, tag)).Elem()
			for i := range value.NumField() {
				field := value.Type().Field(i)
				compareTexts(t, field.Name, reflect.ValueOf(english).Elem().Field(i), value.Field(i))
			}
		})
	}
}

func TestEnglishHasEveryText(t *testing.T) {
	english := reflect.ValueOf(in(t, language.English)).Elem()
	for i := range english.NumField() {
		if english.Field(i).IsZero() {
			t.Errorf("%s is empty", english.Type().Field(i).Name)
		}
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
		if english.Type() == reflect.TypeFor[Plural]() {
			sentence := other.Interface().(Plural)
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
	polish := reflect.ValueOf(in(t, language.Polish)).Elem()
	for i := range polish.NumField() {
		if sentence, isPlural := reflect.TypeAssert[Plural](polish.Field(i)); isPlural && sentence.Few == "" {
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
		if got := in(t, language.Polish).Count(in(t, language.Polish).NeedPerson, n); got != want {
			t.Errorf("%d in Polish is %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int]string{1: "One account needs you.", 2: "2 accounts need you.", 22: "22 accounts need you."} {
		if got := in(t, language.English).Count(in(t, language.English).NeedPerson, n); got != want {
			t.Errorf("%d in English is %q, want %q", n, got, want)
		}
	}
}

func TestLanguageOfTheVisitor(t *testing.T) {
	speech, err := NewSpeech()
	if err != nil {
		t.Fatal(err)
	}
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
		if got := speech.To(accepted).Tag.String(); got != want {
			t.Errorf("%.40q is answered in %s, want %s", accepted, got, want)
		}
	}
}

func TestMarketplacesKeepTheirSpelling(t *testing.T) {
	t.Run("of a known one", func(t *testing.T) {
		if got := in(t, language.English).At("eBay", "{marketplace} cannot be reached"); got != "eBay cannot be reached" {
			t.Error(got)
		}
	})
	t.Run("of one that nobody names", func(t *testing.T) {
		if got := in(t, language.English).At("", "{marketplace} cannot be reached"); got != "The marketplace cannot be reached" {
			t.Error(got)
		}
	})
	t.Run("of one that nobody names in German", func(t *testing.T) {
		for sentence, want := range map[string]string{
			"Abgelehnt hat {marketplace}, bei {marketplace}": "Abgelehnt hat der Marktplatz, beim Marktplatz",
			"{marketplace} lehnt ab":                         "Der Marktplatz lehnt ab",
			"Zurück von {marketplace}, zu {marketplace}":     "Zurück vom Marktplatz, zum Marktplatz",
		} {
			if got := in(t, language.German).At("", sentence); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
	})
	t.Run("of one that looks like something to fill in", func(t *testing.T) {
		if got := Fill("{marketplace} {login}", "marketplace", "{login}", "login", "me"); got != "{login} me" {
			t.Error(got)
		}
	})
}

func TestMoment(t *testing.T) {
	for _, tag := range tags() {
		texts := in(t, tag)
		want := map[string]string{
			"en": "1 December 2026, 12:00 UTC", "de": "1. Dezember 2026, 12:00 Uhr (UTC)", "pl": "1 grudnia 2026, 12:00 (UTC)",
		}[texts.Tag.String()]
		if got := texts.Moment(noon); got != want {
			t.Errorf("noon is %q, want %q", got, want)
		}
	}
}
