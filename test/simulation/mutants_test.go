package simulation_test

import (
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
	"time"
)

var (
	mutate  = flag.Bool("mutate", false, "take each row out of the tables of decisions in turn, and want a finding within a minute of processor time")
	mutants = flag.String("mutants", "", "only rows whose name holds one of these, with commas between them")
	first   = flag.Bool("first", false, "end with the first finding, and do not shorten its script")
	within  = flag.Duration("within", 0, "begin no other history after so much processor time; 0 is no bound")
)

// tables are the ones that decide, row by row.
var tables = []struct{ file, variable string }{
	{"internal/lifecycle/next.go", "steps"},
	{"internal/failures/failures.go", "table"},
	{"internal/reasons/table.go", "table"},
}

// wastes are acts of an operator without need, as statements that stand before a line of a file.
var wastes = []struct{ name, file, before, statement string }{
	{"waste a status", "internal/statusreport/patch.go", "\terr = send()\n", "_ = send()"},
	{"waste a grant Secret", "internal/grantstore/store.go", "\tif err := s.ownWrite(secret, write); err != nil {\n", "_ = s.ownWrite(secret, write)"},
	{"waste a renewal", "internal/renewal/policy.go", "\tat := expires.Add(-early)", "early = life * 9 / 10"},
	{"waste an attempt", "internal/facts/schedule.go", "\tnext := renewal.RetryAt(", "return time.Time{}"},
	{"waste a look", "internal/controller/reconciler.go", "\twait := time.Second\n", "look = now"},
}

// row is a row of a table.
type row struct {
	pkg, name string
	// removal is the statement that takes it out.
	removal string
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
	source := func(node ast.Node) string {
		return string(text[files.Position(node.Pos()).Offset:files.Position(node.End()).Offset])
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
		for at, element := range literal.Elts {
			var name, removal string
			switch element := element.(type) {
			case *ast.KeyValueExpr: // of a map
				name = source(element.Key)
				removal = fmt.Sprintf("delete(%s, %s)", variable, name)
			case *ast.CompositeLit: // of a slice of structs, which the first field names
				name = source(element.Elts[0])
				removal = fmt.Sprintf("%[1]s = append(%[1]s[:%[2]d:%[2]d], %[1]s[%[2]d+1:]...)", variable, at)
			}
			name = name[strings.LastIndex(name, ".")+1:]
			rows = append(rows, row{parsed.Name.Name, parsed.Name.Name + " " + strings.TrimPrefix(name, "Reason"), removal})
		}
		return false
	})
	if len(rows) == 0 {
		t.Fatalf("%s has no table %s", file, variable)
	}
	return rows
}

// withoutRow is the environment variable that names the row to take out.
const withoutRow = "SIMULATION_WITHOUT_ROW"

// buildWithout builds this test with a file more in each package of a table, which takes a row out before anything else happens.
func buildWithout(t *testing.T, rows map[string][]row) (program string) {
	t.Helper()
	folder := t.TempDir()
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	added := map[string]string{}
	for file, rows := range rows {
		var text strings.Builder
		imports := "import \"os\"\n"
		if strings.Contains(rows[0].removal, "v1alpha1.") {
			imports += "import \"github.com/tokenkeeper/tokenkeeper/api/v1alpha1\"\n"
		}
		fmt.Fprintf(&text, "package %s\n%sfunc init() {\n\tswitch os.Getenv(%q) {\n", rows[0].pkg, imports, withoutRow)
		for _, row := range rows {
			fmt.Fprintf(&text, "\tcase %q:\n\t\t%s\n", row.name, row.removal)
		}
		text.WriteString("\t}\n}\n")
		generated := filepath.Join(folder, rows[0].pkg+".go")
		if err := os.WriteFile(generated, []byte(text.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		added[filepath.Join(root, filepath.Dir(file), "without_row.go")] = generated
	}
	for at, waste := range wastes {
		text, err := os.ReadFile(filepath.Join(root, waste.file))
		if err != nil {
			t.Fatal(err)
		}
		wasteful := strings.Replace(string(text), waste.before, fmt.Sprintf("\tif os.Getenv(%q) == %q {\n\t\t%s\n\t}\n%s", withoutRow, waste.name, waste.statement, waste.before), 1)
		if wasteful == string(text) {
			t.Fatalf("%s has no line %q", waste.file, waste.before)
		}
		generated := filepath.Join(folder, fmt.Sprintf("waste%d.go", at))
		if err := os.WriteFile(generated, []byte(strings.Replace(wasteful, "import (\n", "import (\n\t\"os\"\n", 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		added[filepath.Join(root, waste.file)] = generated
	}
	document, err := json.Marshal(map[string]any{"Replace": added})
	if err != nil {
		t.Fatal(err)
	}
	overlay, program := filepath.Join(folder, "overlay.json"), filepath.Join(folder, "simulation.test")
	if err := os.WriteFile(overlay, document, 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-overlay", overlay, "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("it does not build: %v\n%s", err, said)
	}
	return program
}

// TestMutants takes rows out of the tables of decisions.
func TestMutants(t *testing.T) {
	if !*mutate {
		t.Skip("no -mutate")
	}
	rows := map[string][]row{}
	for _, from := range tables {
		rows[from.file] = rowsOf(t, from.file, from.variable)
	}
	program := buildWithout(t, rows)
	var all []row
	for _, from := range tables {
		all = append(all, rows[from.file]...)
	}
	for _, waste := range wastes {
		all = append(all, row{name: waste.name})
	}
	var report strings.Builder
	report.WriteString("| Row | Found by | Seed | Histories | Seconds |\n|---|---|---|---|---|\n")
	for _, row := range all {
		if !row.named() {
			continue
		}
		found := row.play(t, program)
		if found.by == "" {
			t.Errorf("nothing is found without the row %s in %d histories", row.name, found.histories)
			found.by = "nothing"
		}
		line := fmt.Sprintf("| %s | %s | %s | %d | %.1f |\n", row.name, found.by, found.seed, found.histories, found.took.Seconds())
		report.WriteString(line)
		t.Log(strings.TrimSpace(line))
	}
	t.Logf("rows taken out, with seconds of processor time of one process until something was found:\n%s", report.String())
}

// named tells that the row is one of those that -mutants names.
func (r row) named() bool {
	for part := range strings.SplitSeq(*mutants, ",") {
		if strings.Contains(r.name, part) {
			return true
		}
	}
	return false
}

// mutantResult shows that a row is missing: the invariant, and where it breaks.
type mutantResult struct {
	by, seed  string
	histories int
	took      time.Duration
}

// play plays without a row until a finding comes, or the time is over.
func (r row) play(t *testing.T, program string) mutantResult {
	t.Helper()
	command := exec.CommandContext(t.Context(), program, "-test.run=^TestHistories$", "-test.timeout=0", "-cores=1", "-seeds=1000000", "-first", "-within=1m",
		fmt.Sprintf("-seed=%d", *seed))
	command.Env = append(os.Environ(), withoutRow+"="+r.name)
	var part summary
	said, err := eachSummary(command, part.add)
	result := mutantResult{histories: part.Histories, took: command.ProcessState.UserTime() + command.ProcessState.SystemTime()}
	switch {
	case len(part.Findings) > 0:
		at, by, _ := strings.Cut(part.Findings[0], ": ")
		result.seed, result.by = strings.TrimPrefix(at, "-seed "), firstLine(by)
	case err != nil:
		result.by = "it ended: " + firstLine(said)
	}
	return result
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line[:min(len(line), 120)]
}
