package secretversions

import (
	"context"
	"sync/atomic"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	clientmetadata "k8s.io/client-go/metadata"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// unlabelled selects the Secrets that do not carry the operator's label.
const unlabelled = v1alpha1.LabelManagedBy + "!=" + v1alpha1.ManagedBy

// Versions holds the versions of the unlabelled Secrets in the watched namespaces. It may be used by many goroutines at once.
type Versions struct {
	client clientmetadata.Getter
	// stores are one for each watched namespace, or one under "" for all.
	stores map[string]*versionStore
	// onChange is called with each change after a store was filled; nil before Source was started.
	onChange atomic.Pointer[func(change)]
}

// New returns the versions of the Secrets in some namespaces, none of which means all. They are empty until Run.
func New(secrets clientmetadata.Getter, namespaces []string) *Versions {
	if len(namespaces) == 0 {
		namespaces = []string{metav1.NamespaceAll}
	}
	v := &Versions{client: secrets, stores: map[string]*versionStore{}}
	for _, namespace := range namespaces {
		v.stores[namespace] = newVersionStore(v.report)
	}
	return v
}

func (v *Versions) report(c change) {
	if onChange := v.onChange.Load(); onChange != nil {
		(*onChange)(c)
	}
}

// Run follows the API server until ctx ends.
func (v *Versions) Run(ctx context.Context) {
	var reflectors wait.Group
	for namespace, store := range v.stores {
		reflector := toolscache.NewReflectorWithOptions(v.listerWatcher(namespace), &metav1.PartialObjectMetadata{}, store,
			toolscache.ReflectorOptions{Name: "versions of Secrets", TypeDescription: "metadata of Secrets"})
		reflector.WatchListPageSize = bounds.ListPage
		reflectors.StartWithContext(ctx, reflector.RunWithContext)
	}
	reflectors.Wait()
}

func (v *Versions) listerWatcher(namespace string) toolscache.ListerWatcher {
	var secrets clientmetadata.ResourceInterface = v.client
	if namespace != metav1.NamespaceAll {
		secrets = v.client.Namespace(namespace)
	}
	return &toolscache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			if options.ResourceVersion == "0" {
				options.ResourceVersion = "" // for "0" the whole list comes at once, however many are asked for
			}
			options.LabelSelector = unlabelled
			list, err := secrets.List(ctx, options)
			if err != nil {
				return nil, err
			}
			for i := range list.Items { // the pages wait for the last one
				list.Items[i].ManagedFields, list.Items[i].Annotations = nil, nil
			}
			return list, nil
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			options.LabelSelector = unlabelled
			return secrets.Watch(ctx, options)
		},
	}
}

// WaitFilled waits until the Secrets that were there at the start are known. Its error is that of ctx.
func (v *Versions) WaitFilled(ctx context.Context) error {
	for _, store := range v.stores {
		select {
		case <-store.filled:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// Get returns the version of a Secret. In a namespace that is not watched there is none. It fails until the first lists have come.
func (v *Versions) Get(key client.ObjectKey) (Version, error) {
	store := v.stores[key.Namespace]
	if store == nil {
		store = v.stores[metav1.NamespaceAll]
	}
	if store == nil {
		return Version{}, nil
	}
	return store.get(key)
}

// Version is the resource version and the account of a Secret; the zero value is that of a Secret which does not exist.
type Version struct {
	ResourceVersion string
	// Account is the UID of the account that controls the Secret; empty when none does.
	Account types.UID
	// Uses are what its label says that it may be used as.
	Uses tokensecret.Uses
}

// Exists tells whether there is such a Secret.
func (v Version) Exists() bool { return v.ResourceVersion != "" }

// Metadata is the version as the API's metadata of the Secret.
func (v Version) Metadata(key client.ObjectKey) metav1.ObjectMeta {
	known := metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, ResourceVersion: v.ResourceVersion, Labels: v.Uses.Label()}
	if v.Account != "" {
		known.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: "MarketplaceAccount", UID: v.Account, Controller: new(true),
		}}
	}
	return known
}

// Source enqueues the accounts that a changed Secret concerns. Only one source is told of changes, the last that was started.
func (v *Versions) Source(concerned func(context.Context, client.ObjectKey) []reconcile.Request) source.SyncingSource {
	return changeSource{v, concerned}
}

type changeSource struct {
	versions  *Versions
	concerned func(context.Context, client.ObjectKey) []reconcile.Request
}

// Start implements source.Source. Changes before it need no telling: each account is reconciled in a start, and sees them.
func (s changeSource) Start(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	s.versions.onChange.Store(new(func(c change) {
		for _, request := range s.concerned(ctx, c.key) {
			queue.Add(request)
		}
	}))
	return nil
}

// WaitForSync implements source.SyncingSource.
func (s changeSource) WaitForSync(ctx context.Context) error { return s.versions.WaitFilled(ctx) }
