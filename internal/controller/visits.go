package controller

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/grant"
	"github.com/tokenkeeper/tokenkeeper/internal/grantstore"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

const (
	// lookups bounds how often a second the API server is asked about tickets that the cache does not know: another replica
	// may have made them just now, or somebody guesses.
	lookups = 5
	// returns is the same for browsers that come back.
	returns = 50
)

// Visits begins and completes the sign-ins of people at a browser. Every replica does: what it has to know of a visit is in
// the grant Secret, and what it writes there is under the same optimistic lock as a renewal. Its errors are
// *signin.Error where a person can be told what to do.
type Visits struct {
	r *Reconciler
	// namespaces are those whose accounts are looked at; none means all.
	namespaces []string
	lookups    *rate.Limiter
	returns    *rate.Limiter
	// grants is where visits write.
	grants *grantstore.Store
	// storing counts the results that are still being stored.
	storing sync.WaitGroup
	// answers are those that browsers have brought and that are being taken care of.
	answers answers
	ready   atomic.Bool
}

func newVisits(r *Reconciler, namespaces []string) *Visits {
	return &Visits{r: r, namespaces: namespaces, grants: r.grants.ForVisits(), lookups: rate.NewLimiter(lookups, lookups), returns: rate.NewLimiter(returns, returns)}
}

// Start implements manager.Runnable: it ends when everything that was under way has been stored. The manager ends it before
// it gives up the lease.
func (v *Visits) Start(ctx context.Context) error {
	v.ready.Store(true) // the manager has filled its caches before
	<-ctx.Done()
	draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeouts.Drain)
	defer cancel()
	v.Drain(draining)
	return nil
}

// Ready is a health check: it fails until the caches are filled from which people are answered.
func (v *Visits) Ready(*http.Request) error {
	if !v.ready.Load() {
		return errors.New("the caches are being filled")
	}
	return nil
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (v *Visits) NeedLeaderElection() bool { return false }

// Invite makes a ticket for somebody who may sign the account in, and does so now.
func (v *Visits) Invite(ctx context.Context, key types.NamespacedName) (ticket string, err error) {
	f, err := v.look(ctx, key)
	if err != nil {
		return "", err
	}
	err = v.write(ctx, f, func(s *store) error {
		ticket, _, err = s.invite(ctx, signin.VisitLife, false) // it is used at once
		return err
	})
	return ticket, err
}

// Offer tells what a ticket is for.
func (v *Visits) Offer(ctx context.Context, key types.NamespacedName, ticket string) (signin.Offer, error) {
	f, held, err := v.ticket(ctx, key, ticket)
	if err != nil {
		return signin.Offer{}, err
	}
	return signin.Offer{Account: f.SignInAccount(), ExpiresAt: held.ExpiresAt}, nil
}

// Begin uses a ticket up and makes a visit. store is the query with which a marketplace's app store sent the person here.
func (v *Visits) Begin(ctx context.Context, key types.NamespacedName, ticket string, storeQuery url.Values) (signin.Visit, error) {
	f, _, err := v.ticket(ctx, key, ticket)
	if err != nil {
		return signin.Visit{}, err
	}
	visit, entry, err := v.draw(ctx, f, storeQuery)
	if err != nil {
		return signin.Visit{}, err
	}
	err = v.write(ctx, f, func(s *store) error {
		kept := s.found.Custody
		kept.SignIn = kept.SignIn.Clone()
		if slices.ContainsFunc(kept.SignIn.Visits, func(v custody.Visit) bool { return v.State == entry.State }) {
			return nil // a write was done whose answer got lost
		}
		at := lifecycle.TicketIn(kept, ticket)
		if at < 0 {
			return &signin.Error{Problem: signin.LinkInvalid}
		}
		if problem := linkProblem(kept.SignIn.Tickets[at], f.Now); problem != "" {
			return &signin.Error{Problem: problem, Account: f.SignInAccount()}
		}
		kept.SignIn.Tickets[at].Used = true
		kept.SignIn = kept.SignIn.WithVisit(entry, f.Now)
		return s.write(ctx, kept)
	})
	return visit, err
}

// draw makes the secrets of a visit, and the address to send the browser to.
func (v *Visits) draw(ctx context.Context, f *found, storeQuery url.Values) (signin.Visit, custody.Visit, error) {
	var state, cookie, verifier, nonce string
	for _, secret := range []*string{&state, &cookie, &verifier, &nonce} {
		var err error
		if *secret, err = signin.NewSecret(v.r.Random); err != nil {
			return signin.Visit{}, custody.Visit{}, err
		}
	}
	req := f.Request
	entry := custody.Visit{
		State:       signin.Hash(state),
		Cookie:      signin.Hash(cookie),
		Account:     f.Account.UID,
		Marketplace: signin.CallbackName(req.Platform.Name, req.Platform.CallbackKey),
		Server:      req.Platform.Server(),
		ExpiresAt:   f.Now.Add(signin.VisitLife),
		RedirectURI: req.Application.RedirectURI,
		ClientID:    req.Application.ClientID,
		Asked:       slices.Clone(req.Platform.Scopes),
	}
	callback := v.r.Portal.Callback(entry.Marketplace)
	if entry.RedirectURI == "" {
		entry.RedirectURI = callback
	}
	if entry.RedirectURI != callback && req.Platform.CallbackKey != "" && strings.HasPrefix(entry.RedirectURI, v.r.Portal.Callback("")) {
		return signin.Visit{}, custody.Visit{}, &signin.Error{Problem: signin.AccountUnready, Account: f.SignInAccount(),
			Detail: "redirect_uri in the application's Secret is not the callback of this account's authorization server; leave it out, and register " + callback}
	}
	parameters := marketplace.AuthorizationParameters{
		ClientID:      req.Application.ClientID,
		ApplicationID: req.Application.ApplicationID,
		RedirectURI:   entry.RedirectURI,
		State:         state,
	}
	if req.Platform.PKCE {
		entry.Verifier, parameters.Challenge = verifier, signin.Hash(verifier)
	}
	if slices.Contains(req.Platform.Scopes, "openid") {
		entry.Nonce, parameters.Nonce = nonce, nonce
	}
	address, err := v.authorizationURL(ctx, req, parameters, storeQuery)
	if refused, ok := errors.AsType[*signin.Error](err); ok {
		refused.Account = f.SignInAccount()
		return signin.Visit{}, custody.Visit{}, refused
	}
	if err != nil {
		return signin.Visit{}, custody.Visit{}, f.problem(err)
	}
	return signin.Visit{
		URL:         address,
		CookieName:  signin.CookieName(state),
		CookieValue: f.Account.Namespace + "/" + f.Account.Name + "/" + cookie,
		ExpiresAt:   entry.ExpiresAt,
	}, entry, nil
}

// authorizationURL is where to send the browser.
func (v *Visits) authorizationURL(
	ctx context.Context, req lifecycle.Request, parameters marketplace.AuthorizationParameters, storeQuery url.Values,
) (string, error) {
	start, err := req.Platform.StoreStart(storeQuery)
	if err != nil {
		return "", &signin.Error{Problem: signin.StartRefused, Detail: err.Error()}
	}
	if start != nil {
		return unfit(start.Request(req.Platform, parameters))
	}
	address, err := v.r.signInEndpoint(ctx, req.Platform, "authorization endpoint", req.Platform.AuthorizationURL,
		func(e grant.Endpoints) string { return e.Authorization })
	if err != nil {
		return "", err
	}
	return unfit(req.Platform.AuthorizationRequest(address, parameters))
}

// unfit makes an error of what an application or a Marketplace lacks for an authorization request.
func unfit(address string, err error) (string, error) {
	if err != nil {
		return "", &answer.Error{Kind: answer.InvalidRequest, Message: err.Error()}
	}
	return address, nil
}

// ---- looking at accounts

// account reads an account from the cache; nil when there is none.
func (v *Visits) account(ctx context.Context, key types.NamespacedName) (*v1alpha1.MarketplaceAccount, error) {
	if len(v.namespaces) > 0 && !slices.Contains(v.namespaces, key.Namespace) {
		return nil, nil
	}
	account := &v1alpha1.MarketplaceAccount{}
	if err := v.r.Client.Get(ctx, key, account); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, clusterDown(err)
	}
	return account, nil
}

// look resolves an account of grant AuthorizationCode that can be signed in.
func (v *Visits) look(ctx context.Context, key types.NamespacedName) (*found, error) {
	account, err := v.account(ctx, key)
	if err != nil {
		return nil, err
	}
	if account == nil {
		return nil, &signin.Error{Problem: signin.LinkInvalid}
	}
	f := &found{Facts: v.r.factsOf(account)}
	held, err := v.grants.Cached(ctx, account)
	if err != nil {
		return nil, clusterDown(err)
	}
	if _, err = v.r.take(f, held); err != nil {
		return nil, &signin.Error{Problem: signin.AccountUnready, Account: f.SignInAccount(), Detail: err.Error()}
	}
	var trouble *lifecycle.Failure
	if f.Request, trouble, err = v.r.resolve(ctx, f.Facts); err != nil {
		return nil, clusterDown(err)
	}
	switch {
	case account.Spec.Grant.Type != v1alpha1.GrantAuthorizationCode || !account.DeletionTimestamp.IsZero():
		return nil, &signin.Error{Problem: signin.LinkInvalid}
	case trouble != nil:
		return nil, &signin.Error{Problem: signin.AccountUnready, Account: f.SignInAccount(), Detail: trouble.Message}
	case f.Suspended():
		return nil, &signin.Error{Problem: signin.AccountUnready, Account: f.SignInAccount(),
			Detail: "spec.renewal.policy is Suspended: the marketplace is not asked for anything"}
	case v.r.Portal == "":
		return nil, &signin.Error{Problem: signin.AccountUnready, Account: f.SignInAccount(), Detail: "the operator runs without --portal-url"}
	}
	return f, nil
}

// ticket finds the account and the entry of a ticket. Guesses cost the API server nothing: the cache answers, and what it
// does not know is looked up a few times a second.
func (v *Visits) ticket(ctx context.Context, key types.NamespacedName, ticket string) (*found, *custody.Ticket, error) {
	account, err := v.account(ctx, key)
	if err != nil {
		return nil, nil, err
	}
	if account == nil {
		return nil, nil, &signin.Error{Problem: signin.LinkInvalid}
	}
	kept, err := v.cached(ctx, account)
	if err != nil {
		return nil, nil, clusterDown(err)
	}
	at := lifecycle.TicketIn(kept, ticket)
	if at < 0 && v.lookups.AllowN(v.r.Clock.Now(), 1) {
		if kept, err = v.live(ctx, account); err != nil {
			return nil, nil, clusterDown(err)
		}
		at = lifecycle.TicketIn(kept, ticket)
	}
	if at < 0 {
		return nil, nil, &signin.Error{Problem: signin.LinkInvalid}
	}
	held := kept.SignIn.Tickets[at]
	f, err := v.look(ctx, key)
	if err != nil {
		return nil, nil, err
	}
	if problem := linkProblem(held, f.Now); problem != "" {
		return nil, nil, &signin.Error{Problem: problem, Account: f.SignInAccount()}
	}
	return f, &held, nil
}

func linkProblem(ticket custody.Ticket, now time.Time) signin.Problem {
	switch {
	case ticket.Used:
		return signin.LinkUsed
	case !now.Before(ticket.ExpiresAt):
		return signin.LinkExpired
	}
	return ""
}

// cached and live read the custody of an account, and nothing that belongs to a former one of its name.
func (v *Visits) cached(ctx context.Context, account *v1alpha1.MarketplaceAccount) (custody.Custody, error) {
	held, err := v.grants.Cached(ctx, account)
	if err != nil {
		return custody.Custody{}, err
	}
	return v.decode(account, held)
}

func (v *Visits) live(ctx context.Context, account *v1alpha1.MarketplaceAccount) (custody.Custody, error) {
	held, err := v.grants.Live(ctx, account)
	if err != nil {
		return custody.Custody{}, err
	}
	return v.decode(account, held)
}

func (v *Visits) decode(account *v1alpha1.MarketplaceAccount, held *corev1.Secret) (custody.Custody, error) {
	kept, err := grantstore.CustodyIn(account, held)
	if tokensecret.IsNewer(err) {
		return custody.Custody{}, &signin.Error{Problem: signin.AccountUnready, Account: v.r.factsOf(account).SignInAccount(), Detail: err.Error()}
	}
	return kept, err
}

// write changes the custody on top of what is there now, and again when somebody else was quicker.
func (v *Visits) write(ctx context.Context, f *found, change func(*store) error) error {
	err := grantstore.RetryOn(mayWriteAgain, func() error {
		s, err := v.open(ctx, f)
		if err != nil {
			return err
		}
		return change(s)
	})
	if problem, ok := errors.AsType[*signin.Error](err); ok {
		return problem
	}
	if err != nil {
		return clusterDown(err)
	}
	return nil
}

// open reads the custody live, to write on top of it.
func (v *Visits) open(ctx context.Context, f *found) (*store, error) {
	f.Failure, f.Unresolved = nil, false
	s, err := v.r.openStore(ctx, f)
	switch {
	case err != nil:
		return nil, err
	case s == nil:
		return nil, &signin.Error{Problem: signin.AccountUnready, Account: f.SignInAccount(), Detail: f.Failure.Message}
	}
	s.grants, s.visiting, s.retried = v.grants, true, true
	return s, nil
}

func mayWriteAgain(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || grantstore.MayPass(err)
}

// clusterDown tells a person that the API server does not answer. What it said is for the log.
func clusterDown(err error) error {
	if problem, ok := errors.AsType[*signin.Error](err); ok {
		return problem
	}
	return fmt.Errorf("%w: %w", &signin.Error{Problem: signin.ClusterDown}, err)
}

// problem is what a person is told of a failure of the marketplace.
func (f *found) problem(failure error) *signin.Error {
	e := answer.AsError(failure)
	problem := &signin.Error{Account: f.SignInAccount(), Detail: e.Error()}
	switch e.Kind {
	case answer.ConsentDenied:
		problem.Problem = signin.ConsentDenied
	case answer.GrantRejected, answer.CodeExpired:
		problem.Problem = signin.CodeRefused
	case answer.ApplicationRejected, answer.ScopeRejected, answer.InvalidRequest:
		problem.Problem = signin.ApplicationRefused
	default:
		problem.Problem = signin.MarketplaceDown
	}
	return problem
}

// splitCookie reads the cookie of a visit: namespace, name and secret.
func splitCookie(value string) (key types.NamespacedName, secret string, ok bool) {
	parts := strings.Split(value, "/")
	if len(parts) != 3 || slices.Contains(parts, "") {
		return types.NamespacedName{}, "", false
	}
	return types.NamespacedName{Namespace: parts[0], Name: parts[1]}, parts[2], true
}
