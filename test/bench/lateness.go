package main

import (
	"time"
)

// punctuality is how a span of renewals went.
type punctuality struct {
	late    []time.Duration
	expired int
	// told is how long after their tokens the statuses told of them, and untold how many tokens were renewed of which none had told, so that
	// nobody knows how late.
	told   []time.Duration
	untold int
}

// punctuality looks at the renewals that were planned for a span of time. One that is not done yet is as late as it is now.
func (w *watcher) punctuality(prefix string, from, to time.Time) punctuality {
	var p punctuality
	p.late, p.expired = w.overdue(prefix, from, to, time.Now())
	for _, r := range w.between(prefix, from, to) {
		p.late = append(p.late, r.lateness())
		if r.expired {
			p.expired++
		}
	}
	p.told, p.untold = w.toldSince(prefix, from, time.Now())
	return p
}

// figures are the figures of benchmark renew, under a name for the tokens.
func (p punctuality) figures(tokens string, cpu time.Duration) []figure {
	return []figure{
		{benchmark: renew, name: tokens + ": renewals", value: float64(len(p.late)), unit: "renewals"},
		{benchmark: renew, name: tokens + ": lateness, p50", value: percentile(p.late, 0.5), unit: "s"},
		figure{benchmark: renew, name: tokens + ": lateness, p99", value: percentile(p.late, 0.99), unit: "s"}.atMost(0.5),
		{benchmark: renew, name: tokens + ": lateness, largest", value: percentile(p.late, 1), unit: "s"},
		figure{benchmark: renew, name: tokens + ": expired in their Secrets", value: float64(p.expired), unit: "tokens"}.atMost(0),
		{benchmark: renew, name: tokens + ": from the token to its status, p99", value: percentile(p.told, 0.99), unit: "s"},
		{benchmark: renew, name: tokens + ": from the token to its status, largest", value: percentile(p.told, 1), unit: "s"},
		figure{benchmark: renew, name: tokens + ": untold by a status", value: float64(p.untold), unit: "tokens"}.atMost(0),
		{benchmark: renew, name: tokens + ": processor time for 1,000 renewals", value: cpu.Seconds() / float64(max(1, len(p.late))) * 1000, unit: "s"},
	}
}
