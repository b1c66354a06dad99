package kube

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

// entryLife is how long the metadata of a Secret in a namespace that is not watched is taken for current.
const entryLife = time.Minute

// unwatchedMetadata reads metadata from the cache. A Marketplace's application may lie in a namespace that is not watched, and
// where the operator may get that one Secret and watch none: its metadata is read from the API server, once a minute. It
// may be used by many goroutines at once.
type unwatchedMetadata struct {
	namespacedReader
	// marketplaces reads them from the cache.
	marketplaces client.Reader
	live         client.Reader
	clock        clock.PassiveClock

	mu      sync.Mutex // guards the rest
	entries map[client.ObjectKey]metadataEntry
	changed map[client.ObjectKey]bool // since accounts were last enqueued
}

// metadataEntry is the API server's answer for a Secret: its metadata, or why there is none.
type metadataEntry struct {
	at       time.Time
	metadata *metav1.PartialObjectMetadata
	err      error
}

func (e metadataEntry) same(as metadataEntry) bool {
	return e.metadata.GetResourceVersion() == as.metadata.GetResourceVersion() && apierrors.ReasonForError(e.err) == apierrors.ReasonForError(as.err)
}

func newUnwatchedMetadata(cached namespacedReader, marketplaces, live client.Reader, clock clock.PassiveClock) *unwatchedMetadata {
	return &unwatchedMetadata{
		namespacedReader: cached, marketplaces: marketplaces, live: live, clock: clock,
		entries: map[client.ObjectKey]metadataEntry{}, changed: map[client.ObjectKey]bool{},
	}
}

// Get implements client.Reader.
func (u *unwatchedMetadata) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	metadata, ok := object.(*metav1.PartialObjectMetadata)
	if !ok || u.holds(key.Namespace) {
		return u.namespacedReader.Get(ctx, key, object, options...)
	}
	u.mu.Lock()
	last, known := u.entries[key]
	u.mu.Unlock()
	if age := u.clock.Now().Sub(last.at); !known || age < 0 || age >= entryLife {
		last = u.read(ctx, key)
	}
	if last.err == nil {
		last.metadata.DeepCopyInto(metadata)
	}
	return last.err
}

// read asks the API server about a Secret, and remembers its answer if it is one.
func (u *unwatchedMetadata) read(ctx context.Context, key client.ObjectKey) metadataEntry {
	now := metadataEntry{at: u.clock.Now(), metadata: SecretMetadata()}
	now.err = u.live.Get(ctx, key, now.metadata)
	if now.err != nil && !apierrors.IsNotFound(now.err) && !apierrors.IsForbidden(now.err) {
		return now
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if last, known := u.entries[key]; known && !last.same(now) {
		u.changed[key] = true
	}
	u.entries[key] = now
	return now
}

// source enqueues the accounts that a changed application in a namespace that is not watched concerns.
func (u *unwatchedMetadata) source(concerned func(context.Context, client.ObjectKey) []reconcile.Request) source.Source {
	return source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		if len(u.namespaces) == 0 {
			return nil
		}
		go wait.UntilWithContext(ctx, func(ctx context.Context) {
			for _, key := range u.readAll(ctx) {
				for _, request := range concerned(ctx, key) {
					queue.Add(request)
				}
			}
		}, entryLife)
		return nil
	})
}

// readAll reads every such application, and returns the ones that have changed.
func (u *unwatchedMetadata) readAll(ctx context.Context) []client.ObjectKey {
	var marketplaces v1alpha1.MarketplaceList
	if err := u.marketplaces.List(ctx, &marketplaces, client.UnsafeDisableDeepCopy); err != nil {
		logf.FromContext(ctx).Error(err, "Listing Marketplaces for their applications")
		return nil
	}
	named := map[client.ObjectKey]bool{}
	for i := range marketplaces.Items {
		if application := marketplaces.Items[i].Spec.Application; application != nil && !u.holds(application.SecretRef.Namespace) {
			named[client.ObjectKey{Namespace: application.SecretRef.Namespace, Name: application.SecretRef.Name}] = true
		}
	}
	var changed []client.ObjectKey
	for key := range named {
		u.read(ctx, key)
		if u.takeChange(key) {
			changed = append(changed, key)
		}
	}
	u.forgetOthers(named)
	return changed
}

// takeChange tells once that a Secret has changed.
func (u *unwatchedMetadata) takeChange(key client.ObjectKey) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	changed := u.changed[key]
	delete(u.changed, key)
	return changed
}

// forgetOthers forgets the Secrets that no Marketplace names any more.
func (u *unwatchedMetadata) forgetOthers(named map[client.ObjectKey]bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for key := range u.entries {
		if !named[key] {
			delete(u.entries, key)
			delete(u.changed, key)
		}
	}
}
