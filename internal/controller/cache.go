package controller

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// ManagerOptions sets what this controller needs of its manager's scheme, cache and client: only the
// operator's own Secrets are cached with their data, and a read waits for the writes before it. Of several
// namespaces only accounts in these are looked at; none means all.
func ManagerOptions(options manager.Options, namespaces ...string) (manager.Options, error) {
	scheme, err := Scheme()
	if err != nil {
		return options, err
	}
	options.Scheme = scheme
	options.Cache = cache.Options{
		DefaultTransform:  cache.TransformStripManagedFields(),
		DefaultNamespaces: cacheNamespaces(namespaces),
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Secret{}: {Label: labels.SelectorFromSet(labels.Set{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy})},
		},
	}
	options.Client.Cache = &client.CacheOptions{EnableReadYourWritesConsistency: new(true)}
	return options, nil
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
