package controller

import (
	"context"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// invite keeps a link or a code waiting for as long as the account needs a person.
func (r *Reconciler) invite(ctx context.Context, f *found) error {
	f.Invited = true
	switch {
	case !f.NeedsSignIn():
		r.devices.forgetPoll(f.Account.UID)
		return nil
	case f.Request.Grant == v1alpha1.GrantDeviceCode:
		return r.inviteByCode(ctx, f)
	}
	return r.inviteByLink(ctx, f)
}

// inviteByLink keeps a ticket in force whose link the status shows. The marketplace is not asked for anything before
// somebody clicks.
func (r *Reconciler) inviteByLink(ctx context.Context, f *found) error {
	if r.Portal == "" {
		f.NoPortal = true
		if standing := f.PermanentFailure(); f.Failure == nil && standing != nil && reasons.Of(standing.Reason).AwaitsSignIn {
			f.Failure = &lifecycle.Failure{Reason: v1alpha1.ReasonPortalNotConfigured, Message: standing.Message}
		}
		return nil
	}
	if held := f.OpenTicket(r.shownTicket(f.Account)); held != nil && !f.SignInRequested() {
		f.Invitation = &v1alpha1.SignInStatus{URL: f.Account.Status.SignIn.URL, RedirectURI: r.callback(f.Request)}
		f.Invitation.ExpirationTime.Time = held.ExpiresAt
		return nil
	}
	store, err := r.openStore(ctx, f)
	if err != nil || store == nil {
		return err
	}
	requested := f.SignInRequested()
	ticket, end, err := store.invite(ctx, signin.TicketLife, requested)
	if err != nil {
		return err
	}
	f.HandledSignIn = requested
	f.Invitation = &v1alpha1.SignInStatus{URL: r.Portal.Link(f.Account.Namespace, f.Account.Name, ticket), RedirectURI: r.callback(f.Request)}
	f.Invitation.ExpirationTime.Time = end
	return nil
}

// callback is the redirect URI to register for the application; empty where its Secret has one.
func (r *Reconciler) callback(req lifecycle.Request) string {
	if req.Application.RedirectURI != "" {
		return ""
	}
	return r.Portal.Callback(signin.CallbackName(req.Platform.Name, req.Platform.CallbackKey))
}

// shownTicket is the ticket of the link in the status, which is the only place where it is written; empty when the link
// leads elsewhere than to the portal.
func (r *Reconciler) shownTicket(account *v1alpha1.MarketplaceAccount) string {
	if shown := account.Status.SignIn; shown != nil && strings.HasPrefix(shown.URL, string(r.Portal)+signin.LinkPrefix) {
		return signin.TicketOf(shown.URL)
	}
	return ""
}

// invite draws a ticket and stores it, with the request that it answers.
func (s *store) invite(ctx context.Context, life time.Duration, requested bool) (ticket string, end time.Time, err error) {
	if ticket, err = signin.NewSecret(s.Random); err != nil {
		return "", time.Time{}, err
	}
	kept := s.found.Custody
	end = s.found.Now.Add(life)
	kept.SignIn = kept.SignIn.WithTicket(custody.Ticket{Hash: signin.Hash(ticket), ExpiresAt: end}, s.found.Now)
	if requested {
		kept.HandledSignIn = lifecycle.RequestOf(s.found.Account, v1alpha1.AnnotationSignIn)
		kept.SignIn.Requested = kept.HandledSignIn
	}
	return ticket, end, s.write(ctx, kept)
}
