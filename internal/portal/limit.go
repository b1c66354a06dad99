package portal

import (
	"context"
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
// a header. Behind a proxy everybody has one address, so nothing that is right may be refused for the failures of others
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

// admit begins an attempt, and whoever made it calls done with its result. It is within the limit if there is room for
// it beside those that are under way, all of which may fail: a burst of guesses is not looked at all at once. Those beyond
// the limit take no room from others.
func (l *limiter) admit(address netip.Prefix) (done func(failed bool), within bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.of(address)
	if within = l.wait(a) == 0; within {
		a.underWay++
	}
	return func(failed bool) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if within {
			a.underWay--
		}
		if failed {
			a.left.AllowN(l.clock.Now(), 1)
		}
	}, within
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

const (
	// doubtfulRate is how many tokens a second are looked at from addresses with too many wrong ones, all together.
	doubtfulRate = 5
	// doubtfulWait is how long such a token waits for its turn.
	doubtfulWait = 5 * time.Second
)

// slowLane lets attempts pass one after the other.
type slowLane struct {
	clock clock.PassiveClock
	turns *rate.Limiter
	sleep func(ctx context.Context, wait time.Duration) error
}

func newSlowLane(clock clock.PassiveClock) *slowLane {
	return &slowLane{clock: clock, turns: rate.NewLimiter(doubtfulRate, doubtfulRate), sleep: sleep}
}

// wait waits for a turn, unless too many others do.
func (s *slowLane) wait(ctx context.Context) error {
	now := s.clock.Now()
	turn := s.turns.ReserveN(now, 1)
	wait := turn.DelayFrom(now)
	if wait > doubtfulWait {
		turn.CancelAt(now)
		return &limitedError{wait}
	}
	return s.sleep(ctx, wait)
}

func sleep(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return &clusterError{"waiting to review a token", ctx.Err()}
	}
}

const (
	// maxLists is how many lists are made at once: each reads every account.
	maxLists = 8
	// listWait is how long another waits for one of them to be done.
	listWait = 5 * time.Second
)

// room bounds how much is done at once.
type room struct {
	places   chan struct{}
	patience time.Duration
}

// enter waits for a place. Who gets one leaves it, as often as he likes.
func (m *room) enter(ctx context.Context) (leave func(), err error) {
	patient, cancel := context.WithTimeout(ctx, m.patience)
	defer cancel()
	select {
	case m.places <- struct{}{}:
		return sync.OnceFunc(func() { <-m.places }), nil
	case <-patient.Done():
		if err := ctx.Err(); err != nil {
			return nil, &clusterError{"waiting to make a list", err}
		}
		return nil, &busyError{m.patience}
	}
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
