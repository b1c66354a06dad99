package controller_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// These stories are about an API server that is behind with what it was given to write.

// slowWrites is how many writes have to be under way before statuses wait.
const slowWrites = 8

// behind lets an operator keep an account called "main", while writes for others have begun that do not end before the returned
// function is called.
func (w *world) behind() (end func()) {
	w.T.Helper()
	w.workers = 2 * slowWrites
	w.marketplace("ebay")
	w.application()
	w.account("ebay", v1alpha1.GrantClientCredentials)
	slow := make([]*v1alpha1.MarketplaceAccount, slowWrites)
	for i := range slow {
		slow[i] = w.account("ebay", v1alpha1.GrantClientCredentials, named(fmt.Sprintf("slow-%d", i)))
	}
	w.start()
	w.expectReady()
	var begun sync.WaitGroup
	begun.Add(slowWrites)
	var many atomic.Int32
	over := make(chan struct{})
	w.traffic.refusing(func(request *http.Request) *http.Response {
		if request.Method == http.MethodPut && strings.Contains(request.URL.Path, "/secrets/slow-") {
			if many.Add(1) <= slowWrites {
				begun.Done()
			}
			<-over
		}
		return nil
	})
	end = sync.OnceFunc(func() { close(over) })
	w.T.Cleanup(end)
	for _, account := range slow {
		w.askToRenew(account)
	}
	begun.Wait()
	return end
}

// askToRenew asks for a renewal of an account.
func (w *world) askToRenew(account *v1alpha1.MarketplaceAccount) {
	w.T.Helper()
	before := account.DeepCopy()
	metav1.SetMetaDataAnnotation(&account.ObjectMeta, v1alpha1.AnnotationRenew, "now")
	w.Expect(kube.Patch(w.T.Context(), account, client.MergeFrom(before))).To(Succeed())
}

// renewMeanwhile lets the account "main" fall due, and waits until its new token is there and nobody but the others is worked on.
func (w *world) renewMeanwhile(due time.Time) {
	w.T.Helper()
	token := w.token()["access_token"]
	w.clock.SetTime(due.Add(time.Second))
	w.Eventually(func() string { return w.token()["access_token"] }).ShouldNot(Equal(token))
	w.settleBut(slowWrites)
}

func TestAStatusWithoutNewsWaitsWhileTheAPIServerIsBehind(t *testing.T) {
	w := newWorld(t)
	end := w.behind()
	due := w.renewalTime()
	calls := w.calls("ebay")
	w.renewMeanwhile(due)
	w.Expect(w.renewalTime()).To(Equal(due), "tokens go first")
	w.expectReady()
	w.Expect(w.calls("ebay")).To(Equal(calls + 1))
	calls++
	end()
	w.settle()
	w.Expect(w.renewalTime()).To(BeTemporally(">", due), "it is told without anything else that happens")
	w.Expect(w.get().Status.AccessToken.Serial).To(BeEquivalentTo(2))
	w.Expect(w.calls("ebay")-calls).To(BeNumerically("<=", slowWrites), "the others may be due by now")
	w.passRenewal()
}

func TestAStatusIsNeverBehindByMoreThanOneRenewal(t *testing.T) {
	w := newWorld(t)
	w.behind()
	due := w.renewalTime()
	w.renewMeanwhile(due)
	w.Expect(w.renewalTime()).To(Equal(due))
	w.renewMeanwhile(due.Add(2 * time.Hour)) // in which a token of two hours is renewed once
	w.Expect(w.renewalTime()).To(BeTemporally(">", due))
	w.Expect(w.get().Status.AccessToken.Serial).To(BeEquivalentTo(3))
}

func TestAStatusWaitsForAMinuteAtMost(t *testing.T) {
	w := newWorld(t)
	w.behind()
	due := w.renewalTime()
	w.renewMeanwhile(due)
	w.Expect(w.renewalTime()).To(Equal(due))
	w.clock.Step(time.Minute)
	w.Eventually(w.renewalTime).Should(BeTemporally(">", due), "the API server is still behind")
	w.Expect(w.get().Status.AccessToken.Serial).To(BeEquivalentTo(2))
}

func TestNewsAreToldWhileTheAPIServerIsBehind(t *testing.T) {
	w := newWorld(t)
	w.behind()
	w.askToRenew(w.get())
	w.Eventually(func() *v1alpha1.HandledStatus { return w.get().Status.Handled }).Should(HaveField("Renew", "now"))
	w.account("ebay", v1alpha1.GrantClientCredentials, named("new"))
	w.Eventually(w.readyAccounts).Should(ContainElement("new"))
}

func TestAStatusThatWaitedIsToldAfterACrash(t *testing.T) {
	w := newWorld(t)
	end := w.behind()
	due := w.renewalTime()
	w.renewMeanwhile(due)
	w.Expect(w.renewalTime()).To(Equal(due))
	calls := w.calls("ebay")
	w.kill()
	end()
	w.start()
	w.Expect(w.renewalTime()).To(BeTemporally(">", due))
	w.Expect(w.get().Status.AccessToken.Serial).To(BeEquivalentTo(2))
	w.Expect(w.calls("ebay")-calls).To(BeNumerically("<=", slowWrites), "the others' answers were lost with the crash, and nothing else")
}

// closedMeanwhile lets an account called "shut" fall due whose platform wants no more requests, while others write.
func (w *world) closedMeanwhile() (shut *v1alpha1.MarketplaceAccount, end func()) {
	w.T.Helper()
	end = w.behind()
	// Another name of the same address: limits are those of a host and a client.
	w.marketplace("amazon", func(m *v1alpha1.Marketplace) {
		m.Spec.Endpoints.Token = v1alpha1.URLTemplate(strings.Replace(string(m.Spec.Endpoints.Token), "127.0.0.1", "localhost", 1))
	})
	notifications := func(a *v1alpha1.MarketplaceAccount) {
		a.Spec.Scopes = []v1alpha1.Scope{"sellingpartnerapi::notifications"}
	}
	shut = w.account("amazon", v1alpha1.GrantClientCredentials, named("shut"), notifications)
	asks := w.account("amazon", v1alpha1.GrantClientCredentials, named("asks"), notifications)
	w.Eventually(w.readyAccounts).Should(ContainElements("shut", "asks"))
	w.Expect(kube.Get(w.T.Context(), client.ObjectKeyFromObject(shut), shut)).To(Succeed())
	due := shut.Status.AccessToken.RenewalTime
	w.clock.SetTime(due.Add(-time.Minute))
	w.settleBut(slowWrites)
	w.Market.Platform("amazon").Inject(demomarket.Throttle(600).Once())
	w.askToRenew(asks)
	w.Eventually(w.opinionOf("asks")).Should(HavePrefix("Unknown RateLimited"), "what it was told itself does not wait")
	w.clock.SetTime(due.Add(time.Second))
	w.Eventually(func() float64 { return w.gauge("tokenkeeper_token_host_requests_waiting") }).Should(BeNumerically(">=", 1))
	w.settleBut(slowWrites)
	return shut, end
}

// opinionOf reads what is known of an account's grant.
func (w *world) opinionOf(name string) func() string {
	return func() string { return w.conditionOf(name, v1alpha1.ConditionAuthenticated) }
}

func TestWhatAClosedGateMeansWaitsWhileOthersWrite(t *testing.T) {
	w := newWorld(t)
	_, end := w.closedMeanwhile()
	w.Expect(w.opinionOf("shut")()).To(HavePrefix("True TokenValid"), "others go first")
	end()
	w.Eventually(w.opinionOf("shut")).Should(HavePrefix("Unknown RateLimited"), "it is told without anything else that happens")
	w.Expect(w.readyAccounts()).To(ContainElement("shut"))
}

func TestWhatAClosedGateMeansWaitsForTenSecondsAtMost(t *testing.T) {
	w := newWorld(t)
	w.closedMeanwhile()
	w.clock.Step(9 * time.Second)
	w.settleBut(slowWrites)
	w.Expect(w.opinionOf("shut")()).To(HavePrefix("True TokenValid"), "others go first")
	w.clock.Step(time.Second)
	w.Eventually(w.opinionOf("shut")).Should(HavePrefix("Unknown RateLimited"), "others still write")
}

func TestWhoAsksForARenewalIsToldAtOnceThatTheGateIsClosed(t *testing.T) {
	w := newWorld(t)
	shut, _ := w.closedMeanwhile()
	asks := &v1alpha1.MarketplaceAccount{}
	w.Expect(kube.Get(t.Context(), client.ObjectKey{Namespace: w.Namespace, Name: "asks"}, asks)).To(Succeed())
	w.ask(asks, v1alpha1.AnnotationRenew, "the one request that goes through")
	w.Eventually(w.opinionOf("asks")).Should(HavePrefix("True TokenValid"))
	w.askToRenew(shut)
	w.Eventually(w.opinionOf("shut")).Should(HavePrefix("Unknown RateLimited"))
}
