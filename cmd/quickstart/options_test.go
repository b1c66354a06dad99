package main

import (
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func TestOptions(t *testing.T) {
	assets := t.TempDir()
	for _, name := range []string{"etcd", "kube-apiserver"} {
		if err := os.WriteFile(filepath.Join(assets, name), nil, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	empty := t.TempDir()
	tests := map[string]struct {
		args        []string
		environment string // KUBEBUILDER_ASSETS
		want        options
		wantErr     string // a part of it
	}{
		"none":                   {environment: assets, want: options{timeout: 5 * time.Minute, assets: assets}},
		"once":                   {args: []string{"--once", "--timeout", "1m"}, environment: assets, want: options{once: true, timeout: time.Minute, assets: assets}},
		"assets by flag":         {args: []string{"--assets", assets}, environment: empty, want: options{timeout: 5 * time.Minute, assets: assets}},
		"no assets":              {wantErr: `KUBEBUILDER_ASSETS is not set: run "make quickstart"`},
		"assets without etcd":    {environment: empty, wantErr: "looking for etcd"},
		"no time":                {args: []string{"--timeout", "0s"}, environment: assets, wantErr: "must be more than zero"},
		"an argument":            {args: []string{"once"}, environment: assets, wantErr: "unexpected argument"},
		"a flag that is unknown": {args: []string{"--twice"}, environment: assets, wantErr: "not defined"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			getenv := map[string]string{"KUBEBUILDER_ASSETS": test.environment}
			got, err := parseOptions(test.args, func(key string) string { return getenv[key] }, io.Discard)
			switch {
			case test.wantErr != "":
				if err == nil || !strings.Contains(err.Error(), test.wantErr) {
					t.Fatalf("err = %v, want one that says %q", err, test.wantErr)
				}
			case err != nil:
				t.Fatal(err)
			case got != test.want:
				t.Errorf("options are %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestHelpIsNoMistake(t *testing.T) {
	var usage strings.Builder
	_, err := parseOptions([]string{"--help"}, func(string) string { return "" }, &usage)
	if !errors.Is(err, flag.ErrHelp) {
		t.Fatalf("err = %v, want %v", err, flag.ErrHelp)
	}
	if !strings.Contains(usage.String(), "-once") {
		t.Errorf("usage is %s", usage.String())
	}
}

func TestRootIsWhereTheModuleIs(t *testing.T) {
	tests := map[string]struct {
		files fstest.MapFS
		ok    bool
	}{
		"our repository":    {fstest.MapFS{"go.mod": {Data: []byte("// a comment\nmodule " + module + "\n\ngo 1.26\n")}}, true},
		"another module":    {fstest.MapFS{"go.mod": {Data: []byte("module " + module + "/hack/tools\n")}}, false},
		"no module":         {fstest.MapFS{}, false},
		"a folder go.mod":   {fstest.MapFS{"go.mod/x": {}}, false},
		"an empty manifest": {fstest.MapFS{"go.mod": {}}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := checkRoot(test.files)
			if (err == nil) != test.ok {
				t.Fatalf("err = %v", err)
			}
			if err != nil && !strings.Contains(err.Error(), "make quickstart") {
				t.Errorf("%v does not say what to do", err)
			}
		})
	}
}
