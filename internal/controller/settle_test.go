package controller_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	clients "github.com/tokenkeeper/tokenkeeper/internal/kube"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplacestatus"
	"github.com/tokenkeeper/tokenkeeper/test/testworld"
)

const (
	// pollsOfRest is how often in a row the operator has to be found at rest, at a distance of pollEvery: what a watch or a clock has brought is in the
	// work queue by then.
	pollsOfRest = 6
	pollEvery   = 5 * time.Millisecond
	// longestDelay bounds how long a story waits for the operator to see a write, which it may not be meant to see.
	longestDelay = time.Second
)

// settle waits until the operator has nothing to do at this moment of the story's clock.
func (w *world) settle() {
	w.T.Helper()
	w.settleBut(0)
}

// settleBut waits until the operator has nothing to do but for as many accounts: it has seen what was written, and works on nothing else.
func (w *world) settleBut(busy int32) {
	w.T.Helper()
	polls, looks := 0, int64(0)
	w.Eventually(func() bool {
		queue := w.queue.Load()
		if queue == nil || !queue.restsBut(busy) || queue.looks.Load() != looks {
			polls = 0
			if queue != nil {
				looks = queue.looks.Load()
			}
			return false
		}
		if polls == 0 {
			w.waitSeen(queue.clients)
		}
		polls++
		return polls > pollsOfRest
	}).WithPolling(pollEvery).Should(BeTrue(), "the operator does not come to rest")
}

// waitSeen waits until an operator has seen what the story's users and it have written.
func (w *world) waitSeen(operator *clients.Clients) {
	ctx, cancel := context.WithTimeout(context.Background(), longestDelay)
	defer cancel()
	namespaces := slices.Concat(w.namespaces, w.tenants)
	for _, write := range written.take(namespaces) {
		_ = wait.PollUntilContextCancel(ctx, time.Millisecond, true, func(ctx context.Context) (bool, error) { return write.seen(ctx, operator), nil })
	}
	for _, namespace := range namespaces { // a read shows the operator's own writes before it
		_ = operator.Client.List(ctx, &v1alpha1.MarketplaceAccountList{}, client.InNamespace(namespace))
		_ = operator.Client.List(ctx, &corev1.SecretList{}, client.InNamespace(namespace))
	}
}

// writtenObject is an object that a user wrote or deleted.
type writtenObject struct {
	kind    schema.GroupVersionKind
	key     client.ObjectKey
	version string // empty where it was deleted
	// labelled tells that it is a Secret with the operator's label, which two caches hold.
	labelled bool
}

// seen tells whether an operator has seen the write.
func (o writtenObject) seen(ctx context.Context, operator *clients.Clients) bool {
	switch o.kind.Kind {
	case "Secret":
		return o.shownBy(ctx, operator.Metadata, clients.SecretMetadata()) && (!o.labelled || o.shownBy(ctx, operator.Cached, &corev1.Secret{}))
	case "Namespace":
		return o.shownBy(ctx, operator.Metadata, clients.NamespaceMetadata())
	case "Marketplace":
		return o.shownBy(ctx, operator.Cached, &v1alpha1.Marketplace{})
	}
	return o.shownBy(ctx, operator.Cached, &v1alpha1.MarketplaceAccount{})
}

func (o writtenObject) shownBy(ctx context.Context, reader client.Reader, into client.Object) bool {
	err := reader.Get(ctx, o.key, into)
	if o.version == "" {
		return apierrors.IsNotFound(err) || err == nil && into.GetDeletionTimestamp() != nil
	}
	return err == nil && !clients.IsNewer(o.version, into.GetResourceVersion())
}

// writtenObjects are what users of stories wrote, by the namespace of the story, until it was waited for.
type writtenObjects struct {
	mu      sync.Mutex
	objects map[string][]writtenObject
}

var written = &writtenObjects{objects: map[string][]writtenObject{}}

func (o *writtenObjects) take(namespaces []string) []writtenObject {
	o.mu.Lock()
	defer o.mu.Unlock()
	var taken []writtenObject
	for _, namespace := range namespaces {
		taken = append(taken, o.objects[namespace]...)
		delete(o.objects, namespace)
	}
	return taken
}

func (o *writtenObjects) note(object client.Object, deleted bool, err error) error {
	kind, gvkErr := kube.GroupVersionKindFor(object)
	if err != nil || gvkErr != nil {
		return err
	}
	story := object.GetNamespace()
	switch kind.Kind {
	case "Secret", "MarketplaceAccount":
	case "Marketplace":
		story = object.GetLabels()[testworld.LabelStory]
	case "Namespace":
		story = object.GetName()
	default:
		return nil
	}
	write := writtenObject{kind: kind, key: client.ObjectKeyFromObject(object), labelled: object.GetLabels()[v1alpha1.LabelManagedBy] == v1alpha1.ManagedBy}
	if !deleted {
		write.version = object.GetResourceVersion()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.objects[story] = append(o.objects[story], write)
	return nil
}

// noting is a client that notes what users write.
func (o *writtenObjects) noting(kube client.WithWatch) client.WithWatch {
	return interceptor.NewClient(kube, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.CreateOption) error {
			return o.note(object, false, c.Create(ctx, object, options...))
		},
		Update: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.UpdateOption) error {
			return o.note(object, false, c.Update(ctx, object, options...))
		},
		Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, options ...client.PatchOption) error {
			return o.note(object, false, c.Patch(ctx, object, patch, options...))
		},
		Delete: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.DeleteOption) error {
			return o.note(object, true, c.Delete(ctx, object, options...))
		},
		DeleteAllOf: func(ctx context.Context, c client.WithWatch, of client.Object, options ...client.DeleteAllOfOption) error {
			kind, err := kube.GroupVersionKindFor(of)
			if err != nil {
				return err
			}
			all := &metav1.PartialObjectMetadataList{}
			all.SetGroupVersionKind(kind)
			if err := c.List(ctx, all, &new(client.DeleteAllOfOptions).ApplyOptions(options).ListOptions); err != nil {
				return err
			}
			err = c.DeleteAllOf(ctx, of, options...)
			for i := range all.Items {
				_ = o.note(&all.Items[i], true, err)
			}
			return err
		},
		SubResourceUpdate: func(ctx context.Context, c client.Client, name string, object client.Object, options ...client.SubResourceUpdateOption) error {
			return o.note(object, false, c.SubResource(name).Update(ctx, object, options...))
		},
		SubResourcePatch: func(ctx context.Context, c client.Client, name string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
			return o.note(object, false, c.SubResource(name).Patch(ctx, object, patch, options...))
		},
	})
}

// connect connects an operator as it does itself, and lets the story see what it sees.
func (o *operation) connect(ctx context.Context, mgr manager.Manager, clock clock.PassiveClock) (*clients.Clients, error) {
	connected, err := clients.Connect(ctx, mgr, clock)
	o.connected = connected
	return connected, err
}

// newQueue makes the work queue of a controller. That of Marketplaces goes by the real clock, unless the story sets tellsOfMarketplaces: by the story's clock
// each story in which time passes would cost a write for each of its Marketplaces.
func (o *operation) newQueue(name string, limiter workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request] {
	config := workqueue.TypedRateLimitingQueueConfig[reconcile.Request]{Name: name, Clock: testworld.QueueClock{FakeClock: o.clock}}
	if name == marketplacestatus.Name {
		if !o.tellsOfMarketplaces {
			config.Clock = nil
		}
		return workqueue.NewTypedRateLimitingQueueWithConfig(limiter, config)
	}
	queue := &countingQueue{clients: o.connected, TypedRateLimitingInterface: workqueue.NewTypedRateLimitingQueueWithConfig(limiter, config)}
	o.queue.Store(queue)
	return queue
}

// countingQueue knows whether anybody works.
type countingQueue struct {
	workqueue.TypedRateLimitingInterface[reconcile.Request]
	// clients are those of the operator whose queue it is.
	clients *clients.Clients
	// begun tells that the workers have: all that was there at the start is in the queue.
	begun   atomic.Bool
	working atomic.Int32
	looks   atomic.Int64 // that have begun
}

func (q *countingQueue) Get() (reconcile.Request, bool) {
	q.begun.Store(true)
	request, shutdown := q.TypedRateLimitingInterface.Get()
	if !shutdown {
		q.working.Add(1)
		q.looks.Add(1)
	}
	return request, shutdown
}

func (q *countingQueue) Done(request reconcile.Request) {
	q.TypedRateLimitingInterface.Done(request)
	q.working.Add(-1)
}

func (q *countingQueue) restsBut(busy int32) bool {
	return q.begun.Load() && q.Len() == 0 && q.working.Load() == busy
}
