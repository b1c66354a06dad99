package controller

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/grant"
	"github.com/tokenkeeper/tokenkeeper/internal/grantstore"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

// returned is a browser that has come back, and the visit that it belongs to.
type returned struct {
	*found
	key      types.NamespacedName
	state    string
	cookie   string
	visit    custody.Visit
	callback marketplace.Callback
	// marketplace is the name of the callback that the browser came to.
	marketplace string
	// answer is what a browser that comes again waits for, and end gives it.
	answer *answering
	end    func(ctx context.Context, outcome signin.Outcome, err error) (signin.Outcome, error)
	// claim is what the visit says once it is taken care of here.
	claim string
	// unverified tells that the issuer's keys could not be had.
	unverified bool
}

// Complete takes what a marketplace sent a browser back with: it exchanges the code at once, stores what that brings, and
// tells whose account was signed in. A browser that brings the same answer again is told the same. cookie returns one of the
// browser's cookies.
func (v *Visits) Complete(ctx context.Context, marketplaceName string, query url.Values, cookie func(name string) string) (signin.Outcome, error) {
	b := &returned{marketplace: marketplaceName}
	if states := query["state"]; len(states) == 1 {
		b.state = states[0]
	}
	var ok bool
	if b.key, b.cookie, ok = splitCookie(cookie(signin.CookieName(b.state))); !ok || b.state == "" {
		return signin.Outcome{}, &signin.Error{Problem: signin.VisitUnknown}
	}
	// The hash of the cookie as well, so that only the browser of the visit is told what becomes of it.
	key := signin.Hash(b.state + b.cookie)
	answer, first := v.answers.join(key)
	if !first {
		return answer.wait(ctx)
	}
	b.answer = answer
	b.end = func(ctx context.Context, outcome signin.Outcome, err error) (signin.Outcome, error) {
		if isUsed(err) {
			outcome, err = v.former(ctx, b)
		}
		v.answers.leave(key)
		answer.give(outcome, err)
		return outcome, err
	}
	return v.complete(ctx, b, query)
}

// complete does what an answer asks for, and ends the visit's answer with the result, later where it takes long to store.
func (v *Visits) complete(ctx context.Context, b *returned, query url.Values) (signin.Outcome, error) {
	if err := v.find(ctx, b); err != nil {
		return b.end(ctx, signin.Outcome{}, err)
	}
	// From here on the person's closing of the page, or a shutdown, does not end it: the code is good for one use.
	done, ok := v.grants.Spend()
	if !ok {
		return b.end(ctx, signin.Outcome{}, &signin.Error{Problem: signin.ClusterDown})
	}
	defer done()
	ctx = context.WithoutCancel(ctx)
	if err := v.claim(ctx, b); err != nil {
		return b.end(ctx, signin.Outcome{}, err)
	}
	got, failure := v.exchange(ctx, b, query)
	if failure != nil {
		return b.end(ctx, signin.Outcome{}, v.refuse(ctx, b, failure))
	}
	return v.keep(ctx, b, got)
}

// claim makes the visit ours before the code is sent anywhere, so that a reload, or an ingress that asks another replica
// as well, does not send it twice. An API server that is away does not hold up the code for long: then the claim is made
// when the result is stored.
func (v *Visits) claim(ctx context.Context, b *returned) error {
	var err error
	if b.claim, err = signin.NewSecret(v.r.Random); err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, timeouts.ClaimVisit)
	defer cancel()
	var problem *signin.Error
	grantstore.RetryUntil(waiting, func(ctx context.Context) (done bool) {
		s, err := v.open(ctx, &found{Facts: b.Facts})
		if err == nil {
			custody := s.found.Custody
			if !b.use(&custody) {
				problem = &signin.Error{Problem: signin.VisitUsed}
				return true
			}
			err = s.write(ctx, custody)
		}
		final, _ := errors.AsType[*signin.Error](err)
		problem = final
		return err == nil || final != nil
	})
	if problem != nil {
		return problem
	}
	return nil
}

// find finds the visit that a state and a cookie belong to. It waits for an API server that is away about as long as a code
// lives.
func (v *Visits) find(ctx context.Context, b *returned) error {
	waiting, cancel := context.WithTimeout(ctx, timeouts.FindVisit)
	defer cancel()
	var found error
	grantstore.RetryUntil(waiting, func(ctx context.Context) (done bool) {
		found = v.findNow(ctx, b)
		return !isDown(found)
	})
	return found
}

func (v *Visits) findNow(ctx context.Context, b *returned) error {
	account, err := v.account(ctx, b.key)
	if err != nil {
		return err
	}
	if account == nil {
		return &signin.Error{Problem: signin.VisitUnknown}
	}
	// The visit may have begun at another replica just now, so what the cache does not know is looked up.
	visit, err := v.visit(ctx, b, account, v.cached)
	if visit == nil && err == nil && account.Spec.Grant.Type == v1alpha1.GrantAuthorizationCode && v.returns.AllowN(v.r.Clock.Now(), 1) {
		visit, err = v.visit(ctx, b, account, v.live)
	}
	switch {
	case err != nil:
		return err
	case visit == nil:
		return &signin.Error{Problem: signin.VisitUnknown}
	}
	if b.found, err = v.look(ctx, b.key); err != nil {
		return err
	}
	b.visit, b.RetryTicket = *visit, signin.Again(b.cookie)
	if b.visit.ClientID != b.Request.Application.ClientID {
		return &signin.Error{Problem: signin.AccountUnready, Account: b.SignInAccount(), Detail: "another application was put into the Secret during the sign-in"}
	}
	if b.visit.Server != "" && b.visit.Server != b.Request.Platform.Server() {
		return v.refuse(ctx, b, &signin.Error{Problem: signin.AccountUnready, Account: b.SignInAccount(),
			Detail: "the account was given another address of the marketplace during the sign-in"})
	}
	if !b.Now.Before(b.visit.ExpiresAt) {
		return v.refuse(ctx, b, &signin.Error{Problem: signin.VisitExpired, Account: b.SignInAccount()})
	}
	return nil
}

// visit looks for the visit of a state in a custody. Everything that the visit is bound to must agree.
func (v *Visits) visit(
	ctx context.Context, b *returned, account *v1alpha1.MarketplaceAccount,
	read func(context.Context, *v1alpha1.MarketplaceAccount) (custody.Custody, error),
) (*custody.Visit, error) {
	kept, err := read(ctx, account)
	if err != nil {
		return nil, clusterDown(err)
	}
	visit := b.visitIn(kept, account)
	if visit != nil && visit.Used {
		return nil, &signin.Error{Problem: signin.VisitUsed}
	}
	return visit, nil
}

// visitIn is the visit of the browser and its state in a custody; nil when it is not there.
func (b *returned) visitIn(kept custody.Custody, account *v1alpha1.MarketplaceAccount) *custody.Visit {
	for _, visit := range kept.SignIn.Visits {
		state, cookie := signin.Matches(visit.State, b.state), signin.Matches(visit.Cookie, b.cookie)
		if state && cookie && visit.Account == account.UID && visit.Marketplace == b.marketplace {
			return &visit
		}
	}
	return nil
}

// exchange reads the callback and exchanges its code. Its error is a *signin.Error or the marketplace's.
func (v *Visits) exchange(ctx context.Context, b *returned, query url.Values) (lifecycle.Issued, error) {
	platform := b.Request.Platform
	err := platform.CheckSignature(query, b.Request.Application.ClientSecret, b.Request.Application.PreviousSecret)
	if err == nil {
		b.callback, err = platform.Callback(query)
	}
	if err != nil {
		return lifecycle.Issued{}, &signin.Error{Problem: signin.CodeRefused, Account: b.SignInAccount(), Detail: err.Error()}
	}
	if err := v.checkIssuer(ctx, b); err != nil {
		return lifecycle.Issued{}, err
	}
	switch {
	case b.callback.Error != "":
		return lifecycle.Issued{}, grant.CallbackError(b.callback.Error, b.callback.ErrorDescription, b.state, b.visit.Verifier)
	case b.callback.Code == "":
		return lifecycle.Issued{}, &signin.Error{Problem: signin.CodeRefused, Account: b.SignInAccount(), Detail: "the marketplace sent no code"}
	}
	if told := b.callback.AccountID; told != "" {
		b.Request.Platform = platform.ForAccount(b.Request.Application.ClientID, told)
	}
	endpoint, err := v.r.endpoint(ctx, b.Request, v1alpha1.GrantAuthorizationCode)
	if err != nil {
		return lifecycle.Issued{}, err
	}
	v.r.Limiters.Count(v.r.limiterOf(b.Request))
	got, err := v.r.exchange(b.Facts, endpoint, func(endpoint grant.Endpoint) (answer.Tokens, error) {
		return endpoint.AuthorizationCode(ctx, b.callback.Code, b.visit.RedirectURI, b.visit.Verifier)
	})
	if err != nil {
		return lifecycle.Issued{}, err
	}
	got.Published = joined(b.callback.Published, got.Published)
	if b.unverified, err = v.r.vet(ctx, b.Request, got, b.visit.Nonce); err != nil {
		return lifecycle.Issued{}, err
	}
	told := b.callback.AccountID
	switch {
	case got.Account.ID == "" && told != "":
		got.Account = custody.Account{ID: told, By: "callback", Login: got.Login}
	case told != "" && told != got.Account.ID:
		return lifecycle.Issued{}, &signin.Error{Problem: signin.CodeRefused, Account: b.SignInAccount(), Detail: "the callback names another account than the tokens"}
	}
	return got, nil
}

// joined is what a callback and an answer bring to be published; the answer counts where both do.
func joined(callback, answer map[string]string) map[string]string {
	all := maps.Clone(callback)
	if all == nil {
		return answer
	}
	maps.Copy(all, answer)
	return all
}

// checkIssuer refuses an answer of another issuer than the one that was asked (RFC 9207 section 2.4).
func (v *Visits) checkIssuer(ctx context.Context, b *returned) error {
	issuer, told := b.Request.Platform.Issuer, b.callback.Issuer
	if issuer == "" || told == issuer {
		return nil
	}
	if told == "" {
		discovered, err := v.r.Providers.Discover(ctx, issuer)
		if err != nil || !discovered.IssuerParameter {
			return err
		}
	}
	return &signin.Error{Problem: signin.IssuerMismatch, Account: b.SignInAccount()}
}

// use marks the visit as used by us, so that its state is good for nothing any more; false when somebody else was quicker.
func (b *returned) use(kept *custody.Custody) bool {
	kept.SignIn = kept.SignIn.Clone()
	at := slices.IndexFunc(kept.SignIn.Visits, func(visit custody.Visit) bool {
		return visit.State == b.visit.State && (!visit.Used || visit.Claim == b.claim)
	})
	if at < 0 {
		return false
	}
	visit := &kept.SignIn.Visits[at]
	visit.Used, visit.Claim, visit.Verifier, visit.Nonce, visit.Problem = true, b.claim, "", "", ""
	return true
}

// refuse records why a visit brought nothing, and lets the browser try again where that can help.
func (v *Visits) refuse(ctx context.Context, b *returned, failure error) error {
	why, problem := b.why(failure)
	err := v.write(ctx, b.found, func(s *store) error {
		custody := s.found.Custody
		if !b.use(&custody) {
			return &signin.Error{Problem: signin.VisitUsed}
		}
		visit := &custody.SignIn.Visits[b.at(custody)]
		visit.Problem, visit.Detail = string(problem.Problem), problem.Detail
		custody.SignIn.Refused = s.signInRefusal(&custody, why)
		if mayTryAgain(problem.Problem) {
			s.again(&custody)
			problem.Ticket = b.RetryTicket
		}
		return s.write(ctx, custody)
	})
	if isUsed(err) {
		return err // what became of it at another replica counts
	}
	if err != nil {
		logf.FromContext(ctx).Info("Recording a sign-in that brought nothing", "reason", err.Error())
		problem.Ticket = ""
	}
	return problem
}

// why is a failure in words for the account's status, and for the person.
func (b *returned) why(failure error) (lifecycle.Failure, *signin.Error) {
	why := lifecycle.Failure{Reason: v1alpha1.ReasonSignInRequired, Message: "The last sign-in was not completed"}
	if problem, ok := errors.AsType[*signin.Error](failure); ok {
		if problem.Detail != "" {
			why.Message += ": " + problem.Detail
		}
		return why, problem
	}
	problem := b.problem(failure)
	said, passes := lifecycle.FailureOf(b.Facts, failure)
	switch problem.Problem {
	case signin.ConsentDenied:
		why = lifecycle.Declined(b.Facts)
	case signin.ApplicationRefused:
		why = said
	default:
		why.Message = said.Message
		if !passes {
			why.Message = fmt.Sprintf("%s did not take the code of the last sign-in (%s)", b.Request.Platform.DisplayName, problem.Detail)
		}
	}
	return why, problem
}

// mayTryAgain tells whether the same person can do better at once. What an admin has to mend, they cannot.
func mayTryAgain(problem signin.Problem) bool {
	switch problem {
	case signin.ApplicationRefused, signin.AccountUnready, signin.AccountUnnamed:
		return false
	}
	return true
}

// again lets a browser that has just proved to be the visit's begin another.
func (s *store) again(kept *custody.Custody) {
	if ticket := s.found.RetryTicket; lifecycle.TicketIn(*kept, ticket) < 0 {
		kept.SignIn = kept.SignIn.WithTicket(custody.Ticket{Hash: signin.Hash(ticket), ExpiresAt: s.found.Now.Add(signin.VisitLife)}, s.found.Now)
	}
}

// keep stores what a sign-in has brought. The person is told when it is stored, or that it takes longer; it is tried on
// then.
func (v *Visits) keep(ctx context.Context, b *returned, got lifecycle.Issued) (signin.Outcome, error) {
	b.answer.storing(b.SignInAccount())
	v.storing.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, timeouts.StoreResult)
		defer cancel()
		outcome, err := v.store(ctx, b, got)
		_, _ = b.end(ctx, outcome, err) // whoever waits for it is told
	})
	return b.answer.wait(ctx)
}

func (v *Visits) store(ctx context.Context, b *returned, got lifecycle.Issued) (signin.Outcome, error) {
	var s *store
	var failure error
	grantstore.RetryUntil(ctx, func(ctx context.Context) (done bool) {
		s, failure = v.storeNow(ctx, b, got)
		_, final := errors.AsType[*signin.Error](failure)
		return failure == nil || final
	})
	if problem, ok := errors.AsType[*signin.Error](failure); ok {
		return signin.Outcome{}, problem
	}
	if failure != nil {
		logf.FromContext(ctx).Info("Giving up to store a sign-in", "namespace", b.key.Namespace, "name", b.key.Name, "reason", failure.Error())
		return signin.Outcome{}, &signin.Error{Problem: signin.NotStored, Account: b.SignInAccount()}
	}
	f := s.found
	if !f.Rejected && !b.unverified && f.NewerCustody() == nil {
		if err := v.identify(ctx, f, s); err != nil { // the leader's controller learns it too
			logf.FromContext(ctx).Info("Learning whose the new grant is", "reason", err.Error())
		}
	}
	switch {
	case f.Dropped != nil:
		return signin.Outcome{}, &signin.Error{Problem: signin.ApplicationRefused, Account: f.SignInAccount(), Detail: f.Dropped.Message}
	case f.Rejected:
		return signin.Outcome{}, f.notOf(f.SignedInAs)
	}
	return f.signInOutcome(f.CandidateGrant() != nil), nil
}

// notOf is what a person is told who has signed in as another seller than the expected one; empty where nobody knows as which.
func (f *found) notOf(seller string) error {
	if seller == "" {
		return &signin.Error{Problem: signin.AccountUnnamed, Account: f.SignInAccount()}
	}
	return &signin.Error{Problem: signin.WrongAccount, Account: f.SignInAccount(), GotID: seller, Ticket: f.RetryTicket}
}

// signInOutcome is what a person is told whose sign-in is in use, or is unconfirmed.
func (f *found) signInOutcome(unconfirmed bool) signin.Outcome {
	outcome := signin.Outcome{Account: f.SignInAccount(), Unconfirmed: unconfirmed}
	if unconfirmed {
		return outcome
	}
	outcome.ID, outcome.SeenLogin, outcome.MissingScopes = f.Custody.Account.ID, f.Custody.Account.Login, f.look().MissingScopes()
	return outcome
}

// identify learns whose the new grant is, again where the leader's controller has written something else meanwhile. A candidate waits
// until somebody accepts it.
func (v *Visits) identify(ctx context.Context, f *found, s *store) error {
	again := func(err error) bool { return apierrors.IsConflict(err) && f.CandidateGrant() == nil }
	return grantstore.RetryOn(again, func() (err error) {
		if s == nil {
			if s, err = v.open(ctx, f); err != nil {
				return err
			}
		}
		err = v.r.identify(ctx, f, s)
		s = nil
		return err
	})
}

// storeNow stores on top of what is there now.
func (v *Visits) storeNow(ctx context.Context, b *returned, got lifecycle.Issued) (*store, error) {
	f := &found{Facts: b.Facts, inHand: true}
	s, err := v.open(ctx, f)
	if err != nil {
		return nil, err
	}
	if b.stored(f.Custody) { // a write was done whose answer got lost
		return s, nil
	}
	if !b.use(&f.Custody) && f.NewerCustody() == nil {
		return nil, &signin.Error{Problem: signin.VisitUsed}
	}
	if at := b.at(f.Custody); at >= 0 {
		f.Custody.SignIn.Visits[at].Consent = f.Custody.Consents + 1
	}
	return s, s.consented(ctx, got, b.visit.Asked, b.unverified)
}

// at finds the visit that is taken care of here.
func (b *returned) at(kept custody.Custody) int {
	return slices.IndexFunc(kept.SignIn.Visits, func(visit custody.Visit) bool { return visit.State == b.visit.State && visit.Claim == b.claim })
}

// stored tells whether what this visit brought is in use, or waits to be, or was already followed by another.
func (b *returned) stored(kept custody.Custody) bool {
	at := b.at(kept)
	if at < 0 {
		return false
	}
	consent, waits := kept.SignIn.Visits[at].Consent, kept.Candidate
	return consent > 0 && (kept.Accepted >= consent || waits != nil && waits.Consent == consent)
}

// isDown tells that the API server did not answer.
func isDown(err error) bool { return isProblem(err, signin.ClusterDown) }

// isUsed tells that the visit has been taken care of before.
func isUsed(err error) bool { return isProblem(err, signin.VisitUsed) }

func isProblem(err error, what signin.Problem) bool {
	problem, ok := errors.AsType[*signin.Error](err)
	return ok && problem.Problem == what
}
