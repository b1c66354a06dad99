package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// directoryWith makes a directory that holds the programs.
func directoryWith(t *testing.T, programs ...string) string {
	t.Helper()
	directory := t.TempDir()
	for _, program := range programs {
		if err := os.WriteFile(filepath.Join(directory, program), nil, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	return directory
}

func TestCheckNamed(t *testing.T) {
	for sentence, c := range map[string]struct {
		holds []string
		wants string
	}{
		"all three are fine":             {holds: []string{"etcd", "kube-apiserver", "kubectl"}},
		"kubectl may be missing":         {holds: []string{"etcd", "kube-apiserver"}},
		"etcd must be there":             {holds: []string{"kube-apiserver", "kubectl"}, wants: "which holds no etcd: unset it"},
		"an empty directory is no use":   {wants: "which holds no etcd and no kube-apiserver"},
		"kube-apiserver must be there":   {holds: []string{"etcd"}, wants: "which holds no kube-apiserver"},
		"only kubectl is no use, either": {holds: []string{"kubectl"}, wants: "KUBEBUILDER_ASSETS names"},
	} {
		t.Run(sentence, func(t *testing.T) {
			directory := directoryWith(t, c.holds...)
			got, err := checkNamed(directory)
			switch {
			case c.wants == "" && (err != nil || got != directory):
				t.Errorf("got %q, %v; want %q", got, err, directory)
			case c.wants != "" && (err == nil || !strings.Contains(err.Error(), c.wants)):
				t.Errorf("got %v; want an error with %q", err, c.wants)
			}
		})
	}
}

func TestLacksWhatCannotRun(t *testing.T) {
	directory := directoryWith(t, "etcd")
	if err := os.WriteFile(filepath.Join(directory, "kubectl"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(directory, "kube-apiserver"), 0o700); err != nil {
		t.Fatal(err)
	}
	want := []string{"kube-apiserver", "kubectl"}
	if got := lacks(directory, "etcd", "kube-apiserver", "kubectl"); !slices.Equal(got, want) {
		t.Errorf("got %q; want %q", got, want)
	}
}

func TestPinnedVersion(t *testing.T) {
	const goMod = `{"Module": {"Path": "example.com/tool"}, "Require": [
		{"Path": "k8s.io/api", "Version": "v0.37.1", "Indirect": true},
		{"Path": "k8s.io/kubernetes", "Version": "v1.37.1"}]}`
	if got, err := pinnedVersion([]byte(goMod), "k8s.io/kubernetes"); err != nil || got != "v1.37.1" {
		t.Errorf("got %q, %v; want v1.37.1", got, err)
	}
	if got, err := pinnedVersion([]byte(goMod), "go.etcd.io/etcd/server/v3"); err == nil {
		t.Errorf("got %q; want an error, since nothing requires etcd", got)
	}
	if got, err := pinnedVersion([]byte("module example.com/tool"), "k8s.io/kubernetes"); err == nil {
		t.Errorf("got %q; want an error, since this is no JSON", got)
	}
}

func TestToolsArePinned(t *testing.T) {
	pinned, err := readPinned(t.Context(), filepath.Join("..", "tools"))
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`^v[0-9]+[.][0-9]+[.][0-9]+$`)
	if !version.MatchString(pinned.kubernetes) || !version.MatchString(pinned.etcd) {
		t.Errorf("got %+v; want two released versions", pinned)
	}
}

func TestMinorSeries(t *testing.T) {
	for version, want := range map[string]string{
		"v1.37.1": "1.37.x", "v1.38.0": "1.38.x", "v1.38.0-rc.1": "1.38.x", "v2": "2.x",
	} {
		if got := minorSeries(version); got != want {
			t.Errorf("%s: got %q; want %q", version, got, want)
		}
	}
}

func TestPrograms(t *testing.T) {
	pinned := versions{kubernetes: "v1.37.1", etcd: "v3.7.3"}
	if got, want := pinned.directory("/cache"), "/cache/tokenkeeper/envtest/kube-v1.37.1-etcd-v3.7.3"; got != want {
		t.Errorf("directory: got %q; want %q", got, want)
	}
	programs := pinned.programs("/tools", []string{"etcd", "kube-apiserver"})
	if len(programs) != 2 || programs[0].name != "kube-apiserver" || programs[1].name != "etcd" {
		t.Errorf("got %+v; want the two that are missing and nothing else", programs)
	}
	if want := "version.gitVersion=v1.37.1"; !strings.HasSuffix(programs[0].ldflags, want) {
		t.Errorf("got %q; want flags that end in %q", programs[0].ldflags, want)
	}
}

func TestAnnounce(t *testing.T) {
	var said strings.Builder
	explainBuild(&said, versions{kubernetes: "v1.37.1", etcd: "v3.7.3"}, []string{"etcd", "kubectl"}, "/cache/here", errors.New("no such host"))
	for _, want := range []string{"no such host", "etcd, kubectl", "v1.37.1", "v3.7.3", "6 to 10 minutes", "once", "/cache/here"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("got %q; want it to say %q", said.String(), want)
		}
	}
}

func TestMeterInAFile(t *testing.T) {
	var shown strings.Builder
	progress := &meter{to: &shown}
	progress.start("etcd")
	progress.report("go: downloading example.com/a v1.0.0")
	progress.report("go: downloading example.com/b v1.0.0")
	packages := make([]string, 40)
	for i := range packages {
		packages[i] = strings.Repeat("a", i+1)
	}
	progress.packages(packages)
	for _, line := range packages {
		if !progress.report(line) || progress.report(line) {
			t.Fatalf("package %q must count once", line)
		}
	}
	if progress.report("a.go:1:1: syntax error") {
		t.Error("what is not progress must be kept for the error")
	}
	progress.finish()

	lines := strings.Split(strings.TrimSpace(shown.String()), "\n")
	want := []string{
		"etcd: looking for its packages",
		"etcd: downloading modules",
		"etcd: compiling and linking 40 packages",
		"etcd:  10 % compiled (4 of 40 packages)",
		"etcd:  20 % compiled (8 of 40 packages)",
	}
	if len(lines) != 14 || !slices.Equal(lines[:5], want) {
		t.Errorf("got %q; want 14 lines that start with %q", lines, want)
	}
}

func TestMeterOnATerminal(t *testing.T) {
	var shown strings.Builder
	progress := &meter{to: &shown, terminal: true}
	progress.start("etcd")
	progress.report("go: downloading example.com/a v1.0.0")
	progress.packages([]string{"a", "b"})
	progress.report("a")
	progress.finish()
	want := "\r\x1b[Ketcd: looking for its packages" +
		"\r\x1b[Ketcd: downloading modules (1)" +
		"\r\x1b[Ketcd: compiling and linking 2 packages" +
		"\r\x1b[Ketcd:  50 % compiled (1 of 2 packages)" +
		"\r\x1b[Ketcd: built in 0s\n"
	if shown.String() != want {
		t.Errorf("got %q; want %q", shown.String(), want)
	}
}

// module makes a module of one program, with no requirements.
func module(t *testing.T, source string) string {
	t.Helper()
	directory := t.TempDir()
	for name, content := range map[string]string{"go.mod": "module example.com/tool\n\ngo 1.26\n", "main.go": source} {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return directory
}

func TestBuild(t *testing.T) {
	good := program{name: "good", module: module(t, "package main\n\nfunc main() {}\n"), pkg: "example.com/tool"}
	bad := program{name: "bad", module: module(t, "package main\n\nfunc main() { return 1 }\n"), pkg: "example.com/tool"}
	directory := filepath.Join(t.TempDir(), "new", "directory")

	err := build(t.Context(), []program{good, bad}, directory, &meter{to: t.Output()})
	if err == nil || !strings.Contains(err.Error(), "building bad: ") || !strings.Contains(err.Error(), "too many return values") {
		t.Errorf("got %v; want an error that says what the compiler says", err)
	}
	entries, err := os.ReadDir(directory)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 || entries[0].Name() != "good" {
		t.Errorf("got %v; want the whole program and nothing of the other", entries)
	}
	if missing := lacks(directory, "good"); len(missing) > 0 {
		t.Errorf("%q must be fit to run", missing)
	}
}

func TestInterruptedBuild(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	tool := program{name: "tool", module: module(t, "package main\n\nfunc main() {}\n"), pkg: "example.com/tool"}
	directory := t.TempDir()
	if err := build(ctx, []program{tool}, directory, &meter{to: t.Output()}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v; want it to say that it was interrupted", err)
	}
	if entries, err := os.ReadDir(directory); err != nil || len(entries) > 0 {
		t.Errorf("got %v, %v; want nothing left behind", entries, err)
	}
}
