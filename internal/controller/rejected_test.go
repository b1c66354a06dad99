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

// These stories are about applications that a marketplace refuses for a while, such as until all of its servers know a new secret.

// refusesApplication answers as RFC 6749 section 5.2 has it.
func refusesApplication() demomarket.Fault {
	return demomarket.HookFault(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"error":"invalid_client"}`))
	})
}

func TestAnApplicationThatIsRefusedOnceGoesOnByItself(t *testing.T) {
	w := newWorld(t)
	w.marketplace("ebay")
	w.application()
	w.account("ebay", v1alpha1.GrantClientCredentials)
	w.Market.Platform("ebay").Inject(refusesApplication().Once())
	w.start()
	w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonApplicationRejected)
	w.pass(4 * time.Minute)
	w.Expect(w.calls("ebay")).To(Equal(1))
	w.pass(time.Minute)
	w.expectReady()
	w.expectAuthenticated()
	w.Expect(w.calls("ebay")).To(Equal(2))
}

func TestOneAccountOfARefusedApplicationAsksAndAllGoOn(t *testing.T) {
	w := newWorld(t)
	w.marketplace("ebay")
	w.application()
	refusing := w.Market.Platform("ebay").Inject(refusesApplication().Times(0))
	w.sellers("ebay", 3)
	w.start()
	all := append(w.many("ebay", 3), "seller-0", "seller-1", "seller-2")
	rejected := func() []string {
		return w.inStatus(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonApplicationRejected)
	}
	w.Eventually(rejected).Should(ConsistOf(all))
	calls := w.calls("ebay")
	w.pass(5 * time.Minute)
	w.pass(5 * time.Minute)
	w.Expect(w.calls("ebay")).To(Equal(calls+1), "one of them asks")
	w.start() // which neither hammers nor forgets
	w.start()
	w.Expect(w.calls("ebay")).To(Equal(calls + 1))
	refusing.Clear()
	w.pass(5 * time.Minute)
	w.Eventually(w.readyAccounts).Should(ConsistOf(all))
	w.Expect(w.calls("ebay")).To(Equal(calls + 1 + len(all)))
}

func TestDeviceCodesOfARefusedApplicationAreAskedForAgain(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("allegro", v1alpha1.GrantDeviceCode)
	refusing := market.Inject(refusesApplication().On(demomarket.DeviceAuthorizationEndpoint).Times(2))
	w.start()
	w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonApplicationRejected)
	w.pass(4 * time.Minute)
	w.Expect(refusing.Hits()).To(Equal(1))
	w.pass(time.Minute)
	w.Expect(refusing.Hits()).To(Equal(2))
	w.pass(9 * time.Minute)
	w.Expect(market.Report().DeviceCodes.Issued).To(BeZero())
	w.pass(time.Minute)
	w.userCode("")
}
