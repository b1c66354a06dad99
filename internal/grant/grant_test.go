package grant_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/grant"
)

// start is when every test begins.
var start = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

func now() time.Time { return start }

const (
	clientID     = "my-client"
	clientSecret = "Zq8vT2mWc5KrX1"
	username     = "seller@example.com"
	password     = "hG7_pL3;wQ9+eR4 uN6"
	refreshToken = "kD93bXw0Vr5nYh2sJf8qLmPz6TcAe1Gu"
	code         = "v^1.1#i^1#p^3#I^3#f^0#Wq7+xN2"
	verifier     = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // of RFC 7636 appendix B
	callbackURI  = "https://tokens.example.com/callback/shop"
	deviceCode   = "GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS"
)

// transport answers requests in the place of a network.
type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Body != nil {
		_, _ = io.Copy(io.Discard, request.Body)
		_ = request.Body.Close()
	}
	return t(request)
}

// answers gives the same answer to every request; headers come in pairs of name and value.
func answers(status int, body string, headers ...string) transport {
	return func(request *http.Request) (*http.Response, error) {
		header := http.Header{"Content-Type": {"application/json"}}
		for i := 0; i+1 < len(headers); i += 2 {
			header.Set(headers[i], headers[i+1])
		}
		return &http.Response{
			StatusCode: status, Header: header, Request: request,
			Body: io.NopCloser(strings.NewReader(body)),
		}, nil
	}
}

// at is an endpoint behind a transport.
func at(url string, transport http.RoundTripper) grant.Endpoint {
	return grant.Endpoint{
		TokenURL: url, ClientID: clientID, ClientSecret: clientSecret,
		HTTP: &http.Client{Transport: transport}, Now: now,
	}
}

func endpoint(transport http.RoundTripper) grant.Endpoint {
	return at("https://login.example.com/token", transport)
}

// asked are the grants, each with its request.
var asked = map[string]func(*testing.T, grant.Endpoint) (answer.Tokens, error){
	"Password": func(t *testing.T, e grant.Endpoint) (answer.Tokens, error) {
		return e.Password(t.Context(), username, password, []string{"openid", "orders"})
	},
	"ClientCredentials": func(t *testing.T, e grant.Endpoint) (answer.Tokens, error) {
		return e.ClientCredentials(t.Context(), []string{"orders"})
	},
	"RefreshToken": func(t *testing.T, e grant.Endpoint) (answer.Tokens, error) {
		return e.RefreshToken(t.Context(), refreshToken)
	},
	"AuthorizationCode": func(t *testing.T, e grant.Endpoint) (answer.Tokens, error) {
		return e.AuthorizationCode(t.Context(), code, callbackURI, verifier)
	},
	"Device": func(t *testing.T, e grant.Endpoint) (answer.Tokens, error) { return e.Device(t.Context(), deviceCode) },
}

// renewed is the outcome of asking with the refresh token.
func renewed(t *testing.T, transport http.RoundTripper) answer.Tokens {
	t.Helper()
	tokens, err := endpoint(transport).RefreshToken(t.Context(), refreshToken)
	if err != nil {
		t.Fatalf("asking for tokens: %v", err)
	}
	return tokens
}

// failure is the *grant.Error that err must be.
func failure(t *testing.T, err error) *answer.Error {
	t.Helper()
	var failed *answer.Error
	if !errors.As(err, &failed) {
		t.Fatalf("the error is %T (%v), want a *grant.Error", err, err)
	}
	return failed
}

// tokenWith is a JWT whose signature is none that anybody could verify.
func tokenWith(t *testing.T, claims map[string]any) string {
	t.Helper()
	return jwtOf(t, "RS256", claims)
}

func jwtOf(t *testing.T, algorithm string, claims map[string]any) string {
	t.Helper()
	parts := make([]string, 0, 3)
	for _, part := range []any{map[string]any{"alg": algorithm, "typ": "JWT"}, claims} {
		text, err := json.Marshal(part)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, base64.RawURLEncoding.EncodeToString(text))
	}
	parts = append(parts, base64.RawURLEncoding.EncodeToString([]byte("no signature")))
	return strings.Join(parts, ".")
}

// object is a JSON object as text.
func object(t *testing.T, members map[string]any) string {
	t.Helper()
	text, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
