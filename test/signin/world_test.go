package signin_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// patience is how long the operator may take for what it does at once.
const patience = 20 * time.Second

const day = 24 * time.Hour

// world is one story: a namespace, a clock that the story puts forward, a marketplace, and the operator.
type world struct {
	*WithT
	t         *testing.T
	ns        string
	clock     *clock
	market    *demomarket.Server
	marketURL string
	front     *front
	line      *line
}

// newWorld begins a story, with one replica of the operator.
func newWorld(t *testing.T) (*world, *replica) {
	t.Helper()
	w := &world{WithT: NewWithT(t), t: t, clock: newClock(t), front: newFront(t)}
	w.SetDefaultEventuallyTimeout(patience)
	w.SetDefaultEventuallyPollingInterval(10 * time.Millisecond)
	w.market = demomarket.New(demomarket.Options{Now: w.clock.Now, Key: demomarket.SharedKey()})
	said.market(w.market)
	w.market.SeedPortal(w.front.url)
	server := httptest.NewServer(unreferred{t, w.market})
	t.Cleanup(server.Close)
	w.marketURL = server.URL
	apiServer, err := url.Parse(operator.Host)
	w.Expect(err).NotTo(HaveOccurred())
	w.line = newLine(t, apiServer.Host)
	w.ns = w.namespace()
	first := w.replica()
	w.front.answers(first)
	return w, first
}

// unreferred is a marketplace to which no browser may tell where it comes from: the address may hold a ticket.
type unreferred struct {
	t *testing.T
	http.Handler
}

func (u unreferred) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if referrer := r.Referer(); referrer != "" && !strings.Contains(referrer, r.Host) {
		u.t.Errorf("a browser tells the marketplace that it comes from %s", referrer)
	}
	u.Handler.ServeHTTP(w, r)
}

func (w *world) namespace() string {
	w.t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "shop-"}}
	w.create(namespace)
	return namespace.Name
}

// ---- what admins do

func (w *world) create(objects ...client.Object) {
	w.t.Helper()
	for _, object := range objects {
		w.Expect(kube.Create(w.t.Context(), object)).To(Succeed())
	}
}

// marketplace creates the shipped Marketplace of a name until the end of the story, with the demo marketplace in its place.
func (w *world) marketplace(platform string, changes ...func(*v1alpha1.Marketplace)) *demomarket.Market {
	w.t.Helper()
	manifest, err := os.ReadFile(filepath.Join("..", "..", "config", "marketplaces", platform+".yaml"))
	w.Expect(err).NotTo(HaveOccurred())
	object := &v1alpha1.Marketplace{}
	w.Expect(yaml.UnmarshalStrict(manifest, object)).To(Succeed())
	demomarket.RedirectManifest(object, w.marketURL)
	for _, change := range changes {
		change(object)
	}
	w.create(object)
	w.t.Cleanup(func() { _ = kube.Delete(context.Background(), object) })
	w.application(w.ns, platform)
	return w.market.Platform(platform)
}

// application writes the application Secret for a platform.
func (w *world) application(namespace, platform string) {
	w.t.Helper()
	values := map[string]string{"client_id": demomarket.DefaultClientID, "client_secret": demomarket.DefaultClientSecret}
	switch platform {
	case "ebay":
		values["redirect_uri"] = demomarket.DemoRuName
	case "amazon":
		values["application_id"] = demomarket.DefaultApplicationID
	}
	w.secret(namespace, platform+"-app", values)
}

func (w *world) secret(namespace, name string, values map[string]string) {
	w.t.Helper()
	w.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}, StringData: values})
}

// account creates an account until the end of the story. Its name is main.
func (w *world) account(platform string, grant v1alpha1.GrantType, changes ...func(*v1alpha1.MarketplaceAccount)) {
	w.t.Helper()
	account := &v1alpha1.MarketplaceAccount{
		ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: w.ns},
		Spec: v1alpha1.MarketplaceAccountSpec{
			MarketplaceRef:       v1alpha1.MarketplaceReference{Name: platform},
			ApplicationSecretRef: v1alpha1.SecretReference{Name: platform + "-app"},
			Grant:                v1alpha1.Grant{Type: grant},
		},
	}
	if platform == "amazon" {
		account.Spec.Parameters = []v1alpha1.Parameter{{Name: "country", Value: "pl"}}
	}
	for _, change := range changes {
		change(account)
	}
	w.create(account)
	w.t.Cleanup(func() { _ = kube.Delete(context.Background(), account) })
}

// imported creates an account of a seller who consented at a time, elsewhere: it needs nobody's sign-in.
func (w *world) imported(platform, name, sellerID string, grantedAt time.Time) {
	w.t.Helper()
	w.secret(w.ns, name+"-import", map[string]string{
		"refresh_token": w.market.Platform(platform).Grant(sellerID), "granted_at": grantedAt.UTC().Format(time.RFC3339),
	})
	w.account(platform, v1alpha1.GrantRefreshToken, named(name), func(a *v1alpha1.MarketplaceAccount) {
		a.Spec.Grant.RefreshToken = &v1alpha1.RefreshTokenGrant{SecretRef: v1alpha1.SecretReference{Name: name + "-import"}}
	})
}

func named(name string) func(*v1alpha1.MarketplaceAccount) {
	return func(a *v1alpha1.MarketplaceAccount) { a.Name = name }
}

func of(seller demomarket.Seller) func(*v1alpha1.MarketplaceAccount) {
	return func(a *v1alpha1.MarketplaceAccount) { a.Spec.AccountID, a.Spec.Login = seller.ID, seller.Login }
}

func (w *world) annotate(name, value string) {
	w.t.Helper()
	account := w.get("main")
	before := account.DeepCopy()
	metav1.SetMetaDataAnnotation(&account.ObjectMeta, name, value)
	w.Expect(kube.Patch(w.t.Context(), account, client.MergeFrom(before))).To(Succeed())
}

// ---- what admins see

func (w *world) get(name string) *v1alpha1.MarketplaceAccount {
	w.t.Helper()
	account := &v1alpha1.MarketplaceAccount{}
	w.Expect(kube.Get(w.t.Context(), client.ObjectKey{Namespace: w.ns, Name: name}, account)).To(Succeed())
	return account
}

// token reads what a workload mounts; nil when there is nothing.
func (w *world) token(name string) map[string]string {
	w.t.Helper()
	secret := &corev1.Secret{}
	err := kube.Get(w.t.Context(), client.ObjectKey{Namespace: w.ns, Name: name + "-token"}, secret)
	w.Expect(client.IgnoreNotFound(err)).To(Succeed())
	if err != nil {
		return nil
	}
	values := map[string]string{}
	for key, value := range secret.Data {
		values[key] = string(value)
	}
	return values
}

// expect waits for a condition of main to have a status and a reason, and returns its message.
func (w *world) expect(conditionType string, status metav1.ConditionStatus, reason string) string {
	w.t.Helper()
	return w.expectOf("main", conditionType, status, reason)
}

func (w *world) expectOf(name, conditionType string, status metav1.ConditionStatus, reason string) string {
	w.t.Helper()
	var message string
	w.Eventually(func() string {
		condition := meta.FindStatusCondition(w.get(name).Status.Conditions, conditionType)
		if condition == nil {
			return "absent"
		}
		message = condition.Message
		return fmt.Sprintf("%s %s", condition.Status, condition.Reason)
	}).Should(Equal(fmt.Sprintf("%s %s", status, reason)), func() string { return name + ": " + conditionType + ": " + message })
	return message
}

// expectSignedIn waits until main works with tokens of a seller, needs nobody, and shows no link.
func (w *world) expectSignedIn(market *demomarket.Market, seller demomarket.Seller) {
	w.t.Helper()
	w.expect(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
	w.Eventually(func() string { // at eBay a request tells, when the tokens are stored
		return w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)
	}).Should(ContainSubstring(seller.ID))
	w.Eventually(func() any { return w.get("main").Status.SignIn }).Should(BeNil())
	w.Expect(w.get("main").Status.Account.ID).To(Equal(seller.ID))
	w.Eventually(func() bool { return market.AccessTokenValid(w.token("main")["access_token"]) }).Should(BeTrue())
	w.Expect(w.token("main")["account_id"]).To(Equal(seller.ID))
}

// expectNewToken waits until workloads of main have another token than this one, and returns it.
func (w *world) expectNewToken(old string) string {
	w.t.Helper()
	var token string
	w.Eventually(func() string { token = w.token("main")["access_token"]; return token }).ShouldNot(Or(BeEmpty(), Equal(old)))
	return token
}

// exchanges is how many codes were brought to a platform, with this outcome; all without one.
func exchanges(market *demomarket.Market, outcome demomarket.Outcome) int {
	tally := market.Report()
	return tally.Count(demomarket.GrantAuthorizationCode, outcome)
}

// link waits until the status of main shows a link that is not this one.
func (w *world) link(but string) string {
	w.t.Helper()
	return w.linkOf("main", but)
}

func (w *world) linkOf(name, but string) string {
	w.t.Helper()
	var link string
	w.Eventually(func() error {
		shown := w.get(name).Status.SignIn
		if shown == nil || shown.URL == but {
			return errors.New("the status shows no new link")
		}
		link = shown.URL
		return nil
	}).Should(Succeed())
	w.Expect(link).To(HavePrefix(w.front.url + "/sign-in/" + w.ns + "/" + name + "?ticket="))
	address, err := url.Parse(link)
	w.Expect(err).NotTo(HaveOccurred())
	said.ticket(address.Query().Get("ticket"))
	return link
}

// events are those of main, such as "Normal SignInCompleted".
func (w *world) events() []string {
	w.t.Helper()
	list := &eventsv1.EventList{}
	w.Expect(kube.List(w.t.Context(), list, client.InNamespace(w.ns))).To(Succeed())
	var events []string
	for _, event := range list.Items {
		if event.Regarding.Name == "main" {
			events = append(events, event.Type+" "+event.Reason)
		}
	}
	return events
}
