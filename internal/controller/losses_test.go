package controller_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// These stories lose the answer to a single-use refresh token, and something else happens before its end of use.

var (
	badGateway = said{acts: true, raw: respond(502, "text/html", "<html>Bad Gateway</html>")}
	busy       = said{acts: false, raw: respond(503, "application/json", `{"error":"temporarily_unavailable"}`)}
)

// editBytes changes the Marketplace.
func (w *world) editBytes(change func(*v1alpha1.Marketplace)) {
	w.T.Helper()
	w.EditMarketplace("bytes", change)
	w.settle()
}

// TestALossAfterAPersonsWord tries a refresh token that may be spent, since a person says so, and gets no answer.
func TestALossAfterAPersonsWord(t *testing.T) {
	t.Parallel()
	for name, lose := range map[string]func(*world){
		"of a grant that has moved": func(w *world) {
			w.editCustody(func(kept *custody.Custody) { kept.Witness.Account = "another" })
		},
		"of a grant that was restored": func(w *world) {
			w.editCustody(func(kept *custody.Custody) { kept.Serial = 0 })
		},
		"of a grant whose answer had been lost": func(w *world) {
			w.editCustody(func(kept *custody.Custody) {
				kept.Witness.Account = "another"
				kept.Journal = &custody.Journal{StartedAt: w.clock.Now().Add(-time.Hour), LastAt: w.clock.Now().Add(-time.Hour), Holder: "another", Attempts: 1}
			})
		},
		"of an import whose grant Secret is gone": func(w *world) { w.Delete(w.readSecret("main-grant")) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			platform := w.bytesPlatform(0)
			w.start()
			w.expectReady()
			w.settle()
			w.stop()
			lose(w)
			if name == "of an import whose grant Secret is gone" {
				platform.live, platform.first = "RT0", map[string]time.Time{} // it had not acted
			}
			w.start()
			w.passUntil(w.renewalTime())
			w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
			w.settle()
			before := len(platform.sentSince(time.Time{}))
			platform.says(badGateway, badGateway, badGateway)
			w.annotate(v1alpha1.AnnotationRenew, "try")
			count := func() int { return len(platform.sentSince(time.Time{})) - before }
			w.Eventually(count).Should(Equal(1))
			w.settle()
			w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
			w.pass(80 * time.Second)
			w.Expect(count()).To(Equal(1), "it was sent again within 90 seconds")
		})
	}
}

// TestALossWhereRotationIsEdited makes the Marketplace say that refresh tokens stay the same, and takes it back.
func TestALossWhereRotationIsEdited(t *testing.T) {
	w := newWorld(t)
	platform := w.bytesPlatform(0)
	at := w.renewing(platform, said{acts: false, raw: badGateway.raw}, busy, busy)
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
	w.editBytes(func(m *v1alpha1.Marketplace) { m.Spec.RefreshToken.Rotation = v1alpha1.RotationStatic })
	w.annotate(v1alpha1.AnnotationRenew, "another")
	w.Eventually(func() []sending { return platform.sentSince(at) }).Should(HaveLen(2))
	w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonMarketplaceUnavailable)
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
	platform.says()
	w.pass(time.Minute)
	w.expectAuthenticated()
	w.editBytes(func(m *v1alpha1.Marketplace) { m.Spec.RefreshToken.Rotation = v1alpha1.RotationRotating })
	w.pass(time.Minute)
	w.expectAuthenticated()
	w.passRenewal()
	w.expectAuthenticated()
	w.Expect(platform.doubleSpends()).To(BeZero())
}

// TestALossWhereTheGrantIsAnothersForAWhile obtains an application's own tokens meanwhile, which the platform does not give.
func TestALossWhereTheGrantIsAnothersForAWhile(t *testing.T) {
	w := newWorld(t)
	platform := w.bytesPlatform(0)
	at := w.renewing(platform, badGateway, busy, busy, busy)
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
	was := w.get().Spec.Grant
	w.edit(func(a *v1alpha1.MarketplaceAccount) {
		a.Spec.Grant = v1alpha1.Grant{Type: v1alpha1.GrantClientCredentials}
	})
	w.Eventually(func() []sending { return platform.sentSince(at) }).Should(HaveLen(2))
	w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonMarketplaceUnavailable)
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Grant = was })
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
	w.pass(30 * time.Minute)
	for _, s := range platform.sentSince(at)[1:] {
		w.Expect(s.token).To(BeEmpty())
	}
	w.Expect(platform.doubleSpends()).To(BeZero())
}

// TestALossWhereTheApplicationIsReplaced does not show a refresh token to an application that it was not given to.
func TestALossWhereTheApplicationIsReplaced(t *testing.T) {
	w := newWorld(t)
	platform := w.bytesPlatform(0)
	at := w.renewing(platform, badGateway)
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
	w.editSecret("app", map[string]string{"client_id": "another-app"})
	w.settle()
	message := w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonRenewalOutcomeUnknown)
	w.Expect(message).To(ContainSubstring("application"))
	w.Expect(w.stalledFor()).To(Equal(v1alpha1.ReasonRenewalOutcomeUnknown))
	w.pass(day)
	w.Expect(platform.sentSince(at)).To(HaveLen(1), "it was sent for another application")
	w.editSecret("app", map[string]string{"client_id": "my-app"})
	w.Eventually(func() []sending { return platform.sentSince(at) }).Should(HaveLen(2))
}

// TestAnImportThatIsReplacedWhileItsAnswerIsUnknown brings the import back that another process had sent when it died.
func TestAnImportThatIsReplacedWhileItsAnswerIsUnknown(t *testing.T) {
	w := newWorld(t)
	platform := w.bytesPlatform(0)
	w.start()
	w.expectReady()
	w.settle()
	w.stop()
	w.editSecret("import", map[string]string{"refresh_token": "brought"})
	w.editCustody(func(kept *custody.Custody) {
		kept.ImportJournal = &custody.Journal{StartedAt: w.clock.Now(), LastAt: w.clock.Now(), Holder: "another", Attempts: 1, Imported: "brought"}
	})
	at := w.clock.Now().Add(time.Second)
	w.clock.SetTime(at)
	w.editSecret("import", map[string]string{"refresh_token": "RT1"})
	w.start()
	w.Eventually(func() []sending { return platform.sentSince(at) }).Should(HaveLen(1))
	w.expectAuthenticated()
	w.editSecret("import", map[string]string{"refresh_token": "brought"})
	w.settle()
	w.pass(5 * time.Minute)
	for _, s := range platform.sentSince(at) {
		w.Expect(s.token).NotTo(Equal("brought"), "what may be spent was sent again")
	}
}

// TestALossBesideAnotherAccountOfTheSeller leaves a token unsent whose second use could end the other account's grant as well.
func TestALossBesideAnotherAccountOfTheSeller(t *testing.T) {
	w := newWorld(t)
	market := w.Market.Platform("oidc")
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectAuthenticated()
	w.pass(time.Minute)
	w.secret("import-of-second", map[string]string{"refresh_token": market.Grant(market.Seller().ID)})
	second := w.account("oidc", v1alpha1.GrantRefreshToken, func(a *v1alpha1.MarketplaceAccount) {
		a.Name, a.Spec.Grant.RefreshToken.SecretRef.Name = "second", "import-of-second"
	})
	w.Eventually(func() string { return w.conditionOf("second", v1alpha1.ConditionReady) }).Should(HavePrefix("True TokenValid"))
	w.settle()
	market.Inject(demomarket.DropAfterCommit().Once())
	w.annotate(v1alpha1.AnnotationRenew, "now")
	message := w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
	w.Expect(message).To(ContainSubstring("another account holds a grant of the same seller"))
	w.Expect(w.stalledFor()).To(Equal(v1alpha1.ReasonRenewalOutcomeUnknown))
	w.pass(2 * day)
	w.Expect(market.Report().DoubleSpends).To(BeZero())
	w.Delete(second)
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonGrantRejected)
}
