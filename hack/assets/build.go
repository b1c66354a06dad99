package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// program is one that is built from a tool's module.
type program struct {
	name, module, ldflags string
	pkg                   string
}

// programs are how the missing ones are built.
func (v versions) programs(tools string, missing []string) []program {
	kubernetes, etcd := filepath.Join(tools, "kubernetes"), filepath.Join(tools, "etcd")
	stamped := "-s -w -X k8s.io/component-base/version.gitVersion=" + v.kubernetes // else it says v0.0.0-master
	all := []program{
		{name: "kube-apiserver", module: kubernetes, pkg: "k8s.io/kubernetes/cmd/kube-apiserver", ldflags: stamped},
		{name: "kubectl", module: kubernetes, pkg: "k8s.io/kubernetes/cmd/kubectl", ldflags: stamped},
		{name: "etcd", module: etcd, pkg: "go.etcd.io/etcd/server/v3", ldflags: "-s -w"},
	}
	return slices.DeleteFunc(all, func(p program) bool { return !slices.Contains(missing, p.name) })
}

// build puts the programs into the directory. Each gets its name only once it is whole, so that neither an
// interruption nor another build at the same time leaves half a file.
func build(ctx context.Context, programs []program, directory string, progress *meter) error {
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return err
	}
	unfinished, err := os.MkdirTemp(directory, ".unfinished-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(unfinished) }()
	for _, program := range programs {
		path := filepath.Join(unfinished, program.name)
		if err := program.build(ctx, path, progress); err != nil {
			progress.endLine()
			return fmt.Errorf("building %s: %w", program.name, err)
		}
		if err := os.Rename(path, filepath.Join(directory, program.name)); err != nil {
			return err
		}
	}
	return nil
}

func (p program) build(ctx context.Context, path string, progress *meter) error {
	progress.start(p.name)
	listed, err := p.run(ctx, progress, "list", "-deps", p.pkg)
	if err != nil {
		return err
	}
	progress.packages(strings.Fields(listed))
	if _, err := p.run(ctx, progress, "build", "-v", "-trimpath", "-ldflags", p.ldflags, "-o", path, p.pkg); err != nil {
		return err
	}
	progress.finish()
	return nil
}

// run calls go in the program's module, shows its reports as progress, and returns its output.
func (p program) run(ctx context.Context, progress *meter, args ...string) (string, error) {
	command := exec.CommandContext(ctx, "go", args...)
	command.Dir = p.module
	command.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) } // go then removes its own files
	command.WaitDelay = 10 * time.Second
	var printed bytes.Buffer
	command.Stdout = &printed
	reports, err := command.StderrPipe()
	if err != nil {
		return "", err
	}
	if err := command.Start(); err != nil {
		return "", err
	}
	var rest []string
	for lines := bufio.NewScanner(reports); lines.Scan(); {
		if !progress.report(lines.Text()) {
			rest = append(rest, lines.Text())
		}
	}
	if err := command.Wait(); err != nil {
		return "", fmt.Errorf("go %s: %w\n%s", args[0], err, strings.Join(rest, "\n"))
	}
	return printed.String(), nil
}
