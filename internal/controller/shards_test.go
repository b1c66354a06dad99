package controller_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
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
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
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
	"github.com/tokenkeeper/tokenkeeper/internal/signinflow"
)

// These stories have several operators, each an installation of its own or a replica.

// installed is an operator of such a story.
type installed struct {
	traffic *traffic
	queue   atomic.Pointer[countingQueue]
	leads   <-chan struct{}
	visits  *signinflow.Visits
	stop    func()
}

// install starts an operator. With a lease it waits for no turn, and works once it leads.
func (w *world) install(user *rest.Config, shard clients.Shard, lease *client.ObjectKey) *installed {
	w.T.Helper()
	i := &installed{traffic: &traffic{}}
	i.traffic.reset()
	cfg := rest.CopyConfig(user)
	cfg.QPS = -1
	cfg.Wrap(i.traffic.wrap)
	options := manager.Options{
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: new(true)},
	}
	if lease != nil {
		options.LeaderElection, options.LeaderElectionReleaseOnCancel = true, true
		options.LeaderElectionNamespace, options.LeaderElectionID = lease.Namespace, lease.Name
		options.RetryPeriod = new(50 * time.Millisecond)
	}
	options, err := shard.ManagerOptions(options)
	w.Expect(err).NotTo(HaveOccurred())
	mgr, err := manager.New(cfg, options)
	w.Expect(err).NotTo(HaveOccurred())
	ctx, cancel := context.WithCancel(context.Background())
	i.visits, err = controller.Add(ctx, mgr, controller.Options{
		Clock:                   w.clock,
		Transport:               &http.Transport{DisableKeepAlives: true},
		Registry:                prometheus.NewRegistry(),
		MaxConcurrentReconciles: 4,
		CallTimeout:             w.callTimeout,
		Portal:                  w.portal,
		RequireUseLabel:         true,
		CustodyKey:              w.custodyKey,
		Connect:                 w.connect,
		NewQueue: func(name string, limiter workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request] {
			queue := w.newQueue(name, limiter)
			if counting, ok := queue.(*countingQueue); ok { // that of accounts
				i.queue.Store(counting)
			}
			return queue
		},
	})
	w.Expect(err).NotTo(HaveOccurred())
	i.leads = mgr.Elected()
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	i.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.T.Errorf("the operator ended with: %v", err)
		}
	})
	w.T.Cleanup(i.stop)
	w.Expect(mgr.GetCache().WaitForCacheSync(ctx)).To(BeTrue())
	if lease == nil {
		w.Eventually(i.queue.Load).ShouldNot(BeNil()) // which is made with what this operator is connected to, and not the next
	}
	return i
}

// rest waits until none of these operators has anything to do.
func (w *world) rest(all ...*installed) {
	w.T.Helper()
	for _, i := range all {
		w.queue.Store(i.queue.Load())
		w.settle()
	}
}

// work is what an operator wrote, but for its lease.
func (i *installed) work() map[string]int {
	counted := i.traffic.counted()
	for call := range counted {
		if strings.HasPrefix(call, http.MethodGet) || strings.HasSuffix(call, " leases") {
			delete(counted, call)
		}
	}
	return counted
}

// of is the shard of accounts with this label.
func (w *world) of(name string) clients.Shard {
	return clients.Shard{Namespaces: []string{w.Namespace}, Selector: labels.SelectorFromSet(labels.Set{"shard": name})}
}

func (w *world) label(shard string) {
	w.T.Helper()
	account := w.get()
	before := account.DeepCopy()
	metav1.SetMetaDataLabel(&account.ObjectMeta, "shard", shard)
	w.Expect(kube.Patch(w.T.Context(), account, client.MergeFrom(before))).To(Succeed())
}

func ofShard(name string) func(*v1alpha1.MarketplaceAccount) {
	return func(a *v1alpha1.MarketplaceAccount) { metav1.SetMetaDataLabel(&a.ObjectMeta, "shard", name) }
}

func TestAnAccountMovesToAnotherInstallation(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken, ofShard("a"))
	a := w.install(apiServer.Config, w.of("a"), nil)
	b := w.install(apiServer.Config, w.of("b"), nil)
	w.expectReady()
	w.rest(a, b)
	w.Expect(b.work()).To(BeEmpty(), "the account is not its")
	token, calls := w.token(), w.calls("oidc")

	a.traffic.reset()
	w.label("b")
	w.rest(a, b)
	w.Expect(w.calls("oidc")).To(Equal(calls), "the marketplace is not asked")
	w.Expect(w.token()).To(Equal(token))
	w.expectReady()

	// The one repairs and renews, the other does nothing, whatever it hears of the account's Secrets.
	w.Delete(w.readSecret("main-token"))
	w.Eventually(func() error {
		return kube.Get(t.Context(), client.ObjectKey{Namespace: w.Namespace, Name: "main-token"}, &corev1.Secret{})
	}).Should(Succeed())
	w.passRenewal()
	w.rest(a, b)
	w.Expect(w.calls("oidc")).To(Equal(calls + 1))
	w.Expect(w.Market.Platform("oidc").Report().DoubleSpends).To(BeZero())
	w.Expect(a.work()).To(BeEmpty())
	w.Expect(a.traffic.reads()).To(BeZero(), "%v", a.traffic.counted())

	// And back again.
	b.traffic.reset()
	w.label("a")
	w.rest(a, b)
	w.passRenewal()
	w.rest(a, b)
	w.Expect(w.calls("oidc")).To(Equal(calls + 2))
	w.Expect(b.work()).To(BeEmpty())
}

// The installation that was left has the only copy of what a single-use refresh token was spent for.
func TestTokensThatWaitToBeStoredDoNotGoWithTheLabel(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken, ofShard("a"))
	a := w.install(apiServer.Config, w.of("a"), nil)
	b := w.install(apiServer.Config, w.of("b"), nil)
	w.expectReady()
	token, calls := w.token(), w.calls("oidc")
	w.rest(a, b)

	var refused atomic.Int32
	end := a.traffic.refusing(func(request *http.Request) *http.Response {
		if !writesTo(request, "main-grant") || w.calls("oidc") == calls {
			return nil
		}
		refused.Add(1)
		return refusal(http.StatusForbidden, metav1.StatusReasonForbidden)
	})
	w.clock.SetTime(w.renewalTime())
	w.Eventually(func() int32 {
		w.clock.Step(time.Second) // the work queue's own waits
		return refused.Load()
	}).Should(BeNumerically(">=", 1))
	w.label("nobody")
	before := refused.Load()
	w.Eventually(func() int32 {
		w.clock.Step(time.Second)
		return refused.Load()
	}).Should(BeNumerically(">", before), "it goes on trying after the account has left")
	w.rest(a)
	end()
	held := w.readSecret("main-grant").ResourceVersion
	w.Eventually(func() string {
		w.clock.Step(time.Second)
		return w.readSecret("main-grant").ResourceVersion
	}).ShouldNot(Equal(held))
	w.Expect(w.token()).To(Equal(token), "publishing is not its business any more")

	w.label("b")
	w.Eventually(w.token).ShouldNot(Equal(token))
	w.rest(a, b)
	w.expectReady()
	w.Expect(w.calls("oidc")).To(Equal(calls+1), "one renewal brought one pair, and it is in use")
	w.passRenewal()
	w.Expect(w.Market.Platform("oidc").Report().DoubleSpends).To(BeZero())
}

func TestAnAccountThatIsDeletedLeavesNothingToDo(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	a := w.install(apiServer.Config, clients.Shard{Namespaces: []string{w.Namespace}}, nil)
	w.expectReady()
	w.rest(a)
	a.traffic.reset()
	w.Delete(w.get())
	w.rest(a)
	w.Expect(a.work()).To(BeEmpty())
	w.Expect(a.traffic.reads()).To(BeZero(), "%v", a.traffic.counted())
}

func TestHandOverAsksNothingAndWritesNothing(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	lease := client.ObjectKey{Namespace: w.Namespace, Name: "tokenkeeper"}
	shard := clients.Shard{Namespaces: []string{w.Namespace}}
	a := w.install(apiServer.Config, shard, &lease)
	w.Eventually(a.leads).Should(BeClosed())
	b := w.install(apiServer.Config, shard, &lease)
	w.expectReady()
	w.rest(a)
	w.Expect(b.leads).NotTo(BeClosed())
	w.Expect(b.work()).To(BeEmpty(), "it does not lead")
	before, token, calls := w.get(), w.token(), w.calls("oidc")

	a.stop()
	w.Eventually(b.leads).Should(BeClosed())
	w.Eventually(b.queue.Load).ShouldNot(BeNil())
	w.rest(b)
	w.Expect(w.calls("oidc")).To(Equal(calls))
	w.Expect(b.work()).To(BeEmpty())
	w.Expect(w.get().ResourceVersion).To(Equal(before.ResourceVersion))
	w.Expect(w.token()).To(Equal(token))

	w.passRenewal()
	w.Expect(w.calls("oidc")).To(Equal(calls+1), "and goes on where the other ended")
	w.Expect(w.Market.Platform("oidc").Report().DoubleSpends).To(BeZero())
}

// ---- rights in some namespaces alone

// namespacedRights gives a new user what config/namespaced gives to the operator that lives in one namespace and
// watches others.
func (w *world) namespacedRights(operator string, watched ...string) (*rest.Config, string) {
	w.T.Helper()
	name := "operator-of-" + operator
	user, err := apiServer.User(name)
	w.Expect(err).NotTo(HaveOccurred())
	var cluster rbacv1.ClusterRole
	w.manifest(filepath.Join("components", "namespaces", "cluster_role.yaml"), &cluster)
	cluster.Name = name
	w.Create(&cluster, &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: roleRef("ClusterRole", name), Subjects: subject(name)})
	w.T.Cleanup(func() {
		_ = kube.Delete(context.Background(), &cluster)
		_ = kube.Delete(context.Background(), &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}})
	})
	grant := func(namespace string, role *rbacv1.Role) {
		role.Namespace = namespace
		w.Create(role, &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: role.Name}, RoleRef: roleRef("Role", role.Name), Subjects: subject(name),
		})
	}
	for _, namespace := range watched {
		var role rbacv1.Role
		w.manifest(filepath.Join("namespaced", "watched", "role.yaml"), &role)
		grant(namespace, &role)
	}
	var application, own rbacv1.Role
	w.manifest(filepath.Join("namespaced", "application.yaml"), &application)
	grant(operator, &application)
	w.manifest(filepath.Join("rbac", "role.yaml"), &own)
	grant(operator, &own)
	return user, name
}

func roleRef(kind, name string) rbacv1.RoleRef {
	return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: name}
}

func subject(user string) []rbacv1.Subject {
	return []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: user}}
}

// manifest reads the document of a file under config that has the kind of what it is read into.
func (w *world) manifest(path string, into client.Object) {
	w.T.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "config", path))
	w.Expect(err).NotTo(HaveOccurred())
	kind := strings.TrimPrefix(fmt.Sprintf("%T", into), "*v1.")
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		if strings.Contains(document, "\nkind: "+kind+"\n") || strings.HasPrefix(document, "kind: "+kind+"\n") {
			w.Expect(yaml.UnmarshalStrict([]byte(document), into)).To(Succeed())
			return
		}
	}
	w.T.Fatalf("%s has no %s", path, kind)
}

// another is one more namespace.
func (w *world) another(labels map[string]string) string {
	w.T.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "story-", Labels: labels}}
	w.Create(namespace)
	return namespace.Name
}

func TestRightsInTwoNamespacesSuffice(t *testing.T) {
	w := newWorld(t)
	second, third, operator := w.another(map[string]string{"apps": "allowed"}), w.another(map[string]string{"apps": "allowed"}), w.another(nil)
	user, name := w.namespacedRights(operator, w.Namespace, second)

	// The key of custody is there, and empty, as the manifests make it.
	w.keyedIn(operator)
	var key corev1.Secret
	w.manifest(filepath.Join("rbac", "custody_key.yaml"), &key)
	key.Namespace = operator
	w.Create(&key)

	// The first namespace brings its own application. The second and the third use the Marketplace's, which is not there yet.
	w.prepare("oidc", v1alpha1.GrantRefreshToken, func(a *v1alpha1.MarketplaceAccount) { a.Spec.DeletionPolicy = v1alpha1.DeletionRevoke })
	shared := w.marketplace("ebay", func(m *v1alpha1.Marketplace) {
		m.Spec.Application = &v1alpha1.Application{
			SecretRef:         v1alpha1.NamespacedSecretReference{Namespace: operator, Name: "allegro-app"},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"apps": "allowed"}},
		}
	})
	of := func(namespace string) client.ObjectKey { return client.ObjectKey{Namespace: namespace, Name: "shared"} }
	var untouched string
	for _, namespace := range []string{second, third} {
		account := &v1alpha1.MarketplaceAccount{
			ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "shared"},
			Spec: v1alpha1.MarketplaceAccountSpec{
				MarketplaceRef: v1alpha1.MarketplaceReference{Name: shared.Name},
				Grant:          v1alpha1.Grant{Type: v1alpha1.GrantClientCredentials},
			},
		}
		w.Create(account)
		untouched = account.ResourceVersion // of the last one
	}
	ready := func(namespace string) string {
		account := &v1alpha1.MarketplaceAccount{}
		w.Expect(kube.Get(t.Context(), of(namespace), account)).To(Succeed())
		for _, condition := range account.Status.Conditions {
			if condition.Type == v1alpha1.ConditionReady {
				return condition.Reason
			}
		}
		return ""
	}
	lease := client.ObjectKey{Namespace: operator, Name: "tokenkeeper-shard"}
	a := w.install(user, clients.Shard{Namespaces: []string{w.Namespace, second}}, &lease)
	w.Eventually(a.leads).Should(BeClosed())
	w.Eventually(a.queue.Load).ShouldNot(BeNil())
	w.expectReady()
	w.Eventually(ready).WithArguments(second).Should(Equal(v1alpha1.ReasonSecretNotFound))

	w.Create(secretOf(operator, "allegro-app", map[string]string{"client_id": demomarket.DefaultClientID, "client_secret": demomarket.DefaultClientSecret}))
	watched.Secret(demomarket.DefaultClientSecret)
	w.rest(a)
	w.clock.Step(time.Minute) // for which it takes the Secret for absent
	account := &v1alpha1.MarketplaceAccount{}
	w.Expect(kube.Get(t.Context(), of(second), account)).To(Succeed())
	before := account.DeepCopy()
	metav1.SetMetaDataAnnotation(&account.ObjectMeta, v1alpha1.AnnotationRenew, "now")
	w.Expect(kube.Patch(t.Context(), account, client.MergeFrom(before))).To(Succeed())
	w.Eventually(ready).WithArguments(second).Should(Equal(v1alpha1.ReasonTokenValid))

	w.Expect(w.keySecret().Data).To(And(HaveKey("current"), HaveKey("adopted")))
	w.Expect(w.readSecret("main-grant").Data).To(HaveKey("grant.mac"))

	// Renewals, repairs, events and the end of an account need no more rights.
	w.rest(a)
	w.Delete(w.readSecret("main-token"))
	w.Eventually(func() error {
		return kube.Get(t.Context(), client.ObjectKey{Namespace: w.Namespace, Name: "main-token"}, &corev1.Secret{})
	}).Should(Succeed())
	w.passRenewal()
	w.Eventually(w.events).Should(ContainElement("Normal TokenIssued"))
	w.Delete(w.get())
	w.Eventually(w.gone).Should(BeTrue())
	labelled := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: third}}
	w.Expect(kube.Patch(t.Context(), labelled, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"labels":{"apps":"refused"}}}`)))).To(Succeed())
	w.rest(a)

	w.Expect(kube.Get(t.Context(), of(third), account)).To(Succeed())
	w.Expect(account.ResourceVersion).To(Equal(untouched), "nobody watches it")
	var secrets corev1.SecretList
	w.Expect(kube.List(t.Context(), &secrets, client.InNamespace(third))).To(Succeed())
	w.Expect(secrets.Items).To(BeEmpty())
	w.Expect(logged(fmt.Sprintf("User %q cannot", name), fmt.Sprintf(`User \"%s\" cannot`, name))).To(BeFalse(), "it asked for what it may not do")
	w.Expect(logged("unknown namespace for the cache")).To(BeFalse())
}

// logged tells whether one of these was.
func logged(any ...string) bool {
	logs := watched.Logs.Bytes()
	return slices.ContainsFunc(any, func(text string) bool { return bytes.Contains(logs, []byte(text)) })
}
