package grant_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/grant"
)

func TestTokens(t *testing.T) {
	tests := map[string]struct {
		answer string
		want   answer.Tokens
	}{
		"a full answer": {
			answer: `{"access_token":"at","refresh_token":"next","id_token":"it","token_type":"Bearer","scope":"a b","expires_in":3600,
				"refresh_token_expires_in":7200,"account_id":"44130512","something_else":[1,2]}`,
			want: answer.Tokens{
				AccessToken: "at", RefreshToken: "next", IDToken: "it", TokenType: "Bearer", Scope: "a b", AccountID: "44130512",
				ExpiresAt: start.Add(time.Hour), AuthorizationExpiresAt: start.Add(2 * time.Hour),
			},
		},
		"the least of answers": {
			answer: `{"access_token":"at"}`,
			want:   answer.Tokens{AccessToken: "at", RefreshToken: refreshToken, TokenType: "Bearer"},
		},
		"no refresh token leaves the old one in force": {
			answer: `{"access_token":"at","token_type":"Bearer","expires_in":7200}`,
			want:   answer.Tokens{AccessToken: "at", RefreshToken: refreshToken, TokenType: "Bearer", ExpiresAt: start.Add(2 * time.Hour)},
		},
		"so does an empty one": {
			answer: `{"access_token":"at","refresh_token":""}`,
			want:   answer.Tokens{AccessToken: "at", RefreshToken: refreshToken, TokenType: "Bearer"},
		},
		"a new refresh token takes its place": {
			answer: `{"access_token":"at","refresh_token":"next"}`,
			want:   answer.Tokens{AccessToken: "at", RefreshToken: "next", TokenType: "Bearer"},
		},
		"a platform may repeat the old one": {
			answer: `{"access_token":"at","refresh_token":"` + refreshToken + `"}`,
			want:   answer.Tokens{AccessToken: "at", RefreshToken: refreshToken, TokenType: "Bearer"},
		},
		"bearer is spelt as headers have it": {
			answer: `{"access_token":"at","token_type":"bearer"}`,
			want:   answer.Tokens{AccessToken: "at", RefreshToken: refreshToken, TokenType: "Bearer"},
		},
		"another type stays as it is": {
			answer: `{"access_token":"at","token_type":"User Access Token"}`,
			want:   answer.Tokens{AccessToken: "at", RefreshToken: refreshToken, TokenType: "User Access Token"},
		},
		"members of another kind do not count": {
			answer: `{"access_token":"at","id_token":1,"scope":["a"],"account_id":2}`,
			want:   answer.Tokens{AccessToken: "at", RefreshToken: refreshToken, TokenType: "Bearer"},
		},
		"an account's name is not longer than the API keeps": {
			answer: `{"access_token":"at","account_id":"` + strings.Repeat("ä", 300) + `"}`,
			want: answer.Tokens{
				AccessToken: "at", RefreshToken: refreshToken, TokenType: "Bearer", AccountID: strings.Repeat("ä", 128),
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.want.IssuedAt, test.want.AccessTokenExpiresAt = start, test.want.ExpiresAt
			got := renewed(t, answers(http.StatusOK, test.answer))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestOtherGrantsHaveNoRefreshTokenToKeep would fail if a password or a secret were taken for one.
func TestOtherGrantsHaveNoRefreshTokenToKeep(t *testing.T) {
	for _, asking := range []string{"Password", "ClientCredentials"} {
		for answer, want := range map[string]string{
			`{"access_token":"at"}`:                         "",
			`{"access_token":"at","refresh_token":"first"}`: "first",
		} {
			got, err := asked[asking](t, endpoint(answers(http.StatusOK, answer)))
			if err != nil || got.RefreshToken != want {
				t.Errorf("%s answered with %s: refresh token %q and error %v, want %q", asking, answer, got.RefreshToken, err, want)
			}
		}
	}
}

func TestExpiry(t *testing.T) {
	hour, half := start.Add(time.Hour), start.Add(30*time.Minute)
	tests := map[string]struct {
		expiresIn   string // raw JSON; empty leaves the member out
		access, id  any    // the exp claim of access and ID token; nil makes an opaque token
		contentType string // instead of JSON
		want        time.Time
		malformed   bool
	}{
		"a number":                  {expiresIn: `3600`, want: hour},
		"a string":                  {expiresIn: `"3600"`, want: hour},
		"absent":                    {},
		"null":                      {expiresIn: `null`},
		"zero":                      {expiresIn: `0`},
		"zero in a string":          {expiresIn: `"0"`},
		"negative":                  {expiresIn: `-5`},
		"negative in a string":      {expiresIn: `"-5"`},
		"a hundred years":           {expiresIn: `3153600000`, want: start.Add(876_000 * time.Hour)},
		"more than a hundred years": {expiresIn: `3153600001`},
		"nonsense that is a number": {expiresIn: `1772366400000`},
		// x/oauth2 reads none of these. The dialect of a platform makes numbers of them, or leaves them out.
		"a fraction":         {expiresIn: `3600.5`, malformed: true},
		"a float":            {expiresIn: `3600.0`, malformed: true},
		"nonsense":           {expiresIn: `"soon"`, malformed: true},
		"an object":          {expiresIn: `{}`, malformed: true},
		"more than a number": {expiresIn: `1e400`, malformed: true},

		"the access token ends sooner than the answer says": {expiresIn: `3600`, access: half.Unix(), want: half},
		"the access token ends later than the answer says":  {expiresIn: `3600`, access: hour.Add(time.Minute).Unix(), want: hour},
		"the ID token ends sooner than the answer says":     {expiresIn: `3600`, id: half.Unix(), want: half},
		"the first of all ends counts": {
			expiresIn: `3600`, access: start.Add(50 * time.Minute).Unix(), id: half.Unix(), want: half,
		},
		"the access token alone says when it ends": {access: half.Unix(), want: half},
		"the ID token alone says when it ends":     {id: half.Unix(), want: half},
		"both say when they end":                   {access: hour.Unix(), id: half.Unix(), want: half},
		"an end in the past is a clock's mistake": {
			expiresIn: `3600`, access: start.Add(-time.Minute).Unix(), id: start.Unix(), want: hour,
		},
		"an end in the past and no other": {access: start.Add(-time.Minute).Unix()},
		"an end in a fraction":            {access: float64(half.Unix()) + .5, want: half},
		"an end in milliseconds is none":  {access: half.UnixMilli()},
		"an end beyond all numbers":       {expiresIn: `3600`, access: 1e300, want: hour},
		"an end that is text":             {expiresIn: `3600`, access: "2026-03-01T12:30:00Z", want: hour},
		"an end that is negative":         {expiresIn: `3600`, access: -1, want: hour},

		"an answer that is a form": {contentType: "application/x-www-form-urlencoded", expiresIn: `3600`, want: hour},
		"plain text is one too":    {contentType: "text/plain; charset=utf-8", expiresIn: `3600`, want: hour},
		"a form with nonsense":     {contentType: "text/plain", expiresIn: `soon`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			members := []string{fmt.Sprintf(`"access_token":%q`, withEnd(t, "opaque.access.token", test.access))}
			if test.id != nil {
				members = append(members, fmt.Sprintf(`"id_token":%q`, withEnd(t, "", test.id)))
			}
			if test.expiresIn != "" {
				members = append(members, `"expires_in":`+test.expiresIn)
			}
			transport := answers(http.StatusOK, "{"+strings.Join(members, ",")+"}")
			if test.contentType != "" {
				transport = answers(http.StatusOK, "access_token=at&expires_in="+test.expiresIn, "Content-Type", test.contentType)
			}
			tokens, err := endpoint(transport).RefreshToken(t.Context(), refreshToken)
			if test.malformed {
				if got := failure(t, err); got.Kind != answer.Malformed {
					t.Errorf("the failure is %+v, want Malformed", got)
				}
				return
			}
			if err != nil {
				t.Fatalf("asking for tokens: %v", err)
			}
			if !tokens.ExpiresAt.Equal(test.want) {
				t.Errorf("ExpiresAt = %v, want %v", tokens.ExpiresAt, test.want)
			}
		})
	}
}

// withEnd is a JWT that ends, or the opaque token when nothing says when.
func withEnd(t *testing.T, opaque string, end any) string {
	t.Helper()
	if end == nil {
		return opaque
	}
	return tokenWith(t, map[string]any{"exp": end})
}

func TestAuthorizationExpiry(t *testing.T) {
	tests := map[string]struct {
		member string
		want   time.Time
	}{
		"eBay's 547.5 days": {`"refresh_token_expires_in":47304000`, start.Add(47_304_000 * time.Second)},
		"a string":          {`"refresh_token_expires_in":"7776000"`, start.Add(90 * 24 * time.Hour)},
		"a fraction":        {`"refresh_token_expires_in":60.9`, start.Add(time.Minute)},
		"absent":            {`"x":1`, time.Time{}},
		"zero":              {`"refresh_token_expires_in":0`, time.Time{}},
		"negative":          {`"refresh_token_expires_in":-1`, time.Time{}},
		"nonsense":          {`"refresh_token_expires_in":"never"`, time.Time{}},
		"not a number":      {`"refresh_token_expires_in":"NaN"`, time.Time{}},
		"infinite":          {`"refresh_token_expires_in":"Inf"`, time.Time{}},
		"true":              {`"refresh_token_expires_in":true`, time.Time{}},
		"out of bounds":     {`"refresh_token_expires_in":9223372036854775807`, time.Time{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := renewed(t, answers(http.StatusOK, `{"access_token":"at",`+test.member+`}`)).AuthorizationExpiresAt
			if !got.Equal(test.want) {
				t.Errorf("AuthorizationExpiresAt = %v, want %v", got, test.want)
			}
		})
	}
}

// TestLifetimesCountFromBeforeTheRequest lets a minute pass while the platform thinks.
func TestLifetimesCountFromBeforeTheRequest(t *testing.T) {
	clock := start.Add(300 * time.Millisecond)
	slow := transport(func(request *http.Request) (*http.Response, error) {
		clock = clock.Add(time.Minute)
		return answers(http.StatusOK, `{"access_token":"at","expires_in":3600}`)(request)
	})
	endpoint := endpoint(slow)
	endpoint.Now = func() time.Time { return clock }
	got, err := endpoint.RefreshToken(t.Context(), refreshToken)
	if err != nil {
		t.Fatal(err)
	}
	if want := start.Add(300 * time.Millisecond); !got.IssuedAt.Equal(want) {
		t.Errorf("IssuedAt = %v, want %v", got.IssuedAt, want)
	}
	if want := start.Add(time.Hour); !got.ExpiresAt.Equal(want) {
		t.Errorf("ExpiresAt = %v, want %v: whole seconds, and none too many", got.ExpiresAt, want)
	}
}

func TestClaim(t *testing.T) {
	token := tokenWith(t, map[string]any{
		"user_name": "44130512", "sub": "auth0|64f0", "number": 44130512, "large": uint64(9007199254740993), "fraction": 1.5,
		"flag": true, "list": []string{"a"}, "object": map[string]any{"a": "b"}, "nothing": nil, "empty": "",
		"long": strings.Repeat("x", 300), "": "unnamed",
	})
	tests := map[string]struct{ token, claim, want string }{
		"text":                           {token, "user_name", "44130512"},
		"text with marks":                {token, "sub", "auth0|64f0"},
		"a number":                       {token, "number", "44130512"},
		"a number that no float64 holds": {token, "large", "9007199254740993"},
		"a fraction":                     {token, "fraction", "1.5"},
		"a flag is no name":              {token, "flag", ""},
		"a list is no name":              {token, "list", ""},
		"an object is no name":           {token, "object", ""},
		"null":                           {token, "nothing", ""},
		"empty":                          {token, "empty", ""},
		"absent":                         {token, "missing", ""},
		"more than the API keeps":        {token, "long", strings.Repeat("x", 256)},
		"a token that is no JWT":         {"v^1.1#i^1#p^3", "sub", ""},
		"a token that looks like one":    {"a.b.c", "sub", ""},
		"no token":                       {"", "sub", ""},
		"a token signed with a secret":   {jwtOf(t, "HS256", map[string]any{"sub": "1"}), "sub", "1"},
		"a token that is not signed":     {jwtOf(t, "none", map[string]any{"sub": "1"}), "sub", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := grant.ClaimsOf(test.token).Text(test.claim); got != test.want {
				t.Errorf("Claim(…, %q) = %q, want %q", test.claim, got, test.want)
			}
		})
	}
}
