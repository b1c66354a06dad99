package marketplace_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
)

// TestResolveChangesNoMarketplace: it is the cache's own, and read for many accounts at once.
func TestResolveChangesNoMarketplace(t *testing.T) {
	for name, object := range shipped(t) {
		before := object.DeepCopy()
		for _, environment := range object.Spec.Environments {
			for _, grant := range object.Spec.Grants {
				if platform, err := marketplace.Resolve(object, accountOf(object, environment.Name, grant)); err == nil {
					_ = platform.ForAccount("client", "account")
				}
			}
		}
		if diff := cmp.Diff(before, object); diff != "" {
			t.Errorf("%s has changed:\n%s", name, diff)
		}
	}
}
