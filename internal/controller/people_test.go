package controller_test

import (
	"errors"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// browser is a person's browser: its cookies at the portal, and those at marketplaces.
type browser struct {
	w       *world
	cookies map[string]string
	client  *http.Client
}

func (w *world) browser() *browser {
	w.T.Helper()
	jar, err := cookiejar.New(nil)
	w.Expect(err).NotTo(HaveOccurred())
	return &browser{w: w, cookies: map[string]string{}, client: &http.Client{Jar: jar}}
}

var mainAccount = func(w *world) types.NamespacedName { return types.NamespacedName{Namespace: w.Namespace, Name: "main"} }

// signInApplication writes the application Secret and registers the portal with a platform, as its owner does.
func (w *world) signInApplication(platform string) {
	w.T.Helper()
	market := w.Market.Platform(platform)
	callback := w.portal.Callback(w.Namespace + "-" + platform)
	values := map[string]string{"client_id": demomarket.DefaultClientID, "client_secret": demomarket.DefaultClientSecret}
	switch platform {
	case "ebay":
		market.AddRuName(demomarket.DefaultClientID, "The-RuName", callback, callback+"?error=access_denied")
		values["redirect_uri"] = "The-RuName"
	case "amazon":
		market.AddRedirectURI(demomarket.DefaultClientID, callback)
		market.SetApplicationID(demomarket.DefaultClientID, "amzn1.sellerapps.app.1")
		values["application_id"] = "amzn1.sellerapps.app.1"
	default:
		market.AddRedirectURI(demomarket.DefaultClientID, callback)
	}
	w.secret("app", values)
}

// prepareSignIn writes all that an account needs which a person signs in.
func (w *world) prepareSignIn(platform string, grant v1alpha1.GrantType, changes ...func(*v1alpha1.MarketplaceAccount)) *demomarket.Market {
	w.T.Helper()
	w.marketplace(platform)
	w.signInApplication(platform)
	w.account(platform, grant, changes...)
	return w.Market.Platform(platform)
}

// link waits until a link is shown that works.
func (w *world) link() string {
	w.T.Helper()
	var link string
	w.Eventually(func() error {
		link = w.shown().URL
		_, err := w.visits.Offer(w.T.Context(), mainAccount(w), signin.TicketOf(link))
		return err
	}).Should(Succeed())
	return link
}

// shown is the link or the code that people are shown: by the status, or by the sign-in Secret. The latter's must not be anywhere else.
func (w *world) shown() v1alpha1.SignInStatus {
	w.T.Helper()
	if w.linksInSecret {
		held := w.FindSecret("main-sign-in")
		if ticket := signin.TicketOf(held["sign_in_url"]); ticket != "" {
			watched.Secret(ticket)
		}
		return v1alpha1.SignInStatus{URL: held["sign_in_url"], UserCode: held["user_code"]}
	}
	if shown := w.get().Status.SignIn; shown != nil {
		return *shown
	}
	return v1alpha1.SignInStatus{}
}

// begin follows a link as far as the marketplace.
func (b *browser) begin(link string) (signin.Visit, error) {
	visit, err := b.w.visits.Begin(b.w.T.Context(), mainAccount(b.w), signin.TicketOf(link), nil)
	if err == nil {
		b.cookies[visit.CookieName] = visit.CookieValue
		_, _, secret := cutCookie(visit.CookieValue)
		watched.Secret(secret)
	}
	return visit, err
}

func cutCookie(value string) (namespace, name, secret string) {
	parts := strings.Split(value, "/")
	return parts[0], parts[1], parts[2]
}

// consent goes through the marketplace's pages, and returns where the marketplace sends the browser.
func (b *browser) consent(platform string, visit signin.Visit, person demomarket.Person) *url.URL {
	b.w.T.Helper()
	back, err := b.w.Market.Platform(platform).SignIn(b.w.T.Context(), b.client, visit.URL, person)
	b.w.Expect(err).NotTo(HaveOccurred())
	watched.Secret(back.Query().Get("state"))
	return back
}

// comeBack takes the browser to where the marketplace sends it.
func (b *browser) comeBack(back *url.URL) (signin.Outcome, error) {
	name := strings.TrimPrefix(back.Path, signin.CallbackPrefix)
	if query := back.Query(); !query.Has("state") && !query.Has("code") {
		return signin.Outcome{}, b.w.visits.Decline(b.w.T.Context(), name, slices.Collect(maps.Values(b.cookies)))
	}
	return b.w.visits.Complete(b.w.T.Context(), name, back.Query(), func(name string) string { return b.cookies[name] })
}

// signIn does it all.
func (b *browser) signIn(platform, link string, person demomarket.Person) (signin.Outcome, error) {
	b.w.T.Helper()
	visit, err := b.begin(link)
	b.w.Expect(err).NotTo(HaveOccurred())
	return b.comeBack(b.consent(platform, visit, person))
}

// signedIn signs the account in for the first time, with the platform's seller.
func (w *world) signedIn(platform string) {
	w.T.Helper()
	_, err := w.browser().signIn(platform, w.link(), demomarket.Person{})
	w.Expect(err).NotTo(HaveOccurred())
	w.expectReady()
	w.settle()
}

// problemOf is what a person is told.
func problemOf(err error) signin.Problem {
	problem, ok := errors.AsType[*signin.Error](err)
	if !ok {
		return signin.Problem("none: " + errorText(err))
	}
	return problem.Problem
}

func errorText(err error) string {
	if err == nil {
		return "no error"
	}
	return err.Error()
}

func withAccountID(id string) func(*v1alpha1.MarketplaceAccount) {
	return func(a *v1alpha1.MarketplaceAccount) { a.Spec.AccountID = id }
}

func (w *world) expectSignInRequired() string {
	w.T.Helper()
	return w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonSignInRequired)
}

// problemTicket is the ticket with which a person may try again.
func problemTicket(err error) string {
	problem, ok := errors.AsType[*signin.Error](err)
	if !ok {
		return ""
	}
	return problem.Ticket
}

// conditionOf is status, reason and message of another account's condition.
func (w *world) conditionOf(name, conditionType string) string {
	w.T.Helper()
	account := &v1alpha1.MarketplaceAccount{}
	w.Expect(kube.Get(w.T.Context(), types.NamespacedName{Namespace: w.Namespace, Name: name}, account)).To(Succeed())
	condition := meta.FindStatusCondition(account.Status.Conditions, conditionType)
	if condition == nil {
		return "absent"
	}
	return string(condition.Status) + " " + condition.Reason + " " + condition.Message
}
