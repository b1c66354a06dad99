package grant

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/outgoing"
	"github.com/tokenkeeper/tokenkeeper/internal/redact"
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

// attempt is a request as far as classifying its failure needs it.
type attempt struct {
	wire    wire
	secrets []string // everything in the request that must not be shown
	now     time.Time
	sent    bool // the request left this machine, at least in part
	meaning func(code string, status int) (answer.Kind, bool)
	// singleUse tells that the request spends a refresh token that works once, without a grace.
	singleUse bool
}

// classify turns an error of x/oauth2 into an *answer.Error.
func (a attempt) classify(err error) *answer.Error {
	if refusal, ok := errors.AsType[*oauth2.RetrieveError](err); ok && refusal.Response != nil {
		return a.refused(refusal)
	}
	if bad, ok := errors.AsType[malformed](err); ok {
		return a.noTokens(bad.Error(), !bad.FromPlatform())
	}
	if strings.HasPrefix(err.Error(), "oauth2: ") {
		return a.noTokens("the marketplace's answer holds no access token", false)
	}
	if strings.HasPrefix(err.Error(), "unmarshal ") { // as x/oauth2 says it of a device code alone
		return &answer.Error{Kind: answer.Malformed, Message: noDeviceCode}
	}
	return a.unreachable(err)
}

// malformed is an answer of success that cannot be used. FromPlatform tells whether it may be the platform's, so that the
// platform may have acted, and not a page that stands in front of it.
type malformed interface {
	error
	FromPlatform() bool
}

// noTokens classifies an answer of success without tokens.
func (a attempt) noTokens(why string, page bool) *answer.Error {
	facts := answer.Facts{Sent: true, Status: http.StatusOK, SingleUse: a.singleUse}
	if page {
		facts.Shape = answer.Page
	}
	return &answer.Error{Kind: answer.Malformed, Message: why, OutcomeUnknown: facts.Verdict() == answer.Unknown}
}

// refused classifies an answer that is an error.
func (a attempt) refused(refusal *oauth2.RetrieveError) *answer.Error {
	status := refusal.Response.StatusCode
	code := redact.LeadingCode(refusal.ErrorCode)
	named, isNamed := a.named(refusal.ErrorCode, code, status)
	wait := a.retryAfter(refusal.Response.Header, status == http.StatusTooManyRequests || named == answer.Throttled)
	facts := answer.Facts{
		Sent: true, Status: status, Shape: answer.ShapeOf(refusal.Body), Code: code, Named: isNamed,
		RetryAfter: wait > 0 || refusal.Response.Header.Get("Retry-After") != "", SingleUse: a.singleUse,
	}
	if code != "" { // also of a form, which some platforms answer with
		facts.Shape = answer.Object
	}
	verdict := facts.Verdict()
	kind := named
	if !isNamed {
		kind = a.kind(facts, verdict)
	}
	e := &answer.Error{
		Kind:           kind,
		Code:           redact.Code(refusal.ErrorCode, a.secrets),
		Status:         status,
		Message:        redact.Description(refusal.ErrorDescription, a.secrets),
		RetryAfter:     wait,
		OutcomeUnknown: verdict == answer.Unknown,
	}
	if e.Code == "" && e.Message == "" {
		e.Message = cmp.Or(a.redirected(refusal.Response), fmt.Sprintf("the marketplace answered HTTP %d without an OAuth error code", status))
	}
	return e
}

// redirected describes an answer that points elsewhere; empty for another, or where that would show a credential.
func (a attempt) redirected(response *http.Response) string {
	target := outgoing.RedirectTarget(response)
	if target == "" || redact.Holds(target, a.secrets) {
		return ""
	}
	return fmt.Sprintf("the marketplace answered HTTP %d, a redirect to %s, which is not followed", response.StatusCode, target)
}

// named looks a code up in the Marketplace's table, as the platform writes it or without the text behind it.
func (a attempt) named(told, code string, status int) (answer.Kind, bool) {
	if a.meaning == nil {
		return "", false
	}
	for _, name := range []string{told, code} {
		if kind, ok := a.meaning(name, status); ok {
			return kind, true
		}
	}
	return "", false
}

// kind classifies an answer that the Marketplace's table does not name: only the platform itself passes a verdict on
// credentials, by a code.
func (a attempt) kind(facts answer.Facts, verdict answer.Verdict) answer.Kind {
	if kind, ok := a.polled(facts, verdict); ok {
		return kind
	}
	switch {
	case a.wire == wirePassword && facts.Code != "" && facts.Status/100 == 2 && verdict == answer.Unknown:
		return a.refusal(facts.Code, facts.Status)
	case facts.Code == "slow_down", facts.Status == http.StatusTooManyRequests:
		return answer.Throttled
	case verdict == answer.NotActed && facts.Code == "temporarily_unavailable":
		return answer.Unavailable
	case verdict == answer.NotActed && facts.Code != "" && facts.Status/100 == 4:
		return answer.Throttled
	case facts.Status/100 == 3, verdict != answer.Word && facts.Status/100 == 2:
		return answer.Malformed
	case verdict != answer.Word:
		return answer.Unavailable
	}
	return a.refusal(facts.Code, facts.Status)
}

// personNeeded are codes of servers that renew nothing before a person has been there again (OpenID Connect Core section 3.1.2.6, which Microsoft
// answers renewals with), and the one of RFC 6750 section 3.1, with which some call a refresh token expired.
var personNeeded = []string{"interaction_required", "login_required", "consent_required", "account_selection_required", "invalid_token"}

// refusal finds the kind of a code (RFC 6749 section 5.2).
func (a attempt) refusal(code string, status int) answer.Kind {
	switch code {
	case "invalid_grant":
		return a.deadGrant()
	case "invalid_client", "unauthorized_client":
		return answer.ApplicationRejected
	case "invalid_scope":
		return answer.ScopeRejected
	case "invalid_request", "unsupported_grant_type", "invalid_target":
		return answer.InvalidRequest
	}
	if a.wire == wireRefreshToken && slices.Contains(personNeeded, code) {
		return a.deadGrant()
	}
	switch {
	case a.wire == wirePassword:
		// Every further attempt may count towards a lock of 30 days (Auth0), so doubt speaks for the lock.
		return answer.AccountLocked
	case status == http.StatusUnauthorized:
		return answer.ApplicationRejected
	}
	return answer.Unavailable
}

// deadGrant is the kind of invalid_grant by the request: it covers codes, refresh tokens and passwords alike.
func (a attempt) deadGrant() answer.Kind {
	switch a.wire {
	case wirePassword:
		return answer.PasswordRejected
	case wireClientCredentials, wireDeviceAuthorization:
		return answer.ApplicationRejected
	case wireDeviceCode:
		return answer.CodeExpired
	}
	return answer.GrantRejected
}

// longestRetryAfter is the longest wait that is taken for one: a platform that names more has written a moment, or milliseconds.
const longestRetryAfter = 24 * time.Hour

// retryAfter reads how long to wait: Retry-After in seconds or as a date (RFC 9110 section 10.2.3), else, where the platform
// wants fewer requests, X-RateLimit-Reset in epoch seconds (Auth0, which sends it with every answer). Zero means that the
// answer does not say.
func (a attempt) retryAfter(header http.Header, throttled bool) time.Duration {
	var told []time.Duration
	value := header.Get("Retry-After")
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil {
		told = append(told, time.Duration(seconds)*time.Second)
	} else if date, err := http.ParseTime(value); err == nil {
		told = append(told, date.Sub(a.now))
	}
	if reset, err := strconv.ParseInt(header.Get("X-Ratelimit-Reset"), 10, 64); err == nil && throttled {
		told = append(told, time.Unix(reset, 0).Sub(a.now))
	}
	for _, wait := range told {
		if wait > 0 && wait <= longestRetryAfter {
			return wait
		}
	}
	return 0
}
