package controller_test

import (
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

const day = 24 * time.Hour

func TestCountdownOfAFixedAuthorization(t *testing.T) {
	w := newWorld(t)
	w.marketplace("ebay")
	w.application()
	market := w.Market.Platform("ebay")
	// The manifest gives an eBay consent 13140 h, 547 days and a half, of which 16 are left.
	granted := w.clock.Now().Add(16*day - 13140*time.Hour)
	w.secret("import", map[string]string{
		"refresh_token": market.Grant(market.Seller().ID), "granted_at": granted.Format(time.RFC3339),
	})
	w.account("ebay", v1alpha1.GrantRefreshToken, func(a *v1alpha1.MarketplaceAccount) { a.Spec.Login = "my-shop" })
	w.start()
	w.expectReady()
	id := market.Seller().ID
	authorization := w.get().Status.Authorization
	w.Expect(authorization.GrantedTime.Time).To(BeTemporally("==", granted))
	w.Expect(authorization.ExpirationTime.Time).To(BeTemporally("==", w.clock.Now().Add(16*day)))
	w.Expect(*authorization.DaysRemaining).To(Equal(int32(16)))
	w.Expect(w.expectAuthenticated()).To(ContainSubstring("(" + id + "), authorization expires in 16 days"))
	w.expect(v1alpha1.ConditionAuthorizationExpiring, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)

	// At the day's turn the number changes, in one write and without asking anybody.
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Renewal.Policy = v1alpha1.RenewalSuspended })
	w.settle()
	calls := w.calls("ebay")
	w.pass(day - time.Minute)
	w.traffic.reset()
	w.pass(2 * time.Minute)
	w.Eventually(func() int32 { return *w.get().Status.Authorization.DaysRemaining }).Should(Equal(int32(15)))
	w.Expect(w.traffic.counted()).To(Equal(map[string]int{"PATCH marketplaceaccounts/status": 1}))

	w.pass(day)
	message := w.expect(v1alpha1.ConditionAuthorizationExpiring, metav1.ConditionTrue, v1alpha1.ReasonAuthorizationExpiring)
	w.Expect(message).To(And(ContainSubstring("expires in 14 days"), ContainSubstring("on 2026-03-18")))
	w.Eventually(w.events).Should(ContainElement("Warning AuthorizationExpiring"))
	w.pass(15 * day)
	w.expect(v1alpha1.ConditionAuthorizationExpiring, metav1.ConditionTrue, v1alpha1.ReasonAuthorizationExpired)
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonAuthorizationExpired)
	w.Expect(*w.get().Status.Authorization.DaysRemaining).To(BeZero())
	w.Expect(w.calls("ebay")).To(Equal(calls))
}

func TestSlidingAuthorizationMovesWithEachRenewal(t *testing.T) {
	w := newWorld(t)
	w.prepare("allegro", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	first := w.get().Status.Authorization.ExpirationTime
	w.Expect(w.get().Status.Authorization.DaysRemaining).To(BeNil(), "nobody has to mind a number that never changes")
	w.Expect(w.expectAuthenticated()).To(ContainSubstring(", authorization renews itself"))
	due := w.renewalTime()
	w.passUntil(due)
	w.Eventually(w.renewalTime).Should(BeTemporally(">", due))
	w.Expect(w.get().Status.Authorization.ExpirationTime.Sub(first.Time)).To(BeNumerically("~", due.Sub(first.Add(-90*day)), time.Second))

	// While it is suspended, or renewals fail, it ends.
	days := func() *int32 { return w.get().Status.Authorization.DaysRemaining }
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Renewal.Policy = v1alpha1.RenewalSuspended })
	w.Eventually(days).Should(HaveValue(Equal(int32(90))))
	w.Expect(w.expectAuthenticated()).To(ContainSubstring(", authorization expires in 90 days"))
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Renewal.Policy = v1alpha1.RenewalAutomatic })
	w.Eventually(days).Should(BeNil())
	w.Market.Platform("allegro").Inject(demomarket.Maintenance().Times(0))
	w.pass(time.Minute)
	w.annotate(v1alpha1.AnnotationRenew, "now")
	w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonMarketplaceUnavailable)
	w.Eventually(days).Should(HaveValue(Equal(int32(90))))
	w.Market.Platform("allegro").ClearFaults()
	w.pass(time.Minute)
	w.expectAuthenticated()
	w.Eventually(days).Should(BeNil())
}

func TestTouchedImportDoesNotSpendTheOldTokenAgain(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	calls := w.calls("oidc")
	secret := w.readSecret("import")
	metav1.SetMetaDataAnnotation(&secret.ObjectMeta, "example.com/touched", "yes")
	w.Expect(kube.Update(t.Context(), secret)).To(Succeed())
	w.settle()
	w.Expect(w.calls("oidc")).To(Equal(calls))
	w.annotate(v1alpha1.AnnotationRenew, "now")
	w.Eventually(func() int { return w.calls("oidc") }).Should(Equal(calls + 1))
	w.expectAuthenticated()
	w.Expect(w.Market.Platform("oidc").Report().DoubleSpends).To(BeZero())
}

func TestExpectationThatBecomesWrongKeepsTheGrant(t *testing.T) {
	w := newWorld(t)
	w.prepare("allegro", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	calls := w.calls("allegro")
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.AccountID = "999" })
	w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonAccountMismatch)
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonAccountMismatch)
	w.pass(day)
	w.Expect(w.calls("allegro")).To(Equal(calls), "no token of the wrong account is asked for")
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.AccountID = w.Market.Platform("allegro").Seller().ID })
	w.expectReady()
	w.expectAuthenticated()
}

func TestFirstAccountSeenIsTheOnlyOne(t *testing.T) {
	w := newWorld(t)
	w.prepare("allegro", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	token := w.token()
	market := w.Market.Platform("allegro")
	market.AddSeller(demomarket.Seller{ID: "777", Login: "another-shop"})
	w.editSecret("import", map[string]string{"refresh_token": market.Grant("777")})
	message := w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonAccountMismatch)
	w.Expect(message).To(And(ContainSubstring("777"), ContainSubstring(market.Seller().ID)))
	w.Expect(w.token()).To(Equal(token), "another seller's tokens are never published")
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.AccountID = "777" })
	w.editSecret("import", map[string]string{"refresh_token": market.Grant("777")})
	w.expectReady()
	w.Expect(w.token()).To(HaveKeyWithValue("account_id", "777"))
}

func TestDeletion(t *testing.T) {
	t.Parallel()
	t.Run("Delete leaves the Secrets to their owner", func(t *testing.T) {
		w := newWorld(t)
		w.prepare("oidc", v1alpha1.GrantRefreshToken)
		w.start()
		w.expectReady()
		w.Expect(w.get().Finalizers).To(BeEmpty())
		for _, name := range []string{"main-token", "main-grant"} {
			w.Expect(metav1.IsControlledBy(w.readSecret(name), w.get())).To(BeTrue(), name)
		}
	})
	t.Run("Keep frees the token Secret of its owner", func(t *testing.T) {
		w := newWorld(t)
		w.prepare("oidc", v1alpha1.GrantRefreshToken)
		w.start()
		w.expectReady()
		w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.DeletionPolicy = v1alpha1.DeletionKeep })
		w.Eventually(func() int { return len(w.readSecret("main-token").OwnerReferences) }).Should(BeZero())
		w.Expect(w.readSecret("main-grant").OwnerReferences).NotTo(BeEmpty())

		kept := w.token()
		w.Delete(w.get())
		w.Eventually(w.gone).Should(BeTrue())
		w.Delete(w.readSecret("main-grant")) // as the garbage collector does
		w.editSecret("import", map[string]string{"refresh_token": ""})
		w.account("oidc", v1alpha1.GrantRefreshToken, func(a *v1alpha1.MarketplaceAccount) { a.Spec.DeletionPolicy = v1alpha1.DeletionKeep })
		w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSecretInvalid)
		w.Expect(w.token()).To(Equal(kept), "the token of the former account stays until there is another")
		w.editSecret("import", map[string]string{"refresh_token": w.Market.Platform("oidc").Grant("another")})
		w.expectReady()
		w.Expect(w.token()["access_token"]).NotTo(Equal(kept["access_token"]))
		w.stop()
		account := w.get()
		account.Status = v1alpha1.MarketplaceAccountStatus{}
		w.Expect(kube.Status().Update(t.Context(), account)).To(Succeed())
		w.start()
		w.expectReady() // by the custody alone
	})
	t.Run("Revoke ends the grant", func(t *testing.T) {
		w := newWorld(t)
		w.prepare("oidc", v1alpha1.GrantRefreshToken, func(a *v1alpha1.MarketplaceAccount) { a.Spec.DeletionPolicy = v1alpha1.DeletionRevoke })
		w.start()
		w.expectReady()
		market := w.Market.Platform("oidc")
		w.Expect(market.Report().LiveFamilies).To(Equal(1))
		w.Delete(w.get())
		w.Eventually(w.gone).Should(BeTrue())
		w.Expect(market.Report().LiveFamilies).To(BeZero())
		w.Eventually(w.events).Should(ContainElement("Normal GrantRevoked"))
	})
	t.Run("Revoke ends the grant whose Secret the garbage collector has removed meanwhile", func(t *testing.T) {
		w := newWorld(t)
		w.clock.SetTime(time.Now()) // the API server's clock writes the time of deletion
		w.prepare("oidc", v1alpha1.GrantRefreshToken, func(a *v1alpha1.MarketplaceAccount) { a.Spec.DeletionPolicy = v1alpha1.DeletionRevoke })
		w.start()
		w.expectReady()
		market := w.Market.Platform("oidc")
		market.Inject(demomarket.Maintenance().Times(0).On(demomarket.RevocationEndpoint))
		w.Delete(w.get())
		w.settle()
		w.Delete(w.readSecret("main-grant"))
		market.ClearFaults()
		w.pass(time.Minute)
		w.Eventually(w.gone).Should(BeTrue())
		w.Expect(market.Report().LiveFamilies).To(BeZero())
		w.Eventually(w.events).Should(ContainElement("Normal GrantRevoked"))
	})
	t.Run("Revoke gives up on a marketplace that stays away", func(t *testing.T) {
		w := newWorld(t)
		w.clock.SetTime(time.Now()) // the API server's clock writes the time of deletion
		w.prepare("oidc", v1alpha1.GrantRefreshToken, func(a *v1alpha1.MarketplaceAccount) { a.Spec.DeletionPolicy = v1alpha1.DeletionRevoke })
		w.start()
		w.expectReady()
		w.Market.Platform("oidc").Inject(demomarket.Maintenance().Times(0).On(demomarket.RevocationEndpoint))
		w.Delete(w.get())
		w.settle()
		w.pass(time.Minute)
		w.Expect(w.gone()).To(BeFalse())
		w.pass(5 * time.Minute)
		w.Eventually(w.gone).Should(BeTrue())
		w.Eventually(w.events).Should(ContainElement("Warning GrantRevoked"))
	})
}

func (w *world) gone() bool {
	w.T.Helper()
	err := kube.Get(w.T.Context(), client.ObjectKey{Namespace: w.Namespace, Name: "main"}, &v1alpha1.MarketplaceAccount{})
	w.Expect(client.IgnoreNotFound(err)).To(Succeed())
	return err != nil
}

func TestUnverifiedIDTokenIsNotPublished(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	token := w.token()
	market := w.Market.Platform("oidc")
	// The keys that the issuer publishes are not those that it signs with.
	market.Inject(demomarket.Answer(demomarket.Response{Status: 200, Body: `{"keys":[]}`}).Times(0).On(demomarket.KeysEndpoint))
	w.start() // without the keys that the last process had fetched
	w.pass(time.Minute)
	w.annotate(v1alpha1.AnnotationRenew, "now")
	w.Eventually(func() string { return w.token()["access_token"] }).ShouldNot(Equal(token["access_token"]))
	message := w.expect(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)
	w.Expect(message).To(ContainSubstring("its ID token is withheld: the ID token cannot be verified"))
	w.Expect(w.token()).NotTo(HaveKey("id_token"))

	market.ClearFaults()
	w.pass(3 * time.Minute)
	w.Eventually(w.token).Should(HaveKey("id_token"))
	w.Expect(market.Report().DoubleSpends).To(BeZero())
}

func TestMetrics(t *testing.T) {
	w := newWorld(t)
	w.prepare("ebay", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.passRenewal()
	w.settle()
	families, err := w.registry.Gather()
	w.Expect(err).NotTo(HaveOccurred())
	names := map[string]int{}
	for _, family := range families {
		names[family.GetName()] = len(family.GetMetric())
	}
	w.Expect(names).To(Equal(map[string]int{
		"tokenkeeper_account_condition":                          4,
		"tokenkeeper_account_reason":                             4,
		"tokenkeeper_account_info":                               1,
		"tokenkeeper_access_token_expiration_timestamp_seconds":  1,
		"tokenkeeper_access_token_renewal_timestamp_seconds":     1,
		"tokenkeeper_authorization_expiration_timestamp_seconds": 1,
		"tokenkeeper_token_requests_total":                       1,
		"tokenkeeper_token_request_duration_seconds":             1,
		"tokenkeeper_renewal_lateness_seconds":                   1,
		"tokenkeeper_token_host_circuits_open":                   1,
		"tokenkeeper_token_host_requests_underway":               1,
		"tokenkeeper_token_host_requests_waiting":                1,
	}))
	w.Delete(w.get())
	w.Eventually(func() bool {
		families, err := w.registry.Gather()
		w.Expect(err).NotTo(HaveOccurred())
		for _, family := range families {
			if strings.Contains(family.GetName(), "account_condition") {
				return false
			}
		}
		return true
	}).Should(BeTrue(), "a deleted account leaves no series")
}
