package marketplace

import (
	"encoding/json"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// RequestContent is everything of the Marketplace and the account's spec that requests are made of and answers are read by, as text
// that is equal where they are. Names for people, limits, lifetimes and the schedule are no part of it, and no credential is.
// It is asked for several times in one look at an account, to which a Platform belongs.
func (p *Platform) RequestContent() string {
	if p.content != "" {
		return p.content
	}
	parts := []any{
		p.Issuer, p.TokenURL, p.RefreshURL, p.AuthorizationURL, p.DeviceAuthorizationURL, p.PKCE, p.Scopes, p.scopeSep,
		p.authorization, p.request, p.response, p.identity, p.AccountIDClaim, p.AccountIDInIDToken,
	}
	if p.AccountIDPrefixEnd != "" { // the text of others stays as it was when custodies recorded it
		parts = append(parts, p.AccountIDPrefixEnd)
	}
	text, err := json.Marshal(parts)
	if err != nil {
		return "" // strings, numbers and lists of them always marshal
	}
	p.content = string(text)
	return p.content
}

// ClientAuthentication is how the application proves itself.
func (p *Platform) ClientAuthentication() v1alpha1.ClientAuthentication {
	return p.request.ClientAuthentication
}
