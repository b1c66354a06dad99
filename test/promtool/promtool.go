// Package promtool runs Prometheus's own tool over metrics and rules. It is in Debian's package prometheus.
package promtool

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// run fails the test where the tool is missing or complains.
func run(t *testing.T, input string, args ...string) {
	t.Helper()
	program, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatalf("%v: install Debian's package prometheus, or put promtool into the PATH", err)
	}
	command := exec.CommandContext(t.Context(), program, args...)
	command.Env = append(os.Environ(), "GOGC=400") // a third of its processor time goes to collecting otherwise
	command.Stdin = strings.NewReader(input)
	var said bytes.Buffer
	command.Stdout, command.Stderr = &said, &said
	if err := command.Run(); err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, said.String())
	}
}

// CheckMetrics lets it read a page of metrics.
func CheckMetrics(t *testing.T, page string) {
	t.Helper()
	run(t, page, "check", "metrics")
}

// CheckRules lets it read a file of rules.
func CheckRules(t *testing.T, path string) {
	t.Helper()
	run(t, "", "check", "rules", path)
}

// play lets it play a file of tests, whose text is given, against rules.
func play(t *testing.T, tests string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tests.yaml")
	if err := os.WriteFile(path, []byte(tests), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "", "test", "rules", path)
}
