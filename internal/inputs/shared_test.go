package inputs

import (
	"context"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/usersecrets"
)

// TestStoredMarketplaceDoesNotSendItsSecretToAChosenHost is S10 for a Marketplace that the API server stored before it knew the rule: the shared
// secret is not even read, while an account with an application of its own goes on.
func TestStoredMarketplaceDoesNotSendItsSecretToAChosenHost(t *testing.T) {
	g := NewWithT(t)
	scheme := runtime.NewScheme()
	g.Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
	g.Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
	stored := &v1alpha1.Marketplace{
		ObjectMeta: metav1.ObjectMeta{Name: "shops"},
		Spec: v1alpha1.MarketplaceSpec{
			DisplayName: "Shops", Environments: []v1alpha1.Environment{{Name: "Production"}}, Grants: []v1alpha1.GrantType{v1alpha1.GrantClientCredentials},
			Parameters: []v1alpha1.ParameterDeclaration{{Name: "shop", Pattern: "[a-z0-9.-]+"}},
			Endpoints:  v1alpha1.Endpoints{Token: "https://{shop}/token"},
			Application: &v1alpha1.Application{
				SecretRef:         v1alpha1.NamespacedSecretReference{Namespace: "tokenkeeper-system", Name: "shared"},
				NamespaceSelector: &metav1.LabelSelector{},
			},
		},
	}
	credentials := map[string][]byte{"client_id": []byte("id"), "client_secret": []byte("a-secret")}
	read := map[string]int{}
	kubernetes := interceptor.NewClient(
		fake.NewClientBuilder().WithScheme(scheme).WithObjects(
			stored, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}},
			&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "tokenkeeper-system", Name: "shared"}, Data: credentials},
			&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "own"}, Data: credentials},
		).Build(),
		interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			if _, whole := object.(*corev1.Secret); whole {
				read[key.Name]++
			}
			return c.Get(ctx, key, object, options...)
		}},
	)
	resolver := NewResolver(kubernetes, kubernetes, &usersecrets.Cache{Metadata: kubernetes, Live: kubernetes})
	account := &v1alpha1.MarketplaceAccount{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "main"},
		Spec: v1alpha1.MarketplaceAccountSpec{
			MarketplaceRef: v1alpha1.MarketplaceReference{Name: "shops"}, Environment: "Production",
			Grant:      v1alpha1.Grant{Type: v1alpha1.GrantClientCredentials},
			Parameters: []v1alpha1.Parameter{{Name: "shop", Value: "attacker.example.org"}},
		},
	}

	request, failure, err := resolver.Resolve(t.Context(), facts.Facts{Account: account})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(failure.Reason).To(Equal(v1alpha1.ReasonInvalidSpec))
	g.Expect(failure.Message).To(ContainSubstring(`spec.application: the host of spec.endpoints.token has parameter "shop"`))
	g.Expect(request.Application.ClientSecret).To(BeEmpty())
	g.Expect(read).To(BeEmpty())

	account.Spec.ApplicationSecretRef.Name = "own"
	request, failure, err = resolver.Resolve(t.Context(), facts.Facts{Account: account})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(failure).To(BeNil())
	g.Expect(request.Application.ClientSecret).To(Equal("a-secret"))
	g.Expect(read).To(Equal(map[string]int{"own": 1}))
}
