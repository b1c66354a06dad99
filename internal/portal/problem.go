package portal

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// Problems that are not those of a sign-in.
const (
	// problemShown: the result of a sign-in is not there any more.
	problemShown signin.Problem = "Shown"
	// problemNotFound: there is no such page.
	problemNotFound signin.Problem = "NotFound"
	// problemForbidden: the visitor's RBAC does not allow it, or there is no such account; they are not told which.
	problemForbidden signin.Problem = "Forbidden"
	// problemForm: the form is not one that this session was given.
	problemForm signin.Problem = "Form"
	// problemForeign: the form was sent by another site.
	problemForeign signin.Problem = "Foreign"
	// problemRequest: the request cannot be read.
	problemRequest signin.Problem = "Request"
	// problemTooMany: there were too many failures from one address.
	problemTooMany signin.Problem = "TooMany"
	// problemBusy: too many others are looking at lists.
	problemBusy signin.Problem = "Busy"
	// problemTooLarge: the request is too large.
	problemTooLarge signin.Problem = "TooLarge"
	// problemMethod: the page is not there for this method.
	problemMethod signin.Problem = "Method"
	// problemInternal: anything else.
	problemInternal signin.Problem = "Internal"
)

// statuses are the HTTP status codes of problems.
var statuses = map[signin.Problem]int{
	signin.LinkInvalid:        http.StatusNotFound,
	signin.LinkUsed:           http.StatusGone,
	signin.LinkExpired:        http.StatusGone,
	signin.StartRefused:       http.StatusBadRequest,
	signin.VisitUnknown:       http.StatusForbidden,
	signin.VisitUsed:          http.StatusConflict,
	signin.VisitExpired:       http.StatusGone,
	signin.IssuerMismatch:     http.StatusForbidden,
	signin.ConsentDenied:      http.StatusForbidden,
	signin.CodeRefused:        http.StatusBadGateway,
	signin.AccountUnnamed:     http.StatusConflict,
	signin.WrongAccount:       http.StatusConflict,
	signin.ApplicationRefused: http.StatusBadGateway,
	signin.AccountUnready:     http.StatusConflict,
	signin.MarketplaceDown:    http.StatusServiceUnavailable,
	signin.ClusterDown:        http.StatusServiceUnavailable,
	signin.NotStored:          http.StatusServiceUnavailable,
	problemShown:              http.StatusNotFound,
	problemNotFound:           http.StatusNotFound,
	problemForbidden:          http.StatusForbidden,
	problemForm:               http.StatusForbidden,
	problemForeign:            http.StatusForbidden,
	problemRequest:            http.StatusBadRequest,
	problemTooMany:            http.StatusTooManyRequests,
	problemBusy:               http.StatusServiceUnavailable,
	problemTooLarge:           http.StatusRequestEntityTooLarge,
	problemMethod:             http.StatusMethodNotAllowed,
	problemInternal:           http.StatusInternalServerError,
}

// limitedError is too many failures from one address.
type limitedError struct{ wait time.Duration }

func (e *limitedError) Error() string { return "too many failures from one address" }

// busyError is too many lists at once.
type busyError struct{ wait time.Duration }

func (e *busyError) Error() string { return "too many lists at once" }

// clusterError is an API server that does not do what it is asked.
type clusterError struct {
	doing string
	err   error
}

func (e *clusterError) Error() string { return e.doing + ": " + e.kind() }

func (e *clusterError) Unwrap() error { return e.err }

// kind is what may be said of the error: its text may quote what was sent.
func (e *clusterError) kind() string { return kindOf(e.err) }

// kindOf is what may be said of an error of the API server.
func kindOf(err error) string {
	switch reason := apierrors.ReasonForError(err); {
	case reason != metav1.StatusReasonUnknown:
		return string(reason)
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	}
	return "no answer"
}

// retryAfter are the whole seconds after which to try again; empty where nobody knows.
func retryAfter(err error) string {
	var wait time.Duration
	if limited, isLimited := errors.AsType[*limitedError](err); isLimited {
		wait = limited.wait
	} else if busy, isBusy := errors.AsType[*busyError](err); isBusy {
		wait = busy.wait
	} else {
		return ""
	}
	return strconv.Itoa(int(math.Ceil(wait.Seconds())))
}

// problemPage is what is shown of a problem.
type problemPage struct {
	frame
	Says, Do string
	Facts    []fact
	Retry    string // a link to try again; empty when there is none
	Detail   string
}

// fail answers with the page that fits an error. It is the only place where errors become pages and log lines.
func (p *Portal) fail(w http.ResponseWriter, r *http.Request, err error) {
	if refusal, isSession := errors.AsType[sessionError](err); isSession {
		next := ""
		if r.Method == http.MethodGet {
			next = r.URL.RequestURI()
		}
		if err = p.askForToken(w, r, refusal, next); err == nil {
			return
		}
	}
	if errors.Is(err, context.Canceled) && errors.Is(r.Context().Err(), context.Canceled) {
		p.log.V(1).Info("The visitor has left")
		return // nobody reads an answer
	}
	seconds := retryAfter(err)
	if seconds != "" {
		w.Header().Set("Retry-After", seconds)
	}
	p.showProblem(w, r, p.diagnose(r, err), seconds, false)
}

// beginsAgain tells whether what cures a problem is another sign-in. The link of one from which the browser has returned is
// used up.
func beginsAgain(problem signin.Problem, returned bool) bool {
	switch problem {
	case signin.VisitExpired, signin.IssuerMismatch, signin.ConsentDenied, signin.CodeRefused, signin.WrongAccount:
		return true
	case signin.MarketplaceDown, signin.ClusterDown:
		return returned
	}
	return false
}

// showProblem says what happened, and so what to do.
func (p *Portal) showProblem(w http.ResponseWriter, r *http.Request, e *signin.Error, seconds string, returned bool) {
	t := p.speech.to(r)
	words := t.Problems[e.Problem]
	filled := func(text string) string {
		return fill(t.at(e.Account.Marketplace, text), "expected", e.Account.ExpectedID, "got", e.GotID, "seconds", seconds)
	}
	page := problemPage{
		frame: p.frame(r, filled(words.Title)), Says: filled(words.Says), Do: filled(words.Do), Detail: e.Detail,
	}
	if e.Ticket == "" && beginsAgain(e.Problem, returned) {
		page.Do += " " + t.BeginAgain
	}
	if e.Account.Name != "" {
		page.Facts = accountFacts(t, e.Account)
		if e.Ticket != "" {
			page.Retry = signin.LinkPath(e.Account.Namespace, e.Account.Name, e.Ticket)
		}
	}
	p.render(w, statuses[e.Problem], "problem", page)
}

// diagnose turns any error into a problem, and logs it. Of an error that nobody foresaw the log takes no more than its
// kind, since its text may quote a URL or a credential.
func (p *Portal) diagnose(r *http.Request, err error) *signin.Error {
	log := p.log
	if account, err := accountOf(r); err == nil { // the path is of one
		log = log.WithValues("namespace", account.Namespace, "name", account.Name)
	}
	if e, isSignIn := errors.AsType[*signin.Error](err); isSignIn && statuses[e.Problem] != 0 {
		if e.Problem != signin.ClusterDown && e.Problem != signin.NotStored {
			p.logProblem(e)
			return e
		}
		if e.Account.Name != "" {
			log = p.log.WithValues("namespace", e.Account.Namespace, "name", e.Account.Name)
		}
		log.Error(errors.New(string(e.Problem)), "The API server did not do as it was asked", "answer", kindOf(err))
		return e
	}
	switch tooLarge, isTooLarge := errors.AsType[*http.MaxBytesError](err); {
	case isTooLarge:
		return &signin.Error{Problem: problemTooLarge, Detail: fmt.Sprintf("more than %d bytes", tooLarge.Limit)}
	case isLimited(err):
		return &signin.Error{Problem: problemTooMany}
	case isBusy(err):
		log.Error(errors.New(string(problemBusy)), "Too many lists are asked for at once")
		return &signin.Error{Problem: problemBusy}
	}
	if cluster, isCluster := errors.AsType[*clusterError](err); isCluster {
		log.Error(errors.New(string(signin.ClusterDown)), "The API server did not do as it was asked", "request", cluster.doing, "answer", cluster.kind())
		return &signin.Error{Problem: signin.ClusterDown, Detail: cluster.kind()}
	}
	p.log.Error(errors.New(string(problemInternal)), "A page failed", "kind", fmt.Sprintf("%T", innermost(err)))
	return &signin.Error{Problem: problemInternal}
}

// logProblem logs what an admin may want to know of, and not every guess.
func (p *Portal) logProblem(e *signin.Error) {
	log := p.log.V(1)
	if e.Account.Name != "" {
		log = p.log
	}
	log.Info("Request refused", "problem", e.Problem, "namespace", e.Account.Namespace, "name", e.Account.Name)
}

func isLimited(err error) bool {
	_, limited := errors.AsType[*limitedError](err)
	return limited
}

func isBusy(err error) bool {
	_, busy := errors.AsType[*busyError](err)
	return busy
}

func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}
