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
	mu       sync.Mutex
	versions map[client.ObjectKey]string
}

// wrote remembers a write. One whose event was quicker leaves an entry, which the next event removes.
func (o *ownWrites) wrote(secret *corev1.Secret) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.versions == nil {
		o.versions = map[client.ObjectKey]string{}
	}
	o.versions[client.ObjectKeyFromObject(secret)] = secret.ResourceVersion
}

// byOthers tells whether a version is none of a reconcile, and none that a reconcile has written upon.
func (o *ownWrites) byOthers(object client.Object) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	key, version := client.ObjectKeyFromObject(object), object.GetResourceVersion()
	own, ok := o.versions[key]
	if !ok {
		return true
	}
	if newer(own, version) {
		return false
	}
	delete(o.versions, key)
	return own != version
}

// predicate lets through what others did.
func (o *ownWrites) predicate() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return o.byOthers(e.Object) },
		UpdateFunc: func(e event.UpdateEvent) bool { return o.byOthers(e.ObjectNew) },
		DeleteFunc: func(e event.DeleteEvent) bool {
			o.byOthers(e.Object)
			return true
		},
	}
}
