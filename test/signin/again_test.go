package signin_test

import (
	"net/http"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

func TestSigningInAgainBeforeTheEnd(t *testing.T) { inBothForms(t, testSigningInAgainBeforeTheEnd) }

func testSigningInAgainBeforeTheEnd(t *testing.T) {
	w, _ := newWorld(t)
	market := w.marketplace("ebay")
	w.account("ebay", v1alpha1.GrantAuthorizationCode)
	w.signIn("eBay", user)
	w.expectSignedIn(market, market.Seller())
	first := w.token("main")["access_token"]

	w.clock.Step(540 * day) // of eBay's 547.5
	message := w.expect(v1alpha1.ConditionAuthorizationExpiring, metav1.ConditionTrue, v1alpha1.ReasonAuthorizationExpiring)
	w.Expect(message).To(ContainSubstring("expires in 8 days"))
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
	old := w.expectNewToken(first)

	anna := w.window()
	w.follow(anna, w.link(""), "eBay")
	anna.LogIn(user, password)
	w.Expect(w.token("main")["access_token"]).To(Equal(old))
	w.expect(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)
	anna.Allow()
	anna.WantText("Signed in at eBay")
	anna.WantText(market.Seller().ID)
	w.expect(v1alpha1.ConditionAuthorizationExpiring, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
	w.expectSignedIn(market, market.Seller())
	w.expectNewToken(old)
	w.Eventually(func() int32 { return *w.Get("main").Status.Authorization.DaysRemaining }).Should(Equal(int32(548)))
	w.Expect(market.Report().DoubleSpends).To(BeZero())
}

// TestComingBackTwice is at a browser with a user that clicks twice, and reloads.
func TestComingBackTwice(t *testing.T) { inBothForms(t, testComingBackTwice) }

func testComingBackTwice(t *testing.T) {
	for name, story := range rows(map[string]struct {
		pause time.Duration
		two   bool
	}{
		"at once":                 {},
		"0.4 s later":             {pause: 400 * time.Millisecond},
		"at once, at two":         {two: true},
		"0.4 s later, at another": {pause: 400 * time.Millisecond, two: true},
	}, "at once", "0.4 s later, at another") {
		t.Run(name, func(t *testing.T) {
			w, leader := newWorld(t)
			if story.two {
				w.front.answers(leader, w.replica())
			}
			market := w.marketplace("allegro")
			w.account("allegro", v1alpha1.GrantAuthorizationCode)
			anna, stranger := w.window(), w.window()
			w.follow(anna, w.link(""), "Allegro")
			anna.LogIn(user, password)
			callback := w.front.twice(signin.CallbackPrefix, story.pause)
			anna.Allow()
			anna.WantText("Signed in at Allegro")
			anna.WantText(market.Seller().ID)
			address := <-callback
			anna.Open(address)
			anna.WantText("Signed in at Allegro")
			anna.Open(anna.URL().String())
			anna.WantText("Signed in at Allegro")
			stranger.Open(address)
			stranger.WantText("This sign-in cannot be completed here")
			w.expectSignedIn(market, market.Seller())
			w.Expect(exchanges(market, "")).To(Equal(1))
		})
	}
}

func TestConsentDenied(t *testing.T) { inBothForms(t, testConsentDenied) }

func testConsentDenied(t *testing.T) {
	w, _ := newWorld(t)
	market := w.marketplace("allegro")
	w.account("allegro", v1alpha1.GrantAuthorizationCode)
	anna := w.window()
	w.follow(anna, w.link(""), "Allegro")
	anna.LogIn(user, password)
	anna.Deny()
	anna.WantText("Access was not granted")
	anna.WantText(w.Namespace + "/main")
	picture(anna, "denied")
	w.Expect(anna.Status()).To(Equal(http.StatusForbidden))
	w.Eventually(func() string {
		return w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonSignInRequired)
	}).Should(ContainSubstring("declined"))
	w.Expect(exchanges(market, "")).To(BeZero())

	anna.Press("Try again")
	anna.Press("Continue to Allegro")
	anna.Continue()
	anna.Allow()
	anna.WantText("Signed in at Allegro")
	w.expectSignedIn(market, market.Seller())
}

// TestConsentDeniedWhereNothingComesBack is at eBay: its address for people that decline knows nothing of the sign-in.
func TestConsentDeniedWhereNothingComesBack(t *testing.T) {
	inBothForms(t, testConsentDeniedWhereNothingComesBack)
}

func testConsentDeniedWhereNothingComesBack(t *testing.T) {
	w, _ := newWorld(t)
	market := w.marketplace("ebay")
	w.account("ebay", v1alpha1.GrantAuthorizationCode)
	anna := w.window()
	w.follow(anna, w.link(""), "eBay")
	anna.LogIn(user, password)
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonSignInPending)
	anna.Deny()
	anna.WantText("Access was not granted")
	anna.WantText(w.Namespace + "/main")
	picture(anna, "denied-at-ebay")
	w.Eventually(func() string {
		return w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonSignInRequired)
	}).Should(And(ContainSubstring("declined"), ContainSubstring("/sign-in/"+w.Namespace+"/main?ticket=")))

	anna.Press("Try again")
	anna.Press("Continue to eBay")
	anna.LogIn(user, password)
	anna.Allow()
	anna.WantText("Signed in at eBay")
	w.expectSignedIn(market, market.Seller())
}

func TestTheWrongSeller(t *testing.T) { inBothForms(t, testTheWrongSeller) }

func testTheWrongSeller(t *testing.T) {
	w, _ := newWorld(t)
	market := w.marketplace("allegro")
	w.account("allegro", v1alpha1.GrantAuthorizationCode)
	w.signIn("Allegro", user)
	w.expectSignedIn(market, market.Seller())
	old := w.token("main")["access_token"]

	w.Annotate("main", v1alpha1.AnnotationSignIn, "again")
	ben := w.signIn("Allegro", other)
	ben.WantText("You signed in as another seller")
	ben.WantText("belongs to seller " + market.Seller().ID + "; you signed in as " + market.OtherSeller().ID)
	picture(ben, "wrong-seller")
	w.Expect(ben.Status()).To(Equal(http.StatusConflict))
	message := w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionTrue, v1alpha1.ReasonAccountMismatch)
	w.Expect(message).To(And(ContainSubstring(market.Seller().ID), ContainSubstring(market.OtherSeller().ID)))
	w.expect(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
	w.Expect(w.token("main")["access_token"]).To(Equal(old))
	w.Expect(market.AccessTokenValid(old)).To(BeTrue())
	w.Eventually(w.events).Should(ContainElement("Warning AccountMismatch"))

	ben.Press("Try again")
	ben.Press("Continue to Allegro")
	ben.WantText(market.OtherSeller().Login)
	ben.SwitchAccount()
	ben.LogIn(user, password)
	ben.Allow()
	ben.WantText("Signed in at Allegro")
	w.expectSignedIn(market, market.Seller())
	w.expectNewToken(old)
	w.Expect(market.Report().DoubleSpends).To(BeZero())
}

// TestAStaleBrowser is logged in at the marketplace as another seller from before.
func TestAStaleBrowser(t *testing.T) { inBothForms(t, testAStaleBrowser) }

func testAStaleBrowser(t *testing.T) {
	for name, prompts := range rows(map[string]bool{"where the marketplace asks": true, "where it does not": false}, "where it does not") {
		t.Run(name, func(t *testing.T) {
			w, _ := newWorld(t)
			market := w.marketplace("allegro", func(m *v1alpha1.Marketplace) {
				if !prompts {
					m.Spec.AuthorizationRequest.Parameters = nil
				}
			})
			w.account("allegro", v1alpha1.GrantAuthorizationCode, named("outlet"), of(market.OtherSeller()))
			w.account("allegro", v1alpha1.GrantAuthorizationCode, of(market.Seller()))
			anna := w.window()
			w.follow(anna, w.linkOf("outlet", ""), "Allegro")
			anna.LogIn(other, password)
			anna.Allow()
			anna.WantText("Signed in at Allegro")

			w.follow(anna, w.link(""), "Allegro")
			if prompts {
				anna.WantText(market.OtherSeller().Login)
				anna.SwitchAccount()
			} else {
				anna.WantText("You signed in as another seller")
				anna.WantText("belongs to seller " + market.Seller().ID + "; you signed in as " + market.OtherSeller().ID)
				message := w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonAccountMismatch)
				w.Expect(message).To(And(ContainSubstring(market.Seller().ID), ContainSubstring(market.OtherSeller().ID)))
				w.Expect(w.token("main")).To(BeNil())
				market.LogOut() // as the page says
				anna.Press("Try again")
				anna.Press("Continue to Allegro")
			}
			anna.LogIn(user, password)
			anna.Allow()
			anna.WantText("Signed in at Allegro")
			w.expectSignedIn(market, market.Seller())
			w.Expect(w.token("outlet")["account_id"]).To(Equal(market.OtherSeller().ID))
			w.Expect(market.AccessTokenValid(w.token("outlet")["access_token"])).To(BeTrue())
			w.Expect(exchanges(market, demomarket.OK)).To(Equal(map[bool]int{true: 2, false: 3}[prompts]))
		})
	}
}
