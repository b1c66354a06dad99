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
	"time"

	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// The benchmarks, in the order of the table.
const (
	signin  = "signin"
	create  = "create"
	calls   = "calls"
	renew   = "renew"
	memory  = "memory"
	restart = "restart"
	arrive  = "arrive"
	hang    = "hang"
	dead    = "dead"
	spread  = "spread"
	scrape  = "scrape"
)

var benchmarks = []string{signin, create, calls, renew, memory, restart, arrive, hang, dead, spread, scrape}

// scenario is what happens on a cluster, or on several, and the benchmarks that it has figures for.
type scenario struct {
	name, does string
	measures   []string
	play       func(context.Context, *run) ([]figure, error)
}

// scenarios are all that there are, in the order in which they run. What is left of one may be needed by the next.
var scenarios = []scenario{
	{"signin", "people come back from the marketplace all at once", []string{signin}, playSignIns},
	{"turns", "new accounts, served in turns by a bare program and by the operator", []string{create}, playTurns},
	{"floor", "many accounts, created and renewed by a bare program", []string{renew}, playFloor},
	{"fleet", "many accounts are created, and renewed for some rounds", []string{memory, scrape, restart, renew, arrive, spread}, playFleet},
	{"few", "tokens of seconds, a host that hangs, and dead grants", []string{renew, hang, calls, dead}, playFew},
	{"foreign", "Secrets that are none of the operator's business", []string{memory}, playForeign},
}

// run is one of the repetitions, and what its scenarios know of each other.
type run struct {
	options
	progress io.Writer
	// floor is the processor time that the bare program took for a renewal, by the number of accounts; zero while it is not known.
	floor map[int]time.Duration
	// full is the operator's memory in MiB with all accounts; zero while it is not known.
	full float64
}

// say tells people how far it is.
func (r *run) say(format string, args ...any) { fmt.Fprintf(r.progress, "  "+format+"\n", args...) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := start(ctx, os.Args[1:])
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func start(ctx context.Context, args []string) error {
	if len(args) == 1 && args[0] == floorArgument {
		return serveFloor(ctx, os.Stdin, os.Stdout)
	}
	o, err := parse(args, os.Stderr)
	if err != nil {
		return err
	}
	return measure(ctx, o, os.Stdout, os.Stderr)
}

// measure plays every scenario that is needed, as often as asked, and reports.
func measure(ctx context.Context, o options, stdout, stderr io.Writer) error {
	ctrl.SetLogger(zap.New(zap.WriteTo(io.Discard)))
	klog.SetOutput(io.Discard)
	report := newReport(ctx)
	var failed []error
	for n := range o.runs {
		r := &run{options: o, progress: stderr, floor: map[int]time.Duration{}}
		for _, s := range scenarios {
			if ctx.Err() != nil || !slices.ContainsFunc(s.measures, r.wants) {
				continue
			}
			fmt.Fprintf(stderr, "run %d of %d, %s: %s\n", n+1, o.runs, s.name, s.does)
			pulse := startPulse(ctx)
			figures, err := s.play(ctx, r)
			slow := pulse.end()
			if err != nil { // what else there is to measure may take an hour, and is worth having
				r.say("failed: %v", err)
				failed = append(failed, fmt.Errorf("%s: %w", s.name, err))
			}
			report.add(slices.DeleteFunc(figures, func(f figure) bool { return !r.wants(f.benchmark) }))
			report.add([]figure{{benchmark: "machine", name: s.name + ": its slowest ten seconds by the median", value: slow, unit: "×"}})
		}
	}
	report.table(stderr)
	return errors.Join(append(failed, report.write(o.json, stdout))...)
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

// wants tells whether a benchmark was asked for.
func (o options) wants(benchmark string) bool {
	return slices.Contains(strings.Split(o.only, ","), benchmark)
}
