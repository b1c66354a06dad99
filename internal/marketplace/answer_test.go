package marketplace_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/dialect"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
)

// translated is what the dialect makes of an answer.
func translated(t *testing.T, platform *marketplace.Platform, next http.RoundTripper) (*http.Response, map[string]any, error) {
	t.Helper()
	request := standard(t, "https://login.example.com/token", url.Values{"grant_type": {"refresh_token"}})
	response, err := platform.Dialect(next, now).RoundTrip(request)
	if err != nil {
		return nil, nil, err
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("reading the answer: %v", err)
	}
	if response.ContentLength != int64(len(body)) || response.Header.Get("Content-Length") != "" {
		t.Errorf("the answer of %d bytes says %d and %q", len(body), response.ContentLength, response.Header.Get("Content-Length"))
	}
	if response.StatusCode/100 != 2 && !json.Valid(body) {
		return response, nil, nil // a refusal that is not in JSON comes as it is, so that its shape can be judged
	}
	if got := response.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("the answer's content type is %q", got)
	}
	var members map[string]any
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(&members); err != nil {
		if response.StatusCode/100 != 2 {
			return response, nil, nil
		}
		t.Fatalf("the answer %.100q is no JSON: %v", body, err)
	}
	return response, members, nil
}

func TestAnswers(t *testing.T) {
	fields := func(change func(*v1alpha1.TokenResponseFields)) func(*v1alpha1.MarketplaceSpec) {
		return func(s *v1alpha1.MarketplaceSpec) { change(&s.TokenResponse.Fields) }
	}
	tests := map[string]struct {
		object func(*v1alpha1.MarketplaceSpec)
		status int // 200 when it is not set
		answer string
		want   map[string]any
	}{
		"a standard answer": {
			answer: `{"access_token":"at","refresh_token":"rt","id_token":"it","token_type":"bearer","scope":"a b","expires_in":3600,
				"refresh_token_expires_in":7200}`,
			want: map[string]any{
				"access_token": "at", "refresh_token": "rt", "id_token": "it", "token_type": "bearer", "scope": "a b",
				"expires_in": json.Number("3600"), "refresh_token_expires_in": json.Number("7200"),
			},
		},
		"what no standard knows is dropped": {
			answer: `{"access_token":"at","allegro_api":true,"jti":"x","account_id":"not asked for"}`,
			want:   map[string]any{"access_token": "at"},
		},
		"the end of what does not end": {
			object: func(s *v1alpha1.MarketplaceSpec) { s.AccessToken.Expiry = v1alpha1.AccessTokenExpiryNone },
			answer: `{"access_token":"at","expires_in":0}`,
			want:   map[string]any{"access_token": "at"},
		},
		"an end of what usually does not end": {
			object: func(s *v1alpha1.MarketplaceSpec) { s.AccessToken.Expiry = v1alpha1.AccessTokenExpiryNone },
			answer: `{"access_token":"at","expires_in":60}`,
			want:   map[string]any{"access_token": "at", "expires_in": json.Number("60")},
		},
		"null is absent": {
			answer: `{"access_token":"at","refresh_token":null,"expires_in":null,"scope":null,"error":null}`,
			want:   map[string]any{"access_token": "at"},
		},
		"empty is absent": {
			answer: `{"access_token":"at","refresh_token":"","token_type":"","scope":"","error":"","error_description":""}`,
			want:   map[string]any{"access_token": "at"},
		},
		"a number is text where text is wanted": {
			answer: `{"access_token":12345678901234567890,"error":36004004}`,
			want:   map[string]any{"access_token": "12345678901234567890", "error": "36004004"},
		},
		"what is neither is absent": {
			answer: `{"access_token":"at","refresh_token":["rt"],"id_token":{"a":"b"},"token_type":true,"error":{"code":"x"}}`,
			want:   map[string]any{"access_token": "at"},
		},
		"other names": {
			object: fields(func(f *v1alpha1.TokenResponseFields) {
				*f = v1alpha1.TokenResponseFields{
					AccessToken: "accessToken", RefreshToken: "refreshToken", IDToken: "idToken", TokenType: "type", Scope: "granted_scopes",
					ExpiresIn: "expire_in", RefreshTokenExpiresIn: "refresh_expires_in", AccountID: "open_id", Error: "code", ErrorDescription: "message",
				}
			}),
			answer: `{"accessToken":"at","refreshToken":"rt","idToken":"it","type":"Bearer","granted_scopes":"a","expire_in":14400,
				"refresh_expires_in":2592000,"open_id":7,"code":"E1","message":"odd"}`,
			want: map[string]any{
				"access_token": "at", "refresh_token": "rt", "id_token": "it", "token_type": "Bearer", "scope": "a", "account_id": "7",
				"expires_in": json.Number("14400"), "refresh_token_expires_in": json.Number("2592000"),
				"error": "E1", "error_description": "odd",
			},
		},
		"other names take the place of the standard ones": {
			object: fields(func(f *v1alpha1.TokenResponseFields) { f.AccessToken = "accessToken" }),
			answer: `{"access_token":"not this","accessToken":"at"}`,
			want:   map[string]any{"access_token": "at"},
		},
		"names with dots go deeper": {
			object: fields(func(f *v1alpha1.TokenResponseFields) {
				f.AccessToken, f.Error, f.ErrorDescription = "result.token.value", "error.code", "error.details.text"
			}),
			answer: `{"result":{"token":{"value":"at"}},"error":{"code":"E1","details":{"text":"odd"}}}`,
			want:   map[string]any{"access_token": "at", "error": "E1", "error_description": "odd"},
		},
		"a name with a dot in it goes before": {
			object: fields(func(f *v1alpha1.TokenResponseFields) { f.AccessToken = "a.b" }),
			answer: `{"a.b":"at","a":{"b":"not this"}}`,
			want:   map[string]any{"access_token": "at"},
		},
		"names that go deeper than the answer": {
			object: fields(func(f *v1alpha1.TokenResponseFields) { f.RefreshToken, f.IDToken = "access_token.x", "missing.x" }),
			answer: `{"access_token":"at"}`,
			want:   map[string]any{"access_token": "at"},
		},
		"an envelope": {
			object: func(s *v1alpha1.MarketplaceSpec) { s.TokenResponse.Envelope = "data" },
			answer: `{"code":0,"data":{"access_token":"at","expires_in":60}}`,
			want:   map[string]any{"access_token": "at", "expires_in": json.Number("60")},
		},
		"an envelope in an envelope": {
			object: func(s *v1alpha1.MarketplaceSpec) { s.TokenResponse.Envelope = "response.data" },
			answer: `{"response":{"data":{"access_token":"at"}}}`,
			want:   map[string]any{"access_token": "at"},
		},
		"an error outside the envelope": {
			object: func(s *v1alpha1.MarketplaceSpec) {
				s.TokenResponse.Envelope, s.TokenResponse.Fields.Error, s.TokenResponse.Fields.ErrorDescription = "data", "code", "message"
			},
			answer: `{"code":36004004,"message":"refresh token expired","data":{}}`,
			want:   map[string]any{"error": "36004004", "error_description": "refresh token expired"},
		},
		"an error in the envelope goes before": {
			object: func(s *v1alpha1.MarketplaceSpec) { s.TokenResponse.Envelope = "data" },
			answer: `{"error":"outside","data":{"error":"inside"}}`,
			want:   map[string]any{"error": "inside"},
		},
		"an answer without its envelope": {
			object: func(s *v1alpha1.MarketplaceSpec) { s.TokenResponse.Envelope = "data" },
			answer: `{"access_token":"at"}`,
			want:   map[string]any{"access_token": "at"},
		},
		"an envelope that is a list": {
			object: func(s *v1alpha1.MarketplaceSpec) { s.TokenResponse.Envelope = "data" },
			answer: `{"data":[{"access_token":"at"}]}`,
			want:   map[string]any{},
		},
		"a token type of our own": {
			object: func(s *v1alpha1.MarketplaceSpec) { s.TokenResponse.TokenType = "Bearer" },
			answer: `{"access_token":"at","token_type":"User Access Token"}`,
			want:   map[string]any{"access_token": "at", "token_type": "Bearer"},
		},
		"a scope as a list": {
			answer: `{"access_token":"at","scope":["a","b c",null,5]}`,
			want:   map[string]any{"access_token": "at", "scope": "a b c 5"},
		},
		"an empty list of scopes": {
			answer: `{"access_token":"at","scope":[]}`,
			want:   map[string]any{"access_token": "at"},
		},
		"a scope with commas between": {
			object: func(s *v1alpha1.MarketplaceSpec) { s.Scopes.Separator = "," },
			answer: `{"access_token":"at","scope":"read_orders,write_orders, read_products"}`,
			want:   map[string]any{"access_token": "at", "scope": "read_orders write_orders read_products"},
		},
		"a scope in which a character is none of a scope's": {
			answer: `{"access_token":"at","scope":"orders für or\u0000ders read"}`,
			want:   map[string]any{"access_token": "at", "scope": "orders read"},
		},
		"a list of scopes in which a character is none of a scope's": {
			answer: `{"access_token":"at","scope":["orders","für","read"]}`,
			want:   map[string]any{"access_token": "at", "scope": "orders read"},
		},
		"a scope with a comma in it": {
			answer: `{"access_token":"at","scope":"  a,b   c "}`,
			want:   map[string]any{"access_token": "at", "scope": "a,b c"},
		},
		"a refusal": {
			status: 400,
			answer: `{"error":"invalid_grant","error_description":"no","error_uri":"https://x","error_index":""}`,
			want:   map[string]any{"error": "invalid_grant", "error_description": "no"},
		},
		"a refusal by a page":              {status: 403, answer: `<html>blocked</html>`, want: nil},
		"a refusal by nothing":             {status: 401, answer: ``, want: nil},
		"a refusal by a list":              {status: 500, answer: `["x"]`, want: nil},
		"a refusal by two MiB":             {status: 500, answer: `{"error":"` + strings.Repeat("x", 2<<20) + `"}`, want: nil},
		"what follows the object is noise": {answer: `{"access_token":"at"} trailing`, want: map[string]any{"access_token": "at"}},
		"of two members of a name the last": {
			answer: `{"access_token":"first","access_token":"last"}`, want: map[string]any{"access_token": "last"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			object := shop()
			if test.object != nil {
				test.object(&object.Spec)
			}
			status := test.status
			if status == 0 {
				status = http.StatusOK
			}
			response, got, err := translated(t, resolved(t, object, account()), answers(status, "text/plain", test.answer))
			if err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != status {
				t.Errorf("the status is %d, want %d", response.StatusCode, status)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestExpiries(t *testing.T) {
	later := start.Add(2 * time.Hour)
	tests := map[string]struct {
		unit v1alpha1.ExpiryUnit
		raw  string
		want string // seconds; empty for one that is absent, and "?" for one that cannot be read
	}{
		"seconds":                              {"Seconds", `3600`, "3600"},
		"seconds by default":                   {"", `3600`, "3600"},
		"seconds in a string":                  {"Seconds", `"3600"`, "3600"},
		"seconds in a string with spaces":      {"Seconds", `" 3600\n"`, "3600"},
		"a fraction of seconds":                {"Seconds", `3600.9`, "3600"},
		"a fraction in a string":               {"Seconds", `"3600.5"`, "3600"},
		"a power of ten":                       {"Seconds", `3.6e3`, "3600"},
		"null":                                 {"Seconds", `null`, ""},
		"less than a second":                   {"Seconds", `0.9`, "?"},
		"negative":                             {"Seconds", `-3600`, "?"},
		"negative in a string":                 {"Seconds", `"-1"`, "?"},
		"a word":                               {"Seconds", `"soon"`, "?"},
		"a number with a unit":                 {"Seconds", `"3600s"`, "?"},
		"a number with a comma":                {"Seconds", `"3,600"`, "?"},
		"not a number":                         {"Seconds", `"NaN"`, "?"},
		"infinite":                             {"Seconds", `"Inf"`, "?"},
		"infinite the other way":               {"Seconds", `"-Inf"`, "?"},
		"true":                                 {"Seconds", `true`, "?"},
		"a list":                               {"Seconds", `[3600]`, "?"},
		"an object":                            {"Seconds", `{"seconds":3600}`, "?"},
		"for ever, as some write it":           {"Seconds", `2147483647`, "2147483647"},
		"a hundred years at most":              {"Seconds", `3153600000`, "3153600000"},
		"more than a hundred years":            {"Seconds", `99999999999`, "?"},
		"more than a number holds":             {"Seconds", `1e400`, "?"},
		"more than anybody means":              {"Seconds", `9223372036854775807`, "?"},
		"milliseconds where seconds are meant": {"Seconds", `3600000`, "?"},
		"milliseconds, a second less":          {"Seconds", `3599000`, "?"},
		"a month":                              {"Seconds", `2592000`, "2592000"},
		"a moment where a lifetime is meant":   {"Seconds", fmt.Sprint(later.Unix()), "?"},
		"a moment of last month":               {"Seconds", fmt.Sprint(start.AddDate(0, -1, 0).Unix()), "?"},
		"a moment in ms for a lifetime":        {"Seconds", fmt.Sprint(later.UnixMilli()), "?"},
		"a time where seconds are meant":       {"Seconds", `"2026-03-01T14:00:00Z"`, "?"},
		"milliseconds":                         {"Milliseconds", `3600000`, "3600"},
		"milliseconds in a string":             {"Milliseconds", `"3600999"`, "3600"},
		"milliseconds, too few":                {"Milliseconds", `999`, "?"},
		"seconds where ms are meant":           {"Milliseconds", `3600`, "?"},
		"milliseconds, a hundred years":        {"Milliseconds", `99999999999999`, "?"},
		"a moment in seconds":                  {"UnixSeconds", fmt.Sprint(later.Unix()), "7200"},
		"a moment in seconds, as text":         {"UnixSeconds", fmt.Sprintf("%q", fmt.Sprint(later.Unix())), "7200"},
		"a moment in the past":                 {"UnixSeconds", fmt.Sprint(start.Unix() - 1), "?"},
		"this very moment":                     {"UnixSeconds", fmt.Sprint(start.Unix()), "?"},
		"seconds where a moment is meant":      {"UnixSeconds", `3600`, "?"},
		"milliseconds where seconds of a moment are meant": {"UnixSeconds", fmt.Sprint(later.UnixMilli()), "?"},
		"a moment in milliseconds":                         {"UnixMilliseconds", fmt.Sprint(later.UnixMilli()), "7200"},
		"a moment in milliseconds, past":                   {"UnixMilliseconds", fmt.Sprint(start.UnixMilli()), "?"},
		"a moment in seconds for ms":                       {"UnixMilliseconds", fmt.Sprint(later.Unix()), "?"},
		"a moment as text":                                 {"RFC3339", `"2026-03-01T14:00:00Z"`, "7200"},
		"a moment as text with a zone":                     {"RFC3339", `"2026-03-01T15:00:00.5+01:00"`, "7200"},
		"a zone without a colon":                           {"RFC3339", `"2026-03-01T14:00:00+0000"`, "7200"},
		"a zone of hours":                                  {"RFC3339", `"2026-03-01T15:00:00+01"`, "7200"},
		"a space in the middle":                            {"RFC3339", `"2026-03-01 14:00:00Z"`, "7200"},
		"spaces around":                                    {"RFC3339", `" 2026-03-01 15:00:00 +0100\n"`, "7200"},
		"small letters":                                    {"RFC3339", `"2026-03-01t14:00:00z"`, "7200"},
		"a zone by its name":                               {"RFC3339", `"2026-03-01 14:00:00 UTC"`, "7200"},
		"a fraction with a zone":                           {"RFC3339", `"2026-03-01T14:00:00.1234567+00:00"`, "7200"},
		"no seconds":                                       {"RFC3339", `"2026-03-01T14:00Z"`, "7200"},
		"the short form of ISO 8601":                       {"RFC3339", `"20260301T140000Z"`, "7200"},
		"a date of HTTP":                                   {"RFC3339", `"Sun, 01 Mar 2026 14:00:00 GMT"`, "7200"},
		"a date of mail":                                   {"RFC3339", `"Sun, 1 Mar 2026 15:00:00 +0100"`, "7200"},
		"a moment as text, in the past":                    {"RFC3339", `"2026-03-01T11:59:59Z"`, "?"},
		"a moment as text without a zone":                  {"RFC3339", `"2026-03-01T14:00:00"`, "?"},
		"with a space and without a zone":                  {"RFC3339", `"2026-03-01 14:00:00"`, "?"},
		"a zone that many places have":                     {"RFC3339", `"2026-03-01 14:00:00 CST"`, "?"},
		"a date alone":                                     {"RFC3339", `"2026-03-02"`, "?"},
		"a day and a month in doubt":                       {"RFC3339", `"03/01/2026 14:00:00Z"`, "?"},
		"a month that there is not":                        {"RFC3339", `"2026-13-01T14:00:00Z"`, "?"},
		"never, as people write it":                        {"RFC3339", `"9999-12-31T23:59:59Z"`, "?"},
		"a number where text is meant":                     {"RFC3339", `3600`, "?"},
		"a moment as a number":                             {"RFC3339", fmt.Sprint(later.Unix()), "?"},
		"a unit that a newer API may have":                 {"Fortnights", `3600`, "3600"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			platform := resolved(t, shop(func(s *v1alpha1.MarketplaceSpec) {
				s.TokenResponse.ExpiryUnit = test.unit
				s.RefreshToken = v1alpha1.RefreshToken{Expiry: v1alpha1.ExpirySliding, Lifetime: "1h"}
			}), account())
			body := fmt.Sprintf(`{"access_token":"at","expires_in":%s,"refresh_token_expires_in":%s}`, test.raw, test.raw)
			_, got, err := translated(t, platform, answers(200, "application/json", body))
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]any{"access_token": "at"}
			switch test.want {
			case "":
			case "?":
				want["expires_in_unreadable"], want["refresh_token_expires_in_unreadable"] = true, true
			default:
				want["expires_in"], want["refresh_token_expires_in"] = json.Number(test.want), json.Number(test.want)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestExpiriesSurviveTheLibrary makes sure that no lifetime, however told, costs a token.
func TestExpiriesSurviveTheLibrary(t *testing.T) {
	for _, raw := range []string{`3600`, `"3600"`, `3600.5`, `0`, `-1`, `"soon"`, `null`, `{}`, `1e400`, `9223372036854775807`, `2147483648`} {
		platform := resolved(t, shop(), account())
		transport := answers(200, "application/json", `{"access_token":"at","refresh_token":"next","expires_in":`+raw+`}`)
		token, err := newOAuth(t, platform.TokenURL, platform.Dialect(transport, now)).refresh(refreshToken)
		if err != nil || token.AccessToken != "at" || token.RefreshToken != "next" {
			t.Errorf("expires_in %s costs the tokens: %+v and %v", raw, token, err)
		}
	}
}

// TestTokensThatCannotBeTokens make the whole answer none: the good token that one would take the place of is not lost, and no
// header can be split by one.
func TestTokensThatCannotBeTokens(t *testing.T) {
	bad := map[string]string{
		"one space": ` `, "spaces": `   `, "a line break": `abc\r\nX-Injected: 1`, "a line feed at the end": `abc\n`, "a tab": `ab\tcd`,
		"a zero": `ab\u0000cd`, "an escape": `ab\u001b[31m`, "a letter with a mark": `abcä`, "a space without width": `ab\u200bcd`,
		"a space that does not break": `\u00a0`, "a byte order mark": `\ufeffabc`, "half a pair": `ab\ud800`, "a delete": `ab\u007f`,
		"a byte that is no text": "ab\xff",
	}
	for _, member := range []string{"access_token", "refresh_token", "id_token", "token_type"} {
		for name, value := range bad {
			t.Run(member+" of "+name, func(t *testing.T) {
				members := map[string]string{"access_token": "at", "refresh_token": "rt", "id_token": "it", "token_type": "Bearer", member: value}
				parts := make([]string, 0, len(members))
				for name, value := range members {
					parts = append(parts, `"`+name+`":"`+value+`"`)
				}
				_, _, err := translated(t, resolved(t, shop(), account()), answers(200, "application/json", "{"+strings.Join(parts, ",")+"}"))
				var malformed interface{ FromPlatform() bool }
				if !errors.As(err, &malformed) || !malformed.FromPlatform() || !strings.Contains(err.Error(), "holds a member "+member) {
					t.Fatalf("the error is %v, want one that is the platform's and names %s", err, member)
				}
				if strings.Contains(err.Error(), "Injected") {
					t.Errorf("the error holds the token: %v", err)
				}
			})
		}
	}
}

// TestTokensThatLookOdd and are tokens all the same, or are looked at nowhere.
func TestTokensThatLookOdd(t *testing.T) {
	tests := map[string]struct {
		object *v1alpha1.Marketplace
		answer string
		want   map[string]any
	}{
		"all that a token may hold": {
			answer: `{"access_token":"!#$%&'()*+,-./:;<=>?@[]^_{|}~ \"\\","refresh_token":"v^1.1#i^1#p^3"}`,
			want:   map[string]any{"access_token": `!#$%&'()*+,-./:;<=>?@[]^_{|}~ "\`, "refresh_token": "v^1.1#i^1#p^3"},
		},
		"an odd type where the Marketplace names one": {
			object: shop(func(s *v1alpha1.MarketplaceSpec) { s.TokenResponse.TokenType = "Bearer" }),
			answer: `{"access_token":"at","token_type":"\r\n"}`,
			want:   map[string]any{"access_token": "at", "token_type": "Bearer"},
		},
		"odd text elsewhere": {
			answer: `{"access_token":"at","scope":"a\tb","example_parameter":"\u0000"}`,
			want:   map[string]any{"access_token": "at", "scope": "a b"},
		},
		"an error beside an odd type": {
			answer: `{"error":"invalid_grant","token_type":" "}`, want: map[string]any{"error": "invalid_grant", "token_type": " "},
		},
		"none at all": {answer: `{"access_token":"at","refresh_token":""}`, want: map[string]any{"access_token": "at"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if test.object == nil {
				test.object = shop()
			}
			_, got, err := translated(t, resolved(t, test.object, account()), answers(200, "application/json", test.answer))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestMalformedAnswers(t *testing.T) {
	const secret = "kD93bXw0Vr5nYh2sJf8qLmPz6TcAe1Gu"
	tests := map[string]struct{ contentType, body, want string }{
		"a page":       {"text/html; charset=utf-8", "<html>" + secret, `is not a JSON object (content type "text/html")`},
		"nothing":      {"application/json", "", "is empty"},
		"white space":  {"application/json", " \r\n\t", "is empty"},
		"a list":       {"application/json", `[{"access_token":"` + secret + `"}]`, `is not a JSON object (content type "application/json")`},
		"text":         {"application/json", `"` + secret + `"`, `is not a JSON object (content type "application/json")`},
		"null":         {"application/json", `null`, `is not a JSON object (content type "application/json")`},
		"half of one":  {"application/json", `{"access_token":"` + secret, `is not a JSON object (content type "application/json")`},
		"a form":       {"application/x-www-form-urlencoded", "access_token=" + secret, `is not a JSON object (content type "application/x-www-form-urlencoded")`},
		"no type":      {"", "x" + secret, `is not a JSON object (content type "")`},
		"an odd type":  {secret + " " + secret, "x", `is not a JSON object (content type "")`},
		"too much":     {"application/json", `{"access_token":"` + strings.Repeat("x", bounds.Answer) + `"}`, "is larger than 128 KiB"},
		"too much air": {"application/json", strings.Repeat(" ", bounds.Answer+1), "is larger than 128 KiB"},
		"too many": {
			"application/json", `{"access_token":"` + secret + `","all":[` + strings.Repeat(`{"":0},`, 5000) + "0]}", "holds more names and values than any answer does",
		},
		"too deep": {"application/json", strings.Repeat(`{"a":`, 20_000) + strings.Repeat("}", 20_000), "holds more names and values than any answer does"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, _, err := translated(t, resolved(t, shop(), account()), answers(200, test.contentType, test.body))
			var malformed interface{ FromPlatform() bool }
			if !errors.As(err, &malformed) || malformed.FromPlatform() == strings.HasPrefix(test.contentType, "text/html") {
				t.Fatalf("the error is %v, want one that is Malformed, and the platform's own but for a page", err)
			}
			if want := "the marketplace's answer " + test.want; err.Error() != want {
				t.Errorf("the error is %q, want %q", err, want)
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error holds what was answered: %q", err)
			}
		})
	}
}

// TestARefusalThatIsTooLargeToDecode is handed on as one without a code, and a page as a page, which says that the platform did not act.
func TestARefusalThatIsTooLargeToDecode(t *testing.T) {
	page := "<html>" + strings.Repeat("x", bounds.Answer)
	for body, want := range map[string]answer.Shape{
		`{"error":"invalid_grant","all":[` + strings.Repeat(`{"":0},`, 5000) + "0]}": answer.Empty, page: answer.Page,
		`{"error":"invalid_grant","all":"` + strings.Repeat("x", bounds.Answer) + `"}`: answer.Empty,
	} {
		request := standard(t, "https://login.example.com/token", url.Values{"grant_type": {"refresh_token"}})
		response, err := resolved(t, shop(), account()).Dialect(answers(http.StatusServiceUnavailable, "application/json", body), now).RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		handedOn, err := io.ReadAll(response.Body)
		if got := answer.ShapeOf(handedOn); err != nil || got != want {
			t.Errorf("of %.40s… the shape is %d (%v), want %d", body, got, err, want)
		}
	}
}

// TestTheLargestAnswer that is read.
func TestTheLargestAnswer(t *testing.T) {
	const frame = len(`{"profile":"","access_token":"at"}`)
	profile := strings.Repeat("x", bounds.Answer-frame)
	_, got, err := translated(t, resolved(t, shop(), account()), answers(200, "application/json", `{"profile":"`+profile+`","access_token":"at"}`))
	if err != nil || got["access_token"] != "at" {
		t.Errorf("%v and error %v, want all of it", got["access_token"], err)
	}
}

// TestAWholeObjectCountsHoweverTheConnectionEnded, since it may be the only copy of a pair.
func TestAWholeObjectCountsHoweverTheConnectionEnded(t *testing.T) {
	for name, body := range map[string]string{
		"at its end": `{"access_token":"at","refresh_token":"rt"}`, "behind a line feed": "{\"access_token\":\"at\",\"refresh_token\":\"rt\"}\r\n",
		"with a byte order mark": "\ufeff" + `{"access_token":"at","refresh_token":"rt"}`,
	} {
		t.Run(name, func(t *testing.T) {
			breaking := transport(func(r *http.Request) (*http.Response, error) {
				response, err := answers(200, "application/json", "")(r)
				response.Body = io.NopCloser(broken{bytes.NewBufferString(body)})
				return response, err
			})
			_, got, err := translated(t, resolved(t, shop(), account()), breaking)
			if want := map[string]any{"access_token": "at", "refresh_token": "rt"}; err != nil || cmp.Diff(want, got) != "" {
				t.Errorf("the answer is %v with error %v, want the tokens", got, err)
			}
		})
	}
}

// TestAnswersThatBreakOff tells a success, of which nothing is known then, from a refusal, whose status says enough.
func TestAnswersThatBreakOff(t *testing.T) {
	platform := resolved(t, shop(), account())
	breaking := func(status int) transport {
		return func(r *http.Request) (*http.Response, error) {
			response, err := answers(status, "application/json", "")(r)
			response.Body = io.NopCloser(broken{bytes.NewBufferString(`{"access_token":"at"`)})
			return response, err
		}
	}
	_, _, err := translated(t, platform, breaking(200))
	var malformed interface{ FromPlatform() bool }
	if !errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &malformed) {
		t.Errorf("the error is %v, want that of the connection", err)
	}
	response, got, err := translated(t, platform, breaking(429))
	if err != nil || response.StatusCode != 429 || len(got) != 0 {
		t.Errorf("a refusal that breaks off is %v, %v with error %v, want 429 without members", response, got, err)
	}
}

func TestNoAnswer(t *testing.T) {
	gone := errors.New("gone")
	_, _, err := translated(t, resolved(t, shop(), account()), transport(func(*http.Request) (*http.Response, error) { return nil, gone }))
	if !errors.Is(err, gone) {
		t.Errorf("the error is %v, want that of the connection", err)
	}
}

// FuzzAnswer feeds the dialect whatever a platform may say. It must not panic, and what it makes of an answer must be
// one that an OAuth library can read: texts that are not empty, and lifetimes of whole seconds above zero.
func FuzzAnswer(f *testing.F) {
	units := []v1alpha1.ExpiryUnit{"Seconds", "Milliseconds", "UnixSeconds", "UnixMilliseconds", "RFC3339"}
	f.Add(uint16(200), uint8(0), "application/json", []byte(`{"access_token":"at","expires_in":3600,"scope":["a",1]}`))
	f.Add(uint16(200), uint8(1), "text/html", []byte(`<html>`))
	f.Add(uint16(200), uint8(2), "", []byte(`{"data":{"token":{"value":"at"}},"expires_in":"1772373600"}`))
	f.Add(uint16(400), uint8(3), "application/json", []byte(`{"error":"invalid_grant: x","error_description":null}`))
	f.Add(uint16(503), uint8(4), "a/b;c=\"", []byte(`{"expires_in":"2026-03-01T14:00:00Z"}`))
	f.Add(uint16(200), uint8(0), "application/json", []byte(`{"expires_in":"NaN","refresh_token_expires_in":1e308}`))
	f.Add(uint16(200), uint8(2), "application/json", []byte(`{"expires_in":1e13,"refresh_token_expires_in":"0x1p40"}`))

	f.Fuzz(func(t *testing.T, status uint16, shape uint8, contentType string, body []byte) {
		platform := resolved(t, shop(func(s *v1alpha1.MarketplaceSpec) {
			s.TokenResponse.ExpiryUnit = units[int(shape)%len(units)]
			if shape >= 128 {
				s.TokenResponse.Envelope = "data"
				s.TokenResponse.Fields = v1alpha1.TokenResponseFields{AccessToken: "token.value", AccountID: "id", Error: "code"}
				s.Scopes.Separator = ","
			}
		}), account())
		response, got, err := translated(t, platform, answers(200+int(status)%400, contentType, string(body)))
		if err != nil {
			var malformed interface{ FromPlatform() bool }
			if !errors.As(err, &malformed) {
				t.Fatalf("an answer that arrived is the error %v", err)
			}
			if len(err.Error()) > 400 {
				t.Fatalf("the error has %d bytes", len(err.Error()))
			}
			if status := 200 + int(status)%400; status/100 != 2 {
				t.Fatalf("a refusal with status %d is the error %v", status, err)
			}
			return
		}
		_ = response.Body.Close()
		for name, value := range got {
			switch name {
			case "access_token", "refresh_token", "id_token", "token_type", "scope", "error", "error_description", "account_id":
				if text, ok := value.(string); !ok || text == "" {
					t.Fatalf("%s is %#v", name, value)
				}
			case "expires_in", "refresh_token_expires_in":
				number, _ := value.(json.Number)
				if seconds, err := number.Int64(); err != nil || seconds <= 0 {
					t.Fatalf("%s is %#v", name, value)
				}
			case "expires_in" + dialect.Unreadable, "refresh_token_expires_in" + dialect.Unreadable:
				if value != true || got[strings.TrimSuffix(name, dialect.Unreadable)] != nil {
					t.Fatalf("%s is %#v beside %v", name, value, got)
				}
			default:
				t.Fatalf("%s is no member of a standard answer", name)
			}
		}
	})
}

func TestAnAnswerIsNoLargerThanWhatCanBeKept(t *testing.T) {
	for name, test := range map[string]struct {
		answer string
		says   string
	}{
		"the largest token":      {`{"access_token":"` + strings.Repeat("a", bounds.Token) + `"}`, ""},
		"a larger access token":  {`{"access_token":"` + strings.Repeat("a", bounds.Token+1) + `"}`, "a member access_token of more than 32 KiB"},
		"a larger refresh token": {`{"access_token":"at","refresh_token":"` + strings.Repeat("a", bounds.Token+1) + `"}`, "a member refresh_token of more than 32 KiB"},
		"a larger scope":         {`{"access_token":"at","scope":"` + strings.Repeat("a ", bounds.Token) + `"}`, "a member scope of more than 32 KiB"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := translated(t, resolved(t, shop(), account()), answers(200, "application/json", test.answer))
			if test.says == "" && err != nil || test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)) {
				t.Errorf("it is told %v, want %q", err, test.says)
			}
		})
	}
}

func TestADeviceCodeIsNoLargerThanWhatCanBeKept(t *testing.T) {
	large := strings.Repeat("a", bounds.Token+1)
	for member, answer := range map[string]string{
		"device_code":      `{"device_code":"` + large + `"}`,
		"verification_uri": `{"device_code":"dc","verification_uri":"https://example.com/` + large + `"}`,
	} {
		_, err := resolved(t, shop(), account()).Dialect(answers(200, "application/json", answer), now).RoundTrip(
			standard(t, "https://login.example.com/device", deviceForm()))
		if want := "a member " + member + " of more than 32 KiB"; err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("it is told %v, want %q", err, want)
		}
	}
}
