package controller

import (
	"context"
	"fmt"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/grantstore"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// sellerOf identifies a seller among all platforms, as an index does: by platform, environment and the platform's own
// identifier.
func sellerOf(account *v1alpha1.MarketplaceAccount, id string) string {
	return strings.Join([]string{account.Spec.MarketplaceRef.Name, account.Spec.Environment, id}, "\x00")
}

// sellersOf is the seller whose tokens an account holds, as far as known.
func sellersOf(account *v1alpha1.MarketplaceAccount) []string {
	if account.Status.Account == nil || account.Status.Account.ID == "" {
		return nil
	}
	return []string{sellerOf(account, account.Status.Account.ID)}
}

// accountsOfSeller returns the other accounts that hold tokens of a seller at the same platform.
func (r *Reconciler) accountsOfSeller(ctx context.Context, account *v1alpha1.MarketplaceAccount, id string) ([]v1alpha1.MarketplaceAccount, error) {
	var list v1alpha1.MarketplaceAccountList
	if err := r.Cached.List(ctx, &list, client.MatchingFields{indexSeller: sellerOf(account, id)}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing the accounts of a seller: %w", err)
	}
	var others []v1alpha1.MarketplaceAccount
	for i := range list.Items {
		if list.Items[i].UID != account.UID {
			others = append(others, list.Items[i])
		}
	}
	return others, nil
}

// findDuplicate looks for an older account of the same seller. An account of another namespace is not named: who reads
// this one may not know of it.
func (r *Reconciler) findDuplicate(ctx context.Context, f *found) error {
	id := bounds.Cut(f.Custody.Account.ID, bounds.Name)
	if id == "" {
		return nil
	}
	others, err := r.accountsOfSeller(ctx, f.Account, id)
	if err != nil {
		return err
	}
	for i := range others {
		other := &others[i]
		if !older(other, f.Account) {
			continue
		}
		f.DuplicateOf = fmt.Sprintf("MarketplaceAccount %q", other.Name)
		if other.Namespace != f.Account.Namespace {
			f.DuplicateOf = "a MarketplaceAccount of another namespace"
		}
		return nil
	}
	return nil
}

// heldElsewhere looks, where an answer was lost, whether another account holds a grant of the same seller and application: some
// platforms end all of them when a refresh token is used twice.
func (r *Reconciler) heldElsewhere(ctx context.Context, v lifecycle.Facts) (bool, error) {
	id := bounds.Cut(v.ExpectedAccount(), bounds.Name)
	if !v.Resting() || id == "" {
		return false, nil
	}
	others, err := r.accountsOfSeller(ctx, v.Account, id)
	if err != nil {
		return false, err
	}
	for i := range others {
		held, err := r.grants.Cached(ctx, &others[i])
		if err != nil {
			return false, err
		}
		custody, err := grantstore.CustodyIn(&others[i], held)
		if (err == nil || tokensecret.IsNewer(err)) && custody.RefreshToken != "" && custody.ClientID == v.Request.Application.ClientID {
			return true, nil
		}
	}
	return false, nil
}

// older tells which of two accounts was there first.
func older(a, b *v1alpha1.MarketplaceAccount) bool {
	if !a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.CreationTimestamp.Before(&b.CreationTimestamp)
	}
	return client.ObjectKeyFromObject(a).String() < client.ObjectKeyFromObject(b).String()
}

// accountsOfSameSeller finds the accounts that a changed one may be a duplicate of, or not any more.
func (l lookup) accountsOfSameSeller(ctx context.Context, object client.Object) []reconcile.Request {
	account, ok := object.(*v1alpha1.MarketplaceAccount)
	if !ok {
		return nil
	}
	var requests []reconcile.Request
	for _, seller := range sellersOf(account) {
		for _, request := range l.accounts(ctx, client.MatchingFields{indexSeller: seller}) {
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
			was, is := sellersOf(before), sellersOf(after)
			return len(was) != len(is) || len(is) > 0 && was[0] != is[0]
		},
		DeleteFunc:  func(event.DeleteEvent) bool { return true },
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}
