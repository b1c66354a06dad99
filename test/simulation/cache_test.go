package simulation_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/kube"
)

// change is one event of a watch: before is nil of a new object, after of one that is gone.
type change struct {
	at            ref
	before, after client.Object
}

// watchCache holds the objects that one process has seen of the API server: accounts, Marketplaces and the operator's own Secrets, and the metadata of all
// Secrets and Namespaces. It shows a change when deliver is called, which may be late.
type watchCache struct {
	cache.Cache // for methods that the operator does not call
	// pending are changes that were not shown yet.
	pending   []change
	transform func(any) (any, error)

	mu        sync.Mutex // guards the rest
	objects   map[ref]client.Object
	metadata  map[ref]*metav1.PartialObjectMetadata
	informers map[kind]*informer
	indexes   map[string]*index
	queue     workqueue.TypedRateLimitingInterface[reconcile.Request]
	concerned func(context.Context, client.ObjectKey) []reconcile.Request
}

// index finds accounts by a value.
type index struct {
	extract client.IndexerFunc
	names   map[string]map[client.ObjectKey]bool
}

// watch returns a cache that is filled with all objects.
func (s *apiServer) watch() *watchCache {
	c := &watchCache{objects: map[ref]client.Object{}, metadata: map[ref]*metav1.PartialObjectMetadata{}, informers: map[kind]*informer{}, indexes: map[string]*index{}}
	c.transform = kube.Transform(c)
	for _, of := range []kind{namespaces, marketplaces, accounts, secrets} {
		c.informers[of] = &informer{}
		for _, at := range s.refs(of) {
			c.show(change{at: at, after: s.stored(at)})
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watches = append(s.watches, c)
	return c
}

// unwatch ends a watch.
func (s *apiServer) unwatch(c *watchCache) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watches = slices.DeleteFunc(s.watches, func(other *watchCache) bool { return other == c })
}

// deliver shows the pending changes.
func (c *watchCache) deliver() {
	for len(c.pending) > 0 {
		next := c.pending[0]
		c.pending = c.pending[1:]
		c.show(next)
	}
}

func isOwn(object client.Object) bool {
	return object != nil && object.GetLabels()[v1alpha1.LabelManagedBy] == v1alpha1.ManagedBy
}

// show puts a change into the cache, and calls the handlers.
func (c *watchCache) show(what change) {
	if what.at.kind == secrets || what.at.kind == namespaces {
		c.showMetadata(what)
	}
	if what.at.kind == namespaces {
		return
	}
	after := what.after
	if what.at.kind == secrets && !isOwn(after) {
		after = nil
	}
	if after != nil {
		kept, err := c.transform(after.DeepCopyObject())
		if err != nil {
			panic(err)
		}
		after = kept.(client.Object)
	}
	c.mu.Lock()
	before := c.objects[what.at]
	if after == nil {
		delete(c.objects, what.at)
	} else {
		c.objects[what.at] = after
	}
	if what.at.kind == accounts {
		for _, of := range c.indexes {
			of.move(what.at.ObjectKey, before, after)
		}
	}
	handlers := c.informers[what.at.kind].handlers
	c.mu.Unlock()
	for _, handler := range handlers {
		switch {
		case before == nil && after != nil:
			handler.OnAdd(after, false)
		case before != nil && after != nil:
			handler.OnUpdate(before, after)
		case before != nil:
			handler.OnDelete(before)
		}
	}
}

// showMetadata shows the metadata of any Secret or Namespace, and calls for the accounts that a user's Secret concerns.
func (c *watchCache) showMetadata(what change) {
	c.mu.Lock()
	if what.after == nil {
		delete(c.metadata, what.at)
	} else {
		c.metadata[what.at] = metadataOf(what.after)
	}
	queue := c.queue
	c.mu.Unlock()
	foreign := what.before != nil && !isOwn(what.before) || what.after != nil && !isOwn(what.after)
	if what.at.kind != secrets || queue == nil || !foreign {
		return
	}
	for _, request := range c.concerned(context.Background(), what.at.ObjectKey) {
		queue.Add(request)
	}
}

func metadataOf(object client.Object) *metav1.PartialObjectMetadata {
	metadata := kube.SecretMetadata()
	if _, ok := object.(*corev1.Namespace); ok {
		metadata = kube.NamespaceMetadata()
	}
	metadata.Name, metadata.Namespace, metadata.UID = object.GetName(), object.GetNamespace(), object.GetUID()
	metadata.ResourceVersion, metadata.Labels, metadata.OwnerReferences = object.GetResourceVersion(), object.GetLabels(), object.GetOwnerReferences()
	metadata.CreationTimestamp = object.GetCreationTimestamp()
	return metadata
}

// foreignSecrets enqueues the accounts that a Secret without the operator's label concerns.
func (c *watchCache) foreignSecrets(concerned func(context.Context, client.ObjectKey) []reconcile.Request) source.Source {
	return source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.queue, c.concerned = queue, concerned
		return nil
	})
}

func noLabels(func(context.Context, *metav1.PartialObjectMetadata) []reconcile.Request) source.Source {
	return source.Func(func(context.Context, workqueue.TypedRateLimitingInterface[reconcile.Request]) error { return nil })
}

// Get implements client.Reader.
func (c *watchCache) Get(_ context.Context, key client.ObjectKey, into client.Object, options ...client.GetOption) error {
	at := ref{kindOf(into), key}
	c.mu.Lock()
	defer c.mu.Unlock()
	if metadata, ok := into.(*metav1.PartialObjectMetadata); ok && at.kind != accounts {
		held := c.metadata[at]
		if held == nil {
			return notFound(at)
		}
		held.DeepCopyInto(metadata)
		return nil
	}
	held := c.objects[at]
	if held == nil {
		return notFound(at)
	}
	shallow := client.GetOptions{}
	shallow.ApplyOptions(options)
	fill(into, held, shallow.UnsafeDisableDeepCopy != nil && *shallow.UnsafeDisableDeepCopy)
	return nil
}

// fill copies an object.
func fill(into, from client.Object, shallow bool) {
	switch to := into.(type) {
	case *v1alpha1.MarketplaceAccount:
		if shallow {
			*to = *from.(*v1alpha1.MarketplaceAccount)
			return
		}
		from.(*v1alpha1.MarketplaceAccount).DeepCopyInto(to)
	case *v1alpha1.Marketplace:
		if shallow {
			*to = *from.(*v1alpha1.Marketplace)
			return
		}
		from.(*v1alpha1.Marketplace).DeepCopyInto(to)
	case *corev1.Secret:
		if shallow {
			*to = *from.(*corev1.Secret)
			return
		}
		from.(*corev1.Secret).DeepCopyInto(to)
	case *metav1.PartialObjectMetadata:
		kind := to.TypeMeta
		to.ObjectMeta = *metadataOf(from).ObjectMeta.DeepCopy()
		to.Finalizers, to.Annotations, to.TypeMeta = slices.Clone(from.GetFinalizers()), from.GetAnnotations(), kind
	default:
		panic(fmt.Sprintf("the simulated cache has no %T", into))
	}
}

// List implements client.Reader, in the order of names.
func (c *watchCache) List(_ context.Context, into client.ObjectList, options ...client.ListOption) error {
	asked := client.ListOptions{}
	asked.ApplyOptions(options)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch list := into.(type) {
	case *v1alpha1.MarketplaceAccountList:
		list.Items = nil
		for _, key := range c.accountKeys(&asked) {
			list.Items = append(list.Items, *c.objects[ref{accounts, key}].(*v1alpha1.MarketplaceAccount))
		}
	case *v1alpha1.MarketplaceList:
		list.Items = nil
		for at, object := range c.objects {
			if at.kind == marketplaces {
				list.Items = append(list.Items, *object.(*v1alpha1.Marketplace))
			}
		}
		slices.SortFunc(list.Items, func(a, b v1alpha1.Marketplace) int { return compare(a.Name, b.Name) })
	default:
		panic(fmt.Sprintf("the simulated cache lists no %T", into))
	}
	return nil
}

// accountKeys are the accounts that a list asks for. Its caller holds mu.
func (c *watchCache) accountKeys(asked *client.ListOptions) []client.ObjectKey {
	var keys []client.ObjectKey
	add := func(key client.ObjectKey) {
		if asked.Namespace == "" || asked.Namespace == key.Namespace {
			keys = append(keys, key)
		}
	}
	if asked.FieldSelector == nil || asked.FieldSelector.Empty() {
		for at := range c.objects {
			if at.kind == accounts {
				add(at.ObjectKey)
			}
		}
	} else {
		wanted := asked.FieldSelector.Requirements()[0]
		for key := range c.indexes[wanted.Field].names[wanted.Value] {
			add(key)
		}
	}
	slices.SortFunc(keys, func(a, b client.ObjectKey) int { return compareRefs(ref{accounts, a}, ref{accounts, b}) })
	return keys
}

// IndexField implements client.FieldIndexer.
func (c *watchCache) IndexField(_ context.Context, _ client.Object, name string, extract client.IndexerFunc) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	made := &index{extract: extract, names: map[string]map[client.ObjectKey]bool{}}
	c.indexes[name] = made
	for at, object := range c.objects {
		if at.kind == accounts {
			made.move(at.ObjectKey, nil, object)
		}
	}
	return nil
}

func (i *index) move(key client.ObjectKey, before, after client.Object) {
	if before != nil {
		for _, value := range i.extract(before) {
			delete(i.names[value], key)
			if len(i.names[value]) == 0 {
				delete(i.names, value)
			}
		}
	}
	if after != nil {
		for _, value := range i.extract(after) {
			value = strings.Clone(value)
			if i.names[value] == nil {
				i.names[value] = map[client.ObjectKey]bool{}
			}
			i.names[value][key] = true
		}
	}
}

// GetInformer implements cache.Informers.
func (c *watchCache) GetInformer(_ context.Context, object client.Object, _ ...cache.InformerGetOption) (cache.Informer, error) {
	of := kindOf(object)
	return boundInformer{cache: c, of: of}, nil
}

// GetInformerForKind implements cache.Informers.
func (c *watchCache) GetInformerForKind(context.Context, schema.GroupVersionKind, ...cache.InformerGetOption) (cache.Informer, error) {
	panic("not simulated")
}

// WaitForCacheSync implements cache.Informers.
func (c *watchCache) WaitForCacheSync(context.Context) bool { return true }

// informer holds the functions that are called for the changes of a kind.
type informer struct {
	handlers []toolscache.ResourceEventHandler
}

type boundInformer struct {
	cache.Informer
	cache *watchCache
	of    kind
}

// AddEventHandler implements cache.Informer: the present objects come first.
func (i boundInformer) AddEventHandler(handler toolscache.ResourceEventHandler) (toolscache.ResourceEventHandlerRegistration, error) {
	i.cache.mu.Lock()
	defer i.cache.mu.Unlock()
	all := i.cache.informers[i.of]
	all.handlers = append(all.handlers, handler)
	var held []ref
	for at := range i.cache.objects {
		if at.kind == i.of {
			held = append(held, at)
		}
	}
	slices.SortFunc(held, compareRefs)
	objects := make([]client.Object, 0, len(held))
	for _, at := range held {
		objects = append(objects, i.cache.objects[at])
	}
	i.cache.mu.Unlock()
	for _, object := range objects {
		handler.OnAdd(object, true)
	}
	i.cache.mu.Lock()
	return registration{}, nil
}

// AddEventHandlerWithOptions implements cache.Informer.
func (i boundInformer) AddEventHandlerWithOptions(handler toolscache.ResourceEventHandler, _ toolscache.HandlerOptions) (toolscache.ResourceEventHandlerRegistration, error) {
	return i.AddEventHandler(handler)
}

// HasSynced implements cache.Informer.
func (boundInformer) HasSynced() bool { return true }

type registration struct{}

func (registration) HasSynced() bool { return true }

func (registration) HasSyncedChecker() toolscache.DoneChecker { return synced{} }

type synced struct{}

func (synced) Name() string { return "simulated" }

func (synced) Done() <-chan struct{} {
	done := make(chan struct{})
	close(done)
	return done
}
