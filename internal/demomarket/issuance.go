package demomarket

import (
	"slices"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/tokens"
)

// issuance is the decision of a grant handler: the tokens to make, and their account.
type issuance struct {
	// grant is the grant type.
	grant    string
	clientID string
	// seller is zero when the tokens are for the application itself.
	seller platforms.Seller
	// asked are the scopes of the request, none when it named none; granted are the scopes of the tokens.
	asked, granted []string
	audience       string
	// nonce goes into the ID token when it is not empty.
	nonce string
	// family is the consent that is being renewed. Nil means that a new one begins, if the grant yields a refresh token.
	family *tokens.Family
	// presented is the refresh token that was sent, which a platform may echo.
	presented string
	// gift remembers the tokens for the code that they were made for. It may be nil.
	gift *gift
}

// grantedScopes are the scopes of asked within consented: all of it when nothing was asked.
func (m *Market) grantedScopes(asked, consented []string) ([]string, *denial) {
	if len(asked) == 0 {
		return consented, nil
	}
	if len(consented) == 0 {
		return asked, nil
	}
	excess := func(scope string) bool { return !slices.Contains(consented, scope) }
	if m.platform.ExcessScope == platforms.RefuseScope && slices.ContainsFunc(asked, excess) {
		return nil, deny(platforms.InvalidScope, "the requested scope exceeds the consented one")
	}
	return slices.DeleteFunc(slices.Clone(asked), excess), nil
}
