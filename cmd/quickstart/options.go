package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// module is the Go module whose repository the quickstart runs in.
const module = "github.com/tokenkeeper/tokenkeeper"

// options are the flags.
type options struct {
	once    bool
	timeout time.Duration
	assets  string
}

// parseOptions reads the flags and checks them.
func parseOptions(args []string, getenv func(string) string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.BoolVar(&o.once, "once", false,
		"end with exit code 0 once every sample account is Ready and one token was renewed")
	flags.DurationVar(&o.timeout, "timeout", 5*time.Minute,
		"how `long` --once waits for that, counted from when the samples are applied")
	flags.StringVar(&o.assets, "assets", getenv("KUBEBUILDER_ASSETS"),
		"`directory` with etcd and kube-apiserver; default $KUBEBUILDER_ASSETS")
	if err := flags.Parse(args); err != nil {
		return options{}, fmt.Errorf("reading flags: %w", err)
	}
	if flags.NArg() > 0 {
		return options{}, fmt.Errorf("reading flags: unexpected argument %q", flags.Arg(0))
	}
	return o, o.check()
}

// check tells why the options cannot be used; nil where they can.
func (o options) check() error {
	if o.timeout <= 0 {
		return errors.New("checking --timeout: must be more than zero")
	}
	if o.assets == "" {
		return errors.New(`KUBEBUILDER_ASSETS is not set: run "make quickstart", which finds or builds etcd and kube-apiserver first`)
	}
	for _, name := range []string{"etcd", "kube-apiserver"} {
		if _, err := os.Stat(filepath.Join(o.assets, name)); err != nil {
			return fmt.Errorf(`looking for %s: %w; run "make quickstart", which finds or builds it first`, name, err)
		}
	}
	return nil
}

// checkRoot refuses to work anywhere but in the root of the repository, whose programs and manifests are shown.
func checkRoot(root fs.FS) error {
	file, err := root.Open("go.mod")
	if err == nil {
		defer file.Close() // it was only read
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			if strings.TrimSpace(lines.Text()) == "module "+module {
				return nil
			}
		}
	}
	return fmt.Errorf("this directory is not the root of the repository of %s: go there and run \"make quickstart\"", module)
}
