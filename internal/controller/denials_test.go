package controller_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// deniedEmpty is how Glewlwyd answers a wrong client secret.
var deniedEmpty = reply{status: 403}

// byClient makes a platform serve one application and deny all others.
func (s *script) byClient(served string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of = map[string]reply{served: tokens}
	s.replies = []reply{deniedEmpty}
}

// otherApplication makes an account of another application, called "other", that is served.
func (w *world) otherApplication() client.ObjectKey {
	w.T.Helper()
	w.secret("other-app", map[string]string{"client_id": "the-other", "client_secret": "the-others-secret"})
	return client.ObjectKeyFromObject(w.account("xsale", v1alpha1.GrantClientCredentials, named("other"), func(a *v1alpha1.MarketplaceAccount) {
		a.Spec.ApplicationSecretRef.Name = "other-app"
	}))
}

func TestAnApplicationThatAloneIsDeniedIsRejected(t *testing.T) {
	w := newWorld(t)
	platform := w.scripted(deniedEmpty)
	platform.byClient("the-other")
	w.secret("app", map[string]string{"client_id": "mine", "client_secret": "not-the-secret"})
	w.account("xsale", v1alpha1.GrantClientCredentials)
	other := w.otherApplication()
	w.start()
	w.says(other, v1alpha1.ReasonTokenValid)
	message := w.expectUnavailable()
	w.Expect(message).To(And(ContainSubstring("as a firewall does and in an outage"), ContainSubstring(`client_secret in Secret "app" is wrong`)))
	w.pass(12 * time.Second)
	w.Eventually(func() int { return platform.calls("mine") }).Should(Equal(2))
	w.expectUnavailable()
	w.pass(24 * time.Second)
	message = w.expect(v1alpha1.ConditionAuthenticated, "False", v1alpha1.ReasonApplicationRejected)
	w.Expect(message).To(And(ContainSubstring("HTTP 403 without an error code, 3 times in a row"), ContainSubstring(`client_id and client_secret in Secret "app"`)))
	w.Expect(platform.calls("mine")).To(Equal(3))

	platform.answer(tokens)
	w.editSecret("app", map[string]string{"client_secret": "the-secret"})
	w.expectReady()
}

func TestAFirewallBeforeAllApplicationsRejectsNone(t *testing.T) {
	w := newWorld(t)
	platform := w.scripted(deniedEmpty)
	w.secret("app", map[string]string{"client_id": "mine", "client_secret": "my-secret"})
	w.account("xsale", v1alpha1.GrantClientCredentials)
	other := w.otherApplication()
	w.start()
	for range 10 {
		w.pass(13 * time.Minute)
	}
	w.expectUnavailable()
	w.says(other, v1alpha1.ReasonMarketplaceUnavailable)
	platform.answer(tokens)
	w.pass(13 * time.Minute)
	w.expectReady()
	w.says(other, v1alpha1.ReasonTokenValid)
}

func TestAHostThatServedAnotherApplicationLongAgo(t *testing.T) {
	w := newWorld(t)
	platform := w.scripted(tokens)
	other := w.otherApplication()
	w.start()
	w.says(other, v1alpha1.ReasonTokenValid)
	w.pass(10*time.Minute + time.Second)
	platform.answer(deniedEmpty)
	w.secret("app", map[string]string{"client_id": "mine", "client_secret": "my-secret"})
	w.account("xsale", v1alpha1.GrantClientCredentials)
	w.settle()
	for range 6 {
		w.pass(3 * time.Minute)
	}
	w.expectUnavailable()
}

func TestDenialsThatAreNotInARow(t *testing.T) {
	w := newWorld(t)
	later := reply{status: 429, contentType: "application/json", body: `{"error":"slow_down"}`}
	platform := w.scripted(deniedEmpty, deniedEmpty, later, deniedEmpty, deniedEmpty, later, deniedEmpty, tokens)
	platform.of = map[string]reply{"the-other": tokens}
	w.secret("app", map[string]string{"client_id": "mine", "client_secret": "my-secret"})
	w.account("xsale", v1alpha1.GrantClientCredentials)
	other := w.otherApplication()
	w.start()
	w.says(other, v1alpha1.ReasonTokenValid)
	for range 16 {
		w.pass(2 * time.Minute)
	}
	w.expectReady()
}

// The same application with another secret is another one: when it is served, this one's secret is wrong.
func TestADeniedRotationGoesOnWithThePreviousSecret(t *testing.T) {
	w := newWorld(t)
	platform := w.scripted(deniedEmpty)
	platform.byClient("the-other")
	w.secret("app", map[string]string{"client_id": "mine", "client_secret": "the-new-secret", "client_secret_previous": "the-old-secret"})
	w.account("xsale", v1alpha1.GrantClientCredentials)
	other := w.otherApplication()
	w.start()
	w.says(other, v1alpha1.ReasonTokenValid)
	w.pass(12 * time.Second)
	platform.answer(deniedEmpty, tokens)
	w.pass(24 * time.Second)
	w.expectReady()
}
