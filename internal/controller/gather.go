package controller

import (
	"context"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/conditions"
	"github.com/tokenkeeper/tokenkeeper/internal/driver"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// gather collects the facts of an account before anything is decided: its published tokens, its custody, its references, and the requests
// of people. Tokens that an earlier look obtained and could not store are stored first. known tells that there are facts to report, also
// where there is an error, which is the API server's. This is the one place that sets the fields of a look.
func (r *reconciler) gather(ctx context.Context, account *v1alpha1.MarketplaceAccount) (l driver.Look, known bool, err error) {
	l = r.LookAt(account, r.grants)
	held, err := r.grants.Cached(ctx, account)
	if err != nil {
		return l, false, err
	}
	if l, err = r.tokens.Read(ctx, l); err != nil {
		return l, false, err
	}
	l, outdated, err := r.Read(l, held)
	if tokensecret.IsNewer(err) {
		l, err = r.storeInHand(ctx, l)
		return l, true, err
	}
	if err != nil {
		return l.Undecided(&facts.Failure{Reason: v1alpha1.ReasonSecretInvalid, Message: err.Error()}).Ended(), true, nil
	}
	if outdated { // or the cache is
		if l, err = r.ReadLive(ctx, l, false); err != nil {
			return l, false, err
		}
		if l.Failure != nil {
			return l.Ended(), true, nil
		}
	}
	if l, err = r.storePending(ctx, l); err != nil || l.Failure != nil {
		return l.Ended(), true, err
	}
	if l.NewerCustody() != nil {
		l, err = r.storeInHand(ctx, l)
		return l, true, err
	}
	l.HoldsSecrets = l.GrantSecret != nil && l.TokenSecret != nil && tokensecret.Owned(l.TokenSecret, l.Account)
	return r.gatherRequest(ctx, l, r.Recall)
}

// readSecrets gathers the parts of a request for tokens anew, with the Secrets of users that were recalled so far.
func (r *reconciler) readSecrets(ctx context.Context, l driver.Look) (driver.Look, error) {
	l, _, err := r.gatherRequest(ctx, l, r.Resolve)
	return l, err
}

// gatherRequest resolves the parts of a request for tokens, and reads the requests of people.
func (r *reconciler) gatherRequest(
	ctx context.Context, l driver.Look, resolve func(context.Context, driver.Look) (driver.Look, *facts.Failure, error),
) (gathered driver.Look, known bool, err error) {
	l, failure, err := resolve(ctx, l)
	if err != nil {
		return l, false, err
	}
	l = l.Failing(failure)
	r.tellForged(l)
	r.logins.Note(l.Facts)
	for _, secret := range r.unlabelled.untold(l.Account.UID, l.Request.Unlabelled) {
		r.Emit(l.Account, conditions.UseLabelMissing(secret))
	}
	if l.Unresolved {
		return l, true, nil
	}
	l.Link, l.CallbackURL = r.portal.Page(l.Account.Namespace, l.Account.Name), r.callback(l.Request)
	shown, err := r.tokens.ReadSignIn(ctx, l.Facts)
	if err != nil {
		return l, false, err
	}
	l = l.WithSignInSecret(shown.Secret)
	l.LinksInSecret, l.ShownTicket, l.PlaceTaken = r.tokens.LinksInSecret, shown.Ticket, shown.PlaceTaken
	if !l.LinksInSecret {
		l.ShownTicket = r.shownTicket(l.Account)
	}
	if !l.Request.Recalled { // else whatever is due has the Secrets of users read first, and this is gathered anew
		l.Facts = r.requests.Admit(l.Facts)
		l.AsksAgain, l.AskAgainAt = r.applications.AskAgain(l.Facts)
	}
	l, err = r.SeekSeller(ctx, r.WithMemory(l))
	return l, true, err
}

// storePending stores the tokens that an earlier look obtained and could not store, before anything else is looked at.
func (r *reconciler) storePending(ctx context.Context, l driver.Look) (driver.Look, error) {
	pending := r.grants.Pending(l.Account.UID)
	if pending == nil {
		return l, nil
	}
	l, err := r.ReadLive(ctx, l, true)
	if err != nil || l.Failure != nil {
		return l, err
	}
	next, ok := pending.On(l.Custody)
	if !ok {
		r.grants.DropPending(l.Account.UID)
		return l, nil
	}
	return r.Apply(ctx, l, lifecycle.StorePending(l.Facts, next))
}

// storeInHand stores the tokens in memory on top of a custody that a later version wrote, and leaves that custody alone otherwise.
func (r *reconciler) storeInHand(ctx context.Context, l driver.Look) (driver.Look, error) {
	var err error
	if r.HasPending(l.Account) {
		err = r.Flush(ctx, l.Account)
	}
	return l.Undecided(&facts.Failure{Reason: v1alpha1.ReasonSecretInvalid, Message: l.NewerCustody().Error()}).Ended(), err
}

// callback is the redirect URI to register for the application; empty where its Secret has one, and without a portal.
func (r *reconciler) callback(req facts.Request) string {
	if req.Application.RedirectURI != "" || r.portal == "" {
		return ""
	}
	return r.portal.Callback(signin.CallbackName(req.Platform.Name, req.Platform.CallbackKey))
}

// shownTicket is the hash of the ticket in the link that the status shows, since a ticket itself is kept nowhere else; empty where the status shows no link to
// the portal.
func (r *reconciler) shownTicket(account *v1alpha1.MarketplaceAccount) string {
	if shown := account.Status.SignIn; shown != nil && strings.HasPrefix(shown.URL, string(r.portal)+signin.LinkPrefix) {
		return signin.Hash(signin.TicketOf(shown.URL))
	}
	return ""
}

// tellForged emits an event, once for each version of a grant Secret, where it is not proven to be written by the operator, or where parts of it were left out.
func (r *reconciler) tellForged(l driver.Look) {
	if l.GrantSecret == nil || !l.Unauthentic && len(l.LeftOut) == 0 {
		return
	}
	told := conditions.CustodyUnauthenticated(l.GrantSecret.Name, l.Unauthentic, l.LeftOut)
	if r.grants.FirstTold(l.Account.UID, l.GrantSecret.ResourceVersion+" "+told.Note) {
		r.Emit(l.Account, told)
	}
}
