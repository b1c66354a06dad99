// Alerts writes the alert rules wherever they are needed below a folder: as a plain file for Prometheus, as a PrometheusRule, for the chart, and
// as a page for people. "make generate" runs it:
//
//	go run ./hack/alerts .
//
// The rules are in rules.go; the table of internal/reasons says which alert speaks of a reason.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: alerts folder")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "alerts:", err)
		os.Exit(1)
	}
}

// run writes every file below a folder.
func run(folder string) error {
	files, err := render(alerts())
	if err != nil {
		return err
	}
	for name, text := range files {
		path := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // a folder of the checkout
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil { //nolint:gosec // a file of the checkout
			return err
		}
	}
	return nil
}
