package controller

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/grant"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
	"github.com/tokenkeeper/tokenkeeper/internal/throttle"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// recheck is when to look again at what can only be waited for: an identity or a key that could not be fetched. After a
// while it is longer.
const (
	recheck        = 10 * time.Second
	longestRecheck = 5 * time.Minute
)

// found is one look at an account: the facts, and what came of it.
type found struct {
	lifecycle.Facts
	lifecycle.Outcome
	// grantSecret is where custody comes from; nil while there is none.
	grantSecret *corev1.Secret
	// published is the digest of the token Secret as it was before anything was done now; nil when there is none.
	published *corev1.Secret
	// inHand tells that an answer is stored, which is done on top of whatever is there.
	inHand bool
}

// renew gathers, decides, obtains and stores. What it found is worth reporting even when it returns an error, which
// is the API server's.
func (r *Reconciler) renew(ctx context.Context, account *v1alpha1.MarketplaceAccount) (*found, error) {
	f := &found{Facts: r.factsOf(account), Outcome: lifecycle.Outcome{Unresolved: true}}
	held, err := r.grants.Cached(ctx, account)
	if err != nil {
		return nil, err
	}
	if err := r.lookAtPublished(ctx, f); err != nil {
		return nil, err
	}
	outdated, err := r.take(f, held)
	if tokensecret.IsNewer(err) {
		return f, r.storeInHand(ctx, f)
	}
	if err != nil {
		f.Failure = &lifecycle.Failure{Reason: v1alpha1.ReasonSecretInvalid, Message: err.Error()}
		return f, nil
	}
	if outdated { // or the cache is
		if _, err := r.openStore(ctx, f); err != nil {
			return nil, err
		}
		if f.Failure != nil {
			return f, nil
		}
	}
	if err := r.storePending(ctx, f); err != nil || f.Failure != nil {
		return f, err
	}
	if f.NewerCustody() != nil {
		return f, r.storeInHand(ctx, f)
	}
	f.Request, f.Failure, err = r.resolve(ctx, f.Facts)
	if err != nil {
		return nil, err
	}
	f.Unresolved = f.Failure != nil
	r.noteLogin(f)
	if !f.Unresolved {
		r.admitRequests(f)
		r.askAgain(f)
		if err := r.storeApproval(ctx, f); err != nil {
			return f, err
		}
		if f.NewerCustody() != nil {
			return f, r.storeInHand(ctx, f)
		}
		f.CodeUsed = r.codeUnanswered(f)
		if f.SellerElsewhere, err = r.heldElsewhere(ctx, f.Facts); err != nil {
			return f, err
		}
		if err := r.acceptCandidate(ctx, f); err != nil {
			return f, err
		}
		if err := r.acceptAside(ctx, f); err != nil {
			return f, err
		}
		if f.AheadOfClock() {
			if err := r.setRest(ctx, f); err != nil {
				return f, err
			}
		}
		if f.Plan().Due {
			if err := r.renewNow(ctx, f); err != nil {
				return f, err
			}
		} else if f.RenewalRequested() && f.CannotRenew() {
			f.HandledRenew = true // there is nothing to ask with, and the conditions say what is needed
		}
		if err := r.invite(ctx, f); err != nil {
			return f, err
		}
	}
	if err := r.publish(ctx, f); err != nil || f.Unresolved {
		return f, err
	}
	if err := r.findDuplicate(ctx, f); err != nil {
		return f, err
	}
	return f, r.verify(ctx, f)
}

// storeInHand stores what is in memory on top of a custody that a later version wrote, and does nothing else with it.
func (r *Reconciler) storeInHand(ctx context.Context, f *found) error {
	if r.hasPending(f.Account) {
		if err := r.flush(ctx, f.Account); err != nil {
			return err
		}
	}
	f.Unresolved, f.Failure = true, &lifecycle.Failure{Reason: v1alpha1.ReasonSecretInvalid, Message: f.NewerCustody().Error()}
	return nil
}

// renewNow asks the marketplace. It does not trust the cache, which may still show a refresh token that was spent: the journal
// is written on top of what the cache shows, and loses where that is not the latest. Where none is written, and after it has
// lost, the custody is read live.
func (r *Reconciler) renewNow(ctx context.Context, f *found) error {
	if f.Postponed = f.OtherProcessUntil(); !f.Postponed.IsZero() {
		return nil
	}
	if held, err := r.beginLogin(ctx, f); held || err != nil {
		return err
	}
	defer r.endLogin(f)
	permit := r.tryAcquire(f, lifecycle.Renewing, priorityOf(f.Facts))
	if permit == nil {
		return nil
	}
	defer permit.ReleaseUnused()
	store := &store{Reconciler: r, grants: r.grants, found: f, held: f.held()}
	if r.grants.TakeStale(f.Account.UID) || !f.Request.Rotates() || f.Restored() || f.Resting() {
		var err error
		if store, err = r.openStore(ctx, f); err != nil || store == nil || !f.Plan().Due {
			return err
		}
		if f.Postponed = f.OtherProcessUntil(); !f.Postponed.IsZero() {
			return nil
		}
	}
	done, ok := r.grants.Spend()
	if !ok {
		return nil // a shutdown begins
	}
	defer done()
	requested := f.RenewalRequested()
	if tokens := f.Custody.Tokens; tokens != nil && !f.Now.Before(tokens.RenewAt) {
		f.Planned = tokens.RenewAt
	}
	endpoint, failure := r.endpoint(ctx, f.Request, wireGrant(f.Request))
	if failure != nil {
		r.sends(f)
		f.HandledRenew = requested
		release(permit, failure)
		return store.failure(ctx, failure, false)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("renewing: %w", err)
	}
	// From here on a shutdown waits: a request that is broken off may have spent a refresh token.
	ctx = context.WithoutCancel(ctx)
	if f.Request.Rotates() {
		forbidden, err := store.journal(ctx)
		if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
			r.grants.SetStale(f.Account.UID)
		}
		if forbidden || err != nil {
			return err
		}
	}
	f.HandledRenew = requested
	r.sends(f)
	got, failure := r.obtain(ctx, f.Facts, endpoint)
	release(permit, failure)
	if failure != nil {
		return store.failure(ctx, failure, true)
	}
	if err := store.tokens(ctx, got); err != nil {
		return err
	}
	return r.identify(ctx, f, store)
}

// setRest counts the rest of a refresh token from now on, where the clock was set back.
func (r *Reconciler) setRest(ctx context.Context, f *found) error {
	store, err := r.openStore(ctx, f)
	if err != nil || store == nil || !f.AheadOfClock() {
		return err
	}
	custody, entry := f.Custody, *f.Journal()
	entry.StartedAt, entry.LastAt = lifecycle.NotAfter(entry.StartedAt, f.Now), f.Now
	f.SetJournal(&custody, &entry)
	return store.write(ctx, custody)
}

// acceptCandidate puts a new grant into use once it is known to belong to the expected account.
func (r *Reconciler) acceptCandidate(ctx context.Context, f *found) error {
	if f.CandidateGrant() == nil || f.Suspended() {
		return nil
	}
	if id := f.CandidateGrant().Account.ID; id != "" && !f.Expects(id) {
		return nil // until the expectation changes, or the user brings another grant
	}
	age := f.Now.Sub(f.CandidateGrant().Tokens.IssuedAt)
	if f.CandidateGrant().Consent > 0 && age >= 0 && age < 2*timeouts.Identify {
		f.LookAgain = recheck
		return nil // whoever took the sign-in asks first, since a person waits for it
	}
	store, err := r.openStore(ctx, f)
	if err != nil || store == nil || f.CandidateGrant() == nil {
		return err
	}
	if f.CandidateGrant().Unverified {
		if verified, err := r.vetCandidate(ctx, f, store); !verified || err != nil {
			return err
		}
	}
	return r.identify(ctx, f, store)
}

// acceptAside puts a grant of another account into use that a renewal brought, once the spec names that account.
func (r *Reconciler) acceptAside(ctx context.Context, f *found) error {
	if !f.AsideIsExpected() || f.Suspended() {
		return nil
	}
	store, err := r.openStore(ctx, f)
	if err != nil || store == nil || !f.AsideIsExpected() {
		return err
	}
	custody := f.Custody
	custody.Serial++
	custody.Grant = *custody.Aside
	custody.Aside, custody.Candidate, custody.Journal, custody.Verified, custody.Refused = nil, nil, nil, nil, nil
	if err := store.keep(ctx, custody); err != nil {
		return err
	}
	f.Obtained, f.First = true, true
	return nil
}

// vetCandidate verifies the ID token of a sign-in that was stored while the issuer's keys could not be had.
func (r *Reconciler) vetCandidate(ctx context.Context, f *found, store *store) (verified bool, err error) {
	candidate := f.CandidateGrant()
	err = r.verifyIDToken(ctx, f.Request, candidate.Tokens.IDToken, "") // its nonce was looked at when it came
	switch {
	case err == nil:
		return true, nil
	case !f.Now.Before(candidate.Tokens.ExpiresAt):
		return false, store.giveUp(ctx)
	case answer.AsError(err).Kind == answer.Unavailable:
		f.waitFor(candidate)
		f.Note(&lifecycle.Failure{Reason: v1alpha1.ReasonMarketplaceUnavailable, Message: fmt.Sprintf("A new sign-in waits to be used: %v", err)})
		return false, nil
	}
	why, _ := lifecycle.FailureOf(f.Facts, err)
	why.Reason = v1alpha1.ReasonSignInRequired
	return false, store.drop(ctx, why)
}

// waitFor sets when to ask again about a grant that waits: the longer it has waited, the later.
func (f *found) waitFor(candidate *custody.Grant) {
	wait := min(max(recheck, f.Now.Sub(candidate.Tokens.IssuedAt)/4), longestRecheck)
	f.LookAgain = f.SoonEnough(min(wait, renewal.LongestWait(candidate.Tokens.IssuedAt, candidate.Tokens.ExpiresAt, f.Now)))
}

// identify learns by one call whose tokens were stored, where nothing else tells: of a candidate, to accept it or not,
// and of a grant in use, for people.
func (r *Reconciler) identify(ctx context.Context, f *found, store *store) error {
	candidate := f.CandidateGrant()
	switch {
	case candidate != nil && (candidate.Account.ID != "" || f.ExpectedAccount() == ""):
		return store.judge(ctx, candidate.Account, candidate.Identified)
	case candidate == nil && f.Custody.Account.ID != "", !f.CanIdentify():
		return nil
	}
	tokens := f.Custody.Tokens
	if candidate != nil {
		tokens = candidate.Tokens
	}
	if tokens == nil {
		return nil
	}
	if !f.Now.Before(tokens.ExpiresAt) {
		return store.giveUp(ctx)
	}
	asking, cancel := context.WithTimeout(ctx, timeouts.Identify)
	defer cancel()
	var identity marketplace.Identity
	var err error
	// Nobody waits for a turn here: how many come at once is bounded by the requests for tokens that went before.
	if permit, wait := r.tryAcquireToIdentify(f.Facts); permit != nil || wait.Cause == throttle.Turn {
		identity, err = r.whose(asking, f.Facts, tokens.AccessToken, permit)
	} else {
		err = unasked(wait)
	}
	r.Limiters.Forget(waiterOf(f.Account, lifecycle.Identifying))
	switch {
	case candidate == nil && (err != nil || identity.ID == ""):
		return nil // not knowing the seller is no reason to keep tokens from anybody
	case candidate == nil:
		return store.learn(ctx, accountOf(identity))
	case candidate.Consent > 0 && forbidden(err):
		return store.drop(ctx, lifecycle.Failure{Reason: v1alpha1.ReasonScopeRejected, Message: fmt.Sprintf("%s does not tell the bearer of the new tokens whose they are (%v), "+
			"and expected is %s; ask for the scope that the identity request of the Marketplace needs", f.Request.Platform.DisplayName, err, f.ExpectedAccount())})
	case err != nil || identity.ID == "":
		f.waitFor(candidate)
		f.Note(&lifecycle.Failure{Reason: v1alpha1.ReasonMarketplaceUnavailable, Message: fmt.Sprintf(
			"%s does not tell whose the new grant is, and it is not used before: %v", f.Request.Platform.DisplayName, unnamed(err))})
		return nil
	}
	return store.judge(ctx, accountOf(identity), true)
}

// accountOf is the account that an identity request told.
func accountOf(identity marketplace.Identity) custody.Account {
	return custody.Account{ID: identity.ID, Login: identity.Login, By: "identity request"}
}

// forbidden tells that the identity request will not be answered, however often it is asked.
func forbidden(err error) bool {
	answer, ok := errors.AsType[*marketplace.IdentityError](err)
	return ok && (answer.Status == http.StatusForbidden || answer.Status == http.StatusNotFound)
}

func unnamed(err error) error {
	if err == nil {
		return errors.New("the answer names no account")
	}
	return err
}

// verify tests the connection when somebody asks for it.
func (r *Reconciler) verify(ctx context.Context, f *found) error {
	value := lifecycle.RequestOf(f.Account, v1alpha1.AnnotationVerify)
	again := f.NextTest()
	if value != "" && !f.Usable() && f.CannotRenew() {
		f.HandledVerify = true // there is nothing to test, and the conditions say what is needed
		return nil
	}
	due := f.TestRequested() || !again.IsZero() && !f.Now.Before(again)
	daily := f.DailyTest()
	isDaily := !daily.IsZero() && !f.Now.Before(daily)
	if !isDaily && (value == "" || !due) || f.Suspended() || !f.Usable() {
		return nil
	}
	verification := custody.Verification{At: f.Now}
	var identity marketplace.Identity
	if !f.Request.Platform.CanIdentify() || f.Request.Grant == v1alpha1.GrantClientCredentials {
		verification.Unsupported = true
		verification.Failure = "there is no call that tests it; " + v1alpha1.AnnotationRenew + " tests it by a renewal"
	} else {
		permit, wait := r.tryAcquireToIdentify(f.Facts)
		if permit == nil && wait.Cause == throttle.Turn {
			f.TestQueued = true
			return nil
		}
		var err error
		if permit == nil {
			err = unasked(wait)
		} else {
			identity, err = r.whose(ctx, f.Facts, f.Custody.Tokens.AccessToken, permit)
		}
		if answer, ok := errors.AsType[*marketplace.IdentityError](err); ok {
			if answer.Refused() {
				f.HandledVerify = true
				return r.replaceRefused(ctx, f)
			}
			verification.Failure = answer.Error()
			verification.Unreachable = answer.Unavailable() || answer.Status == http.StatusTooManyRequests
		}
	}
	f.HandledVerify = true
	tested := f.Custody.Tokens.AccessToken
	store, err := r.openStore(ctx, f)
	if err != nil || store == nil {
		return err
	}
	if tokens := f.Custody.Tokens; tokens == nil || tokens.AccessToken != tested {
		f.HandledVerify, f.LookAgain = false, time.Second // somebody has stored others meanwhile
		return nil
	}
	if identity.ID != "" && !f.ExpectsAccount(accountOf(identity)) {
		verification.Failure = fmt.Sprintf("the access token belongs to account %s, expected is %s", identity.ID, f.ExpectedAccount())
	}
	return store.verified(ctx, accountOf(identity), verification)
}

// replaceRefused renews a token that the marketplace does not honour, although its time is not over.
func (r *Reconciler) replaceRefused(ctx context.Context, f *found) error {
	f.TokenRefused = true
	if f.Plan().Due {
		if err := r.renewNow(ctx, f); err != nil {
			return err
		}
	}
	f.TokenRefused = false
	if f.Obtained {
		return r.publish(ctx, f)
	}
	store, err := r.openStore(ctx, f)
	if err != nil || store == nil {
		return err
	}
	verification := custody.Verification{At: f.Now, Failure: "the marketplace refuses the access token", Refusals: 1}
	if was := f.Custody.Verified; was != nil && was.Refusals > 0 && f.Now.Sub(was.At) >= lifecycle.Retest {
		verification.Refusals = 2
	}
	err = store.verified(ctx, custody.Account{}, verification)
	if f.EndlessRefused() {
		f.LookAgain = time.Second // now a person must sign in, who needs a link
	}
	return err
}

// vet checks the ID token that a sign-in brought, if it brought one: that it was made for this sign-in, where a nonce was
// sent, and that it is its issuer's. unverified tells that the issuer's keys could not be had.
func (r *Reconciler) vet(ctx context.Context, req lifecycle.Request, got lifecycle.Issued, nonce string) (unverified bool, err error) {
	switch {
	case got.IDToken == "" && nonce != "": // OpenID Connect Core section 3.1.3.3
		return false, &answer.Error{Kind: answer.GrantRejected, Message: "it sent no ID token, although the scope openid was asked for"}
	case got.IDToken == "":
		return false, nil
	}
	// It came from the token endpoint itself, over TLS (OpenID Connect Core section 3.1.3.7).
	if nonce != "" && subtle.ConstantTimeCompare([]byte(grant.Claim(got.IDToken, "nonce")), []byte(nonce)) != 1 {
		return false, &answer.Error{Kind: answer.GrantRejected, Message: "the ID token was made for another sign-in"}
	}
	err = r.verifyIDToken(ctx, req, got.IDToken, nonce)
	if err != nil && answer.AsError(err).Kind == answer.Unavailable {
		return true, nil
	}
	return false, err
}

// verifyIDToken checks an ID token against its issuer's keys, where the Marketplace names an issuer. An empty nonce is not
// looked at.
func (r *Reconciler) verifyIDToken(ctx context.Context, req lifecycle.Request, idToken, nonce string) error {
	if req.Platform == nil || req.Platform.Issuer == "" || idToken == "" {
		return nil
	}
	if err := r.Providers.Verify(ctx, req.Platform.Issuer, req.Application.ClientID, idToken, nonce); err != nil {
		return answer.AsError(err)
	}
	return nil
}
