package faults

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
)

// HookFault is a fault of the caller's own making.
func HookFault(hook Hook) Fault { return newFault(hook) }

// Answer answers with this response and leaves the platform alone.
func Answer(response platforms.Response) Fault {
	return newFault(func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { response.Write(w) })
}

// Refuse answers with the platform's words for an outcome.
func Refuse(outcome platforms.Outcome) Fault {
	return newFault(func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		strikeOf(r).Refuse(w, outcome)
	})
}

// HTMLPage answers 200 with a page, as a captive proxy or a firewall does.
func HTMLPage() Fault {
	return Answer(platforms.Response{
		Status: http.StatusOK,
		Header: http.Header{"Content-Type": {"text/html; charset=utf-8"}},
		Body:   "<!doctype html><title>Sign in</title><h1>Please sign in</h1>",
	})
}

// Maintenance answers 503 with a page.
func Maintenance() Fault { return Answer(MaintenancePage()) }

// Empty answers 200 with no body.
func Empty() Fault { return Answer(platforms.Response{Status: http.StatusOK}) }

// Huge answers 200 with two MiB of JSON, a token answer that can be decoded only when all of it is read.
func Huge() Fault {
	return Answer(platforms.Response{
		Status: http.StatusOK,
		Body: `{"padding":"` + strings.Repeat("x", 2<<20) +
			`","access_token":"huge-access-token","token_type":"Bearer","expires_in":3600}`,
	})
}

// Throttle answers 429 with Retry-After in seconds.
func Throttle(seconds int) Fault { return throttle(strconv.Itoa(seconds), nil) }

// ThrottleUntil answers 429 with Retry-After as an HTTP date (RFC 9110 section 10.2.3).
func ThrottleUntil(date time.Time) Fault { return throttle(date.UTC().Format(http.TimeFormat), nil) }

// ThrottleReset answers 429 as Auth0 does, with the end as Unix seconds in X-RateLimit-Reset. Retry-After, which Auth0
// sends on some answers only, is left out when it is zero.
func ThrottleReset(reset time.Time, retryAfter time.Duration) Fault {
	header := http.Header{
		"X-Ratelimit-Limit":     {"10"},
		"X-Ratelimit-Remaining": {"0"},
		"X-Ratelimit-Reset":     {strconv.FormatInt(reset.Unix(), 10)},
	}
	if retryAfter == 0 {
		return throttle("", header)
	}
	return throttle(strconv.FormatInt(int64(retryAfter/time.Second), 10), header)
}

// throttle answers 429.
func throttle(retryAfter string, header http.Header) Fault {
	if header == nil {
		header = http.Header{}
	}
	if retryAfter != "" {
		header.Set("Retry-After", retryAfter)
	}
	return Answer(platforms.Response{
		Status: http.StatusTooManyRequests,
		Header: header,
		Body:   `{"error":"too_many_requests","error_description":"Global limit has been reached"}`,
	})
}

// Redirect answers 307 to another address, which a client that follows it would send its secrets to.
func Redirect(url string) Fault {
	return Answer(platforms.Response{Status: http.StatusTemporaryRedirect, Header: http.Header{"Location": {url}}})
}

// ExpiresIn lets the platform answer, but with this raw JSON as expires_in: `0`, `-5`, `"soon"`, `"3600"`, `3600.0`.
// [ExpiresInAbsent] leaves it out. It panics when raw is no JSON.
func ExpiresIn(raw string) Fault {
	if raw != platforms.ExpiresInAbsent && !json.Valid([]byte(raw)) {
		panic("demomarket: expires_in must be JSON: " + raw)
	}
	return newFault(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		strikeOf(r).ExpiresIn = raw
		next.ServeHTTP(w, r)
	})
}

// Callback lets the platform send the browser back, but with the callback's parameters as change leaves them: another
// iss, no state, an error instead of the code. It strikes every page of the authorization endpoint on the way there,
// so Clear ends it better than Once does.
func Callback(change func(url.Values)) Fault {
	return newFault(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		strikeOf(r).Callback = change
		next.ServeHTTP(w, r)
	}).On(platforms.AuthorizationEndpoint)
}

// MaintenancePage is the page of a platform that is down.
func MaintenancePage() platforms.Response {
	return platforms.Response{
		Status: http.StatusServiceUnavailable,
		Header: http.Header{"Content-Type": {"text/html; charset=utf-8"}},
		Body:   "<!doctype html><title>Maintenance</title><h1>We will be back soon</h1>",
	}
}
