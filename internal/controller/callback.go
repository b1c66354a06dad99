package controller

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/grant"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// returned is a browser that has come back, and the visit that it belongs to.
type returned struct {
	*found
	key      types.NamespacedName
	state    string
	cookie   string
	visit    tokensecret.Visit
	callback marketplace.Callback
	// claim is what the visit says once it is taken care of here.
	claim string
	// unverified tells that the issuer's keys could not be had.
	unverified bool
}

// Complete takes what a marketplace sent a browser back with: it exchanges the code at once, stores what that brings, and
// tells whose account was signed in. cookie returns one of the browser's cookies.
func (v *Visits) Complete(ctx context.Context, marketplaceName string, query url.Values, cookie func(name string) string) (signin.Outcome, error) {
	b := &returned{}
	if states := query["state"]; len(states) == 1 {
		b.state = states[0]
	}
	if b.state == "" && query.Get("error") == "access_denied" { // eBay's decline URL knows nothing of the visit
		return signin.Outcome{}, &signin.Error{Problem: signin.ConsentDenied}
	}
	var ok bool
	if b.key, b.cookie, ok = splitCookie(cookie(signin.CookieName(b.state))); !ok || b.state == "" {
		return signin.Outcome{}, &signin.Error{Problem: signin.VisitUnknown}
	}
	// The hash of the cookie as well, so that only the browser of the visit is told that it is being taken care of.
	if _, twice := v.r.visits.LoadOrStore(signin.Hash(b.state+b.cookie), true); twice {
		return signin.Outcome{}, &signin.Error{Problem: signin.VisitUsed}
	}
	done := func() { v.r.visits.Delete(signin.Hash(b.state + b.cookie)) }
	if err := v.find(ctx, b, marketplaceName); err != nil {
		done()
		return signin.Outcome{}, err
	}
	// From here on the person's closing of the page, or a shutdown, does not end it: the code is good for one use.
	if !v.r.underway.TryRLock() {
		done()
		return signin.Outcome{}, &signin.Error{Problem: signin.ClusterDown}
	}
	defer v.r.underway.RUnlock()
	ctx = context.WithoutCancel(ctx)
	if err := v.claim(ctx, b); err != nil {
		done()
		return signin.Outcome{}, err
	}
	got, failure := v.exchange(ctx, b, query)
	if failure != nil {
		defer done()
		return signin.Outcome{}, v.refuse(ctx, b, failure)
	}
	return v.keep(ctx, b, got, done)
}

// claim makes the visit ours before the code is sent anywhere, so that a reload, or an ingress that asks another replica
// as well, does not send it twice. An API server that is away does not hold up the code for long: then the claim is made
// when the result is stored.
func (v *Visits) claim(ctx context.Context, b *returned) error {
	var err error
	if b.claim, err = signin.NewSecret(v.r.Random); err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, claimPatience)
	defer cancel()
	var problem *signin.Error
	_ = callbackBackoff.DelayFunc().Until(waiting, true, false, func(ctx context.Context) (bool, error) { // problem says more
		s, err := v.open(ctx, &found{view: b.view})
		if err == nil {
			custody := s.found.custody
			if !b.use(&custody) {
				problem = &signin.Error{Problem: signin.VisitUsed}
				return true, nil
			}
			err = s.write(ctx, custody)
		}
		final, _ := errors.AsType[*signin.Error](err)
		problem = final
		return err == nil || final != nil, nil
	})
	if problem != nil {
		return problem
	}
	return nil
}

// find finds the visit that a state and a cookie belong to. It waits for an API server that is away about as long as a code
// lives.
func (v *Visits) find(ctx context.Context, b *returned, marketplaceName string) error {
	waiting, cancel := context.WithTimeout(ctx, codePatience)
	defer cancel()
	var found error
	_ = callbackBackoff.DelayFunc().Until(waiting, true, false, func(ctx context.Context) (bool, error) { // found says more
		found = v.findNow(ctx, b, marketplaceName)
		return !isDown(found), nil
	})
	return found
}

func (v *Visits) findNow(ctx context.Context, b *returned, marketplaceName string) error {
	account, err := v.account(ctx, b.key)
	if err != nil {
		return err
	}
	if account == nil {
		return &signin.Error{Problem: signin.VisitUnknown}
	}
	// The visit may have begun at another replica just now, so what the cache does not know is looked up.
	visit, err := v.visit(ctx, b, account, marketplaceName, v.cached)
	if visit == nil && err == nil && account.Spec.Grant.Type == v1alpha1.GrantAuthorizationCode && v.returns.AllowN(v.r.Clock.Now(), 1) {
		visit, err = v.visit(ctx, b, account, marketplaceName, v.live)
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
	b.visit = *visit
	if b.visit.ClientID != b.request.application.ClientID {
		return &signin.Error{Problem: signin.AccountUnready, Account: b.signInAccount(), Detail: "another application was put into the Secret during the sign-in"}
	}
	if !b.now.Before(b.visit.ExpiresAt) {
		return v.refuse(ctx, b, &signin.Error{Problem: signin.VisitExpired, Account: b.signInAccount()})
	}
	return nil
}

// visit looks for the visit of a state in a custody. Everything that the visit is bound to must agree.
func (v *Visits) visit(
	ctx context.Context, b *returned, account *v1alpha1.MarketplaceAccount, marketplaceName string,
	read func(context.Context, *v1alpha1.MarketplaceAccount) (tokensecret.Custody, error),
) (*tokensecret.Visit, error) {
	custody, err := read(ctx, account)
	if err != nil {
		return nil, clusterDown(err)
	}
	for _, visit := range custody.SignIn.Visits {
		state, cookie := signin.Matches(visit.State, b.state), signin.Matches(visit.Cookie, b.cookie)
		switch {
		case !state || !cookie || visit.Account != account.UID || visit.Marketplace != marketplaceName:
		case visit.Used:
			return nil, &signin.Error{Problem: signin.VisitUsed}
		default:
			return &visit, nil
		}
	}
	return nil, nil
}

// exchange reads the callback and exchanges its code. Its error is a *signin.Error or the marketplace's.
func (v *Visits) exchange(ctx context.Context, b *returned, query url.Values) (issued, error) {
	platform := b.request.platform
	var err error
	if b.callback, err = platform.Callback(query); err != nil {
		return issued{}, &signin.Error{Problem: signin.CodeRefused, Account: b.signInAccount(), Detail: err.Error()}
	}
	if err := v.checkIssuer(ctx, b); err != nil {
		return issued{}, err
	}
	switch {
	case b.callback.Error != "":
		return issued{}, grant.CallbackError(b.callback.Error, b.callback.ErrorDescription, b.state, b.visit.Verifier)
	case b.callback.Code == "":
		return issued{}, &signin.Error{Problem: signin.CodeRefused, Account: b.signInAccount(), Detail: "the marketplace sent no code"}
	}
	endpoint, err := v.r.endpoint(ctx, b.request, v1alpha1.GrantAuthorizationCode)
	if err != nil {
		return issued{}, err
	}
	v.r.Gates.Count(gate(b.request))
	got, err := v.r.exchange(ctx, b.view, endpoint, func(endpoint grant.Endpoint) (grant.Tokens, error) {
		return endpoint.AuthorizationCode(ctx, b.callback.Code, b.visit.RedirectURI, b.visit.Verifier)
	})
	if err != nil {
		return issued{}, err
	}
	if b.unverified, err = v.r.vet(ctx, b.request, got, b.visit.Nonce); err != nil {
		return issued{}, err
	}
	told := b.callback.AccountID
	switch {
	case got.accountID == "":
		got.accountID = told
	case told != "" && told != got.accountID:
		return issued{}, &signin.Error{Problem: signin.CodeRefused, Account: b.signInAccount(), Detail: "the callback names another account than the tokens"}
	}
	return got, nil
}

// checkIssuer refuses an answer of another issuer than the one that was asked (RFC 9207 section 2.4).
func (v *Visits) checkIssuer(ctx context.Context, b *returned) error {
	issuer, told := b.request.platform.Issuer, b.callback.Issuer
	if issuer == "" || told == issuer {
		return nil
	}
	if told == "" {
		discovered, err := v.r.Providers.Discover(ctx, issuer)
		if err != nil || !discovered.IssuerParameter {
			return err
		}
	}
	return &signin.Error{Problem: signin.IssuerMismatch, Account: b.signInAccount()}
}

// use marks the visit as used by us, so that its state is good for nothing any more; false when somebody else was quicker.
func (b *returned) use(custody *tokensecret.Custody) bool {
	custody.SignIn = custody.SignIn.Clone()
	at := slices.IndexFunc(custody.SignIn.Visits, func(visit tokensecret.Visit) bool {
		return visit.State == b.visit.State && (!visit.Used || visit.Claim == b.claim)
	})
	if at < 0 {
		return false
	}
	visit := &custody.SignIn.Visits[at]
	visit.Used, visit.Claim, visit.Verifier, visit.Nonce = true, b.claim, "", ""
	return true
}

// refuse records that a visit brought nothing, and gives the person a ticket to try again.
func (v *Visits) refuse(ctx context.Context, b *returned, failure error) error {
	why := trouble{v1alpha1.ReasonSignInRequired, "The last sign-in was not completed; use the link again"}
	problem, ok := errors.AsType[*signin.Error](failure)
	if !ok {
		problem = b.problem(failure)
		said, passes := troubleOf(b.view, failure)
		switch problem.Problem {
		case signin.ConsentDenied:
			why = declined(b.view)
		case signin.ApplicationRefused:
			why = said
		default:
			why.message = said.message
			if !passes {
				why.message = fmt.Sprintf("%s did not take the code of the last sign-in (%s); use the link again", b.request.platform.DisplayName, problem.Detail)
			}
		}
	} else if problem.Detail != "" {
		why.message = "The last sign-in was not completed: " + problem.Detail
	}
	err := v.write(ctx, b.found, func(s *store) error {
		custody := s.found.custody
		if !b.use(&custody) {
			return &signin.Error{Problem: signin.VisitUsed}
		}
		custody.SignIn.Refused = s.refusal(why)
		var err error
		problem.Ticket, err = s.again(&custody)
		if err != nil {
			return err
		}
		return s.write(ctx, custody)
	})
	if err != nil {
		logf.FromContext(ctx).Info("Recording a sign-in that brought nothing", "reason", err.Error())
		problem.Ticket = ""
	}
	return problem
}

// again adds a ticket for somebody who has just proved to be the one who was invited.
func (s *store) again(custody *tokensecret.Custody) (string, error) {
	ticket, err := signin.NewSecret(s.Random)
	if err != nil {
		return "", err
	}
	custody.SignIn.AddTicket(tokensecret.Ticket{Hash: signin.Hash(ticket), ExpiresAt: s.found.now.Add(signin.VisitLife)}, s.found.now)
	return ticket, nil
}

// keep stores what a sign-in has brought. The person is told when it is stored, or that it takes longer; it is tried on
// then.
func (v *Visits) keep(ctx context.Context, b *returned, got issued, stored func()) (signin.Outcome, error) {
	type result struct {
		outcome signin.Outcome
		err     error
	}
	done := make(chan result, 1)
	v.storing.Go(func() {
		defer stored()
		ctx, cancel := context.WithTimeout(ctx, storePatience)
		defer cancel()
		outcome, err := v.store(ctx, b, got)
		done <- result{outcome, err}
	})
	waiting, cancel := context.WithTimeout(ctx, pagePatience)
	defer cancel()
	select {
	case r := <-done:
		return r.outcome, r.err
	case <-waiting.Done():
		return signin.Outcome{}, &signin.Error{Problem: signin.NotStored, Account: b.signInAccount()}
	}
}

func (v *Visits) store(ctx context.Context, b *returned, got issued) (signin.Outcome, error) {
	var s *store
	var failure error
	_ = callbackBackoff.DelayFunc().Until(ctx, true, false, func(ctx context.Context) (bool, error) { // failure says more
		s, failure = v.storeNow(ctx, b, got)
		_, final := errors.AsType[*signin.Error](failure)
		return failure == nil || final, nil
	})
	if problem, ok := errors.AsType[*signin.Error](failure); ok {
		return signin.Outcome{}, problem
	}
	if failure != nil {
		logf.FromContext(ctx).Info("Giving up to store a sign-in", "namespace", b.key.Namespace, "name", b.key.Name, "reason", failure.Error())
		return signin.Outcome{}, &signin.Error{Problem: signin.NotStored, Account: b.signInAccount()}
	}
	f := s.found
	if !f.discarded && !b.unverified {
		if err := v.identify(ctx, f, s); err != nil { // the leader's controller learns it too
			logf.FromContext(ctx).Info("Learning whose the new grant is", "reason", err.Error())
		}
	}
	account := f.signInAccount()
	if f.dropped != nil {
		return signin.Outcome{}, &signin.Error{Problem: signin.ApplicationRefused, Account: account, Detail: f.dropped.message}
	}
	if f.discarded && f.wrongAccount == "" {
		return signin.Outcome{}, &signin.Error{Problem: signin.AccountUnnamed, Account: account}
	}
	if f.discarded {
		return signin.Outcome{}, &signin.Error{Problem: signin.WrongAccount, Account: account, GotID: f.wrongAccount, Ticket: f.retryTicket}
	}
	outcome := signin.Outcome{Account: account, ID: f.custody.Account.ID, SeenLogin: f.custody.Account.Login}
	if f.candidate() != nil {
		outcome.Unconfirmed, outcome.ID, outcome.SeenLogin = true, "", ""
		return outcome, nil
	}
	outcome.MissingScopes = f.missingScopes()
	return outcome, nil
}

// identify learns whose the new grant is, again where the leader's controller has written something else meanwhile. A candidate waits
// until somebody accepts it.
func (v *Visits) identify(ctx context.Context, f *found, s *store) error {
	again := func(err error) bool { return apierrors.IsConflict(err) && f.candidate() == nil }
	return retry.OnError(conflictBackoff, again, func() (err error) {
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
func (v *Visits) storeNow(ctx context.Context, b *returned, got issued) (*store, error) {
	f := &found{view: b.view}
	s, err := v.open(ctx, f)
	if err != nil {
		return nil, err
	}
	if b.stored(f.custody) { // a write was done whose answer got lost
		return s, nil
	}
	if !b.use(&f.custody) {
		return nil, &signin.Error{Problem: signin.VisitUsed}
	}
	f.custody.SignIn.Visits[b.at(f.custody)].Consent = f.custody.Consents + 1
	return s, s.consented(ctx, got, b.visit.Asked, b.unverified)
}

// at finds the visit that is taken care of here.
func (b *returned) at(custody tokensecret.Custody) int {
	return slices.IndexFunc(custody.SignIn.Visits, func(visit tokensecret.Visit) bool { return visit.State == b.visit.State && visit.Claim == b.claim })
}

// stored tells whether what this visit brought is in use, or waits to be, or was already followed by another.
func (b *returned) stored(custody tokensecret.Custody) bool {
	at := b.at(custody)
	if at < 0 {
		return false
	}
	consent, waits := custody.SignIn.Visits[at].Consent, custody.Candidate
	return consent > 0 && (custody.Accepted >= consent || waits != nil && waits.Consent == consent)
}

// callbackBackoff is how reading and writing is tried again while a browser waits, and after that.
var callbackBackoff = wait.Backoff{Steps: 20, Duration: 20 * time.Millisecond, Factor: 2, Jitter: 0.2, Cap: time.Second}

// isDown tells that the API server did not answer.
func isDown(err error) bool {
	problem, ok := errors.AsType[*signin.Error](err)
	return ok && problem.Problem == signin.ClusterDown
}
