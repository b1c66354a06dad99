package chaos_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/test/testworld"
)

// patience is how long the operator may take for work that it does at once, on a machine that is busy with other stories.
const patience = 90 * time.Second

// kind is a way in which a marketplace keeps an account's grant.
type kind struct {
	name, platform string
	grant          v1alpha1.GrantType
	// rotates tells that a refresh token is spent by its use, strict that nothing helps a process that loses the answer.
	rotates, strict bool
}

var (
	static      = kind{name: "static", platform: "ebay", grant: v1alpha1.GrantRefreshToken}
	graceful    = kind{name: "graceful", platform: "allegro", grant: v1alpha1.GrantRefreshToken, rotates: true}
	strict      = kind{name: "strict", platform: "strict", grant: v1alpha1.GrantRefreshToken, rotates: true, strict: true}
	password    = kind{name: "password", platform: "xsale", grant: v1alpha1.GrantPassword}
	application = kind{name: "application", platform: "allegro", grant: v1alpha1.GrantClientCredentials}

	// lenient are those whose accounts get over everything, kinds all.
	lenient = []kind{static, graceful, password, application}
	kinds   = append([]kind{strict}, lenient...)
)

// strictPlatform is Allegro without mercy: a spent refresh token does not work any more, and a client that shows one is taken for a thief.
func strictPlatform() demomarket.Platform {
	platform := demomarket.Allegro()
	platform.Name = "strict"
	platform.RefreshToken.ReuseGrace, platform.RefreshToken.ReuseDetection = 0, true
	return platform
}

// account is one of a story's.
type account struct {
	kind
	name, seller string
	// client is the application of this account alone; empty where many share one.
	client string
	// lost tells that a kill took the only copy of its pair, so that a person has to sign in.
	lost bool
	// renewals counts the requests for a renewal.
	renewals int
	// brought is the refresh token that a person brought last.
	brought string
}

// world is one story: a namespace, a marketplace, and accounts.
type world struct {
	*WithT
	t        *testing.T
	cluster  *cluster
	ns       string
	market   *demomarket.Server
	front    *front
	accounts []*account
	// ownApplications gives each account an application of its own, so that the operator's limits for one do not hold up another.
	ownApplications bool
	// quiet has less written to the logs, in a story that goes on for hours.
	quiet bool
	dir   string
	// user and portalUser are the users of the cluster that operators and portals apart are.
	user, portalUser string
	logs             []*transcript
	portals          []*process // apart
}

func newWorld(t *testing.T, c *cluster) *world {
	t.Helper()
	w := &world{WithT: NewWithT(t), t: t, cluster: c, dir: t.TempDir()} // made first, it is removed last
	w.SetDefaultEventuallyTimeout(patience)
	w.SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	w.market = demomarket.New(demomarket.Options{Key: demomarket.SharedKey()},
		demomarket.EBay(), demomarket.Allegro(), demomarket.XSale(), strictPlatform())
	w.front = newFront(w.market)
	t.Cleanup(w.front.server.Close)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "story-"}}
	w.create(namespace)
	w.ns = namespace.Name
	c.observer.follow(w.ns, w.front)
	for _, platform := range []string{"ebay", "allegro", "xsale", "strict"} {
		w.marketplace(platform)
	}
	w.secret("app", map[string]string{"client_id": demomarket.DefaultClientID, "client_secret": demomarket.DefaultClientSecret})
	w.user, w.portalUser = "operator-of-"+w.ns, "portal-of-"+w.ns
	w.bind(w.user, "tokenkeeper")
	w.bind(w.portalUser, "tokenkeeper-portal")
	t.Cleanup(w.expectSilence)
	t.Cleanup(w.expectIdlePortals)
	return w
}

// bind gives a user of this story the rights of a role, in place of its former rights.
func (w *world) bind(user, role string) {
	w.t.Helper()
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}},
	}
	w.Expect(client.IgnoreNotFound(w.cluster.kube.Delete(context.Background(), binding.DeepCopy()))).To(Succeed())
	w.create(binding)
}

func (w *world) create(objects ...client.Object) {
	w.t.Helper()
	for _, object := range objects {
		w.Expect(w.cluster.kube.Create(context.Background(), object)).To(Succeed())
	}
}

func (w *world) secret(name string, values map[string]string) {
	w.t.Helper()
	w.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.ns, Labels: map[string]string{v1alpha1.LabelUse: "application.login.refresh-token"}},
		StringData: values,
	})
}

// marketplace creates a shipped Marketplace, with the story's demo marketplace in its place. The strict one is Allegro's
// without the grace.
func (w *world) marketplace(platform string) {
	w.t.Helper()
	file := platform
	if platform == strict.platform {
		file = graceful.platform
	}
	object, err := testworld.ShippedFor(platform, file, w.front.server.URL)
	w.Expect(err).NotTo(HaveOccurred())
	if platform == strict.platform {
		object.Spec.RefreshToken.ReuseGrace = ""
	}
	object.Name = w.ns + "-" + platform
	object.Spec.Limits = v1alpha1.Limits{RequestsPerSecond: 1000, Concurrency: 100}
	w.create(object)
	w.t.Cleanup(func() { _ = w.cluster.kube.Delete(context.Background(), object) })
}

// account creates an account of a seller of its own, whose grant a person has brought.
func (w *world) account(k kind, name string) *account {
	w.t.Helper()
	a := &account{kind: k, name: name, seller: "seller-" + name}
	market := w.market.Platform(k.platform)
	object := &v1alpha1.MarketplaceAccount{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.ns},
		Spec: v1alpha1.MarketplaceAccountSpec{
			MarketplaceRef:       v1alpha1.MarketplaceReference{Name: w.ns + "-" + k.platform},
			ApplicationSecretRef: v1alpha1.SecretReference{Name: "app"},
			Grant:                v1alpha1.Grant{Type: k.grant},
		},
	}
	switch k.grant {
	case v1alpha1.GrantRefreshToken:
		if w.ownApplications {
			w.application(a, object)
		}
		w.secret(name+"-import", map[string]string{"refresh_token": w.grant(a)})
		object.Spec.Grant.RefreshToken = &v1alpha1.RefreshTokenGrant{SecretRef: v1alpha1.SecretReference{Name: name + "-import"}}
	case v1alpha1.GrantPassword:
		user := name + "@example.com"
		market.AddSeller(demomarket.Seller{ID: a.seller, Login: user})
		market.AddUser(user, demomarket.DefaultPassword, a.seller)
		w.front.holds(name, user)
		if w.ownApplications {
			w.application(a, object)
		}
		w.secret(name+"-login", map[string]string{"username": user, "password": demomarket.DefaultPassword})
		object.Spec.Grant.Password = &v1alpha1.PasswordGrant{SecretRef: v1alpha1.SecretReference{Name: name + "-login"}}
	default:
		w.application(a, object)
	}
	w.accounts = append(w.accounts, a)
	w.create(object)
	return a
}

// application registers an application for this account alone.
func (w *world) application(a *account, object *v1alpha1.MarketplaceAccount) {
	w.t.Helper()
	a.client = "client-" + a.name
	w.market.Platform(a.platform).AddClient(a.client, a.client+"-secret")
	w.front.holds(a.name, a.client)
	w.secret(a.name+"-app", map[string]string{"client_id": a.client, "client_secret": a.client + "-secret"})
	object.Spec.ApplicationSecretRef.Name = a.name + "-app"
}

// grant is a refresh token for which the account's seller has consented, to bring.
func (w *world) grant(a *account) string {
	token := "refresh-token-" + rand.Text()
	a.brought = token
	w.market.Platform(a.platform).SeedRefreshTokenFor(cmp.Or(a.client, demomarket.DefaultClientID), token, a.seller)
	w.front.holds(a.name, token)
	return token
}

// signIn is what a person does about an account that says so: he brings a new refresh token.
func (w *world) signIn(a *account) {
	w.t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: a.name + "-import", Namespace: w.ns}}
	patch := client.MergeFrom(secret.DeepCopy())
	w.front.beginAnew(a.name)
	secret.Data = map[string][]byte{"refresh_token": []byte(w.grant(a))}
	w.Expect(w.cluster.kube.Patch(context.Background(), secret, patch)).To(Succeed())
	a.lost = false
}

// renew asks for a renewal.
func (w *world) renew(accounts ...*account) {
	w.t.Helper()
	for _, a := range accounts {
		a.renewals++
		w.annotate(a, v1alpha1.AnnotationRenew, fmt.Sprint("request-", a.renewals))
	}
}

func (w *world) annotate(a *account, name, value string) {
	w.t.Helper()
	object := &v1alpha1.MarketplaceAccount{ObjectMeta: metav1.ObjectMeta{Name: a.name, Namespace: w.ns}}
	patch := client.MergeFrom(object.DeepCopy())
	object.Annotations = map[string]string{name: value}
	w.Expect(w.cluster.kube.Patch(context.Background(), object, patch)).To(Succeed())
}

// ---- what people see

func (w *world) get(a *account) (*v1alpha1.MarketplaceAccount, error) {
	object := &v1alpha1.MarketplaceAccount{}
	return object, w.cluster.kube.Get(context.Background(), client.ObjectKey{Namespace: w.ns, Name: a.name}, object)
}

// says is a condition of the account as "status reason: message".
func (w *world) says(a *account, conditionType string) string {
	object, err := w.get(a)
	if err != nil {
		return err.Error()
	}
	condition := meta.FindStatusCondition(object.Status.Conditions, conditionType)
	if condition == nil {
		return "nothing"
	}
	return fmt.Sprintf("%s %s: %s", condition.Status, condition.Reason, condition.Message)
}

// handled is how many of the requested renewals of an account its status speaks of.
func (w *world) handled(a *account) (int, error) {
	object, err := w.get(a)
	if err != nil || object.Status.Handled == nil || object.Status.Handled.Renew == "" {
		return 0, err
	}
	var n int
	_, err = fmt.Sscanf(object.Status.Handled.Renew, "request-%d", &n)
	return n, err
}

// secretOf reads one of an account's own Secrets: token or grant.
func (w *world) secretOf(a *account, which string) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	return secret, w.cluster.kube.Get(context.Background(), client.ObjectKey{Namespace: w.ns, Name: a.name + "-" + which}, secret)
}
