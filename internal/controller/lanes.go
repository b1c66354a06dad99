package controller

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
)

// lanes bound how many large objects are on their way from and to the API server at once: some megabytes each, of which hundreds of
// workers would hold more than there is. Objects that the cache shows to be small do not wait. It may be used by many goroutines at once.
type lanes struct {
	cached client.Reader
	places chan struct{}
}

func newLanes(cached client.Reader) *lanes {
	return &lanes{cached: cached, places: make(chan struct{}, bounds.LargeObjects)}
}

// enter waits until there is a place for an object.
func (l *lanes) enter(ctx context.Context, key client.ObjectKey, object client.Object) (leave func(), err error) {
	if l.isSmall(ctx, key, object) {
		return func() {}, nil
	}
	select {
	case l.places <- struct{}{}:
		return func() { <-l.places }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// isSmall tells whether the cache shows the object to be small, and so is what is written.
func (l *lanes) isSmall(ctx context.Context, key client.ObjectKey, object client.Object) bool {
	var held client.Object
	switch o := object.(type) {
	case *corev1.Secret:
		if sizeOfData(o)+sizeOfMetadata(o) > bounds.HeldGrant {
			return false
		}
		held = &corev1.Secret{}
	case *v1alpha1.MarketplaceAccount:
		held = &v1alpha1.MarketplaceAccount{}
	case *metav1.PartialObjectMetadata:
		if o.GroupVersionKind() != v1alpha1.GroupVersion.WithKind(kindAccount) {
			return false
		}
		held = &v1alpha1.MarketplaceAccount{}
	default:
		return true // a review, an event or a lease
	}
	err := l.cached.Get(ctx, key, held, client.UnsafeDisableDeepCopy)
	return err == nil && isHeld(held)
}

// throughLanes reads past the cache.
type throughLanes struct {
	client.Reader
	lanes *lanes
}

// Get implements client.Reader.
func (r throughLanes) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	leave, err := r.lanes.enter(ctx, key, object)
	if err != nil {
		return err
	}
	defer leave()
	return r.Reader.Get(ctx, key, object, options...)
}
