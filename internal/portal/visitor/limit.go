package visitor

import (
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/utils/clock"
)

// limiter limits failures by their source: an address, or a ServiceAccount. Behind a proxy that is not trusted all visitors have
// one address, so a right token or link may not be refused for the failures of another visitor where that can be helped.
type limiter[K comparable] struct {
	clock    clock.PassiveClock
	failures int

	mu      sync.Mutex // guards sources and their allowances
	sources *recent[K, *allowance]
}

// allowance is how many failures one source has left.
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

// admit begins an attempt, and the caller calls done with its result. It is within the limit if there is room for it beside the
// attempts under way, all of which may fail: a burst of guesses is not looked at all at once. Attempts beyond the limit take no
// room from the ones within it.
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
