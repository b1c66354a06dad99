package accountindex_test

import (
	"fmt"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/accountindex"
)

// cacheOf is a cache with accounts and all indexes. Of so many accounts several lie in each bucket.
func cacheOf(t *testing.T, accounts int) client.Reader {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	builder := fake.NewClientBuilder().WithScheme(scheme)
	for _, index := range []accountindex.Index{accountindex.ByMarketplace, accountindex.BySecret, accountindex.BySeller} {
		builder.WithIndex(&v1alpha1.MarketplaceAccount{}, index.Name(), index.Buckets)
	}
	for n := range accounts {
		builder.WithObjects(accountNamed(fmt.Sprint("account-", n), func(a *v1alpha1.MarketplaceAccount) {
			a.Spec.Grant.RefreshToken = &v1alpha1.RefreshTokenGrant{SecretRef: v1alpha1.SecretReference{Name: fmt.Sprint("import-", n)}}
			a.Status.Account = &v1alpha1.AccountStatus{ID: fmt.Sprint("seller-", n)}
		}))
	}
	return builder.Build()
}

func accountNamed(name string, changes ...func(*v1alpha1.MarketplaceAccount)) *v1alpha1.MarketplaceAccount {
	account := &v1alpha1.MarketplaceAccount{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name},
		Spec: v1alpha1.MarketplaceAccountSpec{
			MarketplaceRef: v1alpha1.MarketplaceReference{Name: "allegro"}, Environment: "Production",
			ApplicationSecretRef: v1alpha1.SecretReference{Name: "app"},
		},
	}
	for _, change := range changes {
		change(account)
	}
	return account
}

// TestAccountsAreFoundByTheirOwnValues, although several lie in one bucket.
func TestAccountsAreFoundByTheirOwnValues(t *testing.T) {
	const accounts = 3000
	cache := cacheOf(t, accounts)
	for name, test := range map[string]struct {
		index   accountindex.Index
		value   string
		options []client.ListOption
		want    []string // nil for all
	}{
		"a Secret of one account":            {accountindex.BySecret, "import-17", nil, []string{"account-17"}},
		"a Secret of all":                    {accountindex.BySecret, "app", nil, nil},
		"a Secret in another namespace":      {accountindex.BySecret, "import-17", []client.ListOption{client.InNamespace("elsewhere")}, []string{}},
		"a Secret in this namespace":         {accountindex.BySecret, "import-17", []client.ListOption{client.InNamespace("shop")}, []string{"account-17"}},
		"a Secret of nobody":                 {accountindex.BySecret, "import", nil, []string{}},
		"a seller":                           {accountindex.BySeller, accountindex.Seller(accountNamed(""), "seller-2711"), nil, []string{"account-2711"}},
		"a seller's name without a platform": {accountindex.BySeller, "seller-2711", nil, []string{}},
		"a Marketplace":                      {accountindex.ByMarketplace, "allegro", nil, nil},
		"another Marketplace":                {accountindex.ByMarketplace, "ebay", nil, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := test.index.List(t.Context(), cache, test.value, test.options...)
			if err != nil {
				t.Fatal(err)
			}
			names := []string{}
			for i := range found {
				names = append(names, found[i].Name)
			}
			if test.want == nil && len(names) != accounts || test.want != nil && !slices.Equal(names, test.want) {
				t.Errorf("found %d, %.200v, want %v", len(names), names, test.want)
			}
		})
	}
}

// TestBucketsAreFew: what makes the index of a cache small. An account with two names in one bucket lies there once.
func TestBucketsAreFew(t *testing.T) {
	seen := map[string]bool{}
	for n := range 50_000 {
		account := accountNamed("", func(a *v1alpha1.MarketplaceAccount) {
			a.Spec.ApplicationSecretRef.Name = fmt.Sprint("secret-", n)
			a.Spec.TokenSecret.Name = a.Spec.ApplicationSecretRef.Name
		})
		buckets := accountindex.BySecret.Buckets(account)
		if len(buckets) != 1 {
			t.Fatalf("a name lies in %d buckets", len(buckets))
		}
		seen[buckets[0]] = true
	}
	if len(seen) > 2048 || len(seen) < 2000 {
		t.Errorf("50,000 names lie in %d buckets", len(seen))
	}
	if got := accountindex.BySeller.Buckets(accountNamed("")); got != nil {
		t.Errorf("an account without a seller lies in %v", got)
	}
}
