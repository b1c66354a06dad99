package reasons_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// permitted are the places besides the table where a reason may stand in a call, with their cause.
var permitted = map[string]string{
	"t.reason(v1alpha1.ReasonAuthorizationExpiring)":  "the portal looks up words",
	"t.do(v1alpha1.ReasonAuthorizationExpiring, how)": "the portal looks up words",
}

// Reasons are told from one another in the table alone: elsewhere they are given, as the field of a struct or a value that is returned, and
// neither compared, nor switched on, nor listed, nor handed to a function that might do so.
func TestNothingElseClassifiesReasons(t *testing.T) {
	var values []string
	for _, value := range declared(t) {
		values = append(values, value)
	}
	used, files := map[string]bool{}, 0
	for _, root := range []string{"../../internal", "../../cmd"} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case entry.IsDir() && path == "../../internal/reasons":
				return fs.SkipDir
			case entry.IsDir(), filepath.Ext(path) != ".go", strings.HasSuffix(path, "_test.go"):
				return nil
			}
			files++
			set := token.NewFileSet()
			file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			for _, node := range classifications(file, values) {
				var text bytes.Buffer
				if err := printer.Fprint(&text, set, node); err != nil {
					return err
				}
				if used[text.String()] = true; permitted[text.String()] == "" {
					t.Errorf("%s: ask the table of package reasons instead of %s", set.Position(node.Pos()), text.String())
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if files < 100 {
		t.Errorf("only %d files were looked at", files)
	}
	for text := range permitted {
		if !used[text] {
			t.Errorf("%s is permitted and nowhere", text)
		}
	}
}

// classifications are the expressions of a file that tell reasons apart. Conversions and maps to words are none.
func classifications(file *ast.File, values []string) []ast.Node {
	constant := func(expr ast.Expr) bool {
		selector, ok := expr.(*ast.SelectorExpr)
		if !ok {
			return false
		}
		of, ok := selector.X.(*ast.Ident)
		return ok && of.Name == "v1alpha1" && strings.HasPrefix(selector.Sel.Name, "Reason")
	}
	literal := func(expr ast.Expr) bool {
		basic, ok := expr.(*ast.BasicLit)
		if !ok || basic.Kind != token.STRING {
			return false
		}
		text, err := strconv.Unquote(basic.Value)
		return err == nil && slices.Contains(values, text)
	}
	either := func(expr ast.Expr) bool { return constant(expr) || literal(expr) }
	var found []ast.Node
	ast.Inspect(file, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.BinaryExpr:
			if (node.Op == token.EQL || node.Op == token.NEQ) && (either(node.X) || either(node.Y)) {
				found = append(found, node)
			}
		case *ast.CaseClause:
			for _, expr := range node.List {
				if either(expr) {
					found = append(found, expr)
				}
			}
		case *ast.CallExpr:
			if slices.ContainsFunc(node.Args, constant) {
				found = append(found, node)
			}
		case *ast.CompositeLit:
			if lists(node, constant) {
				found = append(found, node)
			}
		}
		return true
	})
	return found
}

// lists tells whether a literal is a list or a set of reasons.
func lists(literal *ast.CompositeLit, reason func(ast.Expr) bool) bool {
	switch of := literal.Type.(type) {
	case *ast.ArrayType:
		return slices.ContainsFunc(literal.Elts, reason)
	case *ast.MapType:
		words := false // to a type of its own, which is not a set
		if value, ok := of.Value.(*ast.Ident); ok {
			words = value.Name != "bool" && value.Name != "string" && value.Name != "int"
		}
		return !words && slices.ContainsFunc(literal.Elts, func(element ast.Expr) bool {
			pair, ok := element.(*ast.KeyValueExpr)
			return ok && reason(pair.Key)
		})
	}
	return false
}

func TestClassificationsAreFound(t *testing.T) {
	for text, want := range map[string]int{
		`x.Reason == v1alpha1.ReasonRateLimited`:                     1,
		`v1alpha1.ReasonRateLimited != x`:                            1,
		`x.Reason == "RateLimited"`:                                  1,
		`slices.Contains(list, v1alpha1.ReasonRateLimited)`:          1,
		`[]string{v1alpha1.ReasonRateLimited}`:                       1,
		`map[string]bool{v1alpha1.ReasonRateLimited: true}`:          1,
		`map[string]struct{}{v1alpha1.ReasonRateLimited: {}}`:        1,
		`func() { switch x { case v1alpha1.ReasonRateLimited: } }`:   1,
		`func() { switch x { case "RateLimited", "Suspended": } }`:   2,
		`map[string]words{v1alpha1.ReasonRateLimited: {}}`:           0,
		`failure{v1alpha1.ReasonRateLimited, "too many"}`:            0,
		`metav1.Condition{Reason: v1alpha1.ReasonRateLimited}`:       0,
		`func() string { return v1alpha1.ReasonRateLimited }`:        0,
		`reasons.Of(x.Reason).BacksOff && x.Reason == y.Reason`:      0,
		`func() { condition.Reason = v1alpha1.ReasonRateLimited }`:   0,
		`x == "something else" || y == v1alpha1.ConditionAuthorized`: 0,
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "", "package p\nvar _ = "+text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if got := classifications(file, []string{"RateLimited", "Suspended"}); len(got) != want {
			t.Errorf("%s: %d, want %d", text, len(got), want)
		}
	}
}
