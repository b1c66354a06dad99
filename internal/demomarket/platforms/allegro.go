package platforms

import (
	"net/http"
	"time"
)

// Allegro rotates refresh tokens and lets a spent one work 60 seconds more. It authenticates clients by Basic alone and
// repeats a dead refresh token in the error. Its codes live for ten seconds, its device flow sends numbers as strings and
// has no expired_token, and a browser that is logged in is asked about the account only with prompt=confirm.
func Allegro() Platform {
	return Platform{
		Name: "allegro",
		Paths: Paths{
			Authorization:       "/auth/oauth/authorize",
			DeviceAuthorization: "/auth/oauth/device",
			Device:              "/skojarz-aplikacje",
			Token:               "/auth/oauth/token",
			Identity:            "/me",
		},
		IssuerSuffix:         "/",
		ClientAuthentication: Basic,
		Grants:               []string{GrantAuthorizationCode, GrantDeviceCode, GrantRefreshToken, GrantClientCredentials},
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
		Authorization: Authorization{
			CodeLifetime:      10 * time.Second,
			PKCE:              OptionalPKCE,
			VerifierForSecret: true,
			Prompts:           []string{"confirm"},
			Echo:              true,
		},
		Device: Device{
			Lifetime:         3600 * time.Second,
			Interval:         5 * time.Second,
			UserCode:         "*********",
			UserCodeLetters:  "abcdefghijkmnpqrstuvwxyz23456789",
			CodeParameter:    "code",
			ClientIDRequired: true,
			Query:            true,
			Strings:          true,
		},
		Identity: Identity{
			Scope:  "allegro:api:profile:read",
			Accept: "application/vnd.allegro.public.v1+json",
			Answer: func(s Seller) any {
				return map[string]any{"id": s.ID, "login": s.Login, "firstName": "Jan", "lastName": "Kowalski"}
			},
		},
		Refusals: map[Outcome]Refusal{
			InvalidClient:     {Status: http.StatusUnauthorized, Code: "Unauthorized", Description: "Unauthorized"},
			InvalidGrant:      {Description: "Invalid refresh token: {refresh_token}"},
			InvalidCode:       {Description: "Invalid authorization code: {code}"},
			QueryRefused:      {Description: "OAuth 2.0 Parameter: grant_type"},
			InvalidDeviceCode: {Code: "invalid_request", Description: "Invalid device code"},
			ExpiredDeviceCode: {Code: "invalid_request", Description: "Invalid device code"},
		},
		Seller:      Seller{ID: "44130512", Login: "my-shop"},
		OtherSeller: Seller{ID: "71203344", Login: "other-shop"},
	}
}

// allegroClaims name the account by user_name, which is its number and not its login.
func allegroClaims(f Facts) map[string]any {
	claims := JWTClaims(f)
	claims["jti"] = f.ID
	claims["client_id"] = f.ClientID
	claims["scope"] = f.Scopes
	claims["allegro_api"] = true
	if f.Seller.ID != "" {
		claims["user_name"] = f.Seller.ID
	}
	return claims
}
