package controller

import (
	"context"
	"fmt"
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

// howToSignIn ends a sentence about a sign-in that is needed.
func (f *found) howToSignIn() string {
	switch invitation := f.Invitation; {
	case invitation == nil && f.SignsIn() && f.Custody.SignIn.Device == nil && f.Custody.SignIn.Ended != nil:
		return f.whyNoCode()
	case invitation == nil && f.SignsIn() && f.Unattended():
		return fmt.Sprintf("; nobody used the last %d codes: annotate the account with %s=<anything new> for another", lifecycle.MaxUnattended, v1alpha1.AnnotationSignIn)
	case invitation == nil && f.NoPortal:
		return "; there is no page to start from: run the operator with --portal-url"
	case invitation == nil:
		return ""
	case invitation.UserCode != "":
		return fmt.Sprintf("; sign in at %s, check that it shows the code %s or enter it where it asks for one, before %s", invitation.URL, invitation.UserCode, lifecycle.ClockTime(invitation.ExpirationTime.Time))
	default:
		return fmt.Sprintf("; sign in at %s before %s", invitation.URL, lifecycle.ClockTime(invitation.ExpirationTime.Time))
	}
}

// whyNoCode says that the platform ends its codes early.
func (f *found) whyNoCode() string {
	ended := f.Custody.SignIn.Ended
	text := fmt.Sprintf("; %s ended the code before it could be used", f.Request.Platform.DisplayName)
	if ended.Count > 1 {
		text = fmt.Sprintf("; %s ended each of the last %d codes before it could be used", f.Request.Platform.DisplayName, ended.Count)
	}
	text += " (" + ended.Why + ")"
	switch next := f.NextCode(); {
	case f.Unattended():
		text += ": annotate the account with " + v1alpha1.AnnotationSignIn + "=<anything new> for another"
	case f.Now.Before(next):
		text += ": the next one follows at " + lifecycle.ClockTime(next)
	}
	return text
}

// moreScopes says that the spec asks for more than a person has consented to.
func (f *found) moreScopes() string {
	return "Nobody has consented to the scopes " + strings.Join(f.Unconsented(), ", ") + " yet: the token is without them until a person signs in again"
}
