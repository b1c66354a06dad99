package simulation_test

import (
	"cmp"
	"net/http"
	"net/url"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
)

// patience is how soon the next request for tokens may come after one that failed in a way that passes, and how often an account may be looked at.
type patience struct {
	// failures counts the requests that failed one after the other while nothing else happened, the last of them at failed, and least is how
	// long the next has to wait from then on.
	failures int
	failed   time.Time
	least    time.Duration
	// denied counts those of them in which a login was answered 401 or 403 without an error code.
	denied int
	// lost is the single-use refresh token whose answer was lost, and sent how often it was sent from then on.
	lost string
	sent int
	// demanded tells that the marketplace demands the wait, and that it was not interrupted yet.
	demanded bool
	// acted is the last request of a person for a renewal that did not wait for the end of a wait.
	acted string
	// looks counts the looks since the moment from.
	looks int
	from  time.Time
}

// restart forgets the failures: a change has come, and it may be worth another attempt.
func (p *patience) restart() { p.failures, p.least, p.denied, p.lost, p.sent = 0, 0, 0, "", 0 }

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

// asksByItself tells that a request asks for tokens for which no person waits.
func asksByItself(form url.Values) bool {
	switch form.Get("grant_type") {
	case "refresh_token", "password", "client_credentials":
		return true
	}
	return false
}

// keepsPace holds a request for tokens against the failures before it.
func (w *world) keepsPace(form url.Values) {
	s := w.shop(w.looking)
	if s == nil || !asksByItself(form) {
		return
	}
	p := &s.needs.patience
	if token := form.Get("refresh_token"); p.lost != "" && p.lost != token {
		p.restart() // the wait was that of another token
	}
	since := time.Since(p.failed)
	if p.failures > 0 && len(w.alive()) == 1 && since < p.least-2*time.Second && !w.interrupts(s) && !w.isAsked(s) { // both the failure and the next attempt are told in seconds
		w.breaks("tokens of %s were asked for %s after failure %d in a row, and the next attempt may come after %s", s.name, since, p.failures, p.least)
	}
}

// notesFailure notes how a request for tokens is answered, and how long is waited after that. status is that of the platform where it acts.
func (w *world) notesFailure(m *market, form url.Values, how fault, status int) {
	s := w.shop(w.looking)
	if s == nil || !asksByItself(form) {
		return
	}
	p := &s.needs.patience
	if !how.passes() || len(w.alive()) > 1 {
		p.restart()
		return
	}
	p.failures++
	arrived := how.arrives(status)
	denied := s.grant == v1alpha1.GrantPassword && (arrived == http.StatusUnauthorized || arrived == http.StatusForbidden)
	switch token := form.Get("refresh_token"); {
	case denied:
		p.denied++
	case m.rotating && m.grace == 0 && token != "" && (p.lost == token || how.loses(arrived)):
		p.lost = token
		p.sent++
	}
	p.failed, p.least = time.Now(), max(w.leastWait(s, m, denied), how.demands())
	p.demanded = how.demands() > 0
}

// interrupts tells that a wait which the marketplace demands is interrupted, once, since the token is about to end, or the grace of a refresh token that
// may be spent.
func (w *world) interrupts(s *shop) bool {
	p, held, now := &s.needs.patience, w.custody(s), time.Now().Add(w.clockOffset)
	ends := held.Tokens != nil && held.Tokens.ExpiresAt.Sub(now) <= 2*time.Minute+2*time.Second
	for _, journal := range []*custody.Journal{held.Journal, held.ImportJournal} {
		if grace := w.markets[s.market].grace; grace > 0 && journal != nil {
			left := journal.StartedAt.Add(grace).Sub(now)
			ends = ends || left > 0 && left < grace/4
		}
	}
	if !p.demanded || !ends {
		return false
	}
	p.demanded = false
	return true
}

// isAsked tells, once, that a person's request for a renewal was not acted on yet: one that came soon after others has to wait, and goes through
// after failures all the same.
func (w *world) isAsked(s *shop) bool {
	account := w.account(s)
	if account == nil {
		return false
	}
	asked, handled := account.Annotations[v1alpha1.AnnotationRenew], account.Status.Handled
	if asked == "" || asked == s.needs.patience.acted || handled != nil && handled.Renew == asked {
		return false
	}
	s.needs.patience.acted = asked
	return true
}

// passes tells that an answer brings neither tokens nor the platform's word.
func (f fault) passes() bool {
	return !f.verdict && (f.fails != nil || f.status != 0 || f.cut == "half" || f.late > time.Minute)
}

// arrives is the status that the operator reads, where the platform's is status; zero where it reads none.
func (f fault) arrives(status int) int {
	if f.fails != nil || f.late > time.Minute {
		return 0
	}
	return cmp.Or(f.status, status)
}

// loses tells that it is unknown whether the platform acted on a refresh token that is good for one use. arrived is the status that the operator reads.
func (f fault) loses(arrived int) bool {
	return !f.unsent && (arrived == 0 || arrived == http.StatusRequestTimeout || arrived >= http.StatusInternalServerError ||
		f.cut != "" && arrived == http.StatusOK)
}

// leastWait is how long is waited at least after a failure, whatever the marketplace demands. A login that was denied, since it was answered 401 or 403
// without an error code, is left alone for 1, 10 and 60 minutes, and a single-use refresh token whose answer was lost for 90 s, and then for twice as
// long each time, up to an hour. After other failures it is 10 s, 20 s and so on up to 10 minutes, at most a quarter of what is left of the token but
// 10 s. Within a grace, what is left of that decides.
func (w *world) leastWait(s *shop, m *market, denied bool) time.Duration {
	p := &s.needs.patience
	switch {
	case denied:
		return []time.Duration{time.Minute, 10 * time.Minute, time.Hour}[min(p.denied, 3)-1]
	case p.lost != "":
		return min(90*time.Second<<min(max(p.sent-2, 0), 6), time.Hour)
	case m.rotating && m.grace > 0 && s.grant != v1alpha1.GrantPassword && s.grant != v1alpha1.GrantClientCredentials:
		return 0
	}
	wait, left := min(10*time.Second<<min(p.failures-1, 6), 10*time.Minute), time.Duration(0)
	if tokens := w.custody(s).Tokens; tokens != nil {
		left = tokens.ExpiresAt.Sub(time.Now().Add(w.clockOffset))
	}
	return min(wait, max(left/4, 10*time.Second))
}
