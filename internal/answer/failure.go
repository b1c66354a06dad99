package answer

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Kind is the meaning of a failure: who must act, and whether to ask again.
type Kind string

// Kinds that a person's action cures: asking again without it is useless, or does harm.
const (
	// GrantRejected: refresh token or code is dead.
	GrantRejected Kind = "GrantRejected"
	// PasswordRejected: user name or password is wrong.
	PasswordRejected Kind = "PasswordRejected"
	// AccountLocked: the login is locked, or needs a step that no program can take.
	AccountLocked Kind = "AccountLocked"
	// ApplicationRejected: client_id or client_secret is wrong, or the application may not use this grant.
	ApplicationRejected Kind = "ApplicationRejected"
	// ScopeRejected: the scopes are unknown, or more than allowed.
	ScopeRejected Kind = "ScopeRejected"
	// InvalidRequest: the platform does not understand the request; its description is wrong.
	InvalidRequest Kind = "InvalidRequest"
	// ConsentDenied: the person declined. A new sign-in asks them again.
	ConsentDenied Kind = "ConsentDenied"
	// CodeExpired: the device code has expired, was used, or is not known. A new sign-in brings another.
	CodeExpired Kind = "CodeExpired"
)

// Kinds that pass: the same request may succeed later.
const (
	// Throttled: the platform wants fewer requests.
	Throttled Kind = "Throttled"
	// Unavailable: no answer, or an answer that says "later".
	Unavailable Kind = "Unavailable"
	// Malformed: no usable answer.
	Malformed Kind = "Malformed"
	// Pending: the person has not decided yet. This is how most polls with a device code end.
	Pending Kind = "Pending"
	// SlowDown: as Pending, and every further poll has to wait 5 seconds longer (RFC 8628 section 3.5).
	SlowDown Kind = "SlowDown"
)

// Error is the one error type of this package. Its text is safe to show: it holds an error code and a
// cleaned description, never a body, a URL or a credential.
type Error struct {
	// Kind is the meaning of the failure.
	Kind Kind
	// Code is the error code of the answer (RFC 6749 section 5.2 or the platform's own); empty when there was none.
	Code string
	// Status is the HTTP status of the answer; 0 when there was none.
	Status int
	// Message describes the failure, without credentials.
	Message string
	// RetryAfter is how long the platform asked to wait; zero when it did not.
	RetryAfter time.Duration
	// OutcomeUnknown tells that the request was sent and no answer came, so that the platform may have
	// acted on it: a single-use refresh token may be spent.
	OutcomeUnknown bool
}

func (e *Error) Error() string {
	if e.Code == "" {
		return e.Message
	}
	repeats := e.Message == "" || plain(e.Message) == plain(e.Code)
	if e.Status == 0 && repeats { // of a callback, which is no answer
		return e.Code
	}
	if e.Status == 0 {
		return e.Code + ": " + e.Message
	}
	if repeats {
		return fmt.Sprintf("%s (HTTP %d)", e.Code, e.Status)
	}
	return fmt.Sprintf("%s: %s (HTTP %d)", e.Code, e.Message, e.Status)
}

// plain is a code or its description without its case and punctuation, which people write differently.
func plain(text string) string {
	return strings.Trim(strings.ToLower(strings.NewReplacer("_", " ", "-", " ").Replace(text)), " .!")
}

// Passes tells whether the same request may succeed later without anybody's action.
func (e *Error) Passes() bool {
	switch e.Kind {
	case Throttled, Unavailable, Malformed, Pending, SlowDown:
		return true
	}
	return false
}

// WithoutCode tells that a request was refused without a reason: by the platform, or a firewall in front of it. Where the
// Marketplace's table of errors names the status, that is the platform's word.
func (e *Error) WithoutCode() bool {
	return e.Kind == Unavailable && e.Code == "" && (e.Status == http.StatusUnauthorized || e.Status == http.StatusForbidden)
}

// AsError returns the *Error in err's chain, or one of kind Unavailable around an error that has none.
func AsError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Kind: Unavailable, Message: "asking the marketplace: unexpected failure"}
}
