package demomarket

import (
	"net/http"
	"slices"
)

// serveIdentity answers for the seller whose access token the request bears.
func (m *Market) serveIdentity(w http.ResponseWriter, r *http.Request) {
	identity := m.platform.Identity
	if identity.Accept != "" && r.Header.Get("Accept") != identity.Accept {
		http.Error(w, "only "+identity.Accept+" is served", http.StatusNotAcceptable)
		return
	}
	m.mu.Lock()
	token := identity.token(r)
	held, ranOut := m.access.find(token, m.now()), m.access.ranOut(token, m.now())
	var seller Seller
	if held != nil {
		seller = m.sellers[held.seller.ID]
	}
	m.mu.Unlock()
	switch {
	case held == nil && ranOut && identity.Expired.Status != 0:
		identity.Expired.write(w)
	case held == nil && identity.Unknown.Status != 0:
		identity.Unknown.write(w)
	case held == nil:
		identity.deny(w, http.StatusUnauthorized, "invalid_token")
	case held.seller.ID == "", identity.Scope != "" && !slices.Contains(held.scopes, identity.Scope):
		identity.deny(w, http.StatusForbidden, "insufficient_scope")
	default:
		writeJSON(w, http.StatusOK, identity.Answer(seller))
	}
}
