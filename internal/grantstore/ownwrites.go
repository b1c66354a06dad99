package grantstore

import (
	"sync"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/tokenkeeper/tokenkeeper/internal/kube"
)

// OwnWrites remembers the versions of Secrets that a reconcile has written, until the watch shows them. The reconcile goes on with
// its own version, so that there is no need for another reconcile. It may be used by many goroutines at once.
type OwnWrites struct {
	// OnForeign is called with a Secret that was written elsewhere, where Predicate held it back. doubtful tells that a write of a reconcile may have made
	// it, whose answer was lost: that reconcile has failed and is repeated with growing waits, which its own version must not cut short. OnForeign is set
	// before anything is written.
	OnForeign func(secret client.Object, doubtful bool)

	mu     sync.Mutex // guards writes
	writes map[client.ObjectKey]ownWrite
}

// ownWrite is a write whose version the watch has not shown yet.
type ownWrite struct {
	// underway is how many writes have no answer yet.
	underway int
	// version is that of the last answer; empty when the watch has shown it.
	version string
	// shown is the last that the watch showed while there was no answer: it may be the own write or a foreign one.
	shown client.Object
	// unanswered tells that the answer to the last write was lost, and that the watch has shown no version since then that the write may have made.
	unanswered bool
}

// takeDoubt tells once whether a version that is not known as an own one may have been made by a write whose answer was lost.
func (w *ownWrite) takeDoubt() (doubtful bool) {
	doubtful, w.unanswered = w.unanswered, false
	return doubtful
}

// Write writes a Secret, and keeps the watch from telling about it.
func (o *OwnWrites) Write(secret *corev1.Secret, write func() error) error {
	key := client.ObjectKeyFromObject(secret)
	o.change(key, func(w *ownWrite) { w.underway++ })
	err := write()
	var foreign client.Object
	var doubtful bool
	o.change(key, func(w *ownWrite) {
		w.underway--
		if w.unanswered = err != nil && MayPass(err); err == nil {
			w.version = secret.ResourceVersion
		}
		switch {
		case w.shown == nil:
		case w.version == "" || kube.IsNewer(w.shown.GetResourceVersion(), w.version):
			foreign, w.version, doubtful = w.shown, "", w.takeDoubt()
		case w.shown.GetResourceVersion() == w.version:
			w.version = ""
		}
		if w.underway == 0 || foreign != nil {
			w.shown = nil
		}
	})
	if foreign != nil && o.OnForeign != nil {
		o.OnForeign(foreign, doubtful)
	}
	return err
}

// change changes the entry of a Secret, and drops an empty one.
func (o *OwnWrites) change(key client.ObjectKey, change func(*ownWrite)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	w := o.writes[key]
	change(&w)
	if w == (ownWrite{}) {
		delete(o.writes, key)
		return
	}
	if o.writes == nil {
		o.writes = map[client.ObjectKey]ownWrite{}
	}
	o.writes[key] = w
}

// letThrough notes a version that the watch shows, and tells whether no reconcile wrote it, or wrote on top of it. While a write has no answer that is
// not known, and OnForeign is called later; where its answer was lost, OnForeign is called now.
func (o *OwnWrites) letThrough(object client.Object) (foreign bool) {
	version := object.GetResourceVersion()
	var doubtful bool
	o.change(client.ObjectKeyFromObject(object), func(w *ownWrite) {
		switch {
		case w.underway > 0:
			w.shown = object
		case w.version == "":
			foreign = true
		case !kube.IsNewer(w.version, version):
			foreign = w.version != version
			w.version = ""
		}
		doubtful = foreign && w.takeDoubt()
	})
	if doubtful && o.OnForeign != nil {
		o.OnForeign(object, true)
	}
	return foreign && !doubtful
}

// Predicate lets through the writes of other writers, and deletions.
func (o *OwnWrites) Predicate() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return o.letThrough(e.Object) },
		UpdateFunc: func(e event.UpdateEvent) bool { return o.letThrough(e.ObjectNew) },
		DeleteFunc: func(e event.DeleteEvent) bool {
			o.change(client.ObjectKeyFromObject(e.Object), func(w *ownWrite) { w.version, w.shown, w.unanswered = "", nil, false })
			return true
		},
	}
}
