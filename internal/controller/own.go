package controller

import (
	"sync"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
)

// ownWrites remembers which versions of Secrets a reconcile has written, until the watch shows them. The reconcile goes on with
// what it wrote, so that there is no need for another one. It may be used by many goroutines at once.
type ownWrites struct {
	// tell is called with what others wrote and the predicate kept back. It is set before anything is written.
	tell func(client.Object)

	mu     sync.Mutex // guards writes
	writes map[client.ObjectKey]ownWrite
}

// ownWrite is a write whose version the watch has not shown yet.
type ownWrite struct {
	// underway is how many writes have no answer yet.
	underway int
	// version is what the last answer said; empty when the watch has shown it.
	version string
	// shown is the last that the watch showed while there was no answer: it may be the own write or another's.
	shown client.Object
}

// write writes a Secret, and keeps the watch from telling about it.
func (o *ownWrites) write(secret *corev1.Secret, write func() error) error {
	key := client.ObjectKeyFromObject(secret)
	o.change(key, func(w *ownWrite) { w.underway++ })
	err := write()
	var others client.Object
	o.change(key, func(w *ownWrite) {
		w.underway--
		if err == nil {
			w.version = secret.ResourceVersion
		}
		switch {
		case w.shown == nil:
		case w.version == "" || newer(w.shown.GetResourceVersion(), w.version):
			others, w.version = w.shown, ""
		case w.shown.GetResourceVersion() == w.version:
			w.version = ""
		}
		if w.underway == 0 || others != nil {
			w.shown = nil
		}
	})
	if others != nil && o.tell != nil {
		o.tell(others)
	}
	return err
}

// change changes what is known of a Secret, and drops it when that is nothing.
func (o *ownWrites) change(key client.ObjectKey, change func(*ownWrite)) {
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

// byOthers tells whether a version is none of a reconcile, and none that a reconcile has written upon. While a write has no
// answer nobody knows, and it is told later.
func (o *ownWrites) byOthers(object client.Object) (others bool) {
	version := object.GetResourceVersion()
	o.change(client.ObjectKeyFromObject(object), func(w *ownWrite) {
		switch {
		case w.underway > 0:
			w.shown = object
		case w.version == "":
			others = true
		case !newer(w.version, version):
			others = w.version != version
			w.version = ""
		}
	})
	return others
}

// predicate lets through what others did.
func (o *ownWrites) predicate() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return o.byOthers(e.Object) },
		UpdateFunc: func(e event.UpdateEvent) bool { return o.byOthers(e.ObjectNew) },
		DeleteFunc: func(e event.DeleteEvent) bool {
			o.change(client.ObjectKeyFromObject(e.Object), func(w *ownWrite) { w.version, w.shown = "", nil })
			return true
		},
	}
}
