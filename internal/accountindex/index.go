package accountindex

import (
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"strconv"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Index finds accounts by values of one kind.
//
// The index of a cache costs some six hundred bytes for each value that one account alone has, and the Secrets and sellers of most accounts are
// their own. So the cache is given the number of a bucket instead, in which a few accounts lie together, and List tells them apart.
type Index struct {
	name string
	// values are those of an account.
	values func(*v1alpha1.MarketplaceAccount) []string
}

// buckets are as many as make the index small and leave few accounts in each: five of ten thousand.
const buckets = 2048

// seed makes it impossible to choose names that fall into one bucket.
var seed = maphash.MakeSeed()

func bucketOf(value string) string {
	return strconv.FormatUint(maphash.String(seed, value)%buckets, 36)
}

// Add adds the index to a cache.
func (i Index) Add(ctx context.Context, indexer client.FieldIndexer) error {
	if err := indexer.IndexField(ctx, &v1alpha1.MarketplaceAccount{}, i.name, i.Buckets); err != nil {
		return fmt.Errorf("indexing accounts by %s: %w", i.name, err)
	}
	return nil
}

// Name is the field under which the index is in a cache.
func (i Index) Name() string { return i.name }

// Buckets are where an account lies in the index. It is a client.IndexerFunc.
func (i Index) Buckets(object client.Object) []string {
	account, ok := object.(*v1alpha1.MarketplaceAccount)
	if !ok {
		return nil
	}
	var all []string
	for _, value := range i.values(account) {
		if bucket := bucketOf(value); !slices.Contains(all, bucket) {
			all = append(all, bucket)
		}
	}
	return all
}

// List returns the accounts in a cache that have a value. They are the cache's own, and not to be changed.
func (i Index) List(ctx context.Context, cache client.Reader, value string, options ...client.ListOption) ([]v1alpha1.MarketplaceAccount, error) {
	var list v1alpha1.MarketplaceAccountList
	if err := cache.List(ctx, &list, append(options, client.MatchingFields{i.name: bucketOf(value)}, client.UnsafeDisableDeepCopy)...); err != nil {
		return nil, fmt.Errorf("listing accounts by %s: %w", i.name, err)
	}
	return slices.DeleteFunc(list.Items, func(account v1alpha1.MarketplaceAccount) bool { return !slices.Contains(i.values(&account), value) }), nil
}
