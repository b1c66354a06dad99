package kube

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
)

// largeObjects bounds how many large objects are on their way from and to the API server at once: some megabytes each, of which hundreds of
// workers would hold more than there is. Objects that the cache shows to be small do not wait. It may be used by many goroutines at once.
type largeObjects struct {
	cached  client.Reader
	permits chan struct{}
}

func newLargeObjects(cached client.Reader) *largeObjects {
	return &largeObjects{cached: cached, permits: make(chan struct{}, bounds.LargeObjects)}
}

// acquire waits until an object may be on its way, until release.
func (l *largeObjects) acquire(ctx context.Context, key client.ObjectKey, object client.Object) (release func(), err error) {
	if l.isSmall(ctx, key, object) {
		return func() {}, nil
	}
	select {
	case l.permits <- struct{}{}:
		return func() { <-l.permits }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// isSmall tells whether the object is small, both as the cache shows it and as it is written.
func (l *largeObjects) isSmall(ctx context.Context, key client.ObjectKey, object client.Object) bool {
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
	err := l.cached.Get(ctx, key, held, uncopied(held)...)
	return err == nil && isHeld(held)
}

// largeReader reads past the cache, few large objects at once.
type largeReader struct {
	client.Reader
	large *largeObjects
}

// Get implements client.Reader.
func (r largeReader) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	release, err := r.large.acquire(ctx, key, object)
	if err != nil {
		return err
	}
	defer release()
	return r.Reader.Get(ctx, key, object, options...)
}
