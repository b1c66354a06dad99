package demomarket

import (
	"slices"
)

// issuance is what a grant handler decided: for whom tokens are made, and which.
type issuance struct {
	// grant is the grant type.
	grant    string
	clientID string
	// seller is zero when the tokens are for the application itself.
	seller Seller
	// asked are the scopes of the request, none when it named none; granted are those of the tokens.
	asked, granted []string
	audience       string
	// nonce goes into the ID token when it is not empty.
	nonce string
	// family is the consent that is being renewed. Nil means that a new one begins, if the grant yields a refresh token.
	family *family
	// presented is the refresh token that was sent, which a platform may echo.
	presented string
	// gift remembers the tokens for the code that they were made for. It may be nil.
	gift *gift
}

// grantHandler decides about a token request whose client has proved itself. It is called with the market's lock held
// and spends what can be used only once, so that of two requests with one code or refresh token the second sees it spent.
type grantHandler func(m *Market, x *exchange) (issuance, *denial)

// grantHandlers are the grants that the package knows. A new one is a file with its handler, and a line here.
func grantHandlers() map[string]grantHandler {
	return map[string]grantHandler{
		GrantPassword:          (*Market).password,
		GrantClientCredentials: (*Market).clientCredentials,
		GrantRefreshToken:      (*Market).refreshToken,
		GrantAuthorizationCode: (*Market).authorizationCode,
		GrantDeviceCode:        (*Market).deviceCode,
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
		grant:    GrantClientCredentials,
		clientID: x.clientID,
		asked:    x.scopes(),
		granted:  granted,
		audience: x.parameters["audience"],
	}, nil
}

// grantedScopes are what is left of asked within consented: all of it when nothing was asked.
func (m *Market) grantedScopes(asked, consented []string) ([]string, *denial) {
	if len(asked) == 0 {
		return consented, nil
	}
	if len(consented) == 0 {
		return asked, nil
	}
	excess := func(scope string) bool { return !slices.Contains(consented, scope) }
	if m.platform.ExcessScope == RefuseScope && slices.ContainsFunc(asked, excess) {
		return nil, deny(InvalidScope, "the requested scope exceeds the consented one")
	}
	return slices.DeleteFunc(slices.Clone(asked), excess), nil
}
