package lifecycle

import (
	"fmt"
	"slices"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/failures"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle/states"
	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
)

// AfterIssued is the change that tokens of a request for the account bring. A new grant of which it is not known that it belongs
// to the expected account becomes the candidate, and the grant in use stays.
func AfterIssued(f facts.Facts, got Issued) Change {
	begun, requested := f.StartsNewGrant(), f.RenewalRequested()
	next := GrantOf(f, got)
	expected, id := f.ExpectedAccount(), next.Account.ID
	kept := withHandledRenew(f, f.Custody)
	kept.Serial++
	kept.NotBefore = time.Time{}
	if f.Request.RenewsByRefreshToken() {
		kept = f.WithJournal(kept, nil)
	}
	if f.Request.Rotates() {
		kept = kept.WithSpentImport(f.NewImport())
	}
	kept = withSecrets(f, withSecretDate(f, withLogin(f, kept)), got.ByPreviousSecret)
	change := Change{Event: states.Issued, OnlyCopy: true, fresh: true, attempt: Outcome{HandledRenew: requested}}
	mustKnow := f.CanIdentify() || f.Account.Spec.AccountID != ""
	switch {
	case !begun && RenewedAsOther(f, got):
		kept, change.attempt = setAside(f, kept, next, got)
		change.fresh = false
	case begun && !f.ExpectsAccount(next.Account) && (id != "" || mustKnow):
		kept.Candidate = &next
		if id != "" {
			change.attempt = failed(f.AccountMismatch(id, expected))
		}
	default:
		kept = putIntoUse(f, kept, next)
		change.result = obtained(begun && (f.Request.RenewsByRefreshToken() || kept.Serial == 1))
	}
	change.attempt.HandledRenew = requested
	change.Store = &kept
	return change
}

// setAside keeps a pair of another account without using it. The token that is published stays; a single-use refresh token that the
// pair was given for is spent.
func setAside(f facts.Facts, kept custody.Custody, wrong custody.Grant, got Issued) (custody.Custody, Outcome) {
	wrong.Account = got.Account
	kept.Aside = &wrong
	if f.Request.Rotates() {
		kept.RefreshToken = ""
	}
	after := f
	after.Custody, after.Request.Imported.RefreshToken = kept, "" // the failure is told also where an import that rests is sent next
	return kept, failed(after.MisplacedGrant())                   // also where a person asked: kept knows the request as handled
}

// putIntoUse puts a grant into use.
func putIntoUse(f facts.Facts, kept custody.Custody, next custody.Grant) custody.Custody {
	if f.NewImport() != "" { // the one before is not in use any more
		kept.Journal = nil
	}
	kept.Grant = next
	if f.Request.RenewsByRefreshToken() { // a login leaves the refresh token as it was
		kept = kept.Recovered()
	}
	if kept.Candidate != nil && kept.Candidate.Consent == 0 && kept.Candidate.Imported == next.Imported {
		kept.Candidate = nil // and one that the user withdrew is kept: it may come back
	}
	kept.Refused, kept.Verified, kept.Aside = nil, nil, nil
	if !f.ImportRefused() {
		kept.RefusedImport = nil
	}
	if !f.NeedsSignIn() { // the account is in order without the sign-in
		kept.SignIn.Refused = nil
	}
	return kept
}

// UseGrantAside puts a grant of another account into use that a renewal brought, once the spec names that account.
func UseGrantAside(f facts.Facts) Change {
	kept := f.Custody
	kept.Serial++
	kept.Grant = *kept.Aside
	kept.Aside, kept.Candidate, kept.Journal, kept.Verified, kept.Refused = nil, nil, nil, nil, nil
	return Change{Event: states.AsideUsed, Store: &kept, OnlyCopy: true, fresh: true, result: obtained(true)}
}

// AfterFailure is the change after an attempt that brought no tokens: no more than its meaning needs. sent tells that the marketplace
// was asked for tokens.
func AfterFailure(f facts.Facts, failure error, sent bool) Change {
	requested := f.RenewalRequested()
	change := afterFailure(f, failure, sent).by(states.Failed)
	change.attempt.HandledRenew = requested
	return change
}

func afterFailure(f facts.Facts, failure error, sent bool) Change {
	why, passes := failures.Of(f, failure)
	told := &why
	kept := f.Custody
	asked := answer.AsError(failure)
	switch entry := f.Journal(); {
	case entry == nil, !sent, !f.Request.Rotates(): // nothing new is known of a token that was not sent, or is not spent by that
	case asked.Kind == answer.GrantRejected, !asked.OutcomeUnknown && entry.Attempts == 1:
		kept = f.WithJournal(kept, nil)
	case entry.Lost: // its outcome is as unknown as before, and its own waits hold
		if passes {
			told = f.PermanentFailure()
		}
	case asked.OutcomeUnknown && f.Reuse() == facts.LastResort:
		return rest(f)
	}
	doubted := mayBeLocked(f, asked, sent)
	if doubted {
		doubt := doubtLogin(f, kept, asked, sent)
		kept = doubt.kept
		if doubt.locked != nil {
			return refuse(f, *doubt.locked, kept)
		}
		if doubt.message != "" {
			told.Message = doubt.message
		}
	}
	if passes {
		kept, told = withoutVerdict(f, kept, told)
		kept.RefusedImport = kept.RefusedImport.NotAfter(f.Now) // else the failure that is told now would seem to be the earlier one
	}
	if sent { // else the marketplace was not asked, and wants to be left alone as before
		kept.NotBefore, kept.DemandedAt = time.Time{}, time.Time{}
	}
	if wait := renewal.BoundRetryAfter(asked.RetryAfter); f.Now.Add(wait).After(renewal.Latest(kept.NotBefore, f.Now)) {
		kept.NotBefore, kept.DemandedAt = f.Now.Add(wait).Truncate(time.Second), f.Now
	}
	switch was := f.Custody; {
	case !passes:
		return refuse(f, why, kept)
	case kept.Journal == was.Journal && kept.ImportJournal == was.ImportJournal && kept.NotBefore.Equal(was.NotBefore) &&
		kept.Refused == was.Refused && kept.RefusedImport == was.RefusedImport && kept.HandledRenew == was.HandledRenew && !doubted:
		return Change{attempt: failed(told)} // count and time in the status say the rest
	}
	return Change{Store: &kept, OnlyCopy: true, attempt: failed(told)}
}

// withoutVerdict is what becomes of a refusal that was tried again, and neither repeated nor withdrawn. Where a person asked for that, it is
// forgotten, so that it is tried on until there is a verdict. Where the account asks for its application now and then, it stands, and the wait
// for the next time begins anew: a platform that is down is not asked more often than one that refuses.
func withoutVerdict(f facts.Facts, kept custody.Custody, told *facts.Failure) (custody.Custody, *facts.Failure) {
	refused, imported := kept.Refused, kept.RefusedImport
	switch {
	case f.RenewalRequested():
		if refused != nil && !f.StillRefused(refused) && heedsRequests(f, refused) {
			kept.Refused = nil
		}
		if imported != nil && imported.Imported == f.NewImport() && heedsRequests(f, imported) {
			kept.RefusedImport = nil
		}
		if misplaced := withoutRequests(f).MisplacedGrant(); misplaced != nil { // the request was for one attempt
			kept, told = withHandledRenew(f, kept), misplaced
		}
	case f.AsksAgain && refused != nil && reasons.Of(refused.Reason).Subject == reasons.Application:
		again := *refused
		again.At = f.Now
		kept.Refused, told = &again, &facts.Failure{Reason: refused.Reason, Message: refused.Message}
	}
	return kept, told
}

// withoutRequests are the facts of an account without the annotations by which people ask for an action.
func withoutRequests(f facts.Facts) *facts.Facts {
	account := *f.Account
	account.Annotations = nil
	f.Account = &account
	return &f
}

// heedsRequests tells that a request makes the operator send again what was refused, and is not a verdict on a token or a login that nobody
// may send twice.
func heedsRequests(f facts.Facts, refused *custody.Refusal) bool {
	return reasons.Of(refused.Reason).Subject != reasons.Outcome && f.HeedsRequests(refused.Reason)
}

// refuse records a refusal that only a change can cure: of a token that the user brought, or of anything else.
func refuse(f facts.Facts, why facts.Failure, kept custody.Custody) Change {
	imported := f.NewImport()
	if imported != "" && reasons.Of(why.Reason).Subject != reasons.Application {
		return refuseImport(f, why, kept, imported)
	}
	kept, kept.Refused = refusal(f, kept, why, f.RefusedParts(why.Reason), kept.Refused)
	kept.Refused.Tries = f.TriedAgain(f.Custody.Refused, why.Reason)
	change := storeRefusal(f, why, kept)
	change.effects.Refused = true
	return change
}

// refuseImport records that a refresh token which the user brought is of no use.
func refuseImport(f facts.Facts, why facts.Failure, kept custody.Custody, imported string) Change {
	kept, kept.RefusedImport = refusal(f, kept, why, f.ImportParts(why.Reason), kept.RefusedImport)
	kept.RefusedImport.Imported = imported
	if f.EndedCandidate() != nil && reasons.Of(why.Reason).Subject == reasons.Grant {
		kept.Candidate = nil
	}
	return storeRefusal(f, why, kept)
}

// deniedWaits are how long nothing is tried after a login was answered 401 or 403 without an error code: a firewall, or a platform
// whose refusals carry no code and count towards a lock. The answer after the last wait is taken for the lock.
var deniedWaits = []time.Duration{time.Minute, 10 * time.Minute, time.Hour}

// unprovenAttempts is how often a login that never worked is tried while its answers are lost, and unprovenWait how long is waited
// between the attempts after that.
const (
	unprovenAttempts = 4
	unprovenWait     = 24 * time.Hour
)

// mayBeLocked tells that an attempt to log in ended without the platform's word, and may count towards a lock; or that it failed in another way that
// passes, where no backoff would follow, since a wait of the login decided until now.
func mayBeLocked(f facts.Facts, asked *answer.Error, sent bool) bool {
	return f.Request.LogsIn() && (sent && (asked.WithoutCode() || asked.OutcomeUnknown && !f.LoginWorked()) ||
		asked.Passes() && f.LoginDecides() && !f.Now.Before(f.LoginWait()))
}

// loginDoubt is the record of an attempt to log in that ended without the platform's word.
type loginDoubt struct {
	kept custody.Custody
	// message replaces the message for people; empty where it does not.
	message string
	// locked is the failure that the attempt is taken for in the end; nil while it is tried again.
	locked *facts.Failure
}

func doubtLogin(f facts.Facts, kept custody.Custody, asked *answer.Error, sent bool) loginDoubt {
	kept, keyed := withKey(f, kept)
	if !keyed {
		return loginDoubt{kept: kept}
	}
	doubt := custody.Doubt{Login: kept.RefusalDigest(f.Request.PasswordParts()), User: kept.RefusalDigest(f.Request.UserParts())}
	if known := kept.Logins.Doubt(doubt.Login); known != nil {
		doubt = *known
	}
	doubt = doubt.Try(kept.RefusalDigest(f.Request.LoginParts()), f.Now)
	doubt.WaitSeconds = 0
	var record loginDoubt
	switch {
	case !sent:
	case asked.WithoutCode() && doubt.Denied >= len(deniedWaits):
		doubt.Denied++
		record.locked = failures.LockedOrKeptOut(f, asked, doubt.Denied)
	case asked.WithoutCode():
		doubt.WaitSeconds = int64(deniedWaits[doubt.Denied] / time.Second)
		doubt.Denied++
		record.message = fmt.Sprintf("%s is unavailable: it answered the login with HTTP %d without an error code, as a firewall in front of it does, "+
			"or a platform that locks a login (attempt %d of %d)", f.Request.Platform.DisplayName, asked.Status, doubt.Denied, len(deniedWaits)+1)
	case asked.OutcomeUnknown && !f.LoginWorked():
		if doubt.Lost++; doubt.Lost >= unprovenAttempts {
			doubt.WaitSeconds = int64(unprovenWait / time.Second)
		}
	}
	kept.Logins = kept.Logins.With(doubt)
	if record.locked != nil { // logins that were tried under earlier requests are not tried again either
		tried := custody.Refusal{Digests: doubt.Tried}
		if kept.Refused != nil {
			tried.Digests = append(slices.Clone(kept.Refused.Digests), doubt.Tried...)
		}
		kept.Refused = &tried
	}
	record.kept = kept
	return record
}
