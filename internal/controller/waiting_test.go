package controller_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// These stories are about sign-ins that bring less than they should, or that wait until somebody can tell whose they are.

// altered lets the platform answer, and changes what it says.
func altered(change func(answer map[string]any)) demomarket.Fault {
	return demomarket.HookFault(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		held := httptest.NewRecorder()
		next.ServeHTTP(held, r)
		answer := map[string]any{}
		if json.Unmarshal(held.Body.Bytes(), &answer) == nil {
			change(answer)
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(held.Code)
		_ = json.NewEncoder(w).Encode(answer)
	})
}

func TestASignInWaitsThroughARenewal(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("ebay", v1alpha1.GrantAuthorizationCode)
	w.start()
	w.signedIn("ebay")
	w.annotate(v1alpha1.AnnotationSignIn, "1")
	link := w.link()
	w.passUntil(w.renewalTime().Add(-5 * time.Second))
	away := market.Inject(demomarket.Maintenance().On(demomarket.IdentityEndpoint))
	outcome, err := w.browser().signIn("ebay", link, demomarket.Person{})
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(outcome.Unconfirmed).To(BeTrue())
	w.passRenewal()
	renewed, calls := w.token()["access_token"], w.calls("ebay")
	away.Clear()
	w.pass(time.Minute)
	w.expectAuthenticated()
	w.Expect(w.token()["access_token"]).NotTo(Equal(renewed), "the sign-in was forgotten")
	w.Expect(w.calls("ebay")).To(Equal(calls))
	w.passRenewal()
	w.Expect(market.AccessTokenValid(w.token()["access_token"])).To(BeTrue())
}

func TestARequestedSignInOutlivesOneThatWaits(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("ebay", v1alpha1.GrantAuthorizationCode)
	w.start()
	w.signedIn("ebay")
	w.annotate(v1alpha1.AnnotationSignIn, "1")
	away := market.Inject(demomarket.Maintenance().On(demomarket.IdentityEndpoint))
	outcome, err := w.browser().signIn("ebay", w.link(), demomarket.Person{SellerID: market.OtherSeller().ID})
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(outcome.Unconfirmed).To(BeTrue())
	w.Eventually(func() any { return w.get().Status.SignIn }).Should(BeNil())
	away.Clear()
	w.pass(15 * time.Second)
	w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionTrue, v1alpha1.ReasonAccountMismatch)
	_, err = w.browser().signIn("ebay", w.link(), demomarket.Person{})
	w.Expect(err).NotTo(HaveOccurred())
	w.expectAuthenticated()
	w.Eventually(func() any { return w.get().Status.SignIn }).Should(BeNil())
}

func TestASignInWaitsForTheKeysOfItsIssuer(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("oidc", v1alpha1.GrantAuthorizationCode)
	w.start()
	link := w.link()
	away := market.Inject(demomarket.Maintenance().On(demomarket.KeysEndpoint))
	outcome, err := w.browser().signIn("oidc", link, demomarket.Person{})
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(outcome.Unconfirmed).To(BeTrue())
	w.pass(15 * time.Second)
	message := w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonMarketplaceUnavailable)
	w.Expect(message).To(And(ContainSubstring("the issuer's keys cannot be fetched"), Not(ContainSubstring("We will be back"))))
	w.hasNoSecret("main-token")
	away.Clear()
	w.pass(15 * time.Second)
	w.expectReady()
	w.expectAuthenticated()
	w.Expect(w.calls("oidc")).To(Equal(1))
	w.Expect(w.token()["account_id"]).To(Equal(market.Seller().ID))
	w.passRenewal()
	w.Expect(market.Report().DoubleSpends).To(BeZero())
}

func TestABadIDTokenDoesNotReplaceTheGrant(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("oidc", v1alpha1.GrantDeviceCode)
	w.start()
	used := w.userCode("")
	w.Expect(market.ApproveDevice(used, market.Seller().ID)).To(Succeed())
	w.pass(5 * time.Second)
	w.expectReady()
	token := w.token()

	w.annotate(v1alpha1.AnnotationSignIn, "1")
	w.Expect(market.ApproveDevice(w.userCode(used), market.Seller().ID)).To(Succeed())
	forged := market.Inject(altered(func(answer map[string]any) {
		if idToken, ok := answer["id_token"].(string); ok {
			end := strings.LastIndex(idToken, ".") + 1
			answer["id_token"] = idToken[:end] + strings.Repeat("A", len(idToken)-end)
		}
	}))
	w.pass(5 * time.Second)
	forged.Clear()
	w.Eventually(w.expectAuthenticated).Should(And(ContainSubstring("the last sign-in was not used"), ContainSubstring("the ID token cannot be verified")))
	w.Expect(w.token()).To(Equal(token))
	w.passRenewal()
	w.Expect(w.token()).NotTo(Equal(token))
	w.Expect(market.AccessTokenValid(w.token()["access_token"])).To(BeTrue())
	w.Expect(market.Report().DoubleSpends).To(BeZero())
}

func TestASignInWithoutARefreshToken(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("oidc", v1alpha1.GrantAuthorizationCode)
	w.start()
	w.signedIn("oidc")
	old := w.token()["access_token"]
	w.annotate(v1alpha1.AnnotationSignIn, "1")
	link := w.link()
	sparing := market.Inject(altered(func(answer map[string]any) { delete(answer, "refresh_token") }))
	_, err := w.browser().signIn("oidc", link, demomarket.Person{})
	w.Expect(err).NotTo(HaveOccurred())
	sparing.Clear()
	w.Eventually(func() string { return w.token()["access_token"] }).ShouldNot(Equal(old))
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
	w.passRenewal()
	w.expectAuthenticated()
	w.Expect(market.AccessTokenValid(w.token()["access_token"])).To(BeTrue())
	w.Expect(market.Report().DoubleSpends).To(BeZero())
}

func TestATokenThatMayNotAskWhoseItIs(t *testing.T) {
	t.Parallel()
	for name, known := range map[string]bool{"an account that was signed in before": true, "a new account": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			seller := w.Market.Platform("ebay").Seller().ID
			sparing := func(a *v1alpha1.MarketplaceAccount) {
				a.Spec.AccountID, a.Spec.Scopes = seller, []v1alpha1.Scope{"https://api.ebay.com/oauth/api_scope"}
			}
			var market *demomarket.Market
			if known {
				market = w.prepareSignIn("ebay", v1alpha1.GrantAuthorizationCode)
				w.start()
				w.signedIn("ebay")
				w.edit(sparing)
				market.RevokeGrants()
				w.passUntil(w.renewalTime())
				w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonGrantRejected)
			} else {
				market = w.prepareSignIn("ebay", v1alpha1.GrantAuthorizationCode, sparing)
				w.start()
			}
			_, told := w.browser().signIn("ebay", w.link(), demomarket.Person{})
			message := w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonScopeRejected)
			w.Expect(message).To(And(ContainSubstring("HTTP 403"), ContainSubstring(seller), ContainSubstring("scope")))
			w.Expect(told).To(HaveOccurred(), "the person was told that the sign-in is used")
			w.settle()
			asked := market.Report().Requests[demomarket.IdentityEndpoint]
			w.pass(day)
			w.Expect(market.Report().Requests[demomarket.IdentityEndpoint]).To(Equal(asked))

			w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Scopes = nil })
			w.signedIn("ebay")
			w.expectAuthenticated()
		})
	}
}

func TestASignInThatDoesNotSayWhoItWas(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("oidc", v1alpha1.GrantAuthorizationCode)
	w.start()
	w.signedIn("oidc")
	token := w.token()
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Scopes = []v1alpha1.Scope{"offline_access"} })
	w.annotate(v1alpha1.AnnotationSignIn, "1")
	_, err := w.browser().signIn("oidc", w.link(), demomarket.Person{})
	w.Expect(problemOf(err)).To(Equal(signin.AccountUnnamed))
	message := w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionTrue, v1alpha1.ReasonAccountMismatch)
	w.Expect(message).To(And(ContainSubstring("did not say who signed in, expected is "+market.Seller().ID),
		ContainSubstring("such as a scope"), Not(ContainSubstring("remove spec.accountID"))))
	w.Expect(market.Report().Requests[demomarket.RevocationEndpoint]).To(BeZero())
	w.Expect(w.token()).To(Equal(token))
	w.passRenewal()
	w.Expect(market.AccessTokenValid(w.token()["access_token"])).To(BeTrue())

	// The cure that it names is one.
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Scopes = []v1alpha1.Scope{"openid", "offline_access"} })
	w.signedIn("oidc")
	w.expectAuthenticated()
}
