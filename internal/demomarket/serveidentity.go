package demomarket

import (
	"net/http"
	"slices"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/wire"
)

// serveIdentity answers for the seller whose access token the request bears.
func (m *Market) serveIdentity(w http.ResponseWriter, r *http.Request) {
	identity := m.platform.Identity
	if identity.Accept != "" && r.Header.Get("Accept") != identity.Accept {
		http.Error(w, "only "+identity.Accept+" is served", http.StatusNotAcceptable)
		return
	}
	m.mu.Lock()
	token := identity.Token(r)
	held, ranOut := m.access.Find(token, m.now()), m.access.RanOut(token, m.now())
	var seller platforms.Seller
	if held != nil {
		seller = m.sellers[held.Seller.ID]
	}
	m.mu.Unlock()
	switch {
	case held == nil && ranOut && identity.Expired.Status != 0:
		identity.Expired.Write(w)
	case held == nil && identity.Unknown.Status != 0:
		identity.Unknown.Write(w)
	case held == nil:
		denyToken(identity, w, http.StatusUnauthorized, "invalid_token")
	case held.Seller.ID == "", identity.Scope != "" && !slices.Contains(held.Scopes, identity.Scope):
		denyToken(identity, w, http.StatusForbidden, "insufficient_scope")
	default:
		wire.WriteJSON(w, http.StatusOK, identity.Answer(seller))
	}
}

// denyToken answers in the words of the platform or of RFC 6750.
func denyToken(i platforms.Identity, w http.ResponseWriter, status int, code string) {
	if i.Denied.Status != 0 {
		i.Denied.Write(w)
		return
	}
	w.Header().Set("WWW-Authenticate", `Bearer error="`+code+`"`)
	wire.WriteJSON(w, status, map[string]any{"error": code})
}
