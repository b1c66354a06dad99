package kube

import (
	"context"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/util/wait"
	clientmetadata "k8s.io/client-go/metadata"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/secretversions"
)

// metadataCache holds the labels of the watched Namespaces, and knows the versions of all Secrets. It is a cache of its own because
// one cache holds a kind in one way, and the manager's holds the operator's own Secrets whole.
type metadataCache struct {
	cache.Cache // of Namespaces
	// labelled reads the Secrets that carry the operator's label from the manager's cache.
	labelled client.Reader
	live     client.Reader
	// foreign are the Secrets without the label.
	foreign foreignVersions
}

// foreignVersions is secretversions.Versions.
type foreignVersions interface {
	Run(ctx context.Context)
	WaitFilled(ctx context.Context) error
	Get(key client.ObjectKey) (secretversions.Version, error)
	Source(concerned func(context.Context, client.ObjectKey) []reconcile.Request) source.SyncingSource
}

func newMetadataCache(mgr manager.Manager, namespaces []string) (metadataCache, error) {
	selector, err := named(namespaces)
	if err != nil {
		return metadataCache{}, err
	}
	made, err := cache.New(mgr.GetConfig(), cache.Options{
		HTTPClient:                  mgr.GetHTTPClient(),
		Scheme:                      mgr.GetScheme(),
		Mapper:                      mgr.GetRESTMapper(),
		DefaultTransform:            keepLabels,
		DefaultLabelSelector:        selector,
		ReaderFailOnMissingInformer: true, // a mistaken read must not bring in every Secret
	})
	if err != nil {
		return metadataCache{}, fmt.Errorf("making the metadata cache: %w", err)
	}
	getter, err := clientmetadata.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return metadataCache{}, fmt.Errorf("making a client for the metadata of Secrets: %w", err)
	}
	secrets := getter.Resource(corev1.SchemeGroupVersion.WithResource("secrets"))
	m := metadataCache{made, mgr.GetCache(), mgr.GetAPIReader(), secretversions.New(secrets, namespaces)}
	if err := mgr.Add(m); err != nil {
		return metadataCache{}, fmt.Errorf("adding the metadata cache: %w", err)
	}
	return m, nil
}

// mostNamed is how many Namespaces a watch names: a longer selector might not fit into what a proxy takes as an address.
const mostNamed = 64

// named selects Namespaces by the label in which the API server writes their names; all, where none or too many are named.
func named(namespaces []string) (labels.Selector, error) {
	if len(namespaces) == 0 || len(namespaces) > mostNamed {
		return labels.Everything(), nil
	}
	names, err := labels.NewRequirement(corev1.LabelMetadataName, selection.In, namespaces)
	if err != nil {
		return nil, fmt.Errorf("selecting the watched namespaces: %w", err)
	}
	return labels.NewSelector().Add(*names), nil
}

// GetCache tells the manager to start and sync this before any controller, on every replica.
func (m metadataCache) GetCache() cache.Cache { return m }

// Start implements cache.Informers.
func (m metadataCache) Start(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var versions wait.Group
	versions.StartWithContext(ctx, m.foreign.Run)
	defer versions.Wait()
	defer cancel()
	return m.Cache.Start(ctx)
}

// WaitForCacheSync implements cache.Informers.
func (m metadataCache) WaitForCacheSync(ctx context.Context) bool {
	return m.Cache.WaitForCacheSync(ctx) && m.foreign.WaitFilled(ctx) == nil
}

// Get implements client.Reader.
func (m metadataCache) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	metadata, ok := object.(*metav1.PartialObjectMetadata)
	if ok && metadata.GroupVersionKind() == SecretMetadata().GroupVersionKind() {
		return m.secret(ctx, key, metadata)
	}
	if err := m.Cache.Get(ctx, key, object, options...); err != nil || isHeld(object) {
		return err
	}
	return m.live.Get(ctx, key, object, options...)
}

// secret reads the metadata of a Secret. Two watches see a Secret that gets the label or loses it; until both have, the later version
// is the one that holds.
func (m metadataCache) secret(ctx context.Context, key client.ObjectKey, into *metav1.PartialObjectMetadata) error {
	labelled := &corev1.Secret{}
	err := m.labelled.Get(ctx, key, labelled)
	if client.IgnoreNotFound(err) != nil {
		return err
	}
	foreign, unfilled := m.foreign.Get(key)
	if unfilled != nil {
		return unfilled
	}
	switch {
	case err == nil && !IsNewer(foreign.ResourceVersion, labelled.ResourceVersion):
		into.ObjectMeta = labelled.ObjectMeta
	case foreign.Exists():
		into.ObjectMeta = foreign.Metadata(key)
	default:
		return apierrors.NewNotFound(corev1.Resource("secrets"), key.Name)
	}
	return nil
}

// foreignSecrets enqueues the accounts that a changed Secret without the operator's label concerns.
func (m metadataCache) foreignSecrets(concerned func(context.Context, client.ObjectKey) []reconcile.Request) source.Source {
	return m.foreign.Source(concerned)
}

// labels enqueues the accounts that the changed labels of a Namespace concern. A new Namespace concerns none: its accounts come after it.
func (m metadataCache) labels(concerned func(context.Context, *metav1.PartialObjectMetadata) []reconcile.Request) source.Source {
	return source.Kind(m.Cache, NamespaceMetadata(), handler.TypedEnqueueRequestsFromMapFunc(concerned), labelsChanged())
}

// labelsChanged lets through changes of labels alone.
func labelsChanged() predicate.TypedPredicate[*metav1.PartialObjectMetadata] {
	return predicate.TypedFuncs[*metav1.PartialObjectMetadata]{
		CreateFunc: func(event.TypedCreateEvent[*metav1.PartialObjectMetadata]) bool { return false },
		DeleteFunc: func(event.TypedDeleteEvent[*metav1.PartialObjectMetadata]) bool { return false },
		UpdateFunc: func(e event.TypedUpdateEvent[*metav1.PartialObjectMetadata]) bool {
			return !maps.Equal(e.ObjectOld.Labels, e.ObjectNew.Labels)
		},
	}
}

// keepLabels drops all metadata of an object but its name, namespace, version and labels.
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
