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
	// problemForbidden: the visitor's RBAC does not allow it, or there is no such account; he is not told which.
	problemForbidden signin.Problem = "Forbidden"
	// problemForm: the form is not one that this session was given.
	problemForm signin.Problem = "Form"
	// problemForeign: the form was sent by another site.
	problemForeign signin.Problem = "Foreign"
	// problemRequest: the request cannot be read.
	problemRequest signin.Problem = "Request"
	// problemTooMany: there were too many failures from one address.
	problemTooMany signin.Problem = "TooMany"
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
	signin.VisitExpired:       http.StatusGone,
	signin.IssuerMismatch:     http.StatusForbidden,
	signin.ConsentDenied:      http.StatusForbidden,
	signin.CodeRefused:        http.StatusBadGateway,
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
	problemTooLarge:           http.StatusRequestEntityTooLarge,
	problemMethod:             http.StatusMethodNotAllowed,
	problemInternal:           http.StatusInternalServerError,
}

// limitedError is too many failures from one address.
type limitedError struct{ wait time.Duration }

func (e *limitedError) Error() string { return "too many failures from one address" }

// clusterError is an API server that does not do what it is asked.
type clusterError struct {
	doing string
	err   error
}

func (e *clusterError) Error() string { return e.doing + ": " + e.kind() }

func (e *clusterError) Unwrap() error { return e.err }

// kind is what may be said of the error: its text may quote what was sent.
func (e *clusterError) kind() string {
	switch reason := apierrors.ReasonForError(e.err); {
	case reason != metav1.StatusReasonUnknown:
		return string(reason)
	case errors.Is(e.err, context.DeadlineExceeded):
		return "no answer in time"
	}
	return "no answer"
}

// seconds are whole ones, for Retry-After.
func (e *limitedError) seconds() string {
	return strconv.Itoa(int(math.Ceil(e.wait.Seconds())))
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
	seconds := ""
	if limited, isLimited := errors.AsType[*limitedError](err); isLimited {
		seconds = limited.seconds()
		w.Header().Set("Retry-After", seconds)
	}
	p.showProblem(w, r, p.diagnose(err), seconds)
}

// showProblem says what happened, and so what to do.
func (p *Portal) showProblem(w http.ResponseWriter, r *http.Request, e *signin.Error, seconds string) {
	t := p.speech.to(r)
	words := t.Problems[e.Problem]
	filled := func(text string) string {
		return fill(t.at(e.Account.Marketplace, text), "expected", e.Account.ExpectedID, "got", e.GotID, "seconds", seconds)
	}
	page := problemPage{
		frame: p.frame(r, filled(words.Title)), Says: filled(words.Says), Do: filled(words.Do), Detail: e.Detail,
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
func (p *Portal) diagnose(err error) *signin.Error {
	if e, isSignIn := errors.AsType[*signin.Error](err); isSignIn && statuses[e.Problem] != 0 {
		p.logProblem(e)
		return e
	}
	switch tooLarge, isTooLarge := errors.AsType[*http.MaxBytesError](err); {
	case isTooLarge:
		return &signin.Error{Problem: problemTooLarge, Detail: fmt.Sprintf("more than %d bytes", tooLarge.Limit)}
	case isLimited(err):
		return &signin.Error{Problem: problemTooMany}
	}
	if cluster, isCluster := errors.AsType[*clusterError](err); isCluster {
		p.log.Error(errors.New(string(signin.ClusterDown)), "The API server did not do as it was asked", "request", cluster.doing, "answer", cluster.kind())
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

func innermost(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}
