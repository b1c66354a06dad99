package portal_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr/funcr"
	"github.com/google/go-cmp/cmp"
	"github.com/onsi/gomega"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/portal"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/test/testworld"
)

// realCluster is a kube-apiserver, which starts with the first test that asks for it.
type realCluster struct {
	once   sync.Once
	err    error
	server *testworld.APIServer
	admin  client.Client
	// portal has the rights of the portal's markers and no other.
	portal client.WithWatch
	// document reads what the API server publishes.
	document func(ctx context.Context, path string) ([]byte, error)
}

var real realCluster

func TestMain(m *testing.M) {
	code := m.Run()
	if real.server != nil {
		if err := real.server.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func startCluster(t *testing.T) *realCluster {
	t.Helper()
	real.once.Do(func() { real.err = real.start(context.Background()) })
	if real.err != nil {
		t.Fatal(real.err)
	}
	return &real
}

func (c *realCluster) start(ctx context.Context) error {
	apiServer, err := testworld.StartOfSuite()
	if err != nil {
		return err
	}
	c.server, c.admin = apiServer, apiServer.Kube
	user, err := apiServer.User("portal")
	if err != nil {
		return err
	}
	if c.portal, err = testworld.Client(user); err != nil {
		return err
	}
	config := apiServer.Config
	admin, err := rest.HTTPClientFor(config)
	if err != nil {
		return err
	}
	server, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return err
	}
	c.document = func(ctx context.Context, path string) ([]byte, error) {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, server.JoinPath(path).String(), nil)
		if err != nil {
			return nil, err
		}
		response, err := admin.Do(request)
		if err != nil {
			return nil, err
		}
		defer response.Body.Close()
		return io.ReadAll(response.Body)
	}
	for _, object := range []client.Object{
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "portal"}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"authentication.k8s.io"}, Resources: []string{"tokenreviews"}, Verbs: []string{"create"}},
			{APIGroups: []string{"authorization.k8s.io"}, Resources: []string{"subjectaccessreviews"}, Verbs: []string{"create"}},
			{APIGroups: []string{"tokenkeeper.dev"}, Resources: []string{"marketplaceaccounts"}, Verbs: []string{"get", "list", "watch", "patch"}},
			{APIGroups: []string{"tokenkeeper.dev"}, Resources: []string{"marketplaces"}, Verbs: []string{"get", "list", "watch"}},
		}},
		&rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "portal"},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "portal"},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "portal"}},
		},
	} {
		if err := c.admin.Create(ctx, object); err != nil {
			return fmt.Errorf("giving the portal its rights: %w", err)
		}
	}
	return nil
}

// shops are two namespaces with an account each, in a real cluster, and a portal.
type shops struct {
	*world
	cluster *realCluster
	a, b    string
	reviews atomic.Int64 // of tokens
}

func newShops(t *testing.T) *shops {
	t.Helper()
	c := startCluster(t)
	s := &shops{
		world:   &world{t: t, clock: clocktesting.NewFakePassiveClock(noon), signIns: newSignIns(), log: &journal{}, told: &told{}},
		cluster: c,
	}
	for _, namespace := range []*string{&s.a, &s.b} {
		made := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "shop-"}}
		s.create(made)
		*namespace = made.Name
		s.create(&v1alpha1.MarketplaceAccount{
			ObjectMeta: metav1.ObjectMeta{Namespace: made.Name, Name: "main", Annotations: map[string]string{"mine": "stays"}},
			Spec: v1alpha1.MarketplaceAccountSpec{
				MarketplaceRef: v1alpha1.MarketplaceReference{Name: "allegro"}, Grant: v1alpha1.Grant{Type: v1alpha1.GrantAuthorizationCode},
			},
		})
	}
	s.serve()
	return s
}

// serve starts a portal.
func (s *shops) serve() {
	s.t.Helper()
	t, c := s.t, s.cluster
	s.server = httptest.NewUnstartedServer(nil)
	s.address = signin.Address("https://" + s.server.Listener.Addr().String())
	served, err := portal.New(portal.Options{
		Address: s.address, SignIns: s.signIns, Reader: c.portal, Writer: s.counting(), Recorder: s.told, Clock: s.clock, Random: rand.Reader,
		ClusterDocument: c.document,
		Log:             funcr.New(s.log.line, funcr.Options{Verbosity: 10}),
	})
	if err != nil {
		t.Fatal(err)
	}
	portal.PressedFor(served, 0)
	s.server.Config.Handler = served
	s.server.StartTLS()
	t.Cleanup(s.server.Close)
	t.Cleanup(func() { s.log.check(t) })
}

// counting is the portal's client, which counts reviews of tokens.
func (s *shops) counting() client.Client {
	return interceptor.NewClient(s.cluster.portal, interceptor.Funcs{
		Create: func(ctx context.Context, kube client.WithWatch, object client.Object, options ...client.CreateOption) error {
			if _, is := object.(*authenticationv1.TokenReview); is {
				s.reviews.Add(1)
			}
			return kube.Create(ctx, object, options...)
		},
	})
}

func (s *shops) create(object client.Object) {
	s.t.Helper()
	if err := s.cluster.admin.Create(s.t.Context(), object); err != nil {
		s.t.Fatal(err)
	}
}

// person makes a ServiceAccount in a namespace, with these verbs on the namespace's accounts.
func (s *shops) person(namespace, name string, verbs ...string) *corev1.ServiceAccount {
	s.t.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	s.create(account)
	if len(verbs) > 0 {
		s.create(&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{"tokenkeeper.dev"}, Resources: []string{"marketplaceaccounts"}, Verbs: verbs},
		}})
		s.create(&rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: name},
			Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: namespace, Name: name}},
		})
	}
	return account
}

// token is what "kubectl create token" prints.
func (s *shops) token(account *corev1.ServiceAccount, audiences ...string) string {
	s.t.Helper()
	// The stories' clock is not the API server's.
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences, ExpirationSeconds: new(int64(20 * 365 * 24 * 3600))}}
	if err := s.cluster.admin.SubResource("token").Create(s.t.Context(), account, request); err != nil {
		s.t.Fatal(err)
	}
	return request.Status.Token
}

// annotations are those of both accounts, by namespace.
func (s *shops) annotations() map[string]map[string]string {
	s.t.Helper()
	found := map[string]map[string]string{}
	for _, namespace := range []string{s.a, s.b} {
		var account v1alpha1.MarketplaceAccount
		if err := s.cluster.admin.Get(s.t.Context(), client.ObjectKey{Namespace: namespace, Name: "main"}, &account); err != nil {
			s.t.Fatal(err)
		}
		found[namespace] = account.Annotations
	}
	return found
}

func TestRealTokens(t *testing.T) {
	t.Parallel()
	s := newShops(t)
	clerk := s.person(s.a, "clerk", "list", "patch")
	for sentence, token := range map[string]string{
		"for the API server":       s.token(clerk),
		"for the portal":           s.token(clerk, "tokenkeeper"),
		"for the portal and other": s.token(clerk, "somebody", "tokenkeeper"),
	} {
		t.Run(sentence, func(t *testing.T) {
			s.enter(token).get("/").expect(t, http.StatusOK, s.a+"/main", "Logged in as "+s.a+":clerk").without(t, s.b)
		})
	}
	good := s.token(clerk)
	for sentence, token := range map[string]string{
		"for somebody else":   s.token(clerk, "somebody"),
		"garbage":             "garbage",
		"another signature":   good[:len(good)-8] + "AAAAAAAA",
		"no signature":        good[:strings.LastIndex(good, ".")+1],
		"without algorithm":   "eyJhbGciOiJub25lIn0." + strings.Split(good, ".")[1] + ".",
		"the name of a token": "system:masters",
	} {
		t.Run(sentence, func(t *testing.T) {
			a := s.browser().post("/session", url.Values{"token": {token}})
			if a.expect(t, http.StatusUnauthorized); len(a.cookies) > 0 {
				t.Errorf("it sets %v", a.cookies)
			}
		})
	}
}

func TestRealRights(t *testing.T) {
	t.Parallel()
	s := newShops(t)
	before := s.annotations()
	act := func(token, namespace, action string) *answer {
		path := "/accounts/" + namespace + "/main/" + action
		return s.enter(token).post(path, url.Values{"form": {s.formToken(token, path)}})
	}

	clerk := s.token(s.person(s.a, "clerk", "list", "patch"), "tokenkeeper")
	page := s.enter(clerk).get("/").expect(t, http.StatusOK, s.a+"/main", "/accounts/"+s.a+"/main/sign-in").without(t, s.b)
	if got, _ := cards(page.text); len(got) != 1 {
		t.Errorf("the clerk sees %v", got)
	}
	viewer := s.token(s.person(s.a, "viewer", "get", "list", "watch"), "tokenkeeper")
	s.enter(viewer).get("/").expect(t, http.StatusOK, s.a+"/main").without(t, s.b, "/accounts/")
	nobody := s.token(s.person(s.a, "nobody"), "tokenkeeper")
	s.enter(nobody).get("/").expect(t, http.StatusOK, "There is no account that you may see.").without(t, s.a+"/main", s.b+"/main")
	for _, action := range []string{"renew", "verify", "sign-in"} {
		act(clerk, s.b, action).expect(t, http.StatusForbidden)
		act(viewer, s.a, action).expect(t, http.StatusForbidden)
		act(nobody, s.a, action).expect(t, http.StatusForbidden)
	}
	if diff := cmp.Diff(before, s.annotations()); diff != "" {
		t.Errorf("something was changed: %s", diff)
	}
	if n := s.signIns.count("Invite"); n != 0 {
		t.Errorf("%d tickets were made", n)
	}

	act(clerk, s.a, "renew").expect(t, http.StatusSeeOther)
	act(clerk, s.a, "verify").expect(t, http.StatusSeeOther)
	act(clerk, s.a, "sign-in").expect(t, http.StatusSeeOther)
	after := before
	after[s.a][v1alpha1.AnnotationRenew] = "2026-12-01T12:00:00Z"
	after[s.a][v1alpha1.AnnotationVerify] = "2026-12-01T12:00:00Z"
	if diff := cmp.Diff(after, s.annotations()); diff != "" {
		t.Error(diff)
	}
	if n := s.signIns.count("Invite " + s.a + "/main"); n != 1 {
		t.Errorf("%d tickets were made", n)
	}
}

func TestARightToOneAccount(t *testing.T) {
	t.Parallel()
	s := newShops(t)
	person := s.person(s.b, "single")
	s.create(&rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: s.b, Name: "single"}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"tokenkeeper.dev"}, Resources: []string{"marketplaceaccounts"}, Verbs: []string{"get", "patch"}, ResourceNames: []string{"main"}},
	}})
	s.create(&rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.b, Name: "single"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "single"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: s.b, Name: "single"}},
	})
	s.enter(s.token(person)).get("/").expect(t, http.StatusOK, s.b+"/main", "/accounts/"+s.b+"/main/sign-in").without(t, s.a+"/main")
}

func TestAServiceAccountThatIsDeletedLosesItsSession(t *testing.T) {
	t.Parallel()
	g := gomega.NewWithT(t)
	s := newShops(t)
	person := s.person(s.a, "clerk", "list")
	clerk := s.enter(s.token(person, "tokenkeeper"))
	clerk.get("/").expect(t, http.StatusOK, s.a+"/main")
	if err := s.cluster.admin.Delete(t.Context(), person); err != nil {
		t.Fatal(err)
	}
	// The API server itself believes for ten seconds what it has once verified.
	g.Eventually(func() int {
		s.clock.SetTime(s.clock.Now().Add(10 * time.Second))
		return clerk.get("/").status
	}).WithTimeout(time.Minute).WithPolling(500 * time.Millisecond).Should(gomega.Equal(http.StatusUnauthorized))
	clerk.get("/").expect(t, http.StatusOK, "Access token").without(t, s.a)
}
