package controller

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/driver"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/kube"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// publish makes the token Secret say what the custody says: after a renewal, and whenever somebody has edited
// or deleted it. It asks no marketplace for tokens. One that has expired is not worth restoring.
//
// It never goes back to older tokens, whoever else is at work: what it writes was stored, or read live, after the token Secret
// was read on top of which it writes.
func (r *reconciler) publish(ctx context.Context, l driver.Look) (driver.Look, error) {
	held := l.TokenSecret
	if held == nil && !l.Usable() {
		return l, nil
	}
	tokens, ready, l := r.publishable(ctx, l)
	if !ready {
		return l, nil
	}
	wanted, err := tokensecret.Render(l.Account, r.keeper(l.Account), tokens, l.Custody.Account.ID, l.Facts.Published())
	if err != nil {
		return l.Failing(&facts.Failure{Reason: v1alpha1.ReasonInvalidSpec, Message: err.Error()}), nil
	}
	digest := tokensecret.Digest(wanted)
	if held != nil && tokensecret.Owned(held, l.Account) && tokensecret.Matches(held, digest) {
		return l, r.removeFormer(ctx, l.Account)
	}
	if !l.Obtained && !l.Live {
		serial := l.Custody.Serial
		if l, err = r.ReadLive(ctx, l, false); err != nil || l.Unresolved && l.Failure != nil {
			return l, err
		}
		if l.Custody.Serial != serial {
			return l.With(lifecycle.Outcome{LookAgain: soon}), nil // the cache stayed behind
		}
	}
	l, published, err := r.writeTokenSecret(ctx, l, wanted)
	switch {
	case err != nil:
		return l.Failing(driver.Unwritable(wanted.Name, err)), fmt.Errorf("writing the token Secret: %w", err)
	case !published:
		return l.Failing(inputs.Conflict(l.Account, wanted)), nil
	}
	l = l.With(lifecycle.Outcome{ServedUntil: l.Custody.Tokens.ExpiresAt})
	if l.Obtained && !l.Planned.IsZero() {
		r.metrics.RenewalLateness(r.Clock.Now().Sub(l.Planned))
	}
	return l, r.removeFormer(ctx, l.Account)
}

// readPublished reads what workloads read now.
func (r *reconciler) readPublished(ctx context.Context, l driver.Look) (driver.Look, error) {
	held, err := kube.ReadSecret(ctx, r.client, client.ObjectKey{Namespace: l.Account.Namespace, Name: l.Account.TokenSecretName()})
	if err != nil || held == nil {
		return l, err
	}
	l = l.WithTokenSecret(held)
	if !tokensecret.Owned(held, l.Account) {
		return l, nil
	}
	return l.With(lifecycle.Outcome{ServedUntil: tokensecret.ExpiresAt(l.TokenSecret)}), nil
}

// keeper is the owner of the token Secret; nil where it outlives the account.
func (r *reconciler) keeper(account *v1alpha1.MarketplaceAccount) *metav1.OwnerReference {
	if account.Spec.DeletionPolicy == v1alpha1.DeletionKeep {
		return nil
	}
	return new(tokensecret.OwnerOf(account))
}

// writeTokenSecret writes the token Secret on top of what was published; false when its place is taken.
func (r *reconciler) writeTokenSecret(ctx context.Context, l driver.Look, wanted *corev1.Secret) (driver.Look, bool, error) {
	held := l.TokenSecret
	if held == nil {
		err := r.writeOwn(wanted, func() error { return r.client.Create(ctx, wanted) })
		if err == nil {
			return l.WithTokenSecret(wanted), true, nil
		}
		if !apierrors.IsAlreadyExists(err) {
			return l, false, err
		}
		// It is not among the labelled ones: it is somebody else's, or ours without its labels. Or another replica made it just now.
		if held, err = kube.ReadSecret(ctx, r.live, client.ObjectKeyFromObject(wanted)); err != nil || held == nil {
			return l, false, err
		}
		if tokensecret.Owned(held, l.Account) && held.Labels[v1alpha1.LabelManagedBy] == v1alpha1.ManagedBy {
			return l, false, fmt.Errorf("Secret %q was made by another replica", held.Name)
		}
	}
	if !tokensecret.Owned(held, l.Account) {
		return l, false, nil
	}
	tokensecret.Merge(wanted, held)
	if err := r.writeOwn(wanted, func() error { return r.client.Update(ctx, wanted) }); err != nil {
		return l, false, err
	}
	return l.WithTokenSecret(wanted), true, nil
}

// removeFormer deletes the token Secret of a name that the spec does not have any more.
func (r *reconciler) removeFormer(ctx context.Context, account *v1alpha1.MarketplaceAccount) error {
	former := account.Status.TokenSecretName
	if former == "" || former == account.TokenSecretName() {
		return nil
	}
	secret, err := kube.ReadSecret(ctx, r.client, client.ObjectKey{Namespace: account.Namespace, Name: former})
	if err != nil || secret == nil || secret.Type == v1alpha1.SecretTypeGrant || !tokensecret.Owned(secret, account) {
		return err
	}
	err = r.client.Delete(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: former, Namespace: account.Namespace}},
		client.Preconditions{UID: &secret.UID})
	return client.IgnoreNotFound(err)
}
