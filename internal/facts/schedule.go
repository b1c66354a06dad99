package facts

import (
	"cmp"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
)

// longestGraceWait bounds how long an attempt of another process is waited for where a spent refresh token still works.
const longestGraceWait = 10 * time.Second

// lastMinutes is when a token is about to end, or a quarter of its life before that where it is short.
const lastMinutes = 2 * time.Minute

// Plan decides whether to ask now.
func (f *Facts) Plan() renewal.Plan {
	if f.Resting() {
		return f.planRest()
	}
	refused := f.Custody.Refused
	held := renewal.Held{
		// A failed renewal is tried until it succeeds, whether or not the tokens at hand are due by themselves; and a
		// refusal that does not stand any more calls for an attempt now.
		Changed: f.Changed() || f.Failing() || f.TokenRefused || refused != nil && !f.StillRefused(refused),
	}
	if tokens := f.Custody.Tokens; tokens != nil {
		held.ExpiresAt, held.RenewAt = tokens.ExpiresAt, tokens.RenewAt
	}
	return renewal.Decide(held, renewal.Demand{
		Requested: f.RenewalRequested(),
		Suspended: f.Suspended(),
		Refused:   f.CannotRenew(),
		RetryAt:   f.RetryAt(),
		NotBefore: renewal.Latest(f.DemandedUntil(), f.EditWaits),

		RestsUntil: f.LoginWait(),
	}, f.Now)
}

// RetryAt is the end of the backoff after failures that pass by themselves; zero when there is none. A changed
// request is not made to wait.
func (f *Facts) RetryAt() time.Time {
	if !f.Failing() || f.LoginDecides() || f.Edited {
		return time.Time{}
	}
	failure := f.Account.Status.LastFailure
	at := failure.Time.UTC()
	if at.After(f.Now) { // the clock was set back, and a wait from now on would never end
		return time.Time{}
	}
	next := renewal.RetryAt(at, failure.Count, renewal.Spread(string(f.Account.UID)), f.LongestWait(at))
	return renewal.Earliest(next, f.GraceLimit()) // longer waits would leave no time
}

// LongestWait is how long anything may wait from a moment on that stands between the token at hand and its renewal; zero where there is none.
// A published token outlives the loss of its grant Secret: the status has its times.
func (f *Facts) LongestWait(from time.Time) time.Duration {
	if tokens := f.Custody.Tokens; tokens != nil {
		return renewal.LongestWait(tokens.IssuedAt, tokens.ExpiresAt, from)
	}
	if told := f.Account.Status.AccessToken; told != nil && !told.ExpirationTime.IsZero() {
		return renewal.LongestWait(told.IssuedTime.UTC(), told.ExpirationTime.UTC(), from)
	}
	return 0
}

// SoonEnough is a wait, or as much of it as the token at hand allows.
func (f *Facts) SoonEnough(wait time.Duration) time.Duration {
	return min(wait, cmp.Or(f.LongestWait(f.Now), wait))
}

// NotBefore is the end of a wait that the marketplace demanded, or that a login is due.
func (f *Facts) NotBefore() time.Time { return renewal.Latest(f.DemandedUntil(), f.LoginWait()) }

// DemandedUntil is the end of a wait that the marketplace demanded, or the moment at which a token, or the grace of a spent one, that is about
// to end interrupts it.
func (f *Facts) DemandedUntil() time.Time {
	until := f.Custody.NotBefore
	if until.Sub(f.Now) > renewal.LongestRetryAfter || f.Custody.DemandedAt.After(f.Now) { // the clock was set back
		return time.Time{}
	}
	for _, interrupts := range []time.Time{f.interruptsAt(), f.GraceLimit()} {
		if !interrupts.IsZero() && interrupts.Before(until) {
			until = interrupts
		}
	}
	return until
}

// interruptsAt is when a token that is about to end interrupts a wait: in its last minutes, or halfway to its end where the wait began in
// these. Zero where there is no token, or it had ended already.
func (f *Facts) interruptsAt() time.Time {
	moment, began := f.LastMinutes(), f.Custody.DemandedAt
	if moment.IsZero() || moment.After(began) {
		return moment
	}
	left := f.Custody.Tokens.ExpiresAt.Sub(began)
	if left <= 0 {
		return time.Time{}
	}
	return began.Add(left / 2)
}

// OtherProcessUntil is until when another process may be at work on the token to send; zero when none is. After a grace there would be
// no use in waiting longer.
func (f *Facts) OtherProcessUntil() time.Time {
	journal := f.Journal()
	if !f.Request.Rotates() || journal == nil || journal.Lost || journal.Holder == f.Holder || journal.LastAt.After(f.Now) { // of the clock before it was set back
		return time.Time{}
	}
	return renewal.Ahead(journal.LastAt.Add(f.othersWait()), f.Now)
}

// othersWait is how long other processes leave a token alone after it was written down that it is about to be sent.
func (f *Facts) othersWait() time.Duration {
	if grace := f.Grace(); grace > 0 {
		return min(longestGraceWait, grace/4)
	}
	return f.AttemptTimeout
}

// SendBy is until when a token may be sent that an entry of the journal announces, after so many client secrets were refused: an answer is in and stored
// before another process sends it, or this sending arrives within the grace that begins then. A process that stood still in between comes too late.
func (f *Facts) SendBy(entry *custody.Journal, refused int) time.Time {
	if grace := f.Grace(); grace > 0 {
		return entry.LastAt.Add(f.othersWait() + max(0, grace*9/10-f.CallTimeout))
	}
	return entry.LastAt.Add(f.AttemptTimeout - time.Duration(2-refused)*f.CallTimeout)
}

// Policy is how early this account's tokens are renewed.
func (f *Facts) Policy() renewal.Policy {
	return renewal.Policy{Before: f.Account.Spec.Renewal.Before.Or(f.Request.Platform.RenewBefore), MaxBefore: f.Request.Platform.MaxBefore}
}

// LastMinutes is from when on the token at hand is about to end; zero where there is none.
func (f *Facts) LastMinutes() time.Time {
	tokens := f.Custody.Tokens
	if tokens == nil {
		return time.Time{}
	}
	return tokens.ExpiresAt.Add(-min(lastMinutes, tokens.ExpiresAt.Sub(tokens.IssuedAt)/4))
}
