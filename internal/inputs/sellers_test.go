package inputs

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/accountindex"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
)

// TestTheOldestAccountOfASeller is named by each account of the seller that is younger, in whichever order the cache lists them: else each look might name
// another one, and write that.
func TestTheOldestAccountOfASeller(t *testing.T) {
	g := NewWithT(t)
	scheme := runtime.NewScheme()
	g.Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	morning := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	account := func(namespace, name, seller string, after time.Duration) *v1alpha1.MarketplaceAccount {
		return &v1alpha1.MarketplaceAccount{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID(namespace + name), CreationTimestamp: metav1.NewTime(morning.Add(after))},
			Status:     v1alpha1.MarketplaceAccountStatus{Account: &v1alpha1.AccountStatus{ID: seller}},
		}
	}
	all := []client.Object{
		account("shop", "d", "17", 2*time.Second), account("shop", "c", "17", time.Second), account("shop", "b", "17", time.Second), account("shop", "a", "17", 2*time.Second),
		account("shop", "another", "5", 0), account("elsewhere", "z", "5", time.Second), account("shop", "elsewhere", "5", 2*time.Second),
		account("elsewhere", "first", "9", 0), account("shop", "second", "9", time.Second),
	}
	cached := fake.NewClientBuilder().WithScheme(scheme).WithObjects(all...).
		WithIndex(&v1alpha1.MarketplaceAccount{}, accountindex.BySeller.Name(), accountindex.BySeller.Buckets).Build()
	sellers := NewSellers(cached, nil)
	for name, want := range map[string]string{
		"a": `MarketplaceAccount "b"`, "b": "", "c": `MarketplaceAccount "b"`, "d": `MarketplaceAccount "b"`,
		"another": "", "elsewhere": `MarketplaceAccount "another"`, "second": "a MarketplaceAccount of another namespace",
	} {
		held := &v1alpha1.MarketplaceAccount{}
		g.Expect(cached.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: name}, held)).To(Succeed())
		g.Expect(sellers.OldestAccount(t.Context(), held, held.Status.Account.ID)).To(Equal(want), fmt.Sprint(name))
	}
}

// TestForgedGrantsOfASellerHoldNobodyUp: a tenant can write a grant of any seller into a Secret of its own.
func TestForgedGrantsOfASellerHoldNobodyUp(t *testing.T) {
	grant := custody.Grant{RefreshToken: "of the seller", ClientID: "app"}
	unproven := grant
	unproven.Unproven = true
	for name, test := range map[string]struct {
		grant         custody.Grant
		sameNamespace bool
		counts        bool
	}{
		"a grant elsewhere":                      {grant, false, true},
		"a grant in the namespace":               {grant, true, true},
		"what nobody proves elsewhere":           {unproven, false, false},
		"what nobody proves in the namespace":    {unproven, true, true},
		"a grant of another application":         {custody.Grant{RefreshToken: "of the seller", ClientID: "another"}, true, false},
		"a login, which no other use of it ends": {custody.Grant{ClientID: "app"}, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := counts(test.grant, "app", test.sameNamespace); got != test.counts {
				t.Errorf("it counts: %v, want %v", got, test.counts)
			}
		})
	}
}
