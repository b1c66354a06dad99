package portal

import (
	"math"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/utils/clock"
)

const (
	// maxAddresses bounds the memory of a limiter. Whoever has more addresses than that needs no limit to be evaded.
	maxAddresses = 10_000
	// tokenFailures are for a shop, which is one address and in which people mistype. Guesses are stopped by the size of
	// tokens; the limit is for the API server, which reviews each.
	tokenFailures = 10
	// linkFailures are more, because mail scanners open old links again and again, and none costs a call.
	linkFailures = 20
	// anotherFailure is after how long one more is allowed.
	anotherFailure = 5 * time.Second
)

// limiter limits failures by the address that they come from: that of the connection, since anybody can write
// a header. Behind a proxy everybody has one address, so nothing that is right may wait for the failures of others
// where that can be helped.
type limiter struct {
	clock    clock.PassiveClock
	failures int

	mu        sync.Mutex // guards what follows
	addresses *recent[netip.Prefix, *allowance]
}

// allowance is what one address may still fail.
type allowance struct {
	left     *rate.Limiter
	underWay int // attempts that may yet fail
}

func newLimiter(clock clock.PassiveClock, failures int) *limiter {
	return &limiter{clock: clock, failures: failures, addresses: newRecent[netip.Prefix, *allowance](maxAddresses)}
}

// of returns the allowance of an address. The caller holds the lock.
func (l *limiter) of(address netip.Prefix) *allowance {
	known, found := l.addresses.get(address)
	if !found {
		known = &allowance{left: rate.NewLimiter(rate.Every(anotherFailure), l.failures)}
		l.addresses.put(address, known)
	}
	return known
}

// wait tells after how long there is room for one attempt more; zero when there is now.
func (l *limiter) wait(a *allowance) time.Duration {
	missing := float64(a.underWay+1) - a.left.TokensAt(l.clock.Now())
	if missing <= 0 {
		return 0
	}
	return time.Duration(math.Ceil(missing * float64(anotherFailure)))
}

// admit asks for an attempt, and whoever gets one calls done with its result. It makes room for as many attempts
// at once as may still fail, and no more: a burst of guesses is one of those few. A positive wait means no.
func (l *limiter) admit(address netip.Prefix) (done func(failed bool), wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.of(address)
	if wait := l.wait(a); wait > 0 {
		return nil, wait
	}
	a.underWay++
	return func(failed bool) {
		l.mu.Lock()
		defer l.mu.Unlock()
		a.underWay--
		if failed {
			a.left.AllowN(l.clock.Now(), 1)
		}
	}, 0
}

// fail counts a failure. A positive wait means that there were too many.
func (l *limiter) fail(address netip.Prefix) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.of(address)
	if a.left.AllowN(l.clock.Now(), 1) {
		return 0
	}
	return l.wait(a)
}

// addressOf is where a request comes from. An IPv6 visitor has 2^64 addresses, so what counts is his network.
func addressOf(r *http.Request) netip.Prefix {
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Prefix{} // one allowance for all who cannot be told apart
	}
	address := remote.Addr().Unmap().WithZone("")
	bits := 64
	if address.Is4() {
		bits = 32
	}
	prefix, err := address.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return prefix
}
