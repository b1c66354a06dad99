package grant

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// wire is the grant_type of a request, by the name of RFC 6749 and its kin.
type wire string

const (
	wirePassword          wire = "password"
	wireClientCredentials wire = "client_credentials"
	wireRefreshToken      wire = "refresh_token"
	wireAuthorizationCode wire = "authorization_code"
	wireDeviceCode        wire = "urn:ietf:params:oauth:grant-type:device_code"
	// wireDeviceAuthorization is no grant_type: it is the request that begins DeviceCode.
	wireDeviceAuthorization wire = "device_authorization"
)

// attempt is what classifying a failure needs to know of the request.
type attempt struct {
	wire    wire
	secrets []string // everything in the request that must not be shown
	now     time.Time
	sent    bool // the request left this machine, at least in part
	meaning func(code string, status int) (Kind, bool)
}

// classify turns what x/oauth2 returned into an *Error.
func (a attempt) classify(err error) *Error {
	if answer, ok := errors.AsType[*oauth2.RetrieveError](err); ok && answer.Response != nil {
		return a.refused(answer)
	}
	if bad, ok := errors.AsType[malformed](err); ok {
		return &Error{Kind: Malformed, Message: bad.Error(), OutcomeUnknown: bad.FromPlatform()}
	}
	if strings.HasPrefix(err.Error(), "oauth2: ") {
		return &Error{Kind: Malformed, Message: "the marketplace's answer holds no access token", OutcomeUnknown: true}
	}
	if strings.HasPrefix(err.Error(), "unmarshal ") { // as x/oauth2 says it of a device code alone
		return &Error{Kind: Malformed, Message: noDeviceCode}
	}
	return a.unreachable(err)
}

// malformed is an answer that says "success" and makes no sense. FromPlatform tells whether it may be the platform's, so
// that the platform may have acted, and not a page that somebody put in front of it.
type malformed interface {
	error
	FromPlatform() bool
}

// refused classifies an answer that is an error.
func (a attempt) refused(answer *oauth2.RetrieveError) *Error {
	status := answer.Response.StatusCode
	kind := a.kind(answer, status)
	e := &Error{
		Kind:       kind,
		Code:       cleanCode(answer.ErrorCode, a.secrets),
		Status:     status,
		Message:    cleanDescription(answer.ErrorDescription, a.secrets),
		RetryAfter: retryAfter(answer.Response.Header, kind, a.now),
		// A gateway speaks for itself: whether the platform behind it has acted, it does not know.
		OutcomeUnknown: status == http.StatusBadGateway || status == http.StatusGatewayTimeout,
	}
	if e.Code == "" && e.Message == "" {
		e.Message = fmt.Sprintf("the marketplace answered HTTP %d without an OAuth error code", status)
	}
	return e
}

// kind finds what an error answer means: the platform's own word first, then the codes of RFC 6749 section
// 5.2, then the status.
func (a attempt) kind(answer *oauth2.RetrieveError, status int) Kind {
	told := answer.ErrorCode
	code := codePattern.FindString(told)
	if a.meaning != nil {
		for _, name := range []string{told, code} {
			if kind, ok := a.meaning(name, status); ok {
				return kind
			}
		}
	}
	if kind, ok := a.polled(code, status, a.foreign(answer)); ok {
		return kind
	}
	switch code {
	case "invalid_grant":
		return a.deadGrant()
	case "invalid_client", "unauthorized_client":
		return ApplicationRejected
	case "invalid_scope":
		return ScopeRejected
	case "invalid_request", "unsupported_grant_type", "invalid_target":
		return InvalidRequest
	case "slow_down":
		return Throttled
	case "temporarily_unavailable", "server_error":
		return Unavailable
	}
	return a.kindOfStatus(status, a.foreign(answer))
}

// foreign tells that it is not the platform that speaks, but a firewall or a page for maintenance in front of it: it
// does so without JSON. About a password only a page is believed, since a platform counts attempts, and some of
// Auth0's refusals carry no JSON either.
func (a attempt) foreign(answer *oauth2.RetrieveError) bool {
	header := answer.Response.Header
	if a.wire == wirePassword {
		return strings.HasPrefix(header.Get("Content-Type"), "text/html")
	}
	return !json.Valid(answer.Body) && header.Get("Www-Authenticate") == ""
}

// deadGrant tells what invalid_grant speaks of: it covers codes, refresh tokens and passwords alike.
func (a attempt) deadGrant() Kind {
	switch a.wire {
	case wirePassword:
		return PasswordRejected
	case wireClientCredentials, wireDeviceAuthorization:
		return ApplicationRejected
	case wireDeviceCode:
		return CodeExpired
	}
	return GrantRejected
}

// kindOfStatus judges an answer without a known code.
func (a attempt) kindOfStatus(status int, foreign bool) Kind {
	switch {
	case status == http.StatusTooManyRequests:
		return Throttled
	case status >= 500, status == http.StatusRequestTimeout:
		return Unavailable
	case status/100 == 3:
		return Malformed
	case foreign:
		return Unavailable
	case a.wire == wirePassword:
		// Every further attempt may count towards a lock of 30 days (Auth0), so doubt speaks for the lock.
		return AccountLocked
	case status < 400:
		return Malformed
	case status == http.StatusUnauthorized:
		return ApplicationRejected
	}
	return Unavailable
}

// retryAfter reads how long to wait: Retry-After in seconds or as a date (RFC 9110 section 10.2.3), else, where
// the platform wants fewer requests, X-RateLimit-Reset in epoch seconds (Auth0, which sends it with every
// answer). Zero means that the answer does not say.
func retryAfter(header http.Header, kind Kind, now time.Time) time.Duration {
	if value := header.Get("Retry-After"); value != "" {
		if seconds, err := strconv.ParseInt(value, 10, 32); err == nil && seconds >= 0 {
			return time.Duration(seconds) * time.Second
		}
		if date, err := http.ParseTime(value); err == nil && date.After(now) {
			return date.Sub(now)
		}
	}
	if reset, err := strconv.ParseInt(header.Get("X-Ratelimit-Reset"), 10, 64); err == nil && kind == Throttled {
		if at := time.Unix(reset, 0); at.After(now) {
			return at.Sub(now)
		}
	}
	return 0
}
