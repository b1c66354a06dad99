package signin_test

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

func TestFirstSignIn(t *testing.T) { inBothForms(t, testFirstSignIn) }

func testFirstSignIn(t *testing.T) {
	for platform, name := range rows(map[string]string{"allegro": "Allegro", "ebay": "eBay", "amazon": "Amazon"}, "allegro") { // others sign in at eBay and Amazon, too
		t.Run(platform, func(t *testing.T) {
			w, _ := newWorld(t)
			market := w.marketplace(platform)
			w.account(platform, v1alpha1.GrantAuthorizationCode, of(market.Seller()))
			message := w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonSignInRequired)
			link := w.link("")
			w.Expect(message).To(ContainSubstring(link))

			anna := w.window()
			anna.Open(link)
			anna.WantText("Sign in at " + name)
			anna.WantText(w.Namespace + "/main")
			anna.WantText(market.Seller().Login)
			anna.WantText(market.Seller().ID)
			anna.Open(link) // programs open links before people do, which uses nothing up
			anna.Press("Continue to " + name)
			anna.WantText(demomarket.DefaultClientID)
			w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonSignInPending)
			anna.LogIn(user, password)
			anna.WantText(market.Seller().ID)
			anna.Allow()
			anna.WantText("Signed in at " + name)
			anna.WantText(w.Namespace + "/main")
			anna.WantText(market.Seller().ID)
			w.Expect(anna.URL().RawQuery).To(BeEmpty())
			w.Expect(anna.URL().Path).To(HavePrefix("/done/"))

			w.expectSignedIn(market, market.Seller())
			w.Expect(exchanges(market, demomarket.OK)).To(Equal(1))
			w.Expect(exchanges(market, "")).To(Equal(1))
			w.Eventually(w.events).Should(ContainElements("Warning SignInRequired", "Normal SignInCompleted"))
			w.Expect(strings.Join(w.events(), " ")).NotTo(ContainSubstring("RenewalFailed"))

			anna.Open(anna.URL().String()) // a reload
			anna.WantText("Signed in at " + name)
		})
	}
}
