package marketplacestatus

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/accountindex"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
)

// Name is the name of this controller in logs and metrics.
const Name = "marketplace"

// unhurried is how long good news waits: that a Marketplace is valid, and how many accounts it has. So thousands of accounts that come and go cost
// few writes, and a person who has just written a Marketplace may write it once more without a conflict. Faults are written at once.
const unhurried = 10 * time.Second

// NewQueue makes a work queue for the controller of a name.
type NewQueue = func(name string, limiter workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request]

// reconciler writes the status of one Marketplace after the other.
type reconciler struct {
	client client.Client
	// valid are the generations of Marketplaces that were found to be valid; their status says so, or will.
	valid map[string]int64
	// counts tells that the manager sees all accounts, so that their number is worth writing.
	counts bool
	// noteAnnotations reads the annotations of a Marketplace.
	noteAnnotations func(context.Context, *v1alpha1.Marketplace) error
}

// +kubebuilder:rbac:groups=tokenkeeper.dev,resources=marketplaces/status,verbs=patch

// Add adds the controller to a manager. countAccounts tells that the manager sees every account of the cluster, so that their number is
// worth writing. noteAnnotations is called with each Marketplace when its annotations may have changed. newQueue replaces the work queue; nil keeps
// controller-runtime's.
func Add(mgr manager.Manager, countAccounts bool, noteAnnotations func(context.Context, *v1alpha1.Marketplace) error, newQueue NewQueue) error {
	r := &reconciler{client: mgr.GetClient(), valid: map[string]int64{}, counts: countAccounts, noteAnnotations: noteAnnotations}
	made := ctrl.NewControllerManagedBy(mgr).
		Named(Name).
		For(&v1alpha1.Marketplace{}, builder.WithPredicates(predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, predicate.AnnotationChangedPredicate{}))).
		WithOptions(controller.Options{MaxConcurrentReconciles: 1, NewQueue: newQueue})
	if r.counts {
		made = made.Watches(&v1alpha1.MarketplaceAccount{}, comingAndGoing())
	}
	return made.Complete(r)
}

// comingAndGoing calls the Marketplaces of accounts that are new, or gone, a while later.
func comingAndGoing() handler.EventHandler {
	call := func(account client.Object, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		name := account.(*v1alpha1.MarketplaceAccount).Spec.MarketplaceRef.Name
		queue.AddAfter(reconcile.Request{NamespacedName: client.ObjectKey{Name: name}}, unhurried)
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			call(e.Object, queue)
		},
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			call(e.Object, queue)
		},
	}
}

// Reconcile implements reconcile.Reconciler. It writes when the status has changed, and then once.
func (r *reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	object := &v1alpha1.Marketplace{}
	if err := r.client.Get(ctx, request.NamespacedName, object); err != nil {
		delete(r.valid, request.Name)
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if err := r.noteAnnotations(ctx, object); err != nil {
		return reconcile.Result{}, err
	}
	before, verdict := object.DeepCopy(), valid(object)
	wrong := verdict.Status != metav1.ConditionTrue || meta.IsStatusConditionFalse(object.Status.Conditions, v1alpha1.ConditionValid)
	if !wrong && r.valid[object.Name] != object.Generation {
		r.valid[object.Name] = object.Generation
		return reconcile.Result{RequeueAfter: unhurried}, nil
	}
	object.Status.ObservedGeneration = object.Generation
	meta.SetStatusCondition(&object.Status.Conditions, verdict)
	if r.counts {
		accounts, err := accountindex.ByMarketplace.List(ctx, r.client, object.Name)
		if err != nil {
			return reconcile.Result{}, fmt.Errorf("counting the accounts of Marketplace %q: %w", object.Name, err)
		}
		if count := len(accounts); count > 0 || object.Status.Accounts != nil { // before the first one there is nothing to write about
			object.Status.Accounts = new(int32(count)) //nolint:gosec // a cluster holds fewer
		}
	}
	if equality.Semantic.DeepEqual(before.Status, object.Status) {
		return reconcile.Result{}, nil
	}
	// By version, so that of several operators that find the same one writes it.
	err := r.client.Status().Patch(ctx, object, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	if apierrors.IsConflict(err) {
		return reconcile.Result{RequeueAfter: time.Second}, nil
	}
	if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) {
		// An installation for a few namespaces may not, and an older definition has no status. Accounts are kept all the same.
		logf.FromContext(ctx).V(1).Info("Not saying whether the Marketplace is valid", "reason", err.Error())
		return reconcile.Result{}, nil
	}
	return reconcile.Result{}, err
}

// valid is the condition that says whether a Marketplace can be filled in, or else names its faults.
func valid(object *v1alpha1.Marketplace) metav1.Condition {
	condition := metav1.Condition{
		Type: v1alpha1.ConditionValid, Status: metav1.ConditionTrue, Reason: v1alpha1.MarketplaceValid, ObservedGeneration: object.Generation,
		Message: "It can be filled in for every environment and choice",
	}
	if faults := marketplace.Faults(object); len(faults) > 0 {
		condition.Status, condition.Reason = metav1.ConditionFalse, v1alpha1.ReasonInvalidSpec
		condition.Message = bounds.Shorten(strings.Join(faults, "; "), bounds.Message)
	}
	return condition
}
