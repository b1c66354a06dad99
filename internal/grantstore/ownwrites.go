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
	// OnForeign is called with a Secret that was written elsewhere, where Predicate held it back. It is set before anything is written.
	OnForeign func(client.Object)

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
}

// Write writes a Secret, and keeps the watch from telling about it.
func (o *OwnWrites) Write(secret *corev1.Secret, write func() error) error {
	key := client.ObjectKeyFromObject(secret)
	o.change(key, func(w *ownWrite) { w.underway++ })
	err := write()
	var foreign client.Object
	o.change(key, func(w *ownWrite) {
		w.underway--
		if err == nil {
			w.version = secret.ResourceVersion
		}
		switch {
		case w.shown == nil:
		case w.version == "" || kube.IsNewer(w.shown.GetResourceVersion(), w.version):
			foreign, w.version = w.shown, ""
		case w.shown.GetResourceVersion() == w.version:
			w.version = ""
		}
		if w.underway == 0 || foreign != nil {
			w.shown = nil
		}
	})
	if foreign != nil && o.OnForeign != nil {
		o.OnForeign(foreign)
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

// isForeign tells whether no reconcile wrote a version, or wrote on top of it. While a write has no answer that is not known, and
// OnForeign is called later.
func (o *OwnWrites) isForeign(object client.Object) (foreign bool) {
	version := object.GetResourceVersion()
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
	})
	return foreign
}

// Predicate lets through the writes of other writers, and deletions.
func (o *OwnWrites) Predicate() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return o.isForeign(e.Object) },
		UpdateFunc: func(e event.UpdateEvent) bool { return o.isForeign(e.ObjectNew) },
		DeleteFunc: func(e event.DeleteEvent) bool {
			o.change(client.ObjectKeyFromObject(e.Object), func(w *ownWrite) { w.version, w.shown = "", nil })
			return true
		},
	}
}
