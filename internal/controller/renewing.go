package controller

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/driver"
	"github.com/tokenkeeper/tokenkeeper/internal/grantstore"
	"github.com/tokenkeeper/tokenkeeper/internal/kube"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/oauthclient"
	"github.com/tokenkeeper/tokenkeeper/internal/throttle"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

// renew asks the marketplace for tokens. It does not trust the cache, which may still show a refresh token that was spent: the journal
// is written on top of the cached version, and loses where that is not the latest. Where none is written, and after it has
// lost, the custody is read live, but for the custody of a new account.
//
// The look is changed in place: copies of it would stay on the stacks of all workers while requests are under way.
func (r *reconciler) renew(ctx context.Context, l *driver.Look) error {
	if held, err := r.beginLogin(ctx, l); held || err != nil {
		return err
	}
	defer func() { r.logins.End(l.Facts) }()
	permit := r.acquire(l)
	if permit == nil {
		return nil
	}
	defer permit.ReleaseUnused()
	if r.grants.TakeStale(l.Account.UID) || l.Restored() || l.Resting() || !l.Request.Rotates() && !r.isNew(ctx, l) {
		if due, err := r.confirm(ctx, l, lifecycle.Renew); err != nil || !due {
			return err
		}
	}
	done, ok := r.grants.Spend()
	if !ok {
		return nil // a shutdown begins
	}
	defer done()
	if tokens := l.Custody.Tokens; tokens != nil && !l.Now.Before(tokens.RenewAt) {
		l.DueSince(tokens.RenewAt)
	}
	endpoint, failure := r.OAuth.Endpoint(ctx, l.Request, oauthclient.WireGrant(l.Request))
	if failure != nil {
		r.sends(l)
		permit.Release(failure)
		return r.afterFailure(ctx, l, failure, false)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("renewing: %w", err)
	}
	// From here on a shutdown waits: a request that is broken off may have spent a refresh token.
	ctx = context.WithoutCancel(ctx)
	leave, may, err := r.journal(ctx, l)
	if err != nil || !may {
		return err
	}
	r.sends(l)
	got, failure := r.OAuth.Tokens(ctx, leave, endpoint)
	permit.Release(failure)
	if failure != nil {
		r.seekSeller(ctx, l)
		return r.afterFailure(ctx, l, failure, true)
	}
	return r.afterIssued(ctx, l, &got)
}

// isNew tells that no grant Secret of the account is known: neither to the caches, which show it also without its labels, nor to the status. Where there is one
// that no cache shows yet, it keeps its content: the first custody of an account creates the Secret, which fails then.
func (r *reconciler) isNew(ctx context.Context, l *driver.Look) bool {
	if l.GrantSecret != nil || l.Account.Status.ObservedGeneration > 0 {
		return false
	}
	key := client.ObjectKey{Namespace: l.Account.Namespace, Name: l.Account.GrantSecretName()}
	return apierrors.IsNotFound(r.tokens.Metadata.Get(ctx, key, kube.SecretMetadata()))
}

// The steps of a renewal, each on a look in place.

// acquire returns a permit to ask for tokens, or nil and tells what the account waits for.
func (r *reconciler) acquire(l *driver.Look) *oauthclient.Permit {
	permit, waits := r.tryAcquire(l.Facts, lifecycle.Renewing, priorityOf(l.Facts))
	l.Add(waits)
	return permit
}

// sends notes that a request is sent. Were it part of renew, the copy of the facts would stay on the stack while the request is under way.
//
//go:noinline
func (r *reconciler) sends(l *driver.Look) {
	r.requests.Sends(l.Facts)
	l.Sent()
}

func (r *reconciler) afterIssued(ctx context.Context, l *driver.Look, got *lifecycle.Issued) error {
	change := lifecycle.AfterIssued(l.Facts, *got)
	return r.ApplyTo(ctx, l, &change)
}

func (r *reconciler) afterFailure(ctx context.Context, l *driver.Look, failure error, sent bool) error {
	change := lifecycle.AfterFailure(l.Facts, failure, sent)
	return r.ApplyTo(ctx, l, &change)
}

func (r *reconciler) beginLogin(ctx context.Context, l *driver.Look) (held bool, err error) {
	*l, held, err = r.logins.Begin(ctx, *l)
	return held, err
}

func (r *reconciler) confirm(ctx context.Context, l *driver.Look, action lifecycle.Action) (due bool, err error) {
	*l, due, err = r.Confirm(ctx, *l, action)
	return due, err
}

// seekSeller asks the cache about the seller of a token whose answer may be lost; where that fails, the next look asks. Its copies of the look are kept out of
// renew, as that of sends.
//
//go:noinline
func (r *reconciler) seekSeller(ctx context.Context, l *driver.Look) { *l, _ = r.SeekSeller(ctx, *l) }

// journal writes down that the refresh token is about to be sent, or that it is not; may tells whether there is leave to send it.
func (r *reconciler) journal(ctx context.Context, l *driver.Look) (leave oauthclient.Leave, may bool, err error) {
	sending := lifecycle.BeforeSending(l.Facts)
	if err := r.storeJournal(ctx, l, &sending); err != nil || sending.Forbidden {
		return leave, false, err
	}
	if leave, may = oauthclient.LeaveTo(sending, &l.Facts, r.Now()); !may {
		r.grants.RememberUnsent(l.Account, sending.Entry, sending.Former)
		l.Add(lifecycle.Outcome{LookAgain: driver.Soon})
	}
	return leave, may, nil
}

// storeJournal stores the entry of the journal, or why there is none.
func (r *reconciler) storeJournal(ctx context.Context, l *driver.Look, sending *lifecycle.Sending) error {
	if !sending.Forbidden {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeouts.Store)
		defer cancel()
	}
	err := r.ApplyTo(ctx, l, &sending.Change)
	switch {
	case err == nil:
	case apierrors.IsConflict(err):
		r.grants.SetStale(l.Account.UID)
	case sending.Entry != nil && grantstore.MayPass(err): // it may be on record all the same, of a token that was not sent
		r.grants.RememberUnsent(l.Account, sending.Entry, sending.Former)
	}
	return err
}

// verifyCandidate checks the ID token of a sign-in that was stored while the issuer's keys could not be had. Its nonce was looked at when
// it came.
func (r *reconciler) verifyCandidate(ctx context.Context, l driver.Look) (driver.Look, error) {
	l, due, err := r.Confirm(ctx, l, lifecycle.VerifyIDToken)
	if err != nil || !due {
		return l, err
	}
	return r.Apply(ctx, l, lifecycle.AfterIDToken(l.Facts, r.OAuth.VerifyIDToken(ctx, l.Request, l.CandidateGrant().Tokens.IDToken, "")))
}

// test asks the marketplace whether it honours the access token.
func (r *reconciler) test(ctx context.Context, l driver.Look) (driver.Look, error) {
	if !lifecycle.TestSupported(l.Facts) {
		return r.OnceConfirmed(ctx, l, lifecycle.Test, lifecycle.TestUnsupported)
	}
	permit, wait := r.OAuth.TryAcquireToIdentify(l.Facts)
	if permit == nil && wait.Cause == throttle.Turn {
		return l.With(lifecycle.Outcome{TestQueued: true}), nil
	}
	if permit != nil {
		defer permit.ReleaseUnused()
	}
	l, due, err := r.Confirm(ctx, l, lifecycle.Test)
	if err != nil || !due {
		return l, err
	}
	var identity answer.Identity
	var failure error = oauthclient.NotAsked(wait)
	if permit != nil {
		identity, failure = r.OAuth.IdentifyWith(ctx, l.Facts, l.Custody.Tokens.AccessToken, permit)
	}
	return r.Apply(ctx, l, lifecycle.AfterTest(l.Facts, identity, failure))
}
