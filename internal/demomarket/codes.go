package demomarket

import (
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/judge"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/tokens"
)

// issueCode makes a code for a request that a person granted. The market's lock is held.
func (m *Market) issueCode(request *authorizationRequest, seller platforms.Seller) (string, error) {
	bits, err := m.server.random()
	if err != nil {
		return "", err
	}
	value := m.platform.Authorization.CodePrefix + bits
	m.server.secrets.NoteCode(value)
	m.codes[tokens.KeyOf(value)] = &code{request: request, seller: seller, expires: m.now().Add(m.lifetimes.Code)}
	m.judge.Note(func(t *judge.Tally) { t.Codes.Issued++ })
	return value, nil
}

// authorizationCode is RFC 6749 section 4.1.3. A code that is presented twice takes back its tokens (section 4.1.2).
// One that comes with the wrong redirect_uri or code_verifier is not used up.
func (m *Market) authorizationCode(x *exchange) (issuance, *denial) {
	presented := x.parameters["code"]
	if presented == "" {
		return issuance{}, deny(platforms.InvalidRequest, "code is missing")
	}
	held := m.codes[tokens.KeyOf(presented)]
	switch {
	case held == nil || held.request.client.id != x.clientID:
		return issuance{}, deny(platforms.InvalidCode, "the code is not known")
	case held.used:
		held.gift.takeBack()
		m.judge.Note(func(t *judge.Tally) { t.Codes.Reused++ })
		return issuance{}, deny(platforms.InvalidCode, "the code was used before")
	case !m.now().Before(held.expires):
		m.judge.Note(func(t *judge.Tally) { t.Codes.Expired++ })
		return issuance{}, deny(platforms.InvalidCode, "the code has expired")
	}
	if denied := held.check(m.platform.Authorization, x); denied != nil {
		return issuance{}, denied
	}
	held.used = true
	m.judge.Note(func(t *judge.Tally) { t.Codes.Used++ })
	return issuance{
		grant:    platforms.GrantAuthorizationCode,
		clientID: x.clientID,
		seller:   held.seller,
		asked:    held.request.asked,
		granted:  held.request.granted,
		audience: x.parameters["audience"],
		nonce:    held.request.nonce,
		gift:     &held.gift,
	}, nil
}

// check tells whether an exchange comes from the maker of the authorization request.
func (c *code) check(policy platforms.Authorization, x *exchange) *denial {
	sent := x.parameters["redirect_uri"]
	switch {
	case sent == "" && c.request.named && !policy.RedirectOptional:
		return deny(platforms.InvalidCode, "redirect_uri is missing")
	case sent != "" && sent != c.request.redirect.name:
		return deny(platforms.InvalidCode, "redirect_uri is not that of the authorization request")
	}
	return checkVerifier(policy.PKCE, x.parameters["code_verifier"], c.request.challenge)
}

// hold remembers the tokens. Family is nil when there is no refresh token.
func (g *gift) hold(f *tokens.Family, access *tokens.AccessToken) {
	if g == nil {
		return
	}
	g.family, g.access = f, access
	if g.taken {
		g.takeBack()
	}
}

// takeBack ends the tokens, also if they are still being made.
func (g *gift) takeBack() {
	g.taken = true
	if g.family != nil {
		g.family.Dead = true
	}
	if g.access != nil {
		g.access.Ended = true
	}
}
