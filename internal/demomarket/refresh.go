package demomarket

import "github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"

// refreshToken is RFC 6749 section 6. The token is judged and spent here, and its successor made by issue: whoever
// presents it in between has presented a spent token.
func (m *Market) refreshToken(x *exchange) (issuance, *denial) {
	presented := x.parameters["refresh_token"]
	if presented == "" {
		return issuance{}, deny(platforms.InvalidRequest, "refresh_token is missing")
	}
	held := m.refresh.Find(presented)
	if held == nil || held.Family.ClientID != x.clientID {
		return issuance{}, deny(platforms.InvalidGrant, "the refresh token is not known")
	}
	// The scope comes first, so that a request that asks for too much does not cost the token.
	granted, denied := m.grantedScopes(x.scopes(), held.Family.Scopes)
	if denied != nil {
		return issuance{}, denied
	}
	var honoured bool
	if honoured, x.judgement = m.refresh.Spend(held, m.now(), m.lifetimes.Refresh); !honoured {
		return issuance{}, deny(platforms.InvalidGrant, "the refresh token is dead")
	}
	return issuance{
		grant:     platforms.GrantRefreshToken,
		clientID:  x.clientID,
		seller:    m.knownSeller(held.Family.SellerID),
		asked:     x.scopes(),
		granted:   granted,
		audience:  x.parameters["audience"],
		family:    held.Family,
		presented: presented,
	}, nil
}

// SeedRefreshToken makes value a refresh token that the seller consented to now, for the application
// [DefaultClientID] and all the platform's scopes. A seller that is not known yet is added with his id as login.
func (m *Market) SeedRefreshToken(value, sellerID string) {
	m.SeedRefreshTokenFor(DefaultClientID, value, sellerID)
}

// SeedRefreshTokenFor does the same for another application.
func (m *Market) SeedRefreshTokenFor(clientID, value, sellerID string) {
	m.server.secrets.Note(value)
	now := m.now()
	m.mu.Lock()
	defer m.mu.Unlock()
	consent := m.refresh.Begin(clientID, m.knownSeller(sellerID).ID, m.platform.Scopes, now, m.lifetimes.Refresh)
	m.refresh.Add(consent, value, now, m.lifetimes.Refresh)
}

// Grant mints a refresh token and seeds it with SeedRefreshToken.
func (m *Market) Grant(sellerID string) string {
	bits, err := m.server.random()
	if err != nil {
		panic(err) // the caller's own Options.Rand failed; there is no request to answer
	}
	value := m.platform.RefreshToken.Prefix + bits
	m.SeedRefreshToken(value, sellerID)
	return value
}

// RevokeGrants ends every consent: all refresh tokens and all sellers' access tokens are dead at once, and a browser that
// is logged in has to consent anew. Tokens for the application itself live on.
func (m *Market) RevokeGrants() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refresh.EndAll()
	m.access.EndSellers()
	for _, held := range m.sessions {
		clear(held.consents)
	}
}

// RefreshTokenValid tells whether the refresh token would be honoured now, be it spent but within its grace.
func (m *Market) RefreshTokenValid(token string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	held := m.refresh.Find(token)
	return held != nil && held.Usable(m.now(), m.refresh.Policy.ReuseGrace)
}

// AccessTokenValid tells whether the platform's API would take the access token now.
func (m *Market) AccessTokenValid(token string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.access.Find(token, m.now()) != nil
}
