package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// versions are the versions of the modules that hack/tools pins, so that none is written twice.
type versions struct{ kubernetes, etcd string }

// directory is where the programs of these versions lie in the user's cache.
func (v versions) directory(cache string) string {
	return filepath.Join(cache, "tokenkeeper", "envtest", "kube-"+v.kubernetes+"-etcd-"+v.etcd)
}

// checkNamed tells whether the directory that was named can be used. kubectl is not needed there.
func checkNamed(directory string) (string, error) {
	absolute, err := filepath.Abs(directory)
	if err != nil {
		return "", err
	}
	if missing := lacks(absolute, "etcd", "kube-apiserver"); len(missing) > 0 {
		return "", fmt.Errorf("KUBEBUILDER_ASSETS names %s, which holds no %s: unset it, or name a directory that does",
			absolute, strings.Join(missing, " and no "))
	}
	return absolute, nil
}

// lacks returns the programs that are not in the directory.
func lacks(directory string, programs ...string) []string {
	var missing []string
	for _, program := range programs {
		info, err := os.Stat(filepath.Join(directory, program))
		if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
			missing = append(missing, program)
		}
	}
	return missing
}

// findTools returns the folder hack/tools of the module that the working directory belongs to.
func findTools(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("asking go for the module: %w", err)
	}
	return filepath.Join(filepath.Dir(strings.TrimSpace(string(out))), "hack", "tools"), nil
}

func readPinned(ctx context.Context, tools string) (versions, error) {
	kubernetes, err := readVersion(ctx, filepath.Join(tools, "kubernetes", "go.mod"), "k8s.io/kubernetes")
	if err != nil {
		return versions{}, err
	}
	etcd, err := readVersion(ctx, filepath.Join(tools, "etcd", "go.mod"), "go.etcd.io/etcd/server/v3")
	if err != nil {
		return versions{}, err
	}
	return versions{kubernetes: kubernetes, etcd: etcd}, nil
}

func readVersion(ctx context.Context, goMod, module string) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "mod", "edit", "-json", goMod).Output()
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", goMod, err)
	}
	version, err := pinnedVersion(out, module)
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", goMod, err)
	}
	return version, nil
}

// pinnedVersion finds a module's version in what "go mod edit -json" prints.
func pinnedVersion(goMod []byte, module string) (string, error) {
	var file struct {
		Require []struct{ Path, Version string }
	}
	if err := json.Unmarshal(goMod, &file); err != nil {
		return "", err
	}
	for _, required := range file.Require {
		if required.Path == module {
			return required.Version, nil
		}
	}
	return "", fmt.Errorf("it does not require %s", module)
}

// downloadTime is enough for about 100 MB, and the longest that a person waits behind a firewall that does not answer.
const downloadTime = 3 * time.Minute

// download asks setup-envtest for the programs: the ones that it has, else the ones that it can get.
func download(ctx context.Context, tools, kubernetes string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, downloadTime)
	defer cancel()
	series := minorSeries(kubernetes)
	if directory, err := setupEnvtest(ctx, tools, "use", "--installed-only", "--print", "path", series); err == nil {
		return directory, nil
	}
	return setupEnvtest(ctx, tools, "use", "--print", "path", series+"!") // ! asks for the newest
}

func setupEnvtest(ctx context.Context, tools string, args ...string) (string, error) {
	goMod := filepath.Join(tools, "setup-envtest", "go.mod")
	command := exec.CommandContext(ctx, "go", append([]string{"tool", "-modfile=" + goMod, "setup-envtest"}, args...)...)
	command.WaitDelay = time.Second
	out, err := command.Output()
	if ctx.Err() != nil {
		return "", fmt.Errorf("no answer within %s: %w", downloadTime, ctx.Err())
	}
	if failure, ok := errors.AsType[*exec.ExitError](err); ok {
		return "", errors.New(firstLine(string(failure.Stderr)))
	}
	if err != nil {
		return "", err
	}
	directory := strings.TrimSpace(string(out))
	if missing := lacks(directory, "etcd", "kube-apiserver"); len(missing) > 0 {
		return "", fmt.Errorf("%s holds no %s", directory, strings.Join(missing, " and no "))
	}
	return directory, nil
}

// minorSeries turns v1.37.1 into 1.37.x, as setup-envtest writes the newest patch of a minor version.
func minorSeries(version string) string {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".") + ".x"
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

// explainBuild says, before minutes pass, why they do.
func explainBuild(to io.Writer, pinned versions, missing []string, directory string, because error) {
	fmt.Fprintf(to, `There is no kube-apiserver and etcd to test against yet, and setup-envtest cannot download them: %v
Building %s from the Go modules k8s.io/kubernetes %s and go.etcd.io/etcd %s.
On two cores this takes 6 to 10 minutes. It happens once; the programs are kept in
%s
`, because, strings.Join(missing, ", "), pinned.kubernetes, pinned.etcd, directory)
}
