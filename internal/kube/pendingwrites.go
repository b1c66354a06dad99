package kube

import (
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

const (
	kindAccount = "MarketplaceAccount"
	kindSecret  = "Secret"
)

// kindOf is the kind of an object or list if its writes are followed, and empty for the rest.
func kindOf(object any) string {
	switch o := object.(type) {
	case *v1alpha1.MarketplaceAccount, *v1alpha1.MarketplaceAccountList:
		return kindAccount
	case *corev1.Secret, *corev1.SecretList, *heldSecret:
		return kindSecret
	case *metav1.PartialObjectMetadata: // the answer to a patch of metadata
		if o.GroupVersionKind() == v1alpha1.GroupVersion.WithKind(kindAccount) {
			return kindAccount
		}
	}
	return ""
}

// objectRef names an object that was written.
type objectRef struct {
	kind string
	key  client.ObjectKey
}

func refOf(object client.Object) objectRef {
	return objectRef{kindOf(object), client.ObjectKeyFromObject(object)}
}

// empty returns an object of the kind, to read into.
func (r objectRef) empty() client.Object {
	if r.kind == kindAccount {
		return &v1alpha1.MarketplaceAccount{}
	}
	return &corev1.Secret{}
}

// pendingWrite are the writes of an object that the cache has not shown yet.
type pendingWrite struct {
	// underway is how many writes have no answer yet.
	underway int
	// version is the last one that was written; empty when the cache has shown it.
	version string
	// timedOut tells that a read has waited for the version in vain.
	timedOut bool
	// changed is closed when any of this changes; nil while no read waits for it.
	changed chan struct{}
}

// pendingWrites are the writes that the cache has not shown yet. They may be used by many goroutines at once.
type pendingWrites struct {
	mu     sync.Mutex // guards writes
	writes map[objectRef]pendingWrite
}

func (p *pendingWrites) of(ref objectRef) (pendingWrite, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	write, pending := p.writes[ref]
	return write, pending
}

// ofKind returns the objects of a kind that have pending writes.
func (p *pendingWrites) ofKind(kind string) []objectRef {
	p.mu.Lock()
	defer p.mu.Unlock()
	var refs []objectRef
	for ref := range p.writes {
		if ref.kind == kind {
			refs = append(refs, ref)
		}
	}
	return refs
}

// changed returns a channel that is closed when the pending write changes; it is closed already where none is pending.
func (p *pendingWrites) changed(ref objectRef) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	write, pending := p.writes[ref]
	if !pending {
		done := make(chan struct{})
		close(done)
		return done
	}
	if write.changed == nil {
		write.changed = make(chan struct{})
		p.writes[ref] = write
	}
	return write.changed
}

// change changes the pending write of an object, wakes the reads that wait for it, and drops it when it is pending no longer.
func (p *pendingWrites) change(ref objectRef, change func(*pendingWrite)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	write := p.writes[ref]
	before := write
	change(&write)
	if write != before && write.changed != nil {
		close(write.changed)
		write.changed = nil
	}
	if write.underway == 0 && write.version == "" {
		delete(p.writes, ref)
		return
	}
	if p.writes == nil {
		p.writes = map[objectRef]pendingWrite{}
	}
	p.writes[ref] = write
}

// begin remembers that a write is under way.
func (p *pendingWrites) begin(ref objectRef) {
	p.change(ref, func(w *pendingWrite) { w.underway++ })
}

// end remembers the version that a write has made; empty when it failed.
func (p *pendingWrites) end(ref objectRef, version string) {
	p.change(ref, func(w *pendingWrite) {
		w.underway--
		if version != "" && (w.version == "" || IsNewer(version, w.version)) {
			w.version, w.timedOut = version, false
		}
	})
}

// shown forgets the writes up to the version that the cache shows.
func (p *pendingWrites) shown(ref objectRef, version string) {
	p.change(ref, func(w *pendingWrite) {
		if !IsNewer(w.version, version) {
			w.version, w.timedOut = "", false
		}
	})
}

// forget forgets the writes that were answered.
func (p *pendingWrites) forget(ref objectRef) {
	p.change(ref, func(w *pendingWrite) { w.version, w.timedOut = "", false })
}

// timeOut remembers that a read has waited in vain for the last write.
func (p *pendingWrites) timeOut(ref objectRef) {
	p.change(ref, func(w *pendingWrite) { w.timedOut = w.version != "" })
}

// IsNewer tells whether a resource version is later than another. Of one that is no number nothing is known.
func IsNewer(version, than string) bool {
	order, err := resourceversion.CompareResourceVersion(version, than)
	return err == nil && order > 0
}
