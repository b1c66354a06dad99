package controller

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// signsIn tells whether the account's grant begins with a person.
func (v view) signsIn() bool {
	return v.request.grant == v1alpha1.GrantDeviceCode || v.request.grant == v1alpha1.GrantAuthorizationCode
}

// signInRequested tells whether somebody asked for a new sign-in that was not handled yet.
func (v view) signInRequested() bool {
	value := requestOf(v.account, v1alpha1.AnnotationSignIn)
	handled := v.account.Status.Handled
	return value != "" && value != v.custody.HandledSignIn && (handled == nil || handled.SignIn != value) && !v.waitsToAsk(v1alpha1.AnnotationSignIn)
}

// needsNewGrant tells that the account gets no tokens any more before a person has signed in.
func (v view) needsNewGrant() bool { return v.deadGrant() != nil }

// deadGrant is why the account gets no tokens any more before a person has signed in; nil when it does.
func (v view) deadGrant() *trouble {
	if !v.signsIn() {
		return nil
	}
	if v.misfit() {
		return v.mismatch(v.custody.Account.ID, v.account.Spec.AccountID)
	}
	if trouble := v.misplaced(); trouble != nil {
		return trouble
	}
	if v.resting() {
		return v.restTrouble()
	}
	refused := v.custody.Refused
	if refused != nil && v.stands(refused) &&
		(refused.Reason == v1alpha1.ReasonGrantRejected || refused.Reason == v1alpha1.ReasonRenewalOutcomeUnknown) {
		return &trouble{refused.Reason, refused.Message}
	}
	return v.grantless()
}

// needsSignIn tells whether a link or a code should be waiting for a person: since the account gets no tokens without, or
// will not before long, or since somebody asked.
func (v view) needsSignIn() bool {
	switch {
	case !v.signsIn(), v.suspended():
		return false
	case v.signInRequested():
		return true
	case v.candidate() != nil: // a person has signed in, and the marketplace has to tell who
		return false
	case v.custody.SignIn.Requested != "" && requestOf(v.account, v1alpha1.AnnotationSignIn) != "":
		return true
	}
	return v.needsNewGrant() || len(v.unconsented()) > 0 || v.ending()
}

// unconsented are the scopes that the spec asks for and the person who consented was not asked for.
func (v view) unconsented() []string {
	if !v.signsIn() || v.custody.Asked == nil || v.custody.RefreshToken == "" {
		return nil
	}
	var more []string
	for _, scope := range v.request.platform.Scopes {
		if !slices.Contains(v.custody.Asked, scope) {
			more = append(more, scope)
		}
	}
	return more
}

// ending tells that the authorization ends within spec.authorization.warnBefore.
func (v view) ending() bool {
	_, end := v.authorizationTimes()
	return !end.IsZero() && !v.now.Before(warnFrom(v.account, end)) && !v.prolonged()
}

// prolonged tells that the next renewal, which is not due yet, moves the end of the authorization.
func (v view) prolonged() bool {
	tokens := v.custody.Tokens
	return v.request.platform.AuthorizationSlides && v.request.renewsByRefreshToken() && tokens != nil && v.now.Before(tokens.RenewAt)
}

// authorizationTimes are when the person consented, and when that ends; the zero time where nothing ends.
func (v view) authorizationTimes() (granted, end time.Time) {
	custody := v.custody
	if !v.request.renewsByRefreshToken() || custody.RefreshToken == "" || custody.Tokens == nil {
		return time.Time{}, time.Time{}
	}
	granted = custody.GrantedAt
	if told := v.request.imported.GrantedAt; !told.IsZero() && !told.After(v.now) && custody.Imported == v.request.imported.RefreshToken {
		granted = told // also when the user adds it later
	}
	platform := v.request.platform
	return granted, renewal.AuthorizationEnd(custody.AuthorizationExpiresAt, granted, custody.Tokens.IssuedAt,
		platform.AuthorizationLifetime, platform.AuthorizationSlides)
}

// invite keeps a link or a code waiting for as long as the account needs a person.
func (r *Reconciler) invite(ctx context.Context, f *found) error {
	f.invited = true
	switch {
	case !f.needsSignIn():
		r.devices.forgetPoll(f.account.UID)
		return nil
	case f.request.grant == v1alpha1.GrantDeviceCode:
		return r.inviteByCode(ctx, f)
	}
	return r.inviteByLink(ctx, f)
}

// inviteByLink keeps a ticket in force whose link the status shows. The marketplace is not asked for anything before
// somebody clicks.
func (r *Reconciler) inviteByLink(ctx context.Context, f *found) error {
	if r.Portal == "" {
		f.noPortal = true
		if standing := f.standing(); f.trouble == nil && standing != nil && standing.reason == v1alpha1.ReasonSignInRequired {
			f.trouble = &trouble{v1alpha1.ReasonPortalNotConfigured, standing.message}
		}
		return nil
	}
	if held := f.openTicket(r.shownTicket(f.account)); held != nil && !f.signInRequested() {
		f.invitation = &v1alpha1.SignInStatus{URL: f.account.Status.SignIn.URL, RedirectURI: r.callback(f.request)}
		f.invitation.ExpirationTime.Time = held.ExpiresAt
		return nil
	}
	store, err := r.openStore(ctx, f)
	if err != nil || store == nil {
		return err
	}
	requested := f.signInRequested()
	ticket, end, err := store.invite(ctx, signin.TicketLife, requested)
	if err != nil {
		return err
	}
	f.handledSignIn = requested
	f.invitation = &v1alpha1.SignInStatus{URL: r.Portal.Link(f.account.Namespace, f.account.Name, ticket), RedirectURI: r.callback(f.request)}
	f.invitation.ExpirationTime.Time = end
	return nil
}

// callback is the redirect URI to register for the application; empty where its Secret has one.
func (r *Reconciler) callback(req request) string {
	if req.application.RedirectURI != "" {
		return ""
	}
	return r.Portal.Callback(signin.CallbackName(req.platform.Name, req.platform.CallbackKey))
}

// shownTicket is the ticket of the link in the status, which is the only place where it is written; empty when the link
// leads elsewhere than to the portal.
func (r *Reconciler) shownTicket(account *v1alpha1.MarketplaceAccount) string {
	if shown := account.Status.SignIn; shown != nil && strings.HasPrefix(shown.URL, string(r.Portal)+signin.LinkPrefix) {
		return signin.TicketOf(shown.URL)
	}
	return ""
}

// openTicket returns the entry of a ticket that can be used; nil when there is none.
func (v view) openTicket(ticket string) *custody.Ticket {
	for i, held := range v.custody.SignIn.Tickets {
		if !held.Used && v.now.Before(held.ExpiresAt) && signin.Matches(held.Hash, ticket) {
			return &v.custody.SignIn.Tickets[i]
		}
	}
	return nil
}

// invite draws a ticket and stores it, with the request that it answers.
func (s *store) invite(ctx context.Context, life time.Duration, requested bool) (ticket string, end time.Time, err error) {
	if ticket, err = signin.NewSecret(s.Random); err != nil {
		return "", time.Time{}, err
	}
	kept := s.found.custody
	end = s.found.now.Add(life)
	kept.SignIn = kept.SignIn.WithTicket(custody.Ticket{Hash: signin.Hash(ticket), ExpiresAt: end}, s.found.now)
	if requested {
		kept.HandledSignIn = requestOf(s.found.account, v1alpha1.AnnotationSignIn)
		kept.SignIn.Requested = kept.HandledSignIn
	}
	return ticket, end, s.write(ctx, kept)
}

// visiting returns when the last person who went to the marketplace must be back; zero when nobody is there.
func (v view) visiting() time.Time {
	var last time.Time
	for _, visit := range v.custody.SignIn.Visits {
		if visit.Open(v.now) && visit.ExpiresAt.After(last) {
			last = visit.ExpiresAt
		}
	}
	return last
}

// howToSignIn ends a sentence about a sign-in that is needed.
func (f *found) howToSignIn() string {
	switch invitation := f.invitation; {
	case invitation == nil && f.signsIn() && f.custody.SignIn.Device == nil && f.custody.SignIn.Ended != nil:
		return f.whyNoCode()
	case invitation == nil && f.signsIn() && f.unattended():
		return fmt.Sprintf("; nobody used the last %d codes: annotate the account with %s=<anything new> for another", maxUnattended, v1alpha1.AnnotationSignIn)
	case invitation == nil && f.noPortal:
		return "; there is no page to start from: run the operator with --portal-url"
	case invitation == nil:
		return ""
	case invitation.UserCode != "":
		return fmt.Sprintf("; sign in at %s, check that it shows the code %s or enter it where it asks for one, before %s", invitation.URL, invitation.UserCode, clockTime(invitation.ExpirationTime.Time))
	default:
		return fmt.Sprintf("; sign in at %s before %s", invitation.URL, clockTime(invitation.ExpirationTime.Time))
	}
}

// whyNoCode says that the platform ends its codes early.
func (f *found) whyNoCode() string {
	ended := f.custody.SignIn.Ended
	text := fmt.Sprintf("; %s ended the code before it could be used", f.request.platform.DisplayName)
	if ended.Count > 1 {
		text = fmt.Sprintf("; %s ended each of the last %d codes before it could be used", f.request.platform.DisplayName, ended.Count)
	}
	text += " (" + ended.Why + ")"
	switch next := f.nextCode(); {
	case f.unattended():
		text += ": annotate the account with " + v1alpha1.AnnotationSignIn + "=<anything new> for another"
	case f.now.Before(next):
		text += ": the next one follows at " + clockTime(next)
	}
	return text
}

// moreScopes says that the spec asks for more than a person has consented to.
func (f *found) moreScopes() string {
	return "Nobody has consented to the scopes " + strings.Join(f.unconsented(), ", ") + " yet: the token is without them until a person signs in again"
}
