package demomarket

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/go-jose/go-jose/v4"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/wire"
)

// serveDiscovery is OpenID Connect Discovery section 4, for the endpoints of the platform.
func (m *Market) serveDiscovery(w http.ResponseWriter, r *http.Request) {
	document := map[string]any{
		"issuer":                                m.issuer(r),
		"grant_types_supported":                 m.platform.Grants,
		"response_types_supported":              []string{"code"},
		"subject_types_supported":               []string{"public"},
		"scopes_supported":                      m.platform.Scopes,
		"id_token_signing_alg_values_supported": []platforms.Signature{cmp.Or(m.platform.IDToken.Signature, platforms.RS256)},
		"token_endpoint_auth_methods_supported": authenticationMethods(m.platform.ClientAuthentication),
	}
	if m.platform.Authorization.PKCE != platforms.NoPKCE {
		document["code_challenge_methods_supported"] = []string{"S256"}
	}
	if m.platform.Authorization.IssuerParameter {
		document["authorization_response_iss_parameter_supported"] = true
	}
	for name, path := range map[string]string{
		"authorization_endpoint":        m.platform.Paths.Authorization,
		"device_authorization_endpoint": m.platform.Paths.DeviceAuthorization,
		"token_endpoint":                m.platform.Paths.Token,
		"revocation_endpoint":           m.platform.Paths.Revocation,
		"userinfo_endpoint":             m.platform.Paths.Identity,
		"jwks_uri":                      m.platform.Paths.Keys,
	} {
		if path != "" {
			document[name] = m.Address(r) + path
		}
	}
	wire.WriteJSON(w, http.StatusOK, document)
}

// authenticationMethods are the names that RFC 7591 section 2 gives to ways of client authentication.
func authenticationMethods(a platforms.ClientAuthentication) []string {
	switch a {
	case platforms.Basic:
		return []string{"client_secret_basic"}
	case platforms.Body:
		return []string{"client_secret_post"}
	}
	return []string{"client_secret_basic", "client_secret_post"}
}

// serveKeys is the JWK Set with which tokens can be checked (RFC 7517 section 5).
func (m *Market) serveKeys(w http.ResponseWriter, _ *http.Request) {
	used := []platforms.Signature{
		cmp.Or(m.platform.AccessToken.Signature, platforms.RS256),
		cmp.Or(m.platform.IDToken.Signature, platforms.RS256),
	}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, algorithm := range slices.Compact(used) {
		key, err := m.server.keys.Key(algorithm)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		set.Keys = append(set.Keys, key.Public)
	}
	wire.WriteJSON(w, http.StatusOK, set)
}
