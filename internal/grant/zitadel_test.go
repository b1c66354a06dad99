package grant_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/op"
	"golang.org/x/oauth2"

	"github.com/tokenkeeper/tokenkeeper/internal/grant"
)

// zitadel is an OpenID Connect provider that somebody else wrote, with its example storage, which rotates refresh
// tokens. It lives on the wall clock.
type zitadel struct {
	*httptest.Server
	storage  *storage.Storage
	endpoint grant.Endpoint
}

const (
	zitadelClient, zitadelSecret   = "web", "s3cr3t of the web client"
	zitadelService, zitadelKeyword = "sid1", "verysecret" // of the example storage
	zitadelCallback                = "http://localhost:9999/auth/callback"
)

func newZitadel(t *testing.T) *zitadel {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	issuer := "http://" + server.Listener.Addr().String()
	held := storage.NewStorageWithClients(storage.NewUserStore(issuer),
		map[string]*storage.Client{zitadelClient: storage.WebClient(zitadelClient, zitadelSecret, zitadelCallback)})
	provider, err := op.NewProvider(&op.Config{
		CryptoKey: [32]byte{1}, AuthMethodPost: true, GrantTypeRefreshToken: true, CodeMethodS256: true,
	}, held, op.StaticIssuer(issuer), op.WithAllowInsecure(), op.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatalf("starting the provider: %v", err)
	}
	server.Config.Handler = provider
	server.Start()
	t.Cleanup(server.Close)
	z := &zitadel{Server: server, storage: held}
	discovered, err := z.providers().Discover(t.Context(), issuer)
	if err != nil {
		t.Fatalf("discovering the provider: %v", err)
	}
	z.endpoint = grant.Endpoint{
		TokenURL: discovered.Token, ClientID: zitadelClient, ClientSecret: zitadelSecret, HTTP: server.Client(), Now: time.Now,
	}
	return z
}

func (z *zitadel) providers() *grant.Providers {
	return &grant.Providers{HTTP: z.Client(), Now: time.Now}
}

// consent signs a person in with a browser of few virtues and returns the first refresh token.
func (z *zitadel) consent(t *testing.T) string {
	t.Helper()
	config := &oauth2.Config{
		ClientID: zitadelClient, ClientSecret: zitadelSecret, RedirectURL: zitadelCallback,
		Scopes: []string{"openid", "profile", "email", "offline_access"},
		Endpoint: oauth2.Endpoint{
			AuthURL: z.URL + "/authorize", TokenURL: z.endpoint.TokenURL, AuthStyle: oauth2.AuthStyleInHeader,
		},
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Transport: z.Client().Transport, Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
	visit := func(address string) *url.URL {
		t.Helper()
		response, err := browser.Get(address)
		if err != nil {
			t.Fatalf("the browser: %v", err)
		}
		_ = response.Body.Close()
		next, err := response.Location()
		if err != nil {
			t.Fatalf("the browser is sent nowhere, HTTP %d: %v", response.StatusCode, err)
		}
		return next
	}
	request := visit(config.AuthCodeURL("the-state")).Query().Get("authRequestID")
	if err := z.storage.CheckUsernamePassword("test-user@127.0.0.1", "verysecure", request); err != nil {
		t.Fatalf("signing in: %v", err)
	}
	code := visit(z.URL + "/authorize/callback?id=" + request).Query().Get("code")
	token, err := config.Exchange(context.WithValue(t.Context(), oauth2.HTTPClient, z.Client()), code)
	if err != nil {
		t.Fatalf("exchanging the code: %v", err)
	}
	return token.RefreshToken
}

func TestZitadelClientCredentials(t *testing.T) {
	z := newZitadel(t)
	z.endpoint.ClientID, z.endpoint.ClientSecret = zitadelService, zitadelKeyword
	before := time.Now()
	tokens, err := z.endpoint.ClientCredentials(t.Context(), []string{"openid"})
	if err != nil {
		t.Fatalf("asking: %v", err)
	}
	if tokens.AccessToken == "" || tokens.TokenType != "Bearer" || tokens.RefreshToken != "" || tokens.IDToken != "" || tokens.Scope != "openid" {
		t.Errorf("the tokens are %+v", tokens)
	}
	// The example storage lets them live for five minutes.
	if life := tokens.ExpiresAt.Sub(before); life < 4*time.Minute || life > 6*time.Minute {
		t.Errorf("the token lives for %v, want about 5 minutes", life)
	}

	z.endpoint.ClientSecret = "another"
	_, err = z.endpoint.ClientCredentials(t.Context(), nil)
	if got := failure(t, err); got.Kind != grant.ApplicationRejected || got.Code != "invalid_client" {
		t.Errorf("a wrong secret is %+v, want ApplicationRejected", got)
	}
}

func TestZitadelRefreshToken(t *testing.T) {
	z := newZitadel(t)
	first := z.consent(t)
	providers := z.providers()

	held := []string{first}
	for renewal := range 3 {
		tokens, err := z.endpoint.RefreshToken(t.Context(), held[renewal])
		if err != nil {
			t.Fatalf("renewal %d: %v", renewal, err)
		}
		if tokens.RefreshToken == held[renewal] || tokens.RefreshToken == "" {
			t.Fatalf("renewal %d leaves the refresh token %q", renewal, tokens.RefreshToken)
		}
		held = append(held, tokens.RefreshToken)
		if err := providers.Verify(t.Context(), z.URL, zitadelClient, tokens.IDToken); err != nil {
			t.Errorf("renewal %d: the ID token: %v", renewal, err)
		}
		if subject := grant.Claim(tokens.IDToken, "sub"); subject != "id1" {
			t.Errorf("renewal %d: the ID token is about %q, want id1", renewal, subject)
		}
		if end := tokens.ExpiresAt; end.Before(tokens.IssuedAt.Add(4*time.Minute)) || end.After(tokens.IssuedAt.Add(6*time.Minute)) {
			t.Errorf("renewal %d: the tokens end at %v, want in about 5 minutes", renewal, end)
		}
		if !verifiesNothingElse(t, z, providers, tokens.IDToken) {
			return
		}
	}
	for _, spent := range held[:3] {
		_, err := z.endpoint.RefreshToken(t.Context(), spent)
		if got := failure(t, err); got.Kind != grant.GrantRejected || got.Code != "invalid_grant" || got.OutcomeUnknown {
			t.Errorf("a spent refresh token is %+v, want GrantRejected", got)
		}
	}
	if _, err := z.endpoint.RefreshToken(t.Context(), held[3]); err != nil {
		t.Errorf("the last refresh token: %v", err)
	}
}

// verifiesNothingElse tells whether an ID token is refused once anything about it is wrong.
func verifiesNothingElse(t *testing.T, z *zitadel, providers *grant.Providers, good string) bool {
	t.Helper()
	parts := strings.Split(good, ".")
	for why, attempt := range map[string]struct{ client, token string }{
		"another audience":  {"another", good},
		"another payload":   {zitadelClient, parts[0] + "." + parts[1][:20] + "AAAA" + parts[1][24:] + "." + parts[2]},
		"another signature": {zitadelClient, parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2]))},
		"no signature":      {zitadelClient, parts[0] + "." + parts[1] + "."},
	} {
		err := providers.Verify(t.Context(), z.URL, attempt.client, attempt.token)
		if err == nil {
			t.Errorf("an ID token with %s is accepted", why)
			continue
		}
		if piece := leaked(err.Error(), good); piece != "" {
			t.Errorf("the error holds %q of the token: %v", piece, err)
		}
	}
	return !t.Failed()
}

func TestZitadelRefuses(t *testing.T) {
	z := newZitadel(t)
	living := z.consent(t)
	tests := map[string]struct {
		change func(*grant.Endpoint)
		token  string
		want   grant.Kind
		code   string
	}{
		"a refresh token that never was": {token: "never-was", want: grant.GrantRejected, code: "invalid_grant"},
		"a wrong client secret": {
			change: func(e *grant.Endpoint) { e.ClientSecret = "another" }, token: living, want: grant.ApplicationRejected, code: "invalid_client",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			endpoint := z.endpoint
			if test.change != nil {
				test.change(&endpoint)
			}
			_, err := endpoint.RefreshToken(t.Context(), test.token)
			if got := failure(t, err); got.Kind != test.want || got.Code != test.code {
				t.Errorf("the failure is %+v, want %s", got, test.want)
			}
		})
	}
	if _, err := z.endpoint.RefreshToken(t.Context(), living); err != nil {
		t.Errorf("the living refresh token suffered: %v", err)
	}
}

func TestZitadelRevokes(t *testing.T) {
	z := newZitadel(t)
	living := z.consent(t)
	discovered, err := z.providers().Discover(t.Context(), z.URL)
	if err != nil {
		t.Fatal(err)
	}
	if err := z.endpoint.Revoke(t.Context(), discovered.Revocation, living); err != nil {
		t.Fatalf("revoking: %v", err)
	}
	_, err = z.endpoint.RefreshToken(t.Context(), living)
	if got := failure(t, err); got.Kind != grant.GrantRejected {
		t.Errorf("a revoked refresh token is %+v, want GrantRejected", got)
	}
	if err := z.endpoint.Revoke(t.Context(), discovered.Revocation, living); err != nil {
		t.Errorf("revoking it again: %v", err)
	}
}
