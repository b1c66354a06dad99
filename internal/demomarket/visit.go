package demomarket

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
)

// visitLifetime is how long a person may take on the pages.
const visitLifetime = 10 * time.Minute

// step is the next need of a visit.
type step string

const (
	loginStep   step = "login"
	accountStep step = "account"
	consentStep step = "consent"
	doneStep    step = "done"
)

// wants tells whether the application asked for a prompt.
func (v *visit) wants(prompt string) bool { return slices.Contains(v.prompts, prompt) }

// next tells what the visit needs of a browser with that session, which is nil when it is not logged in. A stale browser,
// one that was logged in and consented before, needs nothing unless the application asked for it.
func (v *visit) next(held *session) step {
	fresh := held != nil && held == v.login
	switch {
	case held == nil, v.wants("login") && !fresh:
		return loginStep
	case (v.wants("confirm") || v.wants("select_account")) && !fresh && held != v.confirmed:
		return accountStep
	case v.wants("consent"), !held.consented(v.clientID, v.scopes):
		return consentStep
	}
	return doneStep
}

// silent tells why a visit cannot pass without a page, if it cannot (OpenID Connect Core section 3.1.2.6).
func (v *visit) silent(held *session) *denial {
	switch v.next(held) {
	case loginStep:
		return deny(platforms.LoginRequired, "nobody is logged in")
	case consentStep:
		return deny(platforms.ConsentRequired, "nobody has consented")
	}
	return nil
}

// servePages serves an endpoint that people look at: begin answers the request that leads there, and the forms on its
// pages are answered here. Pages of other sites cannot send them.
func (m *Market) servePages(w http.ResponseWriter, r *http.Request, begin func(*exchange) reply) {
	x := exchangeOf(r)
	x.outcome = platforms.OK
	var answer reply
	switch r.Method {
	case http.MethodGet:
		answer = begin(x)
	case http.MethodPost:
		answer = m.answerForm(x)
	default:
		w.Header().Set("Allow", "GET, POST")
		answer = stopped(http.StatusMethodNotAllowed, "This is a page", "It can be looked at and filled in.")
	}
	m.reply(w, x, answer)
}

// answerForm goes on with a visit as a person has filled in or pressed.
func (m *Market) answerForm(x *exchange) reply {
	if err := http.NewCrossOriginProtection().Check(x.request); err != nil {
		return stopped(http.StatusForbidden, "Not from here", "The form was sent by a page of another site.")
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	v := m.visits[x.parameters["visit"]]
	if x.unreadable != nil || v == nil || v.endpoint != x.endpoint || !m.now().Before(v.expires) {
		return stopped(http.StatusBadRequest, "This page is out of date", "Please go back to the application and start again.")
	}
	held := m.session(x)
	now := v.next(held)
	switch {
	case now == loginStep && x.parameters["action"] == "login":
		return m.logIn(x, v)
	case now == loginStep, x.parameters["account"] != held.seller.ID: // in another tab, the browser was logged in anew
		return m.show(x, v, held, "")
	}
	return m.press(x, v, held, now)
}

// press answers a button on a page that shows an account.
func (m *Market) press(x *exchange, v *visit, held *session, now step) reply {
	action := x.parameters["action"]
	switch {
	case action == "switch":
		delete(m.sessions, held.id)
		return m.goOn(x, v, nil)
	case now == accountStep && action == "continue":
		v.confirmed = held
	case now == consentStep && action == "allow":
		held.consent(v.clientID, v.scopes)
		return m.finish(v, v.errand.allowed(m, x, held.seller))
	case now == consentStep && action == "deny":
		return m.finish(v, v.errand.denied(m, x))
	}
	return m.goOn(x, v, held)
}

// logIn answers the login page.
func (m *Market) logIn(x *exchange, v *visit) reply {
	known := m.users[x.parameters["username"]]
	if known == nil {
		return m.show(x, v, nil, "Login refused: wrong user name or password.")
	}
	if denied := known.check(x.parameters["password"], m.platform.LockAfter); denied != nil {
		return m.show(x, v, nil, "Login refused: "+denied.words+".")
	}
	held, err := m.newSession(x, m.knownSeller(known.seller))
	if err != nil {
		return broken(err)
	}
	v.login = held
	answer := m.goOn(x, v, held)
	answer.session = held.id
	return answer
}

// goOn takes the next step of a visit.
func (m *Market) goOn(x *exchange, v *visit, held *session) reply {
	if v.next(held) == doneStep {
		return m.finish(v, v.errand.allowed(m, x, held.seller))
	}
	return m.show(x, v, held, "")
}

// show answers with the page that a visit needs next. A visit is remembered from its first page on.
func (m *Market) show(x *exchange, v *visit, held *session, message string) reply {
	if v.id == "" {
		id, err := m.server.random()
		if err != nil {
			return broken(err)
		}
		now := m.now()
		maps.DeleteFunc(m.visits, func(_ string, other *visit) bool { return !now.Before(other.expires) })
		v.id, v.endpoint, v.expires = id, x.endpoint, now.Add(visitLifetime)
		m.visits[id] = v
	}
	return m.screen(x, v, held, message)
}

// finish forgets a visit and passes its answer on.
func (m *Market) finish(v *visit, answer reply) reply {
	delete(m.visits, v.id)
	return answer
}
