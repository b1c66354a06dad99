package simulation_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestScripts plays the scripts in testdata: histories that once broke an invariant.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if broken := play(t, 1, parse(string(text)), false).Broken; broken != "" {
				t.Error(broken)
			}
		})
	}
}
