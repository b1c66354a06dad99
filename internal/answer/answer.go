// Package answer holds how a request to a marketplace ended: the tokens that it brought or the failure, whether the platform has acted on
// it, and whether the answer is the platform's own word. It knows how far the request got, the status and the shape of the body; it
// does not know the meaning of an error code for an account. It is the one place that tells them apart, for every grant.
package answer

import (
	"net/http"
	"slices"
)

// Verdict says how a request ended.
type Verdict int

const (
	// Unknown: the request was sent, and whether the platform acted on it cannot be known. A single-use refresh token may
	// be spent.
	Unknown Verdict = iota
	// NotActed: the platform did not act. The same request may be sent again.
	NotActed
	// Word: the platform acted, or refused to, and the answer is its own.
	Word
)

// Facts are the signs of how one request ended.
type Facts struct {
	// Sent tells that the request left this machine, at least in part. It counts where no answer came.
	Sent bool
	// Status is the HTTP status of the answer; 0 where none came, or where one of success broke off.
	Status int
	// Shape is the shape of the body.
	Shape Shape
	// Code is the OAuth error code in the body; empty where there is none.
	Code string
	// Named tells that the Marketplace's table of errors has this code with this status.
	Named bool
	// RetryAfter tells that the answer names a time to wait, if only one that is over or cannot be read: it is a limit all the same.
	RetryAfter bool
	// SingleUse tells that the request spends a refresh token that works once, without a grace.
	SingleUse bool
}

// waiting are the codes that say "later" whatever their status (RFC 6749 section 4.1.2.1, RFC 8628 section 3.5).
var waiting = []string{"temporarily_unavailable", "slow_down"}

// standard are the codes that are believed also in an answer that claims success: RFC 6749 section 5.2, RFC 8628 section
// 3.5 and RFC 8707 section 2.
var standard = []string{
	"invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type", "invalid_scope",
	"authorization_pending", "access_denied", "expired_token", "invalid_target",
}

// statusClientClosedRequest is nginx's word for a client that did not wait. The platform behind it may have acted.
const statusClientClosedRequest = 499

// Verdict tells whether the platform spoke, and whether it acted.
func (f Facts) Verdict() Verdict {
	switch {
	case f.Status == 0 && f.Sent:
		return Unknown
	case f.Status == 0:
		return NotActed
	case f.Status/100 == 2 && f.Shape == TokenSet:
		return Word
	case f.coded() && f.Named:
		return Word
	case f.coded() && slices.Contains(waiting, f.Code):
		return NotActed
	case f.Status == http.StatusTooManyRequests, f.Status/100 == 3:
		return NotActed
	case f.Status == http.StatusRequestTimeout, f.Status == statusClientClosedRequest:
		return Unknown
	case f.Status/100 == 4:
		return f.refusal()
	case f.Status/100 == 2 && f.Shape == Page:
		return NotActed
	case f.Status/100 == 2 && f.coded() && slices.Contains(standard, f.Code):
		return Word
	case f.Status == http.StatusServiceUnavailable && f.Shape == Page && !f.SingleUse:
		return NotActed
	}
	return Unknown
}

// refusal judges a 4xx. Without an OAuth error code it is a firewall's or a gateway's, and one that names a time to wait
// is a limit, whatever it calls itself; but a refresh token that is dead stays so.
func (f Facts) refusal() Verdict {
	switch {
	case !f.coded(), f.RetryAfter && f.Code != "invalid_grant":
		return NotActed
	case f.Code == "server_error": // a failure in the middle of acting (RFC 6749 section 4.1.2.1)
		return Unknown
	}
	return Word
}

func (f Facts) coded() bool { return f.Shape == Object && f.Code != "" }
