package openid_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
)

// edited is a key as JSON with other members; nil takes one out.
func edited(t *testing.T, key string, changes map[string]any) string {
	t.Helper()
	members := map[string]any{}
	if err := json.Unmarshal([]byte(key), &members); err != nil {
		t.Fatal(err)
	}
	for name, value := range changes {
		if members[name] = value; value == nil {
			delete(members, name)
		}
	}
	return object(t, members)
}

func newRSA(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newEC(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// TestATokenIsVerifiedWithItsOwnKey whatever else the issuer publishes beside it.
func TestATokenIsVerifiedWithItsOwnKey(t *testing.T) {
	ec, another := newEC(t), newEC(t)
	own := published(t, jose.JSONWebKey{Key: ec.Public(), KeyID: "own"})
	foreign := published(t, jose.JSONWebKey{Key: another.Public(), KeyID: "other"})
	short := base64.RawURLEncoding.EncodeToString(make([]byte, 31))
	many := make([]string, 0, 98)
	for n := range cap(many) {
		many = append(many, edited(t, foreign, map[string]any{"kid": fmt.Sprint("other-", n)}))
	}
	tests := map[string]struct {
		beside []string
		own    map[string]any // members of the key itself
		kid    string         // of the token
	}{
		"alone": {kid: "own"},
		"beside an EC key with short coordinates":         {beside: []string{edited(t, foreign, map[string]any{"x": short})}, kid: "own"},
		"beside one that has its name":                    {beside: []string{edited(t, foreign, map[string]any{"kid": "own"})}, kid: "own"},
		"beside a bad one that has its name":              {beside: []string{edited(t, foreign, map[string]any{"kid": "own", "y": short})}, kid: "own"},
		"beside one of an unknown kind":                   {beside: []string{`{"kty":"ML-DSA","kid":"own","pub":"AAAA"}`}, kid: "own"},
		"beside one of an unknown curve":                  {beside: []string{edited(t, foreign, map[string]any{"crv": "secp256k1", "alg": "ES256K"})}, kid: "own"},
		"beside one whose use is no text":                 {beside: []string{edited(t, foreign, map[string]any{"use": 5})}, kid: "own"},
		"beside one without a name":                       {beside: []string{edited(t, foreign, map[string]any{"kid": nil})}, kid: "own"},
		"beside one whose name is a number":               {beside: []string{edited(t, foreign, map[string]any{"kid": 7})}, kid: "own"},
		"beside a secret one":                             {beside: []string{`{"kty":"oct","kid":"own","k":"a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s"}`}, kid: "own"},
		"beside a list, a number, a text and nothing":     {beside: []string{`[]`, `5`, `"key"`, `null`}, kid: "own"},
		"beside an empty one":                             {beside: []string{`{}`}, kid: "own"},
		"beside 98 others":                                {beside: many, kid: "own"},
		"with a certificate that is none":                 {own: map[string]any{"x5c": []string{"AAAA"}, "x5t": "?", "key_ops": 5}, kid: "own"},
		"without a name, the token with one":              {own: map[string]any{"kid": nil}, beside: []string{foreign}, kid: "own"},
		"with a name, the token without":                  {beside: []string{foreign}},
		"without a name, the token without":               {own: map[string]any{"kid": nil}, beside: []string{edited(t, foreign, map[string]any{"kid": nil})}},
		"with its algorithm, beside its name for use enc": {own: map[string]any{"alg": "ES256", "use": "sig"}, beside: []string{edited(t, own, map[string]any{"use": "enc", "x": short})}, kid: "own"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			issuer := newIssuer(t)
			issuer.change(func() { issuer.further = append(test.beside, edited(t, own, test.own)) })
			token := sign(t, ec, jose.ES256, test.kid, map[string]any{"iss": issuer.URL, "aud": clientID, "exp": start.Add(time.Hour).Unix()})
			if err := issuer.providers(now).Verify(t.Context(), issuer.URL, clientID, token, "", 0); err != nil {
				t.Errorf("refused: %v", err)
			}
		})
	}
}

// TestEachKindOfKey beside all others, as large providers publish them while they move.
func TestEachKindOfKey(t *testing.T) {
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	keys := map[jose.SignatureAlgorithm]crypto.Signer{jose.RS256: newRSA(t), jose.PS256: newRSA(t), jose.ES256: newEC(t), jose.EdDSA: ed}
	issuer := newIssuer(t)
	issuer.change(func() {
		delete(issuer.document, "id_token_signing_alg_values_supported")
		issuer.further = []string{`{"kty":"EC","crv":"P-256","kid":"RS256","x":"AAAA","y":"AAAA"}`}
		for algorithm, key := range keys {
			issuer.further = append(issuer.further, published(t, jose.JSONWebKey{Key: key.Public(), KeyID: string(algorithm), Use: "sig"}))
		}
	})
	for algorithm, key := range keys {
		token := sign(t, key, algorithm, string(algorithm), map[string]any{"iss": issuer.URL, "aud": clientID, "exp": start.Add(time.Hour).Unix()})
		if err := issuer.providers(now).Verify(t.Context(), issuer.URL, clientID, token, "", 0); err != nil {
			t.Errorf("%s: %v", algorithm, err)
		}
	}
}

// TestWhatDoesNotVerifyAToken is published, and does not do.
func TestWhatDoesNotVerifyAToken(t *testing.T) {
	signer := newRSA(t)
	public := published(t, jose.JSONWebKey{Key: signer.Public(), KeyID: "own"})
	secret := []byte(strings.Repeat("k", 32))
	huge := base64.RawURLEncoding.EncodeToString(new(big.Int).Lsh(big.NewInt(1), 16384).Bytes())
	tests := map[string]struct {
		published string
		key       any
		algorithm jose.SignatureAlgorithm
	}{
		"a secret":                      {`{"kty":"oct","kid":"own","k":"` + base64.RawURLEncoding.EncodeToString(secret) + `"}`, secret, jose.HS256},
		"the public key taken as one":   {public, signer.N.Bytes(), jose.HS256},
		"a key for encryption":          {edited(t, public, map[string]any{"use": "enc"}), signer, jose.RS256},
		"a key of another algorithm":    {edited(t, public, map[string]any{"alg": "RS512"}), signer, jose.RS256},
		"a key of another name":         {edited(t, public, map[string]any{"kid": "other"}), signer, jose.RS256},
		"a key that is without measure": {edited(t, public, map[string]any{"n": huge}), signer, jose.RS256},
		"a stranger's":                  {public, newRSA(t), jose.RS256},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			issuer := newIssuer(t)
			issuer.change(func() {
				delete(issuer.document, "id_token_signing_alg_values_supported")
				issuer.further = []string{test.published}
			})
			token := sign(t, test.key, test.algorithm, "own", map[string]any{"iss": issuer.URL, "aud": clientID, "exp": start.Add(time.Hour).Unix()})
			if err := issuer.providers(now).Verify(t.Context(), issuer.URL, clientID, token, "", 0); err == nil {
				t.Error("accepted")
			}
		})
	}
}

// TestKeysAreRotated steps through the changes of an issuer's keys, and counts what is fetched.
func TestKeysAreRotated(t *testing.T) {
	issuer := newIssuer(t)
	clock := start
	providers := issuer.providers(func() time.Time { return clock })
	tokenOf := func(key string) string {
		return issuer.token(t, key, map[string]any{"exp": start.Add(100 * time.Hour).Unix()})
	}
	first := tokenOf("first")
	down := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }
	step := func(why string, after time.Duration, token string, good bool, fetches int) {
		t.Helper()
		clock = clock.Add(after)
		err := providers.Verify(t.Context(), issuer.URL, clientID, token, "", 0)
		if (err == nil) != good {
			t.Errorf("%s: the error is %v", why, err)
		}
		if got := issuer.fetches("/keys"); got != fetches {
			t.Errorf("%s: %d fetches, want %d", why, got, fetches)
		}
	}
	step("the first token fetches the keys", 0, first, true, 1)
	step("the second does not", time.Second, first, true, 1)
	issuer.addKey(t, "second")
	step("a new key is fetched for, but not a moment after the last time", time.Second, tokenOf("second"), false, 1)
	step("a new key is fetched for", 10*time.Second, tokenOf("second"), true, 2)
	unknown := sign(t, newEC(t), jose.ES256, "unknown", map[string]any{"iss": issuer.URL, "aud": clientID, "exp": clock.Add(time.Hour).Unix()})
	for range 20 {
		step("tokens of no key fetch once in a while", 100*time.Millisecond, unknown, false, 2)
	}
	step("tokens of no key fetch once in a while", 8*time.Second, unknown, false, 3)
	issuer.addKey(t, "second")
	step("a key may change under its name", 10*time.Second, tokenOf("second"), true, 4)
	issuer.change(func() { delete(issuer.keys, "first") })
	step("a key that was withdrawn is believed for an hour at most", time.Hour-time.Second, first, true, 4)
	step("a key that was withdrawn is believed for an hour at most", time.Second, first, false, 5)
	second := tokenOf("second")
	issuer.change(func() { issuer.answer = down })
	step("an issuer that is down has the keys that it had", 2*time.Hour, second, true, 6)
	step("and is not asked each time", time.Minute, second, true, 6)
	step("but not for longer than a day", 22*time.Hour, second, false, 7)
	issuer.change(func() { issuer.answer = nil })
	step("and when it is back all is as before", 0, second, true, 8)
	step("a clock that is set back holds up nothing", -90*time.Minute, second, true, 9)
}

// TestAKeyThatIsNotThereYetPasses since the issuer may publish it in a moment.
func TestAKeyThatIsNotThereYetPasses(t *testing.T) {
	issuer := newIssuer(t)
	providers := issuer.providers(now)
	if err := providers.Verify(t.Context(), issuer.URL, clientID, issuer.token(t, "first", nil), "", 0); err != nil {
		t.Fatal(err)
	}
	issuer.addKey(t, "second")
	err := providers.Verify(t.Context(), issuer.URL, clientID, issuer.token(t, "second", nil), "", 0)
	if got := failure(t, err); got.Kind != answer.Unavailable || !strings.Contains(err.Error(), "fetched a moment ago") {
		t.Errorf("the failure is %+v, want Unavailable", got)
	}
}

// TestWhereKeysMayBe holds the address that a document names to the same rule as one that a Marketplace names.
func TestWhereKeysMayBe(t *testing.T) {
	elsewhere := newIssuer(t)
	tests := map[string]struct {
		address string
		says    string
	}{
		"plain http":       {"http://keys.example.com/jwks", "must be https"},
		"user information": {"https://me@keys.example.com/jwks", "must not hold user information"},
		"a file":           {"file:///etc/passwd", "is no absolute URL"},
		"nothing":          {"", "is no absolute URL"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			issuer := newIssuer(t)
			issuer.change(func() { issuer.document["jwks_uri"] = test.address })
			err := issuer.providers(now).Verify(t.Context(), issuer.URL, clientID, issuer.token(t, "first", nil), "", 0)
			if got := failure(t, err); got.Kind != answer.Malformed || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), "jwks_uri") {
				t.Errorf("the failure is %+v, want Malformed and %q", got, test.says)
			}
		})
	}
	t.Run("another host", func(t *testing.T) {
		issuer := newIssuer(t)
		issuer.change(func() { issuer.document["jwks_uri"] = elsewhere.URL + "/keys" })
		token := sign(t, elsewhere.keys["first"], jose.ES256, "first", map[string]any{"iss": issuer.URL, "aud": clientID, "exp": start.Add(time.Hour).Unix()})
		if err := issuer.providers(now).Verify(t.Context(), issuer.URL, clientID, token, "", 0); err != nil {
			t.Errorf("refused: %v", err)
		}
	})
}
