package throttle

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// Key names a limiter.
type Key struct {
	// Host is where tokens are asked for: a host, with its port where it has one.
	Host string
	// ClientID is the application that asks, and Credential a digest of what it proves itself with, under a key that no other process
	// knows; empty for one that proves nothing. A namesake with another secret is another client.
	ClientID, Credential string
}

// Outcome is what became of a request.
type Outcome struct {
	// Unavailable tells that it failed to get an answer, which counts for the circuit breaker.
	Unavailable bool
	// Refused tells that the client was refused. Until it is accepted again it goes after the other clients of the host.
	Refused bool
	// RetryAfter is how long the platform wants to be left alone; zero when it does not.
	RetryAfter time.Duration
}

// Host is what is known of all limiters of one host.
type Host struct {
	Name string
	// Waiting and Underway count requests, Open the clients whose circuit is open.
	Waiting, Underway, Open int
}

// Limiters are all limiters. W names a waiter, which is at one limiter at a time. They may be used by many goroutines at once.
type Limiters[W comparable] struct {
	now     func() time.Time
	tenant  func(W) string
	perHost int
	// failures in a row open a circuit, and circuitPause is how long it stays so before one request tries again.
	failures     uint32
	circuitPause time.Duration

	mu       sync.Mutex
	onTurn   func(waiter W, after time.Duration)
	limiters map[Key]*limiter[W]
	hosts    map[string]*host[W]
	// at is where a waiter waits or was called, and since when.
	at map[W]presence[W]
	// seen is the time of the last look at the clock, sweepAt the number of limiters at which to look for unused ones.
	seen    time.Time
	sweepAt int
}

// presence is a waiter's at a limiter.
type presence[W comparable] struct {
	limiter *limiter[W]
	since   time.Time
}

// New makes limiters that let no more than perHost requests to one host be under way at once. At each limiter, tenants take turns.
func New[W comparable](now func() time.Time, perHost int, tenant func(W) string) *Limiters[W] {
	return newLimiters(now, perHost, failuresInARow, circuitPause, tenant)
}

func newLimiters[W comparable](now func() time.Time, perHost int, failures uint32, pause time.Duration, tenant func(W) string) *Limiters[W] {
	return &Limiters[W]{
		now: now, tenant: tenant, perHost: max(perHost, 1), failures: failures, circuitPause: pause, onTurn: func(W, time.Duration) {},
		limiters: map[Key]*limiter[W]{}, hosts: map[string]*host[W]{}, at: map[W]presence[W]{}, sweepAt: 64,
	}
}

// OnTurn sets how a waiter is called whose turn has come, or comes after a while. It must not block.
func (s *Limiters[W]) OnTurn(call func(waiter W, after time.Duration)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.onTurn = call
}

// TryAcquire gives a waiter the right to make a request, or tells that it has to wait. The permit must be given back by Release or
// ReleaseUnused.
func (s *Limiters[W]) TryAcquire(key Key, limits Limits, waiter W, priority Priority) (*Permit[W], Wait) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.time()
	at := s.limiter(key, limits)
	if s.at[waiter].limiter != at {
		s.forget(waiter, now)
		s.at[waiter] = presence[W]{at, now}
	}
	done, why, counted, ok := at.tryAcquire(waiter, priority, now)
	if !ok {
		return nil, at.wait(waiter, s.at[waiter].since, now)
	}
	delete(s.at, waiter)
	at.advance(now)
	return &Permit[W]{limiters: s, limiter: at, done: done, why: why, counted: counted}, Wait{}
}

// Permit is the right to make one request.
type Permit[W comparable] struct {
	limiters *Limiters[W]
	limiter  *limiter[W]
	done     func(error)
	why      interruption
	counted  bool
	once     sync.Once
}

// Release gives the permit back after a request. Of all calls of Release and ReleaseUnused only the first counts.
func (p *Permit[W]) Release(outcome Outcome) {
	p.release(func(now time.Time) {
		var err error
		if outcome.Unavailable {
			err = errUnavailable
		}
		p.done(err)
		p.limiter.release(outcome, now)
	})
}

// ReleaseUnused gives the permit back without a request, and its place in the rate: else a waiter that cannot make its request would have itself
// called again and again by the limiter, however long it means to wait. After Release it does nothing.
func (p *Permit[W]) ReleaseUnused() {
	p.release(func(now time.Time) {
		p.done(errUnused)
		p.limiter.interrupted[p.why] = time.Time{}
		if p.counted {
			p.limiter.uncount(now)
		}
		if !p.limiter.breaker.isOpen() {
			p.limiter.reopen(now)
		}
	})
}

// release gives the permit back once, as end has it.
func (p *Permit[W]) release(end func(now time.Time)) {
	p.once.Do(func() {
		p.limiters.mu.Lock()
		defer p.limiters.mu.Unlock()
		now := p.limiters.time()
		wasFull := p.limiter.host.isFull()
		p.limiter.leave()
		end(now)
		p.limiter.advanceHost(wasFull, now)
	})
}

// Count counts a request that cannot wait, such as the exchange of a code, against the rate.
func (s *Limiters[W]) Count(key Key, limits Limits) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.time()
	s.limiter(key, limits).count(now)
}

// Forget drops a waiter that does not wait any more.
func (s *Limiters[W]) Forget(waiter W) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(waiter, s.time())
}

func (s *Limiters[W]) forget(waiter W, now time.Time) {
	at := s.at[waiter].limiter
	if at == nil {
		return
	}
	delete(s.at, waiter)
	at.waiting.remove(waiter)
	wasFull := at.host.isFull()
	if at.withdrawTurn(waiter) {
		at.advanceHost(wasFull, now)
	}
}

// Hosts tells about all hosts, sorted by name.
func (s *Limiters[W]) Hosts() []Host {
	s.mu.Lock()
	defer s.mu.Unlock()
	hosts := make([]Host, 0, len(s.hosts))
	for _, h := range s.hosts {
		host := Host{Name: h.name, Underway: h.underway}
		for _, at := range h.limiters {
			host.Waiting += at.waiting.len() + len(at.turns)
			if at.breaker.isOpen() {
				host.Open++
			}
		}
		hosts = append(hosts, host)
	}
	slices.SortFunc(hosts, func(a, b Host) int { return cmp.Compare(a.Name, b.Name) })
	return hosts
}

// time is the time. When the clock was set back, everything that was planned moves with it.
func (s *Limiters[W]) time() time.Time {
	now := s.now()
	if now.Before(s.seen) {
		back := s.seen.Sub(now)
		for waiter, here := range s.at {
			here.since = here.since.Add(-back)
			s.at[waiter] = here
		}
		for _, at := range s.limiters {
			at.setBack(back)
		}
	}
	s.seen = now
	return now
}

// limiter finds or makes the limiter of a key, and keeps its limits up to date.
func (s *Limiters[W]) limiter(key Key, limits Limits) *limiter[W] {
	limits = Limits{PerSecond: max(limits.PerSecond, 1), Concurrency: max(limits.Concurrency, 1)}
	at := s.limiters[key]
	if at == nil {
		if len(s.limiters) >= s.sweepAt {
			s.sweep()
			s.sweepAt = max(64, 2*len(s.limiters))
		}
		h := s.hosts[key.Host]
		if h == nil {
			h = &host[W]{name: key.Host, most: s.perHost}
			s.hosts[key.Host] = h
		}
		at = &limiter[W]{
			host: h, onTurn: s.call, circuitPause: s.circuitPause, breaker: newBreaker(s.failures), turns: map[W]turn{}, waiting: newQueue(s.tenant),
		}
		h.limiters = append(h.limiters, at)
		s.limiters[key] = at
	}
	at.used = s.seen
	if at.limits != limits {
		at.setLimits(limits, s.seen)
	}
	return at
}

func (s *Limiters[W]) call(waiter W, after time.Duration) { s.onTurn(waiter, after) }

// sweep drops the limiters that are as good as new.
func (s *Limiters[W]) sweep() {
	for key, at := range s.limiters {
		if !at.isAsNew(s.seen) {
			continue
		}
		delete(s.limiters, key)
		at.host.limiters = slices.DeleteFunc(at.host.limiters, func(other *limiter[W]) bool { return other == at })
		if len(at.host.limiters) == 0 {
			delete(s.hosts, key.Host)
		}
	}
}
