package controller

import (
	"context"
	"fmt"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/conditions"
	"github.com/tokenkeeper/tokenkeeper/internal/driver"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/invitation"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/throttle"
)

const (
	// slowDown is added to the interval by an answer of that name (RFC 8628 section 3.5).
	slowDown = 5 * time.Second
	// slowestPoll bounds the wait after polls that got no answer.
	slowestPoll = time.Minute
)

// offerLink makes a link by which a person signs in, and keeps its ticket. The marketplace is not asked for anything before
// a person opens the link.
func (r *reconciler) offerLink(ctx context.Context, l driver.Look) (driver.Look, error) {
	if l.Link == "" {
		return l.With(lifecycle.WithoutPortal(l.Facts)), nil
	}
	l, due, err := r.Confirm(ctx, l, lifecycle.OfferLink)
	if err != nil || !due {
		return l, err
	}
	ticket, err := signin.NewSecret(r.Random)
	if err != nil {
		return l, err
	}
	change, end := lifecycle.AfterOffer(l.Facts, ticket, signin.TicketLife, l.SignInRequested())
	if l, err = r.Apply(ctx, l, change); err != nil {
		return l, err
	}
	if l.LinksInSecret {
		return r.tokens.Offer(l, ticket), nil
	}
	address := r.portal.Link(l.Account.Namespace, l.Account.Name, ticket)
	return l.With(lifecycle.Outcome{Invitation: invitation.Link(&l.Facts, address, end)}), nil
}

// startCode asks the platform for a device code and stores it.
func (r *reconciler) startCode(ctx context.Context, l driver.Look) (driver.Look, error) {
	permit, waits := r.tryAcquire(l.Facts, lifecycle.Starting, throttle.Priority{Class: throttle.Urgent, Due: l.Account.CreationTimestamp.Time})
	if permit == nil {
		return l.With(waits), nil
	}
	defer permit.ReleaseUnused()
	l, due, err := r.Confirm(ctx, l, lifecycle.StartCode)
	if err != nil || !due {
		return l, err
	}
	if kept, ask := lifecycle.BeforeCode(l.Facts); !ask {
		return r.Apply(ctx, l, lifecycle.Keep(kept))
	}
	r.sends(&l)
	code, failure := r.OAuth.DeviceCode(ctx, l.Facts)
	permit.Release(failure)
	if failure == nil {
		return r.Apply(ctx, l, lifecycle.AfterCode(l.Facts, code))
	}
	state := r.pollState(l.Facts)
	state.failures++
	state.code = ""
	state.after(lifecycle.NextCodeAfter(l.Facts, state.failures, failure), l.Now)
	r.devices.setPoll(l.Account.UID, state)
	return r.Apply(ctx, l, lifecycle.AfterNoCode(l.Facts, failure))
}

// poll asks whether the person has approved the device code. No worker waits for that.
func (r *reconciler) poll(ctx context.Context, l driver.Look) (driver.Look, error) {
	state := r.pollState(l.Facts)
	permit, waits := r.tryAcquire(l.Facts, lifecycle.Polling, throttle.Priority{Class: throttle.Background, Due: state.next})
	if permit == nil {
		return l.With(waits), nil
	}
	defer permit.ReleaseUnused()
	done, ok := r.grants.Spend()
	if !ok {
		return l, nil // a shutdown begins
	}
	defer done()
	endpoint, failure := r.OAuth.Endpoint(ctx, l.Request, v1alpha1.GrantDeviceCode)
	if failure == nil {
		if err := ctx.Err(); err != nil {
			return l, fmt.Errorf("polling: %w", err)
		}
		// From here on a shutdown waits: the code is used up by an answer that brings tokens.
		ctx = context.WithoutCancel(ctx)
		code := l.Custody.SignIn.Device
		var got lifecycle.Issued
		got, failure = r.OAuth.PolledTokens(ctx, l.Facts, endpoint, code.Code)
		permit.Release(failure)
		if failure == nil {
			r.devices.setApproval(l.Account.UID, &approval{account: l.Account.DeepCopy(), got: got, asked: code.Asked})
			return r.storeApproval(ctx, l)
		}
	}
	return r.afterPoll(ctx, l, state, answer.AsError(failure))
}

// afterPoll acts on an answer without tokens: it sets the next poll, or ends the code.
func (r *reconciler) afterPoll(ctx context.Context, l driver.Look, state poll, e *answer.Error) (driver.Look, error) {
	wait := state.interval
	state.unanswered = e.OutcomeUnknown || state.unanswered && e.Kind != answer.Pending && e.Kind != answer.SlowDown
	switch {
	case !e.Passes():
		return r.endCode(ctx, l, e)
	case e.Kind == answer.Pending:
		state.failures = 0
	case e.Kind == answer.SlowDown:
		state.failures = 0
		state.interval += slowDown
		wait = state.interval
	default: // RFC 8628 section 3.5 wants fewer polls after a failure
		state.failures++
		wait = max(min(state.interval<<min(state.failures, 6), slowestPoll), renewal.BoundRetryAfter(e.RetryAfter))
	}
	// The last poll comes just before the code ends: later there would be no time for another.
	left := l.Custody.SignIn.Device.ExpiresAt.Add(-time.Second).Sub(l.Now)
	if wait < left && left < wait+state.interval {
		wait = left
	}
	state.after(wait, l.Now)
	r.devices.setPoll(l.Account.UID, state)
	return r.WithMemory(l), nil
}

// endCode forgets a device code that will not become tokens.
func (r *reconciler) endCode(ctx context.Context, l driver.Look, e *answer.Error) (driver.Look, error) {
	l, err := r.ReadLive(ctx, l, false)
	if err != nil || l.Unresolved || l.Custody.SignIn.Device == nil {
		return l, err
	}
	return r.Apply(ctx, l, lifecycle.AfterEndedCode(l.Facts, e))
}

// storeApproval stores the tokens of an approved device code. While they cannot be stored they wait in memory.
func (r *reconciler) storeApproval(ctx context.Context, l driver.Look) (driver.Look, error) {
	approved := r.devices.approval(l.Account.UID)
	if approved == nil {
		return r.WithMemory(l), nil
	}
	ctx = context.WithoutCancel(ctx)
	l, err := r.ReadLive(ctx, l, true)
	if err != nil || l.Unresolved {
		return l, err
	}
	unverified, failure := true, error(nil)
	if l.NewerCustody() == nil {
		unverified, failure = r.OAuth.CheckIDToken(ctx, l.Request, approved.got, approved.asked, "")
	}
	if failure != nil {
		r.devices.setApproval(l.Account.UID, nil)
		return r.endCode(ctx, l, answer.AsError(failure))
	}
	l, err = r.Apply(ctx, l, lifecycle.AfterConsent(l.Facts, lifecycle.Consent{Issued: approved.got, Asked: approved.asked, Unverified: unverified}))
	if err != nil {
		return l, err
	}
	r.devices.setApproval(l.Account.UID, nil)
	r.devices.forgetPoll(l.Account.UID)
	if l.NewerCustody() != nil {
		return r.storeInHand(ctx, l)
	}
	return r.WithMemory(l), nil
}

// pollState is the state of the polling for the code at hand.
func (r *reconciler) pollState(f facts.Facts) poll {
	code := f.Custody.SignIn.Device
	name := ""
	if code != nil {
		name = code.Code
	}
	if state, ok := r.devices.poll(f.Account.UID); ok && state.code == name {
		if state.next.Sub(f.Now) > state.wait { // the clock was set back
			state.after(state.wait, f.Now)
			r.devices.setPoll(f.Account.UID, state)
		}
		return state
	}
	state := poll{code: name, interval: slowDown}
	if code != nil {
		if code.IntervalSeconds > 0 {
			state.interval = time.Duration(code.IntervalSeconds) * time.Second
		}
		state.after(state.interval, f.Now)
	}
	r.devices.setPoll(f.Account.UID, state)
	return state
}

// codeUnanswered tells that the device code at hand may have become tokens.
func (r *reconciler) codeUnanswered(f facts.Facts) bool {
	state, ok := r.devices.poll(f.Account.UID)
	return ok && f.Custody.SignIn.Device != nil && state.code == f.Custody.SignIn.Device.Code && state.unanswered
}

// nextInvitation is when the invitation needs attention again; zero when it does not.
func (r *reconciler) nextInvitation(l conditions.Look) time.Time {
	if l.Unresolved || !l.NeedsSignIn() {
		return time.Time{}
	}
	next := l.VisitUntil()
	if l.Invitation != nil {
		next = renewal.Earliest(next, l.Invitation.ExpirationTime.Time)
	}
	if l.Request.Grant == v1alpha1.GrantDeviceCode {
		next = renewal.Earliest(next, renewal.Ahead(l.NotBefore(), l.Now), renewal.Ahead(l.NextCode(), l.Now))
		if l.CodeLives() || l.MayStartCode() && l.PlaceTaken == "" {
			poll := r.pollState(l.Facts).next
			if poll.IsZero() {
				poll = l.Now
			}
			next = renewal.Earliest(next, poll)
		}
	}
	return next
}
