package demomarket

import (
	"net/http"
	"time"
)

// Allegro rotates refresh tokens and lets a spent one work 60 seconds more. It authenticates clients by Basic alone and
// repeats a dead refresh token in the error.
func Allegro() Platform {
	return Platform{
		Name:                 "allegro",
		Paths:                Paths{Token: "/auth/oauth/token", Identity: "/me"},
		IssuerSuffix:         "/",
		ClientAuthentication: Basic,
		Grants:               []string{GrantRefreshToken, GrantClientCredentials},
		Scopes: []string{
			"allegro:api:profile:read", "allegro:api:profile:write",
			"allegro:api:sale:offers:read", "allegro:api:sale:offers:write",
			"allegro:api:sale:settings:read", "allegro:api:sale:settings:write",
			"allegro:api:orders:read", "allegro:api:orders:write",
			"allegro:api:shipments:read", "allegro:api:shipments:write",
			"allegro:api:ratings", "allegro:api:disputes", "allegro:api:bids", "allegro:api:messaging",
			"allegro:api:billing:read", "allegro:api:payments:read", "allegro:api:payments:write",
			"allegro:api:campaigns", "allegro:api:fulfillment:read", "allegro:api:fulfillment:write",
			"allegro:api:affiliate:read", "allegro:api:affiliate:write",
		},
		ExcessScope: CutScope,
		ScopeAnswer: ScopeAlways,
		TokenType:   "bearer",
		Extra: func(f Facts) map[string]any {
			return map[string]any{"allegro_api": true, "iss": f.Issuer, "jti": f.ID}
		},
		AccessToken: AccessToken{Lifetime: 43199 * time.Second, Claims: allegroClaims},
		RefreshToken: RefreshToken{
			Lifetime:        2160 * time.Hour, // "three months", read cautiously as 90 days
			Sliding:         true,
			Grants:          []string{GrantAuthorizationCode, GrantDeviceCode},
			Rotation:        Rotating,
			ReuseGrace:      time.Minute,
			EndsAccessToken: true,
		},
		Identity: Identity{
			Scope:  "allegro:api:profile:read",
			Accept: "application/vnd.allegro.public.v1+json",
			Answer: func(s Seller) any {
				return map[string]any{"id": s.ID, "login": s.Login, "firstName": "Jan", "lastName": "Kowalski"}
			},
		},
		Refusals: map[Outcome]Refusal{
			InvalidClient: {Status: http.StatusUnauthorized, Code: "Unauthorized", Description: "Unauthorized"},
			InvalidGrant:  {Description: "Invalid refresh token: {refresh_token}"},
			QueryRefused:  {Description: "OAuth 2.0 Parameter: grant_type"},
		},
		Seller: Seller{ID: "44130512", Login: "my-shop"},
	}
}

// allegroClaims name the account by user_name, which is its number and not its login.
func allegroClaims(f Facts) map[string]any {
	claims := jwtClaims(f)
	claims["jti"] = f.ID
	claims["client_id"] = f.ClientID
	claims["scope"] = f.Scopes
	claims["allegro_api"] = true
	if f.Seller.ID != "" {
		claims["user_name"] = f.Seller.ID
	}
	return claims
}
