package promtool

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// Series is a time series with a sample for each minute.
type Series struct {
	Name   string
	Labels map[string]string
	// Samples has the value at each minute; NaN where there is none.
	Samples []float64
}

// None is a minute at which a series does not exist.
func None() float64 { return math.NaN() }

// Check names all alerts that fire at a minute.
type Check struct {
	Minute int
	// Severity is the only one that is looked at; empty for all.
	Severity string
	// Firing are the labels of each, such as {alertname="A", severity="critical"}.
	Firing []map[string]string
}

// Story is series, and the alerts that follow from them.
type Story struct {
	Name   string
	Series []Series
	Checks []Check
}

// Scraped returns the series of a story as Prometheus stores them. What the operator says of accounts has a label namespace; without
// honorLabels Prometheus keeps that for the target's namespace, and calls the operator's exported_namespace.
func Scraped(story Story, honorLabels bool) Story {
	target := map[string]string{"job": "tokenkeeper-metrics", "instance": "10.0.0.1:8080", "pod": "tokenkeeper-0", "namespace": "tokenkeeper-system"}
	stored := Story{Name: fmt.Sprintf("%s (honorLabels: %t)", story.Name, honorLabels), Checks: story.Checks}
	for _, series := range story.Series {
		labels := maps.Clone(series.Labels)
		if labels == nil {
			labels = map[string]string{}
		}
		if own, clash := labels["namespace"]; clash && !honorLabels {
			labels["exported_namespace"] = own
			delete(labels, "namespace")
		}
		for name, value := range target {
			if _, there := labels[name]; !there {
				labels[name] = value
			}
		}
		stored.Series = append(stored.Series, Series{Name: series.Name, Labels: labels, Samples: series.Samples})
	}
	return stored
}

// Play holds stories against a file of rules, each as it is scraped with and without honorLabels.
func Play(t *testing.T, rules string, stories ...Story) {
	t.Helper()
	rules, err := filepath.Abs(rules)
	if err != nil {
		t.Fatal(err)
	}
	file := testFile{RuleFiles: []string{rules}, EvaluationInterval: "1m"}
	for _, story := range stories {
		for _, honorLabels := range []bool{true, false} {
			file.Tests = append(file.Tests, Scraped(story, honorLabels).test())
		}
	}
	text, err := yaml.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	play(t, string(text))
}

// PlayTogether plays stories that were told by different operators of different accounts and marketplaces, and are judged at the same minutes,
// as one: rules take as long for one series as for many. Where they fail, each is played alone, in a test of its name.
func PlayTogether(t *testing.T, rules string, stories ...Story) {
	t.Helper()
	for _, together := range judgedTogether(stories) {
		if t.Run("alerts", func(t *testing.T) { Play(t, rules, merged(together)) }) {
			continue
		}
		for _, story := range together {
			t.Run(story.Name, func(t *testing.T) { Play(t, rules, story) })
		}
	}
}

// judgedTogether divides stories into groups with checks that are at the same minutes and look at the same severities.
func judgedTogether(stories []Story) [][]Story {
	var parts [][]Story
	for _, story := range stories {
		at := slices.IndexFunc(parts, func(part []Story) bool {
			return slices.EqualFunc(part[0].Checks, story.Checks, func(a, b Check) bool { return a.Minute == b.Minute && a.Severity == b.Severity })
		})
		if at < 0 {
			parts, at = append(parts, nil), len(parts)
		}
		parts[at] = append(parts[at], story)
	}
	return parts
}

// merged is all stories in one, as a single Prometheus sees them: each operator is an instance of its own.
func merged(stories []Story) Story {
	whole := Story{Name: fmt.Sprintf("%d stories", len(stories))}
	for i, story := range stories {
		for _, series := range story.Series {
			labels := map[string]string{"instance": fmt.Sprintf("10.0.1.%d:8080", i)}
			maps.Copy(labels, series.Labels)
			whole.Series = append(whole.Series, Series{Name: series.Name, Labels: labels, Samples: series.Samples})
		}
		for j, check := range story.Checks {
			if i == 0 {
				whole.Checks = append(whole.Checks, Check{Minute: check.Minute, Severity: check.Severity})
			}
			whole.Checks[j].Firing = append(whole.Checks[j].Firing, check.Firing...)
		}
	}
	return whole
}

// The format of promtool.
type (
	testFile struct {
		RuleFiles          []string `json:"rule_files"`
		EvaluationInterval string   `json:"evaluation_interval"`
		Tests              []test   `json:"tests"`
	}
	test struct {
		Name        string       `json:"name"`
		Interval    string       `json:"interval"`
		InputSeries []input      `json:"input_series"`
		ExprTests   []expression `json:"promql_expr_test"`
	}
	input struct {
		Series string `json:"series"`
		Values string `json:"values"`
	}
	expression struct {
		Expr     string   `json:"expr"`
		EvalTime string   `json:"eval_time"`
		Samples  []sample `json:"exp_samples"`
	}
	sample struct {
		Labels string  `json:"labels"`
		Value  float64 `json:"value"`
	}
)

func (s Story) test() test {
	made := test{Name: s.Name, Interval: "1m"}
	for _, series := range s.Series {
		made.InputSeries = append(made.InputSeries, input{Series: series.Name + selector(series.Labels), Values: values(series.Samples)})
	}
	for _, check := range s.Checks {
		expected := expression{Expr: `ALERTS{alertstate="firing",severity=~"` + cmp.Or(check.Severity, ".*") + `"}`, EvalTime: fmt.Sprintf("%dm", check.Minute)}
		for _, labels := range check.Firing {
			labels = maps.Clone(labels)
			labels["alertstate"] = "firing"
			expected.Samples = append(expected.Samples, sample{Labels: "ALERTS" + selector(labels), Value: 1})
		}
		made.ExprTests = append(made.ExprTests, expected)
	}
	return made
}

// selector writes labels in alphabetical order.
func selector(labels map[string]string) string {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		pairs = append(pairs, name+"="+strconv.Quote(labels[name]))
	}
	return "{" + strings.Join(pairs, ",") + "}"
}

// values writes samples. A series that ends is marked as stale, as Prometheus does when a scrape lacks it.
func values(samples []float64) string {
	words := make([]string, 0, len(samples))
	there := false
	for _, value := range samples {
		switch {
		case !math.IsNaN(value):
			words, there = append(words, strconv.FormatFloat(value, 'f', -1, 64)), true
		case there:
			words, there = append(words, "stale"), false
		default:
			words = append(words, "_")
		}
	}
	return strings.Join(words, " ")
}
