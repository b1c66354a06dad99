package grant_test

import (
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/grant"
)

// shortest is the length from which a piece of a credential counts as the credential.
const shortest = 5

// leaked returns a piece of a secret that text holds, as it stands or after what a reader of URLs would do to it.
func leaked(text, secret string) string {
	readings := []string{text, html.UnescapeString(text)}
	for _, decode := range []func(string) (string, error){url.QueryUnescape, url.PathUnescape} {
		if decoded, err := decode(text); err == nil {
			readings = append(readings, decoded)
		}
	}
	for _, reading := range readings {
		for i := 0; i+shortest <= len(secret); i++ {
			if piece := secret[i : i+shortest]; strings.Contains(reading, piece) {
				return piece
			}
		}
	}
	return ""
}

// writings are the ways in which a server may write what it was sent.
var writings = map[string]func(string) string{
	"as it is":            func(s string) string { return s },
	"for a query":         url.QueryEscape,
	"for a path":          url.PathEscape,
	"for a query, twice":  func(s string) string { return url.QueryEscape(url.QueryEscape(s)) },
	"every byte escaped":  func(s string) string { return escapeEach("%%%02x", s) },
	"for HTML":            html.EscapeString,
	"for HTML, by number": func(s string) string { return escapeEach("&#%d;", s) },
	"for JSON":            func(s string) string { text, _ := json.Marshal(s); return string(text) },
	"for JSON, by number": func(s string) string { return escapeEach(`\u%04x`, s) },
	"quoted twice":        func(s string) string { return fmt.Sprintf("%q", fmt.Sprintf("%q", s)) },
	"in a form":           func(s string) string { return url.Values{"token": {s}, "x": {"y"}}.Encode() },
	"in a document":       func(s string) string { return fmt.Sprintf(`{"refresh_token":%q,"x":[1]}`, s) },
	"among marks":         func(s string) string { return "<<" + s + ">>, (" + s + "); '" + s + "'!" },
	"with a prefix":       func(s string) string { return "token_" + s },
	"in wide letters":     func(s string) string { return strings.Join(strings.Split(s, ""), "\u200b") },
	"over several lines":  func(s string) string { return s[:len(s)/3] + "\n" + s[len(s)/3:] },
}

func escapeEach(format, s string) string {
	var text strings.Builder
	for i := range len(s) {
		fmt.Fprintf(&text, format, s[i])
	}
	return text.String()
}

// parts are the ways in which it may cut it.
var parts = map[string]func(string) string{
	"whole":           func(s string) string { return s },
	"the first half":  func(s string) string { return s[:len(s)/2] },
	"the second half": func(s string) string { return s[len(s)/2:] },
	"the middle":      func(s string) string { return s[len(s)/4 : 3*len(s)/4] },
	"the first six":   func(s string) string { return s[:min(6, len(s))] + "…" },
	"the last six":    func(s string) string { return "…" + s[max(0, len(s)-6):] },
}

// TestNoErrorHoldsACredential has platforms repeat what they were sent, as Allegro does, in every member.
func TestNoErrorHoldsACredential(t *testing.T) {
	secrets := map[string]string{
		"refresh token":      refreshToken,
		"client secret":      clientSecret,
		"authorization code": code,
		"code verifier":      verifier,
		"device code":        deviceCode,
		"password":           password,
		"Amazon's token":     "Atzr|IwEBIKz3f+9Q/xmV7_pRt2~sLd=8Gh",
		"eBay's token":       "v^1.1#i^1#p^3#r^1#I^3#f^0#t^H4sIAAAAAAAA/+1Xa2wUVRTe",
		"password of marks":  `{x}"y'<z>&\q;:,!?()[]`,
		"password in Polish": "zażółć gęślą jaźń 2026",
		"password of words":  "my cat is up on it or so",
		"password of escape": "100%25%41&amp;\\u0041+x y",
	}
	statuses, n := []int{http.StatusOK, http.StatusBadRequest, http.StatusServiceUnavailable}, 0
	for kind, secret := range secrets {
		ask := func(e grant.Endpoint) (answer.Tokens, error) { return e.RefreshToken(t.Context(), secret) }
		switch {
		case kind == "client secret":
			ask = func(e grant.Endpoint) (answer.Tokens, error) {
				e.ClientSecret = secret
				return e.ClientCredentials(t.Context(), nil)
			}
		case kind == "authorization code":
			ask = func(e grant.Endpoint) (answer.Tokens, error) {
				return e.AuthorizationCode(t.Context(), secret, callbackURI, "")
			}
		case kind == "code verifier":
			ask = func(e grant.Endpoint) (answer.Tokens, error) {
				return e.AuthorizationCode(t.Context(), "xyz", callbackURI, secret)
			}
		case kind == "device code":
			ask = func(e grant.Endpoint) (answer.Tokens, error) { return e.Device(t.Context(), secret) }
		case strings.HasPrefix(kind, "password"):
			ask = func(e grant.Endpoint) (answer.Tokens, error) { return e.Password(t.Context(), username, secret, nil) }
		}
		for writing, write := range writings {
			for part, cut := range parts {
				echo := write(cut(secret))
				for _, body := range []map[string]any{
					{"error": "invalid_grant", "error_description": "Invalid refresh token: " + echo},
					{"error": "invalid_grant", "error_description": echo},
					{"error": "invalid_grant", "error_description": strings.Repeat(echo+" ", 20)},
					{"error": "invalid_grant", "error_uri": "https://login.example.com/?" + echo},
					{"error": echo},
					{"error": echo, "error_description": "no"},
					{"error": "invalid_" + echo, "error_description": "no"},
					{"error": "invalid_grant: " + echo},
					{"error_description": echo},
					{"message": echo, "errors": []string{echo}},
				} {
					_, err := ask(endpoint(answers(statuses[n%len(statuses)], object(t, body))))
					got := failure(t, err)
					if piece := leaked(err.Error()+got.Message+got.Code, secret); piece != "" {
						t.Fatalf("%s, %s, %s: the error holds %q of it: %v", kind, part, writing, piece, err)
					}
					n++
				}
			}
		}
	}
}

// TestNoErrorHoldsAPoorPassword is about passwords that are no longer than a piece of others, or are words.
func TestNoErrorHoldsAPoorPassword(t *testing.T) {
	tests := map[string]struct{ password, description, want string }{
		"at the end":         {"a1b2", "Wrong password: a1b2", "Wrong password: [redacted]"},
		"among marks":        {"a1b2", "password='a1b2'", "[redacted]"},
		"in a form":          {"a1b2", "user=x&password=a1b2", "[redacted]"},
		"within a word":      {"or", "Wrong password, or user unknown", "Wrong password, [redacted] user unknown"},
		"of a single letter": {"x", "x is wrong", "[redacted] is wrong"},
		"of marks":           {"(*)", "not (*)", "not [redacted]"},
		"that is no text":    {"\xff\xfe", "Wrong password", "Wrong password"},
		"that is empty":      {"", "Wrong password", "Wrong password"},
		"that is a word":     {"password", "Wrong password.", "Wrong password."},
		"that is a code":     {"invalid_grant", "invalid_grant, I say", "invalid_grant, I say"},
		"that holds a word":  {"my-Password-1", "Wrong password for my-Password-1", "Wrong password for [redacted]"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			body := object(t, map[string]any{"error": "invalid_grant", "error_description": test.description})
			_, err := endpoint(answers(http.StatusForbidden, body)).Password(t.Context(), username, test.password, nil)
			if got := failure(t, err); got.Message != test.want || got.Code != "invalid_grant" {
				t.Errorf("code and message are %q and %q, want invalid_grant and %q", got.Code, got.Message, test.want)
			}
		})
	}
}

// TestUsefulTextSurvives guards against hiding what people need.
func TestUsefulTextSurvives(t *testing.T) {
	for _, description := range []string{
		"The request has an invalid grant parameter : refresh_token. User may have revoked or didn't grant the permission.",
		"the provided authorization refresh token is invalid or was issued to another client",
		"Wrong email or password.",
		"OAuth 2.0 Parameter: grant_type",
		"Service not found: api.example.com",
		"AADSTS70008: code 54005, user's token expired on 2026-03-01",
		"authorization_pending",
	} {
		body := object(t, map[string]any{"error": "invalid_grant", "error_description": description})
		_, err := endpoint(answers(http.StatusBadRequest, body)).RefreshToken(t.Context(), refreshToken)
		if got := failure(t, err).Message; got != description {
			t.Errorf("%q became %q", description, got)
		}
	}
}

// FuzzClean sends a secret of random token characters and has it come back, in part, in some writing and among other
// text. Nothing of it may survive in the error, which must also be fit to show.
func FuzzClean(f *testing.F) {
	f.Add(uint64(1), uint8(32), uint8(0), uint8(32), uint8(0), "Invalid refresh token: ", "", "invalid_grant")
	f.Add(uint64(2), uint8(16), uint8(4), uint8(12), uint8(1), "token=", "&x=y", "invalid_grant: ")
	f.Add(uint64(3), uint8(8), uint8(0), uint8(8), uint8(4), "%", "%4", "")
	f.Add(uint64(4), uint8(200), uint8(10), uint8(190), uint8(7), "é\u200b\x00", "\u2028", "…")
	f.Add(uint64(5), uint8(60), uint8(3), uint8(9), uint8(9), "&#", ";&amp;", "a")
	names := slices.Sorted(maps.Keys(writings)) // a finding must mean the same in every run

	f.Fuzz(func(t *testing.T, seed uint64, length, from, to, writing uint8, before, after, code string) {
		secret := randomSecret(seed, 8+int(length))
		low, high := int(from)%len(secret), int(to)%(len(secret)+1)
		if low > high {
			low, high = high, low
		}
		echo := secret[low:high]
		if echo == "" {
			echo = secret
		}
		echo = writings[names[int(writing)%len(names)]](echo)
		body := object(t, map[string]any{"error": code + echo, "error_description": before + echo + after})
		_, err := endpoint(answers(http.StatusBadRequest, body)).RefreshToken(t.Context(), secret)
		got := failure(t, err)
		if piece := leaked(err.Error(), secret); piece != "" {
			t.Fatalf("%q of secret %q survives in %q", piece, secret, err)
		}
		switch {
		case !utf8.ValidString(err.Error()):
			t.Fatalf("the error %q is no text", err)
		case strings.ContainsFunc(err.Error(), func(r rune) bool { return !unicode.IsPrint(r) }):
			t.Fatalf("the error %q cannot be printed on one line", err)
		case utf8.RuneCountInString(got.Message) > 200 || len(got.Code) > 40:
			t.Fatalf("code %q or message %q is too long", got.Code, got.Message)
		}
	})
}

// randomSecret is made of the characters that RFC 6749 appendix A.17 allows and that platforms use.
func randomSecret(seed uint64, length int) string {
	const characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=|^#%&!*$;:@,"
	random := rand.New(rand.NewPCG(seed, seed))
	secret := make([]byte, length)
	for i := range secret {
		secret[i] = characters[random.IntN(len(characters))]
	}
	return string(secret)
}
