package demomarket

import (
	"net/http"
	"slices"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
)

// sessionCookie is the cookie by which a platform knows a browser. Its path is the platform's.
const sessionCookie = "demo-session"

// consented tells whether the person allowed an application these scopes before.
func (s *session) consented(clientID string, scopes []string) bool {
	allowed, ever := s.consents[clientID]
	return ever && !slices.ContainsFunc(scopes, func(scope string) bool { return !slices.Contains(allowed, scope) })
}

// consent remembers that he did.
func (s *session) consent(clientID string, scopes []string) {
	s.consents[clientID] = append(s.consents[clientID], scopes...)
}

// LogOut ends the sessions of all browsers.
func (m *Market) LogOut() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.sessions)
}

// session returns that of the browser which sent a request, nil when it is not logged in. The market's lock is held.
func (m *Market) session(x *exchange) *session {
	cookie, err := x.request.Cookie(sessionCookie)
	if err != nil {
		return nil
	}
	return m.sessions[cookie.Value]
}

// newSession logs a browser in, instead of the session that it may have. The market's lock is held.
func (m *Market) newSession(x *exchange, seller platforms.Seller) (*session, error) {
	id, err := m.server.random()
	if err != nil {
		return nil, err
	}
	if before := m.session(x); before != nil {
		delete(m.sessions, before.id)
	}
	held := &session{id: id, seller: seller, consents: map[string][]string{}}
	m.sessions[id] = held
	return held, nil
}

// cookie tells the browser its session.
func (m *Market) cookie(r *http.Request, id string) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure where the connection is: a demonstration on loopback has no TLS
		Name:     sessionCookie,
		Value:    id,
		Path:     "/" + m.platform.Name + "/",
		HttpOnly: true,
		Secure:   r.TLS != nil,
		SameSite: http.SameSiteLaxMode,
	}
}
