package controller

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/driver"
	"github.com/tokenkeeper/tokenkeeper/internal/inputs"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
)

// findDuplicate looks for an older account of the same seller.
func (r *reconciler) findDuplicate(ctx context.Context, l driver.Look) (driver.Look, error) {
	older, err := r.Sellers.OlderAccount(ctx, l.Account, l.Custody.Account.ID)
	return l.With(lifecycle.Outcome{DuplicateOf: older}), err
}

// accountsOfSameSeller finds the accounts that a changed one may be a duplicate of, or not any more.
func (l lookup) accountsOfSameSeller(ctx context.Context, object client.Object) []reconcile.Request {
	account, ok := object.(*v1alpha1.MarketplaceAccount)
	if !ok {
		return nil
	}
	var requests []reconcile.Request
	for _, seller := range inputs.SellersOf(account) {
		for _, request := range l.accounts(ctx, client.MatchingFields{inputs.IndexSeller: seller}) {
			if request.NamespacedName != client.ObjectKeyFromObject(account) {
				requests = append(requests, request)
			}
		}
	}
	return requests
}

// sellerChanged lets through accounts that hold the tokens of another seller than before, or are gone. Both the seller
// before and the one after are looked at, since a handler sees the object before and after an update.
func sellerChanged() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(event.CreateEvent) bool { return false }, // in a restart all come, and each looks for itself
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, after := e.ObjectOld.(*v1alpha1.MarketplaceAccount), e.ObjectNew.(*v1alpha1.MarketplaceAccount)
			was, is := inputs.SellersOf(before), inputs.SellersOf(after)
			return len(was) != len(is) || len(is) > 0 && was[0] != is[0]
		},
		DeleteFunc:  func(event.DeleteEvent) bool { return true },
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}
