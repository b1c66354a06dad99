package controller

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"unique"

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

// versions knows the version of every Secret in the watched namespaces that does not carry the operator's label, and which account
// controls it. It knows nothing else of them, because they belong to others: less than two hundred bytes each, where a cache of
// their metadata takes thousands. Those with the label are in the manager's cache. It may be used by many goroutines at once.
type versions struct {
	client clientmetadata.Getter
	// stores are one for each watched namespace, or one under "" for all.
	stores map[string]*versionStore
	// told is called with each change after a store was filled; nil while nobody listens.
	told atomic.Pointer[func(change)]
}

func newVersions(getter clientmetadata.Getter, namespaces []string) *versions {
	if len(namespaces) == 0 {
		namespaces = []string{metav1.NamespaceAll}
	}
	v := &versions{client: getter, stores: map[string]*versionStore{}}
	for _, namespace := range namespaces {
		v.stores[namespace] = newVersionStore(v.tell)
	}
	return v
}

func (v *versions) tell(c change) {
	if told := v.told.Load(); told != nil {
		(*told)(c)
	}
}

// run follows the API server until ctx ends.
func (v *versions) run(ctx context.Context) {
	var reflectors wait.Group
	for namespace, store := range v.stores {
		reflector := toolscache.NewReflectorWithOptions(v.listerWatcher(namespace), &metav1.PartialObjectMetadata{}, store,
			toolscache.ReflectorOptions{Name: "versions of Secrets", TypeDescription: "metadata of Secrets"})
		reflector.WatchListPageSize = bounds.ListPage
		reflectors.StartWithContext(ctx, reflector.RunWithContext)
	}
	reflectors.StartWithContext(ctx, v.giveBack)
	reflectors.Wait()
}

// giveBack returns the memory that the first lists took, some kilobytes of garbage for each Secret, which would otherwise stay
// with the process until it needs it again.
func (v *versions) giveBack(ctx context.Context) {
	if v.waitFilled(ctx) == nil {
		debug.FreeOSMemory()
	}
}

func (v *versions) listerWatcher(namespace string) toolscache.ListerWatcher {
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

// waitFilled waits until everything that was there at the start is known.
func (v *versions) waitFilled(ctx context.Context) error {
	for _, store := range v.stores {
		select {
		case <-store.filled:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// get returns what is known of a Secret. In a namespace that is not watched there is none.
func (v *versions) get(key client.ObjectKey) (version, error) {
	store := v.stores[key.Namespace]
	if store == nil {
		store = v.stores[metav1.NamespaceAll]
	}
	if store == nil {
		return version{}, nil
	}
	return store.get(key)
}

// version is what is known of a Secret; the zero value is that of a Secret which does not exist.
type version struct {
	resourceVersion string
	// account is the UID of the account that controls the Secret; empty when none does.
	account types.UID
}

func (v version) exists() bool { return v.resourceVersion != "" }

// metadata is what is known of the Secret, in the API's words.
func (v version) metadata(key client.ObjectKey) metav1.ObjectMeta {
	known := metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, ResourceVersion: v.resourceVersion}
	if v.account != "" {
		known.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: kindAccount, UID: v.account, Controller: new(true),
		}}
	}
	return known
}

// change is what happened to a Secret.
type change struct {
	key           client.ObjectKey
	before, after version
}

// ---- what one watch fills

// versionStore is the store of a reflector.
type versionStore struct {
	changed func(change)
	// filled is closed when the first list has come.
	filled chan struct{}

	mu   sync.RWMutex // guards held
	held map[secretKey]version
}

var _ toolscache.TransformingStore = (*versionStore)(nil)

// secretKey names a Secret, with one copy of the namespace for all its Secrets.
type secretKey struct {
	namespace unique.Handle[string]
	name      string
}

// sighting is what the reflector holds of a Secret while a list comes in.
type sighting struct {
	key secretKey
	version
}

func newVersionStore(changed func(change)) *versionStore {
	return &versionStore{changed: changed, filled: make(chan struct{}), held: map[secretKey]version{}}
}

func (s *versionStore) get(key client.ObjectKey) (version, error) {
	if !s.isFilled() {
		return version{}, errors.New("the versions of Secrets are not known yet")
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.held[secretKey{unique.Make(key.Namespace), key.Name}], nil
}

func (s *versionStore) isFilled() bool {
	select {
	case <-s.filled:
		return true
	default:
		return false
	}
}

func sight(object any) (sighting, error) {
	switch o := object.(type) {
	case *sighting:
		return *o, nil
	case *metav1.PartialObjectMetadata:
		account, _ := tokensecret.ControllingAccount(o)
		return sighting{secretKey{unique.Make(o.Namespace), o.Name}, version{o.ResourceVersion, account}}, nil
	}
	return sighting{}, fmt.Errorf("a watch of Secrets brought a %T", object)
}

// Transformer implements toolscache.TransformingStore. The store in which a streamed list is collected holds what it returns.
func (s *versionStore) Transformer() toolscache.TransformFunc {
	return func(object any) (any, error) {
		seen, err := sight(object)
		return &seen, err
	}
}

// Add implements toolscache.ReflectorStore.
func (s *versionStore) Add(object any) error { return s.Update(object) }

// Update implements toolscache.ReflectorStore.
func (s *versionStore) Update(object any) error {
	seen, err := sight(object)
	if err != nil {
		return err
	}
	s.mu.Lock()
	before := s.held[seen.key]
	s.held[seen.key] = seen.version
	s.mu.Unlock()
	s.report(seen.key, before, seen.version)
	return nil
}

// Delete implements toolscache.ReflectorStore.
func (s *versionStore) Delete(object any) error {
	seen, err := sight(object)
	if err != nil {
		return err
	}
	s.mu.Lock()
	before := s.held[seen.key]
	delete(s.held, seen.key)
	s.mu.Unlock()
	s.report(seen.key, before, version{})
	return nil
}

// Replace implements toolscache.ReflectorStore. The first list is no change: every account comes to attention in a start.
func (s *versionStore) Replace(list []any, _ string) error {
	now := make(map[secretKey]version, len(list))
	for _, object := range list {
		seen, err := sight(object)
		if err != nil {
			return err
		}
		now[seen.key] = seen.version
	}
	s.mu.Lock()
	before := s.held
	s.held = now
	s.mu.Unlock()
	if !s.isFilled() {
		close(s.filled) // only the reflector's goroutine does
		return nil
	}
	s.reportAll(before, now)
	return nil
}

func (s *versionStore) reportAll(before, now map[secretKey]version) {
	for key, after := range now {
		s.report(key, before[key], after)
	}
	for key, gone := range before {
		if _, stays := now[key]; !stays {
			s.report(key, gone, version{})
		}
	}
}

// Resync implements toolscache.ReflectorStore.
func (s *versionStore) Resync() error { return nil }

func (s *versionStore) report(key secretKey, before, after version) {
	if before.resourceVersion != after.resourceVersion {
		s.changed(change{client.ObjectKey{Namespace: key.namespace.Value(), Name: key.name}, before, after})
	}
}

// ---- whom changes concern

// versionSource brings the accounts to attention that changed Secrets concern.
type versionSource struct {
	versions *versions
	lookup   lookup
}

var _ source.SyncingSource = versionSource{}

// Start implements source.Source. What changed before needs no telling: the accounts that come to attention in a start see it.
func (s versionSource) Start(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	s.versions.told.Store(new(func(c change) {
		for _, request := range s.lookup.accountsOfSecret(ctx, c.key) {
			queue.Add(request)
		}
	}))
	return nil
}

// WaitForSync implements source.SyncingSource.
func (s versionSource) WaitForSync(ctx context.Context) error { return s.versions.waitFilled(ctx) }
