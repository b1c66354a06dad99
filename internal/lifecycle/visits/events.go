package visits

import (
	"slices"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/failures"
	"github.com/tokenkeeper/tokenkeeper/internal/invitation"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// TicketProblem is why a ticket cannot be used up by the custody of its account; empty where it can.
func TicketProblem(kept custody.Custody, ticket string, now time.Time) signin.Problem {
	at := invitation.TicketIn(kept, ticket)
	switch {
	case at < 0:
		return signin.LinkInvalid
	case kept.SignIn.Tickets[at].Used:
		return signin.LinkUsed
	case !now.Before(kept.SignIn.Tickets[at].ExpiresAt):
		return signin.LinkExpired
	}
	return ""
}

// Begin is the change by which a visit uses a ticket up. problem is why it cannot begin; empty where it does. A visit that is in the custody has begun: its
// write was done, and the answer got lost.
func Begin(f facts.Facts, ticket string, visit custody.Visit) (change lifecycle.Change, problem signin.Problem) {
	kept := f.Custody
	if slices.ContainsFunc(kept.SignIn.Visits, func(held custody.Visit) bool { return held.State == visit.State }) {
		return lifecycle.Change{}, ""
	}
	if problem := TicketProblem(kept, ticket, f.Now); problem != "" {
		return lifecycle.Change{}, problem
	}
	kept.SignIn = kept.SignIn.Clone()
	kept.SignIn.Tickets[invitation.TicketIn(kept, ticket)].Used = true
	kept.SignIn = kept.SignIn.WithVisit(visit, f.Now)
	return lifecycle.Keep(kept), ""
}

// Claim is the change by which a callback makes the visit its own, before the code is sent anywhere; free is false where another callback was quicker.
func Claim(f facts.Facts, b Browser) (change lifecycle.Change, free bool) {
	kept, at := b.use(f.Custody)
	if at < 0 {
		return lifecycle.Change{}, false
	}
	return lifecycle.Keep(kept), true
}

// Complete is the change after a visit has brought tokens; free is false where another callback was quicker. Tokens that were stored before, in a write whose
// answer got lost, are not stored again. Beside a custody of a later version they are stored all the same.
func Complete(f facts.Facts, b Browser, got lifecycle.Consent) (change lifecycle.Change, free bool) {
	if b.isStored(f.Custody) {
		return lifecycle.StoredBefore(), true
	}
	kept, at := b.use(f.Custody)
	switch {
	case at >= 0:
		kept.SignIn.Visits[at].Consent = kept.Consents + 1
	case f.NewerCustody() == nil:
		return lifecycle.Change{}, false
	}
	f.Custody = kept
	return lifecycle.AfterConsent(f, got), true
}

// Fail is the change after a visit has brought no tokens; free is false where another callback was quicker. problem and detail are for the person, and why is
// for the account. The browser may begin again where that can help.
func Fail(f facts.Facts, b Browser, problem signin.Problem, detail string, why facts.Failure) (change lifecycle.Change, free bool) {
	kept, at := b.use(f.Custody)
	if at < 0 {
		return lifecycle.Change{}, false
	}
	kept.SignIn.Visits[at].Problem, kept.SignIn.Visits[at].Detail = string(problem), detail
	kept = lifecycle.WithSignInRefused(f, kept, why)
	if MayTryAgain(problem) {
		kept = lifecycle.WithRetryTicket(f, kept)
	}
	return lifecycle.Keep(kept), true
}

// MayTryAgain tells whether the same person can do better at once. Where an admin has to mend it, they cannot.
func MayTryAgain(problem signin.Problem) bool {
	switch problem {
	case signin.ApplicationRefused, signin.AccountUnready, signin.AccountUnnamed:
		return false
	}
	return true
}

// Leave is the change after a person has left visits by declining at the marketplace, which did not say of which. Nothing proves that the marketplace has sent
// the browser, so the visits are not used up: the account does not wait for them any longer, and an answer with a state of theirs still counts. again tells
// that the browser may begin again.
func Leave(f facts.Facts, left []Browser) (change lifecycle.Change, again bool) {
	kept := f.Custody
	kept.SignIn = kept.SignIn.Clone()
	changed := false
	for _, b := range left {
		if at := b.left(kept, f.Account.UID, f.Now); at >= 0 && kept.SignIn.Visits[at].Problem == "" {
			kept.SignIn.Visits[at].Problem, changed = string(signin.ConsentDenied), true
		}
	}
	if changed {
		kept = lifecycle.WithRetryTicket(f, lifecycle.WithSignInRefused(f, kept, failures.Declined(f)))
		change = lifecycle.Keep(kept)
	}
	return change, TicketProblem(kept, f.RetryTicket, f.Now) == ""
}
