package demomarket

import (
	"slices"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/judge"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
)

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
// set yet. It is called with the market's lock held and must not call the market.
func (f Fault) When(match func(judge.Request) bool) Fault {
	f.when = match
	return f
}

// Inject puts a fault in force. Of several that fit a request, the one injected first strikes, and it alone.
func (m *Market) Inject(fault Fault) *Injected {
	injected := &Injected{
		market:   m,
		fault:    fault,
		reached:  make(chan struct{}),
		released: make(chan struct{}),
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults = append(m.faults, injected)
	return injected
}

// ClearFaults ends every fault, and releases the requests that hang.
func (m *Market) ClearFaults() {
	m.mu.Lock()
	faults := slices.Clone(m.faults)
	m.mu.Unlock()
	for _, injected := range faults {
		injected.Clear()
	}
}

// Hits returns how many requests the fault has struck.
func (i *Injected) Hits() int {
	i.market.mu.Lock()
	defer i.market.mu.Unlock()
	return i.hits
}

// Reached is closed when the fault strikes for the first time.
func (i *Injected) Reached() <-chan struct{} { return i.reached }

// Release lets the requests that hang, and the ones that would, go on to the platform.
func (i *Injected) Release() { i.release.Do(func() { close(i.released) }) }

// Clear ends the fault and releases the requests that hang.
func (i *Injected) Clear() {
	i.Release()
	i.market.mu.Lock()
	defer i.market.mu.Unlock()
	i.market.faults = slices.DeleteFunc(i.market.faults, func(other *Injected) bool { return other == i })
}

// strike returns the fault that a request meets, nil when it meets none.
func (m *Market) strike(x *exchange) *Injected {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, injected := range m.faults {
		fault := injected.fault
		if fault.endpoint != x.endpoint || (fault.times > 0 && injected.hits >= fault.times) {
			continue
		}
		if fault.when != nil && !fault.when(x.describe(m.platform.Name)) {
			continue
		}
		injected.hits++
		if injected.hits == 1 {
			close(injected.reached)
		}
		x.injected = injected
		return injected
	}
	return nil
}
