package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// found is what a look at an account brought to light, and what was done about it.
type found struct {
	view
	// trouble is why no new token can be had; nil when nothing is in the way.
	trouble *trouble
	// unresolved tells that the trouble lies in what the account refers to, so that view.request is incomplete.
	unresolved bool
	// failed tells that an attempt was made now and brought no tokens; obtained, that it did.
	failed, obtained bool
	// first tells that the tokens obtained are the first of their grant.
	first bool
	// published tells that the token Secret holds the tokens of the custody.
	published bool
	// handledRenew and handledVerify tell that the request annotations were acted on.
	handledRenew, handledVerify bool
}

// renew gathers, decides, obtains and stores. Its error is the API server's: everything else is found.
func (r *Reconciler) renew(ctx context.Context, account *v1alpha1.MarketplaceAccount) (*found, error) {
	held, err := r.heldCustody(ctx, account)
	if err != nil {
		return nil, err
	}
	f := &found{view: view{account: account, now: r.now()}}
	if f.custody, err = tokensecret.DecodeCustody(held); err != nil {
		f.trouble, f.unresolved = &trouble{v1alpha1.ReasonSecretInvalid, err.Error()}, true
		return f, nil
	}
	if err := r.rescue(ctx, f); err != nil {
		return nil, err
	}
	f.request, f.trouble, err = r.resolve(ctx, account)
	if err != nil {
		return nil, err
	}
	if f.trouble != nil {
		f.unresolved = true
		return f, r.publish(ctx, f)
	}
	if err := r.renewAndPublish(ctx, f); err != nil {
		return nil, err
	}
	return f, r.verify(ctx, f)
}

// renewAndPublish renews what is due and sees to it that the token Secret holds what the custody holds.
func (r *Reconciler) renewAndPublish(ctx context.Context, f *found) error {
	if f.plan().Due {
		if err := r.renewNow(ctx, f); err != nil {
			return err
		}
	}
	return r.publish(ctx, f)
}

// usable tells whether there is a token that has not expired.
func (f *found) usable() bool {
	return f.custody.Tokens != nil && f.now.Before(f.custody.Tokens.ExpiresAt)
}

// renewNow asks the marketplace, after one live look at the custody: the cache may still show a refresh token
// that was spent.
func (r *Reconciler) renewNow(ctx context.Context, f *found) error {
	store, err := r.openStore(ctx, f)
	if err != nil || store == nil {
		return err
	}
	if !f.plan().Due {
		return nil
	}
	f.handledRenew = f.requested()
	// From here on a shutdown waits: a request that is broken off may have spent a refresh token.
	ctx = context.WithoutCancel(ctx)
	planned := time.Time{}
	if tokens := f.custody.Tokens; tokens != nil && !f.now.Before(tokens.RenewAt) {
		planned = tokens.RenewAt
	}
	if f.request.rotates() {
		if forbidden, err := store.journal(ctx); forbidden || err != nil {
			return err
		}
	}
	issued, failure := r.obtain(ctx, f.view)
	if failure != nil {
		return store.failure(ctx, failure, issued)
	}
	before, first := f.custody.Tokens, f.custody.Tokens == nil || f.newImport()
	if err := store.tokens(ctx, issued); err != nil {
		return err
	}
	if err := r.verifyIDToken(ctx, f.request, issued.IDToken); err != nil {
		return store.distrust(ctx, before, err)
	}
	f.obtained, f.first = true, first
	if !planned.IsZero() {
		r.Metrics.RenewalLateness(r.Clock.Now().Sub(planned))
	}
	return nil
}

// verify tests the connection when somebody asks for it.
func (r *Reconciler) verify(ctx context.Context, f *found) error {
	value := requestOf(f.account, v1alpha1.AnnotationVerify)
	if value == "" || f.account.Status.Handled != nil && f.account.Status.Handled.Verify == value || f.suspended() || !f.usable() {
		return nil
	}
	f.handledVerify = true
	if !f.request.platform.CanIdentify() || f.request.grant == v1alpha1.GrantClientCredentials {
		return nil // there is nobody to identify: a renewal is the only test
	}
	identity, err := f.request.platform.Identify(ctx, r.client(f.request.platform, false), f.custody.Tokens.AccessToken)
	if refused, ok := errors.AsType[*marketplace.IdentityError](err); ok && refused.Refused() {
		f.tokenRefused = true
		return r.renewAndPublish(ctx, f)
	}
	failure := ""
	if err != nil {
		failure = fmt.Sprintf("%s: %v", f.request.platform.DisplayName, err)
	}
	store, err := r.openStore(ctx, f)
	if err != nil || store == nil {
		return err
	}
	return store.verified(ctx, identity, failure)
}
