package faults

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"sync"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/judge"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
)

// Strike is the effect of a fault on one request, besides an answer in the platform's place.
type Strike struct {
	// Injected is the fault that struck; nil when none did.
	Injected *Injected
	// ExpiresIn is the raw JSON of expires_in; empty leaves the platform's.
	ExpiresIn string
	// Callback changes the parameters of the callback; nil leaves them.
	Callback func(url.Values)
	// Dropped tells that the fault meant the answer to be lost.
	Dropped bool
	// Refuse answers with the platform's words for an outcome.
	Refuse func(http.ResponseWriter, platforms.Outcome)
}

type strikeKey struct{}

// With returns a request that faults find their strike in.
func With(r *http.Request, strike *Strike) *http.Request {
	return r.WithContext(context.WithValue(r.Context(), strikeKey{}, strike))
}

// strikeOf returns the strike of a request.
func strikeOf(r *http.Request) *Strike {
	strike, _ := r.Context().Value(strikeKey{}).(*Strike)
	return strike
}

// Injector holds the faults in force of a market. It is safe for concurrent use.
type Injector struct {
	mu     sync.Mutex // guards faults and their hits
	faults []*Injected
}

// Injected is a fault in force. It is safe for concurrent use.
type Injected struct {
	injector *Injector
	fault    Fault
	hits     int // guarded by the injector's lock
	reached  chan struct{}
	released chan struct{}
	release  sync.Once
}

// Inject puts a fault in force. Of several that fit a request, the one injected first strikes, and it alone.
func (f *Injector) Inject(fault Fault) *Injected {
	injected := &Injected{injector: f, fault: fault, reached: make(chan struct{}), released: make(chan struct{})}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, injected)
	return injected
}

// Clear ends every fault, and releases the requests that hang.
func (f *Injector) Clear() {
	f.mu.Lock()
	faults := slices.Clone(f.faults)
	f.mu.Unlock()
	for _, injected := range faults {
		injected.Clear()
	}
}

// Strike finds the fault that a request to an endpoint meets, and notes it in the strike; nil when it meets none. describe is called for
// faults that look at requests.
func (f *Injector) Strike(endpoint platforms.Endpoint, strike *Strike, describe func() judge.Request) Hook {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, injected := range f.faults {
		fault := injected.fault
		if fault.endpoint != endpoint || (fault.times > 0 && injected.hits >= fault.times) {
			continue
		}
		if fault.when != nil && !fault.when(describe()) {
			continue
		}
		injected.hits++
		if injected.hits == 1 {
			close(injected.reached)
		}
		strike.Injected = injected
		return fault.hook
	}
	return nil
}

// Hits returns how many requests the fault has struck.
func (i *Injected) Hits() int {
	i.injector.mu.Lock()
	defer i.injector.mu.Unlock()
	return i.hits
}

// Reached is closed when the fault strikes for the first time.
func (i *Injected) Reached() <-chan struct{} { return i.reached }

// Release lets the requests that hang, and the ones that would, go on to the platform.
func (i *Injected) Release() { i.release.Do(func() { close(i.released) }) }

// Clear ends the fault and releases the requests that hang.
func (i *Injected) Clear() {
	i.Release()
	i.injector.mu.Lock()
	defer i.injector.mu.Unlock()
	i.injector.faults = slices.DeleteFunc(i.injector.faults, func(other *Injected) bool { return other == i })
}
