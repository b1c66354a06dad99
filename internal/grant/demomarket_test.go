package grant_test

import (
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/grant"
	"github.com/tokenkeeper/tokenkeeper/internal/openid"
)

// demo is a demo marketplace with a plain OpenID Connect platform, the strictest there is about refresh tokens.
type demo struct {
	*demomarket.Market
	issuer   string
	endpoint grant.Endpoint
	settle   func() // waits until every request has ended
}

func newDemo(t *testing.T, change func(*demomarket.Platform)) *demo {
	t.Helper()
	return newDemoAt(t, now, change)
}

// newDemoAt is one that lives by a clock.
func newDemoAt(t *testing.T, now func() time.Time, change func(*demomarket.Platform)) *demo {
	t.Helper()
	platform := demomarket.OIDC()
	platform.ClientAuthentication = demomarket.Body // that of this package, without a dialect in between
	platform.ScopeAnswer = demomarket.ScopeNever
	if change != nil {
		change(&platform)
	}
	market := demomarket.New(demomarket.Options{Now: now, Key: demomarket.SharedKey()}, platform)
	server := httptest.NewServer(market)
	t.Cleanup(server.Close)
	endpoint := at(server.URL+"/oidc/token", server.Client().Transport)
	endpoint.Now = now
	endpoint.ClientID, endpoint.ClientSecret = demomarket.DefaultClientID, demomarket.DefaultClientSecret
	return &demo{Market: market.Platform("oidc"), issuer: server.URL + "/oidc", endpoint: endpoint, settle: server.Close}
}

func TestDemoMarketplace(t *testing.T) {
	hour := start.Add(time.Hour)
	tests := map[string]struct {
		platform func(*demomarket.Platform)
		ask      func(*testing.T, *demo) (answer.Tokens, error)
		want     answer.Tokens // without the tokens themselves
		id, next bool          // whether there is an ID token, and a refresh token that is not the one sent
	}{
		"Password": {
			ask: func(t *testing.T, d *demo) (answer.Tokens, error) {
				return d.endpoint.Password(t.Context(), demomarket.DefaultUser, demomarket.DefaultPassword, []string{"openid", "offline_access"})
			},
			want: answer.Tokens{TokenType: "Bearer", IssuedAt: start, ExpiresAt: hour}, id: true, next: true,
		},
		"Password where the ID token ends first": {
			platform: func(p *demomarket.Platform) { p.IDToken.Lifetime = 10 * time.Minute },
			ask: func(t *testing.T, d *demo) (answer.Tokens, error) {
				return d.endpoint.Password(t.Context(), demomarket.DefaultUser, demomarket.DefaultPassword, []string{"openid"})
			},
			want: answer.Tokens{TokenType: "Bearer", IssuedAt: start, ExpiresAt: start.Add(10 * time.Minute)}, id: true,
		},
		"ClientCredentials": {
			ask: func(t *testing.T, d *demo) (answer.Tokens, error) {
				return d.endpoint.ClientCredentials(t.Context(), []string{"orders"})
			},
			want: answer.Tokens{TokenType: "Bearer", IssuedAt: start, ExpiresAt: hour},
		},
		"RefreshToken that rotates": {
			ask: func(t *testing.T, d *demo) (answer.Tokens, error) {
				return d.endpoint.RefreshToken(t.Context(), refreshToken)
			},
			want: answer.Tokens{TokenType: "Bearer", IssuedAt: start, ExpiresAt: hour}, id: true, next: true,
		},
		"RefreshToken that stays": {
			platform: func(p *demomarket.Platform) { p.RefreshToken.Rotation = demomarket.Static },
			ask: func(t *testing.T, d *demo) (answer.Tokens, error) {
				return d.endpoint.RefreshToken(t.Context(), refreshToken)
			},
			want: answer.Tokens{TokenType: "Bearer", IssuedAt: start, ExpiresAt: hour}, id: true,
		},
		"RefreshToken that is repeated": {
			platform: func(p *demomarket.Platform) { p.RefreshToken.Rotation = demomarket.Echo },
			ask: func(t *testing.T, d *demo) (answer.Tokens, error) {
				return d.endpoint.RefreshToken(t.Context(), refreshToken)
			},
			want: answer.Tokens{TokenType: "Bearer", IssuedAt: start, ExpiresAt: hour}, id: true,
		},
		"RefreshToken whose end is told": {
			platform: func(p *demomarket.Platform) { p.RefreshToken.ExpiryField = "refresh_token_expires_in" },
			ask: func(t *testing.T, d *demo) (answer.Tokens, error) {
				return d.endpoint.RefreshToken(t.Context(), refreshToken)
			},
			want: answer.Tokens{
				TokenType: "Bearer", IssuedAt: start, ExpiresAt: hour, AuthorizationExpiresAt: start.Add(720 * time.Hour),
			}, id: true, next: true,
		},
		"the scope is told where it differs": {
			platform: func(p *demomarket.Platform) { p.ScopeAnswer = demomarket.ScopeAlways },
			ask: func(t *testing.T, d *demo) (answer.Tokens, error) {
				return d.endpoint.ClientCredentials(t.Context(), []string{"orders", "email"})
			},
			want: answer.Tokens{TokenType: "Bearer", Scope: "orders email", IssuedAt: start, ExpiresAt: hour},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			demo := newDemo(t, test.platform)
			demo.SeedRefreshToken(refreshToken, demo.Seller().ID)
			got, err := test.ask(t, demo)
			if err != nil {
				t.Fatalf("asking: %v", err)
			}
			withoutTokens := cmpopts.IgnoreFields(answer.Tokens{}, "AccessToken", "IDToken", "RefreshToken", "AccessTokenExpiresAt", "IDTokenExpiresAt",
				"AccessClaims", "IDClaims")
			if diff := cmp.Diff(test.want, got, withoutTokens); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if !demo.AccessTokenValid(got.AccessToken) {
				t.Error("the platform does not take the access token")
			}
			if (got.IDToken != "") != test.id {
				t.Errorf("the ID token is %q", got.IDToken)
			}
			if got.IDToken != "" {
				providers := &openid.Providers{HTTP: demo.endpoint.HTTP, Now: now}
				if err := providers.Verify(t.Context(), demo.issuer, demomarket.DefaultClientID, got.IDToken, "", 0); err != nil {
					t.Errorf("the ID token is not good: %v", err)
				}
				if sub := grant.ClaimsOf(got.IDToken).Text("sub"); sub != demo.Seller().ID {
					t.Errorf("the ID token is about %q, want %q", sub, demo.Seller().ID)
				}
			}
			if fresh := got.RefreshToken != "" && got.RefreshToken != refreshToken; fresh != test.next {
				t.Errorf("the next refresh token is %q", got.RefreshToken)
			}
			if got.RefreshToken != "" && !demo.RefreshTokenValid(got.RefreshToken) {
				t.Error("the platform does not take the next refresh token")
			}
		})
	}
}

func TestDemoMarketplaceRefuses(t *testing.T) {
	renew := func(t *testing.T, d *demo) error {
		_, err := d.endpoint.RefreshToken(t.Context(), refreshToken)
		return err
	}
	login := func(t *testing.T, d *demo) error {
		_, err := d.endpoint.Password(t.Context(), demomarket.DefaultUser, demomarket.DefaultPassword, nil)
		return err
	}
	tests := map[string]struct {
		platform func(*demomarket.Platform)
		arrange  func(*testing.T, *demo)
		ask      func(*testing.T, *demo) error
		want     answer.Kind
		outcome  demomarket.Outcome
		unknown  bool
	}{
		"a spent refresh token": {
			arrange: func(t *testing.T, d *demo) {
				if err := renew(t, d); err != nil {
					t.Fatal(err)
				}
			},
			ask: renew, want: answer.GrantRejected, outcome: demomarket.InvalidGrant,
		},
		"an unknown refresh token": {
			arrange: func(_ *testing.T, d *demo) { d.RevokeGrants() },
			ask:     renew, want: answer.GrantRejected, outcome: demomarket.InvalidGrant,
		},
		"a wrong client secret": {
			arrange: func(_ *testing.T, d *demo) { d.SetClientSecret("another-secret", false) },
			ask:     renew, want: answer.ApplicationRejected, outcome: demomarket.InvalidClient,
		},
		"a wrong password": {
			arrange: func(_ *testing.T, d *demo) { d.SetPassword(demomarket.DefaultUser, "another-password") },
			ask:     login, want: answer.PasswordRejected, outcome: demomarket.WrongPassword,
		},
		"a login that needs a person": {
			platform: func(p *demomarket.Platform) {
				p.Refusals = map[demomarket.Outcome]demomarket.Refusal{demomarket.MFARequired: {Status: 403, Code: "mfa_required"}}
			},
			arrange: func(_ *testing.T, d *demo) { d.RefuseLogin(demomarket.DefaultUser, demomarket.MFARequired) },
			ask:     login, want: answer.AccountLocked, outcome: demomarket.MFARequired,
		},
		"an unknown scope": {
			ask: func(t *testing.T, d *demo) error {
				_, err := d.endpoint.ClientCredentials(t.Context(), []string{"everything"})
				return err
			},
			want: answer.ScopeRejected, outcome: demomarket.InvalidScope,
		},
		"a grant that is not served": {
			arrange: func(_ *testing.T, d *demo) { d.Inject(demomarket.Refuse(demomarket.UnsupportedGrant)) },
			ask:     renew, want: answer.InvalidRequest, outcome: demomarket.UnsupportedGrant,
		},
		"too many requests": {
			arrange: func(_ *testing.T, d *demo) { d.Inject(demomarket.Throttle(30)) },
			ask:     renew, want: answer.Throttled, outcome: demomarket.Faulted,
		},
		"maintenance": {
			arrange: func(_ *testing.T, d *demo) { d.Inject(demomarket.Maintenance()) },
			ask:     renew, want: answer.Unavailable, outcome: demomarket.Faulted,
		},
		"a page": {
			arrange: func(_ *testing.T, d *demo) { d.Inject(demomarket.HTMLPage()) },
			ask:     renew, want: answer.Malformed, outcome: demomarket.Faulted,
		},
		"two MiB": {
			arrange: func(_ *testing.T, d *demo) { d.Inject(demomarket.Huge()) },
			ask:     renew, want: answer.Malformed, outcome: demomarket.Faulted, unknown: true,
		},
		"an answer lost": {
			arrange: func(_ *testing.T, d *demo) { d.Inject(demomarket.DropAfterCommit()) },
			ask:     renew, want: answer.Unavailable, outcome: demomarket.OK, unknown: true,
		},
		"half an answer": {
			arrange: func(_ *testing.T, d *demo) { d.Inject(demomarket.CutAnswer()) },
			ask:     renew, want: answer.Unavailable, outcome: demomarket.OK, unknown: true,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			demo := newDemo(t, test.platform)
			demo.SeedRefreshToken(refreshToken, demo.Seller().ID)
			if test.arrange != nil {
				test.arrange(t, demo)
			}
			before := len(demo.Requests())
			got := failure(t, test.ask(t, demo))
			if got.Kind != test.want || got.OutcomeUnknown != test.unknown {
				t.Errorf("the failure is %+v, want %s with an outcome unknown: %v", got, test.want, test.unknown)
			}
			demo.settle()
			requests := demo.Requests()[before:]
			if len(requests) != 1 || requests[0].Outcome != test.outcome {
				t.Errorf("the platform saw %+v, want one request and %s", requests, test.outcome)
			}
		})
	}
}

func TestDemoMarketplaceRevokes(t *testing.T) {
	demo := newDemo(t, nil)
	demo.SeedRefreshToken(refreshToken, demo.Seller().ID)
	for _, why := range []string{"a living token", "a dead one"} {
		if err := demo.endpoint.Revoke(t.Context(), demo.issuer+"/revoke", refreshToken); err != nil {
			t.Errorf("revoking %s: %v", why, err)
		}
	}
	if demo.RefreshTokenValid(refreshToken) {
		t.Error("the token is still valid")
	}
	_, err := demo.endpoint.RefreshToken(t.Context(), refreshToken)
	if got := failure(t, err); got.Kind != answer.GrantRejected {
		t.Errorf("the failure is %+v, want GrantRejected", got)
	}
}
