package platforms

import "net/http"

// Outcome is how a request ended, under one name on all platforms, although each words it in its own way.
type Outcome string

// The outcomes. All but OK and Faulted are errors of the platform, which [Platform.Refusals] may word.
const (
	// OK is an answer with tokens, or with a device code.
	OK Outcome = "ok"
	// Faulted is an answer, or none, that an injected fault or an outage gave in the platform's place.
	Faulted Outcome = "fault"
	// InvalidRequest is a request that is not as the grant, or the platform's rules, have it.
	InvalidRequest Outcome = "invalid_request"
	// QueryRefused is a request with parameters in its address.
	QueryRefused Outcome = "query_refused"
	// MethodRefused is a request that is no POST.
	MethodRefused Outcome = "method_refused"
	// InvalidClient is a client that did not prove itself where the platform looks.
	InvalidClient Outcome = "invalid_client"
	// InvalidGrant is a refresh token that is unknown, dead, spent or another application's.
	InvalidGrant Outcome = "invalid_grant"
	// UnsupportedGrant is a grant type that the platform does not serve.
	UnsupportedGrant Outcome = "unsupported_grant_type"
	// InvalidScope is a scope beyond the consented ones.
	InvalidScope Outcome = "invalid_scope"
	// InvalidCode is an authorization code that is unknown, used, expired or another application's, or that came with another
	// redirect_uri or code_verifier than the authorization request meant.
	InvalidCode Outcome = "invalid_code"
	// InvalidDeviceCode is a device code that is unknown, used or another application's.
	InvalidDeviceCode Outcome = "invalid_device_code"
	// ExpiredDeviceCode is a device code whose time is over.
	ExpiredDeviceCode Outcome = "expired_token"
	// AuthorizationPending is a device code about which the person has not decided yet.
	AuthorizationPending Outcome = "authorization_pending"
	// SlowDown is a device code that was asked about before the interval was over.
	SlowDown Outcome = "slow_down"
	// ConsentDenied is a person's no.
	ConsentDenied Outcome = "consent_denied"
	// UnknownClient is an authorization request of an application that is not registered.
	UnknownClient Outcome = "unknown_client"
	// UnknownRedirect is an authorization request with a redirect_uri that is not registered.
	UnknownRedirect Outcome = "unknown_redirect"
	// DraftMismatch is an authorization request that a draft application may not make, or a published one.
	DraftMismatch Outcome = "draft_mismatch"
	// InvalidStart is the end of a sign-in that did not begin in the platform's store, or not in this browser, or ended
	// before.
	InvalidStart Outcome = "invalid_start"
	// UnsupportedResponse is an authorization request for anything but a code.
	UnsupportedResponse Outcome = "unsupported_response_type"
	// LoginRequired and ConsentRequired are an authorization request that must not bother anybody, where somebody would
	// have to log in or to consent (OpenID Connect Core section 3.1.2.6).
	LoginRequired   Outcome = "login_required"
	ConsentRequired Outcome = "consent_required"
	// AccessDenied is a parameter with a value that the platform does not allow, such as another API's audience.
	AccessDenied Outcome = "access_denied"
	// WrongPassword is a wrong password or an unknown user.
	WrongPassword Outcome = "wrong_password"
	// UserLocked is a user who is locked after too many wrong passwords.
	UserLocked Outcome = "user_locked"
	// UserBlocked is a user whom an administrator blocked.
	UserBlocked Outcome = "user_blocked"
	// MFARequired is a user of whom a second factor is asked.
	MFARequired Outcome = "mfa_required"
	// PasswordLeaked is a password that the platform found among leaked ones.
	PasswordLeaked Outcome = "password_leaked"
	// ServerError is a failure of the demo marketplace itself.
	ServerError Outcome = "server_error"
)

// Refusal is how a platform words an error. A field at zero is as RFC 6749 section 5.2 has it.
type Refusal struct {
	Status int
	// Code is the answer's error.
	Code string
	// Description is its error_description. A parameter in braces stands for the value that the request sent, as Allegro repeats
	// a dead refresh token.
	Description string
	// Bare leaves the error_description out.
	Bare bool
	// Fields are added to the answer.
	Fields map[string]any
}

// Plain is the refusal of RFC 6749 section 5.2, which has no codes for the faults of a user.
func Plain(outcome Outcome) Refusal {
	switch outcome {
	case QueryRefused:
		return Refusal{Status: http.StatusBadRequest, Code: "invalid_request"}
	case MethodRefused:
		return Refusal{Status: http.StatusMethodNotAllowed, Code: "invalid_request"}
	case InvalidClient:
		return Refusal{Status: http.StatusUnauthorized, Code: "invalid_client"}
	case WrongPassword, UserLocked, UserBlocked, MFARequired, PasswordLeaked, InvalidCode, InvalidDeviceCode:
		return Refusal{Status: http.StatusBadRequest, Code: "invalid_grant"}
	case ConsentDenied:
		return Refusal{Status: http.StatusBadRequest, Code: "access_denied"}
	case UnknownClient, UnknownRedirect, DraftMismatch, InvalidStart:
		return Refusal{Status: http.StatusBadRequest, Code: "invalid_request"}
	case ServerError:
		return Refusal{Status: http.StatusInternalServerError, Code: "server_error"}
	}
	return Refusal{Status: http.StatusBadRequest, Code: string(outcome)}
}
