package controller_test

import (
	"encoding/json"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// renewedSince brings an account of this grant type into being and renews it. It returns the grant Secret's data from before.
func (w *world) renewedSince(platform string, grant v1alpha1.GrantType) (backup map[string][]byte) {
	w.T.Helper()
	w.prepare(platform, grant)
	w.start()
	w.expectReady()
	w.settle()
	backup = w.readSecret("main-grant").Data
	w.passRenewal()
	return backup
}

// restore puts a backup in the place of the grant Secret, as somebody does who has lost the cluster.
func (w *world) restore(backup map[string][]byte) {
	w.T.Helper()
	w.stop()
	secret := w.readSecret("main-grant")
	secret.Data = backup
	w.Expect(kube.Update(w.T.Context(), secret)).To(Succeed())
}

// custody is what the grant Secret holds.
func (w *world) custody() custody.Custody {
	w.T.Helper()
	kept, err := tokensecret.DecodeCustody(w.readSecret("main-grant"))
	w.Expect(err).NotTo(HaveOccurred())
	return kept
}

// editCustody changes it, as another process does.
func (w *world) editCustody(change func(*custody.Custody)) {
	w.T.Helper()
	secret, kept := w.readSecret("main-grant"), w.custody()
	change(&kept)
	document, err := json.Marshal(kept)
	w.Expect(err).NotTo(HaveOccurred())
	secret.Data["grant.json"] = document
	w.Expect(kube.Update(w.T.Context(), secret)).To(Succeed())
}

func TestARestoredBackupIsNotSpent(t *testing.T) {
	w := newWorld(t)
	market := w.Market.Platform("allegro")
	w.restore(w.renewedSince("allegro", v1alpha1.GrantRefreshToken))
	served := w.token()["access_token"]
	calls := w.calls("allegro")
	w.start()
	message := w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
	w.Expect(message).To(And(ContainSubstring("restore of a backup"), ContainSubstring(v1alpha1.AnnotationRenew)))
	w.pass(time.Hour)
	w.expectReady()
	w.Expect(w.get().Status.Account).NotTo(BeNil())
	w.pass(11 * time.Hour)
	w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonRenewalOutcomeUnknown)
	w.Expect(w.calls("allegro")).To(Equal(calls), "a refresh token from a backup was sent")
	w.Expect(w.token()["access_token"]).To(Equal(served), "an older token was published")

	// Somebody who knows better may try; here the token was spent indeed.
	w.annotate(v1alpha1.AnnotationRenew, "try")
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonGrantRejected)
	w.Expect(w.calls("allegro")).To(Equal(calls + 1))

	// The new one that is asked for is no part of the backup.
	w.editSecret("import", map[string]string{"refresh_token": market.Grant(market.Seller().ID)})
	w.expectReady()
	w.expectAuthenticated()
}

// TestTryingAllTheSameOutlastsAnOutage asks for it while the marketplace is away.
func TestTryingAllTheSameOutlastsAnOutage(t *testing.T) {
	w := newWorld(t)
	market := w.Market.Platform("oidc")
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.settle()
	w.stop()
	w.editCustody(func(kept *custody.Custody) {
		kept.Serial = 0 // older than the status, and its refresh token is good all the same
	})
	w.start()
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
	market.Inject(demomarket.HTMLPage().Once())
	w.annotate(v1alpha1.AnnotationRenew, "try")
	w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonMarketplaceUnavailable)
	w.pass(time.Minute)
	w.expectAuthenticated()
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
	w.Expect(market.Report().DoubleSpends).To(BeZero())
}

// TestALossIsNotForgottenWhileSomethingElseIsMissing restores one Secret after the other.
func TestALossIsNotForgottenWhileSomethingElseIsMissing(t *testing.T) {
	w := newWorld(t)
	w.restore(w.renewedSince("oidc", v1alpha1.GrantRefreshToken))
	served, calls := w.token()["access_token"], w.calls("oidc")
	application := w.readSecret("app")
	w.Delete(application)
	w.start()
	w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonSecretNotFound)
	w.Expect(w.token()["access_token"]).To(Equal(served), "an older token was published")
	application.ResourceVersion = ""
	w.Create(application)
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
	w.annotate(v1alpha1.AnnotationVerify, "test")
	w.pass(2 * day)
	w.Expect(w.calls("oidc")).To(Equal(calls))
	w.Expect(w.token()["access_token"]).To(Equal(served))
	w.Expect(w.get().Status.AccessToken.Serial).To(Equal(int64(2)))
}

// TestALossIsNotForgottenOverAnotherGrant stores other things on top of what was restored.
func TestALossIsNotForgottenOverAnotherGrant(t *testing.T) {
	t.Parallel()
	for name, replace := range map[string]func(*world){
		"another seller's": func(w *world) {
			market := w.Market.Platform("oidc")
			market.AddSeller(demomarket.Seller{ID: "777", Login: "another-shop"})
			w.editSecret("import", map[string]string{"refresh_token": market.Grant("777")})
			w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonAccountMismatch)
			w.Delete(w.readSecret("import"))
		},
		"an application's own": func(w *world) {
			was := w.get().Spec.Grant
			w.edit(func(a *v1alpha1.MarketplaceAccount) {
				a.Spec.Grant = v1alpha1.Grant{Type: v1alpha1.GrantClientCredentials}
			})
			w.expectAuthenticated() // a refresh token has nothing to do with it
			w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Grant = was })
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.restore(w.renewedSince("oidc", v1alpha1.GrantRefreshToken))
			market := w.Market.Platform("oidc")
			w.start()
			w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
			replace(w)
			w.settle()
			w.pass(day)
			w.Expect(market.Report().DoubleSpends).To(BeZero())
			w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
		})
	}
}

// TestAnImportThatIsLostWithItsAccountUnknown loses the grant Secret before the status tells of any token.
func TestAnImportThatIsLostWithItsAccountUnknown(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken, func(a *v1alpha1.MarketplaceAccount) { a.Spec.AccountID = "a-typo" })
	w.start()
	w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonAccountMismatch)
	w.settle()
	w.Delete(w.readSecret("main-grant"))
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
	w.Expect(w.calls("oidc")).To(Equal(1))
}

// TestAGrantThatWasGivenUpDoesNotComeBack restores the grant Secret of the tokens in use, whose refresh token was sent since.
func TestAGrantThatWasGivenUpDoesNotComeBack(t *testing.T) {
	w := newWorld(t)
	market := w.Market.Platform("oidc")
	w.renewedSince("oidc", v1alpha1.GrantRefreshToken)
	w.settle()
	backup := w.readSecret("main-grant").Data
	market.Inject(demomarket.DropAfterCommit().Once())
	w.passUntil(w.renewalTime())
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
	w.settle()
	calls := w.calls("oidc")
	w.restore(backup)
	w.start()
	w.pass(day)
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
	w.Expect(w.calls("oidc")).To(Equal(calls))
	w.Expect(market.Report().DoubleSpends).To(BeZero())
}

// TestAnOlderTokenIsNotPublished restores a backup of a grant whose refresh token does not mind.
func TestAnOlderTokenIsNotPublished(t *testing.T) {
	w := newWorld(t)
	w.restore(w.renewedSince("ebay", v1alpha1.GrantRefreshToken))
	served := w.token()["access_token"]
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Renewal.Policy = v1alpha1.RenewalSuspended })
	w.start()
	w.expectReady()
	w.Expect(w.token()["access_token"]).To(Equal(served))
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Renewal.Policy = v1alpha1.RenewalAutomatic })
	w.Eventually(func() int64 { return w.get().Status.AccessToken.Serial }).Should(Equal(int64(3)))
	w.expectAuthenticated()
}

// TestAnAccountOfTheSameNameTakesNothingOver creates an account anew while the Secrets of the former one are there still.
func TestAnAccountOfTheSameNameTakesNothingOver(t *testing.T) {
	w := newWorld(t)
	market := w.Market.Platform("allegro")
	w.prepare("allegro", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.settle()
	// There is no garbage collector here.
	w.Delete(w.get())
	w.settle() // else the operator brings the token Secret of the former account back
	w.Delete(w.readSecret("main-token"))
	w.editSecret("import", map[string]string{"refresh_token": market.Grant(market.Seller().ID)})
	w.account("allegro", v1alpha1.GrantRefreshToken)
	w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSecretConflict)
	w.hasNoSecret("main-token")
	w.Expect(w.get().Status.AccessToken).To(BeNil())
	w.Expect(w.get().Status.Account).To(BeNil())
	w.Delete(w.readSecret("main-grant"))
	w.expectReady()
	w.expectAuthenticated()
}

func TestALostGrantSecretIsNotReplacedByASpentImport(t *testing.T) {
	w := newWorld(t)
	market := w.Market.Platform("allegro")
	w.prepare("allegro", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.settle()
	w.Delete(w.readSecret("main-grant"))
	w.settle()
	w.pass(time.Hour)
	message := w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
	w.Expect(message).To(ContainSubstring(`Secret "main-grant" is older`))
	w.Expect(w.calls("allegro")).To(Equal(1))

	// A new grant cures it, and the one before is not sent when somebody brings it back.
	before := string(w.readSecret("import").Data["refresh_token"])
	w.editSecret("import", map[string]string{"refresh_token": market.Grant(market.Seller().ID)})
	w.expectReady()
	w.expectAuthenticated()
	calls := w.calls("allegro")
	w.editSecret("import", map[string]string{"refresh_token": before})
	w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonGrantRejected)
	w.settle()
	w.Expect(w.calls("allegro")).To(Equal(calls))
	w.Expect(market.Report().DoubleSpends).To(BeZero())
}

// TestARequestFromBeforeALossIsNoPermission leaves a request open over the loss of the grant Secret.
func TestARequestFromBeforeALossIsNoPermission(t *testing.T) {
	w := newWorld(t)
	market := w.Market.Platform("allegro")
	w.prepare("allegro", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.settle()
	w.stop()
	grant := w.readSecret("main-grant")
	w.annotate(v1alpha1.AnnotationRenew, "before")
	w.Delete(grant)
	w.start()
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
	w.settle()
	w.Expect(w.calls("allegro")).To(Equal(1), "the import was sent again")

	// Whoever has the Secret puts it back, and the grant goes on.
	again := w.readSecret("main-grant")
	again.Data = grant.Data
	w.Expect(kube.Update(t.Context(), again)).To(Succeed())
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
	w.annotate(v1alpha1.AnnotationRenew, "after")
	w.Eventually(func() int64 { return w.get().Status.AccessToken.Serial }).Should(Equal(int64(2)))
	w.expectAuthenticated()
	w.Expect(market.Report().DoubleSpends).To(BeZero())
}

func TestANewGrantCuresARestoredBackup(t *testing.T) {
	w := newWorld(t)
	market := w.Market.Platform("allegro")
	w.restore(w.renewedSince("allegro", v1alpha1.GrantRefreshToken))
	w.start()
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
	w.editSecret("import", map[string]string{"refresh_token": market.Grant(market.Seller().ID)})
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
	w.expectReady()
	w.expectAuthenticated()
	w.passRenewal()
	w.expectAuthenticated()
	w.Expect(market.Report().DoubleSpends).To(BeZero())
}

func TestAStaticPlatformDoesNotMindABackup(t *testing.T) {
	w := newWorld(t)
	market := w.Market.Platform("ebay")
	w.prepare("ebay", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.settle()
	w.Delete(w.readSecret("main-grant"))
	w.settle()
	w.expectReady()
	w.Expect(market.Report().Count(demomarket.GrantRefreshToken, demomarket.OK)).To(Equal(2))
}

// TestARenewalAfterTheClockWasSetBack issues a token that is older by the clock than the one before.
func TestARenewalAfterTheClockWasSetBack(t *testing.T) {
	t.Parallel()
	for _, platform := range []string{"allegro", "oidc"} {
		t.Run(platform, func(t *testing.T) {
			w := newWorld(t)
			w.prepare(platform, v1alpha1.GrantRefreshToken)
			w.start()
			w.expectReady()
			w.settle()
			market, old := w.Market.Platform(platform), w.token()["access_token"]
			w.clock.SetTime(w.clock.Now().Add(-time.Hour))
			w.annotate(v1alpha1.AnnotationRenew, "now")
			w.Eventually(func() string { return w.token()["access_token"] }).ShouldNot(Equal(old))
			w.Expect(market.AccessTokenValid(w.token()["access_token"])).To(BeTrue())
			w.Expect(w.get().Status.AccessToken.Serial).To(Equal(int64(2)))
			w.passRenewal()
			w.expectAuthenticated()
			w.Expect(market.Report().DoubleSpends).To(BeZero())
		})
	}
}
