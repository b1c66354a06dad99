package portal

import (
	"context"
	"strings"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/portal/cards"
	"github.com/tokenkeeper/tokenkeeper/internal/portal/visitor"
)

// rights are those to single accounts whose name ends with an a.
type rights struct{ client.Writer }

func (rights) Create(_ context.Context, object client.Object, _ ...client.CreateOption) error {
	review := object.(*authorizationv1.SubjectAccessReview)
	review.Status.Allowed = strings.HasSuffix(review.Spec.ResourceAttributes.Name, "a")
	return nil
}

// shelf is a cache, which gives away what it holds.
type shelf struct {
	client.Reader
	accounts []v1alpha1.MarketplaceAccount
	copied   bool
}

func (s *shelf) List(_ context.Context, list client.ObjectList, options ...client.ListOption) error {
	asked := (&client.ListOptions{}).ApplyOptions(options)
	s.copied = s.copied || asked.UnsafeDisableDeepCopy == nil || !*asked.UnsafeDisableDeepCopy
	if accounts, are := list.(*v1alpha1.MarketplaceAccountList); are {
		accounts.Items = append(accounts.Items, s.accounts...)
	}
	return nil
}

func TestOnlyWhatIsShownIsCopied(t *testing.T) {
	cache := &shelf{}
	for _, name := range []string{"a", "b"} {
		cache.accounts = append(cache.accounts, v1alpha1.MarketplaceAccount{ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: name, Annotations: map[string]string{"is": "kept"},
		}})
	}
	p := &Portal{reader: cache, reception: visitor.New(visitor.Options{Kube: rights{}, Clock: clock.RealClock{}})}
	shown, _, _, err := p.seen(t.Context(), &visitor.Visitor{}, func(*v1alpha1.MarketplaceAccount) bool { return true })
	if err != nil || len(shown) != 1 || shown[0].Name != "a" {
		t.Fatalf("shown are %v, %v", shown, err)
	}
	if cache.copied {
		t.Error("everything is copied for everybody")
	}
	entries := make([]cards.Entry, 2*maxCards)
	for i := range entries {
		entries[i].Account = shown[0]
	}
	first := firstOf(entries)
	if len(first) != maxCards || len(firstOf(entries[:7])) != 7 {
		t.Errorf("a page shows %d of %d accounts, and %d of 7", len(first), len(entries), len(firstOf(entries[:7])))
	}
	first[0].Account.Annotations["is"] = "changed"
	if cache.accounts[0].Annotations["is"] != "kept" {
		t.Error("what is shown is the cache's own")
	}
}
