package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// benchmark is one thing to measure.
type benchmark struct {
	name string
	does string
	run  func(context.Context, *bench) ([]figure, error)
}

// benchmarks are all that there are, in the order in which they run.
var benchmarks = []benchmark{
	{"signin", "people come back from the marketplace all at once", measureSignIns},
}

func main() {
	o, err := parse(os.Args[1:], os.Stderr)
	if err == nil {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		err = run(ctx, o, os.Stdout, os.Stderr)
		stop()
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	only string
	runs int
	json string
	// people is how many sign in at once.
	people int
}

func parse(args []string, stderr io.Writer) (options, error) {
	names := make([]string, len(benchmarks))
	for i, b := range benchmarks {
		names[i] = b.name
	}
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.only, "only", strings.Join(names, ","), "which `benchmarks` to run")
	flags.IntVar(&o.runs, "runs", 3, "how often each is repeated")
	flags.StringVar(&o.json, "json", "", "`file` for the figures; default standard output")
	flags.IntVar(&o.people, "people", 100, "how many people sign in at once")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	for name := range strings.SplitSeq(o.only, ",") {
		if !slices.Contains(names, name) {
			return o, fmt.Errorf("there is no benchmark %q; there are %s", name, strings.Join(names, ", "))
		}
	}
	if o.runs < 1 || o.people < 1 {
		return o, errors.New("-runs and -people must be at least 1")
	}
	return o, nil
}

func run(ctx context.Context, o options, stdout, stderr io.Writer) error {
	ctrl.SetLogger(zap.New(zap.WriteTo(io.Discard)))
	klog.SetOutput(io.Discard)
	report := newReport(ctx)
	for _, b := range benchmarks {
		if !slices.Contains(strings.Split(o.only, ","), b.name) {
			continue
		}
		for n := range o.runs {
			fmt.Fprintf(stderr, "%s, run %d of %d: %s\n", b.name, n+1, o.runs, b.does)
			figures, err := once(ctx, o, b)
			if err != nil {
				return fmt.Errorf("%s: %w", b.name, err)
			}
			report.add(b.name, figures)
		}
	}
	report.table(stderr)
	return report.write(o.json, stdout)
}

// once makes one run on a cluster of its own.
func once(ctx context.Context, o options, b benchmark) (figures []figure, err error) {
	bench, err := newBench(ctx, o)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, bench.close()) }()
	return b.run(ctx, bench)
}

// write writes the report as JSON.
func (r *report) write(path string, stdout io.Writer) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the figures: %w", err)
	}
	text = append(text, '\n')
	if path == "" {
		_, err = stdout.Write(text)
		return err
	}
	return os.WriteFile(path, text, 0o600)
}
