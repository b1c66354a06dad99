package peers

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
	"github.com/tokenkeeper/tokenkeeper/internal/throttle"
)

const (
	// afterStart is how long a process waits before an account asks again for an application that was refused before it began. By then
	// it has seen all accounts, and knows when one of them asked last.
	afterStart = time.Minute
	// askingFor is how long an account has to ask, in its turn, before another may.
	askingFor = time.Minute
	// singleUseCosts and passwordCosts are how much later an account asks that sends a single-use refresh token or a password: another
	// one, that sends neither, has asked by then where there is one.
	singleUseCosts, passwordCosts = time.Minute, 2 * time.Minute
	// forgetRejected is when an application is forgotten after its last account has said that it is refused. Accounts look more often.
	// mostRejected bounds how many are remembered: each edit of a client secret makes another one. An application that is forgotten too
	// early is found again in the custody of its accounts, as after a restart.
	forgetRejected = 3 * time.Hour
	mostRejected   = 1024
)

// Applications remembers the applications that a marketplace has refused. Some marketplaces refuse for a moment an application that is in
// order, such as one whose new client secret has not reached all of their servers yet. So one account of the application asks again now and
// then, and when it is served, all accounts ask.
//
// How often an account has asked is kept with its refusal in its custody. Applications sums this up over all accounts, and is built anew from
// their custody after a restart. It may be used by many goroutines at once. All exported fields are required.
type Applications struct {
	// LimiterOf names the limiter of a request, whose key stands for the application.
	LimiterOf func(facts.Request) (throttle.Key, throttle.Limits)
	// Now tells the time.
	Now func() time.Time
	// Wake puts the accounts whose application was refused into the work queue.
	Wake func()

	mu       sync.Mutex // guards rejected
	rejected map[throttle.Key]*rejected
}

// rejected is one application that was refused.
type rejected struct {
	// since is when this process heard of the refusal, and seen when an account last reported it.
	since, seen time.Time
	// lastAt is when the last account was refused, after as many tries in a row.
	lastAt time.Time
	tries  int32
	// workedAt is when the application was accepted last.
	workedAt time.Time
	// asking is the account that asks now, and may do so for a while.
	asking      types.NamespacedName
	askingUntil time.Time
}

// AskAgain tells whether an account whose application was refused asks again now, since it is its turn, and when to look again; zero where its
// application is in order.
func (a *Applications) AskAgain(f facts.Facts) (asks bool, lookAgain time.Time) {
	f.AsksAgain = false // so that the refusal counts
	refused := f.RejectedApplication()
	if refused == nil || f.Suspended() {
		return false, time.Time{}
	}
	costs := time.Duration(0)
	switch {
	case f.Request.Grant == v1alpha1.GrantPassword:
		costs = passwordCosts
	case refused == f.Custody.Refused && f.Request.Rotates():
		costs = singleUseCosts
	}
	key, _ := a.LimiterOf(f.Request)
	return a.mayAsk(key, client.ObjectKeyFromObject(f.Account), refused, costs, f.Now)
}

// Answered notes whether the answer to a request shows that the application was accepted; failure is nil for tokens.
func (a *Applications) Answered(req facts.Request, failure error) {
	if !a.any() {
		return
	}
	if failure != nil {
		switch answer.AsError(failure).Kind {
		case answer.GrantRejected, answer.Pending, answer.SlowDown:
		default:
			return
		}
	}
	if key, _ := a.LimiterOf(req); a.worked(key, a.Now()) {
		a.Wake()
	}
}

// mayAsk tells whether an account whose application was refused asks again now, or when to look again.
func (a *Applications) mayAsk(key throttle.Key, who types.NamespacedName, refused *custody.Refusal, costs time.Duration, now time.Time) (bool, time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	of, at := a.of(key, now), refused.At
	of.seen = now
	if at.After(now) { // the clock was set back
		at = of.since
	}
	if at.After(of.lastAt) {
		of.lastAt, of.tries = at, max(refused.Tries, of.tries)
		if of.asking == who || of.askingUntil.Before(now) {
			of.asking, of.askingUntil = types.NamespacedName{}, time.Time{}
		}
	}
	if of.workedAt.After(at) { // others are served with it
		next := renewal.AskAgainAt(at, max(refused.Tries-fewTries, 0))
		return refused.Tries == 0 || !now.Before(next), next
	}
	next := renewal.AskAgainAt(of.lastAt, of.tries).Add(costs)
	if soonest := of.since.Add(afterStart + costs); next.Before(soonest) {
		next = soonest
	}
	switch {
	case now.Before(next):
		return false, next
	case of.asking != who && now.Before(of.askingUntil):
		return false, of.askingUntil
	}
	of.asking, of.askingUntil = who, now.Add(askingFor)
	return true, of.askingUntil
}

// fewTries is how often an account asks every few minutes while it alone is refused, and other accounts of its application are served.
const fewTries = 5

// of finds or makes the entry of an application, and forgets others.
func (a *Applications) of(key throttle.Key, now time.Time) *rejected {
	if of := a.rejected[key]; of != nil {
		if of.since.After(now) || of.workedAt.After(now) { // the clock was set back
			*of = rejected{since: now}
		}
		return of
	}
	if len(a.rejected) >= mostRejected {
		a.forget(now)
	}
	if a.rejected == nil {
		a.rejected = map[throttle.Key]*rejected{}
	}
	of := &rejected{since: now}
	a.rejected[key] = of
	return of
}

// forget makes room: it drops the applications that no account has any more, and then as many of the rest as it takes.
func (a *Applications) forget(now time.Time) {
	for key, of := range a.rejected {
		if now.Sub(of.seen) > forgetRejected {
			delete(a.rejected, key)
		}
	}
	for key := range a.rejected {
		if len(a.rejected) < mostRejected*3/4 {
			return
		}
		delete(a.rejected, key)
	}
}

// worked notes that an application was accepted, and tells whether accounts of it wait to hear that.
func (a *Applications) worked(key throttle.Key, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	of := a.rejected[key]
	if of == nil {
		return false
	}
	waiting := !of.workedAt.After(of.lastAt)
	of.workedAt, of.tries, of.asking, of.askingUntil = now, 0, types.NamespacedName{}, time.Time{}
	return waiting
}

// any tells whether an application is known to be refused.
func (a *Applications) any() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.rejected) > 0
}
