package watches

import (
	"context"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// pressingFirst lets accounts with work to do go first when the operator starts: without it they come in the order of their names, among thousands that
// are looked at in vain.
func pressingFirst(now func() time.Time) handler.EventHandler {
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			account, ok := e.Object.(*v1alpha1.MarketplaceAccount)
			if ok && e.IsInInitialList && isPressing(account, now()) {
				Caller(queue)(client.ObjectKeyFromObject(account), 0, PriorityScheduled)
			}
		},
	}
}

// isPressing tells by its status alone that an account is new, was edited, or has a token that is due or has expired.
func isPressing(account *v1alpha1.MarketplaceAccount, now time.Time) bool {
	if account.Status.ObservedGeneration != account.Generation {
		return true
	}
	token := account.Status.AccessToken
	return token != nil && !token.RenewalTime.IsZero() && !token.RenewalTime.After(now)
}
