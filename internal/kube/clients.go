package kube

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/usersecrets"
)

// Clients read and write Kubernetes, each in its way.
type Clients struct {
	// Client reads from the cache, which holds accounts, Marketplaces and the operator's own Secrets, shows the writes before, and writes
	// as the operator.
	Client client.Client
	// Cached reads from the cache as it stands, which may not show the last writes yet.
	Cached client.Reader
	// Live reads from the API server.
	Live client.Reader
	// Metadata reads the metadata of any Secret or Namespace from a cache.
	Metadata client.Reader
	// UserSecrets reads the Secrets that users wrote.
	UserSecrets *usersecrets.Cache
	// Namespaces are watched; none means all.
	Namespaces []string

	parts     Parts
	unwatched *unwatchedMetadata
}

// Connect returns the clients of a manager that was made with Shard.ManagerOptions. ctx is that of the manager.
func Connect(ctx context.Context, mgr manager.Manager, clock clock.PassiveClock) (*Clients, error) {
	kube, ok := mgr.GetClient().(*readYourWrites)
	if !ok {
		return nil, errors.New("the manager was not made with ManagerOptions")
	}
	kube.contents.ctx.Store(&ctx)
	metadata, err := newMetadataCache(mgr, kube.shard.Namespaces)
	if err != nil {
		return nil, err
	}
	if _, err := metadata.GetInformer(ctx, NamespaceMetadata()); err != nil {
		return nil, fmt.Errorf("preparing the metadata cache: %w", err)
	}
	return newClients(ctx, kube, Parts{
		Cached: mgr.GetCache(), Live: mgr.GetAPIReader(), Informers: mgr.GetCache(), Metadata: metadata,
		ForeignSecrets: metadata.foreignSecrets, NamespaceLabels: metadata.labels, Clock: clock,
	})
}

// ForeignSecrets enqueues the accounts that a changed Secret without the operator's label concerns.
func (c *Clients) ForeignSecrets(concerned func(context.Context, client.ObjectKey) []reconcile.Request) source.Source {
	return c.parts.ForeignSecrets(concerned)
}

// NamespaceLabels enqueues the accounts that the changed labels of a Namespace concern.
func (c *Clients) NamespaceLabels(concerned func(context.Context, *metav1.PartialObjectMetadata) []reconcile.Request) source.Source {
	return c.parts.NamespaceLabels(concerned)
}

// UnwatchedApplications enqueues the accounts that concern the changed application of a Marketplace in a namespace that is not watched.
func (c *Clients) UnwatchedApplications(concerned func(context.Context, client.ObjectKey) []reconcile.Request) source.Source {
	return c.unwatched.source(concerned)
}

// ReadSecret reads a Secret; nil when there is none.
func ReadSecret(ctx context.Context, from client.Reader, key client.ObjectKey) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	if err := from.Get(ctx, key, secret); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("reading Secret %q: %w", key, err)
	}
	return secret, nil
}

// SecretMetadata is the type under which the metadata of Secrets is read.
func SecretMetadata() *metav1.PartialObjectMetadata {
	metadata := &metav1.PartialObjectMetadata{}
	metadata.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(kindSecret))
	return metadata
}

// NamespaceMetadata is the type under which the metadata of Namespaces is read.
func NamespaceMetadata() *metav1.PartialObjectMetadata {
	metadata := &metav1.PartialObjectMetadata{}
	metadata.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	return metadata
}

// AccountMetadata is the type under which the metadata of accounts is read and written.
func AccountMetadata() *metav1.PartialObjectMetadata {
	metadata := &metav1.PartialObjectMetadata{}
	metadata.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(kindAccount))
	return metadata
}
