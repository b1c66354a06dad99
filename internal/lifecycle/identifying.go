package lifecycle

import (
	"errors"
	"fmt"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/failures"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle/states"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
)

// recheck is when to look again for an identity or a key that could not be fetched. After a
// while it is longer.
const (
	recheck        = 10 * time.Second
	longestRecheck = 5 * time.Minute
)

// RecheckAfter is when to look again for an identity or a key, of tokens that were issued then: the longer it takes, the later.
func RecheckAfter(f facts.Facts, issued time.Time) time.Duration {
	return f.SoonEnough(min(max(recheck, f.Now.Sub(issued)/4), longestRecheck))
}

// AccountOf is the account that an identity request told.
func AccountOf(identity answer.Identity) custody.Account {
	return custody.Account{ID: identity.ID, Login: identity.Login, By: marketplace.ByIdentityRequest}
}

// TokenToIdentify is the access token of the account that is asked for: the candidate grant's, or else the one in use.
func TokenToIdentify(f facts.Facts) string {
	if candidate := f.CandidateGrant(); candidate != nil {
		return candidate.Tokens.AccessToken
	}
	return f.Custody.Tokens.AccessToken
}

// AfterIDToken is the change after the check of a candidate grant's ID token; nil says that it holds.
func AfterIDToken(f facts.Facts, failure error) Change {
	switch {
	case failure == nil:
		return Change{verified: true}.by(states.IDTokenChecked)
	case candidateEnded(&f):
		return ExpireCandidate(f).by(states.IDTokenChecked)
	case answer.AsError(failure).Kind == answer.Unavailable:
		return candidateWaits(f, facts.Failure{Reason: v1alpha1.ReasonMarketplaceUnavailable, Message: fmt.Sprintf("A new sign-in waits to be used: %v", failure)}).by(states.IDTokenChecked)
	}
	why, _ := failures.Of(f, failure)
	why.Reason = v1alpha1.ReasonSignInRequired
	return dropSignIn(f, why).by(states.IDTokenChecked)
}

// DecideOnCandidate accepts or rejects a candidate grant by the facts at hand.
func DecideOnCandidate(f facts.Facts) Change {
	candidate := f.CandidateGrant()
	if candidate.Account.ID == "" && f.ExpectedAccount() != "" {
		return ExpireCandidate(f).by(states.Decided)
	}
	return decide(f, candidate.Account, candidate.Identified).by(states.Decided)
}

// AfterIdentity is the change after the answer of an identity request: of a candidate grant, or of the tokens in use, which are published although
// their seller is not known.
func AfterIdentity(f facts.Facts, identity answer.Identity, failure error) Change {
	candidate := f.CandidateGrant()
	known := failure == nil && identity.ID != ""
	said, answered := errors.AsType[*answer.IdentityError](failure)
	switch {
	case candidate == nil && !known:
		return Change{}.by(states.Identified)
	case candidate == nil:
		kept := f.Custody
		kept.Account, kept.Identified = AccountOf(identity), true
		return storeOnce(kept, Outcome{}).by(states.Identified)
	case answered && said.Refused() && candidate.Tokens.IssuedAt.Sub(f.Now) > f.AttemptTimeout: // the clock was set back, and does not tell that it has ended
		return ExpireCandidate(f).by(states.Identified)
	case candidate.Consent > 0 && answered && said.Final():
		return dropSignIn(f, facts.Failure{Reason: v1alpha1.ReasonScopeRejected, Message: fmt.Sprintf("%s does not tell the bearer of the new tokens whose they are (%v), "+
			"and expected is %s; ask for the scope that the identity request of the Marketplace needs", f.Request.Platform.DisplayName, failure, f.ExpectedAccount())}).by(states.Identified)
	case !known:
		if failure == nil {
			failure = errors.New("the answer names no account")
		}
		return candidateWaits(f, facts.Failure{Reason: v1alpha1.ReasonMarketplaceUnavailable, Message: fmt.Sprintf(
			"%s does not tell whose the new grant is, and it is not used before: %v", f.Request.Platform.DisplayName, failure)}).by(states.Identified)
	}
	return decide(f, AccountOf(identity), true).by(states.Identified)
}

// candidateWaits tells that a candidate grant is looked at again: the longer it has waited, the later.
func candidateWaits(f facts.Facts, why facts.Failure) Change {
	tokens := f.CandidateGrant().Tokens
	wait := min(RecheckAfter(f, tokens.IssuedAt), renewal.LongestWait(tokens.IssuedAt, tokens.ExpiresAt, f.Now))
	return Change{attempt: Outcome{Failure: &why, LookAgain: wait}}
}

// decide puts the candidate grant into use, whose account is now known, or keeps it waiting for another expectation. identified tells that
// an identity request told the account.
func decide(f facts.Facts, account custody.Account, identified bool) Change {
	kept := f.Custody
	candidate := *f.CandidateGrant()
	candidate.Account, candidate.Identified = account, identified
	if candidate.Consent > 0 {
		kept.SignIn = kept.SignIn.Clone()
		if !f.ExpectsAccount(account) {
			return rejectSignIn(f, kept, candidate)
		}
		return acceptSignIn(f, kept, candidate)
	}
	if !f.ExpectsAccount(account) {
		kept.Candidate = &candidate
		return Change{Store: &kept, OnlyCopy: true, attempt: failed(f.AccountMismatch(account.ID, f.ExpectedAccount()))}
	}
	kept.Serial++
	kept.Grant = candidate
	if f.Request.RenewsByRefreshToken() {
		kept.Journal = nil
		kept = kept.Recovered()
	}
	kept.Candidate, kept.Aside, kept.Verified, kept.Refused, kept.RefusedImport = nil, nil, nil, nil, nil
	return Change{Store: &kept, OnlyCopy: true, fresh: true, result: obtained(true)}
}

// ExpireCandidate drops a candidate grant whose tokens ended before their account was known.
func ExpireCandidate(f facts.Facts) Change {
	candidate := f.CandidateGrant()
	kept := f.Custody
	kept.Candidate = nil
	switch {
	case candidate.Consent > 0:
		return dropSignIn(f, facts.Failure{Reason: v1alpha1.ReasonSignInRequired, Message: fmt.Sprintf("%s did not tell in time who had signed in, so the last sign-in was not used; "+
			"a person must sign in again", f.Request.Platform.DisplayName)})
	case !f.Request.Rotates():
		return storeOnce(kept, Outcome{}) // the token that it began with can be sent again
	}
	return refuseImport(f, facts.Failure{Reason: v1alpha1.ReasonAccountMismatch, Message: fmt.Sprintf("%s did not tell in time whose the new grant is, "+
		"so it was not used; supply a new one%s", f.Request.Platform.DisplayName, facts.InSecret(f.Account))}, kept, candidate.Imported)
}

// AfterTest is the change after a test of the connection. Of an access token that the marketplace refuses nothing is recorded yet: tokens are renewed
// before people are told.
func AfterTest(f facts.Facts, identity answer.Identity, failure error) Change {
	test := custody.Verification{At: f.Now}
	account := AccountOf(identity)
	said, unproven := errors.AsType[*answer.IdentityError](failure)
	switch {
	case unproven && said.Refused():
		return Change{refused: true, result: Outcome{HandledVerify: true}}.by(states.Tested)
	case unproven:
		test.Failure, test.Unreachable = said.Error(), said.Unavailable() || said.Throttled()
	case identity.ID != "" && !f.ExpectsAccount(account) && (f.Account.Spec.AccountID != "" || f.Custody.Account.SameSource(account)):
		test.Failure = fmt.Sprintf("the access token belongs to account %s, expected is %s", identity.ID, f.ExpectedAccount())
	}
	change := tested(f, account, test)
	change.result.HandledVerify = true
	return change.by(states.Tested)
}

// TestUnsupported is the change after a test where no call tests the connection.
func TestUnsupported(f facts.Facts) Change {
	change := tested(f, custody.Account{}, custody.Verification{At: f.Now, Unsupported: true,
		Failure: "there is no call that tests it; " + v1alpha1.AnnotationRenew + " tests it by a renewal"})
	change.result.HandledVerify = true
	return change.by(states.Tested)
}

// AfterRefusedToken is the change after a test in which the marketplace refused the access token, and no other could be had.
func AfterRefusedToken(f facts.Facts) Change {
	test := custody.Verification{At: f.Now, Failure: "the marketplace refuses the access token", Refusals: 1}
	if was := f.Custody.Verified; was != nil && was.Refusals > 0 && f.Now.Sub(was.At) >= facts.Retest {
		test.Refusals = 2
	}
	change := tested(f, custody.Account{}, test)
	change.settled = true
	return change.by(states.TokenRefused)
}

// tested records a test of the connection, and the account that it told.
func tested(f facts.Facts, account custody.Account, test custody.Verification) Change {
	kept := f.Custody
	kept.Verified = &test
	kept.Identified = kept.Identified || test.Failure == ""
	if account.ID != "" && (kept.Account.ID == "" || kept.Account.ID == account.ID) {
		if kept.Account.By != "" {
			account.By = kept.Account.By
		}
		kept.Account = account
	}
	return storeOnce(kept, Outcome{})
}

// TestSupported tells that the platform has a call that tests the account's access token.
func TestSupported(f facts.Facts) bool {
	return f.Request.Platform.CanIdentify() && f.Request.Grant != v1alpha1.GrantClientCredentials
}
