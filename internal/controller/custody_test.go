package controller_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// refusal is how the API server says no.
func refusal(code int, reason metav1.StatusReason) *http.Response {
	body, err := json.Marshal(metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"},
		Status:   metav1.StatusFailure, Reason: reason, Code: int32(code), Message: "refused by the test",
	})
	if err != nil {
		panic(err)
	}
	return &http.Response{
		StatusCode: code, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(string(body))),
	}
}

// writesTo matches writes of one Secret.
func writesTo(request *http.Request, secret string) bool {
	return request.Method != http.MethodGet && (strings.HasSuffix(request.URL.Path, "/secrets/"+secret) ||
		request.Method == http.MethodPost && strings.HasSuffix(request.URL.Path, "/secrets") && secret == "")
}

func TestGrantThatCannotBeStoredIsKeptAndNotAskedForAgain(t *testing.T) {
	t.Parallel()
	for name, no := range map[string]struct {
		code   int
		reason metav1.StatusReason
	}{
		"while the reconcile waits for it": {http.StatusInternalServerError, metav1.StatusReasonInternalError},
		"until a later reconcile":          {http.StatusForbidden, metav1.StatusReasonForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.prepare("oidc", v1alpha1.GrantRefreshToken)
			w.start()
			w.expectReady()
			token, calls := w.token(), w.calls("oidc")

			// The journal is written; what comes back from the marketplace is not.
			var refused atomic.Int32
			end := w.traffic.refusing(func(request *http.Request) *http.Response {
				if !writesTo(request, "main-grant") || w.calls("oidc") == calls {
					return nil
				}
				refused.Add(1)
				return refusal(no.code, no.reason)
			})
			w.clock.SetTime(w.renewalTime())
			w.Eventually(func() int32 {
				w.clock.Step(time.Second) // the work queue's own waits
				return refused.Load()
			}).Should(BeNumerically(">=", 3))
			w.Expect(w.token()).To(Equal(token), "nothing is published before it is stored")
			end()
			w.Eventually(func() map[string]string {
				w.clock.Step(time.Second)
				return w.token()
			}).ShouldNot(Equal(token))
			w.expectAuthenticated()
			w.Expect(w.calls("oidc")).To(Equal(calls+1), "the only copy was not thrown away")
			w.Expect(w.Market.Platform("oidc").Report().DoubleSpends).To(BeZero())

			// The stored successor works.
			w.passRenewal()
			w.expectAuthenticated()
		})
	}
}

func TestUnwritableStoreIsFoundBeforeTheTokenIsSpent(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	calls := w.calls("oidc")
	var refused atomic.Int32
	end := w.traffic.refusing(func(request *http.Request) *http.Response {
		if !writesTo(request, "main-grant") {
			return nil
		}
		refused.Add(1)
		return refusal(http.StatusForbidden, metav1.StatusReasonForbidden)
	})
	defer end()
	w.clock.SetTime(w.renewalTime())
	w.Eventually(refused.Load).Should(BeNumerically(">=", 1))
	w.Expect(w.calls("oidc")).To(Equal(calls))
}

func TestPublishedAfterTheTokenSecretCouldNotBeWritten(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	token, calls := w.token(), w.calls("oidc")
	var refused atomic.Int32
	end := w.traffic.refusing(func(request *http.Request) *http.Response {
		if !writesTo(request, "main-token") {
			return nil
		}
		refused.Add(1)
		return refusal(http.StatusInternalServerError, metav1.StatusReasonInternalError)
	})
	w.clock.SetTime(w.renewalTime())
	w.Eventually(refused.Load).Should(BeNumerically(">=", 1))
	end()
	w.start() // even a new process publishes what the old one stored
	w.Eventually(w.token).ShouldNot(Equal(token))
	w.Expect(w.calls("oidc")).To(Equal(calls + 1))
}

func TestLostAnswer(t *testing.T) {
	t.Parallel()
	t.Run("is asked for again within the platform's grace", func(t *testing.T) {
		w := newWorld(t)
		w.prepare("allegro", v1alpha1.GrantRefreshToken)
		w.start()
		w.expectReady()
		token := w.token()
		market := w.Market.Platform("allegro")
		market.Inject(demomarket.DropAfterCommit().Once())
		w.passUntil(w.renewalTime())
		w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonMarketplaceUnavailable)
		w.expectReady()
		w.pass(13 * time.Second)
		w.expectAuthenticated()
		w.Expect(w.token()).NotTo(Equal(token))
		w.Expect(market.Report().DoubleSpends).To(BeZero())
		w.Expect(market.Report().GraceReuses).To(Equal(1))
	})
	t.Run("is not given up by attempts that nobody saw", func(t *testing.T) {
		w := newWorld(t)
		w.prepare("allegro", v1alpha1.GrantRefreshToken)
		w.start()
		w.expectReady()
		token := w.token()
		market := w.Market.Platform("allegro")
		market.Inject(demomarket.DropBeforeCommit().Once())
		w.passUntil(w.renewalTime())
		w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonMarketplaceUnavailable)
		down := market.Inject(demomarket.Maintenance())
		for range 10 { // past the grace
			w.pass(time.Minute)
		}
		w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
		w.expectReady()
		down.Clear()
		w.passUntil(w.get().Status.AccessToken.ExpirationTime.Add(-3 * time.Minute))
		w.expectAuthenticated()
		w.Expect(w.token()).NotTo(Equal(token))
		w.Expect(market.Report().DoubleSpends).To(BeZero())
	})
	t.Run("is found out at the end of use where the operator was away for the grace", func(t *testing.T) {
		w := newWorld(t)
		w.prepare("allegro", v1alpha1.GrantRefreshToken)
		w.start()
		w.expectReady()
		market := w.Market.Platform("allegro")
		market.Inject(demomarket.DropAfterCommit().Once())
		w.passUntil(w.renewalTime())
		w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonMarketplaceUnavailable)
		w.stop()
		w.clock.Step(2 * time.Minute)
		calls, end := w.calls("allegro"), w.get().Status.AccessToken.ExpirationTime.Time
		w.start()
		w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
		w.expectReady()
		w.passUntil(end.Add(-4 * time.Minute))
		w.Expect(w.calls("allegro")).To(Equal(calls), "a token that may be spent was sent before its end of use")
		w.passUntil(end.Add(-3 * time.Minute))
		w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonGrantRejected)
		w.pass(day)
		w.Expect(w.calls("allegro")).To(Equal(calls + 1))
	})
	t.Run("is sent until an answer says what became of it", func(t *testing.T) {
		w := newWorld(t)
		w.prepare("allegro", v1alpha1.GrantRefreshToken)
		w.start()
		w.expectReady()
		market := w.Market.Platform("allegro")
		market.Inject(demomarket.DropBeforeCommit().Once())
		w.passUntil(w.renewalTime())
		w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonMarketplaceUnavailable)
		w.stop()
		w.clock.Step(2 * time.Minute)
		calls, end := w.calls("allegro"), w.get().Status.AccessToken.ExpirationTime.Time
		market.Inject(demomarket.DropBeforeCommit().Times(2))
		w.start()
		w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
		w.passUntil(end.Add(-3 * time.Minute))
		w.Eventually(func() int { return w.calls("allegro") }).Should(Equal(calls + 1))
		w.expectReady()
		message := w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
		w.Expect(message).To(ContainSubstring("sent again once"))
		w.pass(91 * time.Second)
		w.Eventually(func() int { return w.calls("allegro") }).Should(Equal(calls + 2))
		w.pass(100 * time.Second)
		w.Expect(w.calls("allegro")).To(Equal(calls+2), "the waits grow")
		w.pass(90 * time.Second)
		w.expectAuthenticated()
		w.expectReady()
		w.Expect(market.Report().DoubleSpends).To(BeZero())
	})
	t.Run("rests until the end of use where reuse ends the grant", func(t *testing.T) {
		w := newWorld(t)
		w.prepare("oidc", v1alpha1.GrantRefreshToken)
		w.start()
		w.expectReady()
		market := w.Market.Platform("oidc")
		market.Inject(demomarket.DropAfterCommit().Once())
		end := w.get().Status.AccessToken.ExpirationTime.Time
		w.passUntil(w.renewalTime())
		w.pass(13 * time.Second)
		w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonRenewalOutcomeUnknown)
		w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
		w.expectReady()
		calls := w.calls("oidc")
		w.annotate(v1alpha1.AnnotationRenew, "again")
		w.passUntil(end.Add(-4 * time.Minute))
		w.Expect(w.calls("oidc")).To(Equal(calls))
		w.Expect(market.Report().DoubleSpends).To(BeZero())
		w.editSecret("import", map[string]string{"refresh_token": market.Grant(market.Seller().ID)})
		w.expectReady()
		w.expectAuthenticated()
		w.pass(day)
		w.Expect(market.Report().DoubleSpends).To(BeZero(), "the lost token was sent although another is in use")
	})
	t.Run("is never sent again where the Marketplace says so", func(t *testing.T) {
		w := newWorld(t)
		w.prepare("oidc", v1alpha1.GrantRefreshToken)
		w.start()
		w.expectReady()
		market := w.Market.Platform("oidc")
		w.EditMarketplace("oidc", func(m *v1alpha1.Marketplace) { m.Spec.RefreshToken.LostAnswer = v1alpha1.LostAnswerNever })
		market.Inject(demomarket.DropBeforeCommit().Once())
		w.passUntil(w.renewalTime())
		message := w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonRenewalOutcomeUnknown)
		w.Expect(message).To(ContainSubstring("lostAnswer is Never"))
		calls := w.calls("oidc")
		w.pass(day)
		w.annotate(v1alpha1.AnnotationRenew, "now")
		w.Expect(w.calls("oidc")).To(Equal(calls))
		w.EditMarketplace("oidc", func(m *v1alpha1.Marketplace) { m.Spec.RefreshToken.LostAnswer = v1alpha1.LostAnswerRetryAtEnd })
		w.expectAuthenticated()
		w.Expect(market.Report().DoubleSpends).To(BeZero())
	})
	t.Run("does not count when the request was never sent", func(t *testing.T) {
		w := newWorld(t)
		w.prepare("oidc", v1alpha1.GrantRefreshToken)
		w.start()
		w.expectReady()
		w.EditMarketplace("oidc", func(m *v1alpha1.Marketplace) { m.Spec.Endpoints.Token = "http://127.0.0.1:1/token" }) // where nobody is
		w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonMarketplaceUnavailable)
		w.EditMarketplace("oidc", func(m *v1alpha1.Marketplace) { m.Spec.Endpoints.Token = "" })
		w.pass(13 * time.Second)
		w.expectAuthenticated()
	})
}

func TestGrantSecretOfSomebodyElse(t *testing.T) {
	w := newWorld(t)
	w.Create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "main-grant", Namespace: w.Namespace},
		StringData: map[string]string{"precious": "data of somebody"},
	})
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	w.start()
	message := w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSecretConflict)
	w.Expect(message).To(ContainSubstring(`Secret "main-grant" exists and does not belong to this account; remove it`))
	w.Expect(w.calls("oidc")).To(BeZero())
	w.Expect(w.readSecret("main-grant").Data).To(HaveKey("precious"))
	w.Delete(w.readSecret("main-grant"))
	w.expectReady()
}

func TestLostAnswerToAnImportedToken(t *testing.T) {
	w := newWorld(t)
	w.marketplace("oidc")
	w.application()
	w.imported("oidc")
	market := w.Market.Platform("oidc")
	market.Inject(demomarket.DropAfterCommit().Once())
	w.account("oidc", v1alpha1.GrantRefreshToken)
	w.start()
	w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonRenewalOutcomeUnknown)
	w.start()
	w.pass(80 * time.Second)
	w.Expect(w.calls("oidc")).To(Equal(1))
	w.pass(10 * time.Second) // where no grant is in use there is nothing to lose
	w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonGrantRejected)
	w.traffic.reset()
	w.pass(day)
	w.Expect(w.traffic.writes()).To(BeZero(), "%v", w.traffic.counted())
	w.Expect(w.calls("oidc")).To(Equal(2))
	w.editSecret("import", map[string]string{"refresh_token": market.Grant(market.Seller().ID)})
	w.expectReady()
}

func TestShutdownWaitsForTheAnswer(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	token, calls := w.token(), w.calls("oidc")
	reached, answer := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(answer) })
	defer release()
	w.Market.Platform("oidc").Inject(demomarket.HookFault(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(rw, r)
		close(reached)
		<-answer
	}).Once())
	w.clock.SetTime(w.renewalTime())
	w.Eventually(reached).Should(BeClosed())
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		w.stop()
	}()
	w.Consistently(stopped, "100ms").ShouldNot(BeClosed())
	release()
	w.Eventually(stopped).Should(BeClosed())

	w.start()
	w.expectReady()
	w.expectAuthenticated()
	w.Expect(w.token()).NotTo(Equal(token))
	w.Expect(w.calls("oidc")).To(Equal(calls + 1))
	w.Expect(w.Market.Platform("oidc").Report().LostPairs).To(BeZero())
}
