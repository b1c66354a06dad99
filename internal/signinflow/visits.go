// Package signinflow takes people at a browser through a sign-in: tickets, visits, and the answer that the browser brings back from the marketplace. It
// drives the same machine as the controller, and needs no leader.
package signinflow

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

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/driver"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/grantstore"
	"github.com/tokenkeeper/tokenkeeper/internal/invitation"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle/visits"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/openid"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

const (
	// lookups bounds how often a second the API server is asked about tickets that the cache does not know: another replica
	// may have made them just now, or they are guesses.
	lookups = 5
	// returns is the same for browsers that come back.
	returns = 50
)

// Visits begins and completes the sign-ins of people at a browser. Every replica does: the state of a visit is in the
// grant Secret, and is written there under the same optimistic lock as a renewal. Its errors are
// *signin.Error where a person can be told how to go on.
type Visits struct {
	driver *driver.Driver
	// accounts reads accounts from the cache.
	accounts client.Reader
	// portal is the public address of the pages where people sign in; empty when there are none.
	portal signin.Address
	// namespaces hold the accounts that are looked at; none means all.
	namespaces []string
	lookups    *rate.Limiter
	returns    *rate.Limiter
	// grants is where visits write.
	grants *grantstore.Store
	// flush stores the controller's pending writes when the process ends.
	flush func(context.Context) error
	// storing counts the results that are still being stored.
	storing sync.WaitGroup
	// answers are the marketplaces' answers that browsers have brought and that are not dealt with yet.
	answers answers
	ready   atomic.Bool
}

// Options are the parts that New needs. Portal is empty where there are no pages, and Namespaces where all are looked at.
type Options struct {
	// Driver reads and stores.
	Driver *driver.Driver
	// Accounts reads accounts from the cache.
	Accounts client.Reader
	// Grants is the controller's store.
	Grants *grantstore.Store
	// Portal is the public address of the pages where people sign in.
	Portal signin.Address
	// Namespaces hold the accounts that are looked at.
	Namespaces []string
	// Flush stores the pending writes of the controller when the process ends.
	Flush func(context.Context) error
}

// New returns Visits for a manager to run.
func New(o Options) *Visits {
	return &Visits{
		driver: o.Driver, accounts: o.Accounts, portal: o.Portal, namespaces: o.Namespaces, grants: o.Grants.ForVisits(), flush: o.Flush,
		lookups: rate.NewLimiter(lookups, lookups), returns: rate.NewLimiter(returns, returns),
	}
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

// Drain ends the spending of refresh tokens and codes, and returns when every answer that was waited for has come and is
// stored, or when ctx ends. A process that ends before that has lost the tokens that the marketplace gave last.
func (v *Visits) Drain(ctx context.Context) {
	v.grants.Drain(ctx, v.storing.Wait, v.flush)
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

// Invite makes a ticket for a person who may sign the account in, and does so now.
func (v *Visits) Invite(ctx context.Context, key types.NamespacedName) (ticket string, err error) {
	l, err := v.look(ctx, key)
	if err != nil {
		return "", err
	}
	err = v.write(ctx, l, func(l driver.Look) (driver.Look, error) {
		if ticket, err = signin.NewSecret(v.driver.Random); err != nil {
			return l, err
		}
		change, _ := lifecycle.AfterOffer(l.Facts, ticket, signin.VisitLife, false) // it is used at once
		return v.driver.Apply(ctx, l, change)
	})
	return ticket, err
}

// Offer tells the account that a ticket is for, and when the ticket expires.
func (v *Visits) Offer(ctx context.Context, key types.NamespacedName, ticket string) (signin.Offer, error) {
	l, held, err := v.ticket(ctx, key, ticket)
	if err != nil {
		return signin.Offer{}, err
	}
	return signin.Offer{Account: l.SignInAccount(), ExpiresAt: held.ExpiresAt}, nil
}

// Begin uses a ticket up and makes a visit. store is the query with which a marketplace's app store sent the person here.
func (v *Visits) Begin(ctx context.Context, key types.NamespacedName, ticket string, storeQuery url.Values) (signin.Visit, error) {
	l, _, err := v.ticket(ctx, key, ticket)
	if err != nil {
		return signin.Visit{}, err
	}
	visit, entry, err := v.draw(ctx, l, storeQuery)
	if err != nil {
		return signin.Visit{}, err
	}
	err = v.write(ctx, l, func(l driver.Look) (driver.Look, error) {
		change, problem := visits.Begin(l.Facts, ticket, entry)
		if problem != "" {
			return l, linkError(l.Facts, problem)
		}
		return v.driver.Apply(ctx, l, change)
	})
	return visit, err
}

// draw makes the secrets of a visit, and the address to send the browser to.
func (v *Visits) draw(ctx context.Context, l driver.Look, storeQuery url.Values) (signin.Visit, custody.Visit, error) {
	var state, cookie, verifier, nonce string
	for _, secret := range []*string{&state, &cookie, &verifier, &nonce} {
		var err error
		if *secret, err = signin.NewSecret(v.driver.Random); err != nil {
			return signin.Visit{}, custody.Visit{}, err
		}
	}
	req := l.Request
	entry := custody.Visit{
		State:       signin.Hash(state),
		Cookie:      signin.Hash(cookie),
		Account:     l.Account.UID,
		Marketplace: signin.CallbackName(req.Platform.Name, req.Platform.CallbackKey),
		Server:      req.Platform.Server(),
		ExpiresAt:   l.Now.Add(signin.VisitLife),
		RedirectURI: req.Application.RedirectURI,
		ClientID:    req.Application.ClientID,
		Asked:       slices.Clone(req.Platform.Scopes),
	}
	callback := v.portal.Callback(entry.Marketplace)
	if entry.RedirectURI == "" {
		entry.RedirectURI = callback
	}
	if entry.RedirectURI != callback && req.Platform.CallbackKey != "" && strings.HasPrefix(entry.RedirectURI, v.portal.Callback("")) {
		return signin.Visit{}, custody.Visit{}, &signin.Error{Problem: signin.AccountUnready, Account: l.SignInAccount(),
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
		refused.Account = l.SignInAccount()
		return signin.Visit{}, custody.Visit{}, refused
	}
	if err != nil {
		return signin.Visit{}, custody.Visit{}, problemOf(l.Facts, err)
	}
	return signin.Visit{
		URL:         address,
		CookieName:  signin.CookieName(state),
		CookieValue: l.Account.Namespace + "/" + l.Account.Name + "/" + cookie,
		ExpiresAt:   entry.ExpiresAt,
	}, entry, nil
}

// authorizationURL is where to send the browser.
func (v *Visits) authorizationURL(
	ctx context.Context, req facts.Request, parameters marketplace.AuthorizationParameters, storeQuery url.Values,
) (string, error) {
	start, err := req.Platform.StoreStart(storeQuery)
	if err != nil {
		return "", &signin.Error{Problem: signin.StartRefused, Detail: err.Error()}
	}
	if start != nil {
		return unfit(start.Request(req.Platform, parameters))
	}
	address, err := v.driver.OAuth.SignInEndpoint(ctx, req.Platform, "authorization endpoint", req.Platform.AuthorizationURL,
		func(e openid.Endpoints) string { return e.Authorization })
	if err != nil {
		return "", err
	}
	return unfit(req.Platform.AuthorizationRequest(address, parameters))
}

// unfit makes an error of a parameter that an application or a Marketplace lacks for an authorization request.
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
	if err := v.accounts.Get(ctx, key, account); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, clusterDown(err)
	}
	return account, nil
}

// look resolves an account of grant AuthorizationCode that can be signed in.
func (v *Visits) look(ctx context.Context, key types.NamespacedName) (driver.Look, error) {
	account, err := v.account(ctx, key)
	if err != nil {
		return driver.Look{}, err
	}
	if account == nil {
		return driver.Look{}, &signin.Error{Problem: signin.LinkInvalid}
	}
	held, err := v.grants.Cached(ctx, account)
	if err != nil {
		return driver.Look{}, clusterDown(err)
	}
	l := v.driver.LookAt(account, v.grants)
	if l, _, err = v.driver.Read(l, held); err != nil {
		return driver.Look{}, &signin.Error{Problem: signin.AccountUnready, Account: l.SignInAccount(), Detail: err.Error()}
	}
	l, failure, err := v.driver.Resolve(ctx, l)
	if err != nil {
		return driver.Look{}, clusterDown(err)
	}
	switch {
	case account.Spec.Grant.Type != v1alpha1.GrantAuthorizationCode || !account.DeletionTimestamp.IsZero():
		return driver.Look{}, &signin.Error{Problem: signin.LinkInvalid}
	case failure != nil:
		return driver.Look{}, &signin.Error{Problem: signin.AccountUnready, Account: l.SignInAccount(), Detail: failure.Message}
	case l.Suspended():
		return driver.Look{}, &signin.Error{Problem: signin.AccountUnready, Account: l.SignInAccount(),
			Detail: "spec.renewal.policy is Suspended: the marketplace is not asked for anything"}
	case v.portal == "":
		return driver.Look{}, &signin.Error{Problem: signin.AccountUnready, Account: l.SignInAccount(), Detail: "the operator runs without --portal-url"}
	}
	return l, nil
}

// ticket finds the account and the entry of a ticket. Guesses cost the API server nothing: the cache answers, and tickets
// that it does not know are looked up a few times a second.
func (v *Visits) ticket(ctx context.Context, key types.NamespacedName, ticket string) (driver.Look, *custody.Ticket, error) {
	account, err := v.account(ctx, key)
	if err != nil {
		return driver.Look{}, nil, err
	}
	if account == nil {
		return driver.Look{}, nil, &signin.Error{Problem: signin.LinkInvalid}
	}
	kept, err := v.cached(ctx, account)
	if err != nil {
		return driver.Look{}, nil, clusterDown(err)
	}
	at := invitation.TicketIn(kept, ticket)
	if at < 0 && v.lookups.AllowN(v.driver.Clock.Now(), 1) {
		if kept, err = v.live(ctx, account); err != nil {
			return driver.Look{}, nil, clusterDown(err)
		}
		at = invitation.TicketIn(kept, ticket)
	}
	if at < 0 {
		return driver.Look{}, nil, &signin.Error{Problem: signin.LinkInvalid}
	}
	held := kept.SignIn.Tickets[at]
	l, err := v.look(ctx, key)
	if err != nil {
		return driver.Look{}, nil, err
	}
	if problem := visits.TicketProblem(kept, ticket, l.Now); problem != "" {
		return driver.Look{}, nil, linkError(l.Facts, problem)
	}
	return l, &held, nil
}

// linkError is the error of a link that does not work. It names the account to a person who was given a link of it.
func linkError(f facts.Facts, problem signin.Problem) error {
	if problem == signin.LinkInvalid {
		return &signin.Error{Problem: problem}
	}
	return &signin.Error{Problem: problem, Account: f.SignInAccount()}
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
	kept, err := v.grants.CustodyIn(account, held)
	if tokensecret.IsNewer(err) {
		known := v.driver.FactsOf(account)
		return custody.Custody{}, &signin.Error{Problem: signin.AccountUnready, Account: known.SignInAccount(), Detail: err.Error()}
	}
	return v.driver.Form(kept), err
}

// write changes the custody as it is now, and again when another writer was quicker.
func (v *Visits) write(ctx context.Context, l driver.Look, change func(driver.Look) (driver.Look, error)) error {
	err := grantstore.RetryOn(mayWriteAgain, func() error {
		opened, err := v.open(ctx, l, false)
		if err == nil {
			_, err = change(opened)
		}
		return err
	})
	if problem, ok := errors.AsType[*signin.Error](err); ok {
		return problem
	}
	if err != nil {
		return clusterDown(err)
	}
	return nil
}

// open reads the custody live, to write on top of it. inHand tells that an answer is to be stored.
func (v *Visits) open(ctx context.Context, l driver.Look, inHand bool) (driver.Look, error) {
	l, err := v.driver.ReadLive(ctx, l.Anew(), inHand)
	if err == nil && l.Unresolved {
		err = &signin.Error{Problem: signin.AccountUnready, Account: l.SignInAccount(), Detail: l.Failure.Message}
	}
	return l, err
}

func mayWriteAgain(err error) bool {
	return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || grantstore.MayPass(err)
}

// clusterDown tells a person that the API server does not answer. Its own words are for the log.
func clusterDown(err error) error {
	if problem, ok := errors.AsType[*signin.Error](err); ok {
		return problem
	}
	return fmt.Errorf("%w: %w", &signin.Error{Problem: signin.ClusterDown}, err)
}

// problemOf is the problem to show a person after a failure of the marketplace.
func problemOf(f facts.Facts, failure error) *signin.Error {
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
