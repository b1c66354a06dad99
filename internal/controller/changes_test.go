package controller_test

import (
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// These stories are about what users change while a person is to sign in, and about what an account says of it.

func withScopes(scopes ...v1alpha1.Scope) func(*v1alpha1.MarketplaceAccount) {
	return func(a *v1alpha1.MarketplaceAccount) { a.Spec.Scopes = scopes }
}

func TestALoginInPlaceOfASignIn(t *testing.T) {
	w := newWorld(t)
	w.marketplace("oidc", func(m *v1alpha1.Marketplace) { m.Spec.Grants = append(m.Spec.Grants, v1alpha1.GrantPassword) })
	w.signInApplication("oidc")
	w.account("oidc", v1alpha1.GrantAuthorizationCode)
	w.start()
	w.signedIn("oidc")
	calls := w.calls("oidc")
	w.secret("login", map[string]string{"username": demomarket.OtherUser, "password": demomarket.DefaultPassword})
	w.edit(func(a *v1alpha1.MarketplaceAccount) {
		a.Spec.Grant = v1alpha1.Grant{Type: v1alpha1.GrantPassword,
			Password: &v1alpha1.PasswordGrant{SecretRef: v1alpha1.SecretReference{Name: "login"}}}
	})
	w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonAccountMismatch)
	w.pass(time.Minute)
	w.pass(time.Minute)
	w.Expect(w.calls("oidc")).To(Equal(calls + 1))
}

func TestAMovedTokenEndpointKeepsTheSeller(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("amazon", v1alpha1.GrantAuthorizationCode)
	w.start()
	w.signedIn("amazon")
	old := w.token()["access_token"]
	w.EditMarketplace("amazon", func(m *v1alpha1.Marketplace) {
		m.Spec.Endpoints.Token = v1alpha1.URLTemplate(strings.Replace(string(m.Spec.Endpoints.Token), "127.0.0.1", "localhost", 1))
	})
	w.Eventually(func() string { return w.token()["access_token"] }).ShouldNot(Equal(old))
	w.Expect(w.token()["account_id"]).To(Equal(market.Seller().ID), "only the callback of a sign-in tells it")
	w.expectAuthenticated()
}

func TestAWaitThatThePlatformWantedEnds(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("oidc", v1alpha1.GrantDeviceCode)
	market.AddClient("another-app", "another-secret-of-it")
	w.start()
	used := w.userCode("")
	w.Expect(market.ApproveDevice(used, market.Seller().ID)).To(Succeed())
	w.pass(5 * time.Second)
	w.expectReady()
	busy := market.Inject(demomarket.Throttle(7200))
	w.passUntil(w.renewalTime())
	w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonRateLimited)
	busy.Clear()
	w.editSecret("app", map[string]string{"client_id": "another-app", "client_secret": "another-secret-of-it"})
	w.expectSignInRequired()
	w.settle()
	w.Expect(w.get().Status.SignIn).To(BeNil(), "the platform wanted to be left alone")
	for range 3 { // the token ends meanwhile, which is a look of its own
		w.pass(time.Hour)
	}
	w.Expect(market.ApproveDevice(w.userCode(used), market.Seller().ID)).To(Succeed())
	w.pass(10 * time.Second)
	w.expectReady()
}

func TestACodeAfterALinkWasDeclined(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("allegro", v1alpha1.GrantAuthorizationCode)
	w.start()
	_, err := w.browser().signIn("allegro", w.link(), demomarket.Person{Deny: true})
	w.Expect(problemOf(err)).To(Equal(signin.ConsentDenied))
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Grant.Type = v1alpha1.GrantDeviceCode })
	w.Expect(market.ApproveDevice(w.userCode(""), market.Seller().ID)).To(Succeed())
	w.pass(5 * time.Second)
	w.expectReady()
	w.expectAuthenticated()
}

func TestPollsGoOnWhenTheClockIsSetBack(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("allegro", v1alpha1.GrantDeviceCode)
	w.start()
	code := w.userCode("")
	w.pass(5 * time.Second)
	w.clock.SetTime(w.clock.Now().Add(-time.Hour))
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Login = "my-shop" }) // a look at the account
	w.Expect(market.ApproveDevice(code, market.Seller().ID)).To(Succeed())
	w.pass(5 * time.Second)
	w.pass(10 * time.Second) // to the platform, which has gone by its clock too, the first poll came early
	w.expectReady()
}

func TestScopesWhereNoneWereNamed(t *testing.T) {
	w := newWorld(t)
	w.prepareSignIn("allegro", v1alpha1.GrantAuthorizationCode)
	w.start()
	w.signedIn("allegro")
	w.edit(withScopes("allegro:api:billing:read"))
	w.Expect(w.expectSignInRequired()).To(And(ContainSubstring("allegro:api:billing:read"), ContainSubstring(w.link())))
	w.expectReady()
	w.signedIn("allegro")
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
}

func TestOtherScopesWhileACodeWaits(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("allegro", v1alpha1.GrantDeviceCode)
	w.start()
	code := w.userCode("")
	w.edit(withScopes("allegro:api:billing:read"))
	w.Expect(market.ApproveDevice(w.userCode(code), market.Seller().ID)).To(Succeed())
	w.pass(5 * time.Second)
	w.expectReady()
	w.Expect(w.token()["scope"]).To(Equal("allegro:api:billing:read"))
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
}

func TestADeadGrantAndAnApplicationThatIsRefused(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("allegro", v1alpha1.GrantAuthorizationCode)
	w.start()
	w.signedIn("allegro")
	market.RevokeGrants()
	w.passUntil(w.renewalTime())
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonGrantRejected)
	b := w.browser()
	visit, err := b.begin(w.link())
	w.Expect(err).NotTo(HaveOccurred())
	back := b.consent("allegro", visit, demomarket.Person{})
	query := back.Query()
	query.Del("code")
	query.Set("error", "invalid_scope")
	back.RawQuery = query.Encode()
	_, err = b.comeBack(back)
	w.Expect(problemOf(err)).To(Equal(signin.ApplicationRefused))
	w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonScopeRejected)
	message := w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonGrantRejected)
	w.Expect(message).To(And(ContainSubstring("refuses the refresh token"), ContainSubstring("invalid_scope"), ContainSubstring(w.link())))
}

func TestACorrectedExpectation(t *testing.T) {
	t.Parallel()
	for name, corrected := range map[string]func(*demomarket.Market) string{
		"to who signed in": func(market *demomarket.Market) string { return market.OtherSeller().ID },
		"to anybody":       func(*demomarket.Market) string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			market := w.prepareSignIn("allegro", v1alpha1.GrantAuthorizationCode, withAccountID(w.Market.Platform("allegro").Seller().ID))
			w.start()
			other := demomarket.Person{SellerID: market.OtherSeller().ID}
			_, err := w.browser().signIn("allegro", w.link(), other)
			w.Expect(problemOf(err)).To(Equal(signin.WrongAccount))
			w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonAccountMismatch)
			w.edit(withAccountID(corrected(market)))
			w.Expect(w.expectSignInRequired()).NotTo(ContainSubstring("expected is"))
			_, err = w.browser().signIn("allegro", w.link(), other)
			w.Expect(err).NotTo(HaveOccurred())
			w.expectReady()
			w.expectAuthenticated()
		})
	}
}

func TestAnAuthorizationThatEachRenewalProlongs(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("allegro", v1alpha1.GrantDeviceCode, // whose authorizations last 90 days
		func(a *v1alpha1.MarketplaceAccount) { a.Spec.Authorization.WarnBefore = "2400h" })
	w.start()
	w.Expect(market.ApproveDevice(w.userCode(""), market.Seller().ID)).To(Succeed())
	w.pass(5 * time.Second)
	w.expectReady()
	for range 2 {
		w.expect(v1alpha1.ConditionAuthorizationExpiring, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
		w.Eventually(func() any { return w.get().Status.SignIn }).Should(BeNil())
		w.passRenewal()
		w.settle()
	}
	w.Expect(market.Report().DeviceCodes.Issued).To(Equal(1))
}

func TestSuspendedBeforeAnybodySignedIn(t *testing.T) {
	w := newWorld(t)
	w.prepareSignIn("allegro", v1alpha1.GrantAuthorizationCode, func(a *v1alpha1.MarketplaceAccount) { a.Spec.Renewal.Policy = v1alpha1.RenewalSuspended })
	w.start()
	w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSuspended)
	w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonSuspended)
	w.Expect(w.get().Status.SignIn).To(BeNil())
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Renewal.Policy = v1alpha1.RenewalAutomatic })
	w.signedIn("allegro")
}

func TestWrongSellerByCodeIsReported(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("allegro", v1alpha1.GrantDeviceCode, withAccountID(w.Market.Platform("allegro").Seller().ID))
	w.start()
	w.Expect(market.ApproveDevice(w.userCode(""), market.OtherSeller().ID)).To(Succeed())
	w.pass(5 * time.Second)
	w.Eventually(w.events).Should(ContainElement("Warning AccountMismatch"))
	w.Expect(w.get().Status.LastFailure).NotTo(BeNil())
	w.Expect(w.get().Status.LastFailure.Reason).To(Equal(v1alpha1.ReasonAccountMismatch))
}

func TestAnApprovalInTheLastMoment(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("allegro", v1alpha1.GrantDeviceCode)
	market.SetLifetimes(demomarket.Lifetimes{DeviceCode: 15 * time.Second})
	w.start()
	code := w.userCode("")
	w.pass(5 * time.Second)
	w.pass(5 * time.Second)
	w.pass(3 * time.Second)
	w.Expect(market.ApproveDevice(code, market.Seller().ID)).To(Succeed())
	w.pass(time.Second)
	w.pass(time.Second)
	w.Expect(market.Report().DeviceCodes.Used).To(Equal(1), "the code has ended, and nobody asked in time")
	w.expectReady()
	w.Expect(market.Report().EarlyPolls).To(BeZero())
}

func TestEventsOfSignInsByLink(t *testing.T) {
	w := newWorld(t)
	w.prepareSignIn("allegro", v1alpha1.GrantAuthorizationCode)
	w.start()
	w.Eventually(w.events).Should(Equal([]string{"Warning SignInRequired"}))
	for range 2 {
		_, err := w.browser().begin(w.link())
		w.Expect(err).NotTo(HaveOccurred())
		w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonSignInPending)
		w.pass(signin.VisitLife)
		w.expectSignInRequired()
	}
	w.signedIn("allegro")
	w.Eventually(w.events).Should(ConsistOf("Warning SignInRequired", "Normal TokenIssued", "Normal SignInCompleted"))
	var list eventsv1.EventList
	w.Expect(kube.List(t.Context(), &list, client.InNamespace(w.Namespace))).To(Succeed())
	for _, event := range list.Items {
		w.Expect(event.Series).To(BeNil(), "%s was said again", event.Reason)
	}
}
