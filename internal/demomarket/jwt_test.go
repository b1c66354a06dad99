package demomarket_test

import (
	"encoding/json"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// algorithms are those that tests accept.
var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.ES256}

// claims reads a JWT without checking its signature.
func claims(t *testing.T, token string) map[string]any {
	t.Helper()
	parsed, err := jwt.ParseSigned(token, algorithms)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := parsed.UnsafeClaimsWithoutVerification(&got); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestTokensCanBeCheckedWithTheDiscoveredKeys(t *testing.T) {
	for name, issuerPath := range map[string]string{"oidc": "/oidc", "xsale": "/xsale/"} {
		t.Run(name, func(t *testing.T) {
			d := serve(t)
			d.Platform("oidc").SeedRefreshToken("seeded", "1")
			var got answer
			if name == "xsale" {
				got = d.login(demomarket.DefaultPassword)
			} else {
				got = d.refresh(name, "seeded")
			}
			document := d.get("/" + name + "/.well-known/openid-configuration")
			wantEqual(t, "issuer", document.text("issuer"), d.url+issuerPath)
			wantEqual(t, "token endpoint", document.text("token_endpoint"), d.url+tokenPaths[name])
			set := d.keySet(document.text("jwks_uri"))
			for _, token := range []string{got.text("access_token"), got.text("id_token")} {
				wantEqual(t, "iss", verified(t, token, set)["iss"], any(document.text("issuer")))
			}
		})
	}
}

func TestBaseURL(t *testing.T) {
	d := serve(t, demomarket.OIDC())
	d.SetBaseURL("https://market.example.com/")
	document := d.get("/oidc/.well-known/openid-configuration")
	wantEqual(t, "issuer", document.text("issuer"), "https://market.example.com/oidc")
	wantEqual(t, "revocation", document.text("revocation_endpoint"), "https://market.example.com/oidc/revoke")
}

func TestCheapSignatures(t *testing.T) {
	allegro := demomarket.Allegro()
	allegro.AccessToken.Signature = demomarket.ES256
	allegro.Paths.Keys = "/jwks"
	d := serve(t, allegro)
	d.Platform("allegro").SeedRefreshToken("seeded", "44130512")
	got := verified(t, d.refresh("allegro", "seeded").text("access_token"), d.keySet(d.url+"/allegro/jwks"))
	wantEqual(t, "user_name", got["user_name"], any("44130512"))
	wantEqual(t, "client_id", got["client_id"], any(demomarket.DefaultClientID))
}

// keySet fetches a JWK Set.
func (d *demo) keySet(url string) jose.JSONWebKeySet {
	d.t.Helper()
	var set jose.JSONWebKeySet
	if err := json.Unmarshal([]byte(d.must(newRequest(d.t, "GET", url, "")).raw), &set); err != nil {
		d.t.Fatal(err)
	}
	return set
}

// verified checks a JWT's signature and reads its claims.
func verified(t *testing.T, token string, set jose.JSONWebKeySet) map[string]any {
	t.Helper()
	parsed, err := jwt.ParseSigned(token, algorithms)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := parsed.Claims(set, &got); err != nil {
		t.Fatal(err)
	}
	return got
}
