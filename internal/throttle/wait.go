package throttle

import "time"

// Cause is why a waiter has to wait.
type Cause int

const (
	// Turn is that others go first.
	Turn Cause = iota
	// NoAnswer is that the host failed to answer several times in a row.
	NoAnswer
	// LeftAlone is that the platform asked for it. Such a wait is interrupted once for a token that is about to end, by the one that ends
	// first, and once for a person's request.
	LeftAlone
)

// Wait tells that a request may not be made now. The waiter is called later, and should come back by itself now and then all the same.
type Wait struct {
	Cause Cause
	// Until is when its turn comes, or when the limiter opens again; zero when neither is known.
	Until time.Time
	// Called tells that Until is the waiter's own turn. Any other is called when its turn comes, and need not come at Until by itself.
	Called bool
	// Since is when the waiter came to the limiter.
	Since time.Time
}

// interruption is why a request goes through although the platform wants to be left alone.
type interruption int

const (
	uninterrupted interruption = iota
	byEnd
	byPerson
	interruptions
)

// interruption is why a waiter may go through although the platform wants to be left alone: once in each wait for a person, and once for
// the token that ends first. The answer to an interruption may demand a longer wait, which cannot be interrupted before
// the first one would have ended: else everybody's token, one after the other, would be a reason.
func (l *limiter[W]) interruption(waiter W, priority Priority, now time.Time) interruption {
	if !now.Before(l.closedUntil) || l.cause != LeftAlone || l.breaker.isOpen() || l.underway >= l.limits.Concurrency ||
		l.host.isFull() && !l.turns[waiter].holds {
		return uninterrupted
	}
	if !now.Before(l.waitEnds) {
		l.waitEnds = l.closedUntil
	}
	if priority.endsSoon(now) && !now.Before(l.interrupted[byEnd]) {
		first := l.endsFirst(waiter, priority, now)
		if first == waiter {
			return byEnd
		}
		l.onTurn(first, 0)
	}
	if priority.Asked && !now.Before(l.interrupted[byPerson]) {
		return byPerson
	}
	return uninterrupted
}

// endsFirst finds, of all waiters that have come, the one whose token ends first.
func (l *limiter[W]) endsFirst(waiter W, priority Priority, now time.Time) W {
	end := priority.Due
	for other, held := range l.waiting.at {
		if held.priority.endsSoon(now) && held.priority.Due.Before(end) {
			waiter, end = other, held.priority.Due
		}
	}
	for other, turn := range l.turns {
		if turn.priority.endsSoon(now) && turn.priority.Due.Before(end) {
			waiter, end = other, turn.priority.Due
		}
	}
	return waiter
}

// reopen ends the pause of a circuit that is closed again.
func (l *limiter[W]) reopen(now time.Time) {
	if l.cause == NoAnswer && now.Before(l.closedUntil) {
		l.closedUntil = now
		l.bringForward(now, now)
	}
}

// pause is how long a circuit stays open, which is no longer than any waiter can wait.
func (l *limiter[W]) pause() time.Duration {
	if patience := l.waiting.leastPatience(); patience > 0 {
		return min(l.circuitPause, patience)
	}
	return l.circuitPause
}

// hasten lets an attempt to find out whether the host answers again come earlier, for a waiter that cannot wait as long as usual.
func (l *limiter[W]) hasten(patience time.Duration, now time.Time) {
	until := l.closedAt.Add(patience)
	if patience <= 0 || l.cause != NoAnswer || !now.Before(l.closedUntil) || !until.Before(l.closedUntil) {
		return
	}
	if until.Before(now) {
		until = now
	}
	l.closedUntil = until
	l.bringForward(until, now)
}

// bringForward calls the waiters again that were called for the end of a wait that now ends earlier.
func (l *limiter[W]) bringForward(until, now time.Time) {
	for waiter, held := range l.turns {
		if held.begins.After(until) {
			l.turns[waiter] = turn{until, held.priority, held.holds}
			l.onTurn(waiter, until.Sub(now))
		}
	}
}

// close lets nothing through for a while.
func (l *limiter[W]) close(now time.Time, wait time.Duration, cause Cause) {
	if until := now.Add(wait); until.After(l.closedUntil) {
		l.closedAt, l.closedUntil, l.cause = now, until, cause
		if cause == LeftAlone && !now.Before(l.waitEnds) {
			l.waitEnds = until
		}
	}
}

// wait tells a waiter why it waits.
func (l *limiter[W]) wait(waiter W, since, now time.Time) Wait {
	turn, called := l.turns[waiter]
	w := Wait{Cause: Turn, Until: turn.begins, Called: called, Since: since}
	if !called && now.Before(l.closedUntil) {
		w.Until = l.closedUntil
	}
	switch {
	case now.Before(l.closedUntil):
		w.Cause = l.cause
	case l.breaker.isOpen():
		w.Cause = NoAnswer
	}
	return w
}
