package controller

import (
	"context"
	"errors"
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
func (r *reconciler) renew(ctx context.Context, l driver.Look) (renewed driver.Look, err error) {
	l, held, err := r.logins.Begin(ctx, l)
	if held || err != nil {
		return l, err
	}
	defer func() { r.logins.End(renewed.Facts) }()
	permit, waits := r.tryAcquire(l.Facts, lifecycle.Renewing, priorityOf(l.Facts))
	if permit == nil {
		return l.With(waits), nil
	}
	defer permit.ReleaseUnused()
	if r.grants.TakeStale(l.Account.UID) || l.Restored() || l.Resting() || !l.Request.Rotates() && !r.isNew(ctx, l) {
		confirmed, due, err := r.Confirm(ctx, l, lifecycle.Renew)
		if err != nil || !due {
			return confirmed, err
		}
		l = confirmed
	}
	done, ok := r.grants.Spend()
	if !ok {
		return l, nil // a shutdown begins
	}
	defer done()
	if tokens := l.Custody.Tokens; tokens != nil && !l.Now.Before(tokens.RenewAt) {
		l = l.With(lifecycle.Outcome{Planned: tokens.RenewAt})
	}
	endpoint, failure := r.OAuth.Endpoint(ctx, l.Request, oauthclient.WireGrant(l.Request))
	if failure != nil {
		l.Facts = r.requests.Sends(l.Facts)
		permit.Release(failure)
		return r.Apply(ctx, l, lifecycle.AfterFailure(l.Facts, failure, false))
	}
	if err := ctx.Err(); err != nil {
		return l, fmt.Errorf("renewing: %w", err)
	}
	// From here on a shutdown waits: a request that is broken off may have spent a refresh token.
	ctx = context.WithoutCancel(ctx)
	sending := lifecycle.BeforeSending(l.Facts)
	if l, err = r.journal(ctx, l, sending); err != nil || sending.Forbidden {
		return l, err
	}
	if entry := sending.Entry; entry != nil && !r.Now().Before(l.SendBy(entry)) { // this process stood still, and another may have sent it
		r.grants.RememberUnsent(l.Account, entry, sending.Former)
		return l.With(lifecycle.Outcome{LookAgain: driver.Soon}), nil
	}
	asked := l
	asked.Facts = r.requests.Sends(l.Facts)
	got, failure := r.OAuth.Tokens(ctx, asked.Facts, endpoint)
	permit.Release(failure)
	if failure != nil {
		if asked, err = r.SeekSeller(ctx, asked); err != nil {
			asked.SellerElsewhere = false // the next look tells
		}
		return r.Apply(ctx, asked, lifecycle.AfterFailure(asked.Facts, failure, true))
	}
	return r.Apply(ctx, asked, lifecycle.AfterIssued(asked.Facts, got))
}

// isNew tells that nothing says of a grant Secret of the account: neither the caches, also where the Secret has lost its labels, nor the status. One that
// no cache shows yet keeps what it holds: the first custody of an account creates its Secret, which fails where there is one.
func (r *reconciler) isNew(ctx context.Context, l driver.Look) bool {
	if l.GrantSecret != nil || l.Account.Status.ObservedGeneration > 0 {
		return false
	}
	key := client.ObjectKey{Namespace: l.Account.Namespace, Name: l.Account.GrantSecretName()}
	return apierrors.IsNotFound(r.tokens.Metadata.Get(ctx, key, kube.SecretMetadata()))
}

// journal writes down that the refresh token is about to be sent, or that it is not.
func (r *reconciler) journal(ctx context.Context, l driver.Look, sending lifecycle.Sending) (driver.Look, error) {
	if !sending.Forbidden {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeouts.Store)
		defer cancel()
	}
	l, err := r.Apply(ctx, l, sending.Change)
	switch {
	case err == nil:
		return l, nil
	case apierrors.IsConflict(err):
		r.grants.SetStale(l.Account.UID)
	case sending.Entry != nil && grantstore.MayPass(err): // it may be on record all the same, of a token that was not sent
		r.grants.RememberUnsent(l.Account, sending.Entry, sending.Former)
	}
	return l, err
}

// verifyCandidate checks the ID token of a sign-in that was stored while the issuer's keys could not be had. Its nonce was looked at when
// it came.
func (r *reconciler) verifyCandidate(ctx context.Context, l driver.Look) (driver.Look, error) {
	l, due, err := r.Confirm(ctx, l, lifecycle.VerifyIDToken)
	if err != nil || !due {
		return l, err
	}
	facts, change := lifecycle.AfterIDToken(l.Facts, r.OAuth.VerifyIDToken(ctx, l.Request, l.CandidateGrant().Tokens.IDToken, ""))
	l.Facts = facts
	return r.Apply(ctx, l, change)
}

// test asks the marketplace whether it honours the access token. Where it does not, tokens are renewed before anything is told.
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
	if said, ok := errors.AsType[*answer.IdentityError](failure); ok && said.Refused() {
		l.TokenRefused = true
		return l.With(lifecycle.Outcome{HandledVerify: true}), nil
	}
	return r.Apply(ctx, l, lifecycle.AfterTest(l.Facts, identity, failure))
}
