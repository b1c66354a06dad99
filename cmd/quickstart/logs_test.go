package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestTail(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"fewer lines":    {"a\n", "  a"},
		"as many":        {"a\nb\n", "  a\n  b"},
		"more":           {"a\nb\nc\n", "  b\n  c"},
		"no end of line": {"a\nb\nc", "  b\n  c"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tail(test.text, 2); got != test.want {
				t.Errorf("it is %q, want %q", got, test.want)
			}
		})
	}
}

func TestWithLog(t *testing.T) {
	broken := errors.New("broken")
	log := filepath.Join(t.TempDir(), "log")
	if err := withLog(broken, "it", log); err != broken { //nolint:errorlint // the very same, nothing added
		t.Errorf("without a log it is %v", err)
	}
	if err := os.WriteFile(log, []byte("why\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := withLog(broken, "it", log)
	if want := "broken\n\nThe end of the log of it:\n  why"; !errors.Is(err, broken) || err.Error() != want {
		t.Errorf("it is %q, want %q", err, want)
	}
	if err := withLog(errInterrupted, "it", log); err.Error() != "interrupted" {
		t.Errorf("to somebody who interrupted it says %q", err)
	}
}
