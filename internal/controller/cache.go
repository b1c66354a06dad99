package controller

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Shard is which accounts an operator keeps; its zero value is all of them.
type Shard struct {
	// Namespaces are those whose accounts are kept; none means all.
	Namespaces []string
	// Selector is what the labels of accounts must match; nil means all.
	Selector labels.Selector
}

// ManagerOptions are those of a shard that is made of namespaces; none means all.
func ManagerOptions(options manager.Options, namespaces ...string) (manager.Options, error) {
	return Shard{Namespaces: namespaces}.ManagerOptions(options)
}

// ManagerOptions sets what this controller needs of its manager's scheme, cache and client: only the shard's accounts and
// the operator's own Secrets are cached with their data, and a read shows the writes before it.
func (s Shard) ManagerOptions(options manager.Options) (manager.Options, error) {
	scheme, err := Scheme()
	if err != nil {
		return options, err
	}
	options.Scheme = scheme
	options.Cache = cache.Options{
		DefaultTransform:  cache.TransformStripManagedFields(),
		DefaultNamespaces: cacheNamespaces(s.Namespaces),
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Secret{}:               {Label: labels.SelectorFromSet(labels.Set{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy})},
			&v1alpha1.MarketplaceAccount{}: {Label: s.Selector},
		},
	}
	options.NewClient = s.newClient
	return options, nil
}

// newClient makes the manager's client.
func (s Shard) newClient(config *rest.Config, options client.Options) (client.Client, error) {
	cached := *options.Cache
	cached.Reader = within{cached.Reader, s.Namespaces}
	options.Cache = nil
	live, err := client.New(config, options)
	if err != nil {
		return nil, fmt.Errorf("making a client that reads past the cache: %w", err)
	}
	options.Cache = &cached
	kube, err := client.New(config, options)
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	return newFresh(kube, live, s.Selector), nil
}

func cacheNamespaces(namespaces []string) map[string]cache.Config {
	if len(namespaces) == 0 {
		return nil
	}
	configs := make(map[string]cache.Config, len(namespaces))
	for _, namespace := range namespaces {
		configs[namespace] = cache.Config{}
	}
	return configs
}

// metadataCache holds the metadata of every Secret and Namespace. It is a cache of its own because one cache
// holds a kind under one selector, and the manager's holds only the operator's own Secrets.
type metadataCache struct{ cache.Cache }

// GetCache tells the manager to start and sync this before any controller.
func (m metadataCache) GetCache() cache.Cache { return m.Cache }

func newMetadataCache(mgr manager.Manager, namespaces []string) (metadataCache, error) {
	made, err := cache.New(mgr.GetConfig(), cache.Options{
		HTTPClient:        mgr.GetHTTPClient(),
		Scheme:            mgr.GetScheme(),
		Mapper:            mgr.GetRESTMapper(),
		DefaultTransform:  keepReferences,
		DefaultNamespaces: cacheNamespaces(namespaces),
	})
	if err != nil {
		return metadataCache{}, fmt.Errorf("making the metadata cache: %w", err)
	}
	m := metadataCache{made}
	if err := mgr.Add(m); err != nil {
		return metadataCache{}, fmt.Errorf("adding the metadata cache: %w", err)
	}
	return m, nil
}

// keepReferences drops all metadata but what tells versions, owners and labels.
func keepReferences(object any) (any, error) {
	metadata, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return object, nil
	}
	metadata.ObjectMeta = metav1.ObjectMeta{
		Name:            metadata.Name,
		Namespace:       metadata.Namespace,
		UID:             metadata.UID,
		ResourceVersion: metadata.ResourceVersion,
		Labels:          metadata.Labels,
		OwnerReferences: metadata.OwnerReferences,
	}
	return metadata, nil
}
