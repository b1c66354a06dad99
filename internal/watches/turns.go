package watches

import (
	"context"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// One write of a Secret concerns every account that names it, as many as a namespace has. So these accounts wait beside the accounts that are due: before
// them, a tenant that writes such a Secret all the time would keep the renewals of all tenants out of the queue.

type requests = workqueue.TypedRateLimitingInterface[reconcile.Request]

// turns is a work queue that puts an account behind the accounts that are due already.
type turns struct {
	priorityqueue.PriorityQueue[reconcile.Request]
}

// Add implements workqueue.TypedInterface.
func (t turns) Add(account reconcile.Request) {
	t.AddWithOpts(priorityqueue.AddOpts{Priority: new(PriorityScheduled)}, account)
}

// AddRateLimited implements workqueue.TypedRateLimitingInterface.
func (t turns) AddRateLimited(account reconcile.Request) {
	t.AddWithOpts(priorityqueue.AddOpts{RateLimited: true, Priority: new(PriorityScheduled)}, account)
}

// inTurn is the queue for accounts that wait beside the accounts that are due.
func inTurn(queue requests) requests {
	if ranked, ok := queue.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
		return turns{ranked}
	}
	return queue
}

// ofSecrets puts the accounts in turn that the change of a Secret concerns.
type ofSecrets struct{ handler.EventHandler }

// Create implements handler.EventHandler.
func (h ofSecrets) Create(ctx context.Context, made event.CreateEvent, queue requests) {
	h.EventHandler.Create(ctx, made, inTurn(queue))
}

// Update implements handler.EventHandler.
func (h ofSecrets) Update(ctx context.Context, changed event.UpdateEvent, queue requests) {
	h.EventHandler.Update(ctx, changed, inTurn(queue))
}

// Delete implements handler.EventHandler.
func (h ofSecrets) Delete(ctx context.Context, gone event.DeleteEvent, queue requests) {
	h.EventHandler.Delete(ctx, gone, inTurn(queue))
}

// Generic implements handler.EventHandler.
func (h ofSecrets) Generic(ctx context.Context, told event.GenericEvent, queue requests) {
	h.EventHandler.Generic(ctx, told, inTurn(queue))
}

var _ handler.TypedEventHandler[client.Object, reconcile.Request] = ofSecrets{}

// foreignSecrets puts the accounts in turn that a source of changed Secrets names.
type foreignSecrets struct{ source.Source }

// Start implements source.Source.
func (s foreignSecrets) Start(ctx context.Context, queue requests) error {
	return s.Source.Start(ctx, inTurn(queue))
}

// WaitForSync implements source.SyncingSource.
func (s foreignSecrets) WaitForSync(ctx context.Context) error {
	if syncing, ok := s.Source.(source.SyncingSource); ok {
		return syncing.WaitForSync(ctx)
	}
	return nil
}
