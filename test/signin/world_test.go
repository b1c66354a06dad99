package signin_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/test/testworld"
)

// patience is how long the operator may take for work that it does at once.
const patience = 20 * time.Second

const day = 24 * time.Hour

// world is one story: a clock that the story puts forward, an account called main, and the operator.
type world struct {
	*testworld.World
	clock *clock
	front *front
	line  *line
	// apart tells that the portal runs in a process of its own.
	apart bool
	// linksInSecret has links and codes stand in the sign-in Secret.
	linksInSecret bool
}

// apart is the name of the stories with the portal in a process of its own.
const apart = "portal apart"

// inBothForms tells a story with everything in one process, and with the portal apart. In the short form it is told once, about half
// of the stories with the portal apart, by the length of their names.
func inBothForms(t *testing.T, story func(t *testing.T)) {
	t.Helper()
	forms := []string{"one process", apart}
	if testing.Short() {
		forms = forms[len(t.Name())%2:][:1]
	}
	for _, form := range forms {
		t.Run(form, story)
	}
}

// inLongForm is for stories of a kind that the short form tells another story of.
func inLongForm(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("the short form tells another story of this kind")
	}
}

// rows are the ones of a story that are told: all of them, and in the short form those with these names.
func rows[T any](all map[string]T, short ...string) map[string]T {
	if !testing.Short() {
		return all
	}
	told := map[string]T{}
	for _, name := range short {
		row, known := all[name]
		if !known {
			panic("no row is called " + name)
		}
		told[name] = row
	}
	return told
}

// newWorld begins a story, with one replica of the operator.
func newWorld(t *testing.T, changes ...func(*world)) (*world, *replica) {
	t.Helper()
	w := &world{clock: newClock(t), front: newFront(t)}
	for _, change := range changes {
		change(w)
	}
	_, form, _ := strings.Cut(t.Name(), "/")
	w.apart = strings.HasPrefix(form, strings.ReplaceAll(apart, " ", "_"))
	w.World = testworld.New(t, kube, &said, demomarket.Options{Now: w.clock.Now, Key: demomarket.SharedKey()},
		func(market http.Handler) http.Handler { return unreferred{t, market} })
	w.SetDefaultEventuallyTimeout(patience)
	w.SetDefaultEventuallyPollingInterval(10 * time.Millisecond)
	w.Market.SeedPortal(w.front.url)
	apiServer, err := url.Parse(operator.Host)
	w.Expect(err).NotTo(HaveOccurred())
	w.line = newLine(t, apiServer.Host)
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

// ---- what admins do

// marketplace creates the shipped Marketplace of a name until the end of the story, and its application.
func (w *world) marketplace(platform string, changes ...func(*v1alpha1.Marketplace)) *demomarket.Market {
	w.T.Helper()
	w.Marketplace(platform, changes...)
	w.application(w.Namespace, platform)
	return w.Market.Platform(platform)
}

// application writes the application Secret for a platform.
func (w *world) application(namespace, platform string) {
	w.T.Helper()
	w.Secret(namespace, platform+"-app", testworld.Application(platform))
}

// account creates an account until the end of the story. Its name is main.
func (w *world) account(platform string, grant v1alpha1.GrantType, changes ...func(*v1alpha1.MarketplaceAccount)) {
	w.T.Helper()
	account := w.NewAccount("main", platform, platform+"-app", grant)
	for _, change := range changes {
		change(account)
	}
	w.Create(account)
	w.T.Cleanup(func() { _ = kube.Delete(context.Background(), account) })
}

// imported creates an account of a seller who consented at a time, elsewhere: it needs no sign-in.
func (w *world) imported(platform, name, sellerID string, grantedAt time.Time) {
	w.T.Helper()
	w.Secret(w.Namespace, name+"-import", map[string]string{
		"refresh_token": w.Market.Platform(platform).Grant(sellerID), "granted_at": grantedAt.UTC().Format(time.RFC3339),
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

// ---- what admins see

// token reads the token Secret that a workload mounts; nil when there is nothing.
func (w *world) token(name string) map[string]string {
	w.T.Helper()
	return w.FindSecret(name + "-token")
}

// expect waits for a condition of main to have a status and a reason, and returns its message.
func (w *world) expect(conditionType string, status metav1.ConditionStatus, reason string) string {
	w.T.Helper()
	return w.ExpectCondition("main", conditionType, status, reason)
}

// expectSignedIn waits until main works with tokens of a seller, needs no person, and shows no link.
func (w *world) expectSignedIn(market *demomarket.Market, seller demomarket.Seller) {
	w.T.Helper()
	w.expect(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
	w.Eventually(func() string { // at eBay a request tells, when the tokens are stored
		return w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)
	}).Should(ContainSubstring(seller.ID))
	w.Eventually(func() any { return w.Get("main").Status.SignIn }).Should(BeNil())
	w.Expect(w.Get("main").Status.Account.ID).To(Equal(seller.ID))
	w.Eventually(func() bool { return market.AccessTokenValid(w.token("main")["access_token"]) }).Should(BeTrue())
	w.Expect(w.token("main")["account_id"]).To(Equal(seller.ID))
	w.Expect(w.GetSecret(w.Namespace, "main-grant").Data).To(HaveKey("grant.mac"), "the grant is signed")
	w.Expect(w.events()).NotTo(ContainElement("Warning CustodyUnauthenticated"))
}

// expectNewToken waits until workloads of main have another token than this one, and returns it.
func (w *world) expectNewToken(old string) string {
	w.T.Helper()
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
	w.T.Helper()
	return w.linkOf("main", but)
}

func (w *world) linkOf(name, but string) string {
	w.T.Helper()
	var link string
	w.Eventually(func() error {
		shown := w.Get(name).Status.SignIn
		if shown == nil || shown.URL == but {
			return errors.New("the status shows no new link")
		}
		link = shown.URL
		return nil
	}).Should(Succeed())
	w.Expect(link).To(HavePrefix(w.front.url + "/sign-in/" + w.Namespace + "/" + name + "?ticket="))
	address, err := url.Parse(link)
	w.Expect(err).NotTo(HaveOccurred())
	said.Ticket(address.Query().Get("ticket"))
	return link
}

// events are the events of main, such as "Normal SignInCompleted".
func (w *world) events() []string {
	w.T.Helper()
	var events []string
	for _, event := range w.Events("main") {
		events = append(events, event.Type+" "+event.Reason)
	}
	return events
}
