package grant_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
)

// refusal is an error answer of RFC 6749 section 5.2.
func refusal(code string) string { return fmt.Sprintf(`{"error":%q}`, code) }

func TestKinds(t *testing.T) {
	every := []string{"Password", "ClientCredentials", "RefreshToken", "AuthorizationCode"} // TestPolls is about Device
	tests := map[string]struct {
		grants []string // nil means every grant
		status int
		body   string
		kind   answer.Kind
		code   string
	}{
		"invalid_grant is a dead refresh token":                    {[]string{"RefreshToken"}, 400, refusal("invalid_grant"), answer.GrantRejected, "invalid_grant"},
		"invalid_grant with another status is one too":             {[]string{"RefreshToken"}, 403, refusal("invalid_grant"), answer.GrantRejected, "invalid_grant"},
		"interaction_required of a renewal":                        {[]string{"RefreshToken"}, 400, refusal("interaction_required"), answer.GrantRejected, "interaction_required"},
		"login_required of a renewal":                              {[]string{"RefreshToken"}, 400, refusal("login_required"), answer.GrantRejected, "login_required"},
		"consent_required of a renewal":                            {[]string{"RefreshToken"}, 400, refusal("consent_required"), answer.GrantRejected, "consent_required"},
		"invalid_token of a renewal":                               {[]string{"RefreshToken"}, 401, refusal("invalid_token"), answer.GrantRejected, "invalid_token"},
		"invalid_token of no renewal":                              {[]string{"ClientCredentials"}, 401, refusal("invalid_token"), answer.ApplicationRejected, "invalid_token"},
		"invalid_grant is a wrong password":                        {[]string{"Password"}, 400, refusal("invalid_grant"), answer.PasswordRejected, "invalid_grant"},
		"invalid_grant with Auth0's status is a wrong password":    {[]string{"Password"}, 403, refusal("invalid_grant"), answer.PasswordRejected, "invalid_grant"},
		"invalid_grant without person or token is the application": {[]string{"ClientCredentials"}, 400, refusal("invalid_grant"), answer.ApplicationRejected, "invalid_grant"},
		"invalid_grant is a dead code":                             {[]string{"AuthorizationCode"}, 400, refusal("invalid_grant"), answer.GrantRejected, "invalid_grant"},
		"access_denied is a word about device codes": {
			[]string{"AuthorizationCode", "RefreshToken"}, 400, refusal("access_denied"), answer.Unavailable, "access_denied",
		},
		"invalid_client is the application":          {nil, 401, refusal("invalid_client"), answer.ApplicationRejected, "invalid_client"},
		"invalid_client with 400 is the application": {nil, 400, refusal("invalid_client"), answer.ApplicationRejected, "invalid_client"},
		"unauthorized_client is the application":     {nil, 400, refusal("unauthorized_client"), answer.ApplicationRejected, "unauthorized_client"},
		"invalid_scope":                              {nil, 400, refusal("invalid_scope"), answer.ScopeRejected, "invalid_scope"},
		"eBay's scope error, all in one member": {
			nil, 400, refusal("invalid_scope: The requested scope is invalid, unknown, malformed"), answer.ScopeRejected, "invalid_scope",
		},
		"invalid_request":                             {nil, 400, refusal("invalid_request"), answer.InvalidRequest, "invalid_request"},
		"unsupported_grant_type":                      {nil, 400, refusal("unsupported_grant_type"), answer.InvalidRequest, "unsupported_grant_type"},
		"invalid_target":                              {nil, 400, refusal("invalid_target"), answer.InvalidRequest, "invalid_target"},
		"slow_down":                                   {nil, 400, refusal("slow_down"), answer.Throttled, "slow_down"},
		"temporarily_unavailable":                     {nil, 400, refusal("temporarily_unavailable"), answer.Unavailable, "temporarily_unavailable"},
		"server_error":                                {nil, 400, refusal("server_error"), answer.Unavailable, "server_error"},
		"a failure of the server is no verdict":       {nil, 500, refusal("invalid_scope"), answer.Unavailable, "invalid_scope"},
		"a code in an answer that claims success":     {nil, 200, refusal("invalid_client"), answer.ApplicationRejected, "invalid_client"},
		"an unknown code that claims success":         {[]string{"RefreshToken", "ClientCredentials"}, 200, refusal("odd"), answer.Malformed, "odd"},
		"a password in doubt is not sent again, 200":  {[]string{"Password"}, 200, refusal("odd"), answer.AccountLocked, "odd"},
		"an unknown code with 500":                    {nil, 500, refusal("Server Error"), answer.Unavailable, "Server"},
		"an unknown code with 503":                    {nil, 503, refusal("maintenance"), answer.Unavailable, "maintenance"},
		"an unknown code with 429":                    {nil, 429, refusal("too_many_requests"), answer.Throttled, "too_many_requests"},
		"an unknown code with 400 may pass":           {[]string{"RefreshToken", "ClientCredentials"}, 400, refusal("odd"), answer.Unavailable, "odd"},
		"an unknown code with 403 may pass":           {[]string{"RefreshToken", "ClientCredentials"}, 403, refusal("odd"), answer.Unavailable, "odd"},
		"an unknown code with 401 is the application": {[]string{"RefreshToken", "ClientCredentials"}, 401, refusal("odd"), answer.ApplicationRejected, "odd"},
		"Allegro's word for a wrong secret":           {[]string{"RefreshToken", "ClientCredentials"}, 401, refusal("Unauthorized"), answer.ApplicationRejected, "Unauthorized"},
		"a password in doubt is not sent again, 400":  {[]string{"Password"}, 400, refusal("mfa_required"), answer.AccountLocked, "mfa_required"},
		"a password in doubt is not sent again, 401":  {[]string{"Password"}, 401, refusal("password_leaked"), answer.AccountLocked, "password_leaked"},
		"a refusal without a code may pass, JSON":     {nil, 403, `{}`, answer.Unavailable, ""},
		"a refusal without a code may pass, bare":     {nil, 403, ``, answer.Unavailable, ""},
		"a code that is a number":                     {nil, 500, refusal("36004004"), answer.Unavailable, "36004004"},
		"a code that is a sentence":                   {nil, 500, refusal("Something went wrong"), answer.Unavailable, "Something"},
		"a code that is no code":                      {nil, 500, refusal("…"), answer.Unavailable, ""},
		"a code that is an object":                    {nil, 500, `{"error":{"code":"invalid_grant"}}`, answer.Unavailable, ""},
		"a code longer than any":                      {nil, 500, refusal("a" + strings.Repeat("b", 62)), answer.Unavailable, ""},
		"a code that looks like a token":              {nil, 500, refusal("eyJhbGciOiJSUzI1NiJ9"[:20] + "x"), answer.Unavailable, ""},
		"a long code of words":                        {nil, 500, refusal("unapproved_software_statement"), answer.Unavailable, "unapproved_software_statement"},
		"an empty answer with 500":                    {nil, 500, ``, answer.Unavailable, ""},
		"an empty answer with 408":                    {nil, 408, ``, answer.Unavailable, ""},
		"an empty answer with 429":                    {nil, 429, ``, answer.Throttled, ""},
		"a page with 502":                             {nil, 502, `<html><body>Bad Gateway</body></html>`, answer.Unavailable, ""},
		"a page with 403 may pass":                    {nil, 403, `<html>blocked</html>`, answer.Unavailable, ""},
		"an empty answer with 401 may pass":           {nil, 401, ``, answer.Unavailable, ""},
		"JSON without a code and 401 may pass":        {nil, 401, `{}`, answer.Unavailable, ""},
		"a form with an error":                        {[]string{"RefreshToken"}, 400, `{"error": "invalid_grant", "error_description": 5}`, answer.Unavailable, ""},
		"an answer with no token":                     {nil, 200, `{}`, answer.Malformed, ""},
		"an answer with an empty token":               {nil, 200, `{"access_token":""}`, answer.Malformed, ""},
		"an answer with a token that is no text":      {nil, 200, `{"access_token":5}`, answer.Malformed, ""},
		"an empty answer":                             {nil, 200, ``, answer.Malformed, ""},
		"a page":                                      {nil, 200, `<html>Sign in to our Wi-Fi</html>`, answer.Malformed, ""},
		"a list":                                      {nil, 200, `[{"access_token":"at"}]`, answer.Malformed, ""},
		"null":                                        {nil, 200, `null`, answer.Malformed, ""},
		"half an answer":                              {nil, 200, `{"access_token":"at"`, answer.Malformed, ""},
		"two MiB":                                     {nil, 200, `{"access_token":"` + strings.Repeat("a", 2<<20) + `"}`, answer.Malformed, ""},
		"no content":                                  {nil, 204, ``, answer.Malformed, ""},
		"a redirect":                                  {nil, 302, ``, answer.Malformed, ""},
	}
	for name, test := range tests {
		grants := test.grants
		if grants == nil {
			grants = every
		}
		for _, asking := range grants {
			t.Run(name+", asked with "+asking, func(t *testing.T) {
				_, err := asked[asking](t, endpoint(answers(test.status, test.body)))
				got := failure(t, err)
				status := test.status
				if got.Kind == answer.Malformed && test.code == "" && status < 300 {
					status = 0 // there was no answer in the sense of the protocol
				}
				type facts struct {
					Kind           answer.Kind
					Code           string
					Status         int
					OutcomeUnknown bool
				}
				// After success without tokens, or a failure of the server, nobody knows what the platform did.
				unknown := test.code != "temporarily_unavailable" && name != "a page" &&
					(test.status < 300 && test.kind != answer.ApplicationRejected || test.status >= 500 || test.status == 408 || test.code == "server_error")
				want := facts{test.kind, test.code, status, unknown}
				if diff := cmp.Diff(want, facts{got.Kind, got.Code, got.Status, got.OutcomeUnknown}); diff != "" {
					t.Errorf("(-want +got):\n%s\nerror: %v", diff, err)
				}
				if got.Error() == "" {
					t.Error("the error says nothing")
				}
			})
		}
	}
}

func TestPasses(t *testing.T) {
	for kind, want := range map[answer.Kind]bool{
		answer.GrantRejected: false, answer.PasswordRejected: false, answer.AccountLocked: false, answer.ApplicationRejected: false,
		answer.ScopeRejected: false, answer.InvalidRequest: false, answer.ConsentDenied: false, answer.CodeExpired: false,
		answer.Throttled: true, answer.Unavailable: true, answer.Malformed: true, answer.Pending: true, answer.SlowDown: true,
		"": false,
	} {
		if got := (&answer.Error{Kind: kind}).Passes(); got != want {
			t.Errorf("a failure of kind %q passes: %v, want %v", kind, got, want)
		}
	}
}

// TestMeaning lets a platform have words of its own.
func TestMeaning(t *testing.T) {
	meaning := func(code string, status int) (answer.Kind, bool) {
		switch {
		case code == "too_many_attempts":
			return answer.AccountLocked, true
		case code == "invalid_scope":
			return answer.ApplicationRejected, true
		case code == "Server Error":
			return answer.Throttled, true
		case code == "36004004":
			return answer.GrantRejected, true
		case code == strings.Repeat("z", 63):
			return answer.GrantRejected, true
		case code == "" && status == http.StatusForbidden:
			return answer.Throttled, true
		}
		return "", false
	}
	tests := map[string]struct {
		status int
		body   string
		want   answer.Kind
	}{
		"a code of its own goes before the status":        {429, refusal("too_many_attempts"), answer.AccountLocked},
		"another sense for a standard code":               {400, refusal("invalid_scope"), answer.ApplicationRejected},
		"a code in front of a text":                       {400, refusal("invalid_scope: The requested scope"), answer.ApplicationRejected},
		"a code of several words":                         {400, refusal("Server Error"), answer.Throttled},
		"a code that is a number":                         {400, refusal("36004004"), answer.GrantRejected},
		"the longest code that a Marketplace may name":    {400, refusal(strings.Repeat("z", 63)), answer.GrantRejected},
		"an answer without a code":                        {403, `<html>`, answer.Throttled},
		"what the platform has no word for is as usual":   {400, refusal("invalid_grant"), answer.GrantRejected},
		"a status that the platform has no word for, too": {503, ``, answer.Unavailable},
		"a code with 429 that the platform names":         {429, refusal("36004004"), answer.GrantRejected},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			endpoint := endpoint(answers(test.status, test.body))
			endpoint.Meaning = meaning
			_, err := endpoint.RefreshToken(t.Context(), refreshToken)
			if got := failure(t, err).Kind; got != test.want {
				t.Errorf("the kind is %s, want %s", got, test.want)
			}
		})
	}
}

func TestRetryAfter(t *testing.T) {
	date := func(d time.Duration) string { return start.Add(d).UTC().Format(http.TimeFormat) }
	epoch := func(d time.Duration) string { return strconv.FormatInt(start.Add(d).Unix(), 10) }
	tests := map[string]struct {
		status  int
		headers []string
		want    time.Duration
	}{
		"seconds":                          {429, []string{"Retry-After", "120"}, 2 * time.Minute},
		"seconds with 503":                 {503, []string{"Retry-After", "120"}, 2 * time.Minute},
		"no seconds":                       {429, []string{"Retry-After", "0"}, 0},
		"a date":                           {429, []string{"Retry-After", date(time.Hour)}, time.Hour},
		"a date of the old kind":           {429, []string{"Retry-After", start.Add(time.Hour).UTC().Format("Monday, 02-Jan-06 15:04:05 GMT")}, time.Hour},
		"a date in the past":               {429, []string{"Retry-After", date(-time.Hour)}, 0},
		"this very moment":                 {429, []string{"Retry-After", date(0)}, 0},
		"garbage":                          {429, []string{"Retry-After", "soon"}, 0},
		"negative":                         {429, []string{"Retry-After", "-5"}, 0},
		"a fraction":                       {429, []string{"Retry-After", "1.5"}, 0},
		"more seconds than there are":      {429, []string{"Retry-After", "99999999999999999999"}, 0},
		"nothing":                          {429, nil, 0},
		"Auth0's reset":                    {429, []string{"X-RateLimit-Reset", epoch(90 * time.Second)}, 90 * time.Second},
		"a reset in the past":              {429, []string{"X-RateLimit-Reset", epoch(-time.Second)}, 0},
		"a reset that is garbage":          {429, []string{"X-RateLimit-Reset", "soon"}, 0},
		"a reset that is no moment":        {429, []string{"X-RateLimit-Reset", "60"}, 0},
		"Retry-After goes before a reset":  {429, []string{"Retry-After", "5", "X-RateLimit-Reset", epoch(time.Hour)}, 5 * time.Second},
		"a reset stands in for garbage":    {429, []string{"Retry-After", "soon", "X-RateLimit-Reset", epoch(time.Hour)}, time.Hour},
		"a day":                            {429, []string{"Retry-After", "86400"}, 24 * time.Hour},
		"more than a day":                  {429, []string{"Retry-After", "86401"}, 0},
		"ten days":                         {429, []string{"Retry-After", "900000"}, 0},
		"a moment in epoch seconds":        {429, []string{"Retry-After", epoch(time.Minute)}, 0},
		"a moment in milliseconds":         {429, []string{"Retry-After", epoch(time.Minute) + "000"}, 0},
		"a date far ahead":                 {429, []string{"Retry-After", date(8000 * time.Hour)}, 0},
		"a date without an end":            {429, []string{"Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT"}, 0},
		"a reset stands in for nonsense":   {429, []string{"Retry-After", epoch(time.Minute), "X-RateLimit-Reset", epoch(time.Minute)}, time.Minute},
		"a reset in milliseconds":          {429, []string{"X-RateLimit-Reset", epoch(time.Minute) + "000"}, 0},
		"a reset far ahead":                {429, []string{"X-RateLimit-Reset", epoch(25 * time.Hour)}, 0},
		"a reset that is negative":         {429, []string{"X-RateLimit-Reset", "-1"}, 0},
		"a reset that overflows":           {429, []string{"X-RateLimit-Reset", "9223372036854775807"}, 0},
		"a reset without 429 is no demand": {503, []string{"X-RateLimit-Remaining", "9", "X-RateLimit-Reset", epoch(time.Hour)}, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := endpoint(answers(test.status, ``, test.headers...)).RefreshToken(t.Context(), refreshToken)
			if got := failure(t, err).RetryAfter; got != test.want {
				t.Errorf("RetryAfter = %v, want %v", got, test.want)
			}
			err = endpoint(answers(test.status, ``, test.headers...)).Revoke(t.Context(), "https://login.example.com/revoke", refreshToken)
			if got := failure(t, err).RetryAfter; got != test.want {
				t.Errorf("RetryAfter of a revocation = %v, want %v", got, test.want)
			}
		})
	}
}

// TestALimitWithoutAUsableLength is one all the same: whatever the answer calls it, and however long it lasts.
func TestALimitWithoutAUsableLength(t *testing.T) {
	for _, told := range []string{"0", "1.5", "-5", "soon", "900000", start.Add(-time.Hour).UTC().Format(http.TimeFormat), strconv.FormatInt(start.Unix(), 10)} {
		limited := answers(400, `{"error":"invalid_request","error_description":"Rate limit exceeded"}`, "Retry-After", told)
		_, err := endpoint(limited).RefreshToken(t.Context(), refreshToken)
		if got := failure(t, err); got.Kind != answer.Throttled || got.RetryAfter != 0 || got.OutcomeUnknown {
			t.Errorf("Retry-After: %s is %+v", told, got)
		}
	}
}

func TestErrorText(t *testing.T) {
	tests := map[string]struct {
		status int
		body   string
		want   string
	}{
		"code and description": {
			400, `{"error":"invalid_grant","error_description":"Refresh token expired."}`,
			"invalid_grant: Refresh token expired. (HTTP 400)",
		},
		"a code alone":        {401, refusal("invalid_client"), "invalid_client (HTTP 401)"},
		"a description alone": {503, `{"error_description":"down for maintenance"}`, "down for maintenance"},
		"neither":             {503, `<html>maintenance</html>`, "the marketplace answered HTTP 503 without an OAuth error code"},
		"a description of several lines": {
			400, `{"error":"invalid_request","error_description":"first\r\n\tsecond\u0000\u200b third"}`,
			"invalid_request: first second third (HTTP 400)",
		},
		"a long description": {
			400, `{"error":"invalid_request","error_description":"` + strings.Repeat("wörd ", 100) + `"}`,
			"invalid_request: " + strings.Repeat("wörd ", 39) + "wörd… (HTTP 400)",
		},
		"somebody's token": {
			400, `{"error":"invalid_request","error_description":"token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln is not ours"}`,
			"invalid_request: token [redacted] is not ours (HTTP 400)",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := endpoint(answers(test.status, test.body)).RefreshToken(t.Context(), refreshToken)
			if diff := cmp.Diff(test.want, failure(t, err).Error()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAsError(t *testing.T) {
	ours := &answer.Error{Kind: answer.GrantRejected, Code: "invalid_grant"}
	tests := map[string]struct {
		err  error
		want answer.Kind
	}{
		"our own":            {ours, answer.GrantRejected},
		"our own, wrapped":   {fmt.Errorf("renewing: %w", ours), answer.GrantRejected},
		"somebody else's":    {errors.New("secret text"), answer.Unavailable},
		"an error of no use": {nil, answer.Unavailable},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := answer.AsError(test.err)
			if got.Kind != test.want || strings.Contains(got.Error(), "secret text") {
				t.Errorf("AsError(%v) = %+v, want kind %s and no foreign text", test.err, got, test.want)
			}
		})
	}
}

// TestAPageInFrontOfThePlatform says nothing about a password: the platform has not seen it.
func TestAPageInFrontOfThePlatform(t *testing.T) {
	page := transport(func(*http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: http.StatusForbidden, Header: http.Header{"Content-Type": {"text/html; charset=utf-8"}},
			Body: io.NopCloser(strings.NewReader("")),
		}, nil
	})
	_, err := endpoint(page).Password(t.Context(), "seller", "secret-word", nil)
	if got := failure(t, err); got.Kind != answer.Unavailable {
		t.Errorf("the failure is %+v, want Unavailable", got)
	}
}
