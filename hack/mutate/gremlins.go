package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// patience is how many times as long as the tests take without a mutant they may take with one, which has to be compiled as well.
const patience = 20

// gremlins is the tool, ready to run.
type gremlins struct {
	// folder holds the files that are made for it, and is removed in the end.
	folder  string
	program string
	workers int
	env     []string
}

// report is the file that gremlins writes; its other members are sums of these.
type report struct {
	Files []struct {
		Name      string `json:"file_name"`
		Mutations []struct {
			Type   string `json:"type"`
			Status string `json:"status"`
			Line   int    `json:"line"`
			Column int    `json:"column"`
		} `json:"mutations"`
	} `json:"files"`
}

// prepare builds the tool, and puts this program in the place of the go command that it calls: see runGo.
func prepare(ctx context.Context, workers int) (*gremlins, error) {
	program, err := exec.CommandContext(ctx, "go", "tool", "-n", "-modfile=hack/tools/gremlins/go.mod", "gremlins").Output()
	if err != nil {
		return nil, fmt.Errorf("building gremlins, from the root of the repository: %w", err)
	}
	command, err := exec.LookPath("go")
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", "mutate-")
	if err != nil {
		return nil, err
	}
	env := append(os.Environ(),
		"PATH="+folder+string(os.PathListSeparator)+os.Getenv("PATH"),
		realGo+"="+command,
		// A test that takes long can be shorter with -short; vet finds nothing new in a mutant.
		"GOFLAGS="+strings.TrimSpace(os.Getenv("GOFLAGS")+" -short -vet=off"))
	return &gremlins{folder, strings.TrimSpace(string(program)), workers, env}, os.Symlink(self, filepath.Join(folder, goName))
}

// mutate tries the mutants of one package. Gremlins tells about each of them on standard error.
func (g *gremlins) mutate(ctx context.Context, folder string) (report, error) {
	result := filepath.Join(g.folder, "report.json")
	command := exec.CommandContext(ctx, g.program, "unleash", "--workers", strconv.Itoa(g.workers), "--timeout-coefficient", strconv.Itoa(patience),
		"--output", result, "./"+folder)
	command.Env = g.env
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	if err := command.Run(); err != nil {
		return report{}, err
	}
	text, err := os.ReadFile(result)
	if errors.Is(err, fs.ErrNotExist) { // there is nothing to change
		return report{}, nil
	}
	if err != nil {
		return report{}, err
	}
	var found report
	if err := json.Unmarshal(text, &found); err != nil {
		return report{}, fmt.Errorf("reading the report: %w", err)
	}
	return found, os.Remove(result)
}
