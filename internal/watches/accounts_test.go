package watches

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/accountindex"
	"github.com/tokenkeeper/tokenkeeper/internal/kube"
)

func watchedAccount() *v1alpha1.MarketplaceAccount {
	return &v1alpha1.MarketplaceAccount{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "main", UID: "uid-1"},
		Spec: v1alpha1.MarketplaceAccountSpec{
			MarketplaceRef:       v1alpha1.MarketplaceReference{Name: "allegro"},
			ApplicationSecretRef: v1alpha1.SecretReference{Name: "app"},
		},
	}
}

// testLookup knows two accounts of one Marketplace.
func testLookup(t *testing.T) lookup {
	t.Helper()
	scheme, err := kube.Scheme()
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	second := watchedAccount()
	second.Namespace, second.Name, second.UID, second.Spec.ApplicationSecretRef.Name = "outlet", "second", "uid-3", ""
	builder := fake.NewClientBuilder().WithScheme(scheme).WithObjects(watchedAccount(), second, &v1alpha1.Marketplace{
		ObjectMeta: metav1.ObjectMeta{Name: "allegro"},
		Spec: v1alpha1.MarketplaceSpec{Application: &v1alpha1.Application{
			SecretRef: v1alpha1.NamespacedSecretReference{Namespace: "outlet", Name: "shared"},
		}},
	})
	for _, index := range []accountindex.Index{accountindex.BySecret, accountindex.ByMarketplace} {
		builder.WithIndex(&v1alpha1.MarketplaceAccount{}, index.Name(), index.Buckets)
	}
	return lookup{builder.Build()}
}

// TestWhoHearsOfASecret finds the accounts that a Secret without our labels concerns.
func TestWhoHearsOfASecret(t *testing.T) {
	for name, test := range map[string]struct {
		secret string
		want   []string
	}{
		"the application":                    {"shop/app", []string{"shop/main"}},
		"the application of its marketplace": {"outlet/shared", []string{"outlet/second", "shop/main"}},
		"one that no account names":          {"shop/x", nil},
		"the same name elsewhere":            {"outlet/app", nil},
		"the place of its token":             {"shop/main-token", []string{"shop/main"}},
		"the place of its grant":             {"shop/main-grant", []string{"shop/main"}},
		"the place of its link":              {"shop/main-sign-in", []string{"shop/main"}},
	} {
		t.Run(name, func(t *testing.T) {
			namespace, secret, _ := strings.Cut(test.secret, "/")
			requested := sets.New[string]()
			for _, request := range testLookup(t).accountsOfSecret(t.Context(), client.ObjectKey{Namespace: namespace, Name: secret}) {
				requested.Insert(request.String())
			}
			NewWithT(t).Expect(requested.UnsortedList()).To(ConsistOf(test.want))
		})
	}
}

func secretNamed(name string, changes ...func(*metav1.ObjectMeta)) *metav1.PartialObjectMetadata {
	secret := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}}
	for _, change := range changes {
		change(&secret.ObjectMeta)
	}
	return secret
}

func labelledFor(account string) func(*metav1.ObjectMeta) {
	return func(o *metav1.ObjectMeta) {
		metav1.SetMetaDataLabel(o, v1alpha1.LabelManagedBy, v1alpha1.ManagedBy)
		metav1.SetMetaDataLabel(o, v1alpha1.LabelAccount, account)
	}
}

// TestWhoHearsOfALabelledSecret is the same for the watch of Secrets with our labels.
func TestWhoHearsOfALabelledSecret(t *testing.T) {
	for name, test := range map[string]struct {
		secret *metav1.PartialObjectMetadata
		want   []string
	}{
		"its own":                        {secretNamed("main-token", labelledFor("main")), []string{"shop/main"}},
		"another's in its place":         {secretNamed("main-grant", labelledFor("other")), []string{"shop/main", "shop/other"}},
		"half labelled, in its place":    {secretNamed("main-token"), []string{"shop/main"}},
		"an application with our labels": {secretNamed("app", labelledFor("other")), []string{"shop/main", "shop/other"}},
		"a name that nobody uses":        {secretNamed("x", labelledFor("other")), []string{"shop/other"}},
		"half labelled":                  {secretNamed("x"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			requested := sets.New[string]()
			for _, request := range testLookup(t).accountsOfLabelledSecret(t.Context(), test.secret) {
				requested.Insert(request.String())
			}
			g.Expect(requested.UnsortedList()).To(ConsistOf(test.want))
		})
	}
}

// TestWhoHearsOfASeller finds the accounts of the same seller, and the account itself where there are others.
func TestWhoHearsOfASeller(t *testing.T) {
	scheme, err := kube.Scheme()
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	of := func(name, seller string) *v1alpha1.MarketplaceAccount {
		account := watchedAccount()
		account.Name, account.UID, account.Status.Account = name, types.UID(name), &v1alpha1.AccountStatus{ID: seller}
		return account
	}
	held := []client.Object{of("first", "17"), of("second", "17"), of("alone", "5"), of("unknown", "")}
	find := lookup{fake.NewClientBuilder().WithScheme(scheme).WithObjects(held...).
		WithIndex(&v1alpha1.MarketplaceAccount{}, accountindex.BySeller.Name(), accountindex.BySeller.Buckets).Build()}
	for name, test := range map[string]struct {
		changed client.Object
		want    []string
	}{
		"one of two":                  {of("second", "17"), []string{"shop/first", "shop/second"}},
		"one that is gone":            {of("gone", "17"), []string{"shop/first", "shop/second"}},
		"the only one":                {of("alone", "5"), nil},
		"one of whom nobody knows":    {of("unknown", ""), nil},
		"what is no account":          {secretNamed("first"), nil},
		"the last one, which is gone": {of("gone", "8"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			requested := sets.New[string]()
			for _, request := range find.accountsOfSameSeller(t.Context(), test.changed) {
				requested.Insert(request.String())
			}
			NewWithT(t).Expect(requested.UnsortedList()).To(ConsistOf(test.want))
		})
	}
}
