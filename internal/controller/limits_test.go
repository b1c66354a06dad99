package controller_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	dto "github.com/prometheus/client_model/go"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// These stories are about many accounts of one platform, and what they may ask of it.

// limits bounds what is asked of a Marketplace's token host.
func limits(perSecond, concurrency int32) func(*v1alpha1.Marketplace) {
	return func(m *v1alpha1.Marketplace) {
		m.Spec.Limits = v1alpha1.Limits{RequestsPerSecond: perSecond, Concurrency: concurrency}
	}
}

// many creates accounts of one application, called "a-0" and so on.
func (w *world) many(platform string, n int) []string {
	w.T.Helper()
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("a-%d", i)
		w.account(platform, v1alpha1.GrantClientCredentials, named(names[i]))
	}
	return names
}

func named(name string) func(*v1alpha1.MarketplaceAccount) {
	return func(a *v1alpha1.MarketplaceAccount) { a.Name = name }
}

// inStatus lists the accounts of which a condition has a status and a reason.
func (w *world) inStatus(conditionType string, status metav1.ConditionStatus, reason string) []string {
	w.T.Helper()
	var list v1alpha1.MarketplaceAccountList
	w.Expect(kube.List(w.T.Context(), &list, client.InNamespace(w.Namespace))).To(Succeed())
	var names []string
	for _, account := range list.Items {
		condition := meta.FindStatusCondition(account.Status.Conditions, conditionType)
		if condition != nil && condition.Status == status && condition.Reason == reason {
			names = append(names, account.Name)
		}
	}
	return names
}

func (w *world) readyAccounts() []string {
	w.T.Helper()
	return w.inStatus(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)
}

// gauge reads a metric, of all hosts together.
func (w *world) gauge(name string) (sum float64) {
	w.T.Helper()
	families, err := w.registry.Gather()
	w.Expect(err).NotTo(HaveOccurred())
	at := slices.IndexFunc(families, func(f *dto.MetricFamily) bool { return f.GetName() == name })
	w.Expect(at).To(BeNumerically(">=", 0), "there is no metric %s", name)
	for _, series := range families[at].GetMetric() {
		sum += series.GetGauge().GetValue()
	}
	return sum
}

func TestRequestsKeepToTheRateAndNewAccountsGoFirst(t *testing.T) {
	w := newWorld(t)
	w.marketplace("ebay", limits(2, 10))
	w.application()
	all := w.many("ebay", 7)
	w.start()
	w.Expect(w.calls("ebay")).To(Equal(2))
	w.Expect(w.traffic.counted()).To(HaveKeyWithValue("PATCH marketplaceaccounts/status", 2), "who waits for a moment is not written about")
	w.pass(time.Second)
	w.Expect(w.calls("ebay")).To(Equal(4))
	w.account("ebay", v1alpha1.GrantClientCredentials, named("just-edited-elsewhere"))
	for range 5 { // one turn of the burst is kept for other tenants
		w.pass(500 * time.Millisecond)
	}
	w.Expect(w.calls("ebay")).To(Equal(8))
	w.Expect(w.readyAccounts()).To(ContainElements(all))

	// All are due at once, and one more is created: it does not wait until all of them are renewed.
	w.pass(110 * time.Minute)
	before := w.calls("ebay")
	w.account("ebay", v1alpha1.GrantClientCredentials, named("new"))
	for range 10 {
		w.pass(500 * time.Millisecond)
		if slices.Contains(w.readyAccounts(), "new") {
			break
		}
	}
	w.Expect(w.readyAccounts()).To(ContainElement("new"))
	w.Expect(w.calls("ebay") - before).To(BeNumerically("<=", 6))
	w.Expect(w.calls("ebay")).To(BeNumerically("<", 8+8+1), "the new account came last")
	for range 20 {
		w.pass(500 * time.Millisecond)
	}
	w.Expect(w.calls("ebay")).To(Equal(8+8+1), "each was renewed once")
}

func TestAPlatformThatIsDownIsAskedNowAndThen(t *testing.T) {
	w := newWorld(t)
	w.marketplace("ebay", limits(1000, 1))
	w.application()
	market := w.Market.Platform("ebay")
	down := market.Inject(demomarket.Maintenance().Times(0))
	all := w.many("ebay", 12)
	w.start()
	w.Expect(w.calls("ebay")).To(Equal(5), "requests before the circuit opened")
	w.Expect(w.gauge("tokenkeeper_token_host_circuits_open")).To(Equal(1.0))
	w.Expect(w.gauge("tokenkeeper_token_host_requests_waiting")).To(BeNumerically(">=", 7))
	unavailable := func() []string {
		return w.inStatus(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonMarketplaceUnavailable)
	}
	w.pass(30 * time.Second)
	w.Eventually(unavailable).Should(HaveLen(12))
	w.settle()
	before := w.calls("ebay")
	w.traffic.reset()
	for range 20 { // five minutes
		w.pass(15 * time.Second)
	}
	w.Expect(w.calls("ebay")-before).To(BeNumerically("~", 10, 3), "one request every 30 seconds")
	w.Expect(w.traffic.writes()).To(BeNumerically("<=", 14), "one status for each attempt, and none for those who wait")

	down.Clear()
	w.pass(31 * time.Second)
	w.pass(15 * time.Minute) // those that failed themselves keep to their own backoff
	w.Expect(w.readyAccounts()).To(ContainElements(all))
	w.Expect(w.gauge("tokenkeeper_token_host_circuits_open")).To(Equal(0.0))
	w.Expect(w.gauge("tokenkeeper_token_host_requests_waiting")).To(Equal(0.0))
}

func TestWhatOneAccountIsToldHoldsForAllOfItsApplication(t *testing.T) {
	w := newWorld(t)
	w.marketplace("ebay", limits(1000, 1))
	w.application()
	market := w.Market.Platform("ebay")
	market.Inject(demomarket.Throttle(120).Once())
	all := w.many("ebay", 6)
	w.start()
	w.Expect(w.calls("ebay")).To(Equal(1))
	w.pass(30 * time.Second)
	w.Eventually(func() []string {
		return w.inStatus(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonRateLimited)
	}).Should(HaveLen(6))
	w.pass(time.Minute)
	w.Expect(w.calls("ebay")).To(Equal(1))
	w.pass(time.Minute)
	w.pass(time.Minute)
	w.Expect(w.calls("ebay")).To(Equal(7))
	w.Expect(w.readyAccounts()).To(ContainElements(all))
}

func TestAHangingPlatformHoldsUpNobodyElse(t *testing.T) {
	w := newWorld(t)
	// Another host, which takes requests and does not answer them.
	var arrived, over sync.WaitGroup
	arrived.Add(1)
	once := sync.OnceFunc(arrived.Done)
	over.Add(1)
	hanging := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		once()
		over.Wait()
	}))
	t.Cleanup(hanging.Close)
	t.Cleanup(over.Done)
	w.marketplace("amazon", limits(1000, 100), func(m *v1alpha1.Marketplace) { demomarket.RedirectManifest(m, hanging.URL) })
	w.marketplace("ebay", limits(1000, 100))
	w.application()
	for i := range 20 {
		w.account("amazon", v1alpha1.GrantClientCredentials, named(fmt.Sprintf("hanging-%d", i)), func(a *v1alpha1.MarketplaceAccount) {
			a.Spec.Scopes = []v1alpha1.Scope{"sellingpartnerapi::notifications"}
		})
	}
	w.callTimeout = time.Minute // for longer than the story lasts
	w.begin()
	arrived.Wait()
	all := w.many("ebay", 10)
	w.Eventually(w.readyAccounts).Should(ContainElements(all))
}

// identityHost tells whose tokens are, apart from the marketplace itself.
type identityHost struct {
	url string
	// status is what it answers; 0 keeps everybody waiting until the story is over.
	status  atomic.Int64
	arrived atomic.Int64
}

func newIdentityHost(t *testing.T) *identityHost {
	host, over := &identityHost{}, make(chan struct{})
	host.status.Store(http.StatusOK)
	server := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) {
		host.arrived.Add(1)
		status := int(host.status.Load())
		if status == 0 {
			<-over
			return
		}
		answer.Header().Set("Content-Type", "application/json")
		answer.WriteHeader(status)
		_, _ = io.WriteString(answer, "{}")
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(over) })
	host.url = server.URL
	return host
}

func (h *identityHost) asked() int { return int(h.arrived.Load()) }

func (h *identityHost) of(m *v1alpha1.Marketplace) {
	m.Spec.Identity.Request.URL = v1alpha1.URLTemplate(h.url)
}

// sellers creates accounts that a person has consented to, called "seller-0" and so on.
func (w *world) sellers(platform string, n int) {
	w.T.Helper()
	market := w.Market.Platform(platform)
	for i := range n {
		name := fmt.Sprintf("seller-%d", i)
		w.secret(name+"-import", map[string]string{"refresh_token": market.Grant(market.Seller().ID)})
		w.account(platform, v1alpha1.GrantRefreshToken, named(name), func(a *v1alpha1.MarketplaceAccount) {
			a.Spec.Grant.RefreshToken.SecretRef.Name = name + "-import"
		})
	}
}

// test asks for a test of an account's connection.
func (w *world) test(name, value string) *v1alpha1.MarketplaceAccount {
	w.T.Helper()
	account := &v1alpha1.MarketplaceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: name}}
	w.Expect(kube.Patch(w.T.Context(), account, client.RawPatch(types.MergePatchType,
		fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.AnnotationVerify, value)))).To(Succeed())
	return account
}

func TestTestsOfTheConnectionThatHangHoldUpNobodyElse(t *testing.T) {
	w := newWorld(t)
	host := newIdentityHost(t)
	w.marketplace("ebay", host.of)
	w.application()
	w.workers = 8
	w.callTimeout = time.Minute // for longer than the story lasts
	w.sellers("ebay", 8)
	w.start()
	w.Expect(w.readyAccounts()).To(HaveLen(8))

	host.status.Store(0)
	before := host.asked()
	for i := range 8 {
		w.test(fmt.Sprintf("seller-%d", i), "now")
	}
	w.Eventually(host.asked).Should(Equal(before+2), "a quarter of the workers")
	others := w.many("ebay", 10)
	w.Eventually(w.readyAccounts).Should(ContainElements(others))
	w.Expect(host.asked()).To(Equal(before + 2))
}

func TestWhoseTokensAreIsNotAskedWhereNobodyAnswers(t *testing.T) {
	w := newWorld(t)
	host := newIdentityHost(t)
	w.marketplace("ebay", host.of)
	w.application()
	w.workers = 1
	host.status.Store(http.StatusServiceUnavailable)
	w.sellers("ebay", 8)
	w.start()
	w.Expect(w.readyAccounts()).To(HaveLen(8), "not knowing the seller keeps tokens from nobody")
	w.Expect(host.asked()).To(Equal(5), "requests before the circuit opened")

	tested := func(value string) *v1alpha1.ConnectionTestStatus {
		account := w.test("seller-0", value)
		w.Eventually(func() *v1alpha1.HandledStatus {
			w.Expect(kube.Get(t.Context(), client.ObjectKeyFromObject(account), account)).To(Succeed())
			return account.Status.Handled
		}).Should(HaveField("Verify", value))
		return account.Status.ConnectionTest
	}
	w.Expect(tested("1")).To(And(HaveField("Result", v1alpha1.ConnectionTestFailed), HaveField("Message", ContainSubstring("did not answer the last requests"))))
	w.Expect(host.asked()).To(Equal(5))

	host.status.Store(http.StatusOK)
	w.pass(time.Minute)
	w.Expect(tested("2")).To(HaveField("Result", v1alpha1.ConnectionTestPassed))
}

func TestRevocationsKeepToTheRate(t *testing.T) {
	w := newWorld(t)
	w.marketplace("oidc", limits(1, 1))
	w.application()
	market := w.Market.Platform("oidc")
	for i := range 3 {
		name := fmt.Sprintf("a-%d", i)
		w.secret(name+"-import", map[string]string{"refresh_token": market.Grant(market.Seller().ID)})
		w.account("oidc", v1alpha1.GrantRefreshToken, named(name), func(a *v1alpha1.MarketplaceAccount) {
			a.Spec.Grant.RefreshToken.SecretRef.Name = name + "-import"
			a.Spec.DeletionPolicy = v1alpha1.DeletionRevoke
		})
	}
	w.start()
	for range 3 {
		w.pass(time.Second)
	}
	w.Eventually(w.readyAccounts).Should(HaveLen(3))
	revoked := func() int { return market.Report().Requests[demomarket.RevocationEndpoint] }
	w.pass(time.Minute)
	w.Expect(kube.DeleteAllOf(t.Context(), &v1alpha1.MarketplaceAccount{}, client.InNamespace(w.Namespace))).To(Succeed())
	w.settle()
	w.Expect(revoked()).To(Equal(1))
	w.pass(time.Second)
	w.Expect(revoked()).To(Equal(2))
	w.pass(time.Second)
	w.Expect(revoked()).To(Equal(3))
}
