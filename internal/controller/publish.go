package controller

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// publish makes the token Secret say what the custody says: after a renewal, and whenever somebody has edited
// or deleted it. It asks no marketplace. A token that has expired is not worth restoring.
func (r *Reconciler) publish(ctx context.Context, f *found) error {
	if f.custody.Tokens == nil {
		return nil
	}
	var keeper *metav1.OwnerReference
	if f.account.Spec.DeletionPolicy != v1alpha1.DeletionKeep {
		keeper = new(owner(f.account))
	}
	wanted, err := tokensecret.Render(f.account, keeper, *f.custody.Tokens, f.custody.Account.ID)
	if err != nil {
		f.trouble = &trouble{v1alpha1.ReasonInvalidSpec, err.Error()}
		return nil
	}
	held, err := readSecret(ctx, r.Client, client.ObjectKeyFromObject(wanted))
	if err != nil {
		return err
	}
	switch {
	case held == nil && !f.usable():
		return nil
	case held == nil:
		err = r.Client.Create(ctx, wanted)
	case !tokensecret.Owned(held, f.account):
		f.trouble = conflict(f.account)
		return nil
	case !tokensecret.Matches(held, wanted):
		tokensecret.Merge(wanted, held)
		err = r.Client.Update(ctx, wanted)
	}
	switch {
	case apierrors.IsAlreadyExists(err): // and is not among ours, or we would have seen it
		f.trouble = conflict(f.account)
		return nil
	case err != nil:
		return fmt.Errorf("writing the token Secret: %w", err)
	}
	f.published = true
	return r.removeFormer(ctx, f.account)
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
