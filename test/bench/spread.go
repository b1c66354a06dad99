package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
)

// spreadOut tells how even the renewals of each round are: that of the fullest interval by the mean of all from the round's
// first renewal to its last. An interval is a tenth of the time over which the operator spreads tokens issued together.
//
// Tokens of minutes are spread over little more time than the fleet takes to be created, so that what is seen in the first
// rounds is mostly that. What tokens of twelve hours come to is reckoned from the same accounts, by the operator's own rule.
func (f *fleet) spreadOut() []figure {
	rounds := make([][]time.Time, f.rounds)
	var all []time.Time
	for _, r := range f.w.between(namespace+"/", f.began, time.Now()) {
		if r.round <= f.rounds {
			rounds[r.round-1] = append(rounds[r.round-1], r.at)
			all = append(all, r.at)
		}
	}
	width := interval(f.lifetime)
	var figures []figure
	for i, moments := range rounds {
		figures = append(figures, figure{
			benchmark: spread, name: fmt.Sprintf("round %d, fullest interval by the mean", i+1), value: fullest(moments, width), unit: "×",
		}.atMost(1.5))
	}
	figures = append(figures, figure{benchmark: spread, name: "all rounds together", value: fullest(all, width), unit: "×"})
	for i, moments := range f.reckoned() {
		figures = append(figures, figure{
			benchmark: spread, name: fmt.Sprintf("tokens of 12 h, reckoned: round %d", i+1), value: fullest(moments, interval(longLifetime)), unit: "×",
		}.atMost(1.5))
	}
	return figures
}

// longLifetime is Allegro's own lifetime.
const longLifetime = 12 * time.Hour

// policy is what Allegro's Marketplace says of renewal.
var policy = renewal.Policy{Before: time.Hour}

// renewedAfter is how old a token of that lifetime is when it is renewed, at the earliest and at the latest.
func renewedAfter(lifetime time.Duration) (first, last time.Duration) {
	var issued time.Time
	expires := issued.Add(lifetime)
	return policy.RenewAt(issued, expires, 1).Sub(issued), policy.RenewAt(issued, expires, 0).Sub(issued)
}

// interval is a tenth of the time over which tokens of that lifetime are spread that were issued together.
func interval(lifetime time.Duration) time.Duration {
	first, last := renewedAfter(lifetime)
	return (last - first) / 10
}

// reckoned is when the fleet would be renewed, round by round, if its tokens lived for longLifetime.
func (f *fleet) reckoned() [][]time.Time {
	rounds := make([][]time.Time, f.rounds)
	f.w.each(namespace+"/", func(_ string, a seen) {
		at := a.ready
		for i := range rounds {
			at = policy.RenewAt(at, at.Add(longLifetime), renewal.Spread(a.uid))
			rounds[i] = append(rounds[i], at)
		}
	})
	return rounds
}

// fullest divides the time from the first to the last moment into intervals of about this width, and returns how many
// moments the fullest has by the mean; zero when there are none.
func fullest(moments []time.Time, width time.Duration) float64 {
	if len(moments) == 0 {
		return 0
	}
	first, last := slices.MinFunc(moments, time.Time.Compare), slices.MaxFunc(moments, time.Time.Compare)
	span := last.Sub(first)
	counts := make([]int, max(1, int(span/width)))
	for _, at := range moments {
		i := int(float64(at.Sub(first)) / float64(max(span, 1)) * float64(len(counts)))
		counts[min(i, len(counts)-1)]++
	}
	return float64(slices.Max(counts)) * float64(len(counts)) / float64(len(moments))
}
