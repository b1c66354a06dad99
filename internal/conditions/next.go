package conditions

import (
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
)

// lookWaiting is when to look again at an account that waits for its turn, should no call come: soon where its status does not say yet that it
// waits, or where other reasons to look are due. While a host does not answer, all of its accounts wait, and looks at them are of no use.
const (
	lookWaiting     = 30 * time.Second
	lookWaitingLong = 5 * time.Minute
)

// countdownsWithin is how long after the turn of a day the last account of an application tells that its client secret has a day less.
const countdownsWithin = time.Hour

// Next is when to look again: at the next renewal or retry, at or after the turn of a day, when a warning begins; zero for never. invitation is
// when to look after the code or link that waits for a person; zero for never.
func (l Look) Next(invitation time.Time) time.Time {
	look := l.nextAttempt(invitation)
	look = renewal.Earliest(look, renewal.Ahead(l.ServedUntil, l.Now)) // the token served may be one that the custody does not hold any more
	status := l.Account.Status
	if authorization := status.Authorization; authorization != nil {
		end := authorization.ExpirationTime.UTC()
		if authorization.DaysRemaining != nil {
			look = renewal.Earliest(look, renewal.NextDay(end, l.Now))
		}
		look = renewal.Earliest(look, renewal.Ahead(facts.WarnFrom(l.Account, end), l.Now))
	}
	if application := status.Application; application != nil {
		look = renewal.Earliest(look, l.nextCountdown(application.SecretExpirationTime.UTC()))
	}
	return renewal.Earliest(look, l.beforeTheClockIsRight())
}

// beforeTheClockIsRight is when to look again where the clock was set back behind the token at hand; zero where it was not. A look that is planned by that
// clock would come too late once the clock is right again, and no event tells of that.
func (l Look) beforeTheClockIsRight() time.Time {
	tokens := l.Custody.Tokens
	if tokens == nil || !tokens.IssuedAt.After(l.Now) {
		return time.Time{}
	}
	return l.Now.Add(tokens.ExpiresAt.Sub(tokens.IssuedAt))
}

// nextCountdown is when to count down the days of a client secret that ends; zero for never. All accounts of an application have the same end, and
// each counts at a time of its own.
func (l Look) nextCountdown(end time.Time) time.Time {
	turn := renewal.NextDay(end, l.Now)
	if turn.IsZero() {
		return turn
	}
	return turn.Add(time.Duration(renewal.Spread(string(l.Account.UID)) * float64(countdownsWithin)))
}

// nextAttempt is when the next action may be due; zero for never.
func (l Look) nextAttempt(invitation time.Time) time.Time {
	if l.Unresolved {
		if l.Usable() {
			return l.Custody.Tokens.ExpiresAt
		}
		return time.Time{}
	}
	plan := l.Plan()
	look := plan.Look
	if plan.Due { // it is left to another process for a while, or came due while we worked
		look = renewal.Latest(l.Postponed, l.Now.Add(time.Second))
	}
	if l.LookAgain > 0 {
		look = renewal.Earliest(look, l.Now.Add(l.LookAgain))
	}
	look = l.whileWaiting(look, l.longestWithoutCall())
	other := renewal.Earliest(l.NextTest(), l.DailyTest(), invitation, renewal.Ahead(l.NextRequest(), l.Now), renewal.Ahead(l.AskAgainAt, l.Now))
	if !other.IsZero() {
		look = renewal.Earliest(look, l.whileWaiting(other, lookWaiting))
	}
	if l.TestQueued {
		look = renewal.Earliest(look, l.Now.Add(lookWaiting))
	}
	return look
}

// longestWithoutCall is how long an account that waits for its turn is not looked at, should no call come.
func (l Look) longestWithoutCall() time.Duration {
	if l.Account.Status.ObservedGeneration == 0 {
		return lookWaiting // its first status is due then
	}
	return lookWaitingLong
}

// whileWaiting puts off a look at an account that waits for its turn, which nothing but its being called brings nearer.
func (l Look) whileWaiting(look time.Time, longest time.Duration) time.Time {
	if len(l.Waits) == 0 || look.After(l.Now.Add(longest)) {
		return look
	}
	next := l.TurnAt
	if !next.After(l.Now) || next.After(l.Now.Add(longest)) {
		next = l.Now.Add(longest)
	}
	if tokens := l.Custody.Tokens; tokens != nil {
		next = renewal.Earliest(next, renewal.Ahead(l.LastMinutes(), l.Now), renewal.Ahead(tokens.ExpiresAt, l.Now))
	}
	return next
}

// FirstReportIsDue tells that the account has a status to write. A new account that has just come to wait for its turn will have one in
// a moment.
func (l Look) FirstReportIsDue() bool {
	waits := len(l.Waits) > 0 && l.Failure == nil && l.Now.Sub(l.WaitsSince) < lookWaiting-time.Second
	return !waits || l.Account.Status.ObservedGeneration > 0
}
