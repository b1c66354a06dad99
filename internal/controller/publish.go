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
	"github.com/tokenkeeper/tokenkeeper/internal/kube"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// publish makes the token Secret say what the custody says: after a renewal, and whenever somebody has edited
// or deleted it. It asks no marketplace for tokens. One that has expired is not worth restoring.
//
// It never goes back to older tokens, whoever else is at work: what it writes was stored, or read live, after the token Secret
// was read on top of which it writes.
func (r *Reconciler) publish(ctx context.Context, f *found) error {
	name, held := f.Account.TokenSecretName(), f.published
	if f.Custody.Tokens == nil || held == nil && !f.Usable() || f.WrongAccount() {
		return nil
	}
	tokens, ready := r.publishable(ctx, f)
	if !ready {
		return nil
	}
	wanted, err := tokensecret.Render(f.Account, r.keeper(f.Account), tokens, f.Custody.Account.ID, f.Published())
	if err != nil {
		f.Note(&lifecycle.Failure{Reason: v1alpha1.ReasonInvalidSpec, Message: err.Error()})
		return nil
	}
	digest := tokensecret.Digest(wanted)
	if held != nil && tokensecret.Owned(held, f.Account) && tokensecret.Matches(held, digest) {
		return r.removeFormer(ctx, f.Account)
	}
	if !f.Obtained {
		serial := f.Custody.Serial
		if store, err := r.openStore(ctx, f); err != nil || store == nil {
			return err
		}
		if f.Custody.Serial != serial {
			f.LookAgain = time.Second // the cache stayed behind
			return nil
		}
	}
	published, err := r.writeTokenSecret(ctx, f, wanted)
	switch {
	case err != nil:
		f.Note(unwritable(name, err))
		return fmt.Errorf("writing the token Secret: %w", err)
	case !published:
		f.Note(conflict(f.Account, wanted))
		return nil
	}
	f.ServedUntil = f.Custody.Tokens.ExpiresAt
	if f.Obtained && !f.Planned.IsZero() {
		r.Metrics.RenewalLateness(r.Clock.Now().Sub(f.Planned))
	}
	return r.removeFormer(ctx, f.Account)
}

// lookAtPublished reads what workloads read now.
func (r *Reconciler) lookAtPublished(ctx context.Context, f *found) error {
	held, err := kube.ReadSecret(ctx, r.Client, client.ObjectKey{Namespace: f.Account.Namespace, Name: f.Account.TokenSecretName()})
	if err != nil || held == nil {
		return err
	}
	f.published = tokensecret.Digest(held)
	if !tokensecret.Owned(held, f.Account) {
		return nil
	}
	f.ServedUntil = tokensecret.ExpiresAt(f.published)
	return nil
}

// keeper is the owner of the token Secret; nil where it outlives the account.
func (r *Reconciler) keeper(account *v1alpha1.MarketplaceAccount) *metav1.OwnerReference {
	if account.Spec.DeletionPolicy == v1alpha1.DeletionKeep {
		return nil
	}
	return new(tokensecret.OwnerOf(account))
}

// writeTokenSecret writes the token Secret on top of what was published; false when its place is taken.
func (r *Reconciler) writeTokenSecret(ctx context.Context, f *found, wanted *corev1.Secret) (bool, error) {
	held := f.published
	if held == nil {
		err := r.writeOwn(wanted, func() error { return r.Client.Create(ctx, wanted) })
		if !apierrors.IsAlreadyExists(err) {
			return f.wrote(wanted, err)
		}
		// It is not among the labelled ones: it is somebody else's, or ours without its labels. Or another replica made it just now.
		if held, err = kube.ReadSecret(ctx, r.Live, client.ObjectKeyFromObject(wanted)); err != nil || held == nil {
			return false, err
		}
		if tokensecret.Owned(held, f.Account) && held.Labels[v1alpha1.LabelManagedBy] == v1alpha1.ManagedBy {
			return false, fmt.Errorf("Secret %q was made by another replica", held.Name)
		}
	}
	if !tokensecret.Owned(held, f.Account) {
		return false, nil
	}
	tokensecret.Merge(wanted, held)
	return f.wrote(wanted, r.writeOwn(wanted, func() error { return r.Client.Update(ctx, wanted) }))
}

func (f *found) wrote(secret *corev1.Secret, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	f.published = tokensecret.Digest(secret)
	return true, nil
}

// removeFormer deletes the token Secret of a name that the spec does not have any more.
func (r *Reconciler) removeFormer(ctx context.Context, account *v1alpha1.MarketplaceAccount) error {
	former := account.Status.TokenSecretName
	if former == "" || former == account.TokenSecretName() {
		return nil
	}
	secret, err := kube.ReadSecret(ctx, r.Client, client.ObjectKey{Namespace: account.Namespace, Name: former})
	if err != nil || secret == nil || secret.Type == v1alpha1.SecretTypeGrant || !tokensecret.Owned(secret, account) {
		return err
	}
	err = r.Client.Delete(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: former, Namespace: account.Namespace}},
		client.Preconditions{UID: &secret.UID})
	return client.IgnoreNotFound(err)
}
