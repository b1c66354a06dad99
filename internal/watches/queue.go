package watches

import (
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// Priorities in the work queue. A change that a user makes has 0, and an account that the operator finds when it starts has less than all of
// these. They are set anew each time, since the queue would keep the priority that an account was first seen with.
const (
	// PriorityCalled is for an account that holds a place which other accounts wait for.
	PriorityCalled = 10
	// PriorityScheduled is for an account that is due.
	PriorityScheduled = -10
)

// Caller returns a function that puts an account into a work queue, after a while and with a priority.
func Caller(queue workqueue.TypedRateLimitingInterface[reconcile.Request]) func(account types.NamespacedName, after time.Duration, priority int) {
	return func(account types.NamespacedName, after time.Duration, priority int) {
		request := reconcile.Request{NamespacedName: account}
		if ranked, ok := queue.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
			ranked.AddWithOpts(priorityqueue.AddOpts{After: after, Priority: &priority}, request)
			return
		}
		queue.AddAfter(request, after)
	}
}
