package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const internalPath = "github.com/tokenkeeper/tokenkeeper/internal/"

// arrow is from a package to one that it imports.
type arrow struct{ from, to string }

// TestTheArchitecturePageIsTrue: its table names each package below internal once, its arrows are imports, and an import between two packages of the graph is
// an arrow or follows from arrows.
func TestTheArchitecturePageIsTrue(t *testing.T) {
	text, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	imports := importsOf(t, "../../internal")
	named := map[string]int{}
	for _, row := range regexp.MustCompile(`(?m)^\| (`+"`"+`[^|]*) \|`).FindAllStringSubmatch(string(text), -1) {
		for _, name := range regexp.MustCompile("`([a-z/]+)`").FindAllStringSubmatch(row[1], -1) {
			named[name[1]]++
		}
	}
	for name := range imports {
		if named[name] != 1 {
			t.Errorf("the table names package %s %d times", name, named[name])
		}
	}
	for name := range named {
		if imports[name] == nil {
			t.Errorf("the table names package %s, which is not there", name)
		}
	}
	arrows := arrowsOf(t, string(text), imports)
	var drawn []string
	for _, a := range arrows {
		if !slices.Contains(imports[a.from], a.to) {
			t.Errorf("the graph has an arrow from %s to %s, which it does not import", a.from, a.to)
		}
		drawn = append(drawn, a.from, a.to)
	}
	if len(arrows) < 30 {
		t.Fatalf("only %d arrows were found", len(arrows))
	}
	for from, all := range imports {
		for _, to := range all {
			if slices.Contains(drawn, from) && slices.Contains(drawn, to) && !leads(arrows, from, to) {
				t.Errorf("%s imports %s, and no arrows of the graph lead there", from, to)
			}
		}
	}
}

// importsOf are the packages below a folder, with the others below it that their files import, tests aside.
func importsOf(t *testing.T, root string) map[string][]string {
	t.Helper()
	imports := map[string][]string{}
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		name := filepath.ToSlash(folder)
		if imports[name] == nil {
			imports[name] = []string{}
		}
		for _, spec := range file.Imports {
			of, _ := strconv.Unquote(spec.Path.Value)
			if to, within := strings.CutPrefix(of, internalPath); within {
				imports[name] = append(imports[name], to)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return imports
}

// arrowsOf are the arrows of the graph of a page. A package below another one goes by the end of its name there.
func arrowsOf(t *testing.T, page string, imports map[string][]string) (arrows []arrow) {
	t.Helper()
	_, graph, found := strings.Cut(page, "```mermaid\n")
	graph, _, ends := strings.Cut(graph, "```")
	if !found || !ends {
		t.Fatal("the page has no graph")
	}
	full := func(name string) string {
		for known := range imports {
			if imports[name] == nil && strings.HasSuffix(known, "/"+name) {
				return known
			}
		}
		return name
	}
	for line := range strings.Lines(graph) {
		var before []string
		for group := range strings.SplitSeq(line, "-->") {
			var names []string
			for name := range strings.SplitSeq(group, "&") {
				names = append(names, full(strings.TrimSpace(name)))
			}
			for _, from := range before {
				for _, to := range names {
					arrows = append(arrows, arrow{from, to})
				}
			}
			before = names
		}
	}
	return arrows
}

// leads tells whether arrows lead from a package to another.
func leads(arrows []arrow, from, to string) bool {
	reached := []string{from}
	for i := 0; i < len(reached); i++ {
		for _, a := range arrows {
			if a.from == reached[i] && !slices.Contains(reached, a.to) {
				reached = append(reached, a.to)
			}
		}
	}
	return slices.Contains(reached, to)
}
