// Package chart_test renders the charts with both versions of Helm that are supported, as users do, and looks at what
// comes out; and installs, upgrades and removes them at a real API server.
package chart_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/test/testworld"
)

const (
	root         = "../.."
	operator     = "../../charts/tokenkeeper"
	marketplaces = "../../charts/tokenkeeper-marketplaces"

	// release and namespace are the names under which the chart's names are the ones of config/.
	release   = "tokenkeeper"
	namespace = "tokenkeeper-system"
)

// helms are the programs by their major version, from the modules that hack/tools pins. Go keeps them in its cache, since linking one takes ten seconds.
var helms = map[string]string{}

// operatorProgram is the operator, with a clock that a story may set.
var operatorProgram string

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	logf.SetLogger(logr.Discard())
	directory, err := os.MkdirTemp("", "tokenkeeper-helm-")
	if err != nil {
		return 1, err
	}
	defer func() { _ = os.RemoveAll(directory) }()
	for _, major := range []string{"3", "4"} {
		build := exec.CommandContext(context.Background(), "go", "tool", "-n", "-modfile=hack/tools/helm"+major+"/go.mod", "helm")
		build.Dir = root
		var failure strings.Builder
		build.Stderr = &failure
		program, err := build.Output()
		if err != nil {
			return 1, fmt.Errorf("building Helm %s: %w\n%s", major, err, failure.String())
		}
		helms[major] = filepath.Join(directory, "helm"+major)
		if err := os.Symlink(strings.TrimSpace(string(program)), helms[major]); err != nil {
			return 1, err
		}
	}
	operatorProgram = filepath.Join(directory, "operator")
	if err := buildOperator(root, "./test/chaos/operator", operatorProgram); err != nil {
		return 1, err
	}
	if err := touch(operator, marketplaces, filepath.Join(root, "config")); err != nil {
		return 1, err
	}
	if err := os.Setenv("GOGC", strconv.Itoa(testworld.CollectAt)); err != nil { // of what the stories start, but for the operator
		return 1, err
	}
	return m.Run(), nil
}

// buildOperator builds a program of a checkout as the image has it, static.
func buildOperator(checkout, source, program string) error {
	build := exec.CommandContext(context.Background(), "go", "build", "-o", program, source)
	build.Dir, build.Env = checkout, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the operator: %w\n%s", err, out)
	}
	return nil
}

// touch reads the charts, so that go test runs anew when a file of them changes: it does not see what Helm reads.
func touch(directories ...string) error {
	for _, directory := range directories {
		err := filepath.WalkDir(directory, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Type().IsRegular() {
				_, err = os.ReadFile(path)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// everyHelm runs a test with each version, and in the short form with the newest.
func everyHelm(t *testing.T, test func(t *testing.T, helm string)) {
	t.Helper()
	for major, program := range helms {
		if testing.Short() && major != "4" {
			continue
		}
		t.Run("Helm "+major, func(t *testing.T) {
			t.Parallel()
			test(t, program)
		})
	}
}

// call runs Helm with values, and returns its output.
func call(t *testing.T, helm, values string, args ...string) (string, error) {
	t.Helper()
	command := exec.CommandContext(t.Context(), helm, append(args, "--values", "-")...)
	command.Stdin = strings.NewReader(values)
	command.Env = append(os.Environ(), "HOME="+t.TempDir(), "KUBECONFIG=/dev/null")
	var failure strings.Builder
	command.Stderr = &failure
	out, err := command.Output()
	if err != nil {
		err = errors.New(failure.String())
	}
	return string(out), err
}

// template renders a chart into objects.
func template(t *testing.T, helm, chart, values string) (objects, error) {
	t.Helper()
	out, err := call(t, helm, values, "template", release, chart, "--namespace", namespace, "--kube-version", "1.37.0")
	if err != nil {
		return nil, err
	}
	return parse(t, out), nil
}

// render is template for values that must be accepted.
func render(t *testing.T, helm, chart, values string) objects {
	t.Helper()
	made, err := template(t, helm, chart, values)
	if err != nil {
		t.Fatalf("rendering with\n%s\n%v", values, err)
	}
	return made
}

// parse reads documents of YAML. One with an unknown or doubled field is refused where it is decoded into a type.
func parse(t *testing.T, text string) objects {
	t.Helper()
	var made objects
	for document := range strings.SplitSeq("\n"+text, "\n---") {
		var object map[string]any
		if err := yaml.UnmarshalStrict([]byte(document), &object); err != nil {
			t.Fatalf("%v in\n%s", err, document)
		}
		if len(object) > 0 {
			made = append(made, object)
		}
	}
	return made
}
