package controller

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/conditions"
	"github.com/tokenkeeper/tokenkeeper/internal/grant"
	"github.com/tokenkeeper/tokenkeeper/internal/grantstore"
	"github.com/tokenkeeper/tokenkeeper/internal/kube"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/metrics"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/throttle"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

// Reconciler keeps the token Secrets of MarketplaceAccounts valid. All fields but CallTimeout and Portal are required.
type Reconciler struct {
	// Client reads from the cache, which holds accounts, Marketplaces and the operator's own Secrets, and writes.
	Client client.Client
	// Cached reads from the cache as it stands, which may not show the last writes yet.
	Cached client.Reader
	// Live reads from the API server.
	Live client.Reader
	// Metadata reads the metadata of any Secret or Namespace from a cache.
	Metadata client.Reader
	// Recorder emits events.
	Recorder events.EventRecorder
	// Clock tells the time.
	Clock clock.PassiveClock
	// Transport carries requests to marketplaces.
	Transport http.RoundTripper
	// Providers discovers issuers and verifies ID tokens.
	Providers *grant.Providers
	// Metrics counts requests and lateness.
	Metrics *metrics.Operations
	// Limiters let requests for tokens through.
	Limiters *throttle.Limiters[waiter]
	// CallTimeout bounds one request to a marketplace; zero means 30 s.
	CallTimeout time.Duration
	// Random is where tickets and states come from.
	Random io.Reader
	// Portal is where people sign in; empty when there is no such place.
	Portal signin.Address

	userSecrets *kube.UserSecrets
	logins      logins
	denials     denials
	arrears     *arrears
	// requests bounds what people ask for by annotations.
	requests *throttle.Allowance[types.NamespacedName]
	// edits remembers what accounts sent last.
	edits edits
	// applications are those that were refused. wakeRejected looks again at the accounts that say so.
	applications applications
	wakeRejected func()
	// digestKey makes digests of secrets that mean nothing outside of this process.
	digestKey []byte
	// holder names this process in journals.
	holder string
	// grants reads and writes grant Secrets, and writeOwn any of the operator's own Secrets.
	grants   *grantstore.Store
	writeOwn func(secret *corev1.Secret, write func() error) error
	// devices is what is in memory of device codes.
	devices deviceMemory
}

// +kubebuilder:rbac:groups=tokenkeeper.dev,resources=marketplaceaccounts,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=tokenkeeper.dev,resources=marketplaceaccounts/status,verbs=patch
// +kubebuilder:rbac:groups=tokenkeeper.dev,resources=marketplaceaccounts/finalizers,verbs=update
// +kubebuilder:rbac:groups=tokenkeeper.dev,resources=marketplaces,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups="",resources=events,verbs=create,namespace=tokenkeeper-system
// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,verbs=get;create;update,namespace=tokenkeeper-system

// Reconcile brings one account's Secrets and status up to date and tells when to look again.
func (r *Reconciler) Reconcile(ctx context.Context, account *v1alpha1.MarketplaceAccount) (reconcile.Result, error) {
	if !account.DeletionTimestamp.IsZero() {
		return r.finalize(ctx, account)
	}
	if err := r.keepFinalizer(ctx, account); err != nil {
		return reconcile.Result{}, err
	}
	found, err := r.renew(ctx, account)
	if found == nil {
		return reconcile.Result{}, err
	}
	turns := found.Waits
	if found.TestQueued {
		turns = append(turns, lifecycle.Identifying)
	}
	r.leaveQueues(account, turns...)
	found.Now = r.now() // the work may have taken a while
	found.Interrupted = err != nil
	look := found.look()
	if err == nil && !look.FirstReportIsDue() {
		return after(r.Clock.Now(), look.Next(r.nextInvitation(found))), nil
	}
	look = conditions.Report(look)
	found.Facts, found.Outcome = look.Facts, look.Outcome
	r.requestsDone(found)
	urgency := conditions.Immediate
	if err == nil {
		needed := found.LimiterClosed && priorityOf(found.Facts).Class == throttle.Urgent
		urgency = conditions.UrgencyOf(&account.Status, look, needed)
	}
	if until := r.arrears.postpone(client.ObjectKeyFromObject(account), urgency, r.Clock.Now()); !until.IsZero() {
		return after(r.Clock.Now(), renewal.Earliest(until, look.Next(r.nextInvitation(found)))), nil
	}
	if err := errors.Join(err, r.patchStatus(ctx, account, look.Account)); err != nil {
		return reconcile.Result{}, err
	}
	r.emit(look.Account, conditions.Transitions(&account.Status, look)...)
	return after(r.Clock.Now(), look.Next(r.nextInvitation(found))), nil
}

// callTimeout bounds one request to a marketplace.
func (r *Reconciler) callTimeout() time.Duration {
	if r.CallTimeout == 0 {
		return timeouts.Call
	}
	return r.CallTimeout
}

// factsOf begins to look at an account.
func (r *Reconciler) factsOf(account *v1alpha1.MarketplaceAccount) lifecycle.Facts {
	return lifecycle.Facts{
		Account: account, Now: r.now(), Holder: r.holder,
		CallTimeout: r.callTimeout(), AttemptTimeout: timeouts.Attempt(r.callTimeout()),
	}
}

// now is the current time as the API stores it: in UTC and whole seconds.
func (r *Reconciler) now() time.Time {
	return r.Clock.Now().UTC().Truncate(time.Second)
}
