package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// figure is one thing that a run measured.
type figure struct {
	benchmark string
	name      string
	value     float64
	unit      string
	// goal is what it should be at most; nil where there is no goal.
	goal *float64
}

// atMost gives the figure a goal.
func (f figure) atMost(goal float64) figure {
	f.goal = &goal
	return f
}

// report holds the figures of all runs.
type report struct {
	Machine machine   `json:"machine"`
	Figures []*series `json:"figures"`
}

// series is one figure in all runs.
type series struct {
	Benchmark string `json:"benchmark"`
	Name      string `json:"name"`
	Unit      string `json:"unit"`
	// Goal is what it should be at most, and Met tells whether the median is; both are absent where there is no goal.
	Goal   *float64  `json:"goal,omitempty"`
	Met    *bool     `json:"met,omitempty"`
	Runs   []float64 `json:"runs"`
	Median float64   `json:"median"`
	// Spread is the distance between the smallest and the largest run.
	Spread float64 `json:"spread"`
}

// machine is what the figures depend on.
type machine struct {
	Processor  string `json:"processor"`
	Processors int    `json:"processors"`
	MemoryMiB  int    `json:"memoryMiB"`
	// Load is how many processes wanted to run in the minute before: figures taken on a busy machine compare badly.
	Load          float64   `json:"load"`
	System        string    `json:"system"`
	Go            string    `json:"go"`
	KubeAPIServer string    `json:"kubeApiserver"`
	Etcd          string    `json:"etcd"`
	Revision      string    `json:"revision"`
	Time          time.Time `json:"time"`
}

func newReport(ctx context.Context) *report {
	said := func(name string, args ...string) string {
		output, err := exec.CommandContext(ctx, name, args...).Output() //nolint:gosec // our own assets, and git
		if err != nil {
			return "unknown"
		}
		first, _, _ := strings.Cut(strings.TrimSpace(string(output)), "\n")
		return first
	}
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	return &report{Machine: machine{
		Processor:     fromFile("/proc/cpuinfo", "model name"),
		Processors:    runtime.NumCPU(),
		MemoryMiB:     memoryOfMachine(),
		Load:          loadOfMachine(),
		System:        runtime.GOOS + "/" + runtime.GOARCH,
		Go:            runtime.Version(),
		KubeAPIServer: said(assets+"/kube-apiserver", "--version"),
		Etcd:          said(assets+"/etcd", "--version"),
		Revision:      said("git", "describe", "--always", "--dirty"),
		Time:          time.Now().UTC().Truncate(time.Second),
	}}
}

// fromFile reads "key : value" from a file of /proc.
func fromFile(path, key string) string {
	file, err := os.Open(path) //nolint:gosec // one of /proc
	if err != nil {
		return "unknown"
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if name, value, ok := strings.Cut(lines.Text(), ":"); ok && strings.TrimSpace(name) == key {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

func memoryOfMachine() int {
	var kib int
	if _, err := fmt.Sscanf(fromFile("/proc/meminfo", "MemTotal"), "%d kB", &kib); err != nil {
		return 0
	}
	return kib / 1024
}

func loadOfMachine() float64 {
	var load float64
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	_, _ = fmt.Sscan(string(text), &load) // zero when it cannot be read
	return load
}

// add takes the figures of one run.
func (r *report) add(figures []figure) {
	for _, f := range figures {
		at := slices.IndexFunc(r.Figures, func(s *series) bool { return s.Benchmark == f.benchmark && s.Name == f.name })
		if at < 0 {
			at = len(r.Figures)
			r.Figures = append(r.Figures, &series{Benchmark: f.benchmark, Name: f.name, Unit: f.unit, Goal: f.goal})
		}
		s := r.Figures[at]
		s.Runs = append(s.Runs, f.value)
		sorted := slices.Sorted(slices.Values(s.Runs))
		s.Median = sorted[len(sorted)/2]
		s.Spread = sorted[len(sorted)-1] - sorted[0]
		if s.Goal != nil {
			s.Met = new(s.Median <= *s.Goal)
		}
	}
	// Two scenarios may serve one benchmark.
	slices.SortStableFunc(r.Figures, func(a, b *series) int {
		return cmp.Compare(slices.Index(benchmarks, a.Benchmark), slices.Index(benchmarks, b.Benchmark))
	})
}

// table writes the figures for people.
func (r *report) table(w io.Writer) {
	fmt.Fprintf(w, "\n%s, %d processors, %d MiB, load %.1f before, %s, %s, %s, %s, revision %s\n\n", r.Machine.Processor, r.Machine.Processors, r.Machine.MemoryMiB, r.Machine.Load,
		r.Machine.System, r.Machine.Go, r.Machine.KubeAPIServer, r.Machine.Etcd, r.Machine.Revision)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "BENCHMARK\tFIGURE\tMEDIAN\tSPREAD\tGOAL\tRESULT\tRUNS")
	for _, s := range r.Figures {
		goal, result := "", ""
		if s.Goal != nil {
			goal, result = fmt.Sprintf("≤ %.4g %s", *s.Goal, s.Unit), "missed"
			if *s.Met {
				result = "met"
			}
		}
		fmt.Fprintf(table, "%s\t%s\t%.4g %s\t%.3g\t%s\t%s\t%d\n", s.Benchmark, s.Name, s.Median, s.Unit, s.Spread, goal, result, len(s.Runs))
	}
	_ = table.Flush() // to a terminal: there is nothing left to do
}

// percentile returns the smallest of the durations below which a share of them lies, in seconds; zero when there are none.
func percentile(durations []time.Duration, share float64) float64 {
	if len(durations) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(durations))
	at := int(share * float64(len(sorted)))
	return sorted[min(at, len(sorted)-1)].Seconds()
}
