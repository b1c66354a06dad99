package platforms

import "time"

// OIDC is a plain OpenID Connect provider with discovery, and the strictest of all about refresh tokens: each works
// once, without a grace, and one that is presented twice ends the whole consent. It has both flows for people, and names
// itself in callbacks.
func OIDC() Platform {
	return Platform{
		Name: "oidc",
		Paths: Paths{
			Authorization:       "/authorize",
			DeviceAuthorization: "/device_authorization",
			Device:              "/device",
			Token:               "/token",
			Revocation:          "/revoke",
			Identity:            "/userinfo",
			Discovery:           "/.well-known/openid-configuration",
			Keys:                "/jwks",
		},
		Grants: []string{
			GrantAuthorizationCode, GrantDeviceCode, GrantRefreshToken, GrantClientCredentials, GrantPassword,
		},
		Scopes:            []string{"openid", "profile", "email", "offline_access", "orders"},
		ApplicationScopes: []string{"profile", "email", "orders"}, // the other scopes are about a user
		AccessToken:       AccessToken{Lifetime: time.Hour, Claims: oidcClaims},
		IDToken: IDToken{
			Lifetime: time.Hour,
			Grants:   []string{GrantRefreshToken, GrantPassword, GrantAuthorizationCode, GrantDeviceCode},
			Claims:   profileClaims,
		},
		RefreshToken: RefreshToken{
			Lifetime:       720 * time.Hour,
			Sliding:        true,
			Grants:         []string{GrantPassword, GrantAuthorizationCode, GrantDeviceCode},
			Scope:          "offline_access",
			Rotation:       Rotating,
			ReuseDetection: true,
		},
		Authorization: Authorization{
			CodeLifetime:    time.Minute,
			PKCE:            OptionalPKCE,
			Prompts:         []string{"none", "login", "consent", "select_account"},
			IssuerParameter: true,
		},
		Device: Device{
			Lifetime:        10 * time.Minute,
			Interval:        5 * time.Second,
			UserCode:        "****-****",
			UserCodeLetters: "BCDFGHJKLMNPQRSTVWXZ", // RFC 8628 section 6.1
		},
		Identity:    Identity{Scope: "openid", Answer: userinfo},
		Seller:      Seller{ID: "248289761001", Login: DefaultUser},
		OtherSeller: Seller{ID: "248289761002", Login: OtherUser},
	}
}

// oidcClaims are an access token as RFC 9068 section 2.2 has it.
func oidcClaims(f Facts) map[string]any {
	claims := JWTClaims(f)
	claims["sub"] = f.Subject()
	claims["aud"] = f.Audience
	if f.Audience == "" {
		claims["aud"] = f.Issuer
	}
	claims["client_id"] = f.ClientID
	claims["scope"] = joined(f.Scopes)
	claims["jti"] = f.ID
	return claims
}

// profileClaims are the claims that the scopes profile and email add to an ID token.
func profileClaims(f Facts) map[string]any {
	return map[string]any{"nickname": f.Seller.Login, "email": f.Seller.Login, "email_verified": true}
}

// userinfo is OpenID Connect Core section 5.3.
func userinfo(s Seller) any {
	return map[string]any{"sub": s.ID, "nickname": s.Login, "email": s.Login, "email_verified": true}
}
