package controller_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/controller"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	clients "github.com/tokenkeeper/tokenkeeper/internal/kube"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/signinflow"
)

// patience is how long the operator may take for what it does at once, on a machine that is busy with other stories.
const patience = time.Minute

// world is one story: a namespace, a clock that only the story moves, marketplaces, and an operator.
type world struct {
	*WithT
	t       *testing.T
	ns      string
	clock   *testingclock.FakeClock
	market  *demomarket.Server
	address string

	// callTimeout bounds a request to a marketplace, and workers is how many accounts are worked on at once.
	callTimeout time.Duration
	workers     int
	// countAccounts lets Marketplaces say how many accounts the story has.
	countAccounts bool
	// tenants are further namespaces that the operator sees.
	tenants []string
	// portal is where people sign in, visits what the pages ask.
	portal signin.Address
	visits *signinflow.Visits

	registry *prometheus.Registry
	traffic  *traffic
	queue    atomic.Pointer[countingQueue]
	network  http.RoundTripper // to marketplaces
	// stop ends the operator as Kubernetes does, kill without letting it do anything more.
	stop, kill func()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	t.Parallel() // a story waits for the API server most of the time
	w := &world{WithT: NewWithT(t), t: t, stop: func() {}, traffic: &traffic{}, callTimeout: 2 * time.Second, workers: 4}
	w.SetDefaultEventuallyTimeout(patience)
	w.SetDefaultEventuallyPollingInterval(10 * time.Millisecond)
	w.clock = testingclock.NewFakeClock(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC))
	w.market = demomarket.New(demomarket.Options{Now: w.clock.Now, Key: demomarket.SharedKey()})
	watched.market(w.market)
	server := httptest.NewServer(w.market)
	t.Cleanup(server.Close)
	w.address = server.URL
	w.portal = "https://tokens.example.com"
	w.network = &http.Transport{DisableKeepAlives: true}

	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "story-"}}
	w.create(namespace)
	w.ns = namespace.Name
	t.Cleanup(w.checkOwnership)
	t.Cleanup(func() { w.stop() })
	return w
}

// start runs an operator that sees only the story's namespace, and lets it come to rest. Starting again is a restart.
func (w *world) start() {
	w.t.Helper()
	w.begin()
	w.settle()
}

// begin runs an operator that may never come to rest.
func (w *world) begin() {
	w.t.Helper()
	w.stop()
	w.queue.Store(nil)
	w.registry = prometheus.NewRegistry()
	w.traffic.reset()
	cfg := rest.CopyConfig(environment.Config)
	cfg.QPS = -1
	cfg.Wrap(w.traffic.wrap)
	dead := &atomic.Bool{}
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(request *http.Request) (*http.Response, error) {
			if dead.Load() {
				return nil, errors.New("this process was killed")
			}
			return next.RoundTrip(request)
		})
	})
	options, err := clients.Shard{Namespaces: append([]string{w.ns}, w.tenants...)}.ManagerOptions(manager.Options{
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		GracefulShutdownTimeout: new(10 * time.Second),
		Controller:              config.Controller{SkipNameValidation: new(true)},
	})
	w.Expect(err).NotTo(HaveOccurred())
	mgr, err := manager.New(cfg, options)
	w.Expect(err).NotTo(HaveOccurred())
	ctx, cancel := context.WithCancel(context.Background())
	w.visits, err = controller.Add(ctx, mgr, controller.Options{
		Clock:                   w.clock,
		Transport:               w.network,
		Registry:                w.registry,
		MaxConcurrentReconciles: w.workers,
		CallTimeout:             w.callTimeout,
		NewQueue:                w.newQueue,
		Portal:                  w.portal,
		CountAccounts:           w.countAccounts,
	})
	w.Expect(err).NotTo(HaveOccurred())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	registry := w.registry
	w.stop = sync.OnceFunc(func() {
		families, err := registry.Gather()
		if err != nil {
			w.t.Errorf("gathering the metrics: %v", err)
		}
		for _, family := range families {
			fmt.Fprintln(&watched, family)
		}
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("the operator ended with: %v", err)
		}
	})
	w.kill = func() {
		dead.Store(true)
		w.stop = func() {}
		cancel()
	}
	w.Expect(mgr.GetCache().WaitForCacheSync(ctx)).To(BeTrue())
}

// settle waits until the operator has nothing to do at this moment of the story's clock.
func (w *world) settle() {
	w.t.Helper()
	w.settleBut(0)
}

// settleBut waits until the operator has nothing to do but for as many accounts.
func (w *world) settleBut(busy int32) {
	w.t.Helper()
	quiet := 0
	w.Eventually(func() bool {
		if queue := w.queue.Load(); queue != nil && queue.restsBut(busy) {
			quiet++
		} else {
			quiet = 0
		}
		return quiet >= 15 // events of the API server take a few milliseconds to arrive
	}).Should(BeTrue(), "the operator does not come to rest")
}

// pass lets time pass.
func (w *world) pass(d time.Duration) {
	w.t.Helper()
	w.settle()
	w.clock.Step(d)
	w.settle()
}

// passUntil lets time pass until a moment of the story.
func (w *world) passUntil(at time.Time) {
	w.t.Helper()
	w.pass(at.Sub(w.clock.Now()))
}

// passRenewal lets time pass until the next renewal, and waits until it is done.
func (w *world) passRenewal() {
	w.t.Helper()
	due := w.renewalTime()
	w.passUntil(due)
	w.pass(time.Second) // the clock may have moved while the work queue was told how long to wait
	w.Eventually(w.renewalTime).Should(BeTemporally(">", due))
}

func (w *world) newQueue(name string, limiter workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request] {
	queue := &countingQueue{TypedRateLimitingInterface: workqueue.NewTypedRateLimitingQueueWithConfig(limiter,
		workqueue.TypedRateLimitingQueueConfig[reconcile.Request]{Name: name, Clock: w.clock})}
	w.queue.Store(queue)
	return queue
}

// countingQueue knows whether anybody works.
type countingQueue struct {
	workqueue.TypedRateLimitingInterface[reconcile.Request]
	working atomic.Int32
}

func (q *countingQueue) Get() (reconcile.Request, bool) {
	request, shutdown := q.TypedRateLimitingInterface.Get()
	if !shutdown {
		q.working.Add(1)
	}
	return request, shutdown
}

func (q *countingQueue) Done(request reconcile.Request) {
	q.TypedRateLimitingInterface.Done(request)
	q.working.Add(-1)
}

func (q *countingQueue) restsBut(busy int32) bool { return q.Len() == 0 && q.working.Load() == busy }

// traffic counts the operator's requests to the API server, but for watches and what leader election and
// events do beside the work, and can refuse some.
type traffic struct {
	mu     sync.Mutex
	calls  map[string]int
	events int
	refuse func(*http.Request) *http.Response
}

func (c *traffic) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls, c.events = map[string]int{}, 0
}

// counted returns calls such as "GET secrets": 1.
func (c *traffic) counted() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.calls)
}

func (c *traffic) writes() int {
	n := 0
	for call, count := range c.counted() {
		if !strings.HasPrefix(call, http.MethodGet) {
			n += count
		}
	}
	return n
}

func (c *traffic) reads() int {
	n := 0
	for call, count := range c.counted() {
		if strings.HasPrefix(call, http.MethodGet) {
			n += count
		}
	}
	return n
}

// refusing makes the API server answer some requests badly, until the returned function is called.
func (c *traffic) refusing(refuse func(*http.Request) *http.Response) (end func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse = refuse
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.refuse = nil
	}
}

func (c *traffic) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		c.mu.Lock()
		refuse := c.refuse
		path := request.URL.Path
		switch {
		case request.URL.Query().Get("watch") != "", !strings.Contains(path, "/namespaces/"): // caches and discovery
		case strings.Contains(path, "/events"):
			c.events++
		default:
			parts := strings.Split(path, "/namespaces/")
			resource := strings.Split(parts[1], "/")
			call := request.Method
			if len(resource) > 1 {
				call += " " + resource[1]
			}
			if len(resource) > 3 {
				call += "/" + resource[3]
			}
			if len(resource) > 2 || request.Method != http.MethodGet { // not the caches' lists
				c.calls[call]++
			}
		}
		c.mu.Unlock()
		if refuse != nil {
			if response := refuse(request); response != nil {
				response.Request = request
				return response, nil
			}
		}
		return next.RoundTrip(request)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

// ---- what users do

func (w *world) create(objects ...client.Object) {
	w.t.Helper()
	for _, object := range objects {
		w.Expect(kube.Create(w.t.Context(), object)).To(Succeed())
	}
}

func (w *world) delete(object client.Object) {
	w.t.Helper()
	w.Expect(kube.Delete(w.t.Context(), object)).To(Succeed())
}

// secret writes a Secret; all its values but user names and times count as credentials.
func (w *world) secret(name string, values map[string]string) *corev1.Secret {
	w.t.Helper()
	for key, value := range values {
		if isCredential(key) {
			watched.secret(value)
		}
	}
	secret := secretOf(w.ns, name, values)
	w.create(secret)
	return secret
}

// isCredential tells which keys of a Secret hold what must not be shown.
func isCredential(key string) bool {
	return !slices.Contains([]string{"client_id", "username", "redirect_uri", "application_id"}, key) && !strings.HasSuffix(key, "_at")
}

func secretOf(namespace, name string, values map[string]string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace}, StringData: values}
}

// editSecret replaces values of a Secret.
func (w *world) editSecret(name string, values map[string]string) {
	w.t.Helper()
	secret := w.readSecret(name)
	for key, value := range values {
		if isCredential(key) {
			watched.secret(value)
		}
		secret.Data[key] = []byte(value)
	}
	w.Expect(kube.Update(w.t.Context(), secret)).To(Succeed())
}

func (w *world) application() {
	w.t.Helper()
	w.secret("app", map[string]string{"client_id": demomarket.DefaultClientID, "client_secret": demomarket.DefaultClientSecret})
}

func (w *world) login() {
	w.t.Helper()
	w.secret("login", map[string]string{"username": demomarket.DefaultUser, "password": demomarket.DefaultPassword})
}

// imported writes a Secret with a refresh token that the platform has just issued.
func (w *world) imported(platform string) string {
	w.t.Helper()
	market := w.market.Platform(platform)
	token := market.Grant(market.Seller().ID)
	w.secret("import", map[string]string{"refresh_token": token})
	return token
}

// marketplace creates the shipped Marketplace of a name, with the story's demo marketplace in its place.
func (w *world) marketplace(platform string, changes ...func(*v1alpha1.Marketplace)) *v1alpha1.Marketplace {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "marketplaces", platform+".yaml"))
	w.Expect(err).NotTo(HaveOccurred())
	object := &v1alpha1.Marketplace{}
	w.Expect(yaml.UnmarshalStrict(text, object)).To(Succeed())
	demomarket.RedirectManifest(object, w.address)
	object.Name = w.ns + "-" + platform
	object.Spec.Limits = v1alpha1.Limits{RequestsPerSecond: 1000, Concurrency: 100} // but for stories of limits, nobody waits for others
	for _, change := range changes {
		change(object)
	}
	w.create(object)
	w.t.Cleanup(func() { _ = kube.Delete(context.Background(), object) })
	return object
}

// account creates an account of the shipped Marketplace of a name.
func (w *world) account(platform string, grant v1alpha1.GrantType, changes ...func(*v1alpha1.MarketplaceAccount)) *v1alpha1.MarketplaceAccount {
	w.t.Helper()
	account := &v1alpha1.MarketplaceAccount{
		ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: w.ns},
		Spec: v1alpha1.MarketplaceAccountSpec{
			MarketplaceRef:       v1alpha1.MarketplaceReference{Name: w.ns + "-" + platform},
			ApplicationSecretRef: v1alpha1.SecretReference{Name: "app"},
			Grant:                v1alpha1.Grant{Type: grant},
		},
	}
	switch grant {
	case v1alpha1.GrantPassword:
		account.Spec.Grant.Password = &v1alpha1.PasswordGrant{SecretRef: v1alpha1.SecretReference{Name: "login"}}
	case v1alpha1.GrantRefreshToken:
		account.Spec.Grant.RefreshToken = &v1alpha1.RefreshTokenGrant{SecretRef: v1alpha1.SecretReference{Name: "import"}}
	}
	if platform == "amazon" {
		account.Spec.Parameters = []v1alpha1.Parameter{{Name: "country", Value: "pl"}}
	}
	for _, change := range changes {
		change(account)
	}
	w.create(account)
	return account
}

// edit changes the account.
func (w *world) edit(change func(*v1alpha1.MarketplaceAccount)) {
	w.t.Helper()
	account := w.get()
	before := account.DeepCopy()
	change(account)
	w.Expect(kube.Patch(w.t.Context(), account, client.MergeFrom(before))).To(Succeed())
	w.settle()
}

func (w *world) annotate(name, value string) {
	w.t.Helper()
	w.edit(func(a *v1alpha1.MarketplaceAccount) { metav1.SetMetaDataAnnotation(&a.ObjectMeta, name, value) })
}

// ---- what users see

func (w *world) get() *v1alpha1.MarketplaceAccount {
	w.t.Helper()
	account := &v1alpha1.MarketplaceAccount{}
	w.Expect(kube.Get(w.t.Context(), client.ObjectKey{Namespace: w.ns, Name: "main"}, account)).To(Succeed())
	return account
}

func (w *world) readSecret(name string) *corev1.Secret {
	w.t.Helper()
	secret := &corev1.Secret{}
	w.Expect(kube.Get(w.t.Context(), client.ObjectKey{Namespace: w.ns, Name: name}, secret)).To(Succeed())
	return secret
}

// token reads what a workload mounts.
func (w *world) token() map[string]string {
	w.t.Helper()
	values := map[string]string{}
	for key, value := range w.readSecret("main-token").Data {
		values[key] = string(value)
	}
	return values
}

func (w *world) hasNoSecret(name string) {
	w.t.Helper()
	err := kube.Get(w.t.Context(), client.ObjectKey{Namespace: w.ns, Name: name}, &corev1.Secret{})
	w.Expect(client.IgnoreNotFound(err)).To(Succeed())
	w.Expect(err).To(HaveOccurred(), "Secret %s exists", name)
}

// expect waits for a condition to have a status and a reason, and returns its message.
func (w *world) expect(conditionType string, status metav1.ConditionStatus, reason string) string {
	w.t.Helper()
	var message string
	w.Eventually(func() string {
		condition := meta.FindStatusCondition(w.get().Status.Conditions, conditionType)
		if condition == nil {
			return "absent"
		}
		message = condition.Message
		return fmt.Sprintf("%s %s", condition.Status, condition.Reason)
	}).Should(Equal(fmt.Sprintf("%s %s", status, reason)), func() string { return conditionType + ": " + message })
	return message
}

func (w *world) expectReady() {
	w.t.Helper()
	w.expect(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)
}

func (w *world) expectAuthenticated() string {
	w.t.Helper()
	return w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)
}

// renewalTime is when the account's token will be renewed.
func (w *world) renewalTime() time.Time {
	w.t.Helper()
	token := w.get().Status.AccessToken
	w.Expect(token).NotTo(BeNil())
	return token.RenewalTime.Time
}

// calls is how many token requests a platform has seen.
func (w *world) calls(platform string) int {
	w.t.Helper()
	tally := w.market.Platform(platform).Report()
	return tally.Count("", "")
}

func (w *world) getMarketplace(platform string) *v1alpha1.Marketplace {
	w.t.Helper()
	object := &v1alpha1.Marketplace{}
	w.Expect(kube.Get(w.t.Context(), client.ObjectKey{Name: w.ns + "-" + platform}, object)).To(Succeed())
	return object
}
