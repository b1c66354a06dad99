package demomarket

import (
	"slices"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
)

// grantHandler decides about a token request whose client has proved itself. It is called with the market's lock held
// and spends codes and tokens that can be used only once, so that of two requests with one code or refresh token the second sees it spent.
type grantHandler func(m *Market, x *exchange) (issuance, *denial)

// grantHandlers are the grants that the package knows. A new one is a file with its handler, and a line here.
func grantHandlers() map[string]grantHandler {
	return map[string]grantHandler{
		platforms.GrantPassword:          (*Market).password,
		platforms.GrantClientCredentials: (*Market).clientCredentials,
		platforms.GrantRefreshToken:      (*Market).refreshToken,
		platforms.GrantAuthorizationCode: (*Market).authorizationCode,
		platforms.GrantDeviceCode:        (*Market).deviceCode,
	}
}

// clientCredentials is RFC 6749 section 4.4: tokens for the application itself.
func (m *Market) clientCredentials(x *exchange) (issuance, *denial) {
	possible := m.platform.ApplicationScopes
	if len(possible) == 0 {
		possible = m.platform.Scopes
	}
	granted, denied := m.grantedScopes(x.scopes(), possible)
	if denied != nil {
		return issuance{}, denied
	}
	return issuance{
		grant:    platforms.GrantClientCredentials,
		clientID: x.clientID,
		asked:    x.scopes(),
		granted:  granted,
		audience: x.parameters["audience"],
	}, nil
}

// serves tells whether the platform has a grant type.
func (m *Market) serves(grant string) bool {
	_, known := grantHandlers()[grant]
	return known && slices.Contains(m.platform.Grants, grant)
}
