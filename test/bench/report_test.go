package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestPercentile(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(100-i) * time.Second
	}
	for name, test := range map[string]struct {
		durations []time.Duration
		share     float64
		want      float64
	}{
		"none":          {nil, 0.99, 0},
		"one":           {[]time.Duration{time.Second}, 0.5, 1},
		"median of two": {[]time.Duration{2 * time.Second, time.Second}, 0.5, 2},
		"p50":           {hundred, 0.5, 51},
		"p99":           {hundred, 0.99, 100},
		"largest":       {hundred, 1, 100},
	} {
		t.Run(name, func(t *testing.T) {
			if got := percentile(test.durations, test.share); got != test.want {
				t.Errorf("percentile is %v, want %v", got, test.want)
			}
		})
	}
}

func TestReportComparesTheMedianWithTheGoal(t *testing.T) {
	r := &report{}
	for _, value := range []float64{3, 1, 2} {
		r.add([]figure{
			figure{benchmark: scrape, name: "time", value: value, unit: "s"}.atMost(2),
			figure{benchmark: create, name: "time", value: value, unit: "s"}.atMost(1),
			{benchmark: create, name: "other", value: value, unit: "s"},
		})
	}
	r.add([]figure{figure{benchmark: create, name: "nothing", value: 0, unit: "calls"}.atMost(0)})

	var table bytes.Buffer
	r.table(&table)
	rows := strings.Split(strings.TrimSpace(table.String()), "\n")
	for i, want := range []string{
		"create     time     2 s      2       ≤ 1 s      missed  3",
		"create     other    2 s      2                          3",
		"create     nothing  0 calls  0       ≤ 0 calls  met     1",
		"scrape     time     2 s      2       ≤ 2 s      met     3",
	} {
		if got := strings.TrimSpace(rows[len(rows)-4+i]); got != want {
			t.Errorf("row %d is\n%s\nwant\n%s", i, got, want)
		}
	}
	text, err := json.Marshal(r.Figures)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"goal":0,"met":true`, `"goal":1,"met":false`, `"name":"other","unit":"s","runs"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the JSON lacks %s: %s", want, text)
		}
	}
}

func TestParse(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		says string
	}{
		"nothing":               {},
		"some":                  {args: []string{"-only", "create,spread", "-accounts", "300"}},
		"an unknown benchmark":  {args: []string{"-only", "create,speed"}, says: `no benchmark "speed"`},
		"no runs":               {args: []string{"-runs", "0"}, says: "at least 1"},
		"tokens that end early": {args: []string{"-short", "20s"}, says: "at least 30s"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parse(test.args, new(bytes.Buffer))
			if test.says == "" && err != nil || test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)) {
				t.Errorf("the error is %v, want one that says %q", err, test.says)
			}
		})
	}
}

func TestEveryBenchmarkHasAScenario(t *testing.T) {
	measured := map[string]bool{}
	for _, s := range scenarios {
		for _, name := range s.measures {
			measured[name] = true
		}
	}
	for _, name := range benchmarks {
		if !measured[name] {
			t.Errorf("no scenario measures %s", name)
		}
	}
	if len(measured) != len(benchmarks) {
		t.Errorf("the scenarios measure %v, want %v", measured, benchmarks)
	}
}
