package controller

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
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/watches"
)

// MarketplacesName is the name in logs and metrics of what says which Marketplaces are valid.
const MarketplacesName = "marketplace"

// unhurried is how long good news waits: that a Marketplace is valid, and how many accounts it has. So thousands of accounts that come and go cost
// few writes, and whoever has just written a Marketplace may write it once more without a conflict. What is wrong is said at once.
const unhurried = 10 * time.Second

// marketplaces says of each Marketplace what is wrong with it, and how many accounts it has. It asks no platform, and touches no account.
type marketplaces struct {
	client client.Client
	// valid are the generations that were found to be valid, and that this has been said of or will be.
	valid map[string]int64
	// counts tells that all accounts are seen, so that their number means something.
	counts bool
}

// +kubebuilder:rbac:groups=tokenkeeper.dev,resources=marketplaces/status,verbs=patch

func (m *marketplaces) add(mgr manager.Manager) error {
	made := ctrl.NewControllerManagedBy(mgr).
		Named(MarketplacesName).
		For(&v1alpha1.Marketplace{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: 1})
	if m.counts {
		made = made.Watches(&v1alpha1.MarketplaceAccount{}, comingAndGoing())
	}
	return made.Complete(m)
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

// Reconcile implements reconcile.Reconciler. It writes when something has changed, and then once.
func (m *marketplaces) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	object := &v1alpha1.Marketplace{}
	if err := m.client.Get(ctx, request.NamespacedName, object); err != nil {
		delete(m.valid, request.Name)
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	before, verdict := object.DeepCopy(), valid(object)
	wrong := verdict.Status != metav1.ConditionTrue || meta.IsStatusConditionFalse(object.Status.Conditions, v1alpha1.ConditionValid)
	if !wrong && m.valid[object.Name] != object.Generation {
		m.valid[object.Name] = object.Generation
		return reconcile.Result{RequeueAfter: unhurried}, nil
	}
	object.Status.ObservedGeneration = object.Generation
	meta.SetStatusCondition(&object.Status.Conditions, verdict)
	if m.counts {
		var accounts v1alpha1.MarketplaceAccountList
		if err := m.client.List(ctx, &accounts, client.MatchingFields{watches.IndexMarketplace: object.Name}, client.UnsafeDisableDeepCopy); err != nil {
			return reconcile.Result{}, fmt.Errorf("counting the accounts of Marketplace %q: %w", object.Name, err)
		}
		if count := len(accounts.Items); count > 0 || object.Status.Accounts != nil { // before the first one there is nothing to write about
			object.Status.Accounts = new(int32(count)) //nolint:gosec // a cluster holds fewer
		}
	}
	if equality.Semantic.DeepEqual(before.Status, object.Status) {
		return reconcile.Result{}, nil
	}
	// By version, so that of several operators that find the same one writes it.
	err := m.client.Status().Patch(ctx, object, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
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

// valid says whether a Marketplace can be filled in, and else what is wrong with it.
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
