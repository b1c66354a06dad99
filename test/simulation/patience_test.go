package simulation_test

import (
	"net/url"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// patience is how soon the next request for tokens may come after one that failed in a way that passes, and how often an account may be looked at.
type patience struct {
	// failures counts the requests that failed one after the other while nothing else happened, the last of them at failed, and least is how
	// long the next has to wait from then on.
	failures int
	failed   time.Time
	least    time.Duration
	// demanded tells that the marketplace demands the wait, and that it was not interrupted yet.
	demanded bool
	// looks counts the looks since the moment from.
	looks int
	from  time.Time
}

// restart forgets the failures: something has happened, and it may be worth another attempt.
func (p *patience) restart() { p.failures, p.least = 0, 0 }

// mostLooks is how often an account may be looked at in an hour of its own accord: each ten seconds while its token has expired, and a few times
// for all that may happen.
const mostLooks = 1200

// isLookedAt counts a look at an account.
func (w *world) isLookedAt(name string) {
	s := w.shop(name)
	if s == nil {
		return
	}
	p := &s.needs.patience
	if time.Since(p.from) > time.Hour {
		p.looks, p.from = 0, time.Now()
	}
	if p.looks++; p.looks > mostLooks*len(w.alive()) {
		w.breaks("%s was looked at %d times within %s", s.name, p.looks, time.Since(p.from).Truncate(time.Second))
	}
}

// keepsPace holds a request for tokens against the failures before it. name is how it will be answered.
func (w *world) keepsPace(m *market, form url.Values, name string) {
	s := w.shop(w.looking)
	if s == nil {
		return
	}
	switch form.Get("grant_type") {
	case "refresh_token", "password", "client_credentials":
	default:
		return // of a person who waits
	}
	p, how := &s.needs.patience, faults[name]
	since := time.Since(p.failed)
	if p.failures > 0 && len(w.alive()) == 1 && since < p.least-2*time.Second && !w.interrupts(s) { // both the failure and the next attempt are told in seconds
		w.breaks("tokens of %s were asked for %s after failure %d in a row, and the next attempt may come after %s", s.name, since, p.failures, p.least)
	}
	if !how.passes() || len(w.alive()) > 1 {
		p.restart()
		return
	}
	p.failures++
	p.failed, p.least = time.Now(), w.leastWait(s, m, how, p.failures)
	p.demanded = how.demands() > 0
}

// interrupts tells that a wait which the marketplace demands is interrupted, once, since the token is about to end.
func (w *world) interrupts(s *shop) bool {
	p, tokens := &s.needs.patience, w.custody(s).Tokens
	if !p.demanded || tokens == nil || tokens.ExpiresAt.Sub(time.Now().Add(w.clockOffset)) > 2*time.Minute+2*time.Second {
		return false
	}
	p.demanded = false
	return true
}

// passes tells that an answer brings neither tokens nor the platform's word.
func (f fault) passes() bool {
	return !f.verdict && (f.fails != nil || f.status != 0 || f.cut == "half" || f.late > time.Minute)
}

// leastWait is how long is waited at least after so many failures in a row: 10 s, 20 s and so on up to 10 minutes, at most a quarter of what is
// left of the token but 10 s, and as long as the marketplace demands. Within a grace, what is left of that decides.
func (w *world) leastWait(s *shop, m *market, how fault, failures int) time.Duration {
	if m.rotating && m.grace > 0 && s.grant != v1alpha1.GrantPassword && s.grant != v1alpha1.GrantClientCredentials {
		return 0
	}
	wait, left := min(10*time.Second<<min(failures-1, 6), 10*time.Minute), time.Duration(0)
	if tokens := w.custody(s).Tokens; tokens != nil {
		left = tokens.ExpiresAt.Sub(time.Now().Add(w.clockOffset))
	}
	return max(min(wait, max(left/4, 10*time.Second)), how.demands())
}
