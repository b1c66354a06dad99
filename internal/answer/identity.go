package answer

import "net/http"

// Identity is the account of a token; either part may be empty.
type Identity struct {
	// ID is the marketplace's identifier of the account.
	ID string
	// Login is the name that people know.
	Login string
}

// IdentityError is an answer of the identity request that is not a success.
type IdentityError struct {
	// Status is the HTTP status of the answer; 0 when there was none, or it broke off.
	Status int
	// Why completes "testing the connection: ".
	Why string
	// Unreadable tells that the answer says success and is none, such as a page for maintenance.
	Unreadable bool
}

func (e *IdentityError) Error() string { return "testing the connection: " + e.Why }

// Refused tells that the marketplace does not honour the access token.
func (e *IdentityError) Refused() bool { return e.Status == http.StatusUnauthorized }

// Throttled tells that the marketplace wants fewer requests.
func (e *IdentityError) Throttled() bool { return e.Status == http.StatusTooManyRequests }

// Final tells that the request will not be answered, however often it is made.
func (e *IdentityError) Final() bool {
	return e.Status == http.StatusForbidden || e.Status == http.StatusNotFound
}

// Unavailable tells that the marketplace gave no answer that can be used, so that asking again may help.
func (e *IdentityError) Unavailable() bool { return e.Unanswered() || e.Unreadable }

// Unanswered tells that the host gave no answer, or said that it cannot answer, so that asking it for other accounts is no use now.
func (e *IdentityError) Unanswered() bool {
	return e.Status == 0 || e.Status >= http.StatusInternalServerError
}
