package faults

import (
	"net/http"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/judge"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
)

// Hook answers a request in the platform's place. It may call next, which is the platform; an answer that it takes from
// there and does not pass on counts as lost.
type Hook func(w http.ResponseWriter, r *http.Request, next http.Handler)

// Fault is a failure of an endpoint. Its methods return changed copies, so that a test reads
//
//	allegro.Inject(demomarket.Throttle(30).Times(2))
//
// The zero value is of no use; one of the functions that return a Fault makes one.
type Fault struct {
	hook     Hook
	endpoint platforms.Endpoint
	times    int
	when     func(judge.Request) bool
}

// newFault returns a fault of the token endpoint that strikes until it is cleared.
func newFault(hook Hook) Fault { return Fault{hook: hook, endpoint: platforms.TokenEndpoint} }

// Times makes the fault strike n requests and no more. Zero means that it strikes until it is cleared.
func (f Fault) Times(n int) Fault {
	f.times = n
	return f
}

// Once is Times(1).
func (f Fault) Once() Fault { return f.Times(1) }

// On aims the fault at another endpoint than the token endpoint.
func (f Fault) On(endpoint platforms.Endpoint) Fault {
	f.endpoint = endpoint
	return f
}

// When makes the fault strike only requests for which match holds. Of the Request, the fields that depend on the answer are not
// set yet. It is called with a lock held and must not inject or clear faults.
func (f Fault) When(match func(judge.Request) bool) Fault {
	f.when = match
	return f
}
