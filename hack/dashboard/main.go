// Dashboard writes the Grafana dashboard below a folder. "make generate" runs it:
//
//	go run -C hack/dashboard . "$PWD"
//
// It is a module of its own, since nothing else needs Grafana's.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// file is where the dashboard belongs. The chart has a copy.
const file = "config/components/dashboard/tokenkeeper.json"

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: dashboard folder")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "dashboard:", err)
		os.Exit(1)
	}
}

func run(folder string) error {
	made, err := board().Build()
	if err != nil {
		return err
	}
	for i, panel := range made.Panels { // by which Grafana tells them apart, and links lead to them
		if id := uint32(i + 1); panel.RowPanel != nil {
			panel.RowPanel.Id = id
		} else {
			panel.Panel.Id = &id
		}
	}
	text, err := json.MarshalIndent(made, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(folder, filepath.FromSlash(file))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil { //nolint:gosec // a folder of the checkout
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644) //nolint:gosec // a file of the checkout
}
