package judge

import (
	"sync"
	"sync/atomic"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
)

// Judge counts the requests of a market, its codes and its faults. Its own lock is held for a few additions at a time, so that counting costs a
// benchmark nothing that it would notice.
type Judge struct {
	// Load is how many token requests are there at once.
	Load Gauge

	mu    sync.Mutex // guards tally, log and the requests in it
	tally Tally      // without the peaks and the live consents, which a report adds
	log   requestLog
}

// New returns a judge that remembers this many requests: 1000 when it is zero, none when it is less.
func New(requests int) *Judge {
	return &Judge{tally: NewTally(), log: newRequestLog(requests)}
}

// Note changes the counts. The market's lock may be held.
func (j *Judge) Note(count func(*Tally)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	count(&j.tally)
}

// Gauge counts how many are inside at once. It is safe for concurrent use.
type Gauge struct {
	inside, peak atomic.Int64
}

// Enter counts one in, and returns the function that counts it out.
func (g *Gauge) Enter() (leave func()) {
	inside := g.inside.Add(1)
	for {
		peak := g.peak.Load()
		if inside <= peak || g.peak.CompareAndSwap(peak, inside) {
			break
		}
	}
	return func() { g.inside.Add(-1) }
}

// Reset makes the present the peak.
func (g *Gauge) Reset() { g.peak.Store(g.inside.Load()) }

// Peak is the largest number that were inside at once since Reset.
func (g *Gauge) Peak() int { return int(g.peak.Load()) }

// Seen holds the parts of a request by which it is counted.
type Seen struct {
	Endpoint platforms.Endpoint
	// Grant and Outcome are those of a token request.
	Grant   string
	Outcome platforms.Outcome
	// DoubleSpend and GraceReuse tell that it presented a spent refresh token, after its grace or within.
	DoubleSpend, GraceReuse bool
}

// Record counts a request, and remembers a token request as describe returns it. The result stands for it in Lose.
func (j *Judge) Record(seen Seen, describe func() Request) *Request {
	j.mu.Lock()
	defer j.mu.Unlock()
	recorded := &Request{}
	j.tally.Requests[seen.Endpoint]++
	if seen.Endpoint != platforms.TokenEndpoint {
		return recorded
	}
	j.tally.count(seen.Grant, seen.Outcome)
	switch {
	case seen.DoubleSpend:
		j.tally.DoubleSpends++
	case seen.GraceReuse:
		j.tally.GraceReuses++
	}
	if j.log.wanted() {
		*recorded = describe()
		j.log.add(recorded)
	}
	return recorded
}

// Lose counts a recorded request whose answer held a new refresh token and did not arrive: as a lost pair, or as an abandoned one where the
// client went away.
func (j *Judge) Lose(recorded *Request, abandoned bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	recorded.Lost = true
	if abandoned {
		j.tally.AbandonedPairs++
		return
	}
	j.tally.LostPairs++
}

// Tally returns the counts, with the peak of Load.
func (j *Judge) Tally() Tally {
	j.mu.Lock()
	defer j.mu.Unlock()
	tally := j.tally.clone()
	tally.PeakConcurrency = j.Load.Peak()
	return tally
}

// Reset begins all counts anew. Remembered requests stay.
func (j *Judge) Reset() {
	j.Load.Reset()
	j.mu.Lock()
	defer j.mu.Unlock()
	j.tally = NewTally()
}

// Requests returns the requests that are remembered, oldest first.
func (j *Judge) Requests() []Request {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.log.all()
}
