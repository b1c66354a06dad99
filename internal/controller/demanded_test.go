package controller_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// These stories are about waits: those that a marketplace demands, and those after failures. The end of a token bounds them all.

// tooMany answers 429 with a header.
func tooMany(header, value string) demomarket.Fault {
	return demomarket.HookFault(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set(header, value)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = w.Write([]byte(`{"error":"slow_down"}`))
	})
}

// served fails when the token in the Secret has expired.
func (w *world) served() {
	w.T.Helper()
	ends, err := time.Parse(time.RFC3339, w.token()["expires_at"])
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(ends).To(BeTemporally(">", w.clock.Now()), "the token expired in its Secret")
}

func TestAWaitThatIsNoneIsIgnored(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(now time.Time) (header, value string){
		"a moment in epoch seconds": func(now time.Time) (string, string) { return "Retry-After", fmt.Sprint(now.Add(time.Minute).Unix()) },
		"ten days":                  func(time.Time) (string, string) { return "Retry-After", "900000" },
		"a date far ahead":          func(time.Time) (string, string) { return "Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.prepare("amazon", v1alpha1.GrantRefreshToken)
			w.start()
			w.expectReady()
			w.Market.Platform("amazon").Inject(tooMany(answer(w.clock.Now())).Once())
			w.annotate(v1alpha1.AnnotationRenew, "now")
			w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonRateLimited)
			w.Expect(w.calls("amazon")).To(Equal(2))
			w.pass(13 * time.Second)
			w.expectAuthenticated()
			w.Expect(w.calls("amazon")).To(Equal(3))
		})
	}
}

func TestAWaitIsInterruptedTwoMinutesBeforeTheTokenEnds(t *testing.T) {
	w := newWorld(t)
	w.prepare("amazon", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	ends := w.get().Status.AccessToken.ExpirationTime.Time
	w.passUntil(w.renewalTime().Add(-time.Second))
	w.Market.Platform("amazon").Inject(demomarket.Throttle(7200).Once())
	w.pass(2 * time.Second)
	w.Expect(w.calls("amazon")).To(Equal(2))
	w.passUntil(ends.Add(-2*time.Minute - time.Second))
	w.Expect(w.calls("amazon")).To(Equal(2))
	w.pass(2 * time.Second)
	w.expectAuthenticated()
	w.Expect(w.calls("amazon")).To(Equal(3))
	w.served()
}

func TestAnInterruptionThatIsRefusedIsNotRepeated(t *testing.T) {
	w := newWorld(t)
	w.prepare("amazon", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	ends := w.get().Status.AccessToken.ExpirationTime.Time
	w.passUntil(w.renewalTime().Add(-time.Second))
	refusing := w.Market.Platform("amazon").Inject(demomarket.Throttle(7200).Times(0))
	w.pass(2 * time.Second)
	w.passUntil(ends.Add(-time.Minute - time.Second))
	calls := w.calls("amazon")
	for range 8 {
		w.pass(30 * time.Second)
	}
	w.Expect(w.calls("amazon")-calls).To(BeNumerically("<=", 1), "a wait is interrupted once")
	w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonRateLimited)

	refusing.Clear() // one person's request goes through
	w.annotate(v1alpha1.AnnotationRenew, "now")
	w.expectReady()
	w.expectAuthenticated()
}

func TestOnePersonsRequestInterruptsAWait(t *testing.T) {
	w := newWorld(t)
	w.prepare("amazon", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	refusing := w.Market.Platform("amazon").Inject(demomarket.Throttle(500).Times(0))
	w.annotate(v1alpha1.AnnotationRenew, "first")
	w.Expect(w.calls("amazon")).To(Equal(2), "it begins the wait")
	w.annotate(v1alpha1.AnnotationRenew, "second")
	w.Expect(w.calls("amazon")).To(Equal(3), "it interrupts the wait")
	w.annotate(v1alpha1.AnnotationRenew, "third")
	w.pass(4 * time.Minute)
	w.Expect(w.calls("amazon")).To(Equal(3))
	refusing.Clear()
	w.pass(5 * time.Minute)
	w.expectAuthenticated()
	w.Expect(w.get().Status.Handled.Renew).To(Equal("third"))
}

func TestAnOutageThatEndsBeforeTheTokenLeavesNoExpiredToken(t *testing.T) {
	w := newWorld(t)
	w.prepare("amazon", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	ends := w.get().Status.AccessToken.ExpirationTime.Time
	w.passUntil(w.renewalTime().Add(-time.Second))
	down := w.Market.Platform("amazon").Inject(demomarket.Maintenance().Times(0))
	for w.clock.Now().Before(ends.Add(-3 * time.Minute)) {
		w.pass(time.Minute)
	}
	for w.clock.Now().Before(ends.Add(-25 * time.Second)) {
		w.pass(5 * time.Second)
	}
	down.Clear()
	for range 5 {
		w.pass(5 * time.Second)
		w.served()
	}
	w.expectAuthenticated()
}

func TestAfterALongOutageAnExpiredTokenIsReplacedInSeconds(t *testing.T) {
	w := newWorld(t)
	w.marketplace("ebay", limits(1000, 100))
	w.application()
	all := w.many("ebay", 8)
	w.start()
	w.Expect(w.readyAccounts()).To(ContainElements(all))
	down := w.Market.Platform("ebay").Inject(demomarket.Maintenance().Times(0))
	w.pass(110 * time.Minute)
	for range 20 {
		w.pass(time.Minute)
	}
	w.Eventually(w.readyAccounts).Should(BeEmpty())
	calls := w.calls("ebay")
	for range 12 {
		w.pass(5 * time.Second)
	}
	w.Expect(w.calls("ebay")-calls).To(BeNumerically("<=", 7), "one of them asks every ten seconds")
	down.Clear()
	for range 5 {
		w.pass(5 * time.Second)
	}
	w.Expect(w.readyAccounts()).To(ContainElements(all))
}
