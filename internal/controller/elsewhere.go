package controller

import (
	"context"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// glanceLife is how long the metadata of a Secret in a namespace that is not watched is taken for what it is.
const glanceLife = time.Minute

// elsewhere reads metadata from the cache. A Marketplace's application may lie in a namespace that is not watched, and
// where the operator may get that one Secret and watch none: its metadata is read from the API server, once a minute. It
// may be used by many goroutines at once.
type elsewhere struct {
	within
	live  client.Reader
	clock clock.PassiveClock

	mu      sync.Mutex // guards the rest
	seen    map[client.ObjectKey]glance
	changed map[client.ObjectKey]bool // since accounts were last told
}

// glance is what the API server said of a Secret: its metadata, or why there is none.
type glance struct {
	at       time.Time
	metadata *metav1.PartialObjectMetadata
	err      error
}

func (g glance) same(as glance) bool {
	return g.metadata.GetResourceVersion() == as.metadata.GetResourceVersion() && apierrors.ReasonForError(g.err) == apierrors.ReasonForError(as.err)
}

func newElsewhere(cached within, live client.Reader, clock clock.PassiveClock) *elsewhere {
	return &elsewhere{within: cached, live: live, clock: clock, seen: map[client.ObjectKey]glance{}, changed: map[client.ObjectKey]bool{}}
}

// Get implements client.Reader.
func (e *elsewhere) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	metadata, ok := object.(*metav1.PartialObjectMetadata)
	if !ok || e.holds(key.Namespace) {
		return e.within.Get(ctx, key, object, options...)
	}
	e.mu.Lock()
	last, known := e.seen[key]
	e.mu.Unlock()
	if age := e.clock.Now().Sub(last.at); !known || age < 0 || age >= glanceLife {
		last = e.look(ctx, key)
	}
	if last.err == nil {
		last.metadata.DeepCopyInto(metadata)
	}
	return last.err
}

// look asks the API server about a Secret, and remembers its answer if it is one.
func (e *elsewhere) look(ctx context.Context, key client.ObjectKey) glance {
	now := glance{at: e.clock.Now(), metadata: secretMetadata()}
	now.err = e.live.Get(ctx, key, now.metadata)
	if now.err != nil && !apierrors.IsNotFound(now.err) && !apierrors.IsForbidden(now.err) {
		return now
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if last, known := e.seen[key]; known && !last.same(now) {
		e.changed[key] = true
	}
	e.seen[key] = now
	return now
}

// watch brings the accounts to attention whose application has changed in a namespace that is not watched.
func (e *elsewhere) watch(l lookup) source.Source {
	return source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		if len(e.namespaces) == 0 {
			return nil
		}
		go wait.UntilWithContext(ctx, func(ctx context.Context) {
			for _, request := range e.concerned(ctx, l) {
				queue.Add(request)
			}
		}, glanceLife)
		return nil
	})
}

// concerned looks at every such application, and names the accounts of those that have changed.
func (e *elsewhere) concerned(ctx context.Context, l lookup) []reconcile.Request {
	var marketplaces v1alpha1.MarketplaceList
	if err := l.cache.List(ctx, &marketplaces, client.UnsafeDisableDeepCopy); err != nil {
		logf.FromContext(ctx).Error(err, "Listing Marketplaces for their applications")
		return nil
	}
	named := map[client.ObjectKey]bool{}
	for i := range marketplaces.Items {
		if application := marketplaces.Items[i].Spec.Application; application != nil && !e.holds(application.SecretRef.Namespace) {
			named[client.ObjectKey{Namespace: application.SecretRef.Namespace, Name: application.SecretRef.Name}] = true
		}
	}
	var requests []reconcile.Request
	for key := range named {
		e.look(ctx, key)
		if e.tell(key) {
			requests = append(requests, l.accountsOfApplication(ctx, key)...)
		}
	}
	e.keep(named)
	return requests
}

// tell tells once that a Secret has changed.
func (e *elsewhere) tell(key client.ObjectKey) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	changed := e.changed[key]
	delete(e.changed, key)
	return changed
}

// keep forgets what no Marketplace names any more.
func (e *elsewhere) keep(named map[client.ObjectKey]bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for key := range e.seen {
		if !named[key] {
			delete(e.seen, key)
			delete(e.changed, key)
		}
	}
}
