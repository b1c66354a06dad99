package kube

import (
	"context"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// namespacedReader reads from a cache that holds some namespaces: of the rest it finds nothing, where the cache would fail.
type namespacedReader struct {
	client.Reader
	namespaces []string
}

func (r namespacedReader) holds(namespace string) bool {
	return namespace == "" || len(r.namespaces) == 0 || slices.Contains(r.namespaces, namespace)
}

// Get implements client.Reader.
func (r namespacedReader) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	if !r.holds(key.Namespace) {
		return apierrors.NewNotFound(v1alpha1.GroupVersion.WithResource("").GroupResource(), key.String())
	}
	return r.Reader.Get(ctx, key, object, options...)
}

// List implements client.Reader.
func (r namespacedReader) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	if !r.holds((&client.ListOptions{}).ApplyOptions(options).Namespace) {
		return nil
	}
	return r.Reader.List(ctx, list, options...)
}
