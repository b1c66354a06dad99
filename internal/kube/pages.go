package kube

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"

	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
)

// newInformer makes the informers of the manager's cache. Where the API server cannot stream a list they ask for it in small pages, and
// cut each page down as the cache does: all at once it would be everything that tenants have written.
func (c *contents) newInformer(
	whole toolscache.ListerWatcher, object runtime.Object, resync time.Duration, indexers toolscache.Indexers,
) toolscache.SharedIndexInformer {
	lister, watcher := toolscache.ToListerWithContext(whole), toolscache.ToWatcherWithContext(whole)
	paged := &toolscache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			if options.ResourceVersion == "0" {
				options.ResourceVersion = "" // for "0" the whole list comes at once, however many are asked for
			}
			options.Limit = min(options.Limit, bounds.ListPage)
			list, err := lister.ListWithContext(ctx, options)
			if err != nil {
				return nil, err
			}
			return list, c.keepAll(list)
		},
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return watcher.WatchWithContext(ctx, options)
		},
	}
	return toolscache.NewSharedIndexInformer(paged, object, resync, indexers)
}

// keepAll cuts the Secrets and accounts of a page down to the part that the cache holds.
func (c *contents) keepAll(list runtime.Object) error {
	err := apimeta.EachListItem(list, func(item runtime.Object) error {
		if secret, ok := item.(*corev1.Secret); ok {
			kept, err := c.secret(secret)
			if err == nil {
				*secret = *kept.(*corev1.Secret)
			}
			return err
		}
		_, err := c.account(item) // in its place
		return err
	})
	if err != nil {
		return fmt.Errorf("looking through a list: %w", err)
	}
	return nil
}
