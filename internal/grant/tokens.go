package grant

import (
	"encoding/json"
	"strconv"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"golang.org/x/oauth2"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
)

func tokensOf(token *oauth2.Token, issued time.Time) answer.Tokens {
	text := func(key string) string {
		value, _ := token.Extra(key).(string)
		return value
	}
	tokens := answer.Tokens{
		AccessToken:  token.AccessToken,
		IDToken:      text("id_token"),
		RefreshToken: token.RefreshToken,
		TokenType:    token.Type(),
		Scope:        text("scope"),
		AccountID:    bounds.Identifier(text("account_id")),
		Login:        bounds.Login(text("account_login")),
		IssuedAt:     issued,
	}
	unreadable := func(key string) bool { return token.Extra(key+"_unreadable") == true } // as the dialect of a platform says
	tokens.AccessClaims, tokens.IDClaims = ClaimsOf(tokens.AccessToken), ClaimsOf(tokens.IDToken)
	claim := Claims(tokens.AccessClaims).expiry()
	tokens.AccessTokenExpiresAt = first(issued, after(issued, token.Extra("expires_in")), claim)
	tokens.EndUnreadable = tokens.AccessTokenExpiresAt.IsZero() && (unreadable("expires_in") || !claim.IsZero())
	tokens.IDTokenExpiresAt = Claims(tokens.IDClaims).expiry()
	tokens.ExpiresAt = first(issued, tokens.AccessTokenExpiresAt, tokens.IDTokenExpiresAt)
	tokens.AuthorizationExpiresAt = first(issued, after(issued, token.Extra("refresh_token_expires_in")))
	tokens.AuthorizationMaxExpiresAt = first(issued, after(issued, token.Extra("refresh_token_max_expires_in")))
	tokens.Published = texts(token.Extra("published"))
	tokens.AuthorizationEndUnreadable = tokens.AuthorizationExpiresAt.IsZero() && unreadable("refresh_token_expires_in")
	return tokens
}

// texts reads an object of texts, as the dialect of a platform makes one; nil when there is none.
func texts(value any) map[string]string {
	object, _ := value.(map[string]any)
	var all map[string]string
	for name, member := range object {
		if text, ok := member.(string); ok {
			if all == nil {
				all = map[string]string{}
			}
			all[name] = text
		}
	}
	return all
}

// after reads a number of seconds from issued on; zero when there is none.
func after(issued time.Time, seconds any) time.Time {
	var n float64
	switch value := seconds.(type) {
	case float64:
		n = value
	case int64: // of an answer that is a form
		n = float64(value)
	case string:
		n, _ = strconv.ParseFloat(value, 64)
	}
	if !(n > 0 && n <= longestLife.Seconds()) {
		return time.Time{}
	}
	return issued.Add(time.Duration(n * float64(time.Second)))
}

// longestLife tells lifetimes from nonsense, such as a moment in milliseconds. No platform comes near it.
const longestLife = 100 * 365 * 24 * time.Hour

// first returns the earliest of the times that lie after issued; zero when none does. A claim of having
// expired before it was asked for is a clock's mistake, not a lifetime.
func first(issued time.Time, times ...time.Time) time.Time {
	var earliest time.Time
	for _, t := range times {
		if t.After(issued) && t.Sub(issued) <= longestLife && (earliest.IsZero() || t.Before(earliest)) {
			earliest = t
		}
	}
	return earliest.Truncate(time.Second)
}

// expiry returns the exp claim; zero where there is none.
func (c Claims) expiry() time.Time {
	var at *jwt.NumericDate
	if c["exp"] == nil || json.Unmarshal(c["exp"], &at) != nil || at == nil {
		return time.Time{}
	}
	return at.Time()
}

// Claims are those of a JWT, read without verifying its signature: enough to learn the account of a token that came over TLS.
type Claims map[string]json.RawMessage

// ClaimsOf reads the claims of a token; there are none where it is no JWT.
func ClaimsOf(token string) Claims {
	claims := Claims{}
	if !readClaims(token, &claims) {
		return nil
	}
	return claims
}

// Text returns a claim as text; empty where there is none, or it is neither text nor a number.
func (c Claims) Text(name string) string {
	var text string
	if json.Unmarshal(c[name], &text) == nil {
		return bounds.Identifier(text)
	}
	var number json.Number // with all its digits, which a float64 does not keep
	if json.Unmarshal(c[name], &number) == nil {
		return bounds.Identifier(number.String())
	}
	return ""
}

func readClaims(token string, into any) bool {
	if token == "" {
		return false
	}
	parsed, err := jwt.ParseSigned(token, signatureAlgorithms)
	return err == nil && parsed.UnsafeClaimsWithoutVerification(into) == nil
}

// signatureAlgorithms are the ones of RFC 7518 section 3.1 and RFC 8037: all but "none".
var signatureAlgorithms = []jose.SignatureAlgorithm{
	jose.HS256, jose.HS384, jose.HS512, jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512,
	jose.PS256, jose.PS384, jose.PS512, jose.EdDSA,
}
