package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// tailLines is how many lines of a log an error shows.
const tailLines = 20

// withLog adds the end of a log to an error, since the log will be gone when people read it. After an interruption the cause is
// known.
func withLog(err error, name, path string) error {
	if errors.Is(err, errInterrupted) {
		return err
	}
	content, readErr := os.ReadFile(path)
	if readErr != nil || len(content) == 0 {
		return err
	}
	return fmt.Errorf("%w\n\nThe end of the log of %s:\n%s", err, name, tail(string(content), tailLines))
}

// tail returns the last n lines, indented.
func tail(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	lines = lines[max(0, len(lines)-n):]
	return "  " + strings.Join(lines, "\n  ")
}
