package demomarket

import (
	"net/http"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
)

// serveRevocation is RFC 7009. A token that is unknown or another application's is answered like one that was ended.
func (m *Market) serveRevocation(w http.ResponseWriter, r *http.Request) {
	x := exchangeOf(r)
	denied := x.unreadable
	if denied == nil {
		denied = m.authenticate(x)
	}
	if denied == nil && x.parameters["token"] == "" {
		denied = deny(platforms.InvalidRequest, "token is missing")
	}
	if denied != nil {
		m.refuse(w, x, denied)
		return
	}
	x.outcome = platforms.OK
	m.revoke(x.parameters["token"], x.clientID)
	w.WriteHeader(http.StatusOK)
}

// revoke ends an access token, or with a refresh token the whole consent (RFC 7009 section 2.1).
func (m *Market) revoke(token, clientID string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if held := m.refresh.Find(token); held != nil && held.Family.ClientID == clientID {
		held.Family.Dead = true
	}
	if held := m.access.Find(token, m.now()); held != nil && held.ClientID == clientID {
		held.Ended = true
	}
}
