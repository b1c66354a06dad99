package throttle

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// failFastPause is how long FailFast leaves a host alone that did not answer. It is shorter than the time after which accounts look
// again for a document that they could not get, so that they do not come a moment too early.
const failFastPause = 5 * time.Second

// unlimited is more than there can be at once.
const unlimited = 1 << 20

// errFailingFast is the answer to requests while a host is left alone.
var errFailingFast = errors.New("the host did not answer the last request, and is asked again in a moment")

// FailFast carries requests that many accounts wait for, and that none may wait for long: documents and keys of issuers. After one
// failure to answer, requests to that host fail at once, but for one now and then, until one is answered.
type FailFast struct {
	next     http.RoundTripper
	limiters *Limiters[int64]
	count    atomic.Int64
}

// NewFailFast sends requests by next.
func NewFailFast(next http.RoundTripper, now func() time.Time) *FailFast {
	return &FailFast{next: next, limiters: newLimiters(now, unlimited, 1, failFastPause, func(int64) string { return "" })}
}

// RoundTrip implements http.RoundTripper.
func (f *FailFast) RoundTrip(request *http.Request) (*http.Response, error) {
	waiter := f.count.Add(1)
	permit, _ := f.limiters.TryAcquire(Key{Host: request.URL.Host}, Limits{PerSecond: unlimited, Concurrency: unlimited}, waiter, Priority{})
	if permit == nil {
		f.limiters.Forget(waiter)
		return nil, fmt.Errorf("%s: %w", request.URL.Host, errFailingFast)
	}
	response, err := f.next.RoundTrip(request)
	permit.Release(Outcome{Unavailable: err != nil})
	return response, err
}
