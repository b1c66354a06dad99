package visitor

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Refusal is the reason why a request has no visitor: a token, or another one, has to be entered. Its values are the names of the
// sentences with which the pages say so.
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

// BusyError is a page that must come later: too many visitors read lists, or the visitor has used up the questions or presses of a while.
type BusyError struct{ Wait time.Duration }

func (e *BusyError) Error() string { return "too many lists or questions at once" }

// ClusterError is a request that the API server did not fulfil.
type ClusterError struct {
	// Doing is the request, such as "reviewing a token".
	Doing string
	Err   error
}

func (e *ClusterError) Error() string { return e.Doing + ": " + KindOf(e.Err) }

func (e *ClusterError) Unwrap() error { return e.Err }

// KindOf is the kind of an error of the API server. Nothing else of it may be logged or shown: its text may quote the request,
// with a token in it.
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
