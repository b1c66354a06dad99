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
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
	"github.com/tokenkeeper/tokenkeeper/internal/throttle"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// recheck is when to look again at what can only be waited for: an identity or a key that could not be fetched. After a
// while it is longer.
const (
	recheck        = 10 * time.Second
	longestRecheck = 5 * time.Minute
)

// identifyTimeout is short, since tokens wait to be published meanwhile.
const identifyTimeout = 5 * time.Second

// longestGraceWait bounds how long an attempt of another process is waited for where a spent refresh token still works.
const longestGraceWait = 10 * time.Second

// retest is when to repeat a test of the connection that did not reach the marketplace.
const retest = time.Minute

// found is one look at an account: the facts, and what came of it.
type found struct {
	view
	outcome
	// grantSecret is where custody comes from; nil while there is none.
	grantSecret *corev1.Secret
	// published is the digest of the token Secret as it was before anything was done now; nil when there is none.
	published *corev1.Secret
	// inHand tells that an answer is stored, which is done on top of whatever is there.
	inHand bool
}

// outcome is what one look at an account has brought to light, and what was done about it.
type outcome struct {
	// trouble is what is wrong; nil when nothing is.
	trouble *trouble
	// unresolved tells that what the account refers to is not known, or not in order, so that the request is incomplete and the
	// marketplace cannot be asked.
	unresolved bool
	// failed tells that an attempt was made now and brought no tokens that may be used; obtained, that it did.
	failed, obtained bool
	// first tells that the tokens obtained are the first of their grant.
	first bool
	// planned is when the renewal that was done now should have been done; zero when none was due.
	planned time.Time
	// servedUntil is when the token that workloads read expires; zero when there is none.
	servedUntil time.Time
	// handledRenew, handledVerify and handledSignIn tell that the request annotations were acted on.
	handledRenew, handledVerify, handledSignIn bool
	// invitation is what a person needs for signing in; nil while nobody has to.
	invitation *v1alpha1.SignInStatus
	// invited tells that it was looked after.
	invited bool
	// noPortal tells that a person should sign in and there is no place for it.
	noPortal bool
	// discarded tells that a sign-in brought tokens which are not the expected account's, wrongAccount whose they are as far as
	// known.
	discarded    bool
	wrongAccount string
	// dropped is why a sign-in that waited was forgotten; nil when none was.
	dropped *trouble
	// duplicateOf names an older account of the same seller; empty when there is none.
	duplicateOf string
	// waits is for what the account waits at its marketplace's limiter since waitsSince, and called when it may be its turn; zero
	// when that is not known.
	waits              []purpose
	waitsSince, called time.Time
	// unasked tells that the account is healthy, and only the limiter or the circuit breaker holds its renewal.
	unasked bool
	// waitsToTest tells that a test of the connection waits for its turn.
	waitsToTest bool
	// postponed is when to see whether another process has renewed; zero when none seems to.
	postponed time.Time
	// withheld says why the ID token is not published, as the end of what Ready says; empty when it is, or when there is none.
	withheld string
	// askAgainAt is when an account looks again whether it asks for its application, which was refused; zero when that is in order.
	askAgainAt time.Time
	// goesOn tells that this look ended early, since the API server did not do its part, and is repeated.
	goesOn bool
	// recheck is when to look again at what can only be waited for; zero when there is nothing.
	recheck time.Duration
}

// blame notes what is wrong, unless something worse is known already.
func (o *outcome) blame(t *trouble) {
	if o.trouble == nil {
		o.trouble = t
	}
}

// renew gathers, decides, obtains and stores. What it found is worth reporting even when it returns an error, which
// is the API server's.
func (r *Reconciler) renew(ctx context.Context, account *v1alpha1.MarketplaceAccount) (*found, error) {
	f := &found{view: r.viewOf(account), outcome: outcome{unresolved: true}}
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
		f.trouble = &trouble{v1alpha1.ReasonSecretInvalid, err.Error()}
		return f, nil
	}
	if outdated { // or the cache is
		if _, err := r.openStore(ctx, f); err != nil {
			return nil, err
		}
		if f.trouble != nil {
			return f, nil
		}
	}
	if err := r.storePending(ctx, f); err != nil || f.trouble != nil {
		return f, err
	}
	if f.newer() != nil {
		return f, r.storeInHand(ctx, f)
	}
	f.request, f.trouble, err = r.resolve(ctx, f.view)
	if err != nil {
		return nil, err
	}
	f.unresolved = f.trouble != nil
	r.noteLogin(f)
	if !f.unresolved {
		r.admitRequests(f)
		r.askAgain(f)
		if err := r.storeApproval(ctx, f); err != nil {
			return f, err
		}
		if f.newer() != nil {
			return f, r.storeInHand(ctx, f)
		}
		f.codeUsed = r.codeUnanswered(f)
		if f.sellerElsewhere, err = r.heldElsewhere(ctx, f.view); err != nil {
			return f, err
		}
		if err := r.acceptCandidate(ctx, f); err != nil {
			return f, err
		}
		if err := r.acceptAside(ctx, f); err != nil {
			return f, err
		}
		if f.aheadOfClock() {
			if err := r.setRest(ctx, f); err != nil {
				return f, err
			}
		}
		if f.plan().Due {
			if err := r.renewNow(ctx, f); err != nil {
				return f, err
			}
		} else if f.requested() && f.blocked() {
			f.handledRenew = true // there is nothing to ask with, and the conditions say what is needed
		}
		if err := r.invite(ctx, f); err != nil {
			return f, err
		}
	}
	if err := r.publish(ctx, f); err != nil || f.unresolved {
		return f, err
	}
	if err := r.findDuplicate(ctx, f); err != nil {
		return f, err
	}
	return f, r.verify(ctx, f)
}

// storeInHand stores what is in memory on top of a custody that a later version wrote, and does nothing else with it.
func (r *Reconciler) storeInHand(ctx context.Context, f *found) error {
	if r.hasPending(f.account) {
		if err := r.flush(ctx, f.account); err != nil {
			return err
		}
	}
	f.unresolved, f.trouble = true, &trouble{v1alpha1.ReasonSecretInvalid, f.newer().Error()}
	return nil
}

// usable tells whether there is a token that has not expired.
func (v view) usable() bool {
	return v.custody.Tokens != nil && v.now.Before(v.custody.Tokens.ExpiresAt)
}

// renewNow asks the marketplace. It does not trust the cache, which may still show a refresh token that was spent: the journal
// is written on top of what the cache shows, and loses where that is not the latest. Where none is written, and after it has
// lost, the custody is read live.
func (r *Reconciler) renewNow(ctx context.Context, f *found) error {
	if f.postponed = f.others(); !f.postponed.IsZero() {
		return nil
	}
	if held, err := r.beginLogin(ctx, f); held || err != nil {
		return err
	}
	defer r.endLogin(f)
	pass := r.enter(f, renewing, rankOf(f.view))
	if pass == nil {
		return nil
	}
	defer unused(pass)
	store := &store{Reconciler: r, grants: r.grants, found: f, held: f.held()}
	if r.grants.TakeStale(f.account.UID) || !f.request.rotates() || f.restored() || f.resting() {
		var err error
		if store, err = r.openStore(ctx, f); err != nil || store == nil || !f.plan().Due {
			return err
		}
		if f.postponed = f.others(); !f.postponed.IsZero() {
			return nil
		}
	}
	done, ok := r.grants.Spend()
	if !ok {
		return nil // a shutdown begins
	}
	defer done()
	requested := f.requested()
	if tokens := f.custody.Tokens; tokens != nil && !f.now.Before(tokens.RenewAt) {
		f.planned = tokens.RenewAt
	}
	endpoint, failure := r.endpoint(ctx, f.request, wireGrant(f.request))
	if failure != nil {
		r.sends(f)
		f.handledRenew = requested
		leave(pass, failure)
		return store.failure(ctx, failure, false)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("renewing: %w", err)
	}
	// From here on a shutdown waits: a request that is broken off may have spent a refresh token.
	ctx = context.WithoutCancel(ctx)
	if f.request.rotates() {
		forbidden, err := store.journal(ctx)
		if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
			r.grants.SetStale(f.account.UID)
		}
		if forbidden || err != nil {
			return err
		}
	}
	f.handledRenew = requested
	r.sends(f)
	got, failure := r.obtain(ctx, f.view, endpoint)
	leave(pass, failure)
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
	if err != nil || store == nil || !f.aheadOfClock() {
		return err
	}
	custody, entry := f.custody, *f.journal()
	entry.StartedAt, entry.LastAt = since(entry.StartedAt, f.now), f.now
	f.record(&custody, &entry)
	return store.write(ctx, custody)
}

// acceptCandidate puts a new grant into use once it is known to belong to the expected account.
func (r *Reconciler) acceptCandidate(ctx context.Context, f *found) error {
	if f.candidate() == nil || f.suspended() {
		return nil
	}
	if id := f.candidate().Account.ID; id != "" && !f.expects(id) {
		return nil // until the expectation changes, or the user brings another grant
	}
	age := f.now.Sub(f.candidate().Tokens.IssuedAt)
	if f.candidate().Consent > 0 && age >= 0 && age < 2*identifyTimeout {
		f.recheck = recheck
		return nil // whoever took the sign-in asks first, since a person waits for it
	}
	store, err := r.openStore(ctx, f)
	if err != nil || store == nil || f.candidate() == nil {
		return err
	}
	if f.candidate().Unverified {
		if verified, err := r.vetCandidate(ctx, f, store); !verified || err != nil {
			return err
		}
	}
	return r.identify(ctx, f, store)
}

// acceptAside puts a grant of another account into use that a renewal brought, once the spec names that account.
func (r *Reconciler) acceptAside(ctx context.Context, f *found) error {
	if !f.asideIsExpected() || f.suspended() {
		return nil
	}
	store, err := r.openStore(ctx, f)
	if err != nil || store == nil || !f.asideIsExpected() {
		return err
	}
	custody := f.custody
	custody.Serial++
	custody.Grant = *custody.Aside
	custody.Aside, custody.Candidate, custody.Journal, custody.Verified, custody.Refused = nil, nil, nil, nil, nil
	if err := store.keep(ctx, custody); err != nil {
		return err
	}
	f.obtained, f.first = true, true
	return nil
}

// vetCandidate verifies the ID token of a sign-in that was stored while the issuer's keys could not be had.
func (r *Reconciler) vetCandidate(ctx context.Context, f *found, store *store) (verified bool, err error) {
	candidate := f.candidate()
	err = r.verifyIDToken(ctx, f.request, candidate.Tokens.IDToken, "") // its nonce was looked at when it came
	switch {
	case err == nil:
		return true, nil
	case !f.now.Before(candidate.Tokens.ExpiresAt):
		return false, store.giveUp(ctx)
	case answer.AsError(err).Kind == answer.Unavailable:
		f.waitFor(candidate)
		f.blame(&trouble{v1alpha1.ReasonMarketplaceUnavailable, fmt.Sprintf("A new sign-in waits to be used: %v", err)})
		return false, nil
	}
	why, _ := troubleOf(f.view, err)
	why.reason = v1alpha1.ReasonSignInRequired
	return false, store.drop(ctx, why)
}

// waitFor sets when to ask again about a grant that waits: the longer it has waited, the later.
func (f *found) waitFor(candidate *custody.Grant) {
	wait := min(max(recheck, f.now.Sub(candidate.Tokens.IssuedAt)/4), longestRecheck)
	f.recheck = f.soonEnough(min(wait, renewal.LongestWait(candidate.Tokens.IssuedAt, candidate.Tokens.ExpiresAt, f.now)))
}

// identify learns by one call whose tokens were stored, where nothing else tells: of a candidate, to accept it or not,
// and of a grant in use, for people.
func (r *Reconciler) identify(ctx context.Context, f *found, store *store) error {
	candidate := f.candidate()
	switch {
	case candidate != nil && (candidate.Account.ID != "" || f.expectedAccount() == ""):
		return store.judge(ctx, candidate.Account, candidate.Identified)
	case candidate == nil && f.custody.Account.ID != "", !f.canIdentify():
		return nil
	}
	tokens := f.custody.Tokens
	if candidate != nil {
		tokens = candidate.Tokens
	}
	if tokens == nil {
		return nil
	}
	if !f.now.Before(tokens.ExpiresAt) {
		return store.giveUp(ctx)
	}
	asking, cancel := context.WithTimeout(ctx, identifyTimeout)
	defer cancel()
	var identity marketplace.Identity
	var err error
	// Nobody waits for a turn here: how many come at once is bounded by the requests for tokens that went before.
	if pass, wait := r.enterToIdentify(f.view); pass != nil || wait.Cause == throttle.Turn {
		identity, err = r.whose(asking, f.view, tokens.AccessToken, pass)
	} else {
		err = unasked(wait)
	}
	r.Gates.Forget(waiterOf(f.account, identifying))
	switch {
	case candidate == nil && (err != nil || identity.ID == ""):
		return nil // not knowing the seller is no reason to keep tokens from anybody
	case candidate == nil:
		return store.learn(ctx, accountOf(identity))
	case candidate.Consent > 0 && forbidden(err):
		return store.drop(ctx, trouble{v1alpha1.ReasonScopeRejected, fmt.Sprintf("%s does not tell the bearer of the new tokens whose they are (%v), "+
			"and expected is %s; ask for the scope that the identity request of the Marketplace needs", f.request.platform.DisplayName, err, f.expectedAccount())})
	case err != nil || identity.ID == "":
		f.waitFor(candidate)
		f.blame(&trouble{v1alpha1.ReasonMarketplaceUnavailable, fmt.Sprintf(
			"%s does not tell whose the new grant is, and it is not used before: %v", f.request.platform.DisplayName, unnamed(err))})
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

// canIdentify tells whether a call tells whose tokens these are. An application's own tokens are nobody's.
func (v view) canIdentify() bool {
	return v.request.platform.NamesAccount() && v.request.grant != v1alpha1.GrantClientCredentials
}

// verify tests the connection when somebody asks for it.
func (r *Reconciler) verify(ctx context.Context, f *found) error {
	value := requestOf(f.account, v1alpha1.AnnotationVerify)
	again := f.nextTest()
	if value != "" && !f.usable() && f.blocked() {
		f.handledVerify = true // there is nothing to test, and the conditions say what is needed
		return nil
	}
	due := f.testRequested() || !again.IsZero() && !f.now.Before(again)
	if value == "" || !due || f.suspended() || !f.usable() {
		return nil
	}
	verification := custody.Verification{At: f.now}
	var identity marketplace.Identity
	if !f.request.platform.CanIdentify() || f.request.grant == v1alpha1.GrantClientCredentials {
		verification.Unsupported = true
		verification.Failure = "there is no call that tests it; " + v1alpha1.AnnotationRenew + " tests it by a renewal"
	} else {
		pass, wait := r.enterToIdentify(f.view)
		if pass == nil && wait.Cause == throttle.Turn {
			f.waitsToTest = true
			return nil
		}
		var err error
		if pass == nil {
			err = unasked(wait)
		} else {
			identity, err = r.whose(ctx, f.view, f.custody.Tokens.AccessToken, pass)
		}
		if answer, ok := errors.AsType[*marketplace.IdentityError](err); ok {
			if answer.Refused() {
				f.handledVerify = true
				return r.replaceRefused(ctx, f)
			}
			verification.Failure = answer.Error()
			verification.Unreachable = answer.Unavailable() || answer.Status == http.StatusTooManyRequests
		}
	}
	f.handledVerify = true
	tested := f.custody.Tokens.AccessToken
	store, err := r.openStore(ctx, f)
	if err != nil || store == nil {
		return err
	}
	if tokens := f.custody.Tokens; tokens == nil || tokens.AccessToken != tested {
		f.handledVerify, f.recheck = false, time.Second // somebody has stored others meanwhile
		return nil
	}
	if identity.ID != "" && !f.expectsOf(accountOf(identity)) {
		verification.Failure = fmt.Sprintf("the access token belongs to account %s, expected is %s", identity.ID, f.expectedAccount())
	}
	return store.verified(ctx, accountOf(identity), verification)
}

// nextTest is when to repeat a test that did not reach the marketplace, or whose refusal would end the rest of a refresh token;
// zero when there is nothing to repeat.
func (v view) nextTest() time.Time {
	verified := v.custody.Verified
	again := verified != nil && (verified.Unreachable || verified.Refusals == 1 && v.custody.Identified && v.resting())
	if !again || v.suspended() || !v.usable() || v.account.Annotations[v1alpha1.AnnotationVerify] == "" {
		return time.Time{}
	}
	return verified.At.Add(retest)
}

// replaceRefused renews a token that the marketplace does not honour, although its time is not over.
func (r *Reconciler) replaceRefused(ctx context.Context, f *found) error {
	f.tokenRefused = true
	if f.plan().Due {
		if err := r.renewNow(ctx, f); err != nil {
			return err
		}
	}
	f.tokenRefused = false
	if f.obtained {
		return r.publish(ctx, f)
	}
	store, err := r.openStore(ctx, f)
	if err != nil || store == nil {
		return err
	}
	verification := custody.Verification{At: f.now, Failure: "the marketplace refuses the access token", Refusals: 1}
	if was := f.custody.Verified; was != nil && was.Refusals > 0 && f.now.Sub(was.At) >= retest {
		verification.Refusals = 2
	}
	return store.verified(ctx, custody.Account{}, verification)
}

// vet checks the ID token that a sign-in brought, if it brought one: that it was made for this sign-in, where a nonce was
// sent, and that it is its issuer's. unverified tells that the issuer's keys could not be had.
func (r *Reconciler) vet(ctx context.Context, req request, got issued, nonce string) (unverified bool, err error) {
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
func (r *Reconciler) verifyIDToken(ctx context.Context, req request, idToken, nonce string) error {
	if req.platform == nil || req.platform.Issuer == "" || idToken == "" {
		return nil
	}
	if err := r.Providers.Verify(ctx, req.platform.Issuer, req.application.ClientID, idToken, nonce); err != nil {
		return answer.AsError(err)
	}
	return nil
}
