package driver_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/driver"
)

// gatherers are the functions that put a look together.
var gatherers = []string{"controller.gather", "controller.gatherRequest"}

// TestALookIsChangedByThisPackageAlone: else a reader of a field would have to look for its writers everywhere. The names of variables tell of looks: they are
// declared as such, or are called l.
func TestALookIsChangedByThisPackageAlone(t *testing.T) {
	fields := map[string]bool{}
	for _, field := range reflect.VisibleFields(reflect.TypeFor[driver.Look]()) {
		fields[field.Name] = true
	}
	paths, err := filepath.Glob("../*/*.go")
	if err != nil {
		t.Fatal(err)
	}
	gathering, users := map[string]bool{}, 0
	for _, path := range paths {
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(path, "_test.go") || !imports(file, "github.com/tokenkeeper/tokenkeeper/internal/driver") {
			continue
		}
		users++
		for _, declaration := range file.Decls {
			function, ok := declaration.(*ast.FuncDecl)
			if !ok {
				continue
			}
			name := file.Name.Name + "." + function.Name.Name
			for _, written := range writesIn(function, fields) {
				if slices.Contains(gatherers, name) {
					gathering[name] = true
					continue
				}
				t.Errorf("%s: %s sets field %s of a look; return what was found, or add a method to driver.Look", set.Position(written.Pos()), name, written.Sel.Name)
			}
		}
	}
	if users < 5 {
		t.Errorf("only %d files use looks", users)
	}
	for _, name := range gatherers {
		if !gathering[name] {
			t.Errorf("%s gathers nothing", name)
		}
	}
}

func imports(file *ast.File, path string) bool {
	return slices.ContainsFunc(file.Imports, func(spec *ast.ImportSpec) bool { return spec.Path.Value == strconv.Quote(path) })
}

// writesIn are the fields of looks that a function sets.
func writesIn(function *ast.FuncDecl, fields map[string]bool) (written []*ast.SelectorExpr) {
	looks := map[string]bool{"l": true}
	declare := func(list *ast.FieldList) {
		if list == nil {
			return
		}
		for _, field := range list.List {
			for _, name := range field.Names {
				looks[name.Name] = isLook(field.Type)
			}
		}
	}
	declare(function.Recv)
	declare(function.Type.Params)
	declare(function.Type.Results)
	ast.Inspect(function, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.FuncLit:
			declare(node.Type.Params)
		case *ast.AssignStmt:
			for i, to := range node.Lhs {
				if name, ok := to.(*ast.Ident); ok && i < len(node.Rhs) { // a copy of a look is one
					if from, ok := node.Rhs[i].(*ast.Ident); ok && looks[from.Name] {
						looks[name.Name] = true
					}
				}
				if field := firstField(to, looks); field != nil && fields[field.Sel.Name] {
					written = append(written, field)
				}
			}
		case *ast.IncDecStmt:
			if field := firstField(node.X, looks); field != nil && fields[field.Sel.Name] {
				written = append(written, field)
			}
		}
		return true
	})
	return written
}

// isLook tells that a type is a look, a pointer to one, or package signinflow's browser that has come back, which embeds one.
func isLook(expr ast.Expr) bool {
	if pointer, ok := expr.(*ast.StarExpr); ok {
		expr = pointer.X
	}
	switch of := expr.(type) {
	case *ast.Ident:
		return of.Name == "returned"
	case *ast.SelectorExpr:
		pkg, ok := of.X.(*ast.Ident)
		return ok && pkg.Name == "driver" && of.Sel.Name == "Look"
	}
	return false
}

// firstField is the field of a look that an assignment to an expression changes; nil where it changes none.
func firstField(expr ast.Expr, looks map[string]bool) *ast.SelectorExpr {
	for {
		switch at := expr.(type) {
		case *ast.SelectorExpr:
			if root, ok := at.X.(*ast.Ident); ok {
				if looks[root.Name] {
					return at
				}
				return nil
			}
			expr = at.X
		case *ast.IndexExpr:
			expr = at.X
		case *ast.StarExpr:
			expr = at.X
		case *ast.ParenExpr:
			expr = at.X
		default:
			return nil
		}
	}
}
