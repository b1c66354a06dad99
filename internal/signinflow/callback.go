package signinflow

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/driver"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/failures"
	"github.com/tokenkeeper/tokenkeeper/internal/grant"
	"github.com/tokenkeeper/tokenkeeper/internal/grantstore"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle/visits"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

// returned is a browser that has come back, and the visit that it belongs to.
type returned struct {
	driver.Look
	key      types.NamespacedName
	browser  visits.Browser
	visit    custody.Visit
	callback marketplace.Callback
	// answer is the result that a browser that comes again waits for, and end gives it.
	answer *answering
	end    func(ctx context.Context, outcome signin.Outcome, err error) (signin.Outcome, error)
	// unverified tells that the issuer's keys could not be had.
	unverified bool
}

// Complete takes the answer that a marketplace sent a browser back with: it exchanges the code at once, stores the tokens, and
// names the account that was signed in. A browser that brings the same answer again is told the same. cookie returns one of the
// browser's cookies.
func (v *Visits) Complete(ctx context.Context, marketplaceName string, query url.Values, cookie func(name string) string) (signin.Outcome, error) {
	b := &returned{browser: visits.Browser{Marketplace: marketplaceName}}
	if states := query["state"]; len(states) == 1 {
		b.browser.State = states[0]
	}
	var ok bool
	if b.key, b.browser.Cookie, ok = splitCookie(cookie(signin.CookieName(b.browser.State))); !ok || b.browser.State == "" {
		return signin.Outcome{}, &signin.Error{Problem: signin.VisitUnknown}
	}
	// The hash of the cookie as well, so that only the browser of the visit is told its outcome.
	key := signin.Hash(b.browser.State + b.browser.Cookie)
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

// complete acts on an answer, and ends the visit's answer with the result, later where it takes long to store.
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
	if b.browser.Claim, err = signin.NewSecret(v.driver.Random); err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, timeouts.ClaimVisit)
	defer cancel()
	var problem *signin.Error
	grantstore.RetryUntil(waiting, func(ctx context.Context) (done bool) {
		l, err := v.open(ctx, b.Look, false)
		if err == nil {
			change, free := visits.Claim(l.Facts, b.browser)
			if !free {
				problem = &signin.Error{Problem: signin.VisitUsed}
				return true
			}
			_, err = v.driver.Apply(ctx, l, change)
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
	var err error
	grantstore.RetryUntil(waiting, func(ctx context.Context) (done bool) {
		err = v.findNow(ctx, b)
		return !isDown(err)
	})
	return err
}

func (v *Visits) findNow(ctx context.Context, b *returned) error {
	account, err := v.account(ctx, b.key)
	if err != nil {
		return err
	}
	if account == nil {
		return &signin.Error{Problem: signin.VisitUnknown}
	}
	// The visit may have begun at another replica just now, so one that the cache does not know is looked up.
	visit, err := v.visit(ctx, b, account, v.cached)
	if visit == nil && err == nil && account.Spec.Grant.Type == v1alpha1.GrantAuthorizationCode && v.returns.AllowN(v.driver.Clock.Now(), 1) {
		visit, err = v.visit(ctx, b, account, v.live)
	}
	switch {
	case err != nil:
		return err
	case visit == nil:
		return &signin.Error{Problem: signin.VisitUnknown}
	}
	l, err := v.look(ctx, b.key)
	if err != nil {
		return err
	}
	b.Look, b.visit = l.ForBrowser(signin.Again(b.browser.Cookie)), *visit
	if b.visit.ClientID != b.Request.Application.ClientID {
		return &signin.Error{Problem: signin.AccountUnready, Account: b.SignInAccount(), Detail: "another application was put into the Secret during the sign-in"}
	}
	if b.visit.Server != b.Request.Platform.Server() {
		return v.refuse(ctx, b, &signin.Error{Problem: signin.AccountUnready, Account: b.SignInAccount(),
			Detail: "the account was given another address of the marketplace during the sign-in"})
	}
	if !v.driver.VisitFits(b.Request, b.visit) {
		return &signin.Error{Problem: signin.VisitUnknown}
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
	visit := b.browser.Visit(kept, account.UID)
	if visit != nil && visit.Used {
		return nil, &signin.Error{Problem: signin.VisitUsed}
	}
	return visit, nil
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
		return lifecycle.Issued{}, grant.CallbackError(b.callback.Error, b.callback.ErrorDescription, b.browser.State, b.visit.Verifier)
	case b.callback.Code == "":
		return lifecycle.Issued{}, &signin.Error{Problem: signin.CodeRefused, Account: b.SignInAccount(), Detail: "the marketplace sent no code"}
	}
	if told := b.callback.AccountID; told != "" {
		b.Look = b.ForAccount(told)
	}
	endpoint, err := v.driver.OAuth.Endpoint(ctx, b.Request, v1alpha1.GrantAuthorizationCode)
	if err != nil {
		return lifecycle.Issued{}, err
	}
	got, err := v.driver.OAuth.CodeTokens(ctx, b.Facts, endpoint, b.callback.Code, b.visit.RedirectURI, b.visit.Verifier)
	if err != nil {
		return lifecycle.Issued{}, err
	}
	got.Published = joined(b.callback.Published, got.Published)
	if b.unverified, err = v.driver.OAuth.CheckIDToken(ctx, b.Request, got, b.visit.Asked, b.visit.Nonce); err != nil {
		return lifecycle.Issued{}, err
	}
	told := platform.AccountIDOf(b.callback.AccountID, b.Account.Spec.AccountID)
	switch {
	case got.Account.ID == "" && told != "":
		got.Account = custody.Account{ID: told, By: marketplace.ByCallback, Login: got.Login}
	case told != "" && told != got.Account.ID:
		return lifecycle.Issued{}, &signin.Error{Problem: signin.CodeRefused, Account: b.SignInAccount(), Detail: "the callback names another account than the tokens"}
	}
	return got, nil
}

// joined are the values that a callback and an answer bring to be published; the answer counts where both bring one.
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
		if named, err := v.driver.OAuth.AnswersNameIssuer(ctx, issuer); err != nil || !named {
			return err
		}
	}
	return &signin.Error{Problem: signin.IssuerMismatch, Account: b.SignInAccount()}
}

// refuse records why a visit brought nothing, and lets the browser try again where that can help.
func (v *Visits) refuse(ctx context.Context, b *returned, failure error) error {
	why, problem := b.why(failure)
	err := v.write(ctx, b.Look, func(l driver.Look) (driver.Look, error) {
		change, free := visits.Fail(l.Facts, b.browser, problem.Problem, problem.Detail, why)
		if !free {
			return l, &signin.Error{Problem: signin.VisitUsed}
		}
		if visits.MayTryAgain(problem.Problem) {
			problem.Ticket = b.RetryTicket
		}
		return v.driver.Apply(ctx, l, change)
	})
	if isUsed(err) {
		return err // the outcome at another replica counts
	}
	if err != nil {
		logf.FromContext(ctx).Info("Recording a sign-in that brought nothing", "reason", err.Error())
		problem.Ticket = ""
	}
	return problem
}

// why is a failure in words for the account's status, and for the person.
func (b *returned) why(failure error) (facts.Failure, *signin.Error) {
	why := facts.Failure{Reason: v1alpha1.ReasonSignInRequired, Message: fmt.Sprintf("The last sign-in at %s was not completed", b.SignInAccount().Marketplace)}
	if problem, ok := errors.AsType[*signin.Error](failure); ok {
		if problem.Detail != "" {
			why.Message += ": " + problem.Detail
		}
		return why, problem
	}
	problem := problemOf(b.Facts, failure)
	said, passes := failures.Of(b.Facts, failure)
	switch problem.Problem {
	case signin.ConsentDenied, signin.ApplicationRefused:
		why = said
	default:
		why.Message = said.Message
		if !passes {
			why.Message = fmt.Sprintf("%s did not take the code of the last sign-in (%s)", b.Request.Platform.DisplayName, problem.Detail)
		}
	}
	return why, problem
}

// keep stores the tokens of a sign-in. The person is told when they are stored, or that it takes longer; it is tried on
// then.
func (v *Visits) keep(ctx context.Context, b *returned, got lifecycle.Issued) (signin.Outcome, error) {
	b.answer.storing(b.SignInAccount())
	v.storing.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, timeouts.StoreResult)
		defer cancel()
		outcome, err := v.store(ctx, b, got)
		_, _ = b.end(ctx, outcome, err) // every browser that waits for it is told
	})
	return b.answer.wait(ctx)
}

func (v *Visits) store(ctx context.Context, b *returned, got lifecycle.Issued) (signin.Outcome, error) {
	var l driver.Look
	var failure error
	grantstore.RetryUntil(ctx, func(ctx context.Context) (done bool) {
		l, failure = v.storeNow(ctx, b, got)
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
	if !l.Rejected && !b.unverified && l.NewerCustody() == nil {
		var err error
		if l, err = v.acceptOrReject(ctx, l); err != nil { // the leader's controller learns it too
			logf.FromContext(ctx).Info("Learning whose the new grant is", "reason", err.Error())
		}
	}
	switch {
	case l.Dropped != nil:
		return signin.Outcome{}, &signin.Error{Problem: signin.ApplicationRefused, Account: l.SignInAccount(), Detail: l.Dropped.Message}
	case l.Rejected:
		return signin.Outcome{}, notOf(l.Facts, l.SignedInAs)
	}
	return signInOutcome(l, l.CandidateGrant() != nil), nil
}

// notOf is the error for a person who has signed in as another seller than the expected one; seller is empty where it was not named.
func notOf(f facts.Facts, seller string) error {
	if seller == "" {
		return &signin.Error{Problem: signin.AccountUnnamed, Account: f.SignInAccount()}
	}
	return &signin.Error{Problem: signin.WrongAccount, Account: f.SignInAccount(), GotID: seller, Ticket: f.RetryTicket}
}

// signInOutcome is the outcome for a person whose sign-in is in use, or is unconfirmed.
func signInOutcome(l driver.Look, unconfirmed bool) signin.Outcome {
	outcome := signin.Outcome{Account: l.SignInAccount(), Unconfirmed: unconfirmed}
	if unconfirmed {
		return outcome
	}
	outcome.ID, outcome.SeenLogin, outcome.MissingScopes = l.Custody.Account.ID, l.Custody.Account.Login, l.Report().MissingScopes()
	return outcome
}

// acceptOrReject identifies the account of a grant that a person has just given, and accepts or rejects the grant. Where the leader's controller has written
// meanwhile, it does so again; but a candidate is left to wait until it is accepted.
func (v *Visits) acceptOrReject(ctx context.Context, l driver.Look) (driver.Look, error) {
	again := func(err error) bool { return apierrors.IsConflict(err) && l.CandidateGrant() == nil }
	opened := true
	err := grantstore.RetryOn(again, func() (err error) {
		if !opened {
			if l, err = v.open(ctx, l, false); err != nil {
				return err
			}
		}
		opened = false
		l, err = v.driver.AcceptOrReject(ctx, l)
		return err
	})
	return l, err
}

// storeNow stores on top of the custody as it is now.
func (v *Visits) storeNow(ctx context.Context, b *returned, got lifecycle.Issued) (driver.Look, error) {
	l, err := v.open(ctx, b.Look, true)
	if err != nil {
		return l, err
	}
	change, free := visits.Complete(l.Facts, b.browser, lifecycle.Consent{Issued: got, Asked: b.visit.Asked, Unverified: b.unverified})
	if !free {
		return l, &signin.Error{Problem: signin.VisitUsed}
	}
	return v.driver.Apply(ctx, l, change)
}

// isDown tells that the API server did not answer.
func isDown(err error) bool { return isProblem(err, signin.ClusterDown) }

// isUsed tells that the visit has been taken care of before.
func isUsed(err error) bool { return isProblem(err, signin.VisitUsed) }

func isProblem(err error, what signin.Problem) bool {
	problem, ok := errors.AsType[*signin.Error](err)
	return ok && problem.Problem == what
}
