package controller

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/conditions"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/grantstore"
	"github.com/tokenkeeper/tokenkeeper/internal/kube"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/oauthclient"
	"github.com/tokenkeeper/tokenkeeper/internal/throttle"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

const (
	// revokeFor is how long a deletion waits for a marketplace that cannot be reached.
	revokeFor   = 5 * time.Minute
	revokeRetry = 10 * time.Second
)

// keepFinalizer adds or removes the finalizer, as spec.deletionPolicy has it.
func (r *reconciler) keepFinalizer(ctx context.Context, account *v1alpha1.MarketplaceAccount) error {
	wanted := account.Spec.DeletionPolicy == v1alpha1.DeletionRevoke
	if controllerutil.ContainsFinalizer(account, v1alpha1.FinalizerRevoke) == wanted {
		return nil
	}
	return r.setFinalizer(ctx, account, wanted)
}

// setFinalizer writes the finalizer on top of what the API server has: the list is written whole, and the cache does not hold those of
// others.
func (r *reconciler) setFinalizer(ctx context.Context, account *v1alpha1.MarketplaceAccount, wanted bool) error {
	metadata := kube.AccountMetadata()
	err := r.live.Get(ctx, client.ObjectKeyFromObject(account), metadata)
	if apierrors.IsNotFound(err) || err == nil && metadata.UID != account.UID {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the finalizers: %w", err)
	}
	before := metadata.DeepCopy()
	change := controllerutil.RemoveFinalizer
	if wanted {
		change = controllerutil.AddFinalizer
	}
	change(account, v1alpha1.FinalizerRevoke)
	if !change(metadata, v1alpha1.FinalizerRevoke) {
		return nil
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.client.Patch(ctx, metadata, patch); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("writing the finalizers: %w", err)
	}
	return nil
}

// finalize revokes the grant of an account that is being deleted, where the account wants it. The Secrets go
// with their owner.
func (r *reconciler) finalize(ctx context.Context, account *v1alpha1.MarketplaceAccount) (reconcile.Result, error) {
	if !controllerutil.ContainsFinalizer(account, v1alpha1.FinalizerRevoke) {
		r.forget(account)
		return reconcile.Result{}, nil
	}
	note, outcome, err := r.revoke(ctx, account)
	if err != nil {
		return reconcile.Result{}, err
	}
	if outcome == oauthclient.MayStillRevoke && r.Now().Sub(account.DeletionTimestamp.Time) < revokeFor {
		return reconcile.Result{RequeueAfter: revokeRetry}, nil
	}
	told := conditions.GrantRevoked(note)
	if outcome != oauthclient.Revoked {
		told = conditions.GrantNotRevoked(note)
	}
	r.Emit(account, told)
	r.forget(account)
	return reconcile.Result{}, r.setFinalizer(ctx, account, false)
}

// forget drops what is in memory of an account that is being deleted.
func (r *reconciler) forget(account *v1alpha1.MarketplaceAccount) {
	r.grants.Forget(account.UID)
	r.devices.forget(account.UID)
	r.logins.Forget(account.UID)
	r.OAuth.Forget(account)
	r.requests.Leave(client.ObjectKeyFromObject(account), r.Clock.Now())
}

// revoke ends the grant at the marketplace; note says what happened.
func (r *reconciler) revoke(ctx context.Context, account *v1alpha1.MarketplaceAccount) (note string, outcome oauthclient.Revocation, err error) {
	held, err := r.grants.Live(ctx, account)
	if err != nil {
		return "", oauthclient.MayStillRevoke, err
	}
	custody, err := grantstore.CustodyIn(account, held)
	if tokensecret.IsNewer(err) {
		return err.Error(), oauthclient.CannotRevoke, nil
	}
	if err != nil {
		return "the grant Secret cannot be read", oauthclient.CannotRevoke, nil
	}
	if r.grants.Moved(account, grantstore.Held{Secret: held, Custody: custody}) || custody.Restored != nil && custody.Restored.Moved {
		return "the grant Secret was written for another account or in another cluster, where the grant may be in use", oauthclient.CannotRevoke, nil
	}
	if pending := r.grants.Pending(account.UID); pending != nil && pending.Unsent == nil {
		custody = pending.Custody // newer than what could be stored
	}
	tokens := refreshTokens(custody)
	if len(tokens) == 0 {
		return "there is no refresh token; tokens end by themselves", oauthclient.CannotRevoke, nil
	}
	req, trouble, err := r.Resolver.Resolve(ctx, facts.Facts{Account: account, Custody: custody})
	if err != nil {
		return "", oauthclient.MayStillRevoke, err
	}
	if trouble != nil {
		return trouble.Message, oauthclient.MayStillRevoke, nil
	}
	endpoint, err := r.OAuth.Endpoint(ctx, req, v1alpha1.GrantRefreshToken)
	if err != nil {
		return err.Error(), oauthclient.MayStillRevoke, nil
	}
	address, why, outcome := r.OAuth.RevocationAddress(ctx, req)
	if address == "" {
		return why, outcome, nil
	}
	permit, _ := r.tryAcquire(facts.Facts{Account: account, Request: req}, lifecycle.Revoking, throttle.Priority{Class: throttle.Background, Due: account.DeletionTimestamp.Time})
	if permit == nil {
		return req.Platform.DisplayName + " had too many requests, or none was answered", oauthclient.MayStillRevoke, nil
	}
	for _, token := range tokens {
		err := endpoint.Revoke(ctx, address, token)
		permit.Release(err)
		if err != nil && answer.AsError(err).Passes() {
			return err.Error(), oauthclient.MayStillRevoke, nil
		}
		if err != nil {
			return err.Error(), oauthclient.CannotRevoke, nil
		}
	}
	return "Revoked the grant at " + req.Platform.DisplayName, oauthclient.Revoked, nil
}

// refreshTokens are those of the grant in use and of one that waits to be accepted.
func refreshTokens(kept custody.Custody) []string {
	var tokens []string
	if kept.RefreshToken != "" {
		tokens = append(tokens, kept.RefreshToken)
	}
	if candidate := kept.Candidate; candidate != nil && candidate.RefreshToken != "" {
		tokens = append(tokens, candidate.RefreshToken)
	}
	return tokens
}
