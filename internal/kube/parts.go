package kube

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/usersecrets"
)

// Parts are what Clients are made of: a manager's caches and connections, or those of a simulated cluster.
type Parts struct {
	// Cached reads accounts, Marketplaces and the operator's own Secrets from the cache.
	Cached client.Reader
	// Live reads from the API server.
	Live client.Reader
	// Informers tell what the cache shows.
	Informers cache.Informers
	// Metadata reads the metadata of any Secret or Namespace from a cache.
	Metadata client.Reader
	// ForeignSecrets and NamespaceLabels are what Clients have under these names.
	ForeignSecrets  func(concerned func(context.Context, client.ObjectKey) []reconcile.Request) source.Source
	NamespaceLabels func(concerned func(context.Context, *metav1.PartialObjectMetadata) []reconcile.Request) source.Source
	// Clock tells the time.
	Clock clock.PassiveClock
}

// Assemble returns clients that see all namespaces. The cache has to hold what Transform leaves of each object, and cached is a client
// that reads from it.
func Assemble(ctx context.Context, cached client.Client, parts Parts) (*Clients, error) {
	return newClients(ctx, newReadYourWrites(cached, parts.Live, Shard{}, &contents{}), parts)
}

// newClients returns the clients of parts, whose reads show what kube has written.
func newClients(ctx context.Context, kube *readYourWrites, parts Parts) (*Clients, error) {
	if err := kube.follow(ctx, parts.Informers); err != nil {
		return nil, err
	}
	// A replica that does not lead answers people from the same caches, which no controller fills there.
	for _, object := range []client.Object{&corev1.Secret{}, &v1alpha1.Marketplace{}} {
		if _, err := parts.Informers.GetInformer(ctx, object); err != nil {
			return nil, fmt.Errorf("preparing the cache: %w", err)
		}
	}
	namespaces := kube.shard.Namespaces
	cached := namespacedReader{parts.Cached, namespaces}
	unwatched := newUnwatchedMetadata(namespacedReader{parts.Metadata, namespaces}, cached, parts.Live, parts.Clock)
	return &Clients{
		Client:      client.WithFieldOwner(kube, v1alpha1.ManagedBy),
		Cached:      cached,
		Live:        kube.live,
		Metadata:    unwatched,
		UserSecrets: &usersecrets.Cache{Metadata: unwatched, Live: kube.live},
		Namespaces:  namespaces,
		parts:       parts,
		unwatched:   unwatched,
	}, nil
}

// Transform returns what a cache keeps of an object, whose accounts the cache itself tells of.
func Transform(accounts client.Reader) func(object any) (any, error) {
	kept := &contents{}
	kept.accounts.Store(&accounts)
	return func(object any) (any, error) {
		switch object.(type) {
		case *v1alpha1.MarketplaceAccount:
			return kept.account(object)
		case *v1alpha1.Marketplace:
			return kept.marketplace(object)
		}
		return kept.secret(object)
	}
}
