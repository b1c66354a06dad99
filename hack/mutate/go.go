package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

const (
	// goName is the name under which this program is the go command of gremlins.
	goName = "go"
	// realGo is the environment variable that tells it where the go command is.
	realGo = "MUTATE_GO"
)

// runGo is the go command for gremlins, but for coverage. Gremlins tries no mutant in a line that is not covered, and Go's coverage knows
// nothing of the conditions of a switch: it counts what stands behind a case. So every line is told to be covered, and a mutant that
// no test reaches lives. The run that measures the coverage also measures the time of the tests, so it is never one of the cache.
func runGo(ctx context.Context, args []string) int {
	var profile string
	if at := slices.Index(args, "-coverprofile"); at > 0 && at+1 < len(args) {
		profile = args[at+1]
		args = slices.Insert(slices.Clone(args), 1, "-count=1")
	}
	command := exec.CommandContext(ctx, os.Getenv(realGo), args...) //nolint:gosec // the go command that make mutate was run with
	command.Stdin, command.Stdout, command.Stderr = os.Stdin, os.Stdout, os.Stderr
	err := command.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return exit.ExitCode()
	}
	if err == nil && profile != "" {
		err = coverAll(profile)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		return 1
	}
	return 0
}

// coverAll makes a profile say that every line of its files is covered.
func coverAll(profile string) error {
	text, err := os.ReadFile(profile)
	if err != nil {
		return err
	}
	lines := []string{"mode: set"}
	for line := range strings.Lines(string(text)) { // file.go:12.3,14.5 statements count
		if file, _, ok := strings.Cut(line, ".go:"); ok {
			lines = append(lines, file+".go:0.0,1000000.0 1 1")
		}
	}
	return os.WriteFile(profile, []byte(strings.Join(slices.Compact(lines), "\n")+"\n"), 0o600)
}
