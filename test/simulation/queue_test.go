package simulation_test

import (
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// workQueue is a work queue whose items are worked on when the simulation says so, one after the other: the ones of the highest priority first,
// then the ones that came first, then by name. It implements priorityqueue.PriorityQueue.
type workQueue struct {
	limiter workqueue.TypedRateLimiter[reconcile.Request]
	// given hands an item to a worker; ended is closed when no more come.
	given chan reconcile.Request
	ended chan struct{}

	mu       sync.Mutex // guards the rest
	items    map[reconcile.Request]*queued
	working  map[reconcile.Request]chan struct{}
	shutDown bool
}

// queued is an item that waits.
type queued struct {
	at       time.Time
	priority int
}

func newWorkQueue(limiter workqueue.TypedRateLimiter[reconcile.Request]) *workQueue {
	return &workQueue{
		limiter: limiter, given: make(chan reconcile.Request), ended: make(chan struct{}),
		items: map[reconcile.Request]*queued{}, working: map[reconcile.Request]chan struct{}{},
	}
}

// AddWithOpts implements priorityqueue.PriorityQueue.
func (q *workQueue) AddWithOpts(o priorityqueue.AddOpts, requests ...reconcile.Request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, request := range requests {
		after := o.After
		if o.RateLimited {
			after = q.limiter.When(request)
		}
		at, priority := time.Now().Add(max(after, 0)), 0
		if o.Priority != nil {
			priority = *o.Priority
		}
		held := q.items[request]
		if held == nil {
			q.items[request] = &queued{at, priority}
			continue
		}
		if at.Before(held.at) {
			held.at = at
		}
		held.priority = max(held.priority, priority)
	}
}

// GetWithPriority implements priorityqueue.PriorityQueue.
func (q *workQueue) GetWithPriority() (reconcile.Request, int, bool) {
	select {
	case request := <-q.given:
		return request, 0, false
	case <-q.ended:
		return reconcile.Request{}, 0, true
	}
}

// Done implements workqueue.TypedInterface.
func (q *workQueue) Done(request reconcile.Request) {
	q.mu.Lock()
	defer q.mu.Unlock()
	close(q.working[request])
	delete(q.working, request)
}

// next returns the item that is due now and comes first, and else when one is due; zero when none waits.
func (q *workQueue) next() (request reconcile.Request, ready bool, at time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	var best *queued
	for other, held := range q.items {
		if q.working[other] != nil {
			continue
		}
		if held.at.After(now) {
			if at.IsZero() || held.at.Before(at) {
				at = held.at
			}
			continue
		}
		if best == nil || comesBefore(held, other, best, request) {
			best, request = held, other
		}
	}
	return request, best != nil, at
}

func comesBefore(a *queued, of reconcile.Request, b *queued, than reconcile.Request) bool {
	switch {
	case a.priority != b.priority:
		return a.priority > b.priority
	case !a.at.Equal(b.at):
		return a.at.Before(b.at)
	}
	return of.String() < than.String()
}

// work hands an item to a worker; the channel that it returns is closed when that is done with it.
func (q *workQueue) work(request reconcile.Request) <-chan struct{} {
	done := make(chan struct{})
	q.mu.Lock()
	delete(q.items, request)
	q.working[request] = done
	q.mu.Unlock()
	q.given <- request
	return done
}

// The rest of workqueue.TypedRateLimitingInterface.

func (q *workQueue) Add(request reconcile.Request) { q.AddWithOpts(priorityqueue.AddOpts{}, request) }

func (q *workQueue) AddAfter(request reconcile.Request, after time.Duration) {
	q.AddWithOpts(priorityqueue.AddOpts{After: after}, request)
}

func (q *workQueue) AddRateLimited(request reconcile.Request) {
	q.AddWithOpts(priorityqueue.AddOpts{RateLimited: true}, request)
}

func (q *workQueue) Forget(request reconcile.Request) { q.limiter.Forget(request) }

func (q *workQueue) NumRequeues(request reconcile.Request) int { return q.limiter.NumRequeues(request) }

func (q *workQueue) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items)
}

func (q *workQueue) Get() (reconcile.Request, bool) {
	request, _, shutDown := q.GetWithPriority()
	return request, shutDown
}

func (q *workQueue) ShutDown() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.shutDown {
		q.shutDown = true
		close(q.ended)
	}
}

func (q *workQueue) ShutDownWithDrain() { q.ShutDown() }

func (q *workQueue) ShuttingDown() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.shutDown
}
