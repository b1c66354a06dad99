package controller

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/accountindex"
	"github.com/tokenkeeper/tokenkeeper/internal/accountmemory"
	"github.com/tokenkeeper/tokenkeeper/internal/departures"
	"github.com/tokenkeeper/tokenkeeper/internal/driver"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/grantstore"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/kube"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplacestatus"
	"github.com/tokenkeeper/tokenkeeper/internal/metrics"
	"github.com/tokenkeeper/tokenkeeper/internal/oauthclient"
	"github.com/tokenkeeper/tokenkeeper/internal/openid"
	"github.com/tokenkeeper/tokenkeeper/internal/outgoing"
	"github.com/tokenkeeper/tokenkeeper/internal/peers"
	"github.com/tokenkeeper/tokenkeeper/internal/publish"
	"github.com/tokenkeeper/tokenkeeper/internal/room"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/signinflow"
	"github.com/tokenkeeper/tokenkeeper/internal/statusreport"
	"github.com/tokenkeeper/tokenkeeper/internal/throttle"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
	"github.com/tokenkeeper/tokenkeeper/internal/userrequests"
	"github.com/tokenkeeper/tokenkeeper/internal/watches"
)

// shortestRequeue and longestRequeue bound the wait after an error of the API server. It is no longer than a token that is about to
// end can wait, since the work queue knows no ends of tokens; controller-runtime's default goes up to a quarter of an hour.
const (
	shortestRequeue = 5 * time.Millisecond
	longestRequeue  = 10 * time.Second
)

// shareOfOneHost is the part of the workers that requests to one token host may occupy: a quarter.
const shareOfOneHost = 4

// shareOfLooks is the part of the workers whose looks may be worked on at once, while those of the others wait for marketplaces; leastLooks is how many
// there are at least. What is beyond that waits for the API server, and would hold stacks and answers meanwhile. It is not fewer, since a webhook of
// the cluster may hold up the writes of some accounts, and others go on.
const (
	shareOfLooks = 4
	leastLooks   = 64
)

// Name is the controller's name in logs and metrics.
const Name = "marketplaceaccount"

// Options come from outside of the controller. Clock, Transport and Registry are required.
type Options struct {
	// Clock tells the time.
	Clock clock.PassiveClock
	// Transport carries requests to marketplaces.
	Transport http.RoundTripper
	// IssuerTransport carries requests for the documents and keys of issuers; nil means Transport.
	IssuerTransport http.RoundTripper
	// Registry takes the metrics.
	Registry prometheus.Registerer
	// MaxConcurrentReconciles is how many accounts are worked on at once; zero means 1.
	MaxConcurrentReconciles int
	// CallTimeout bounds one request to a marketplace; zero means 30 s.
	CallTimeout time.Duration
	// RequestEvery is how often a person may make a request of an account, beyond a few at once; zero means a minute.
	RequestEvery time.Duration
	// Portal is the public address of the pages where people sign in; empty when there are none.
	Portal signin.Address
	// Random is where tickets and states come from; nil means crypto/rand.
	Random io.Reader
	// CustodyKey is the Secret with the key that authenticates grant Secrets; without a name there is none.
	CustodyKey types.NamespacedName
	// CountAccounts tells that the manager sees every account of the cluster, so that Marketplaces can say how many they have.
	CountAccounts bool
	// Connect returns the clients of the manager; nil means kube.Connect. A simulation has a cluster of its own.
	Connect func(ctx context.Context, mgr manager.Manager, clock clock.PassiveClock) (*kube.Clients, error)
	// RequireUseLabel refuses Secrets that accounts name unless their label allows the use.
	RequireUseLabel bool
	// LinksInSecret has links and codes of sign-ins shown by Secrets of their own, and statuses hold their addresses alone.
	LinksInSecret bool
	// Observe is told of each change of a custody before it is stored; nil where nobody looks.
	Observe func(facts.Facts, lifecycle.Change)
	// NewQueue replaces the work queues of this controller and of that of Marketplaces; nil keeps controller-runtime's. Tests bring some with a clock of
	// theirs.
	NewQueue marketplacestatus.NewQueue
}

// clusterIdentity is the UID of namespace kube-system, which no cluster shares with another; empty where it may not be read.
func clusterIdentity(ctx context.Context, live client.Reader) (string, error) {
	namespace := kube.NamespaceMetadata()
	err := live.Get(ctx, client.ObjectKey{Name: metav1.NamespaceSystem}, namespace)
	switch {
	case apierrors.IsForbidden(err), apierrors.IsNotFound(err):
		logf.FromContext(ctx).Info("Not knowing which cluster this is, so that a grant Secret of another cluster is not noticed", "reason", err.Error())
		return "", nil
	case err != nil:
		return "", fmt.Errorf("reading namespace %s: %w", metav1.NamespaceSystem, err)
	}
	return string(namespace.UID), nil
}

// withDefaults are the options with defaults in place of nil.
func (o Options) withDefaults() Options {
	if o.IssuerTransport == nil {
		o.IssuerTransport = o.Transport
	}
	if o.Random == nil {
		o.Random = rand.Reader
	}
	if o.Connect == nil {
		o.Connect = kube.Connect
	}
	return o
}

// connect returns the clients of a manager.
func (o Options) connect(ctx context.Context, mgr manager.Manager) (*kube.Clients, error) {
	clients, err := o.Connect(ctx, mgr, o.Clock)
	if err == nil {
		clients.UserSecrets.RequireUseLabel = o.RequireUseLabel
	}
	return clients, err
}

// newDriver returns the driver of visits, to which the controller adds its memory for a driver of its own. answered is called with the answer to each request
// that names an application.
func (o Options) newDriver(
	mgr manager.Manager, clients *kube.Clients, grants *grantstore.Store, memory *accountmemory.Owner, operations *metrics.Operations,
	answered func(facts.Request, error),
) (driver.Driver, error) {
	holder, err := signin.NewSecret(rand.Reader)
	if err != nil {
		return driver.Driver{}, err
	}
	return driver.Driver{
		Clock: o.Clock, Random: o.Random, Recorder: mgr.GetEventRecorder(v1alpha1.ManagedBy), Holder: holder, Portal: o.Portal, Observe: o.Observe,
		Resolver: inputs.NewResolver(clients.Client, clients.Metadata, clients.UserSecrets), Sellers: inputs.NewSellers(clients.Cached, grants),
		OAuth: oauthclient.New(oauthclient.Options{
			Clock: o.Clock, Transport: o.Transport, Metrics: operations, CallTimeout: o.CallTimeout, Answered: answered, Memory: memory,
			PerHost: o.MaxConcurrentReconciles / shareOfOneHost,
			Providers: &openid.Providers{
				HTTP: outgoing.NewClient(throttle.NewFailFast(o.IssuerTransport, o.Clock.Now), timeouts.Issuer),
				Now:  o.Clock.Now,
			},
		}),
	}, nil
}

// addVisits adds the visits of people to a manager. flush stores the tokens that wait in memory when the process ends.
func (o Options) addVisits(
	mgr manager.Manager, clients *kube.Clients, grants *grantstore.Store, visiting *driver.Driver, flush func(context.Context) error,
) (*signinflow.Visits, error) {
	visits := signinflow.New(signinflow.Options{
		Driver: visiting, Accounts: clients.Client, Grants: grants, Portal: o.Portal, Namespaces: clients.Namespaces, Flush: flush,
	})
	if err := mgr.Add(visits); err != nil {
		return nil, fmt.Errorf("adding the sign-ins: %w", err)
	}
	return visits, nil
}

// calls is the source of the accounts that a part of this process wants to be looked at, such as those whose turn has come.
func (r *reconciler) calls(clients *kube.Clients, adoptions *adoptions) source.Source {
	return source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		call := watches.Caller(queue)
		adoptions.call(func(marketplace string) {
			for _, request := range watches.OfMarketplace(ctx, clients.Cached, marketplace) {
				call(request.NamespacedName, 0, watches.PriorityScheduled)
			}
		})
		r.OAuth.OnTurn(func(account types.NamespacedName, after time.Duration) { call(account, after, watches.PriorityCalled) })
		r.logins.OnEnd(func(account client.ObjectKey) { call(account, 0, watches.PriorityCalled) })
		r.backlog.OnRoom(func(account client.ObjectKey) { call(account, 0, watches.PriorityScheduled) })
		r.applications.Wake = func() {
			for _, request := range watches.ApplicationRejected(ctx, clients.Cached) {
				call(request.NamespacedName, 0, watches.PriorityScheduled)
			}
		}
		return nil
	})
}

// Add adds the controller to a manager that was made with kube.Shard.ManagerOptions, and returns the visits, which complete
// sign-ins. The controller works where the manager leads, and visits everywhere.
func Add(ctx context.Context, mgr manager.Manager, options Options) (*signinflow.Visits, error) {
	options = options.withDefaults()
	if err := accountindex.AddAll(ctx, mgr.GetFieldIndexer()); err != nil {
		return nil, err
	}
	clients, err := options.connect(ctx, mgr)
	if err != nil {
		return nil, err
	}
	metrics.RegisterAccounts(options.Registry, mgr.GetCache())
	cluster, err := clusterIdentity(ctx, mgr.GetAPIReader())
	if err != nil {
		return nil, err
	}
	ownWrites, backlog := &grantstore.OwnWrites{}, statusreport.NewBacklog(options.MaxConcurrentReconciles)
	writeOwn := func(secret *corev1.Secret, write func() error) error {
		return backlog.Write(func() error { return ownWrites.Write(secret, write) })
	}
	operations := metrics.NewOperations(options.Registry)
	keys, err := options.addCustodyKey(ctx, mgr)
	if err != nil {
		return nil, err
	}
	if err := makeCustodyKey(mgr, keys); err != nil {
		return nil, err
	}
	memory := &accountmemory.Owner{}
	grants := grantstore.New(grantstore.Options{Client: clients.Client, Live: clients.Live, Cluster: cluster, Keys: keys, OwnWrite: writeOwn, Memory: memory})
	r := &reconciler{
		client: clients.Client, live: clients.Live, portal: options.Portal,
		grants: grants, keys: keys, backlog: backlog, memory: memory, logins: peers.NewLogins(clients.Cached, grants, memory),
		devices: deviceMemory{accountmemory.New[deviceState](memory)}, unlabelled: unlabelledMemory{accountmemory.New[toldSecrets](memory)},
	}
	visiting, err := options.newDriver(mgr, clients, grants, memory, operations, r.applications.Answered)
	if err != nil {
		return nil, err
	}
	deciding := visiting
	deciding.Remember, deciding.Refused = r.remember, r.applications.AskAgain
	r.Driver = &deciding
	r.requests = userrequests.New(options.Clock.Now, options.RequestEvery, r.OAuth.Digest)
	memory.OnForget(func(account *v1alpha1.MarketplaceAccount) {
		r.requests.Leave(client.ObjectKeyFromObject(account), options.Clock.Now())
	})
	r.applications.LimiterOf, r.applications.Now = r.OAuth.LimiterOf, r.Now
	r.finalizer = departures.Finalizer{Driver: r.Driver, Client: clients.Client, Live: clients.Live, Grants: grants, Forget: r.Forget}
	r.tokens = &publish.Publisher{
		Driver: r.Driver, Client: clients.Client, Live: clients.Live, Metadata: clients.Metadata, WriteOwn: writeOwn, Metrics: operations,
		LinksInSecret: options.LinksInSecret, Tickets: accountmemory.New[string](memory),
	}
	metrics.RegisterHosts(options.Registry, r.OAuth.Hosts)
	visits, err := options.addVisits(mgr, clients, grants, &visiting, r.flushAll)
	if err != nil {
		return nil, err
	}
	adoptions := &adoptions{keys: keys}
	if err := marketplacestatus.Add(mgr, options.CountAccounts, adoptions.adopt, options.NewQueue); err != nil {
		return nil, fmt.Errorf("adding the controller of Marketplaces: %w", err)
	}
	looks := room.New(max(leastLooks, options.MaxConcurrentReconciles/shareOfLooks))
	departed := departures.New(clients, r, reconcile.AsReconciler(clients.Client, r))
	return visits, watches.Watch(ctrl.NewControllerManagedBy(mgr).Named(Name), clients, ownWrites, options.Clock.Now).
		Watches(&v1alpha1.MarketplaceAccount{}, departed.Notices()).
		WatchesRawSource(r.calls(clients, adoptions)).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: options.MaxConcurrentReconciles,
			NewQueue:                options.NewQueue,
			RateLimiter:             watches.Retries(options.Clock.Now, shortestRequeue, longestRequeue),
			ReconciliationTimeout:   timeouts.Reconcile,
		}).
		Complete(reconcile.Func(func(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
			ctx, leave := looks.Enter(ctx)
			defer leave()
			defer backlog.Looked(request.NamespacedName)
			return departed.Reconcile(ctx, request)
		}))
}
