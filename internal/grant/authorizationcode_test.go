package grant_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/oauth2"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/openid"
)

// consented is the code of a seller who has signed in at the demo marketplace with a challenge, or without one.
func (d *demo) consented(t *testing.T, challenge string) string {
	t.Helper()
	d.AddRedirectURI(demomarket.DefaultClientID, callbackURI)
	request := url.Values{
		"response_type": {"code"}, "client_id": {demomarket.DefaultClientID}, "redirect_uri": {callbackURI},
		"state": {"the-state"}, "scope": {"openid offline_access"}, "nonce": {"the-nonce"},
	}
	if challenge != "" {
		request.Set("code_challenge", challenge)
		request.Set("code_challenge_method", "S256")
	}
	callback, err := d.SignIn(t.Context(), &http.Client{}, d.issuer+"/authorize?"+request.Encode(), demomarket.Person{})
	if err != nil {
		t.Fatalf("signing in: %v", err)
	}
	if callback.Query().Get("code") == "" {
		t.Fatalf("there is no code in %s", callback)
	}
	return callback.Query().Get("code")
}

func TestDemoMarketplaceAuthorizationCode(t *testing.T) {
	demo := newDemo(t, nil)
	got, err := demo.endpoint.AuthorizationCode(t.Context(),
		demo.consented(t, oauth2.S256ChallengeFromVerifier(verifier)), callbackURI, verifier)
	if err != nil {
		t.Fatalf("asking: %v", err)
	}
	want := answer.Tokens{TokenType: "Bearer", IssuedAt: start, ExpiresAt: start.Add(time.Hour)}
	withoutTokens := cmpopts.IgnoreFields(answer.Tokens{}, "AccessToken", "IDToken", "RefreshToken", "AccessTokenExpiresAt", "IDTokenExpiresAt",
		"AccessClaims", "IDClaims")
	if diff := cmp.Diff(want, got, withoutTokens); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !demo.AccessTokenValid(got.AccessToken) || !demo.RefreshTokenValid(got.RefreshToken) {
		t.Error("the platform does not take the tokens")
	}
	providers := &openid.Providers{HTTP: demo.endpoint.HTTP, Now: now}
	if err := providers.Verify(t.Context(), demo.issuer, demomarket.DefaultClientID, got.IDToken, "the-nonce", 0); err != nil {
		t.Errorf("the ID token is not good: %v", err)
	}
	if err := providers.Verify(t.Context(), demo.issuer, demomarket.DefaultClientID, got.IDToken, "another", 0); err == nil {
		t.Error("the ID token is good for another sign-in")
	}
	discovered, err := providers.Discover(t.Context(), demo.issuer)
	if err != nil || !discovered.IssuerParameter || discovered.DeviceAuthorization == "" {
		t.Errorf("discovery found %+v, %v", discovered, err)
	}
}

func TestDemoMarketplaceRefusesCodes(t *testing.T) {
	challenge := oauth2.S256ChallengeFromVerifier(verifier)
	with := func(redirectURI, verifier string) func(*testing.T, *demo, string) error {
		return func(t *testing.T, d *demo, code string) error {
			_, err := d.endpoint.AuthorizationCode(t.Context(), code, redirectURI, verifier)
			return err
		}
	}
	plain := with(callbackURI, verifier)
	tests := map[string]struct {
		late    time.Duration
		ask     func(*testing.T, *demo, string) error
		want    answer.Kind
		unknown bool
	}{
		"a code that was used": {ask: func(t *testing.T, d *demo, code string) error {
			if err := plain(t, d, code); err != nil {
				t.Fatal(err)
			}
			return plain(t, d, code)
		}, want: answer.GrantRejected},
		"a code that is too old": {late: time.Minute, ask: plain, want: answer.GrantRejected},
		"a code that never was": {
			ask: func(t *testing.T, d *demo, _ string) error { return plain(t, d, code) }, want: answer.GrantRejected,
		},
		"another redirect_uri": {ask: with(callbackURI+"/", verifier), want: answer.GrantRejected},
		"another verifier":     {ask: with(callbackURI, verifier[1:]+"x"), want: answer.GrantRejected},
		"no verifier":          {ask: with(callbackURI, ""), want: answer.GrantRejected},
		"a wrong client secret": {ask: func(t *testing.T, d *demo, code string) error {
			d.SetClientSecret("another", false)
			return plain(t, d, code)
		}, want: answer.ApplicationRejected},
		"an answer that got lost": {ask: func(t *testing.T, d *demo, code string) error {
			d.Inject(demomarket.DropAfterCommit())
			return plain(t, d, code)
		}, want: answer.Unavailable, unknown: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			clock := start
			demo := newDemoAt(t, func() time.Time { return clock }, nil)
			given := demo.consented(t, challenge)
			clock = clock.Add(test.late)
			err := test.ask(t, demo, given)
			if got := failure(t, err); got.Kind != test.want || got.OutcomeUnknown != test.unknown {
				t.Errorf("the failure is %+v, want %s with an outcome unknown: %v", got, test.want, test.unknown)
			}
			for _, secret := range []string{given, verifier} {
				if piece := leaked(err.Error(), secret); piece != "" {
					t.Errorf("the error holds %q of a secret: %v", piece, err)
				}
			}
		})
	}
}
