package publish

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
	"github.com/tokenkeeper/tokenkeeper/internal/metrics"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// Publisher writes token Secrets and sign-in Secrets. All fields but LinksInSecret are required. It may be used by many goroutines at once.
type Publisher struct {
	*driver.Driver
	// Client reads from the cache and writes, Live reads from the API server, and Metadata the metadata of any Secret from a cache.
	Client   client.Client
	Live     client.Reader
	Metadata client.Reader
	// WriteOwn does a write of one of the operator's own Secrets.
	WriteOwn func(secret *corev1.Secret, write func() error) error
	// Metrics counts how late renewals were.
	Metrics *metrics.Operations
	// LinksInSecret tells that links and codes are shown by sign-in Secrets, and not by statuses.
	LinksInSecret bool
	// Tickets wait to be shown.
	Tickets *Tickets
}

// Publish makes the token Secret say what the custody says: after a renewal, and whenever a person has edited
// or deleted it. It asks no marketplace for tokens. It does not restore a token that has expired.
//
// It never goes back to older tokens, although other processes may be at work: the tokens that it writes were stored, or read live, after
// the token Secret was read on top of which it writes.
func (p *Publisher) Publish(ctx context.Context, l driver.Look) (driver.Look, error) {
	held := l.TokenSecret
	if held == nil && !l.Usable() {
		return l, nil
	}
	tokens, ready, l := p.publishable(ctx, l)
	if !ready {
		return l, nil
	}
	wanted, err := tokensecret.Render(l.Account, keeper(l.Account), tokens, l.Custody.Account.ID, l.Request.Platform.Published(l.Custody.PublishedValues(), l.Custody.Account.ID))
	if err != nil {
		return l.Failing(&facts.Failure{Reason: v1alpha1.ReasonInvalidSpec, Message: err.Error()}), nil
	}
	digest := tokensecret.Digest(wanted)
	if held != nil && tokensecret.Owned(held, l.Account) && tokensecret.Matches(held, digest) {
		return l.With(lifecycle.Outcome{ServedUntil: tokensecret.ExpiresAt(held)}), p.removeFormer(ctx, l.Account)
	}
	if !l.Obtained && !l.Live {
		serial := l.Custody.Serial
		if l, err = p.ReadLive(ctx, l, false); err != nil || l.Unresolved && l.Failure != nil {
			return l, err
		}
		if l.Custody.Serial != serial {
			return l.With(lifecycle.Outcome{LookAgain: driver.Soon}), nil // the cache stayed behind
		}
	}
	written, published, err := p.write(ctx, l.Account, held, wanted, ownToken)
	switch {
	case err != nil:
		return l.Failing(driver.Unwritable(wanted.Name, err)), fmt.Errorf("writing the token Secret: %w", err)
	case !published:
		return l.Failing(inputs.Conflict(l.Account, wanted)), nil
	}
	l = l.WithTokenSecret(written).With(lifecycle.Outcome{ServedUntil: l.Custody.Tokens.ExpiresAt})
	if l.Obtained && !l.Planned.IsZero() {
		p.Metrics.RenewalLateness(p.Clock.Now().Sub(l.Planned))
	}
	return l, p.removeFormer(ctx, l.Account)
}

// Read reads the token Secret, which is what workloads read now.
func (p *Publisher) Read(ctx context.Context, l driver.Look) (driver.Look, error) {
	held, err := kube.ReadSecret(ctx, p.Client, client.ObjectKey{Namespace: l.Account.Namespace, Name: l.Account.TokenSecretName()})
	if err != nil || held == nil {
		return l, err
	}
	l = l.WithTokenSecret(held)
	if !tokensecret.Serves(held, l.Account) {
		return l, nil
	}
	return l.With(lifecycle.Outcome{ServedUntil: tokensecret.ExpiresAt(l.TokenSecret)}), nil
}

// keeper is the owner of the token Secret; nil where it outlives the account.
func keeper(account *v1alpha1.MarketplaceAccount) *metav1.OwnerReference {
	if account.Spec.DeletionPolicy == v1alpha1.DeletionKeep {
		return nil
	}
	return new(tokensecret.OwnerOf(account))
}

func ownToken(secret *corev1.Secret, account *v1alpha1.MarketplaceAccount) bool {
	return tokensecret.Owned(secret, account)
}

// write writes a Secret of an account on top of the one that is held, which may be nil; false when its place is taken by one that is not the account's own.
func (p *Publisher) write(
	ctx context.Context, account *v1alpha1.MarketplaceAccount, held, wanted *corev1.Secret, own func(*corev1.Secret, *v1alpha1.MarketplaceAccount) bool,
) (written *corev1.Secret, free bool, err error) {
	if held == nil {
		err := p.WriteOwn(wanted, func() error { return p.Client.Create(ctx, wanted) })
		if err == nil {
			return wanted, true, nil
		}
		if !apierrors.IsAlreadyExists(err) {
			return nil, false, err
		}
		// It is not among the labelled Secrets: it is a user's, or the operator's without its labels. Or another replica made it just now.
		if held, err = kube.ReadSecret(ctx, p.Live, client.ObjectKeyFromObject(wanted)); err != nil || held == nil {
			return nil, false, err
		}
		if own(held, account) && held.Labels[v1alpha1.LabelManagedBy] == v1alpha1.ManagedBy {
			return nil, false, fmt.Errorf("Secret %q was made by another replica", held.Name)
		}
	}
	if !own(held, account) {
		return nil, false, nil
	}
	tokensecret.Merge(wanted, held)
	if err := p.WriteOwn(wanted, func() error { return p.Client.Update(ctx, wanted) }); err != nil {
		return nil, false, err
	}
	return wanted, true, nil
}

// removeFormer deletes the token Secret of a name that the spec does not have any more.
func (p *Publisher) removeFormer(ctx context.Context, account *v1alpha1.MarketplaceAccount) error {
	former := account.Status.TokenSecretName
	if former == "" || former == account.TokenSecretName() {
		return nil
	}
	secret, err := kube.ReadSecret(ctx, p.Client, client.ObjectKey{Namespace: account.Namespace, Name: former})
	if err != nil || secret == nil || !tokensecret.Owned(secret, account) || secret.Type == v1alpha1.SecretTypeGrant || secret.Type == v1alpha1.SecretTypeSignIn {
		return err
	}
	err = p.Client.Delete(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: former, Namespace: account.Namespace}},
		client.Preconditions{UID: &secret.UID})
	return client.IgnoreNotFound(err)
}
