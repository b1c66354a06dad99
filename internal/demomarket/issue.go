package demomarket

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/tokens"
)

// tokenSet holds the tokens that an exchange yields.
type tokenSet struct {
	issuance
	facts          platforms.Facts
	lifetime       time.Duration // of the access token
	access         string
	id             string // empty when there is none
	refresh        string // empty when the answer has none
	refreshExpires time.Time
}

// issue mints the tokens that a grant handler decided on and puts them in force. Signing happens outside the market's
// lock: it is the only work here that takes time.
func (m *Market) issue(x *exchange, decided issuance) (tokenSet, error) {
	lifetimes := m.currentLifetimes()
	set := tokenSet{issuance: decided, lifetime: lifetimes.Access}
	if err := m.mint(x, &set, lifetimes); err != nil {
		return tokenSet{}, fmt.Errorf("minting tokens: %w", err)
	}
	m.server.secrets.Note(set.access, set.id, set.refresh)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.enforce(x, &set, lifetimes)
	return set, nil
}

// mint makes the values of the tokens.
func (m *Market) mint(x *exchange, set *tokenSet, lifetimes Lifetimes) error {
	id, err := m.server.random()
	if err != nil {
		return err
	}
	now := m.now()
	set.facts = platforms.Facts{
		Issuer:         x.issuer,
		ClientID:       set.clientID,
		Seller:         set.seller,
		Scopes:         set.granted,
		Audience:       set.audience,
		Grant:          set.grant,
		Nonce:          set.nonce,
		ID:             id,
		IssuedTime:     now,
		ExpirationTime: now.Add(lifetimes.Access),
	}
	if set.access, err = m.mintAccessToken(set.facts); err != nil {
		return err
	}
	if set.id, err = m.mintIDToken(set.facts, lifetimes.ID); err != nil {
		return err
	}
	set.refresh, err = m.mintRefreshToken(set.issuance)
	return err
}

// mintAccessToken makes a JWT or an opaque value, as the platform has it.
func (m *Market) mintAccessToken(facts platforms.Facts) (string, error) {
	policy := m.platform.AccessToken
	if policy.Claims == nil {
		return policy.Prefix + facts.ID, nil
	}
	return m.server.keys.Sign(policy.Signature, policy.Claims(facts))
}

// mintIDToken makes an ID token when the grant and the scope yield one (OpenID Connect Core sections 2 and 12.2).
func (m *Market) mintIDToken(facts platforms.Facts, lifetime time.Duration) (string, error) {
	policy := m.platform.IDToken
	if !slices.Contains(policy.Grants, facts.Grant) || !slices.Contains(facts.Scopes, "openid") {
		return "", nil
	}
	facts.ExpirationTime = facts.IssuedTime.Add(lifetime)
	claims := map[string]any{}
	if policy.Claims != nil {
		claims = policy.Claims(facts)
	}
	maps.Copy(claims, platforms.JWTClaims(facts))
	claims["sub"] = facts.Subject()
	claims["aud"] = facts.ClientID
	if facts.Nonce != "" {
		claims["nonce"] = facts.Nonce
	}
	return m.server.keys.Sign(policy.Signature, claims)
}

// mintRefreshToken makes the answer's refresh token: a new one for a new consent, and for a refresh what the platform's
// rotation says.
func (m *Market) mintRefreshToken(decided issuance) (string, error) {
	policy := m.platform.RefreshToken
	switch {
	case decided.grant == platforms.GrantRefreshToken && policy.Rotation == platforms.Static:
		return "", nil
	case decided.grant == platforms.GrantRefreshToken && policy.Rotation == platforms.Echo:
		return decided.presented, nil
	case decided.grant != platforms.GrantRefreshToken && !slices.Contains(policy.Grants, decided.grant),
		decided.grant != platforms.GrantRefreshToken && policy.Scope != "" && !slices.Contains(decided.granted, policy.Scope):
		return "", nil
	}
	bits, err := m.server.random()
	return policy.Prefix + bits, err
}

// enforce puts the tokens in force. If the consent ended since the handler decided, they are dead from the start. The
// market's lock is held.
func (m *Market) enforce(x *exchange, set *tokenSet, lifetimes Lifetimes) {
	now := set.facts.IssuedTime
	if set.refresh != "" {
		x.pair = set.refresh != set.presented
		if set.family == nil {
			set.family = m.refresh.Begin(set.clientID, set.seller.ID, set.granted, now, lifetimes.Refresh)
		}
		if x.pair {
			m.refresh.Add(set.family, set.refresh, now, lifetimes.Refresh)
		}
		set.refreshExpires = set.family.Live.Expires
	}
	access := &tokens.AccessToken{
		ClientID: set.clientID,
		Seller:   set.seller,
		Family:   set.family,
		Scopes:   set.granted,
		Expires:  set.facts.ExpirationTime,
	}
	m.access.Add(set.access, access, now)
	set.gift.hold(set.family, access)
	if set.family == nil {
		return
	}
	if set.family.Access != nil && m.platform.RefreshToken.EndsAccessToken {
		set.family.Access.Ended = true
	}
	set.family.Access = access
}
