package main

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// folder is the Go code of a folder as it is written, without generated files: a package, and the files of its tests.
type folder struct {
	set          *token.FileSet
	files, tests []file
}

// file is a file of Go. Its name is without the path.
type file struct {
	name     string
	lines    int
	comments []comment
	syntax   *ast.File
}

// comment is the text of a comment without its markers and directives, and the line of the file on which each line of the text stands.
type comment struct {
	text  string
	lines []int
}

func commentOf(set *token.FileSet, group *ast.CommentGroup) comment {
	written := comment{text: group.Text()}
	var source []string
	for _, part := range group.List {
		source = append(source, strings.Split(part.Text, "\n")...) // the parts stand on consecutive lines
	}
	first, at := set.Position(group.Pos()).Line, 0
	for line := range strings.SplitSeq(written.text, "\n") {
		for at < len(source)-1 && !strings.Contains(source[at], strings.TrimSpace(line)) {
			at++
		}
		written.lines = append(written.lines, first+at)
		at = min(at+1, len(source)-1)
	}
	return written
}

func parseFolder(path string) (folder, error) {
	parsed := folder{set: token.NewFileSet()}
	entries, err := os.ReadDir(path)
	if err != nil {
		return parsed, err
	}
	for _, entry := range entries {
		name := entry.Name()
		if entry.IsDir() || !strings.HasSuffix(name, ".go") {
			continue
		}
		source, err := os.ReadFile(filepath.Join(path, name)) //nolint:gosec // a file of the checkout
		if err != nil {
			return parsed, err
		}
		syntax, err := parser.ParseFile(parsed.set, name, source, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return parsed, err
		}
		if ast.IsGenerated(syntax) {
			continue
		}
		one := file{name: name, lines: strings.Count(string(source), "\n"), syntax: syntax}
		for _, group := range syntax.Comments {
			one.comments = append(one.comments, commentOf(parsed.set, group))
		}
		if isTest(name) {
			parsed.tests = append(parsed.tests, one)
		} else {
			parsed.files = append(parsed.files, one)
		}
	}
	return parsed, nil
}

func isTest(name string) bool { return strings.HasSuffix(name, "_test.go") }

// baseName is the name of the file without its endings.
func (f file) baseName() string {
	return strings.TrimSuffix(strings.TrimSuffix(f.name, ".go"), "_test")
}

// arrows leads from each file to the files that declare the names in it. Nothing is loaded but the folder itself, so a method that is called on
// a value whose type only another package tells is missed.
func (f folder) arrows() graph {
	checked, info := f.resolve(f.files)
	of := map[string]int{}
	for i, file := range f.files {
		of[file.name] = i
	}
	arrows := newGraph(len(f.files))
	for name, object := range info.Uses {
		if object.Pkg() != checked || !outlivesItsFunction(object, checked) {
			continue
		}
		arrows.add(of[f.set.Position(name.Pos()).Filename], of[f.set.Position(object.Pos()).Filename])
	}
	return arrows
}

// declared are the names that the folder and its tests declare, also within functions.
func (f folder) declared() []*ast.Ident {
	packages := map[string][]file{} // tests may be a package of their own
	for _, file := range slices.Concat(f.files, f.tests) {
		packages[file.syntax.Name.Name] = append(packages[file.syntax.Name.Name], file)
	}
	var names []*ast.Ident
	for _, files := range packages {
		_, info := f.resolve(files)
		for name, object := range info.Defs {
			if object != nil { // the name of the package has none
				names = append(names, name)
			}
		}
	}
	slices.SortFunc(names, func(a, b *ast.Ident) int { return cmp.Compare(a.Pos(), b.Pos()) })
	return names
}

// resolve finds the meaning of the names in the files of one package, as far as these files tell.
func (f folder) resolve(files []file) (*types.Package, *types.Info) {
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}}
	checker := types.Config{Importer: nothing{}, Error: func(error) {}, DisableUnusedImportCheck: true}
	syntax := make([]*ast.File, len(files))
	for i, file := range files {
		syntax[i] = file.syntax
	}
	checked, _ := checker.Check("folder", f.set, syntax, info) // complains of everything that is imported
	return checked, info
}

// outlivesItsFunction tells that other files can use the name: a package declares it, or it is a field or a method.
func outlivesItsFunction(object types.Object, of *types.Package) bool {
	if object.Parent() == of.Scope() {
		return true
	}
	switch object := object.(type) {
	case *types.Func:
		return true // a method
	case *types.Var:
		return object.IsField()
	}
	return false
}

// nothing imports no package.
type nothing struct{}

func (nothing) Import(string) (*types.Package, error) { return nil, os.ErrNotExist }

type function struct {
	name  string
	lines int
	// named tells that the name was not free to choose.
	named bool
}

// givenNames are methods of interfaces of the standard library that the code implements, and main.
var givenNames = map[string]bool{
	"main": true, "Error": true, "String": true, "Write": true, "Read": true, "Close": true, "Unwrap": true, "Is": true, "As": true,
	"Len": true, "Less": true, "Swap": true, "Push": true, "Pop": true, "ServeHTTP": true, "RoundTrip": true, "Header": true, "Flush": true,
}

func (f folder) functions() []function {
	var all []function
	for _, file := range f.files {
		for _, declared := range file.syntax.Decls {
			if d, ok := declared.(*ast.FuncDecl); ok {
				lines := f.set.Position(d.End()).Line - f.set.Position(d.Pos()).Line + 1
				all = append(all, function{name: d.Name.Name, lines: lines, named: givenNames[d.Name.Name]})
			}
		}
	}
	return all
}
