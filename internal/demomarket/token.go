package demomarket

import (
	"net/http"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/wire"
)

// serveToken is the token endpoint (RFC 6749 section 3.2).
func (m *Market) serveToken(w http.ResponseWriter, r *http.Request) {
	x := exchangeOf(r)
	set, denied := m.exchange(x)
	if denied != nil {
		m.refuse(w, x, denied)
		return
	}
	x.outcome = platforms.OK
	wait(r.Context(), m.slowness()/2) // the decision stands, even if the client does not wait for the answer any more
	x.size = wire.WriteJSON(w, http.StatusOK, m.answer(x, set))
}

// exchange turns a token request into tokens, or says why not.
func (m *Market) exchange(x *exchange) (tokenSet, *denial) {
	if denied := m.check(x); denied != nil {
		return tokenSet{}, denied
	}
	m.mu.Lock()
	decided, denied := grantHandlers()[x.grant()](m, x)
	m.mu.Unlock()
	if denied != nil {
		return tokenSet{}, denied
	}
	set, err := m.issue(x, decided)
	if err != nil {
		return tokenSet{}, deny(platforms.ServerError, err.Error())
	}
	return set, nil
}

// check holds the rules of all grants. The order matters: nothing is said about a grant to a client that did not
// prove itself.
func (m *Market) check(x *exchange) *denial {
	if x.unreadable != nil {
		return x.unreadable
	}
	if denied := m.authenticate(x); denied != nil {
		return denied
	}
	switch {
	case x.grant() == "":
		return deny(platforms.InvalidRequest, "grant_type is missing")
	case !m.serves(x.grant()):
		return deny(platforms.UnsupportedGrant, "the grant type is not supported")
	}
	for _, rule := range m.platform.Parameters {
		if denied := checkRule(rule, x); denied != nil {
			return denied
		}
	}
	return nil
}

// checkRule tells whether a request obeys a rule.
func checkRule(p platforms.ParameterRule, x *exchange) *denial {
	value := x.parameters[p.Name]
	switch {
	case p.Grant != "" && p.Grant != x.grant():
		return nil
	case p.Forbidden && value != "":
		return deny(platforms.InvalidRequest, "the parameter "+p.Name+" is not allowed with this grant")
	case p.Forbidden:
		return nil
	case value == "":
		return deny(platforms.InvalidRequest, "the parameter "+p.Name+" is missing")
	case p.Value != "" && value != p.Value:
		return deny(platforms.AccessDenied, "the value of "+p.Name+" is not allowed")
	}
	return nil
}
