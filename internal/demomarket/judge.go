package demomarket

import (
	"sync"
	"sync/atomic"
)

// judge counts what a market saw. Its own lock is held for a few additions at a time, so that counting costs a
// benchmark nothing that it would notice.
type judge struct {
	load gauge

	mu    sync.Mutex
	tally Tally // without what is computed when a report is made
	log   requestLog
}

// newJudge returns a judge that remembers this many requests.
func newJudge(requests int) *judge {
	return &judge{tally: newTally(), log: newRequestLog(requests)}
}

// note counts something that is no request, or more than one. The market's lock may be held.
func (j *judge) note(count func(*Tally)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	count(&j.tally)
}

// gauge counts how many are inside at once. It is safe for concurrent use.
type gauge struct {
	inside, peak atomic.Int64
}

// enter counts one in and returns what counts him out.
func (g *gauge) enter() (leave func()) {
	inside := g.inside.Add(1)
	for {
		peak := g.peak.Load()
		if inside <= peak || g.peak.CompareAndSwap(peak, inside) {
			break
		}
	}
	return func() { g.inside.Add(-1) }
}

// reset makes the present the peak.
func (g *gauge) reset() { g.peak.Store(g.inside.Load()) }
