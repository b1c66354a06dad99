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
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/recall"
	"github.com/tokenkeeper/tokenkeeper/internal/usersecrets"
)

// TestARecalledRequest is that of a process that starts, without a Secret read: it has the same key and the same versions, and no secret.
func TestARecalledRequest(t *testing.T) {
	login := v1alpha1.Grant{Type: v1alpha1.GrantPassword, Password: &v1alpha1.PasswordGrant{SecretRef: v1alpha1.SecretReference{Name: "login"}}}
	imported := v1alpha1.Grant{Type: v1alpha1.GrantRefreshToken, RefreshToken: &v1alpha1.RefreshTokenGrant{SecretRef: v1alpha1.SecretReference{Name: "import"}}}
	own := v1alpha1.Grant{Type: v1alpha1.GrantClientCredentials}
	edit := func(name, key string) func(g *WithT, cluster client.Client) {
		return func(g *WithT, cluster client.Client) {
			secret := &corev1.Secret{}
			g.Expect(cluster.Get(context.Background(), client.ObjectKey{Namespace: "shop", Name: name}, secret)).To(Succeed())
			secret.Data[key] = []byte("another")
			g.Expect(cluster.Update(context.Background(), secret)).To(Succeed())
		}
	}
	none := func(*WithT, client.Client) {}
	for name, test := range map[string]struct {
		grant    v1alpha1.Grant
		change   func(*WithT, client.Client)
		recalled bool
		read     []string
	}{
		"of a login":                               {login, none, true, nil},
		"of an import":                             {imported, none, true, nil},
		"of an application":                        {own, none, true, nil},
		"of a login with another password":         {login, edit("login", "password"), true, []string{"login"}},
		"of another import":                        {imported, edit("import", "refresh_token"), true, []string{"import"}},
		"of an import, with another client secret": {imported, edit("app", "client_secret"), true, []string{"app"}},
		"of another application":                   {own, edit("app", "client_id"), false, []string{"app"}},
		"of another login with another application": {login, func(g *WithT, cluster client.Client) {
			edit("login", "username")(g, cluster)
			edit("app", "client_id")(g, cluster)
		}, false, []string{"app", "login"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			scheme := runtime.NewScheme()
			g.Expect(clientgoscheme.AddToScheme(scheme)).To(Succeed())
			g.Expect(v1alpha1.AddToScheme(scheme)).To(Succeed())
			secret := func(name string, data map[string][]byte) *corev1.Secret {
				return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Data: data}
			}
			read := []string{}
			cluster := interceptor.NewClient(
				fake.NewClientBuilder().WithScheme(scheme).WithObjects(
					&v1alpha1.Marketplace{ObjectMeta: metav1.ObjectMeta{Name: "shops"}, Spec: v1alpha1.MarketplaceSpec{
						DisplayName: "Shops", Environments: []v1alpha1.Environment{{Name: "Production"}}, Endpoints: v1alpha1.Endpoints{Token: "https://shops.example/token"},
						Grants: []v1alpha1.GrantType{v1alpha1.GrantPassword, v1alpha1.GrantRefreshToken, v1alpha1.GrantClientCredentials},
					}},
					secret("app", map[string][]byte{"client_id": []byte("id"), "client_secret": []byte("a-secret"), "redirect_uri": []byte("https://shop.example/back")}),
					secret("login", map[string][]byte{"username": []byte("shop"), "password": []byte("a-password")}),
					secret("import", map[string][]byte{"refresh_token": []byte("brought"), "granted_at": []byte("2026-03-02T09:00:00Z")}),
				).Build(),
				interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
					if _, whole := object.(*corev1.Secret); whole {
						read = append(read, key.Name)
					}
					return c.Get(ctx, key, object, options...)
				}},
			)
			starting := func() *Resolver {
				return NewResolver(cluster, cluster, &usersecrets.Cache{Metadata: cluster, Live: cluster})
			}
			f := facts.Facts{
				Account: &v1alpha1.MarketplaceAccount{
					ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "main", Generation: 3},
					Spec: v1alpha1.MarketplaceAccountSpec{
						MarketplaceRef: v1alpha1.MarketplaceReference{Name: "shops"}, Environment: "Production",
						ApplicationSecretRef: v1alpha1.SecretReference{Name: "app"}, Grant: test.grant,
					},
				},
				Custody: custody.Custody{Grant: custody.Grant{Tokens: &custody.Tokens{AccessToken: "at"}}},
			}
			if test.grant.RefreshToken != nil {
				f.Custody.Imported = "brought"
			}
			request, failure, err := starting().Resolve(t.Context(), f)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(failure).To(BeNil())
			g.Expect(request.Recalled).To(BeFalse())
			f.Request = request
			f.Custody = recall.Note(f, f.Custody)

			test.change(g, cluster)
			now, _, err := starting().Resolve(t.Context(), f)
			g.Expect(err).NotTo(HaveOccurred())
			read = []string{}
			recalled, failure, err := starting().Recall(t.Context(), f)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(failure).To(BeNil())
			g.Expect(read).To(ConsistOf(test.read))
			g.Expect(recalled.Recalled).To(Equal(test.recalled))
			g.Expect(recalled.Key).To(Equal(now.Key))
			g.Expect(recalled.Inputs).To(Equal(now.Inputs))
			g.Expect(recalled.Imported).To(Equal(now.Imported))
			g.Expect(recalled.Application.RedirectURI).To(Equal(now.Application.RedirectURI))
			g.Expect(recalled.Login.Username).To(Equal(now.Login.Username))

			// A process that has read them goes by what it read.
			read = []string{}
			resolver := starting()
			_, _, err = resolver.Resolve(t.Context(), f)
			g.Expect(err).NotTo(HaveOccurred())
			read = []string{}
			warm, _, err := resolver.Recall(t.Context(), f)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(read).To(BeEmpty())
			g.Expect(warm.Recalled).To(BeFalse())
			g.Expect(warm.Application.ClientSecret).NotTo(BeEmpty())
		})
	}
}
