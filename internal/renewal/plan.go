package renewal

import "time"

// Because is why a token is due.
type Because string

const (
	// Missing: there is no token.
	Missing Because = "Missing"
	// Changed: the token was obtained for another spec.
	Changed Because = "Changed"
	// Requested: a renewal was asked for.
	Requested Because = "Requested"
	// Scheduled: the stored moment of renewal has come.
	Scheduled Because = "Scheduled"
)

// Held describes the token at hand. The zero value means that there is none.
type Held struct {
	// ExpiresAt is when the token ends.
	ExpiresAt time.Time
	// RenewAt was drawn when the token was stored.
	RenewAt time.Time
	// Changed tells that the token was obtained for another spec than today's.
	Changed bool
}

// Demand holds the reasons for and against asking now.
type Demand struct {
	// Requested tells that a renewal was asked for: neither schedule nor backoff holds it up.
	Requested bool
	// Suspended tells that the marketplace must not be asked at all.
	Suspended bool
	// Refused tells that asking again is useless until a change that will wake us.
	Refused bool
	// RetryAt is the end of the backoff after a failure; zero means none. A request overrules it.
	RetryAt time.Time
	// NotBefore is the end of a wait that the marketplace demanded; zero means none. A request overrules it, as far as the limits of the
	// marketplace let it through.
	NotBefore time.Time
	// RestsUntil is the end of a wait in which an attempt may do harm; zero means none. Nothing overrules it.
	RestsUntil time.Time
}

// Plan says whether to ask for a new token now, and when to look again.
type Plan struct {
	// Due tells to ask the marketplace now.
	Due bool
	// Because is why the token is due, also where Due is false since the renewal is held up.
	Because Because
	// Look is when to look again; zero means not before a change.
	Look time.Time
}

// Decide tells whether a token is due at now and, if not, when to look again.
func Decide(held Held, demand Demand, now time.Time) Plan {
	because := held.because(demand.Requested, now)
	wait := demand.RestsUntil
	if because != Requested {
		for _, until := range []time.Time{demand.NotBefore, demand.RetryAt} {
			if until.After(wait) {
				wait = until
			}
		}
	}
	switch {
	case demand.Suspended, demand.Refused:
		return Plan{Because: because, Look: held.next(now)}
	case because == "":
		return Plan{Look: held.next(now)}
	case now.Before(wait):
		return Plan{Because: because, Look: earliest(wait, held.expiry(now))}
	}
	return Plan{Due: true, Because: because}
}

func (h Held) because(requested bool, now time.Time) Because {
	switch {
	case requested:
		return Requested
	case h.ExpiresAt.IsZero():
		return Missing
	case h.Changed:
		return Changed
	case !now.Before(h.RenewAt):
		return Scheduled
	}
	return ""
}

// next is the next moment at which the token's state changes by itself.
func (h Held) next(now time.Time) time.Time {
	if h.RenewAt.After(now) {
		return earliest(h.RenewAt, h.expiry(now))
	}
	return h.expiry(now)
}

// expiry is when the token ends, if that is still ahead.
func (h Held) expiry(now time.Time) time.Time {
	if h.ExpiresAt.After(now) {
		return h.ExpiresAt
	}
	return time.Time{}
}

// Earliest returns the earliest of the times that are set; zero when none is.
func Earliest(times ...time.Time) time.Time {
	var first time.Time
	for _, t := range times {
		first = earliest(first, t)
	}
	return first
}

func earliest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Latest returns the later of two moments.
func Latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Ahead returns t if it is still to come, else zero.
func Ahead(t, now time.Time) time.Time {
	if t.After(now) {
		return t
	}
	return time.Time{}
}
