package visitor

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Refusal is why there is no visitor: somebody has to enter a token, or another one. Its values are the names of what the pages say.
type Refusal string

// Why a token has to be entered.
const (
	None          Refusal = "None"          // there is no session
	Ended         Refusal = "Ended"         // the session's token is not good any more
	Refused       Refusal = "Refused"       // the API server does not know the token
	Missing       Refusal = "Missing"       // the form was empty
	Malformed     Refusal = "Malformed"     // this cannot be a token
	CookieRefused Refusal = "CookieRefused" // the browser does not keep the session
	TooLong       Refusal = "TooLong"       // the token does not fit into a cookie
)

func (r Refusal) Error() string { return "a token is needed: " + string(r) }

// LimitedError is too many failures from one address.
type LimitedError struct{ Wait time.Duration }

func (e *LimitedError) Error() string { return "too many failures from one address" }

// BusyError is too many lists at once.
type BusyError struct{ Wait time.Duration }

func (e *BusyError) Error() string { return "too many lists at once" }

// ClusterError is an API server that does not do what it is asked.
type ClusterError struct {
	// Doing is what it was asked.
	Doing string
	Err   error
}

func (e *ClusterError) Error() string { return e.Doing + ": " + KindOf(e.Err) }

func (e *ClusterError) Unwrap() error { return e.Err }

// KindOf is what may be said of an error of the API server: its text may quote what was sent.
func KindOf(err error) string {
	switch reason := apierrors.ReasonForError(err); {
	case reason != metav1.StatusReasonUnknown:
		return string(reason)
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	}
	return "no answer"
}

func isLimited(err error) bool {
	_, limited := errors.AsType[*LimitedError](err)
	return limited
}

func isBusy(err error) bool {
	_, busy := errors.AsType[*BusyError](err)
	return busy
}
