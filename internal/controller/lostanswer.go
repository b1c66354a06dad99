package controller

import (
	"fmt"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// A single-use refresh token whose answer was lost may be spent or not, and nobody knows. If the platform acted, the
// successor is lost already; if it did not, the token still works; and a second use can cost what the access token is still
// good for. So the token rests until its end of use, shortly before the access token ends anyway, and is sent again from
// then on: a last resort. docs/faults.md has the rule for users.

const (
	// longestUseMargin is how long before the end of the access token, or of the authorization, a last resort begins, and
	// useShare bounds it to a part of the token's life.
	longestUseMargin = 3 * time.Minute
	useShare         = 10
	// shortestResend is the shortest wait between two sendings of a token whose answer was lost, and longestResend what the
	// waits grow to.
	shortestResend = 90 * time.Second
	longestResend  = time.Hour
	// visitPatience is how long a browser at the marketplace holds up a last resort, since it may bring a new grant, and
	// longestPutOff how long all of them together do.
	visitPatience = 10 * time.Minute
	longestPutOff = time.Hour
)

// reuse is how to go about a single-use refresh token that the journal says was sent before.
type reuse int

const (
	firstUse    reuse = iota // no attempt is on record
	withinGrace              // a spent token still works
	answerLost               // it may be spent; sending it is a last resort
)

// reuse reads the journal of the token to send.
func (v view) reuse() reuse {
	journal := v.journal()
	switch {
	case journal == nil, !v.request.rotates():
		return firstUse
	case !journal.Lost && v.inGrace(journal):
		return withinGrace
	}
	return answerLost
}

// grace is how long a spent refresh token still works, as far as it helps: one shorter than a call's timeout does not.
func (v view) grace() time.Duration {
	if grace := v.request.platform.ReuseGrace; grace >= v.call {
		return grace
	}
	return 0
}

// lastTry is when to send a token for the last time within the grace, whatever the waits between: late, since an outage may
// last, and early enough to arrive in time.
func (v view) lastTry(journal *custody.Journal) time.Time {
	return since(journal.StartedAt, v.now).Add(v.grace() * 17 / 20)
}

// inGrace tells whether to send a token once more within the grace. The last sending leaves before nine tenths of it are over;
// a second of that is lost to rounding.
func (v view) inGrace(journal *custody.Journal) bool {
	grace := v.grace()
	if grace == 0 || !since(journal.LastAt, v.now).Before(v.lastTry(journal)) {
		return false
	}
	return v.now.Sub(since(journal.StartedAt, v.now)) < grace*9/10-time.Second
}

// graceLimit is until when nothing may hold up the token to send, since it works no longer; zero where it is not sent within a grace.
func (v view) graceLimit() time.Time {
	if journal := v.journal(); journal != nil && v.reuse() == withinGrace {
		return v.lastTry(journal)
	}
	return time.Time{}
}

// since is a moment that lies behind us: one ahead of the clock, which was set back, counts as now.
func since(t, now time.Time) time.Time {
	if t.After(now) {
		return now
	}
	return t
}

// resting tells that the token to send rests, since its answer was lost.
func (v view) resting() bool {
	journal := v.journal()
	return journal != nil && journal.Lost && v.request.rotates() && !v.fromBackup()
}

// aheadOfClock tells that the token was sent at a moment that is still to come, since the clock was set back. It counts as now,
// and has to be written down, since "now" moves on.
func (v view) aheadOfClock() bool { return v.resting() && v.journal().LastAt.After(v.now) }

// importEntry is the journal of the refresh token in the user's Secret; nil when there is none.
func (v view) importEntry() *custody.Journal {
	entry := v.custody.ImportJournal
	if entry == nil || entry.Imported != v.request.imported.RefreshToken {
		return nil
	}
	return entry
}

// importRests tells that the answer to the refresh token which the user brought was lost while another grant is in use. That
// one goes on, and by itself the import is never sent again.
func (v view) importRests() bool {
	entry := v.importEntry()
	return entry != nil && entry.Lost && v.request.rotates() && v.grantInUse()
}

// grantInUse tells whether there is a refresh token in use that was not refused, and is not of a backup.
func (v view) grantInUse() bool {
	refused := v.custody.Refused
	return v.custody.RefreshToken != "" && !v.restored() && !(refused != nil && refused.Reason == v1alpha1.ReasonGrantRejected)
}

// nextUse is when the token that rests is sent again; never is why that does not happen by itself.
func (v view) nextUse() (at time.Time, never string) {
	journal, tokens := v.journal(), v.custody.Tokens
	switch {
	case v.request.platform.LostAnswerNever:
		return time.Time{}, "the Marketplace's refreshToken.lostAnswer is Never"
	case v.bringing() == "" && v.foreign():
		return time.Time{}, "it belongs to the application that was used before, and only that one can renew it"
	case v.bringing() == "" && v.misfit():
		return time.Time{}, "it belongs to another account than spec.accountID names"
	case v.sellerElsewhere:
		return time.Time{}, "another account holds a grant of the same seller and application, which a second use could end"
	}
	last := journal.LastAt
	if last.IsZero() {
		last = journal.StartedAt
	}
	doublings := min(max(journal.LastResorts-1, 0), 6)
	at = since(last, v.now).Add(max(v.attempt, min(shortestResend<<doublings, longestResend)))
	if journal.LastResorts > 0 || tokens == nil || v.bringing() != "" || v.tokenDead() {
		return at, ""
	}
	if end := v.endOfUse(journal, tokens); end.After(at) {
		return end, ""
	}
	return at, ""
}

// endOfUse is shortly before the access token ends, or the authorization, whichever is first. An authorization that had ended
// when the refresh token was first sent says nothing.
func (v view) endOfUse(journal *custody.Journal, tokens *custody.Tokens) time.Time {
	end := tokens.ExpiresAt
	if _, authorization := v.authorizationTimes(); authorization.After(journal.StartedAt) && authorization.Before(end) {
		end = authorization
	}
	return end.Add(-min(longestUseMargin, tokens.ExpiresAt.Sub(tokens.IssuedAt)/useShare)).Truncate(time.Second)
}

// tokenDead tells that the marketplace does not honour the access token any more: an identity request refused it twice that
// had accepted a token of this grant.
func (v view) tokenDead() bool {
	return v.custody.Identified && v.custody.Verified != nil && v.custody.Verified.Refusals > 1
}

// putOff is until when a last resort waits for people who may be bringing a new grant; open tells that a grant is being looked
// at, which ends by an event of its own.
func (v view) putOff(due time.Time) (until time.Time, open bool) {
	if candidate := v.candidate(); candidate != nil && v.mayAccept(candidate) {
		return time.Time{}, true
	}
	for _, visit := range v.custody.SignIn.Visits {
		underway := visit.Consent == 0 && visit.Problem == "" // also while its code is redeemed
		if begun := visit.ExpiresAt.Add(-signin.VisitLife); underway && !begun.After(v.now) {
			until = latest(until, begun.Add(visitPatience))
		}
	}
	if device := v.custody.SignIn.Device; v.codeUsed && v.fits(device) {
		until = latest(until, device.ExpiresAt)
	}
	if limit := due.Add(longestPutOff); until.After(limit) {
		until = limit
	}
	return until, false
}

// mayAccept tells that a grant that waits may be put into use without a change: it is the expected account's, or that is being asked.
func (v view) mayAccept(candidate *custody.Grant) bool {
	if candidate.Account.ID != "" {
		return v.expects(candidate.Account.ID)
	}
	return candidate.Unverified || v.expectedAccount() == "" || v.canIdentify()
}

// planRest decides whether to send a token that rests. No request, edit or restart shortens its waits.
func (v view) planRest() renewal.Plan {
	held := renewal.Held{Changed: true} // the waits are these alone
	if tokens := v.custody.Tokens; tokens != nil {
		held.ExpiresAt, held.RenewAt = tokens.ExpiresAt, tokens.RenewAt
	}
	at, never := v.nextUse()
	until, open := v.putOff(at)
	refused := v.custody.Refused
	return renewal.Decide(held, renewal.Demand{
		Suspended: v.suspended(),
		Refused:   never != "" || open || refused != nil && v.stands(refused),
		RetryAt:   v.retryAt(), // after what was in the way of sending it
		NotBefore: latest(latest(at, until), v.notBefore()),
	}, v.now)
}

// restTrouble is the trouble with a token that rests.
func (v view) restTrouble() *trouble {
	name := v.request.platform.DisplayName
	at, never := v.nextUse()
	text := fmt.Sprintf("%s got the refresh token and its answer was lost, so the token may be spent, and sending it twice could end the grant. ", name)
	switch resorts := v.journal().LastResorts; {
	case never != "":
		text += fmt.Sprintf("It is not sent again, since %s: nothing more is tried until %s", never, v.newGrant())
	case resorts > 0:
		text += fmt.Sprintf("It was sent again %s, without an answer that says more; next attempt not before %s, unless before that %s",
			times(resorts), clockTime(at), v.newGrant())
	default:
		text += fmt.Sprintf("It rests until %s and is then sent again as a last resort, unless before that %s", clockTime(at), v.newGrant())
	}
	return &trouble{v1alpha1.ReasonRenewalOutcomeUnknown, text}
}

// importRestTrouble is the trouble with an import whose answer was lost while another grant is in use.
func (v view) importRestTrouble() *trouble {
	return &trouble{v1alpha1.ReasonRenewalOutcomeUnknown, fmt.Sprintf("%s got the new refresh token and its answer was lost; the grant in use goes on. "+
		"The new one is not sent again: supply another%s", v.request.platform.DisplayName, inSecret(v.account))}
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
