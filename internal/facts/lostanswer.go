package facts

import (
	"fmt"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// A single-use refresh token whose answer was lost may be spent or not, which cannot be known. If the platform acted, the
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

// Reuse is how to go about a single-use refresh token that the journal says was sent before.
type Reuse int

const (
	// FirstUse: no attempt is on record.
	FirstUse Reuse = iota
	// WithinGrace: a spent token still works.
	WithinGrace
	// LastResort: it may be spent, and is sent when nothing else is left.
	LastResort
)

// Reuse reads the journal of the token to send.
func (f *Facts) Reuse() Reuse {
	journal := f.Journal()
	switch {
	case journal == nil, !f.Request.Rotates():
		return FirstUse
	case !journal.Lost && f.inGrace(journal):
		return WithinGrace
	}
	return LastResort
}

// Grace is how long a spent refresh token still works, as far as it helps: one shorter than a call's timeout does not.
func (f *Facts) Grace() time.Duration {
	if grace := f.Request.Platform.ReuseGrace; grace >= f.CallTimeout {
		return grace
	}
	return 0
}

// lastTry is when to send a token for the last time within the grace, whatever the waits between: late, since an outage may
// last, and early enough to arrive in time.
func (f *Facts) lastTry(journal *custody.Journal) time.Time {
	return NotAfter(journal.StartedAt, f.Now).Add(f.Grace() * 17 / 20)
}

// inGrace tells whether to send a token once more within the grace. The last sending leaves before nine tenths of it are over;
// a second of that is lost to rounding.
func (f *Facts) inGrace(journal *custody.Journal) bool {
	grace := f.Grace()
	if grace == 0 || !NotAfter(journal.LastAt, f.Now).Before(f.lastTry(journal)) {
		return false
	}
	return f.Now.Sub(NotAfter(journal.StartedAt, f.Now)) < grace*9/10-time.Second
}

// GraceLimit is until when nothing may hold up the token to send, since it works no longer; zero where it is not sent within a grace.
func (f *Facts) GraceLimit() time.Time {
	if journal := f.Journal(); journal != nil && f.Reuse() == WithinGrace {
		return f.lastTry(journal)
	}
	return time.Time{}
}

// NotAfter is a moment that lies behind us: one ahead of the clock, which was set back, counts as now.
func NotAfter(t, now time.Time) time.Time {
	if t.After(now) {
		return now
	}
	return t
}

// Resting tells that the token to send rests, since its answer was lost.
func (f *Facts) Resting() bool {
	journal := f.Journal()
	return journal != nil && journal.Lost && f.Request.Rotates() && !f.FromBackup()
}

// AheadOfClock tells that a token that rests, or a login that waits, was sent at a moment that is still to come, since the clock was set back. That
// moment counts as now, and has to be written down, since "now" moves on.
func (f *Facts) AheadOfClock() bool {
	if doubt := f.LoginDoubt(); doubt != nil {
		return doubt.LastAt.After(f.Now) && !f.LoginWait().IsZero() && !f.CannotRenew()
	}
	return f.Resting() && f.Journal().LastAt.After(f.Now)
}

// importEntry is the journal of the refresh token in the user's Secret; nil when there is none.
func (f *Facts) importEntry() *custody.Journal {
	entry := f.Custody.ImportJournal
	if entry == nil || entry.Imported != f.Request.Imported.RefreshToken {
		return nil
	}
	return entry
}

// ImportRests tells that the answer to the refresh token which the user brought was lost while another grant is in use. That
// one goes on, and by itself the import is never sent again.
func (f *Facts) ImportRests() bool {
	entry := f.importEntry()
	return entry != nil && entry.Lost && f.Request.Rotates() && f.grantInUse()
}

// grantInUse tells whether there is a refresh token in use that was not refused, and is not of a backup.
func (f *Facts) grantInUse() bool {
	return f.Custody.RefreshToken != "" && !f.Restored() && !f.refreshTokenRefused()
}

// NextUse is when the token that rests is sent again; never is why that does not happen by itself.
func (f *Facts) NextUse() (at time.Time, never string) {
	journal, tokens := f.Journal(), f.Custody.Tokens
	switch {
	case f.Request.Platform.LostAnswerNever:
		return time.Time{}, "the Marketplace's refreshToken.lostAnswer is Never"
	case f.NewImport() == "" && f.OtherApplication():
		return time.Time{}, "it belongs to the application or the server that was used before, and only that one can renew it"
	case f.NewImport() == "" && f.UnprovenGrant():
		return time.Time{}, "it was not put into the grant Secret by tokenkeeper"
	case f.NewImport() == "" && f.WrongAccount():
		return time.Time{}, "it belongs to another account than spec.accountID names"
	case f.SellerElsewhere:
		return time.Time{}, "another account holds a grant of the same seller and application, which a second use could end"
	}
	last := journal.LastAt
	if last.IsZero() {
		last = journal.StartedAt
	}
	doublings := min(max(journal.LastResorts-1, 0), 6)
	at = NotAfter(last, f.Now).Add(max(f.AttemptTimeout, min(shortestResend<<doublings, longestResend)))
	if journal.LastResorts > 0 || tokens == nil || f.NewImport() != "" || f.tokenDead() {
		return at, ""
	}
	if end := f.endOfUse(journal, tokens); end.After(at) {
		return end, ""
	}
	return at, ""
}

// endOfUse is shortly before the access token ends, or the authorization, whichever is first. An authorization that had ended
// when the refresh token was first sent says nothing.
func (f *Facts) endOfUse(journal *custody.Journal, tokens *custody.Tokens) time.Time {
	end := tokens.ExpiresAt
	if _, authorization := f.AuthorizationTimes(); authorization.After(journal.StartedAt) && authorization.Before(end) {
		end = authorization
	}
	return end.Add(-min(longestUseMargin, tokens.ExpiresAt.Sub(tokens.IssuedAt)/useShare)).Truncate(time.Second)
}

// tokenDead tells that the marketplace does not honour the access token any more: an identity request refused it twice that
// had accepted a token of this grant.
func (f *Facts) tokenDead() bool {
	return f.Custody.Identified && f.Custody.Verified != nil && f.Custody.Verified.Refusals > 1
}

// putOff is until when a last resort waits for people who may be bringing a new grant; open tells that a grant is being looked
// at, which ends by an event of its own.
func (f *Facts) putOff(due time.Time) (until time.Time, open bool) {
	if candidate := f.CandidateGrant(); candidate != nil && f.mayAccept(candidate) {
		return time.Time{}, true
	}
	for _, visit := range f.Custody.SignIn.Visits {
		underway := visit.Consent == 0 && visit.Problem == "" // also while its code is redeemed
		if begun := visit.ExpiresAt.Add(-signin.VisitLife); underway && !begun.After(f.Now) {
			until = renewal.Latest(until, begun.Add(visitPatience))
		}
	}
	if device := f.Custody.SignIn.Device; f.CodeUsed && f.CodeFits(device) {
		until = renewal.Latest(until, device.ExpiresAt)
	}
	if limit := due.Add(longestPutOff); until.After(limit) {
		until = limit
	}
	return until, false
}

// mayAccept tells that a grant that waits may be put into use without a change: it is the expected account's, or that is being asked.
func (f *Facts) mayAccept(candidate *custody.Grant) bool {
	if candidate.Account.ID != "" {
		return f.ExpectsAccount(candidate.Account)
	}
	return candidate.Unverified || f.ExpectedAccount() == "" || f.CanIdentify()
}

// planRest decides whether to send a token that rests. No request, edit or restart shortens its waits.
func (f *Facts) planRest() renewal.Plan {
	held := renewal.Held{Changed: true} // the waits are these alone
	if tokens := f.Custody.Tokens; tokens != nil {
		held.ExpiresAt, held.RenewAt = tokens.ExpiresAt, tokens.RenewAt
	}
	at, never := f.NextUse()
	until, open := f.putOff(at)
	refused := f.Custody.Refused
	return renewal.Decide(held, renewal.Demand{
		Suspended: f.Suspended(),
		Refused:   never != "" || open || refused != nil && f.StillRefused(refused),
		RetryAt:   f.RetryAt(), // after the failure that kept it from being sent
		NotBefore: renewal.Latest(renewal.Latest(at, until), f.NotBefore()),
	}, f.Now)
}

// RestFailure is the failure of a token that rests.
func (f *Facts) RestFailure() *Failure {
	name := f.Request.Platform.DisplayName
	at, never := f.NextUse()
	text := fmt.Sprintf("%s got the refresh token and its answer was lost, so the token may be spent, and sending it twice could end the grant. ", name)
	switch resorts := f.Journal().LastResorts; {
	case never != "":
		text += fmt.Sprintf("It is not sent again, since %s: nothing more is tried until %s", never, f.HowToRenewGrant())
	case resorts > 0:
		text += fmt.Sprintf("It was sent again %s, without an answer that says more; next attempt not before %s, unless before that %s",
			times(resorts), renewal.ClockTime(at), f.HowToRenewGrant())
	default:
		text += fmt.Sprintf("It rests until %s and is then sent again as a last resort, unless before that %s", renewal.ClockTime(at), f.HowToRenewGrant())
	}
	return &Failure{v1alpha1.ReasonRenewalOutcomeUnknown, text}
}

// ImportRestFailure is the failure of an import whose answer was lost while another grant is in use.
func (f *Facts) ImportRestFailure() *Failure {
	return &Failure{v1alpha1.ReasonRenewalOutcomeUnknown, fmt.Sprintf("%s got the new refresh token and its answer was lost; the grant in use goes on. "+
		"The new one is not sent again: supply another%s", f.Request.Platform.DisplayName, InSecret(f.Account))}
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
