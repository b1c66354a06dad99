package throttle

import (
	"slices"
	"time"

	"golang.org/x/time/rate"
)

// turnKept is how long the place of a waiter is kept that was called.
const turnKept = 10 * time.Second

// failureKept is how long it is remembered that a host failed to answer which nobody asks any more: authors of accounts may choose hosts.
const failureKept = 10 * time.Minute

// Limits bound what a limiter lets through. Both are at least 1.
type Limits struct {
	// PerSecond is how many requests begin in a second, Concurrency how many are under way at once.
	PerSecond, Concurrency int
}

// limiter is the way to one host for one client.
type limiter[W comparable] struct {
	host   *host[W]
	limits Limits
	// onTurn calls a waiter whose turn has come, or comes after a while.
	onTurn func(waiter W, after time.Duration)
	// circuitPause is how long an open circuit lets nothing through before one request tries again.
	circuitPause time.Duration
	// rate spaces all requests, and common those of tenants that have had their share: it has a smaller burst, so that a tenant that
	// comes now and then need not wait for one that always does.
	rate, common *rate.Limiter
	breaker      breaker
	underway     int
	// used is when a waiter came last.
	used time.Time
	// turns are those of the waiters that were called. latest is the waiter whose turn had not begun when it was called last.
	turns   map[W]turn
	latest  W
	waiting queue[W]
	// refused tells that the client was refused when it asked last.
	refused bool
	// closedUntil is when the next request may go through at all, for a cause, and closedAt when that was decided.
	closedAt, closedUntil time.Time
	cause                 Cause
	// waitEnds is the end of a wait that the platform wants, as it was when that began: what is left when it was prolonged is another.
	// interrupted is, for each kind of interruption, the end of the wait in which there was one.
	waitEnds    time.Time
	interrupted [interruptions]time.Time
}

// host is what the limiters of one host share.
type host[W comparable] struct {
	name     string
	limiters []*limiter[W]
	// most is how many requests there may be under way or called for; taken counts both, underway the former.
	most, taken, underway int
	// next is the limiter that goes first when there is room again.
	next int
}

func (h *host[W]) isFull() bool { return h.taken >= h.most }

// turn is that of a waiter that was called. It holds room at the host, unless it begins when a limiter opens again: a client that is kept
// waiting takes nothing from others.
type turn struct {
	begins   time.Time
	priority Priority
	holds    bool
}

// tryAcquire lets a waiter through, which tells the circuit breaker what became of the request by done. counted tells that the request has taken a
// place in the rate.
func (l *limiter[W]) tryAcquire(waiter W, priority Priority, now time.Time) (done func(error), why interruption, counted, ok bool) {
	l.hasten(priority.Patience, now)
	why = l.interruption(waiter, priority, now)
	if why == uninterrupted && !l.hasTurn(waiter, priority, now) {
		return nil, why, false, false
	}
	counted = l.turns[waiter].holds || why != uninterrupted
	l.withdrawTurn(waiter)
	l.waiting.remove(waiter)
	if done, ok = l.breaker.allow(); !ok { // another request finds out whether the host answers
		l.waiting.put(waiter, priority)
		return nil, why, false, false
	}
	l.underway++
	l.host.underway++
	l.host.taken++
	if why != uninterrupted {
		l.interrupted[why] = l.waitEnds
		l.count(now)
	}
	return done, why, counted, true
}

// hasTurn tells whether it is a waiter's turn. Else the waiter is in the queue, or was called for a turn to come.
func (l *limiter[W]) hasTurn(waiter W, priority Priority, now time.Time) bool {
	turn, called := l.turns[waiter]
	if !called || !turn.begins.After(now) && now.Before(l.closedUntil) { // the limiter was closed since it was called
		l.withdrawTurn(waiter)
		l.waiting.put(waiter, priority)
		l.advance(now, waiter)
		turn, called = l.turns[waiter]
	}
	if !called || turn.begins.After(now) {
		return false
	}
	if !turn.holds && l.host.isFull() {
		l.withdrawTurn(waiter)
		l.waiting.put(waiter, priority)
		return false
	}
	return true
}

// release counts a request that has ended.
func (l *limiter[W]) release(outcome Outcome, now time.Time) {
	if !outcome.Unavailable {
		l.refused = outcome.Refused
	}
	if l.breaker.isOpen() {
		if outcome.Unavailable {
			l.close(now, l.pause(), NoAnswer)
		}
	} else {
		l.reopen(now)
	}
	l.close(now, outcome.RetryAfter, LeftAlone)
}

// leave gives back the room of a request that has ended.
func (l *limiter[W]) leave() {
	l.underway--
	l.host.underway--
	l.host.taken--
}

// advance calls the waiters whose turn it is, and one whose turn is next: a tenant that comes meanwhile may go before all others. A waiter that
// is here already is not called for a turn that has begun.
func (l *limiter[W]) advance(now time.Time, here ...W) {
	l.expire(now)
	for l.waiting.len() > 0 && l.free() > 0 {
		begins, belowShare := l.closedUntil, l.waiting.belowShare()
		closed := now.Before(begins)
		switch {
		case !closed && l.host.isFull():
			return
		case closed && len(l.turns) > 0:
			return // one is enough to find the limiter open
		case l.turns[l.latest].begins.After(now) && (closed || !belowShare || l.rate.TokensAt(now) < 1):
			return
		case !closed:
			begins = now.Add(l.reserve(now, belowShare))
		}
		waiter, priority := l.waiting.pop()
		l.turns[waiter] = turn{begins, priority, !closed}
		if begins.After(now) {
			l.latest = waiter
		}
		if !closed {
			l.host.taken++
		}
		if begins.After(now) || !slices.Contains(here, waiter) {
			l.onTurn(waiter, begins.Sub(now))
		}
	}
}

// advanceHost fills the room that was left at a limiter: by its own waiters and, where the host was full, by those of its other limiters.
// Clients that were refused come last, also where they left the room themselves.
func (l *limiter[W]) advanceHost(wasFull bool, now time.Time) {
	h := l.host
	if !wasFull {
		l.advance(now)
		return
	}
	for _, refused := range []bool{false, true} {
		if l.refused == refused {
			l.advance(now)
		}
		for range h.limiters {
			if h.isFull() {
				return
			}
			h.next = (h.next + 1) % len(h.limiters)
			if other := h.limiters[h.next]; other.refused == refused {
				other.advance(now)
			}
		}
	}
}

// reserve takes a request's place in the rate, and tells how long it is until then.
func (l *limiter[W]) reserve(now time.Time, belowShare bool) time.Duration {
	wait, common := l.rate.ReserveN(now, 1).DelayFrom(now), l.common.ReserveN(now, 1).DelayFrom(now)
	if belowShare {
		return wait
	}
	return max(wait, common)
}

// count takes the place of a request that has not waited for it.
func (l *limiter[W]) count(now time.Time) {
	l.rate.AllowN(now, 1)
	l.common.AllowN(now, 1)
}

// uncount gives back the place of a request that was not made.
func (l *limiter[W]) uncount(now time.Time) {
	l.rate.ReserveN(now, -1)
	l.common.ReserveN(now, -1)
}

// free is how many more waiters may be called.
func (l *limiter[W]) free() int {
	limit := l.limits.Concurrency
	if l.breaker.isOpen() {
		limit = 1
	}
	return limit - l.underway - len(l.turns)
}

// withdrawTurn takes back the turn of a waiter that was called, and tells whether it was.
func (l *limiter[W]) withdrawTurn(waiter W) bool {
	turn, called := l.turns[waiter]
	if called {
		delete(l.turns, waiter)
	}
	if turn.holds {
		l.host.taken--
	}
	return called
}

// expire withdraws the turns of waiters that were called and did not come.
func (l *limiter[W]) expire(now time.Time) {
	for waiter, turn := range l.turns {
		if turn.begins.Add(turnKept).Before(now) {
			l.withdrawTurn(waiter)
		}
	}
}

// setBack moves everything that was planned, as the clock was.
func (l *limiter[W]) setBack(back time.Duration) {
	for _, at := range []*time.Time{&l.used, &l.closedAt, &l.closedUntil, &l.waitEnds, &l.interrupted[byEnd], &l.interrupted[byPerson]} {
		if !at.IsZero() {
			*at = at.Add(-back)
		}
	}
	for waiter, held := range l.turns {
		l.turns[waiter] = turn{held.begins.Add(-back), held.priority, held.holds}
	}
}

// setLimits changes how much the limiter lets through.
func (l *limiter[W]) setLimits(limits Limits, now time.Time) {
	perSecond, spare := limits.PerSecond, min(catchUp, limits.PerSecond-1)
	isNew := l.limits == (Limits{})
	l.limits = limits
	if isNew {
		l.rate = rate.NewLimiter(rate.Limit(perSecond), perSecond)
		l.common = rate.NewLimiter(rate.Limit(perSecond), perSecond-spare)
		return
	}
	l.rate.SetLimitAt(now, rate.Limit(perSecond))
	l.rate.SetBurstAt(now, perSecond)
	l.common.SetLimitAt(now, rate.Limit(perSecond))
	l.common.SetBurstAt(now, perSecond-spare)
}

// isAsNew tells that nothing would be lost with the limiter.
func (l *limiter[W]) isAsNew(now time.Time) bool {
	return l.underway == 0 && l.waiting.len() == 0 && len(l.turns) == 0 && !now.Before(l.closedUntil) &&
		(l.breaker.isAsNew() || now.Sub(l.used) >= failureKept) && l.rate.TokensAt(now) >= float64(l.limits.PerSecond)
}
