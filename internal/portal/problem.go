package portal

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/portal/visitor"
	"github.com/tokenkeeper/tokenkeeper/internal/portal/words"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// Problems of the pages themselves, beside the ones of a sign-in.
const (
	// problemShown: the result of a sign-in is not there any more.
	problemShown signin.Problem = "Shown"
	// problemNotFound: there is no such page.
	problemNotFound signin.Problem = "NotFound"
	// problemForbidden: the visitor's RBAC does not allow it, or there is no such account; they are not told the difference.
	problemForbidden signin.Problem = "Forbidden"
	// problemForm: the form is not one that this session was given.
	problemForm signin.Problem = "Form"
	// problemForeign: the form was sent by another site.
	problemForeign signin.Problem = "Foreign"
	// problemRequest: the request cannot be read.
	problemRequest signin.Problem = "Request"
	// problemTooMany: there were too many failures from one address.
	problemTooMany signin.Problem = "TooMany"
	// problemBusy: too many visitors are looking at lists.
	problemBusy signin.Problem = "Busy"
	// problemTooLarge: the request is too large.
	problemTooLarge signin.Problem = "TooLarge"
	// problemHeaders: the headers of the request are too large, as with many cookies of other sites of the domain.
	problemHeaders signin.Problem = "Headers"
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
	problemHeaders:            http.StatusRequestHeaderFieldsTooLarge,
	problemMethod:             http.StatusMethodNotAllowed,
	problemInternal:           http.StatusInternalServerError,
}

// retryAfter are the whole seconds after which to try again; empty where the error does not tell.
func retryAfter(err error) string {
	var wait time.Duration
	if limited, isLimited := errors.AsType[*visitor.LimitedError](err); isLimited {
		wait = limited.Wait
	} else if busy, isBusy := errors.AsType[*visitor.BusyError](err); isBusy {
		wait = busy.Wait
	} else {
		return ""
	}
	return strconv.Itoa(int(math.Ceil(wait.Seconds())))
}

// problemPage is the page of a problem.
type problemPage struct {
	frame
	Says, Do string
	Facts    []fact
	Retry    string // a link to try again; empty when there is none
	Detail   string
}

// fail answers with the page that fits an error. It is the only place where errors become pages and log lines.
func (p *Portal) fail(w http.ResponseWriter, r *http.Request, err error) {
	if refusal, isSession := errors.AsType[visitor.Refusal](err); isSession {
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
		return // no browser reads an answer
	}
	seconds := retryAfter(err)
	if seconds != "" {
		w.Header().Set("Retry-After", seconds)
	}
	p.showProblem(w, r, p.diagnose(r, err), seconds, false)
}

// beginsAgain tells whether another sign-in is the cure of a problem. Once the browser has returned from the marketplace, the
// link is used up.
func beginsAgain(problem signin.Problem, returned bool) bool {
	switch problem {
	case signin.VisitExpired, signin.IssuerMismatch, signin.ConsentDenied, signin.CodeRefused, signin.WrongAccount:
		return true
	case signin.MarketplaceDown, signin.ClusterDown:
		return returned
	}
	return false
}

// showProblem shows the page of a problem, with its cause and the way to go on.
func (p *Portal) showProblem(w http.ResponseWriter, r *http.Request, e *signin.Error, seconds string, returned bool) {
	t := p.texts(r)
	told := t.Problems[e.Problem]
	filled := func(text string) string {
		return words.Fill(t.At(e.Account.Marketplace, text), "expected", e.Account.ExpectedID, "got", e.GotID, "seconds", seconds)
	}
	page := problemPage{
		frame: p.frame(r, filled(told.Title)), Says: filled(told.Says), Do: filled(told.Do), Detail: e.Detail,
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

// diagnose turns any error into a problem, and logs it. Of an unforeseen error the log takes no more than its kind, since its
// text may quote a URL or a credential.
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
		log.Error(errors.New(string(e.Problem)), "The API server did not do as it was asked", "answer", visitor.KindOf(err))
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
	if cluster, isCluster := errors.AsType[*visitor.ClusterError](err); isCluster {
		log.Error(errors.New(string(signin.ClusterDown)), "The API server did not do as it was asked", "request", cluster.Doing, "answer", visitor.KindOf(cluster.Err))
		return &signin.Error{Problem: signin.ClusterDown, Detail: visitor.KindOf(cluster.Err)}
	}
	p.log.Error(errors.New(string(problemInternal)), "A page failed", "kind", fmt.Sprintf("%T", innermost(err)))
	return &signin.Error{Problem: problemInternal}
}

// logProblem logs the problem of an account, which an admin may want to know of. Problems without an account, such as guessed
// links, are for debugging alone.
func (p *Portal) logProblem(e *signin.Error) {
	log := p.log.V(1)
	if e.Account.Name != "" {
		log = p.log
	}
	log.Info("Request refused", "problem", e.Problem, "namespace", e.Account.Namespace, "name", e.Account.Name)
}

func isLimited(err error) bool {
	_, limited := errors.AsType[*visitor.LimitedError](err)
	return limited
}

func isBusy(err error) bool {
	_, busy := errors.AsType[*visitor.BusyError](err)
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
