package grant_test

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
)

// answering are platforms that answer in their own ways.
var answering = []v1alpha1.TokenResponse{
	{},
	{Envelope: "data", Fields: v1alpha1.TokenResponseFields{AccessToken: "token.value", Error: "code", ErrorDescription: "message", AccountID: "seller"}},
	{ExpiryUnit: v1alpha1.ExpiryUnitUnixMilliseconds, TokenType: "Bearer"},
	{ExpiryUnit: v1alpha1.ExpiryUnitRFC3339},
	{ExpiryUnit: v1alpha1.ExpiryUnitMilliseconds},
}

// FuzzAnswer has platforms answer whatever they like to every request there is, by a dialect as in operation.
func FuzzAnswer(f *testing.F) {
	for i, seed := range []string{
		granted, refusal("invalid_grant"), refusal("authorization_pending"), `{}`, `[]`, `null`, ``, `<html>`, `"`,
		`{"access_token":"a","expires_in":"43199","refresh_token":"r","scope":["a","b"],"id_token":"x.y.z"}`,
		`{"access_token":"a","expires_in":1e400}`, `{"access_token":"a","expires_in":-1}`, `{"access_token":{"a":1}}`,
		`{"data":{"token":{"value":"a"},"expires_in":60},"seller":44130512}`, `{"code":"E1","message":"no"}`,
		`{"access_token":"a","expires_in":1772366400000}`, `{"access_token":"a","expires_in":"2026-03-01T13:00:00Z"}`,
		`{"device_code":"d","user_code":"WDJB-MJHT","verification_uri":"https://login.example.com/","expires_in":"3600","interval":"5"}`,
		`{"device_code":"d","user_code":"\u202e","verification_uri":"javascript:alert(1)","expires_in":9223372036854775807}`,
		`{"error":"invalid_grant","error_description":"Invalid refresh token: ` + refreshToken + `"}`,
		`{"error":"invalid_request","error_description":"` + deviceCode + `"}`, refusal(code), refusal("x: " + verifier),
	} {
		f.Add(uint16(200+200*(i%2)), "application/json", seed, uint8(i))
	}
	f.Add(uint16(200), "application/x-www-form-urlencoded", "access_token=a&expires_in=60", uint8(0))
	f.Add(uint16(302), "text/html; charset=utf-8", "<html>moved</html>", uint8(1))

	f.Fuzz(func(t *testing.T, status uint16, contentType, body string, way uint8) {
		spec := v1alpha1.MarketplaceSpec{TokenResponse: answering[int(way)%len(answering)]}
		endpoint := endpoint(dialect(t, spec, answers(200+int(status)%400, body, "Content-Type", contentType)))
		for asking, ask := range asked {
			tokens, err := ask(t, endpoint)
			if err != nil {
				unfit(t, asking, err)
			} else {
				sound(t, asking, tokens)
			}
		}
		code, err := endpoint.StartDevice(t.Context(), deviceURL, nil)
		if err != nil {
			unfit(t, "StartDevice", err)
			return
		}
		life := code.ExpiresAt.Sub(start)
		for _, address := range []string{code.URL, code.CompleteURL} {
			link, err := url.Parse(address)
			local := err == nil && slices.Contains([]string{"localhost", "127.0.0.1", "::1"}, link.Hostname())
			if err != nil || address != "" && link.Scheme != "https" && !(link.Scheme == "http" && local) {
				t.Errorf("people are sent to %q", address)
			}
		}
		if code.Code == "" || code.UserCode == "" || len(code.UserCode) > 64 || strings.ContainsFunc(code.UserCode+code.CompleteURL, unshowable) ||
			life <= 0 || life > 24*time.Hour || code.Interval < time.Second || code.Interval > 5*time.Minute {
			t.Errorf("the code is %+v", code)
		}
	})
}

func unshowable(r rune) bool { return !unicode.IsPrint(r) }

// unfit complains of an error that is not one of this package, or not fit to show.
func unfit(t *testing.T, asking string, err error) {
	t.Helper()
	got := failure(t, err)
	if got.Kind == "" || got.Error() == "" || !utf8.ValidString(err.Error()) || strings.ContainsFunc(err.Error(), unshowable) ||
		utf8.RuneCountInString(err.Error()) > 400 {
		t.Errorf("%s: the error is %+v", asking, got)
	}
	for _, secret := range append(sent[asking], clientSecret) {
		if piece := leaked(err.Error(), secret); piece != "" {
			t.Errorf("%s: the error holds %q of a secret: %v", asking, piece, err)
		}
	}
}

// sent are the secrets in the requests, beside the client secret.
var sent = map[string][]string{
	"Password": {password}, "RefreshToken": {refreshToken}, "AuthorizationCode": {code, verifier}, "Device": {deviceCode},
}

// sound complains of tokens that nobody can use.
func sound(t *testing.T, asking string, tokens answer.Tokens) {
	t.Helper()
	if tokens.AccessToken == "" || !tokens.IssuedAt.Equal(start) || utf8.RuneCountInString(tokens.AccountID) > 256 {
		t.Errorf("%s: the tokens are %+v", asking, tokens)
	}
	for _, end := range []time.Time{tokens.ExpiresAt, tokens.AuthorizationExpiresAt} {
		if !end.IsZero() && (!end.After(start) || end.Year() > 2126) {
			t.Errorf("%s: the tokens end at %v", asking, end)
		}
	}
	if asking == "RefreshToken" && tokens.RefreshToken == "" {
		t.Error("the refresh token is lost")
	}
}
