package platforms

import (
	"net/http"
	"time"
)

// XSale is an Auth0 tenant with the password grant: a JSON body, a required audience, an ID token that ends before the
// access token, no refresh token, and a lock after ten wrong passwords.
func XSale() Platform {
	return Platform{
		Name: "xsale",
		Paths: Paths{
			Token:     "/oauth/token",
			Identity:  "/userinfo",
			Discovery: "/.well-known/openid-configuration",
			Keys:      "/.well-known/jwks.json",
		},
		IssuerSuffix:         "/",
		ClientAuthentication: Body,
		Encoding:             JSON,
		Grants:               []string{GrantPassword},
		Parameters:           []ParameterRule{{Name: "audience", Value: "https://api.xsale.ai"}},
		Scopes:               []string{"openid", "profile", "email", "xsale", "production"},
		AccessToken:          AccessToken{Lifetime: 86400 * time.Second, Claims: auth0Claims},
		IDToken:              IDToken{Lifetime: 36000 * time.Second, Grants: []string{GrantPassword}, Claims: profileClaims},
		Identity:             Identity{Scope: "openid", Answer: userinfo},
		Refusals:             auth0Refusals(),
		LockAfter:            10,
		Seller:               Seller{ID: "auth0|64f0c1d2e3b4a59687786950", Login: DefaultUser},
		OtherSeller:          Seller{ID: "auth0|75a1d2e3f4c5b69788897061", Login: OtherUser},
	}
}

// auth0Refusals are the error table of Auth0's password grant. A wrong password is 403 there, and a locked user 429.
func auth0Refusals() map[Outcome]Refusal {
	return map[Outcome]Refusal{
		InvalidClient: {Status: http.StatusUnauthorized, Description: "Unauthorized"},
		WrongPassword: {Status: http.StatusForbidden, Description: "Wrong email or password."},
		UserBlocked:   {Status: http.StatusUnauthorized, Code: "unauthorized", Description: "user is blocked"},
		UserLocked: {
			Status: http.StatusTooManyRequests, Code: "too_many_attempts",
			Description: "Your account has been blocked after multiple consecutive login attempts.",
		},
		MFARequired: {
			Status: http.StatusForbidden, Code: "mfa_required", Description: "Multifactor authentication required",
			Fields: map[string]any{"mfa_token": "Fe26.2*demo-mfa-token"},
		},
		PasswordLeaked: {
			Status: http.StatusUnauthorized, Code: "password_leaked",
			Description: "This login has been blocked because your login details have been leaked online.",
		},
		AccessDenied: {Status: http.StatusForbidden, Description: "Service not found: {audience}"},
	}
}

// auth0Claims are an access token for the API named by the audience.
func auth0Claims(f Facts) map[string]any {
	claims := JWTClaims(f)
	claims["sub"] = f.Subject()
	claims["aud"] = []string{f.Audience, f.Issuer + "userinfo"}
	claims["azp"] = f.ClientID
	claims["scope"] = joined(f.Scopes)
	claims["gty"] = f.Grant
	claims["jti"] = f.ID
	return claims
}
