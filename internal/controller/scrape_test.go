package controller_test

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/gomega"
	dto "github.com/prometheus/client_model/go"

	"github.com/tokenkeeper/tokenkeeper/test/promtool"
)

// alertRules are what on-call hears of.
const alertRules = "../../config/monitoring/rules.yaml"

// scrapedStories are told at the same time, and played together when all are told.
type scrapedStories struct {
	mu   sync.Mutex
	told []promtool.Story
}

func (s *scrapedStories) add(story promtool.Story) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = append(s.told, story)
}

// scraper reads the operator's metrics along a story, as Prometheus does. Between two looks nothing changes.
type scraper struct {
	w     *world
	begun time.Time
	looks []look
}

// look is what the metrics said at a minute of the story.
type look struct {
	minute int
	values map[string]promtool.Series // by name and labels; a single sample
}

func (w *world) scraper() *scraper { return &scraper{w: w, begun: w.clock.Now()} }

// minute is that of the story.
func (s *scraper) minute() int { return int(s.w.clock.Since(s.begun) / time.Minute) }

// look reads the metrics when they say of the account what its status says.
func (s *scraper) look() {
	s.w.T.Helper()
	var values map[string]promtool.Series
	s.w.Eventually(func() bool {
		families, err := s.w.registry.Gather()
		s.w.Expect(err).NotTo(HaveOccurred())
		values = s.read(families)
		for _, condition := range s.w.get().Status.Conditions {
			if _, there := values["tokenkeeper_account_reason "+s.w.Namespace+" main "+condition.Type+" "+condition.Reason]; !there {
				return false
			}
		}
		return true
	}).Should(BeTrue(), "the metrics do not say what the status says")
	s.looks = append(s.looks, look{minute: s.minute(), values: values})
}

// read keeps gauges and counters. Moments are counted from the beginning of the story, which is when promtool's time begins.
func (s *scraper) read(families []*dto.MetricFamily) map[string]promtool.Series {
	values := map[string]promtool.Series{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			value := metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
			if metric.GetHistogram() != nil || !strings.HasPrefix(family.GetName(), "tokenkeeper_") {
				continue
			}
			if strings.HasSuffix(family.GetName(), "_timestamp_seconds") {
				value -= float64(s.begun.Unix())
			}
			labels := map[string]string{}
			for _, label := range metric.GetLabel() {
				labels[label.GetName()] = label.GetValue()
			}
			key := family.GetName()
			for _, name := range []string{"namespace", "name", "type", "reason"} {
				if labels[name] != "" {
					key += " " + labels[name]
				}
			}
			for _, name := range slices.Sorted(maps.Keys(labels)) {
				if !slices.Contains([]string{"namespace", "name", "type", "reason", "marketplace"}, name) || family.GetName() == "tokenkeeper_token_requests_total" {
					key += " " + labels[name]
				}
			}
			values[key] = promtool.Series{Name: family.GetName(), Labels: labels, Samples: []float64{value}}
		}
	}
	return values
}

// story is what was scraped, with a sample for each minute until the last look.
func (s *scraper) story(name string, checks ...promtool.Check) promtool.Story {
	last := s.looks[len(s.looks)-1].minute
	all := map[string]promtool.Series{}
	for _, seen := range s.looks {
		for key, series := range seen.values {
			if _, known := all[key]; !known {
				all[key] = promtool.Series{Name: series.Name, Labels: series.Labels, Samples: make([]float64, last+1)}
			}
		}
	}
	all[""] = promtool.Series{Name: "tokenkeeper_build_info", Labels: map[string]string{"version": "v0.1.0"}, Samples: make([]float64, last+1)}
	for minute := range last + 1 {
		current := s.looks[0]
		for _, seen := range s.looks {
			if seen.minute <= minute {
				current = seen
			}
		}
		for key, series := range all {
			series.Samples[minute] = promtool.None()
			if value, there := current.values[key]; there {
				series.Samples[minute] = value.Samples[0]
			}
		}
		all[""].Samples[minute] = 1
	}
	made := promtool.Story{Name: name, Checks: checks}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		made.Series = append(made.Series, all[key])
	}
	return made
}

// firing is the alert of a sentence such as "PersonRequired critical", as it fires in this story for account main or its Marketplace.
func (w *world) firing(sentence string) map[string]string {
	w.T.Helper()
	name, severity, found := strings.Cut(sentence, " ")
	w.Expect(found).To(BeTrue(), "%q is no alert", sentence)
	account := w.get()
	labels := map[string]string{"alertname": "Tokenkeeper" + name, "severity": severity, "marketplace": account.Spec.MarketplaceRef.Name}
	switch name {
	case "ApplicationRejected", "MarketplaceDown", "MarketplaceThrottling", "RenewalOutcomeUnknown":
	case "ApplicationSecretExpiring":
		labels["namespace"] = account.Namespace
	default:
		labels["namespace"], labels["name"] = account.Namespace, account.Name
	}
	return labels
}
