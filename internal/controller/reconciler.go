package controller

import (
	"context"
	"errors"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/accountmemory"
	"github.com/tokenkeeper/tokenkeeper/internal/conditions"
	"github.com/tokenkeeper/tokenkeeper/internal/custodykey"
	"github.com/tokenkeeper/tokenkeeper/internal/departures"
	"github.com/tokenkeeper/tokenkeeper/internal/driver"
	"github.com/tokenkeeper/tokenkeeper/internal/grantstore"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/peers"
	"github.com/tokenkeeper/tokenkeeper/internal/publish"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/statusreport"
	"github.com/tokenkeeper/tokenkeeper/internal/throttle"
	"github.com/tokenkeeper/tokenkeeper/internal/userrequests"
	"github.com/tokenkeeper/tokenkeeper/internal/watches"
)

// reconciler keeps the token Secrets of MarketplaceAccounts valid.
type reconciler struct {
	*driver.Driver
	// client writes statuses, and live reads from the API server.
	client client.Client
	live   client.Reader
	// portal is where people sign in; empty when there is no such place.
	portal signin.Address
	// grants reads and writes grant Secrets, keys tells which of them the operator wrote, and tokens reads and writes token and sign-in Secrets.
	grants *grantstore.Store
	keys   *custodykey.Keys
	tokens *publish.Publisher

	backlog *statusreport.Backlog
	// logins remembers the logins that were refused.
	logins *peers.Logins
	// requests bounds the requests of people.
	requests *userrequests.Allowance
	// applications remembers the applications that were refused.
	applications peers.Applications
	// memory owns what this process alone knows of accounts.
	memory *accountmemory.Owner
	// unlabelled remembers which accounts were told of a Secret without the label of its use.
	unlabelled unlabelledMemory
	// devices remembers when device codes are polled, and the tokens of approved ones.
	devices deviceMemory
	// finalizer revokes the grants of accounts that are deleted.
	finalizer departures.Finalizer
}

// +kubebuilder:rbac:groups=tokenkeeper.dev,resources=marketplaceaccounts,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=tokenkeeper.dev,resources=marketplaceaccounts/status,verbs=patch
// +kubebuilder:rbac:groups=tokenkeeper.dev,resources=marketplaceaccounts/finalizers,verbs=update
// +kubebuilder:rbac:groups=tokenkeeper.dev,resources=marketplaces,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups="",resources=secrets,resourceNames=tokenkeeper-custody-key,verbs=get;update,namespace=tokenkeeper-system
// +kubebuilder:rbac:groups="",resources=namespaces,verbs=get;list;watch
// +kubebuilder:rbac:groups=events.k8s.io,resources=events,verbs=create;patch
// +kubebuilder:rbac:groups="",resources=events,verbs=create,namespace=tokenkeeper-system
// +kubebuilder:rbac:groups=coordination.k8s.io,resources=leases,verbs=get;create;update,namespace=tokenkeeper-system

// Reconcile brings one account's Secrets and status up to date and tells when to look again: it gathers the facts, does one action after
// the other until none is due, and reports once.
func (r *reconciler) Reconcile(ctx context.Context, account *v1alpha1.MarketplaceAccount) (reconcile.Result, error) {
	if err := r.keys.Ensure(ctx); err != nil {
		return reconcile.Result{}, err
	}
	if !account.DeletionTimestamp.IsZero() {
		return r.finalizer.Finalize(ctx, account)
	}
	if err := r.finalizer.Keep(ctx, account); err != nil {
		return reconcile.Result{}, err
	}
	l, known, err := r.gather(ctx, account)
	if !known {
		return reconcile.Result{}, err
	}
	for err == nil {
		action := lifecycle.Next(&l.Facts, l.Tried)
		if action == lifecycle.Wait {
			conclude(&l)
			break
		}
		l.Try(action)
		err = r.do(ctx, &l, action)
	}
	return r.tell(ctx, account, l, err)
}

// conclude adds to a look what holds at its end.
func conclude(l *driver.Look) { l.Add(lifecycle.Conclusion(&l.Facts)) }

// do does one thing for an account, which asks its marketplace for one thing at most. Its error is the API server's. The look is large, and each copy of it
// would stay on the worker's stack while a request is under way: here it is changed in place.
func (r *reconciler) do(ctx context.Context, l *driver.Look, action lifecycle.Action) error {
	if action == lifecycle.Renew { // the most frequent, and the deepest
		return r.renew(ctx, l)
	}
	return r.doOther(ctx, l, action)
}

// doOther does every action but a renewal.
func (r *reconciler) doOther(ctx context.Context, l *driver.Look, action lifecycle.Action) (err error) {
	switch action {
	case lifecycle.ReadSecrets:
		*l, err = r.readSecrets(ctx, *l)
	case lifecycle.StoreApproval:
		*l, err = r.storeApproval(ctx, *l)
	case lifecycle.VerifyIDToken:
		*l, err = r.verifyCandidate(ctx, *l)
	case lifecycle.DecideCandidate:
		*l, err = r.OnceConfirmed(ctx, *l, action, lifecycle.DecideOnCandidate)
	case lifecycle.Identify:
		*l, err = r.Identify(ctx, *l)
	case lifecycle.UseAside:
		*l, err = r.OnceConfirmed(ctx, *l, action, lifecycle.UseGrantAside)
	case lifecycle.CountRestFromNow:
		*l, err = r.OnceConfirmed(ctx, *l, action, lifecycle.CountRest)
	case lifecycle.Poll:
		*l, err = r.poll(ctx, *l)
	case lifecycle.StartCode:
		*l, err = r.startCode(ctx, *l)
	case lifecycle.OfferLink:
		*l, err = r.offerLink(ctx, *l)
	case lifecycle.Publish:
		*l, err = r.tokens.Publish(ctx, *l)
	case lifecycle.FindDuplicate:
		*l, err = r.findDuplicate(ctx, *l)
	case lifecycle.Test:
		*l, err = r.test(ctx, *l)
	case lifecycle.RecordRefusedToken:
		*l, err = r.OnceConfirmed(ctx, *l, action, lifecycle.AfterRefusedToken)
	case lifecycle.PublishSignIn:
		*l, err = r.tokens.PublishSignIn(ctx, *l)
	}
	return err
}

// tell writes the findings into the status, once, unless they can wait or there is nothing new, and tells when to look again. err is the
// API server's, which ended the look.
func (r *reconciler) tell(ctx context.Context, account *v1alpha1.MarketplaceAccount, l driver.Look, err error) (reconcile.Result, error) {
	turns := l.Waits
	if l.TestQueued {
		turns = append(turns, lifecycle.Identifying)
	}
	r.OAuth.LeaveQueues(account, turns...)
	if l.Invited && !l.NeedsSignIn() {
		r.devices.forgetPoll(account.UID)
	}
	report := l.Report()
	report.Now, report.Interrupted = r.Now(), err != nil // the work may have taken a while
	if !report.Unresolved {
		report.ClockSkew, report.ClockSkewKnown = r.OAuth.ClockSkew(&report.Request)
	}
	next := func() time.Time { return report.Next(r.nextInvitation(report)) }
	if err == nil && !report.FirstReportIsDue() {
		return after(r.Clock.Now(), next()), nil
	}
	report = conditions.Report(report)
	r.requests.Acted(report)
	urgency := conditions.Immediate
	if err == nil {
		needed := report.LimiterClosed && priorityOf(report.Facts).Class == throttle.Urgent
		urgency = conditions.UrgencyOf(&account.Status, report, needed)
	}
	if until := r.backlog.Postpone(client.ObjectKeyFromObject(account), urgency, r.Clock.Now()); !until.IsZero() {
		return after(r.Clock.Now(), renewal.Earliest(until, next())), nil
	}
	if err := errors.Join(err, statusreport.Patch(ctx, r.client, r.live, r.backlog, account, report.Account)); err != nil {
		return reconcile.Result{}, err
	}
	r.Emit(report.Account, conditions.Transitions(&account.Status, report)...)
	return after(r.Clock.Now(), next()), nil
}

// longestWait is when an account is looked at again at the latest that has a moment to wait for. Timers do not go by a clock that is set, so one that was set
// ahead brings moments which are months away no later than that.
const longestWait = 24 * time.Hour

// after makes the work queue wait until then, by a clock that is not cut to seconds; zero means for an event.
func after(now, look time.Time) reconcile.Result {
	if look.IsZero() {
		return reconcile.Result{}
	}
	wait := time.Second
	if look.After(now) {
		wait = min(look.Sub(now), longestWait)
	}
	return reconcile.Result{RequeueAfter: wait, Priority: new(watches.PriorityScheduled)}
}
