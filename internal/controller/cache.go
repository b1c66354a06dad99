package controller

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/wait"
	clientmetadata "k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
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
	keeper := &keeper{}
	options.NewCache = keeper.newCache
	options.Cache = cache.Options{
		DefaultTransform:  cache.TransformStripManagedFields(),
		DefaultNamespaces: cacheNamespaces(s.Namespaces),
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Secret{}: {
				Label:     labels.SelectorFromSet(labels.Set{v1alpha1.LabelManagedBy: v1alpha1.ManagedBy}),
				Transform: keeper.secret,
			},
			&v1alpha1.MarketplaceAccount{}: {Label: s.Selector, Transform: keeper.account},
			&v1alpha1.Marketplace{}:        {Transform: keeper.marketplace},
		},
		NewInformer: keeper.newInformer,
	}
	options.NewClient = func(config *rest.Config, options client.Options) (client.Client, error) {
		return s.newClient(config, options, keeper)
	}
	return options, nil
}

// newClient makes the manager's client.
func (s Shard) newClient(config *rest.Config, options client.Options, keeper *keeper) (client.Client, error) {
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
	return newFresh(kube, live, s, keeper), nil
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

// metadataCache holds the labels of every Namespace, and knows the versions of all Secrets. It is a cache of its own because
// one cache holds a kind in one way, and the manager's holds the operator's own Secrets whole.
type metadataCache struct {
	cache.Cache // of Namespaces
	// labelled reads the Secrets that carry the operator's label from the manager's cache.
	labelled client.Reader
	live     client.Reader
	// others are the Secrets that do not.
	others *versions
}

func newMetadataCache(mgr manager.Manager, namespaces []string) (metadataCache, error) {
	made, err := cache.New(mgr.GetConfig(), cache.Options{
		HTTPClient:                  mgr.GetHTTPClient(),
		Scheme:                      mgr.GetScheme(),
		Mapper:                      mgr.GetRESTMapper(),
		DefaultTransform:            keepLabels,
		ReaderFailOnMissingInformer: true, // a mistaken read must not bring in every Secret
	})
	if err != nil {
		return metadataCache{}, fmt.Errorf("making the metadata cache: %w", err)
	}
	getter, err := clientmetadata.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return metadataCache{}, fmt.Errorf("making a client for the metadata of Secrets: %w", err)
	}
	m := metadataCache{made, mgr.GetCache(), mgr.GetAPIReader(), newVersions(getter.Resource(corev1.SchemeGroupVersion.WithResource("secrets")), namespaces)}
	if err := mgr.Add(m); err != nil {
		return metadataCache{}, fmt.Errorf("adding the metadata cache: %w", err)
	}
	return m, nil
}

// GetCache tells the manager to start and sync this before any controller, on every replica.
func (m metadataCache) GetCache() cache.Cache { return m }

// Start implements cache.Informers.
func (m metadataCache) Start(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var versions wait.Group
	versions.StartWithContext(ctx, m.others.run)
	defer versions.Wait()
	defer cancel()
	return m.Cache.Start(ctx)
}

// WaitForCacheSync implements cache.Informers.
func (m metadataCache) WaitForCacheSync(ctx context.Context) bool {
	return m.Cache.WaitForCacheSync(ctx) && m.others.waitFilled(ctx) == nil
}

// Get implements client.Reader.
func (m metadataCache) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	metadata, ok := object.(*metav1.PartialObjectMetadata)
	if ok && metadata.GroupVersionKind() == secretMetadata().GroupVersionKind() {
		return m.secret(ctx, key, metadata)
	}
	if err := m.Cache.Get(ctx, key, object, options...); err != nil || isHeld(object) {
		return err
	}
	return m.live.Get(ctx, key, object, options...)
}

// secret reads the metadata of a Secret. Two watches bring it to attention when it gets the label or loses it; until both have, the
// later version is the one that holds.
func (m metadataCache) secret(ctx context.Context, key client.ObjectKey, into *metav1.PartialObjectMetadata) error {
	labelled := &corev1.Secret{}
	err := m.labelled.Get(ctx, key, labelled, client.UnsafeDisableDeepCopy)
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	other, unfilled := m.others.get(key)
	if unfilled != nil {
		return unfilled
	}
	switch {
	case err == nil && !newer(other.resourceVersion, labelled.ResourceVersion):
		labelled.ObjectMeta.DeepCopyInto(&into.ObjectMeta)
	case other.exists():
		into.ObjectMeta = other.metadata(key)
	default:
		return apierrors.NewNotFound(corev1.Resource("secrets"), key.Name)
	}
	return nil
}

// keepLabels drops all metadata but what names an object, and its version and labels.
func keepLabels(object any) (any, error) {
	metadata, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return object, nil
	}
	if !isHeld(metadata) {
		return metadata, nil
	}
	metadata.ObjectMeta = metav1.ObjectMeta{
		Name: metadata.Name, Namespace: metadata.Namespace, ResourceVersion: metadata.ResourceVersion, Labels: metadata.Labels,
	}
	if sizeOfMetadata(metadata) > bounds.HeldMetadata {
		metadata.Labels, metadata.Annotations = nil, map[string]string{notHeld: ""}
	}
	return metadata, nil
}
