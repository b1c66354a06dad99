package watches

import (
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/accountindex"
)

// accountChanged lets through a user's changes of an account, and not the operator's own status.
func accountChanged() predicate.Predicate {
	return predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, after := e.ObjectOld, e.ObjectNew
			if before.GetGeneration() != after.GetGeneration() || before.GetUID() != after.GetUID() || !after.GetDeletionTimestamp().IsZero() {
				return true
			}
			for _, request := range []string{v1alpha1.AnnotationRenew, v1alpha1.AnnotationVerify, v1alpha1.AnnotationSignIn} {
				if before.GetAnnotations()[request] != after.GetAnnotations()[request] {
					return true
				}
			}
			return false
		},
	}
}

// versionChanged drops the cache's periodic repetition of objects that did not change.
func versionChanged[object client.Object]() predicate.TypedPredicate[object] {
	return predicate.TypedFuncs[object]{
		UpdateFunc: func(e event.TypedUpdateEvent[object]) bool {
			return e.ObjectOld.GetResourceVersion() != e.ObjectNew.GetResourceVersion()
		},
	}
}

// sellerChanged lets through accounts that hold the tokens of another seller than before, or are gone. Both the seller
// before and the one after are looked at, since a handler sees the object before and after an update.
func sellerChanged() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(event.CreateEvent) bool { return false }, // in a restart all come, and each looks for itself
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, after := e.ObjectOld.(*v1alpha1.MarketplaceAccount), e.ObjectNew.(*v1alpha1.MarketplaceAccount)
			was, is := accountindex.SellersOf(before), accountindex.SellersOf(after)
			return len(was) != len(is) || len(is) > 0 && was[0] != is[0]
		},
		DeleteFunc:  func(event.DeleteEvent) bool { return true },
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}
