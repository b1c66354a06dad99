package throttle

import (
	"sync"
	"time"
)

// Allowance bounds how often each of many, the askers, may have a request carried out: a few times at once, and once more in each interval.
// A request is never dropped. It waits until it is admitted, and one that takes its place before it was carried out stands for both.
//
// It remembers nothing but the askers that have used some of theirs lately. It may be used by many goroutines at once.
type Allowance[K comparable] struct {
	now    func() time.Time
	atOnce int
	every  time.Duration

	mu      sync.Mutex
	used    map[K]allowed
	sweepAt int
}

// Request tells apart the requests that one asker may make at the same time. All of them count together.
type Request uint8

// allowed is what one asker has used.
type allowed struct {
	// whole is when nothing is used any more (a generic cell rate algorithm's theoretical arrival time).
	whole time.Time
	// admitted are the requests that were let through and not carried out yet, a bit for each.
	admitted Request
}

// NewAllowance lets each asker have as many at once, and one more in each interval.
func NewAllowance[K comparable](now func() time.Time, atOnce int, every time.Duration) *Allowance[K] {
	return &Allowance[K]{now: now, atOnce: max(atOnce, 1), every: every, used: map[K]allowed{}, sweepAt: 64}
}

// Admit lets a request through, or tells when it will. Asking again about one that was let through costs nothing until Done.
func (a *Allowance[K]) Admit(asker K, request Request) (ok bool, next time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now, held := a.now(), a.used[asker]
	if held.admitted&request != 0 {
		return true, time.Time{}
	}
	burst := time.Duration(a.atOnce) * a.every
	if most := now.Add(burst); held.whole.After(most) { // the clock was set back
		held.whole = most
	}
	if held.whole.Before(now) {
		held.whole = now
	}
	if free := held.whole.Add(a.every - burst); free.After(now) {
		a.used[asker] = held
		return false, free
	}
	if len(a.used) >= a.sweepAt {
		a.sweep(now)
	}
	held.whole = held.whole.Add(a.every)
	held.admitted |= request
	a.used[asker] = held
	return true, time.Time{}
}

// Done tells that a request was carried out: the next one is another.
func (a *Allowance[K]) Done(asker K, request Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if held, ok := a.used[asker]; ok {
		held.admitted &^= request
		a.used[asker] = held
	}
}

// Len is how many askers are remembered.
func (a *Allowance[K]) Len() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.used)
}

// sweep forgets the askers that have all of theirs again.
func (a *Allowance[K]) sweep(now time.Time) {
	for asker, held := range a.used {
		if !held.whole.After(now) {
			delete(a.used, asker)
		}
	}
	a.sweepAt = max(64, 2*len(a.used))
}
