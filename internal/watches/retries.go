package watches

import (
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// retries are the waits after an error of the API server, which double. An account that fails again while the longest of them might still
// last goes on where it was: between two failures there may be looks that do nothing, since the account waits for its turn at a marketplace.
type retries struct {
	workqueue.TypedRateLimiter[reconcile.Request]
	now  func() time.Time
	most time.Duration

	mu     sync.Mutex // guards the rest
	failed map[reconcile.Request]time.Time
	swept  time.Time
}

// Retries returns waits that double from least to most.
func Retries(now func() time.Time, least, most time.Duration) workqueue.TypedRateLimiter[reconcile.Request] {
	return &retries{
		TypedRateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](least, most),
		now:              now, most: most, failed: map[reconcile.Request]time.Time{},
	}
}

// When implements workqueue.TypedRateLimiter.
func (r *retries) When(request reconcile.Request) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	r.sweep(now)
	r.failed[request] = now
	return r.TypedRateLimiter.When(request)
}

// Forget implements workqueue.TypedRateLimiter, for a look without an error.
func (r *retries) Forget(request reconcile.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	failed, ok := r.failed[request]
	if since := r.now().Sub(failed); ok && since >= 0 && since < r.most {
		return
	}
	delete(r.failed, request)
	r.TypedRateLimiter.Forget(request)
}

// sweep forgets accounts that failed long ago: those that are gone since.
func (r *retries) sweep(now time.Time) {
	long := 6 * r.most
	if since := now.Sub(r.swept); since >= 0 && since < long {
		return
	}
	r.swept = now
	for request, failed := range r.failed {
		if now.Sub(failed) >= long {
			delete(r.failed, request)
			r.TypedRateLimiter.Forget(request)
		}
	}
}
