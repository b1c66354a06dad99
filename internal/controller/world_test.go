package controller_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/client-go/rest"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/controller"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	clients "github.com/tokenkeeper/tokenkeeper/internal/kube"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/signinflow"
	"github.com/tokenkeeper/tokenkeeper/test/testworld"
)

// patience is how long the operator may take for what it does at once, on a machine that is busy with other stories.
const patience = time.Minute

// mapper knows the operator's kinds and their lists without a discovery for each story.
var mapper = func() meta.RESTMapper {
	known := meta.NewDefaultRESTMapper(nil)
	for _, list := range []string{"", "List"} {
		known.Add(corev1.SchemeGroupVersion.WithKind("Namespace"+list), meta.RESTScopeRoot)
		known.Add(corev1.SchemeGroupVersion.WithKind("Secret"+list), meta.RESTScopeNamespace)
		known.Add(v1alpha1.GroupVersion.WithKind("Marketplace"+list), meta.RESTScopeRoot)
		known.Add(v1alpha1.GroupVersion.WithKind("MarketplaceAccount"+list), meta.RESTScopeNamespace)
	}
	return known
}()

// world is one story: an account called main in a namespace with a demo marketplace, and the operator that keeps it.
type world struct {
	*testworld.World
	*operation
}

// operation is an operator, and a clock that only the story moves.
type operation struct {
	clock *testingclock.FakeClock
	// namespaces are those of the story, of which the first has the key of custody.
	namespaces []string

	// callTimeout bounds a request to a marketplace, and workers is how many accounts are worked on at once.
	callTimeout time.Duration
	workers     int
	// countAccounts lets Marketplaces say how many accounts the story has.
	countAccounts bool
	// tellsOfMarketplaces lets the story's clock say when Marketplaces write their status.
	tellsOfMarketplaces bool
	// labelsOptional lets Secrets be used that have no label of their use.
	labelsOptional bool
	// linksInSecret has links and codes stand in the sign-in Secret.
	linksInSecret bool
	// tenants are further namespaces that the operator sees.
	tenants []string
	// user is who the operator is to the API server: who may do everything, where the story does not say otherwise.
	user *rest.Config
	// custodyKey is the Secret of the key of custody; empty where there is none.
	custodyKey client.ObjectKey
	// portal is where people sign in, visits what the pages ask.
	portal signin.Address
	visits *signinflow.Visits

	registry *prometheus.Registry
	traffic  *traffic
	queue    atomic.Pointer[countingQueue]
	// connected are the clients of the operator that began last.
	connected *clients.Clients
	network   http.RoundTripper // to marketplaces
	// stop ends the operator as Kubernetes does, kill without letting it do anything more.
	stop, kill func()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	t.Parallel() // a story waits for the API server most of the time
	o := &operation{stop: func() {}, traffic: &traffic{}, callTimeout: 2 * time.Second, workers: 4, user: apiServer.Config}
	o.clock = testingclock.NewFakeClock(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC))
	o.portal = "https://tokens.example.com"
	o.network = &http.Transport{DisableKeepAlives: true}
	w := o.newWorld(t)
	t.Cleanup(func() { w.stop() })
	return w
}

// newWorld adds a namespace with a demo marketplace to what the operator sees.
func (o *operation) newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{operation: o}
	w.World = testworld.New(t, kube, &watched, demomarket.Options{Now: o.clock.Now, Key: demomarket.SharedKey()}, nil)
	w.Prefix = w.Namespace + "-"
	w.complainTo(t)
	o.namespaces = append(o.namespaces, w.Namespace)
	t.Cleanup(w.checkOwnership)
	return w
}

func (w *world) complainTo(t types.GomegaTestingT) {
	w.WithT = NewWithT(t)
	w.SetDefaultEventuallyTimeout(patience)
	w.SetDefaultEventuallyPollingInterval(10 * time.Millisecond)
}

// newWorlds tells stories at once that take the same steps at the same times, under one operator. What a story complains of begins with its name.
func newWorlds(t *testing.T, names ...string) []*world {
	t.Helper()
	worlds := []*world{newWorld(t)}
	for range names[1:] {
		worlds = append(worlds, worlds[0].newWorld(t))
	}
	for i, name := range names {
		worlds[i].complainTo(namedTest{t, name})
	}
	return worlds
}

// namedTest is a test that says of what it complains.
type namedTest struct {
	*testing.T
	name string
}

// Fatalf implements types.GomegaTestingT.
func (n namedTest) Fatalf(format string, args ...any) {
	n.Helper()
	n.T.Fatalf("%s: "+format, append([]any{n.name}, args...)...)
}

// start runs an operator that sees only the story's namespaces, and lets it come to rest. Starting again is a restart.
func (w *world) start() {
	w.T.Helper()
	w.begin()
	w.settle()
}

// begin runs an operator that may never come to rest.
func (w *world) begin() {
	w.T.Helper()
	w.stop()
	w.queue.Store(nil)
	w.registry = prometheus.NewRegistry()
	w.traffic.reset()
	cfg := rest.CopyConfig(w.user)
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
	options, err := clients.Shard{Namespaces: slices.Concat(w.namespaces, w.tenants)}.ManagerOptions(manager.Options{
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		GracefulShutdownTimeout: new(10 * time.Second),
		Controller:              config.Controller{SkipNameValidation: new(true)},
		MapperProvider:          func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return mapper, nil },
	})
	w.Expect(err).NotTo(HaveOccurred())
	w.seeOwnMarketplaces(&options.Cache)
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
		Connect:                 w.connect,
		Portal:                  w.portal,
		CountAccounts:           w.countAccounts,
		RequireUseLabel:         !w.labelsOptional,
		LinksInSecret:           w.linksInSecret,
		CustodyKey:              w.custodyKey,
	})
	w.Expect(err).NotTo(HaveOccurred())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	registry := w.registry
	w.stop = sync.OnceFunc(func() {
		if err := watched.Metrics(registry); err != nil {
			w.T.Error(err)
		}
		cancel()
		if err := <-done; err != nil {
			w.T.Errorf("the operator ended with: %v", err)
		}
	})
	w.kill = func() {
		dead.Store(true)
		w.stop = func() {}
		cancel()
	}
	w.Expect(mgr.GetCache().WaitForCacheSync(ctx)).To(BeTrue())
}

// seeOwnMarketplaces keeps the Marketplaces of stories that are told at the same time from the operator.
func (w *world) seeOwnMarketplaces(options *cache.Options) {
	for object, held := range options.ByObject {
		if _, ok := object.(*v1alpha1.Marketplace); ok {
			own, err := labels.NewRequirement(testworld.LabelStory, selection.In, w.namespaces)
			w.Expect(err).NotTo(HaveOccurred())
			held.Label = labels.NewSelector().Add(*own)
			options.ByObject[object] = held
		}
	}
}

// pass lets time pass.
func (w *world) pass(d time.Duration) {
	w.T.Helper()
	w.settle()
	w.clock.Step(d)
	w.settle()
}

// passUntil lets time pass until a moment of the story.
func (w *world) passUntil(at time.Time) {
	w.T.Helper()
	w.pass(at.Sub(w.clock.Now()))
}

// passRenewal lets time pass until the next renewal, and waits until it is done.
func (w *world) passRenewal() {
	w.T.Helper()
	passRenewals(w)
}

// passRenewals lets time pass until the next renewal of each story under one operator, and waits until they are done.
func passRenewals(worlds ...*world) {
	w := worlds[0]
	w.T.Helper()
	due, last := make([]time.Time, len(worlds)), time.Time{}
	for i, w := range worlds {
		due[i] = w.renewalTime()
		if due[i].After(last) {
			last = due[i]
		}
	}
	w.passUntil(last)
	w.pass(time.Second) // the clock may have moved while the work queue was told how long to wait
	for i, w := range worlds {
		w.Eventually(w.renewalTime).Should(BeTemporally(">", due[i]))
	}
}

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

// secret writes a Secret; all its values but user names and times count as credentials.
func (w *world) secret(name string, values map[string]string) *corev1.Secret {
	w.T.Helper()
	return w.Secret(w.Namespace, name, values)
}

// secretOf returns a Secret that holds no credential of a seller, to be created.
func secretOf(namespace, name string, values map[string]string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: map[string]string{v1alpha1.LabelUse: "application.login.refresh-token"}},
		StringData: values,
	}
}

// editSecret replaces values of a Secret.
func (w *world) editSecret(name string, values map[string]string) {
	w.T.Helper()
	w.EditSecret(w.Namespace, name, values)
}

func (w *world) application() {
	w.T.Helper()
	w.secret("app", testworld.Application("allegro"))
}

func (w *world) login() {
	w.T.Helper()
	w.secret("login", map[string]string{"username": demomarket.DefaultUser, "password": demomarket.DefaultPassword})
}

// imported writes a Secret with a refresh token that the platform has just issued.
func (w *world) imported(platform string) string {
	w.T.Helper()
	market := w.Market.Platform(platform)
	token := market.Grant(market.Seller().ID)
	w.secret("import", map[string]string{"refresh_token": token})
	return token
}

// marketplace creates the shipped Marketplace of a name, in which nobody waits for others: stories of limits set them. Client secrets do not end
// there, since they would do so by the API server's clock, and a count of their days change in the middle of a story at some hour: secretsEnd lets them.
func (w *world) marketplace(platform string, changes ...func(*v1alpha1.Marketplace)) *v1alpha1.Marketplace {
	w.T.Helper()
	free := func(m *v1alpha1.Marketplace) {
		m.Spec.Limits = v1alpha1.Limits{RequestsPerSecond: 1000, Concurrency: 100}
		m.Spec.ApplicationSecret = v1alpha1.ApplicationSecret{}
	}
	return w.Marketplace(platform, append([]func(*v1alpha1.Marketplace){free}, changes...)...)
}

// lifeOfSecrets is how long a client secret lives with secretsEnd, as at Amazon.
const lifeOfSecrets = 180 * day

// secretsEnd has client secrets of a Marketplace end.
func secretsEnd(m *v1alpha1.Marketplace) {
	m.Spec.ApplicationSecret.Lifetime = v1alpha1.Duration("4320h")
}

// account creates an account of the shipped Marketplace of a name.
func (w *world) account(platform string, grant v1alpha1.GrantType, changes ...func(*v1alpha1.MarketplaceAccount)) *v1alpha1.MarketplaceAccount {
	w.T.Helper()
	account := w.NewAccount("main", platform, "app", grant)
	switch grant {
	case v1alpha1.GrantPassword:
		account.Spec.Grant.Password = &v1alpha1.PasswordGrant{SecretRef: v1alpha1.SecretReference{Name: "login"}}
	case v1alpha1.GrantRefreshToken:
		account.Spec.Grant.RefreshToken = &v1alpha1.RefreshTokenGrant{SecretRef: v1alpha1.SecretReference{Name: "import"}}
	}
	for _, change := range changes {
		change(account)
	}
	w.Create(account)
	return account
}

// edit changes the account, and waits until the operator has nothing to do.
func (w *world) edit(change func(*v1alpha1.MarketplaceAccount)) {
	w.T.Helper()
	w.Edit("main", change)
	w.settle()
}

func (w *world) annotate(name, value string) {
	w.T.Helper()
	w.Annotate("main", name, value)
	w.settle()
}

// ---- what users see

func (w *world) get() *v1alpha1.MarketplaceAccount {
	w.T.Helper()
	return w.Get("main")
}

func (w *world) readSecret(name string) *corev1.Secret {
	w.T.Helper()
	return w.GetSecret(w.Namespace, name)
}

// token reads what a workload mounts.
func (w *world) token() map[string]string {
	w.T.Helper()
	token := w.FindSecret("main-token")
	w.Expect(token).NotTo(BeNil(), "there is no token Secret")
	return token
}

func (w *world) hasNoSecret(name string) {
	w.T.Helper()
	err := kube.Get(w.T.Context(), client.ObjectKey{Namespace: w.Namespace, Name: name}, &corev1.Secret{})
	w.Expect(client.IgnoreNotFound(err)).To(Succeed())
	w.Expect(err).To(HaveOccurred(), "Secret %s exists", name)
}

// expect waits for a condition to have a status and a reason, and returns its message.
func (w *world) expect(conditionType string, status metav1.ConditionStatus, reason string) string {
	w.T.Helper()
	return w.ExpectCondition("main", conditionType, status, reason)
}

func (w *world) expectReady() {
	w.T.Helper()
	w.expect(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)
}

func (w *world) expectAuthenticated() string {
	w.T.Helper()
	return w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)
}

// renewalTime is when the account's token will be renewed.
func (w *world) renewalTime() time.Time {
	w.T.Helper()
	token := w.get().Status.AccessToken
	w.Expect(token).NotTo(BeNil())
	return token.RenewalTime.Time
}

// calls is how many token requests a platform has seen.
func (w *world) calls(platform string) int {
	w.T.Helper()
	tally := w.Market.Platform(platform).Report()
	return tally.Count("", "")
}
