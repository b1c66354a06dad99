package grant

import (
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/redact"
)

// CallbackError is the error of the authorization endpoint in a callback without a code (RFC 6749 section 4.1.2.1). secrets
// must not be shown.
func CallbackError(code, description string, secrets ...string) *answer.Error {
	e := &answer.Error{Code: redact.Code(code, secrets), Message: redact.Description(description, secrets)}
	switch redact.LeadingCode(code) {
	case "invalid_scope":
		e.Kind = answer.ScopeRejected
	case "unauthorized_client", "invalid_client":
		e.Kind = answer.ApplicationRejected
	case "invalid_request", "unsupported_response_type", "request_not_supported", "invalid_request_uri", "invalid_request_object", "invalid_target":
		e.Kind = answer.InvalidRequest
	case "server_error", "temporarily_unavailable":
		e.Kind = answer.Unavailable
	default: // access_denied, and the words that platforms have of their own for it
		e.Kind = answer.ConsentDenied
	}
	return e
}
