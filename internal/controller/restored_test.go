package controller_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

func TestARestoredBackupIsNotSpent(t *testing.T) {
	w := newWorld(t)
	w.prepare("allegro", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.settle()
	backup := w.readSecret("main-grant").Data
	w.passRenewal()
	served := w.token()["access_token"]
	calls := w.calls("allegro")

	w.stop()
	secret := w.readSecret("main-grant")
	secret.Data = backup
	w.Expect(kube.Update(t.Context(), secret)).To(Succeed())
	w.start()
	w.settle()
	w.pass(12 * time.Hour)
	message := w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
	w.Expect(message).To(And(ContainSubstring("restore of a backup"), ContainSubstring(v1alpha1.AnnotationRenew)))
	w.Expect(w.calls("allegro")).To(Equal(calls), "a refresh token from a backup was sent")
	w.Expect(w.token()["access_token"]).To(Equal(served), "an older token was published")

	// Somebody who knows better may try; here the token was spent indeed.
	w.annotate(v1alpha1.AnnotationRenew, "try")
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonGrantRejected)
	w.Expect(w.calls("allegro")).To(Equal(calls + 1))
}

func TestALostGrantSecretIsNotReplacedByASpentImport(t *testing.T) {
	w := newWorld(t)
	market := w.market.Platform("allegro")
	w.prepare("allegro", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.settle()
	w.delete(w.readSecret("main-grant"))
	w.settle()
	w.pass(time.Hour)
	message := w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
	w.Expect(message).To(ContainSubstring(`Secret "main-grant" is older`))
	w.Expect(w.calls("allegro")).To(Equal(1))

	// A new grant cures it.
	w.editSecret("import", map[string]string{"refresh_token": market.Grant(market.Seller().ID)})
	w.expectReady()
	w.expectAuthenticated()
	w.Expect(market.Report().DoubleSpends).To(BeZero())
}

// TestARequestFromBeforeALossIsNoPermission leaves a request open over the loss of the grant Secret.
func TestARequestFromBeforeALossIsNoPermission(t *testing.T) {
	w := newWorld(t)
	market := w.market.Platform("allegro")
	w.prepare("allegro", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.settle()
	w.stop()
	grant := w.readSecret("main-grant")
	w.annotate(v1alpha1.AnnotationRenew, "before")
	w.delete(grant)
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
	market := w.market.Platform("allegro")
	w.prepare("allegro", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.settle()
	backup := w.readSecret("main-grant").Data
	w.passRenewal()
	w.stop()
	secret := w.readSecret("main-grant")
	secret.Data = backup
	w.Expect(kube.Update(t.Context(), secret)).To(Succeed())
	w.start()
	w.settle()
	w.pass(12 * time.Hour)
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)

	w.editSecret("import", map[string]string{"refresh_token": market.Grant(market.Seller().ID)})
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
	w.expectReady()
	w.expectAuthenticated()
	w.Expect(market.Report().DoubleSpends).To(BeZero())
}

func TestAStaticPlatformDoesNotMindABackup(t *testing.T) {
	w := newWorld(t)
	market := w.market.Platform("ebay")
	w.prepare("ebay", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.settle()
	w.delete(w.readSecret("main-grant"))
	w.settle()
	w.expectReady()
	w.Expect(market.Report().Count(demomarket.GrantRefreshToken, demomarket.OK)).To(Equal(2))
}

// TestARenewalAfterTheClockWasSetBack issues a token that is older by the clock than the one before.
func TestARenewalAfterTheClockWasSetBack(t *testing.T) {
	for _, platform := range []string{"allegro", "oidc"} {
		t.Run(platform, func(t *testing.T) {
			w := newWorld(t)
			w.prepare(platform, v1alpha1.GrantRefreshToken)
			w.start()
			w.expectReady()
			w.settle()
			market, old := w.market.Platform(platform), w.token()["access_token"]
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
