package controller

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// publish makes the token Secret say what the custody says: after a renewal, and whenever somebody has edited
// or deleted it. It asks no marketplace for tokens. One that has expired is not worth restoring.
func (r *Reconciler) publish(ctx context.Context, f *found) error {
	name := f.account.TokenSecretName()
	held, err := readSecret(ctx, r.Client, client.ObjectKey{Namespace: f.account.Namespace, Name: name})
	if err != nil {
		return err
	}
	if f.custody.Tokens == nil || held == nil && !f.usable() || f.misfit() || !f.unresolved && f.restored() {
		return nil
	}
	wanted, err := tokensecret.Render(f.account, r.keeper(f.account), *f.custody.Tokens, f.custody.Account.ID)
	if err != nil {
		f.blame(&trouble{v1alpha1.ReasonInvalidSpec, err.Error()})
		return nil
	}
	if held != nil && tokensecret.Owned(held, f.account) && tokensecret.Matches(held, wanted) {
		return r.removeFormer(ctx, f.account)
	}
	if !tokensecret.SameIDToken(held, wanted) {
		if err := r.verifyIDToken(ctx, f.request, f.custody.Tokens.IDToken, ""); err != nil {
			f.recheck, f.obtained = recheck, false
			f.blame(&trouble{v1alpha1.ReasonMarketplaceUnavailable, fmt.Sprintf("New tokens wait to be published: %v", err)})
			return nil
		}
	}
	published, err := r.writeTokenSecret(ctx, f.account, held, wanted)
	switch {
	case err != nil:
		f.blame(unwritable(name, err))
		return fmt.Errorf("writing the token Secret: %w", err)
	case !published:
		f.blame(conflict(f.account, name))
		return nil
	}
	f.servedUntil = f.custody.Tokens.ExpiresAt
	if f.obtained && !f.planned.IsZero() {
		r.Metrics.RenewalLateness(r.Clock.Now().Sub(f.planned))
	}
	return r.removeFormer(ctx, f.account)
}

// served is when the token expires that workloads read now; zero when there is none.
func (r *Reconciler) served(ctx context.Context, account *v1alpha1.MarketplaceAccount) (time.Time, error) {
	held, err := readSecret(ctx, r.Client, client.ObjectKey{Namespace: account.Namespace, Name: account.TokenSecretName()})
	if err != nil || held == nil || !tokensecret.Owned(held, account) {
		return time.Time{}, err
	}
	return tokensecret.ExpiresAt(held), nil
}

// keeper is the owner of the token Secret; nil where it outlives the account.
func (r *Reconciler) keeper(account *v1alpha1.MarketplaceAccount) *metav1.OwnerReference {
	if account.Spec.DeletionPolicy == v1alpha1.DeletionKeep {
		return nil
	}
	return new(owner(account))
}

// writeTokenSecret writes the token Secret on top of what the cache holds; false when its place is taken.
func (r *Reconciler) writeTokenSecret(ctx context.Context, account *v1alpha1.MarketplaceAccount, held, wanted *corev1.Secret) (bool, error) {
	if held == nil {
		err := r.Client.Create(ctx, wanted)
		if !apierrors.IsAlreadyExists(err) {
			return err == nil, err
		}
		// It is not among the labelled ones: it is somebody else's, or ours without its labels.
		if held, err = readSecret(ctx, r.Live, client.ObjectKeyFromObject(wanted)); err != nil || held == nil {
			return false, err
		}
	}
	if !tokensecret.Owned(held, account) {
		return false, nil
	}
	tokensecret.Merge(wanted, held)
	return true, r.Client.Update(ctx, wanted)
}

// removeFormer deletes the token Secret of a name that the spec does not have any more.
func (r *Reconciler) removeFormer(ctx context.Context, account *v1alpha1.MarketplaceAccount) error {
	former := account.Status.TokenSecretName
	if former == "" || former == account.TokenSecretName() {
		return nil
	}
	secret, err := readSecret(ctx, r.Client, client.ObjectKey{Namespace: account.Namespace, Name: former})
	if err != nil || secret == nil || secret.Type == v1alpha1.SecretTypeGrant || !tokensecret.Owned(secret, account) {
		return err
	}
	err = r.Client.Delete(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: former, Namespace: account.Namespace}},
		client.Preconditions{UID: &secret.UID})
	return client.IgnoreNotFound(err)
}
