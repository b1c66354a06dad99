package lifecycle

import (
	"fmt"
	"slices"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/failures"
	"github.com/tokenkeeper/tokenkeeper/internal/invitation"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle/states"
	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// Consent holds the tokens of a person's sign-in.
type Consent struct {
	Issued
	// Asked are the scopes that the person was asked for.
	Asked []string
	// Unverified tells that the ID token could not be verified yet, since its issuer's keys could not be had.
	Unverified bool
}

// AfterConsent is the change that a sign-in brings. The grant in use stays until the new one is known to belong to the expected
// account. Where the change cannot be stored, the event is repeated.
func AfterConsent(f facts.Facts, got Consent) Change {
	kept := withSecrets(f, f.Custody, got.ByPreviousSecret)
	kept.Consents++
	kept.NotBefore = time.Time{} // the marketplace has answered since it demanded to wait
	kept.SignIn = kept.SignIn.Clone()
	next := ConsentOf(f, got.Issued, got.Asked)
	next.Consent, next.Unverified = kept.Consents, got.Unverified
	expected, id := f.ExpectedAccount(), next.Account.ID
	switch {
	case got.Unverified, f.NewerCustody() != nil, id == "" && expected != "" && f.CanIdentify():
		kept.Candidate = &next
		kept.SignIn = kept.SignIn.WithoutDevice()
		return Change{Store: &kept, fresh: f.NewerCustody() == nil && !got.Unverified}.by(states.Consented)
	case !f.ExpectsAccount(next.Account):
		return rejectSignIn(f, kept, next).by(states.Consented)
	}
	return acceptSignIn(f, kept, next).by(states.Consented)
}

// acceptSignIn puts a grant that a person gave into use, instead of the one before.
func acceptSignIn(f facts.Facts, kept custody.Custody, next custody.Grant) Change {
	if next.RefreshToken == "" && f.MayKeepRefreshToken(next) {
		// As in a renewal, an answer without one leaves the old one in force; platforms do so when a person consents again.
		next.RefreshToken, next.GrantedAt = kept.RefreshToken, kept.GrantedAt
		next.AuthorizationExpiresAt, next.AuthorizationEndUnreadable = kept.AuthorizationExpiresAt, kept.AuthorizationEndUnreadable
		next.AuthorizationMaxExpiresAt = kept.AuthorizationMaxExpiresAt
	} else {
		kept.Journal = nil // of the grant before
	}
	next.Unverified = false
	kept.Serial++
	kept.Accepted = next.Consent
	kept.Grant = next
	kept = kept.Recovered()
	kept.Candidate, kept.Aside, kept.Verified, kept.Refused, kept.RefusedImport = nil, nil, nil, nil, nil
	kept.SignIn = kept.SignIn.Completed()
	kept = withSecretDate(f, withHandledRenew(f, kept))
	return Change{Store: &kept, fresh: true, result: obtained(true), effects: Effects{SignInCompleted: true}}
}

// rejectSignIn forgets the tokens of another account than the expected one, which are revoked where that can be done without harm.
func rejectSignIn(f facts.Facts, kept custody.Custody, wrong custody.Grant) Change {
	why := f.AccountMismatch(wrong.Account.ID, f.ExpectedAccount())
	if wrong.Account.ID == "" {
		why.Message = fmt.Sprintf("%s did not say who signed in, expected is %s; ask for what makes it say so, such as a scope, "+
			"or create another MarketplaceAccount", f.Request.Platform.DisplayName, f.ExpectedAccount())
	}
	if kept.Candidate != nil && kept.Candidate.Consent == wrong.Consent {
		kept.Candidate = nil
	}
	kept.SignIn = kept.SignIn.WithoutDevice()
	kept = WithSignInRefused(f, kept, *why)
	kept.SignIn.Refused.AccountID = wrong.Account.ID
	if f.Visiting {
		kept = WithRetryTicket(f, kept)
	}
	change := Change{Store: &kept, result: Outcome{Rejected: true, SignedInAs: wrong.Account.ID}, effects: Effects{Revoke: &wrong}}
	if f.NeedsNewGrant() && !f.Visiting {
		change.result.Attempted, change.result.Failure = true, why
	} else {
		change.effects.SignInRejected = why
	}
	return change
}

// dropSignIn forgets a sign-in that waited, and records why.
func dropSignIn(f facts.Facts, why facts.Failure) Change {
	kept := f.Custody
	kept.Candidate = nil
	kept.SignIn = kept.SignIn.Clone()
	kept = WithSignInRefused(f, kept, why)
	return Change{Store: &kept, attempt: newGrantFailure(f, why), result: Outcome{Dropped: &why}}
}

// newGrantFailure is the failure of a sign-in as the account's, where it has no other grant.
func newGrantFailure(f facts.Facts, why facts.Failure) Outcome {
	if f.NeedsNewGrant() {
		return Outcome{Failure: &why}
	}
	return Outcome{}
}

// WithRetryTicket adds the ticket with which the browser of a visit may begin another visit, after it has proved to be that browser.
func WithRetryTicket(f facts.Facts, kept custody.Custody) custody.Custody {
	if ticket := f.RetryTicket; invitation.TicketIn(kept, ticket) < 0 {
		kept.SignIn = kept.SignIn.WithTicket(custody.Ticket{Hash: signin.Hash(ticket), ExpiresAt: f.Now.Add(signin.VisitLife)}, f.Now)
	}
	return kept
}

// AfterOffer is the change that a new link brings; asked tells that it answers a request.
func AfterOffer(f facts.Facts, ticket string, life time.Duration, asked bool) (Change, time.Time) {
	kept, end := f.Custody, f.Now.Add(life)
	if invitation.IsExposed(&f) {
		kept.SignIn = kept.SignIn.WithoutLinks()
	}
	kept.SignIn = kept.SignIn.WithTicket(custody.Ticket{Hash: signin.Hash(ticket), ExpiresAt: end}, f.Now)
	if asked {
		kept.HandledSignIn = facts.RequestOf(f.Account, v1alpha1.AnnotationSignIn)
		kept.SignIn.Requested = kept.HandledSignIn
	}
	return storeOnce(kept, Outcome{HandledSignIn: asked}).by(states.Offered), end
}

// WithoutPortal is the outcome of an account that a person should sign in, where there is no place for it.
func WithoutPortal(f facts.Facts) Outcome {
	o := Outcome{NoPortal: true}
	if permanent := f.PermanentFailure(); permanent != nil && reasons.Of(permanent.Reason).AwaitsSignIn {
		o.Failure = &facts.Failure{Reason: v1alpha1.ReasonPortalNotConfigured, Message: permanent.Message}
	}
	return o
}

// NotShown is the outcome of an account that a person should sign in, where the sign-in Secret cannot be written that would show how.
func NotShown(f facts.Facts, why string) Outcome {
	o := Outcome{NotShown: why}
	if permanent := f.PermanentFailure(); permanent != nil && reasons.Of(permanent.Reason).AwaitsSignIn {
		o.Failure = &facts.Failure{Reason: v1alpha1.ReasonSecretConflict, Message: why}
	}
	return o
}

// shortestCode is how long a code has to work for a person to use it. One that ends before is the platform's fault.
const shortestCode = time.Minute

// BeforeCode is the custody without the device code at hand, before another is asked for; ask is false where none is asked for, and the
// custody that is returned has to be stored.
func BeforeCode(f facts.Facts) (kept custody.Custody, ask bool) {
	kept = f.Custody
	kept.SignIn = kept.SignIn.Clone()
	switch code := kept.SignIn.Device; {
	case f.SignInRequested():
		kept.HandledSignIn = facts.RequestOf(f.Account, v1alpha1.AnnotationSignIn)
		kept.SignIn.Requested = kept.HandledSignIn
		kept.SignIn = kept.SignIn.WithoutDevice()
	case code != nil && code.ExpiresAt.Sub(code.StartedAt) < shortestCode:
		kept.SignIn = kept.SignIn.WithEndedCode(f.Now, fmt.Sprintf("it was good for %s", code.ExpiresAt.Sub(code.StartedAt)))
		return kept, false
	case code != nil:
		kept.SignIn.Ended = nil
		if kept.SignIn.Unattended++; kept.SignIn.Unattended >= facts.MaxUnattended {
			kept.SignIn.Device, kept.SignIn.Requested = nil, ""
			return kept, false
		}
	}
	kept.SignIn.Device = nil
	return kept, true
}

// AfterCode keeps a device code waiting that the platform has given.
func AfterCode(f facts.Facts, code answer.DeviceCode) Change {
	requested := f.SignInRequested()
	kept, _ := BeforeCode(f)
	kept = withSecrets(f, kept, code.ByPreviousSecret)
	kept.SignIn.Device = &custody.Device{
		Code:            code.Code,
		UserCode:        code.UserCode,
		URL:             code.URL,
		ExpiresAt:       code.ExpiresAt.UTC().Truncate(time.Second),
		StartedAt:       f.Now.UTC().Truncate(time.Second),
		IntervalSeconds: int64(code.Interval / time.Second),
		ClientID:        f.Request.Application.ClientID,
		From:            f.Request.Origin(),
		Asked:           slices.Clone(f.Request.Platform.Scopes),
	}
	if code.CompleteURL != "" {
		kept.SignIn.Device.URL, kept.SignIn.Device.Page = code.CompleteURL, code.URL
	}
	if refused := kept.SignIn.Refused; refused != nil && reasons.Of(refused.Reason).Subject != reasons.Seller {
		kept.SignIn.Refused = nil
	}
	return storeOnce(kept, Outcome{HandledSignIn: requested}).by(states.CodeGiven)
}

// AfterNoCode records why there is no device code: once, since each attempt would be a write.
func AfterNoCode(f facts.Facts, failure error) Change {
	requested := f.SignInRequested()
	kept, _ := BeforeCode(f)
	why, _ := failures.Of(f, failure)
	change := Change{effects: Effects{Refused: true}}
	if f.NeedsNewGrant() {
		change.attempt = failed(&why)
	}
	was := kept.SignIn.Refused
	kept, refused := refusal(f, kept, why, f.SignInParts(why.Reason), nil)
	refused.Tries = f.TriedAgain(was, why.Reason)
	if refused.Tries == 0 && was != nil && was.Reason == refused.Reason && was.Message == refused.Message &&
		slices.Equal(was.Digests, refused.Digests) && (!was.Versioned() || was.Inputs == refused.Inputs) {
		refused = was
	}
	kept.SignIn.Refused = refused
	if refused == f.Custody.SignIn.Refused && f.Custody.SignIn.Device == nil && !requested {
		return Change{attempt: change.attempt}.by(states.CodeNotGiven)
	}
	change.Store, change.result = &kept, Outcome{HandledSignIn: requested}
	return change.by(states.CodeNotGiven)
}

// NextCodeAfter is how long to wait for another attempt to get a device code after failures in a row: as long as for tokens.
func NextCodeAfter(f facts.Facts, failures int32, failure error) time.Duration {
	retry := renewal.RetryAt(f.Now, failures, renewal.Spread(string(f.Account.UID)), f.LongestWait(f.Now))
	return max(retry.Sub(f.Now), renewal.BoundRetryAfter(answer.AsError(failure).RetryAfter))
}

// AfterEndedCode forgets a device code that will not become tokens. One that expired before its time makes room for another; a
// refusal waits for a person.
func AfterEndedCode(f facts.Facts, e *answer.Error) Change {
	kept := f.Custody
	kept.SignIn = kept.SignIn.Clone()
	if e.Kind == answer.CodeExpired {
		if ended := *kept.SignIn.Device; f.Now.Sub(ended.StartedAt) < ended.ExpiresAt.Sub(ended.StartedAt)/2 {
			kept.SignIn = kept.SignIn.WithEndedCode(f.Now, e.Error())
		} else {
			ended.ExpiresAt = f.Now // which makes room for another, and counts this one as unattended
			kept.SignIn.Device = &ended
		}
		return storeOnce(kept, Outcome{}).by(states.CodeEnded)
	}
	why, _ := failures.Of(f, e)
	kept = WithSignInRefused(f, kept, why)
	kept.SignIn.Device, kept.SignIn.Requested = nil, ""
	return Change{Store: &kept, attempt: newGrantFailure(f, why)}.by(states.CodeEnded)
}
