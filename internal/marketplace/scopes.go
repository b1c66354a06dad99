package marketplace

import (
	"slices"
	"strings"
)

// switches are scopes of OpenID Connect that ask for an ID token and a refresh token, and for no access. Some platforms name them
// in their answers, and some do not.
var switches = []string{"openid", "offline_access"}

// MissingScopes returns the scopes that the account asks for and the platform did not grant, by the scope of its answer. An answer that names
// no scope granted all (RFC 6749 section 5.1).
func (p *Platform) MissingScopes(granted string) []string {
	named := strings.Fields(granted)
	if len(named) == 0 {
		return nil
	}
	var missing []string
	for _, scope := range p.Scopes {
		if !slices.Contains(named, scope) && !slices.Contains(switches, scope) && !p.isUnreported(scope) {
			missing = append(missing, scope)
		}
	}
	return missing
}

// isUnreported tells whether the platform grants a scope without naming it.
func (p *Platform) isUnreported(scope string) bool {
	for _, pattern := range p.unreported {
		start, open := strings.CutSuffix(string(pattern), "*")
		if scope == string(pattern) || open && strings.HasPrefix(scope, start) {
			return true
		}
	}
	return false
}
