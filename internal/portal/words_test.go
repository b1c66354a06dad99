package portal

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/portal/visitor"
	"github.com/tokenkeeper/tokenkeeper/internal/portal/words"
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

func TestEveryLanguageHasWordsForEveryReasonAndProblem(t *testing.T) {
	names := append(constants(t, "../../api/v1alpha1", "Reason", ""), "")
	problems := append(constants(t, "../signin", "", "Problem"), constants(t, ".", "", "Problem")...)
	refusals := constants(t, "visitor", "", "Refusal")
	if len(names) < 25 || len(problems) < 20 || len(refusals) < 5 {
		t.Fatalf("only %d reasons, %d problems and %d refusals were found", len(names), len(problems), len(refusals))
	}
	speech, err := words.NewSpeech()
	if err != nil {
		t.Fatal(err)
	}
	for _, texts := range speech.Languages() {
		t.Run(texts.Tag.String(), func(t *testing.T) {
			for _, name := range names {
				said, known := texts.Reasons[name]
				if !known || said.Says == "" {
					t.Errorf("there are no words for reason %q", name)
				}
				if said.Otherwise != "" && said.Do == "" {
					t.Errorf("reason %q says what to do for some accounts alone", name)
				}
				meaning := reasons.Of(name)
				others := meaning.Cure == reasons.SignIn && meaning.Ending != reasons.ByItself // which a person is about to end
				if others != (said.Otherwise != "") {
					t.Errorf("reason %q has words for accounts that no button signs in: %q", name, said.Otherwise)
				}
			}
			for _, name := range problems {
				if said := texts.Problems[signin.Problem(name)]; said.Title == "" || said.Says == "" || said.Do == "" {
					t.Errorf("there are no words for problem %q", name)
				}
				if statuses[signin.Problem(name)] == 0 {
					t.Errorf("problem %q has no status", name)
				}
			}
			for _, refusal := range refusals {
				if (texts.Sessions[refusal] == "") != (refusal == string(visitor.None)) {
					t.Errorf("of the refusal %q it says %q", refusal, texts.Sessions[refusal])
				}
			}
			if len(texts.Sessions) != len(refusals)-1 {
				t.Errorf("there are words for %d refusals", len(texts.Sessions))
			}
			if len(texts.Problems) != len(problems) || len(statuses) != len(problems) || len(texts.Reasons) != len(names) {
				t.Errorf("there are words for %d problems and %d reasons", len(texts.Problems), len(texts.Reasons))
			}
		})
	}
}
