package departures

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
	"github.com/tokenkeeper/tokenkeeper/internal/driver"
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

// Finalizer keeps the finalizer of accounts whose grant is to be revoked, and revokes it when they are deleted. All fields are required.
type Finalizer struct {
	*driver.Driver
	// Client writes accounts, and Live reads them from the API server.
	Client client.Client
	Live   client.Reader
	// Grants reads grant Secrets.
	Grants *grantstore.Store
	// Forget drops an account that is deleted from memory.
	Forget func(*v1alpha1.MarketplaceAccount)
}

// Keep adds or removes the finalizer, as spec.deletionPolicy has it.
func (f *Finalizer) Keep(ctx context.Context, account *v1alpha1.MarketplaceAccount) error {
	wanted := account.Spec.DeletionPolicy == v1alpha1.DeletionRevoke
	if controllerutil.ContainsFinalizer(account, v1alpha1.FinalizerRevoke) == wanted {
		return nil
	}
	return f.set(ctx, account, wanted)
}

// set writes the finalizer on top of the list that the API server has: it is written whole, and the cache does not hold the finalizers of
// other controllers.
func (f *Finalizer) set(ctx context.Context, account *v1alpha1.MarketplaceAccount, wanted bool) error {
	metadata := kube.AccountMetadata()
	err := f.Live.Get(ctx, client.ObjectKeyFromObject(account), metadata)
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
	if err := f.Client.Patch(ctx, metadata, patch); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("writing the finalizers: %w", err)
	}
	if account.ResourceVersion == before.ResourceVersion {
		account.ResourceVersion = metadata.ResourceVersion
	}
	return nil
}

// Finalize revokes the grant of an account that is being deleted, where the account wants it, and forgets the account. The Secrets go
// with their owner.
func (f *Finalizer) Finalize(ctx context.Context, account *v1alpha1.MarketplaceAccount) (reconcile.Result, error) {
	if !controllerutil.ContainsFinalizer(account, v1alpha1.FinalizerRevoke) {
		f.Forget(account)
		return reconcile.Result{}, nil
	}
	note, outcome, err := f.revoke(ctx, account)
	if err != nil {
		return reconcile.Result{}, err
	}
	if outcome == oauthclient.MayStillRevoke && f.Now().Sub(account.DeletionTimestamp.Time) < revokeFor {
		return reconcile.Result{RequeueAfter: revokeRetry}, nil
	}
	told := conditions.GrantRevoked(note)
	if outcome != oauthclient.Revoked {
		told = conditions.GrantNotRevoked(note)
	}
	f.Emit(account, told)
	f.Forget(account)
	return reconcile.Result{}, f.set(ctx, account, false)
}

// revoke ends the grant at the marketplace; note says what happened.
func (f *Finalizer) revoke(ctx context.Context, account *v1alpha1.MarketplaceAccount) (note string, outcome oauthclient.Revocation, err error) {
	held, err := f.Grants.Live(ctx, account)
	if err != nil {
		return "", oauthclient.MayStillRevoke, err
	}
	custody, err := f.Grants.CustodyIn(account, held)
	if tokensecret.IsNewer(err) {
		return err.Error(), oauthclient.CannotRevoke, nil
	}
	if err != nil {
		return "the grant Secret cannot be read", oauthclient.CannotRevoke, nil
	}
	if f.Grants.Moved(account, grantstore.Held{Secret: held, Custody: custody}) || custody.Restored != nil && custody.Restored.Moved {
		return "the grant Secret was written for another account or in another cluster, where the grant may be in use", oauthclient.CannotRevoke, nil
	}
	custody = f.Grants.Departing(account.UID, custody, held == nil)
	if pending := f.Grants.Pending(account.UID); pending != nil && pending.Unsent == nil {
		custody = pending.Custody // newer than what could be stored
	}
	if len(refreshTokens(custody, nil)) == 0 {
		if held == nil && account.Status.AccessToken != nil {
			return "the grant Secret is gone, and its refresh token is not known any more", oauthclient.CannotRevoke, nil
		}
		return "there is no refresh token; tokens end by themselves", oauthclient.CannotRevoke, nil
	}
	req, failure, err := f.Resolver.Resolve(ctx, facts.Facts{Account: account, Custody: custody})
	if err != nil {
		return "", oauthclient.MayStillRevoke, err
	}
	if failure != nil {
		return failure.Message, oauthclient.MayStillRevoke, nil
	}
	tokens := refreshTokens(custody, &req)
	if len(tokens) == 0 {
		return "the refresh token is not known to belong to the application and the server of the account, so it is not sent there", oauthclient.CannotRevoke, nil
	}
	endpoint, err := f.OAuth.Endpoint(ctx, req, v1alpha1.GrantRefreshToken)
	if err != nil {
		return err.Error(), oauthclient.MayStillRevoke, nil
	}
	address, why, outcome := f.OAuth.RevocationAddress(ctx, req)
	if address == "" {
		return why, outcome, nil
	}
	revoking := facts.Facts{Account: account, Custody: custody, Request: req}
	permit, _ := f.OAuth.TryAcquire(revoking, lifecycle.Revoking, throttle.Priority{Class: throttle.Background, Due: account.DeletionTimestamp.Time})
	if permit == nil {
		return req.Platform.DisplayName + " had too many requests, or none was answered", oauthclient.MayStillRevoke, nil
	}
	err = f.OAuth.Revoke(ctx, revoking, endpoint, address, tokens...)
	permit.Release(err)
	switch {
	case err == nil:
	case answer.AsError(err).Passes():
		return err.Error(), oauthclient.MayStillRevoke, nil
	default:
		return err.Error(), oauthclient.CannotRevoke, nil
	}
	return "Revoked the grant at " + req.Platform.DisplayName, oauthclient.Revoked, nil
}

// refreshTokens are the refresh tokens of the grant in use and of a candidate grant, as far as the request may send them; nil stands for all.
func refreshTokens(kept custody.Custody, req *facts.Request) []string {
	var tokens []string
	for _, grant := range []*custody.Grant{&kept.Grant, kept.Candidate} {
		if grant == nil || grant.RefreshToken == "" || req != nil && !mayRevoke(req, grant) {
			continue
		}
		tokens = append(tokens, grant.RefreshToken)
	}
	return tokens
}

// mayRevoke tells that a grant is the application's and the server's that it would be sent to, and with an application that others share, that
// the operator put it there.
func mayRevoke(req *facts.Request, grant *custody.Grant) bool {
	return !(req.Shared && grant.Unproven) && (grant.ClientID == "" || req.MayUse(grant.ClientID, grant.From))
}
