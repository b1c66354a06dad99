package simulation_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

var (
	mutate  = flag.Bool("mutate", false, "take each row out of the tables of decisions in turn, and want a finding within a minute")
	mutants = flag.String("mutants", "", "only rows whose name holds this")
	first   = flag.Bool("first", false, "end with the first finding, and do not shorten its script")
)

// tables are what decides, row by row.
var tables = []struct{ file, variable string }{
	{"internal/lifecycle/next.go", "steps"},
	{"internal/failures/failures.go", "table"},
	{"internal/reasons/table.go", "table"},
}

// row is a row of a table, and the file without it.
type row struct {
	file, name string
	without    []byte
}

// rowsOf are the rows of a variable in a file.
func rowsOf(t *testing.T, file, variable string) []row {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", file))
	if err != nil {
		t.Fatal(err)
	}
	files := token.NewFileSet()
	parsed, err := parser.ParseFile(files, file, text, 0)
	if err != nil {
		t.Fatal(err)
	}
	var rows []row
	ast.Inspect(parsed, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if !ok || spec.Names[0].Name != variable || len(spec.Values) != 1 {
			return true
		}
		literal, ok := spec.Values[0].(*ast.CompositeLit)
		if !ok {
			return true
		}
		for _, element := range literal.Elts {
			from, to := files.Position(element.Pos()).Offset, files.Position(element.End()).Offset
			if to < len(text) && text[to] == ',' {
				to++
			}
			name := strings.TrimLeft(string(text[from:min(to, from+60)]), "{")
			name, _, _ = strings.Cut(strings.ReplaceAll(strings.ReplaceAll(name, "v1alpha1.Reason", ""), "answer.", ""), ",")
			name, _, _ = strings.Cut(name, ":")
			without := append(append([]byte{}, text[:from]...), text[to:]...)
			rows = append(rows, row{file, filepath.Base(filepath.Dir(file)) + " " + strings.TrimSpace(name), without})
		}
		return false
	})
	if len(rows) == 0 {
		t.Fatalf("%s has no table %s", file, variable)
	}
	return rows
}

// TestMutants takes rows out of the tables of decisions.
func TestMutants(t *testing.T) {
	if !*mutate {
		t.Skip("no -mutate")
	}
	var report strings.Builder
	table := tabwriter.NewWriter(&report, 0, 0, 2, ' ', 0)
	for _, from := range tables {
		for _, row := range rowsOf(t, from.file, from.variable) {
			if !strings.Contains(row.name, *mutants) {
				continue
			}
			began := time.Now()
			finding := row.play(t)
			if finding == "" {
				t.Errorf("nothing is found without the row %s", row.name)
				finding = "NOT FOUND"
			}
			fmt.Fprintf(table, "%s\t%s\t%s\n", row.name, time.Since(began).Round(time.Second), finding)
			t.Logf("%s: %s", row.name, finding)
		}
	}
	_ = table.Flush()
	t.Logf("rows taken out, with the time until something was found, building included:\n%s", report.String())
}

// play builds the simulation without a row, and plays until something is found; empty where nothing is in a minute.
func (r row) play(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	replaced, overlay, program := filepath.Join(folder, "row.go"), filepath.Join(folder, "overlay.json"), filepath.Join(folder, "simulation.test")
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	document, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(root, r.file): replaced}})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{replaced: r.without, overlay: document} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-overlay", overlay, "-o", program, ".")
	if said, err := build.CombinedOutput(); err != nil {
		return "does not compile: " + firstLine(string(said))
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	said, err := exec.CommandContext(ctx, program, "-test.run=^(TestHistories|TestScripts)$", "-cores=1", "-seeds=1000000", "-first").CombinedOutput()
	if err == nil || ctx.Err() != nil {
		return ""
	}
	for line := range strings.Lines(string(said)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "---") && !strings.HasPrefix(line, marker) {
			_, finding, _ := strings.Cut(line, ": ")
			return firstLine(finding)
		}
	}
	return "it ended: " + err.Error()
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line[:min(len(line), 120)]
}
