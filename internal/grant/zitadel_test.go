package grant_test

import (
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

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/grant"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/openid"
)

// zitadel is an OpenID Connect provider that somebody else wrote, with its example storage, which rotates refresh
// tokens. It lives on the wall clock.
type zitadel struct {
	*httptest.Server
	storage    *storage.Storage
	discovered openid.Endpoints
	// endpoint is the web client's, device that of a client which must authenticate by Basic.
	endpoint, device grant.Endpoint
}

const (
	zitadelClient, zitadelSecret   = "web", "s3cr3t of the web client"
	zitadelDevice, zitadelPassword = "device", "s3cr3t of the d&vice"
	zitadelService, zitadelKeyword = "sid1", "verysecret" // of the example storage
	zitadelCallback                = "http://localhost:9999/auth/callback"
	zitadelUser, zitadelLogin      = "test-user@127.0.0.1", "verysecure" // of the example storage
)

func newZitadel(t *testing.T) *zitadel {
	t.Helper()
	return newZitadelWith(t, time.Hour, func(held *storage.Storage) op.Storage { return held })
}

// newZitadelWith is one whose device codes live for a while, with a storage around the example's.
func newZitadelWith(t *testing.T, deviceLife time.Duration, around func(*storage.Storage) op.Storage) *zitadel {
	t.Helper()
	server := httptest.NewUnstartedServer(nil)
	issuer := "http://" + server.Listener.Addr().String()
	held := storage.NewStorageWithClients(storage.NewUserStore(issuer), map[string]*storage.Client{
		zitadelClient: storage.WebClient(zitadelClient, zitadelSecret, zitadelCallback),
		zitadelDevice: storage.DeviceClient(zitadelDevice, zitadelPassword),
	})
	provider, err := op.NewProvider(&op.Config{
		CryptoKey: [32]byte{1}, AuthMethodPost: true, GrantTypeRefreshToken: true, CodeMethodS256: true,
		DeviceAuthorization: op.DeviceAuthorizationConfig{
			Lifetime: deviceLife, PollInterval: 7 * time.Second, UserFormPath: "/device", UserCode: op.UserCodeBase20,
		},
	}, around(held), op.StaticIssuer(issuer), op.WithAllowInsecure(), op.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		t.Fatalf("starting the provider: %v", err)
	}
	server.Config.Handler = provider
	server.Start()
	t.Cleanup(server.Close)
	z := &zitadel{Server: server, storage: held}
	z.discovered, err = z.providers().Discover(t.Context(), issuer)
	if err != nil {
		t.Fatalf("discovering the provider: %v", err)
	}
	z.endpoint = grant.Endpoint{
		TokenURL: z.discovered.Token, ClientID: zitadelClient, ClientSecret: zitadelSecret, HTTP: server.Client(), Now: time.Now,
	}
	z.device = z.endpoint
	z.device.ClientID, z.device.ClientSecret = zitadelDevice, zitadelPassword
	z.device.HTTP = &http.Client{Transport: plainDialect(t, server.Client().Transport)}
	return z
}

// plainDialect is that of a Marketplace that says nothing beyond what OAuth says: Basic.
func plainDialect(t *testing.T, next http.RoundTripper) http.RoundTripper {
	t.Helper()
	return dialect(t, v1alpha1.MarketplaceSpec{}, next)
}

// dialect is that of a Marketplace.
func dialect(t *testing.T, spec v1alpha1.MarketplaceSpec, next http.RoundTripper) http.RoundTripper {
	t.Helper()
	spec.Environments = []v1alpha1.Environment{{Name: "Production"}}
	spec.Grants = []v1alpha1.GrantType{v1alpha1.GrantDeviceCode}
	account := &v1alpha1.MarketplaceAccount{}
	account.Spec.Environment, account.Spec.Grant.Type = "Production", v1alpha1.GrantDeviceCode
	platform, err := marketplace.Resolve(&v1alpha1.Marketplace{Spec: spec}, account)
	if err != nil {
		t.Fatalf("resolving: %v", err)
	}
	return platform.Dialect(next, time.Now)
}

func (z *zitadel) providers() *openid.Providers {
	return &openid.Providers{HTTP: z.Client(), Now: time.Now}
}

// code signs a person in with a browser of few virtues and returns the authorization code.
func (z *zitadel) code(t *testing.T, options ...oauth2.AuthCodeOption) string {
	t.Helper()
	config := &oauth2.Config{
		ClientID: zitadelClient, RedirectURL: zitadelCallback, Scopes: []string{"openid", "profile", "email", "offline_access"},
		Endpoint: oauth2.Endpoint{AuthURL: z.discovered.Authorization},
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
	request := visit(config.AuthCodeURL("the-state", options...)).Query().Get("authRequestID")
	if err := z.storage.CheckUsernamePassword(zitadelUser, zitadelLogin, request); err != nil {
		t.Fatalf("signing in: %v", err)
	}
	return visit(z.URL + "/authorize/callback?id=" + request).Query().Get("code")
}

// consent signs a person in and returns the first refresh token.
func (z *zitadel) consent(t *testing.T) string {
	t.Helper()
	tokens, err := z.endpoint.AuthorizationCode(t.Context(), z.code(t), zitadelCallback, "")
	if err != nil {
		t.Fatalf("exchanging the code: %v", err)
	}
	return tokens.RefreshToken
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
	if got := failure(t, err); got.Kind != answer.ApplicationRejected || got.Code != "invalid_client" {
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
		if err := providers.Verify(t.Context(), z.URL, zitadelClient, tokens.IDToken, "", 0); err != nil {
			t.Errorf("renewal %d: the ID token: %v", renewal, err)
		}
		if subject := grant.ClaimsOf(tokens.IDToken).Text("sub"); subject != "id1" {
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
		if got := failure(t, err); got.Kind != answer.GrantRejected || got.Code != "invalid_grant" || got.OutcomeUnknown {
			t.Errorf("a spent refresh token is %+v, want GrantRejected", got)
		}
	}
	if _, err := z.endpoint.RefreshToken(t.Context(), held[3]); err != nil {
		t.Errorf("the last refresh token: %v", err)
	}
}

// verifiesNothingElse tells whether an ID token is refused once anything about it is wrong.
func verifiesNothingElse(t *testing.T, z *zitadel, providers *openid.Providers, good string) bool {
	t.Helper()
	parts := strings.Split(good, ".")
	for why, attempt := range map[string]struct{ client, token string }{
		"another audience":  {"another", good},
		"another payload":   {zitadelClient, parts[0] + "." + parts[1][:20] + "AAAA" + parts[1][24:] + "." + parts[2]},
		"another signature": {zitadelClient, parts[0] + "." + parts[1] + "." + strings.Repeat("A", len(parts[2]))},
		"no signature":      {zitadelClient, parts[0] + "." + parts[1] + "."},
	} {
		err := providers.Verify(t.Context(), z.URL, attempt.client, attempt.token, "", 0)
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
		want   answer.Kind
		code   string
	}{
		"a refresh token that never was": {token: "never-was", want: answer.GrantRejected, code: "invalid_grant"},
		"a wrong client secret": {
			change: func(e *grant.Endpoint) { e.ClientSecret = "another" }, token: living, want: answer.ApplicationRejected, code: "invalid_client",
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
	if err := z.endpoint.Revoke(t.Context(), z.discovered.Revocation, living); err != nil {
		t.Fatalf("revoking: %v", err)
	}
	_, err := z.endpoint.RefreshToken(t.Context(), living)
	if got := failure(t, err); got.Kind != answer.GrantRejected {
		t.Errorf("a revoked refresh token is %+v, want GrantRejected", got)
	}
	if err := z.endpoint.Revoke(t.Context(), z.discovered.Revocation, living); err != nil {
		t.Errorf("revoking it again: %v", err)
	}
}
