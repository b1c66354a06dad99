package portal

import (
	"context"
	"math"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/utils/clock"
)

// limiter limits failures by where they come from: by the address, or by the ServiceAccount. Behind a proxy that is not
// trusted everybody has one address, so nothing that is right may be refused for the failures of others where that can be
// helped.
type limiter[K comparable] struct {
	clock    clock.PassiveClock
	failures int

	mu      sync.Mutex // guards what follows
	sources *recent[K, *allowance]
}

// allowance is what one source may still fail.
type allowance struct {
	left     *rate.Limiter
	underWay int // attempts that may yet fail
}

func newLimiter[K comparable](clock clock.PassiveClock, failures, sources int) *limiter[K] {
	return &limiter[K]{clock: clock, failures: failures, sources: newRecent[K, *allowance](sources)}
}

// of returns the allowance of a source. The caller holds the lock.
func (l *limiter[K]) of(source K) *allowance {
	known, found := l.sources.get(source)
	if !found {
		known = &allowance{left: rate.NewLimiter(rate.Every(anotherFailure), l.failures)}
		l.sources.put(source, known)
	}
	return known
}

// wait tells after how long there is room for one attempt more; zero when there is now.
func (l *limiter[K]) wait(a *allowance) time.Duration {
	missing := float64(a.underWay+1) - a.left.TokensAt(l.clock.Now())
	if missing <= 0 {
		return 0
	}
	return time.Duration(math.Ceil(missing * float64(anotherFailure)))
}

// admit begins an attempt, and the caller calls done with its result. It is within the limit if there is room for
// it beside those that are under way, all of which may fail: a burst of guesses is not looked at all at once. Those beyond
// the limit take no room from others.
func (l *limiter[K]) admit(source K) (done func(failed bool), within bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.of(source)
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
func (l *limiter[K]) fail(source K) (wait time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	a := l.of(source)
	if a.left.AllowN(l.clock.Now(), 1) {
		return 0
	}
	return l.wait(a)
}

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

// room bounds how much is done at once.
type room struct {
	places   chan struct{}
	patience time.Duration
}

// enter waits for a place. The caller leaves it, as often as it likes.
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

// addressOf is where a request comes from: the address of the connection, or what a proxy that is trusted says. An IPv6 visitor
// has 2^64 addresses, so what counts is their network.
func (p *Portal) addressOf(r *http.Request) netip.Prefix {
	remote, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Prefix{} // one allowance for all that cannot be told apart
	}
	address := remote.Addr().Unmap().WithZone("")
	// Each proxy adds where it was asked from at the end; what stands before that of the first one not trusted is anybody's.
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !p.trusts(address) {
			break
		}
		before, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		address = before.Unmap().WithZone("")
	}
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

func (p *Portal) trusts(address netip.Addr) bool {
	return slices.ContainsFunc(p.trustedProxies, func(proxies netip.Prefix) bool { return proxies.Contains(address) })
}
