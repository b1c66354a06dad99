package grant_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/op"
	"golang.org/x/oauth2"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
)

func TestZitadelAuthorizationCode(t *testing.T) {
	z := newZitadel(t)
	code := z.code(t, oauth2.S256ChallengeOption(verifier), oauth2.SetAuthURLParam("nonce", "the-nonce"))
	tokens, err := z.endpoint.AuthorizationCode(t.Context(), code, zitadelCallback, verifier)
	if err != nil {
		t.Fatalf("exchanging the code: %v", err)
	}
	if tokens.AccessToken == "" || tokens.RefreshToken == "" || tokens.TokenType != "Bearer" {
		t.Errorf("the tokens are %+v", tokens)
	}
	providers := z.providers()
	if err := providers.Verify(t.Context(), z.URL, zitadelClient, tokens.IDToken, "the-nonce", 0); err != nil {
		t.Errorf("the ID token: %v", err)
	}
	err = providers.Verify(t.Context(), z.URL, zitadelClient, tokens.IDToken, "another", 0)
	if got := failure(t, err); !strings.Contains(got.Message, "another sign-in") {
		t.Errorf("another nonce is %+v", got)
	}
	if _, err := z.endpoint.RefreshToken(t.Context(), tokens.RefreshToken); err != nil {
		t.Errorf("renewing: %v", err)
	}
	_, err = z.endpoint.AuthorizationCode(t.Context(), code, zitadelCallback, verifier)
	if got := failure(t, err); got.Kind != answer.GrantRejected {
		t.Errorf("a code that was used is %+v, want GrantRejected", got)
	}
}

func TestZitadelRefusesCodes(t *testing.T) {
	z := newZitadel(t)
	tests := map[string]struct {
		redirectURI, verifier string
		want                  answer.Kind
	}{
		"another verifier":     {zitadelCallback, strings.ToLower(verifier), answer.GrantRejected},
		"no verifier":          {zitadelCallback, "", answer.InvalidRequest},
		"another redirect_uri": {zitadelCallback + "/", verifier, answer.GrantRejected},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			given := z.code(t, oauth2.S256ChallengeOption(verifier))
			_, err := z.endpoint.AuthorizationCode(t.Context(), given, test.redirectURI, test.verifier)
			if got := failure(t, err); got.Kind != test.want {
				t.Errorf("the failure is %+v, want %s", got, test.want)
			}
			for _, secret := range []string{given, verifier, zitadelSecret} {
				if piece := leaked(err.Error(), secret); piece != "" {
					t.Errorf("the error holds %q of a secret: %v", piece, err)
				}
			}
		})
	}
}

func TestZitadelDevice(t *testing.T) {
	z := newZitadel(t)
	start := func(t *testing.T) answer.DeviceCode {
		t.Helper()
		before := time.Now()
		code, err := z.device.StartDevice(t.Context(), z.discovered.DeviceAuthorization, []string{"openid", "profile"})
		if err != nil {
			t.Fatalf("asking for a code: %v", err)
		}
		life := code.ExpiresAt.Sub(before)
		if code.Interval != 7*time.Second || life < 59*time.Minute || life > time.Hour+time.Second || code.URL != z.URL+"/device" ||
			code.CompleteURL != z.URL+"/device?user_code="+code.UserCode {
			t.Errorf("the code is %+v", code)
		}
		return code
	}
	poll := func(t *testing.T, code answer.DeviceCode, want answer.Kind) {
		t.Helper()
		_, err := z.device.Device(t.Context(), code.Code)
		if got := failure(t, err); got.Kind != want {
			t.Errorf("the failure is %+v, want %s", got, want)
		}
	}
	t.Run("approved", func(t *testing.T) {
		code := start(t)
		poll(t, code, answer.Pending)
		if err := z.storage.CompleteDeviceAuthorization(t.Context(), code.UserCode, "id1"); err != nil {
			t.Fatal(err)
		}
		tokens, err := z.device.Device(t.Context(), code.Code)
		if err != nil {
			t.Fatalf("polling: %v", err)
		}
		if err := z.providers().Verify(t.Context(), z.URL, zitadelDevice, tokens.IDToken, "", 0); err != nil || tokens.AccessToken == "" {
			t.Errorf("the tokens are %+v, and the ID token %v", tokens, err)
		}
	})
	t.Run("denied", func(t *testing.T) {
		code := start(t)
		poll(t, code, answer.Pending)
		if err := z.storage.DenyDeviceAuthorization(t.Context(), code.UserCode); err != nil {
			t.Fatal(err)
		}
		poll(t, code, answer.ConsentDenied)
	})
	t.Run("unknown", func(t *testing.T) {
		poll(t, answer.DeviceCode{Code: "never-was"}, answer.ConsentDenied) // this server's word for it
	})
	t.Run("a wrong client secret", func(t *testing.T) {
		code := start(t)
		z.device.ClientSecret = "another"
		poll(t, code, answer.ApplicationRejected)
		_, err := z.device.StartDevice(t.Context(), z.discovered.DeviceAuthorization, nil)
		if got := failure(t, err); got.Kind != answer.ApplicationRejected {
			t.Errorf("asking for a code: the failure is %+v, want ApplicationRejected", got)
		}
	})
}

func TestZitadelDeviceCodeExpires(t *testing.T) {
	z := newZitadelWith(t, time.Nanosecond, func(held *storage.Storage) op.Storage { return held })
	code, err := z.device.StartDevice(t.Context(), z.discovered.DeviceAuthorization, nil)
	if err != nil {
		t.Fatalf("asking for a code: %v", err)
	}
	_, err = z.device.Device(t.Context(), code.Code)
	if got := failure(t, err); got.Kind != answer.CodeExpired || got.Code != "expired_token" {
		t.Errorf("the failure is %+v, want CodeExpired", got)
	}
}

// detecting is the example storage with what RFC 9700 section 4.14.2 describes and it lacks: a refresh token that comes a
// second time ends those that came of it.
type detecting struct {
	*storage.Storage
	mu         sync.Mutex
	successors map[string]string // of spent refresh tokens
}

func (d *detecting) CreateAccessAndRefreshTokens(
	ctx context.Context, request op.TokenRequest, current string,
) (accessTokenID, next string, expiration time.Time, err error) {
	accessTokenID, next, expiration, err = d.Storage.CreateAccessAndRefreshTokens(ctx, request, current)
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil && current != "" {
		d.successors[current] = next
	}
	return accessTokenID, next, expiration, err
}

func (d *detecting) TokenRequestByRefreshToken(ctx context.Context, token string) (op.RefreshTokenRequest, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for living := d.successors[token]; living != ""; living = d.successors[living] {
		if err := d.RevokeToken(ctx, living, "", zitadelClient); err != nil {
			return nil, err
		}
	}
	return d.Storage.TokenRequestByRefreshToken(ctx, token)
}

// TestZitadelDetectsReuse is why no refresh token may be sent twice: the second time costs the consent.
func TestZitadelDetectsReuse(t *testing.T) {
	z := newZitadelWith(t, time.Hour, func(held *storage.Storage) op.Storage {
		return &detecting{Storage: held, successors: map[string]string{}}
	})
	first, other := z.consent(t), z.consent(t)
	held := []string{first}
	for renewal := range 2 {
		tokens, err := z.endpoint.RefreshToken(t.Context(), held[renewal])
		if err != nil {
			t.Fatalf("renewal %d: %v", renewal, err)
		}
		held = append(held, tokens.RefreshToken)
	}
	for _, token := range held { // the spent ones, and then the one that was good until they came
		_, err := z.endpoint.RefreshToken(t.Context(), token)
		if got := failure(t, err); got.Kind != answer.GrantRejected || got.Code != "invalid_grant" {
			t.Errorf("the failure is %+v, want GrantRejected", got)
		}
	}
	if _, err := z.endpoint.RefreshToken(t.Context(), other); err != nil {
		t.Errorf("another consent suffers: %v", err)
	}
}
