package marketplace

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/dialect"
)

// Dialect returns a transport that takes standard requests to the token, revocation and device authorization endpoints, sends them by next
// the way the platform wants them, and returns standard answers (dialect.Spec).
func (p *Platform) Dialect(next http.RoundTripper, now func() time.Time) http.RoundTripper {
	return p.speech().Transport(next, now)
}

// Identify makes the identity request: one call that proves the token and names its account. Its error is an
// *answer.IdentityError with a text that holds neither URL nor token.
func (p *Platform) Identify(ctx context.Context, client *http.Client, accessToken string) (answer.Identity, error) {
	return p.speech().Identify(ctx, client, accessToken)
}

// CanIdentify tells whether the platform has a call that tests a token.
func (p *Platform) CanIdentify() bool { return p.identity != nil }

// IdentityURL is the address of that call; empty where there is none.
func (p *Platform) IdentityURL() string {
	if p.identity == nil {
		return ""
	}
	return string(p.identity.URL)
}

// NamesAccount tells whether that call also names the account of the token.
func (p *Platform) NamesAccount() bool { return p.identity != nil && p.identity.IDPath != "" }

// speech is how the platform speaks.
func (p *Platform) speech() *dialect.Spec {
	return &dialect.Spec{
		Request: p.request, Response: p.response, Identity: p.identity, Published: p.published, ScopeSeparator: p.scopeSep, RefreshURL: p.RefreshURL,
		OmitRedirectURI: slices.Contains(p.authorization.Omit, "redirect_uri"), ClientID: p.clientID, AccountID: p.accountID,
		TokensNeverEnd: p.TokensNeverEnd, TokenLifetime: p.TokenLifetime, AuthorizationLifetime: p.AuthorizationLifetime, AuthorizationMaxLifetime: p.AuthorizationMaxLifetime,
	}
}
