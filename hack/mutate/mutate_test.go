package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWhatCounts(t *testing.T) {
	var found report
	if err := json.Unmarshal([]byte(`{"mutants_total": 3, "files": [{"file_name": "plan.go", "mutations": [
		{"type": "CONDITIONALS_BOUNDARY", "status": "KILLED", "line": 1, "column": 2},
		{"type": "CONDITIONALS_BOUNDARY", "status": "NOT VIABLE", "line": 2, "column": 2},
		{"type": "CONDITIONALS_NEGATION", "status": "LIVED", "line": 3, "column": 4},
		{"type": "INCREMENT_DECREMENT", "status": "TIMED OUT", "line": 5, "column": 6},
		{"type": "ARITHMETIC_BASE", "status": "NOT COVERED", "line": 7, "column": 8}]}]}`), &found); err != nil {
		t.Fatal(err)
	}
	c := count("internal/renewal", found)
	var out strings.Builder
	if err := printTable(&out, []counts{c, {folder: "internal/reasons"}}); err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(strings.TrimSpace(out.String()), "\n")
	for i, want := range []string{"internal/renewal 5 2 1 1 40.0 %", "internal/reasons 0 0 0 0 100.0 %"} {
		if got := strings.Join(strings.Fields(rows[i+1]), " "); got != want {
			t.Errorf("the row is %q, want %q", got, want)
		}
	}
	want := "internal/renewal/plan.go:3:4: CONDITIONALS_NEGATION LIVED"
	if len(c.survivors) != 3 || c.survivors[0] != want {
		t.Errorf("the survivors are %q, want first %q", c.survivors, want)
	}
	if err := judge([]counts{c}, 40); err != nil {
		t.Errorf("40 %% are not enough: %v", err)
	}
	if judge([]counts{c}, 40.1) == nil {
		t.Error("less is enough")
	}
}

// TestConditionsOfASwitchAreCovered: of these, Go's coverage tells nothing.
func TestConditionsOfASwitchAreCovered(t *testing.T) {
	profile := filepath.Join(t.TempDir(), "coverage")
	if err := os.WriteFile(profile, []byte("mode: set\nexample.com/a/one.go:3.2,4.3 1 0\nexample.com/a/one.go:5.2,6.3 2 1\nexample.com/a/two.go:1.1,2.2 1 0\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := coverAll(profile); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(profile)
	want := "mode: set\nexample.com/a/one.go:0.0,1000000.0 1 1\nexample.com/a/two.go:0.0,1000000.0 1 1\n"
	if err != nil || string(text) != want {
		t.Errorf("the profile is\n%s%v, want\n%s", text, err, want)
	}
}
