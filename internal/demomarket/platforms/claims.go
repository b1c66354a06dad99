package platforms

import "strings"

// JWTClaims are the ones that all our JWTs have in common (RFC 7519 section 4.1).
func JWTClaims(f Facts) map[string]any {
	return map[string]any{
		"iss": f.Issuer,
		"iat": f.IssuedTime.Unix(),
		"exp": f.ExpirationTime.Unix(),
	}
}

// joined is a scope as RFC 6749 section 3.3 writes it.
func joined(scopes []string) string { return strings.Join(scopes, " ") }
