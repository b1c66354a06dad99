package throttle

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// rest is how long a host that did not answer is left alone by Impatient. It is shorter than the time after which accounts look
// again for what they could not get, so that they do not come a moment too early.
const rest = 5 * time.Second

// Impatient carries requests that many wait for, and that none may wait for long: documents and keys of issuers. After one
// failure to answer, requests to that host fail at once, but for one now and then, until one is answered.
type Impatient struct {
	next  http.RoundTripper
	gates *Gates[int64]
	count atomic.Int64
}

// NewImpatient sends requests by next.
func NewImpatient(next http.RoundTripper, now func() time.Time) *Impatient {
	return &Impatient{next: next, gates: newGates(now, unlimited, 1, rest, func(int64) string { return "" })}
}

// unlimited is more than there can be at once.
const unlimited = 1 << 20

// errResting is what requests get while a host is left alone.
var errResting = errors.New("the host did not answer the last request, and is asked again in a moment")

// RoundTrip implements http.RoundTripper.
func (i *Impatient) RoundTrip(request *http.Request) (*http.Response, error) {
	who := i.count.Add(1)
	pass, _ := i.gates.Enter(Key{Host: request.URL.Host}, Limits{PerSecond: unlimited, Concurrency: unlimited}, who, Rank{})
	if pass == nil {
		i.gates.Forget(who)
		return nil, fmt.Errorf("%s: %w", request.URL.Host, errResting)
	}
	response, err := i.next.RoundTrip(request)
	pass.Leave(Outcome{Unavailable: err != nil})
	return response, err
}
