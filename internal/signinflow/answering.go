package signinflow

import (
	"context"
	"sync"

	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/driver"
	"github.com/tokenkeeper/tokenkeeper/internal/grantstore"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle/visits"
	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

// Browsers bring one answer of a marketplace more than once: by a reload, a second click, or an ingress that asks another
// replica as well. They show the last page that they get, so each of them has to be told the outcome.

// answering is an answer of a marketplace that is being taken care of.
type answering struct {
	// stores is closed when the marketplace has given tokens for account, done when outcome and err are known.
	stores, done chan struct{}
	account      signin.Account
	outcome      signin.Outcome
	err          error
}

// answers are the marketplaces' answers that are being taken care of, by the hash of state and cookie of their visit. They may be used by
// many goroutines at once.
type answers struct {
	mu     sync.Mutex // guards visits
	visits map[string]*answering
}

// join returns the answer of a visit; first tells that it is this browser's to take care of, until leave.
func (a *answers) join(visit string) (answer *answering, first bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if other, twice := a.visits[visit]; twice {
		return other, false
	}
	if a.visits == nil {
		a.visits = map[string]*answering{}
	}
	answer = &answering{stores: make(chan struct{}), done: make(chan struct{})}
	a.visits[visit] = answer
	return answer, true
}

func (a *answers) leave(visit string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.visits, visit)
}

// storing tells that the marketplace has given tokens for an account, which are being stored.
func (a *answering) storing(account signin.Account) {
	a.account = account
	close(a.stores)
}

func (a *answering) give(outcome signin.Outcome, err error) {
	a.outcome, a.err = outcome, err
	close(a.done)
}

// wait returns the outcome. From when the tokens are being stored, a browser waits for timeouts.ShowResult.
func (a *answering) wait(ctx context.Context) (signin.Outcome, error) {
	select {
	case <-a.done:
		return a.outcome, a.err
	case <-ctx.Done():
		return signin.Outcome{}, &signin.Error{Problem: signin.VisitUsed}
	case <-a.stores:
	}
	patient, cancel := context.WithTimeout(ctx, timeouts.ShowResult)
	defer cancel()
	select {
	case <-a.done:
		return a.outcome, a.err
	case <-patient.Done():
		return signin.Outcome{}, &signin.Error{Problem: signin.NotStored, Account: a.account}
	}
}

// unsettledLooks is how often an outcome is looked at that may still become a better one, which takes about three seconds.
const unsettledLooks = 8

// former tells the outcome of a visit whose browser has come back before, here or at another replica. It waits for the
// outcome as long as for the one of a sign-in.
func (v *Visits) former(ctx context.Context, b *returned) (signin.Outcome, error) {
	waiting, cancel := context.WithTimeout(ctx, timeouts.ShowResult)
	defer cancel()
	var outcome signin.Outcome
	var err error = &signin.Error{Problem: signin.VisitUsed}
	looks := 0
	grantstore.RetryUntil(waiting, func(ctx context.Context) (done bool) {
		if !v.returns.AllowN(v.driver.Clock.Now(), 1) {
			return false
		}
		var settled bool
		outcome, settled, err = v.formerNow(ctx, b)
		looks++
		return settled || err == nil && looks >= unsettledLooks
	})
	return outcome, err
}

// formerNow looks once. settled tells that the outcome stays as it is.
func (v *Visits) formerNow(ctx context.Context, b *returned) (outcome signin.Outcome, settled bool, err error) {
	account, err := v.account(ctx, b.key)
	if err != nil {
		return outcome, false, err
	}
	if account == nil {
		return outcome, true, &signin.Error{Problem: signin.VisitUnknown}
	}
	kept, err := v.live(ctx, account)
	if err != nil {
		return outcome, false, clusterDown(err)
	}
	visit := b.browser.Visit(kept, account.UID)
	if visit == nil {
		return outcome, true, &signin.Error{Problem: signin.VisitUnknown}
	}
	l, _, err := v.driver.Resolve(ctx, v.driver.LookAt(account, v.grants).WithCustody(kept))
	if err != nil {
		return outcome, false, clusterDown(err)
	}
	if visit = b.browser.Visit(l.Custody, account.UID); visit == nil { // what is shown of it is checked by now
		return outcome, true, &signin.Error{Problem: signin.VisitUnknown}
	}
	if again := signin.Again(b.browser.Cookie); visits.TicketProblem(l.Custody, again, l.Now) == "" {
		l = l.ForBrowser(again)
	}
	return became(l, *visit)
}

// became is the outcome of a visit, as the custody has it.
func became(l driver.Look, visit custody.Visit) (outcome signin.Outcome, settled bool, err error) {
	waits, refused := l.Custody.Candidate, l.Custody.SignIn.Refused
	switch {
	case visit.Problem != "":
		return outcome, true, &signin.Error{
			Problem: signin.Problem(visit.Problem), Detail: visit.Detail, Account: l.SignInAccount(), Ticket: l.RetryTicket,
		}
	case visit.Consent == 0:
		return outcome, false, &signin.Error{Problem: signin.VisitUsed, Account: l.SignInAccount()}
	case waits != nil && waits.Consent == visit.Consent:
		return signInOutcome(l, true), false, nil
	case l.Custody.Accepted >= visit.Consent:
		return signInOutcome(l, false), l.Custody.Account.ID != "" || l.Unresolved || !l.CanIdentify(), nil
	case refused != nil && reasons.Of(refused.Reason).Subject == reasons.Seller:
		return outcome, true, notOf(l.Facts, refused.AccountID)
	case refused != nil:
		return outcome, true, &signin.Error{Problem: signin.ApplicationRefused, Account: l.SignInAccount(), Detail: refused.Message}
	}
	return outcome, true, &signin.Error{Problem: signin.VisitUsed, Account: l.SignInAccount()}
}
