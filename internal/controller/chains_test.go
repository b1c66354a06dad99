package controller_test

import (
	"net/http"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// These stories are about a new grant beside the one in use, and about what must not be sent twice.

func TestCorrectedExpectationUsesWhatWasStored(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken, func(a *v1alpha1.MarketplaceAccount) { a.Spec.AccountID = "a-typo" })
	w.start()
	w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonAccountMismatch)
	w.pass(time.Minute)
	market := w.Market.Platform("oidc")
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.AccountID = market.Seller().ID })
	w.expectReady()
	w.expectAuthenticated()
	w.Expect(w.calls("oidc")).To(Equal(1), "the import was spent, its successor waited")
	w.passRenewal()
	w.Expect(market.Report().DoubleSpends).To(BeZero())
}

func TestNewGrantIsNotUsedBeforeItsAccountIsKnown(t *testing.T) {
	t.Parallel()
	for name, expect := range map[string]func(w *world, a *v1alpha1.MarketplaceAccount){
		"where the spec names the account": func(w *world, a *v1alpha1.MarketplaceAccount) {
			a.Spec.AccountID = w.Market.Platform("ebay").Seller().ID
		},
		"where the first one seen counts": func(*world, *v1alpha1.MarketplaceAccount) {},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.prepare("ebay", v1alpha1.GrantRefreshToken, func(a *v1alpha1.MarketplaceAccount) { expect(w, a) })
			w.start()
			w.expectReady()
			w.Eventually(func() *v1alpha1.AccountStatus { return w.get().Status.Account }).ShouldNot(BeNil())
			token := w.token()
			market := w.Market.Platform("ebay")
			market.AddSeller(demomarket.Seller{ID: "777", Login: "another-shop"})
			market.Inject(demomarket.Maintenance().Times(2).On(demomarket.IdentityEndpoint))
			w.editSecret("import", map[string]string{"refresh_token": market.Grant("777")})
			w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonMarketplaceUnavailable)
			w.Expect(w.token()).To(Equal(token))
			w.pass(11 * time.Second)
			w.pass(11 * time.Second)
			message := w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonAccountMismatch)
			w.Expect(message).To(ContainSubstring("777"))
			w.Expect(w.token()).To(Equal(token), "another seller's tokens are never published")
			w.expectReady()

			// The grant in use goes on meanwhile.
			w.passRenewal()
			w.expectReady()
			w.Expect(w.token()).NotTo(Equal(token))
			w.Expect(w.token()).To(HaveKeyWithValue("account_id", market.Seller().ID))
		})
	}
}

func TestBadImportLeavesTheGrantInUseAlone(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.editSecret("import", map[string]string{"refresh_token": "pasted-from-somewhere-else"})
	w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonGrantRejected)
	w.expectReady()
	calls := w.calls("oidc")
	w.passRenewal()
	w.expectReady()
	w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonGrantRejected)
	w.Expect(w.calls("oidc")).To(Equal(calls+1), "the refused one is not sent again")
	w.Expect(w.Market.Platform("oidc").Report().DoubleSpends).To(BeZero())
}

func TestDeletedImportIsNotMissed(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.Delete(w.readSecret("import"))
	w.settle()
	w.passRenewal()
	w.expectAuthenticated()
}

func TestChangeOfGrantTypeAndBack(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.pass(time.Minute)
	w.edit(func(a *v1alpha1.MarketplaceAccount) {
		a.Spec.Grant = v1alpha1.Grant{Type: v1alpha1.GrantClientCredentials}
	})
	w.expectReady()
	w.pass(time.Minute)
	w.edit(func(a *v1alpha1.MarketplaceAccount) {
		a.Spec.Grant = v1alpha1.Grant{Type: v1alpha1.GrantRefreshToken, RefreshToken: &v1alpha1.RefreshTokenGrant{SecretRef: v1alpha1.SecretReference{Name: "import"}}}
	})
	w.expectReady()
	w.expectAuthenticated()
	w.Expect(w.Market.Platform("oidc").Report().DoubleSpends).To(BeZero())
}

func TestTokenSecretThatCannotBeWritten(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	end := w.traffic.refusing(func(request *http.Request) *http.Response {
		if !writesTo(request, "main-token") {
			return nil
		}
		return refusal(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid)
	})
	calls := w.calls("oidc")
	w.pass(time.Minute)
	w.edit(func(a *v1alpha1.MarketplaceAccount) {
		metav1.SetMetaDataAnnotation(&a.ObjectMeta, v1alpha1.AnnotationRenew, "now")
	})
	message := w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonSecretConflict)
	w.Expect(message).To(ContainSubstring(`Secret "main-token" cannot be written, the API server says Invalid`))
	w.expectReady() // the token before is still good
	for range 30 {
		w.clock.Step(time.Second)
		w.settle()
	}
	w.Expect(w.calls("oidc")).To(Equal(calls+1), "one request, one call")
	end()
	token := w.token()
	w.Eventually(func() map[string]string {
		w.clock.Step(time.Second)
		return w.token()
	}).ShouldNot(Equal(token))
	w.expectAuthenticated()
	w.Expect(w.calls("oidc")).To(Equal(calls + 1))
}

func TestBackoffAfterACuredRefusal(t *testing.T) {
	w := newWorld(t)
	w.marketplace("xsale")
	w.application()
	w.secret("login", map[string]string{"username": demomarket.DefaultUser, "password": "a-wrong-password"})
	w.account("xsale", v1alpha1.GrantPassword)
	w.start()
	w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonPasswordRejected)
	injected := w.Market.Platform("xsale").Inject(demomarket.Maintenance().Times(0))
	w.editSecret("login", map[string]string{"password": demomarket.DefaultPassword})
	w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonMarketplaceUnavailable)
	for range 9 {
		w.pass(time.Second)
	}
	w.Expect(injected.Hits()).To(Equal(1))
	injected.Clear()
	w.pass(15 * time.Second)
	w.expectReady()
}

func TestJournalIsClearedWhateverItTakes(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	market := w.Market.Platform("oidc")
	injected := market.Inject(demomarket.HTMLPage().Once())
	refusals := 0
	end := w.traffic.refusing(func(request *http.Request) *http.Response {
		if !writesTo(request, "main-grant") || injected.Hits() == 0 || refusals > 0 {
			return nil
		}
		refusals++
		return refusal(http.StatusConflict, metav1.StatusReasonConflict)
	})
	defer end()
	w.passUntil(w.renewalTime())
	w.pass(2 * time.Second)
	w.pass(15 * time.Second)
	w.expectAuthenticated()
	w.Expect(market.Report().DoubleSpends).To(BeZero())
}

func TestStrippedLabelsAreRestored(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	for _, name := range []string{"main-token", "main-grant"} {
		secret := w.readSecret(name)
		secret.Labels = nil
		w.Expect(kube.Update(t.Context(), secret)).To(Succeed())
	}
	w.Eventually(func() map[string]string { return w.readSecret("main-token").Labels }).Should(HaveKey(v1alpha1.LabelManagedBy))
	w.pass(time.Second)
	w.traffic.reset()
	w.pass(5 * time.Second)
	w.Expect(w.traffic.reads()+w.traffic.writes()).To(BeZero(), "%v", w.traffic.counted())
	w.passRenewal()
	w.expectAuthenticated()
	w.Expect(w.readSecret("main-grant").Labels).To(HaveKey(v1alpha1.LabelManagedBy))
}

func TestLifetimeOfASecondIsNoFlood(t *testing.T) {
	w := newWorld(t)
	w.prepare("amazon", v1alpha1.GrantRefreshToken)
	w.Market.Platform("amazon").Inject(demomarket.ExpiresIn("1").Times(0))
	w.start()
	w.Eventually(func() int { return w.calls("amazon") }).Should(Equal(1))
	for range 20 {
		w.pass(time.Second)
	}
	w.Expect(w.calls("amazon")).To(BeNumerically("<=", 3))
}

func TestExpectationThatNothingCanCheck(t *testing.T) {
	w := newWorld(t)
	w.prepare("amazon", v1alpha1.GrantRefreshToken, func(a *v1alpha1.MarketplaceAccount) { a.Spec.AccountID = "A1B2C3" })
	w.start()
	message := w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonInvalidSpec)
	w.Expect(message).To(ContainSubstring("spec.accountID must not be set"))
	w.Expect(w.calls("amazon")).To(BeZero())
}

// TestAnswersAfterWhichNobodyKnows: which these are is a table of internal/grant (bytes_test.go).
func TestAnswersAfterWhichNobodyKnows(t *testing.T) {
	t.Parallel()
	for name, story := range map[string]struct {
		fault demomarket.Fault
		lost  bool
	}{
		"a connection cut before":       {demomarket.DropBeforeCommit(), true},
		"a page in front of the market": {demomarket.HTMLPage(), false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.prepare("oidc", v1alpha1.GrantRefreshToken)
			w.start()
			w.expectReady()
			market := w.Market.Platform("oidc")
			market.Inject(story.fault.Once())
			calls := w.calls("oidc")
			w.passUntil(w.renewalTime())
			w.expectReady()
			if story.lost {
				w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
				w.passUntil(w.get().Status.AccessToken.ExpirationTime.Add(-4 * time.Minute))
				w.Expect(w.calls("oidc")).To(Equal(calls+1), "a token that may be spent is not sent before its end of use")
				return
			}
			w.pass(13 * time.Second)
			w.expectAuthenticated()
			w.Expect(market.Report().DoubleSpends).To(BeZero())
		})
	}
}

func TestBadImportAfterALostAnswer(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	market := w.Market.Platform("oidc")
	market.Inject(demomarket.DropAfterCommit().Once())
	w.passUntil(w.renewalTime())
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
	calls := w.calls("oidc")
	w.editSecret("import", map[string]string{"refresh_token": "pasted-from-somewhere-else"})
	w.Eventually(func() int { return w.calls("oidc") }).Should(Equal(calls + 1))
	w.passUntil(w.get().Status.AccessToken.ExpirationTime.Add(-4 * time.Minute))
	w.Expect(w.calls("oidc")).To(Equal(calls+1), "neither the lost nor the refused token is sent again")
	w.Expect(market.Report().DoubleSpends).To(BeZero())
	w.editSecret("import", map[string]string{"refresh_token": market.Grant(market.Seller().ID)})
	w.expectReady()
	w.expectAuthenticated()
}

func TestBadImportAfterADeadGrant(t *testing.T) {
	w := newWorld(t)
	w.prepare("ebay", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.Market.Platform("ebay").RevokeGrants()
	w.passUntil(w.renewalTime())
	w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonGrantRejected)
	calls := w.calls("ebay")
	w.editSecret("import", map[string]string{"refresh_token": "pasted-from-somewhere-else"})
	w.Eventually(func() int { return w.calls("ebay") }).Should(Equal(calls + 1))
	w.pass(day)
	w.Expect(w.calls("ebay")).To(Equal(calls+1), "the two refusals do not undo each other")
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonGrantRejected)
}

func TestRemovedExpectationAcceptsWhatWasStored(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken, func(a *v1alpha1.MarketplaceAccount) { a.Spec.AccountID = "a-typo" })
	w.start()
	w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonAccountMismatch)
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.AccountID = "" })
	w.expectReady()
	w.expectAuthenticated()
	w.Expect(w.calls("oidc")).To(Equal(1))
}

func TestRolledBackImportIsNotSentAgain(t *testing.T) {
	w := newWorld(t)
	w.marketplace("oidc")
	w.application()
	first := w.imported("oidc")
	w.account("oidc", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	market := w.Market.Platform("oidc")
	second := market.Grant(market.Seller().ID)
	w.pass(time.Minute)
	w.editSecret("import", map[string]string{"refresh_token": second})
	w.Eventually(func() int { return w.calls("oidc") }).Should(Equal(2))
	w.pass(time.Minute)
	w.editSecret("import", map[string]string{"refresh_token": first})
	message := w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonGrantRejected)
	w.Expect(message).To(ContainSubstring("used up before"))
	w.expectReady()
	w.passRenewal()
	w.editSecret("import", map[string]string{"refresh_token": second})
	w.expectAuthenticated()
	w.Expect(w.calls("oidc")).To(Equal(3))
	w.Expect(market.Report().DoubleSpends).To(BeZero())
}

func TestAnotherAccountsLoginWaitsWithoutAskingAgain(t *testing.T) {
	w := newWorld(t)
	w.prepare("xsale", v1alpha1.GrantPassword)
	w.start()
	w.expectReady()
	token := w.token()
	market := w.Market.Platform("xsale")
	w.secret("other", map[string]string{"username": demomarket.OtherUser, "password": demomarket.DefaultPassword})
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Grant.Password.SecretRef.Name = "other" })
	w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonAccountMismatch)
	w.Expect(w.token()).To(Equal(token))
	for range 5 {
		w.pass(time.Second)
	}
	w.Expect(w.calls("xsale")).To(Equal(2))
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.AccountID = market.OtherSeller().ID })
	w.expectReady()
	w.Expect(w.token()).To(HaveKeyWithValue("account_id", market.OtherSeller().ID))
	w.Expect(w.calls("xsale")).To(Equal(2), "the tokens were waiting")
}

func TestDiscoveryThatFailsForgetsNothing(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	market := w.Market.Platform("oidc")
	// The answer is lost and nothing of it can be recorded, as when the process is killed.
	calls := w.calls("oidc")
	market.Inject(demomarket.DropAfterCommit().Once())
	end := w.traffic.refusing(func(request *http.Request) *http.Response {
		if !writesTo(request, "main-grant") || w.calls("oidc") == calls {
			return nil
		}
		return refusal(http.StatusForbidden, metav1.StatusReasonForbidden)
	})
	w.clock.SetTime(w.renewalTime())
	w.Eventually(func() int { return w.calls("oidc") }).Should(Equal(calls + 1))
	w.kill()
	end()
	injected := market.Inject(demomarket.Maintenance().Times(0).On(demomarket.DiscoveryEndpoint))
	w.start()
	w.pass(time.Minute)
	injected.Clear()
	w.pass(20 * time.Minute)
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
	w.Expect(w.calls("oidc")).To(Equal(calls + 1))
	w.Expect(market.Report().DoubleSpends).To(BeZero())
}
