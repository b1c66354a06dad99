package controller_test

import (
	"net/http"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// These stories are about a process that ends in the middle of a renewal, and the one that follows.

// diesWaiting kills the operator while it waits for the answer to a renewal that the marketplace has committed.
func (w *world) diesWaiting(platform string) {
	w.T.Helper()
	market := w.Market.Platform(platform)
	w.callTimeout = time.Minute
	w.start()
	w.expectReady()
	hanging := market.Inject(demomarket.HangAfterCommit().Once())
	w.settle()
	w.clock.SetTime(w.renewalTime())
	w.Eventually(hanging.Reached()).Should(BeClosed())
	w.kill()
	w.T.Cleanup(hanging.Release)
}

func TestASuccessorWaitsForAnAttemptThatMayGoOn(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	w.diesWaiting("oidc")
	calls := w.calls("oidc")
	w.start()
	w.expectReady()
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
	w.pass(2 * time.Minute) // which two requests may take
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
	w.pass(time.Minute)
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
	w.Expect(w.calls("oidc")).To(Equal(calls))
	w.Expect(w.Market.Platform("oidc").Report().DoubleSpends).To(BeZero())
}

func TestASuccessorTriesAgainWithinTheGrace(t *testing.T) {
	w := newWorld(t)
	w.prepare("allegro", v1alpha1.GrantRefreshToken)
	w.diesWaiting("allegro")
	calls, due := w.calls("allegro"), w.renewalTime()
	w.start()
	w.Expect(w.calls("allegro")).To(Equal(calls), "the other one may still be at work")
	w.pass(10 * time.Second)
	w.Expect(w.calls("allegro")).To(Equal(calls + 1))
	w.Expect(w.renewalTime()).To(BeTemporally(">", due))
	w.expectAuthenticated()
	w.Expect(w.Market.Platform("allegro").Report().DoubleSpends).To(BeZero())
	w.passRenewal()
	w.expectAuthenticated()
}

// TestAShutdownStoresWhatItWasGiven ends the operator while an answer cannot be stored.
func TestAShutdownStoresWhatItWasGiven(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	calls := w.calls("oidc")
	refused, end := w.refusingGrant(func(request *http.Request) bool { return anyWrite(request) && w.calls("oidc") > calls })
	w.clock.SetTime(w.renewalTime())
	w.Eventually(func() int { return w.calls("oidc") }).Should(Equal(calls + 1))
	w.Eventually(refused.Load).Should(BeNumerically(">", 0))
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		w.stop()
	}()
	before := refused.Load()
	w.Eventually(refused.Load).Should(BeNumerically(">", before+1))
	w.Expect(stopped).NotTo(BeClosed(), "the process ended and took the tokens along")
	end()
	w.Eventually(stopped).Should(BeClosed())

	w.start()
	w.expectAuthenticated()
	w.Expect(w.calls("oidc")).To(Equal(calls + 1))
	w.Expect(w.Market.Platform("oidc").AccessTokenValid(w.token()["access_token"])).To(BeTrue())
	w.passRenewal()
	w.Expect(w.Market.Platform("oidc").Report().DoubleSpends).To(BeZero())
}

// TestAnAttemptOfAnotherProcessStaysOnRecord fails to write its own, and may not know whether it did.
func TestAnAttemptOfAnotherProcessStaysOnRecord(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.settle()
	calls := w.calls("oidc")
	refused, end := w.refusingGrant(first(1, anyWrite))
	w.clock.SetTime(w.renewalTime())
	w.Eventually(refused.Load).Should(Equal(int32(1)))

	now := w.clock.Now().UTC().Truncate(time.Second)
	w.editCustody(func(kept *custody.Custody) {
		kept.Journal = &custody.Journal{StartedAt: now, LastAt: now, Holder: "another process", Attempts: 1}
	})
	end()
	w.pass(10 * time.Second) // which is less than what a request and the storing of its answer may take
	w.Expect(w.calls("oidc")).To(Equal(calls), "a refresh token was sent that another process had sent")
	w.Expect(w.custody().Journal).To(HaveField("Holder", "another process"))
	w.pass(time.Minute)
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
	w.Expect(w.calls("oidc")).To(Equal(calls))
}
