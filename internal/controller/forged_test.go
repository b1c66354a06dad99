package controller_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// These stories write grant Secrets as somebody does who may update the Secrets of the namespace.

// phishing is where a forger wants people to go.
const phishing = "https://evil.example/sign-in"

// expectNoPhishing says that nobody is led there: by the account, by its events, or by what the pages are told.
func (w *world) expectNoPhishing() {
	w.T.Helper()
	var events eventsv1.EventList
	w.Expect(kube.List(w.T.Context(), &events, client.InNamespace(w.Namespace))).To(Succeed())
	shown, err := json.Marshal([]any{w.get(), events.Items})
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(string(shown)).NotTo(ContainSubstring("evil.example"))
}

func TestAForgedDeviceCodeLeadsNobodyElsewhere(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("allegro", v1alpha1.GrantDeviceCode)
	w.start()
	first := w.userCode("")
	w.editCustody(func(kept *custody.Custody) {
		kept.SignIn.Device.URL, kept.SignIn.Device.UserCode = phishing, "EVIL"
		kept.SignIn.Refused = &custody.Refusal{Reason: v1alpha1.ReasonSignInRequired, Message: "Sign in at " + phishing, At: w.clock.Now()}
		kept.Account.Login, kept.Account.ID = phishing, phishing
	})
	w.settle()
	w.expectNoPhishing()
	w.Eventually(w.events).Should(ContainElement("Warning CustodyUnauthenticated"))
	code := w.userCode(first)
	w.Expect(code).NotTo(Equal("EVIL"))

	// The next code works, and the account is served.
	w.Expect(market.ApproveDevice(code, market.Seller().ID)).To(Succeed())
	w.pass(5 * time.Second)
	w.expectReady()
	w.expectNoPhishing()
	w.Expect(w.get().Status.Account.ID).To(Equal(market.Seller().ID))
}

func TestForgedWordsLeadNobodyElsewhere(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	calls, served := w.calls("oidc"), w.token()["access_token"]
	w.editCustody(func(kept *custody.Custody) {
		refused := custody.Refusal{Reason: v1alpha1.ReasonGrantRejected, Message: "Sign in again: " + phishing, At: w.clock.Now()}
		kept.Refused, kept.RefusedImport, kept.SignIn.Refused = &refused, &refused, &refused
		kept.Verified = &custody.Verification{At: w.clock.Now(), Failure: phishing}
		kept.Tokens.IDTokenWithheld = phishing
		kept.Candidate = &custody.Grant{Consent: 99, Account: custody.Account{ID: phishing}} // and nothing to look at
		kept.Logins.Doubts = []custody.Doubt{{Denied: -3}}
	})
	w.settle()
	w.Eventually(w.events).Should(ContainElement("Warning CustodyUnauthenticated"))
	w.expectNoPhishing()
	w.expectReady()
	w.Expect(w.calls("oidc")).To(BeNumerically("<=", calls+1))
	w.passRenewal()
	w.expectReady()
	w.expectNoPhishing()
	w.Expect(w.token()["access_token"]).NotTo(Equal(served), "what was good was lost")
	w.Expect(w.Market.Platform("oidc").Report().DoubleSpends).To(BeZero())
}

// TestAForgedVisitRedeemsNothing writes a visit whose secrets the forger knows, for a code that was given to another redirect URI.
func TestAForgedVisitRedeemsNothing(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("allegro", v1alpha1.GrantAuthorizationCode)
	market.AddRedirectURI(demomarket.DefaultClientID, "https://elsewhere.example/callback")
	w.start()
	w.link()
	visit := custody.Visit{
		State: signin.Hash("state"), Cookie: signin.Hash("cookie"), Account: w.get().UID, Marketplace: w.Namespace + "-allegro",
		ExpiresAt: w.clock.Now().Add(signin.VisitLife), ClientID: demomarket.DefaultClientID, RedirectURI: "https://elsewhere.example/callback",
	}
	for _, server := range []string{"", strings.Repeat("a", 16)} {
		visit.Server = server
		w.editCustody(func(kept *custody.Custody) { kept.SignIn.Visits = []custody.Visit{visit} })
		w.settle()
		thief := w.browser()
		thief.cookies[signin.CookieName("state")] = w.Namespace + "/main/cookie"
		_, err := thief.comeBack(&url.URL{Scheme: "https", Host: "tokens.example.com", Path: "/callback/" + w.Namespace + "-allegro", RawQuery: "state=state&code=stolen"})
		w.Expect(err).To(HaveOccurred())
	}
	w.Expect(w.calls("allegro")).To(BeZero(), "the code was sent")
	w.expectNoPhishing()

	// The honest person signs in all the same.
	outcome, err := w.browser().signIn("allegro", w.link(), demomarket.Person{})
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(outcome.ID).To(Equal(market.Seller().ID))
	w.expect(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)
}

// TestWhatAPlatformSaysIsNotForged reads again what was stored of an answer, in the words of platforms that name accounts by an address (Salesforce): of
// a host that the Marketplace names, or of another, which is no link then. It is the same with a key of custody and without one.
func TestWhatAPlatformSaysIsNotForged(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		keyed bool
		names []v1alpha1.HostTemplate
		shown string
	}{
		"a host that the Marketplace names":                {true, []v1alpha1.HostTemplate{"login.elsewhere.example"}, "https://"},
		"a host that the Marketplace names, without a key": {false, []v1alpha1.HostTemplate{"login.elsewhere.example"}, "https://"},
		"another host":                {true, nil, ""},
		"another host, without a key": {false, nil, ""},
	} {
		t.Run(name, func(t *testing.T) { whatAPlatformSaysIsNotForged(t, test.keyed, test.names, test.shown) })
	}
}

func whatAPlatformSaysIsNotForged(t *testing.T, keyed bool, names []v1alpha1.HostTemplate, shown string) {
	w := newWorld(t)
	if keyed {
		w.keyed()
	}
	platform := w.bytesPlatform(0, func(m *v1alpha1.Marketplace) {
		m.Spec.APIHosts = append(m.Spec.APIHosts, names...)
		m.Spec.TokenResponse.Fields.AccountID, m.Spec.TokenResponse.Fields.Login = "id", "shop"
	})
	const sellers, shop = "login.elsewhere.example/id/00D5/", "Mein\u00a0Laden 👩\u200d👧 www.mein-laden.example"
	says := func(user string, n int) said {
		seller := "https://" + sellers + user
		return said{true, respond(200, "application/json", fmt.Sprintf(
			`{"access_token":"AT%d-xxxxxxxxxxxxxxxxxxxx","token_type":"Bearer","expires_in":3600,"refresh_token":"RT%d","id":%q,"shop":"%s","scope":"orders für"}`, n, n, seller, shop))}
	}
	platform.says(says("0055", 1))
	w.start()
	w.expectReady()
	w.start() // and read what is stored
	w.Expect(platform.sentSince(time.Time{})).To(HaveLen(1), "the tokens are not there any more")
	expectTold := func() {
		t.Helper()
		account := w.get().Status.Account
		w.Expect(account).To(HaveField("ID", shown+sellers+"0055"))
		w.Expect(account).To(HaveField("Login", "Mein Laden 👩👧 mein-laden.example"))
		w.Expect(w.token()).To(HaveKeyWithValue("account_id", shown+sellers+"0055"))
		w.Expect(w.events()).NotTo(ContainElement("Warning CustodyUnauthenticated"))
	}
	expectTold()
	platform.says(says("0055", 2))
	w.passRenewal()
	expectTold()

	// It is still the account that renewals are held against.
	platform.says(says("0066", 3))
	w.annotate(v1alpha1.AnnotationRenew, "now")
	w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonAccountMismatch)
	w.start()
	expectTold()
}
