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

// record counts a request whose answer is about to leave, or which gets none. It does so once.
func (j *judge) record(m *Market, x *exchange) {
	if x.outcome == "" {
		x.outcome = Faulted
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if x.recorded != nil {
		return
	}
	x.recorded = &Request{}
	j.tally.Requests[x.endpoint]++
	if x.endpoint != TokenEndpoint {
		return
	}
	j.tally.count(countedGrant(x.grant()), x.outcome)
	switch x.judgement {
	case spentTwice:
		j.tally.DoubleSpends++
	case reusedInGrace:
		j.tally.GraceReuses++
	}
	if j.log.wanted() {
		*x.recorded = x.describe(m.platform.Name)
		j.log.add(x.recorded)
	}
}

// note counts something that is no request, or more than one. The market's lock may be held.
func (j *judge) note(count func(*Tally)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	count(&j.tally)
}

// close ends a request. If a new refresh token is in force of which the client cannot know, that is a lost pair when it
// was meant to be lost, and an abandoned one when the client went away.
func (j *judge) close(x *exchange, w *watchedWriter) {
	w.start()
	gone := x.gone || w.err != nil
	if !x.pair || (w.size >= x.size && !gone) {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	x.recorded.Lost = true
	if x.dropped || (x.injected != nil && !gone) {
		j.tally.LostPairs++
		return
	}
	j.tally.AbandonedPairs++
}

// countedGrant keeps the report small whatever clients ask for.
func countedGrant(grant string) string {
	if _, known := grantHandlers()[grant]; known {
		return grant
	}
	return "other"
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
