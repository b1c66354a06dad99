package controller

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/grant"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
	"github.com/tokenkeeper/tokenkeeper/internal/throttle"
)

const (

	// shortestCode is how long a code has to work for a person to use it. One that ends before is the platform's fault.
	shortestCode = time.Minute
	// slowDown is what an answer of that name adds to the interval (RFC 8628 section 3.5).
	slowDown = 5 * time.Second
	// slowestPoll bounds the wait after polls that got no answer.
	slowestPoll = time.Minute
)

// poll is when to ask about a device code again, or for one. It lives in memory: after a restart a code is polled when its
// interval is over, since nobody knows when it was polled last.
type poll struct {
	code     string // empty while there is none
	next     time.Time
	wait     time.Duration // until next, when that was set
	interval time.Duration
	failures int32
	// unanswered tells that a poll was sent and had no answer, so that the code may have become tokens.
	unanswered bool
}

// after sets the next poll.
func (p *poll) after(wait time.Duration, now time.Time) {
	p.wait, p.next = wait, now.Add(wait)
}

// approval is what a device code has become, until it is stored: the only copy.
type approval struct {
	account *v1alpha1.MarketplaceAccount
	got     lifecycle.Issued
	asked   []string
}

// inviteByCode keeps a device code waiting, and asks the platform now and then whether the person has signed in. No worker
// waits for that.
func (r *Reconciler) inviteByCode(ctx context.Context, f *found) error {
	if f.CodeLives() && !f.SignInRequested() {
		if err := r.pollDevice(ctx, f); err != nil {
			return err
		}
	}
	if !f.NeedsSignIn() {
		return nil
	}
	if (!f.CodeLives() || f.SignInRequested()) && f.MayStartCode() && (f.Custody.SignIn.Device != nil || !f.Now.Before(r.pollState(f).next)) {
		if err := r.startDevice(ctx, f); err != nil {
			return err
		}
	}
	if f.CodeLives() {
		pending := f.Custody.SignIn.Device
		f.Invitation = &v1alpha1.SignInStatus{URL: pending.URL, UserCode: pending.UserCode}
		f.Invitation.ExpirationTime.Time = pending.ExpiresAt
	}
	return nil
}

// startDevice asks the platform for a device code and stores it.
func (r *Reconciler) startDevice(ctx context.Context, f *found) error {
	permit := r.tryAcquire(f, lifecycle.Starting, throttle.Priority{Class: throttle.Urgent, Due: f.Account.CreationTimestamp.Time})
	if permit == nil {
		return nil
	}
	defer permit.ReleaseUnused()
	store, err := r.openStore(ctx, f)
	if err != nil || store == nil {
		return err
	}
	requested := f.SignInRequested()
	kept := f.Custody
	kept.SignIn = kept.SignIn.Clone()
	signIn := &kept.SignIn
	switch {
	case requested:
		kept.HandledSignIn = lifecycle.RequestOf(f.Account, v1alpha1.AnnotationSignIn)
		signIn.Requested = kept.HandledSignIn
		*signIn = signIn.WithoutDevice()
	case signIn.Device != nil && signIn.Device.ExpiresAt.Sub(signIn.Device.StartedAt) < shortestCode:
		*signIn = signIn.WithEndedCode(f.Now, fmt.Sprintf("it was good for %s", signIn.Device.ExpiresAt.Sub(signIn.Device.StartedAt)))
		return store.write(ctx, kept)
	case signIn.Device != nil:
		signIn.Ended = nil
		if signIn.Unattended++; signIn.Unattended >= lifecycle.MaxUnattended {
			signIn.Device, signIn.Requested = nil, ""
			return store.write(ctx, kept)
		}
	}
	signIn.Device = nil
	r.sends(f)
	code, failure := r.askForCode(ctx, f.Facts)
	release(permit, failure)
	if failure != nil {
		return r.noCode(ctx, f, store, kept, failure, requested)
	}
	signIn.Device = &custody.Device{
		Code:            code.Code,
		UserCode:        code.UserCode,
		URL:             code.URL,
		ExpiresAt:       code.ExpiresAt.UTC().Truncate(time.Second),
		StartedAt:       f.Now.UTC().Truncate(time.Second),
		IntervalSeconds: int64(code.Interval / time.Second),
		ClientID:        f.Request.Application.ClientID,
		Asked:           slices.Clone(f.Request.Platform.Scopes),
	}
	if code.CompleteURL != "" {
		signIn.Device.URL = code.CompleteURL
	}
	if refused := signIn.Refused; refused != nil && reasons.Of(refused.Reason).Subject != reasons.Seller {
		signIn.Refused = nil
	}
	if err := store.write(ctx, kept); err != nil {
		return err
	}
	f.HandledSignIn = requested
	return nil
}

// noCode records why there is no device code: once, since each attempt would be a write.
func (r *Reconciler) noCode(ctx context.Context, f *found, store *store, kept custody.Custody, failure error, requested bool) error {
	why, _ := lifecycle.FailureOf(f.Facts, failure)
	e := answer.AsError(failure)
	state := r.pollState(f)
	state.failures++
	retry := renewal.RetryAt(f.Now, state.failures, renewal.Spread(string(f.Account.UID)), 0)
	state.after(max(retry.Sub(f.Now), renewal.BoundRetryAfter(e.RetryAfter)), f.Now)
	state.code = ""
	r.devices.setPoll(f.Account.UID, state)
	if f.NeedsNewGrant() {
		f.Attempted, f.Failure = true, &why
	}
	refused := store.signInRefusal(&kept, why)
	refused.Tries = f.TriedAgain(kept.SignIn.Refused, why.Reason)
	if was := kept.SignIn.Refused; refused.Tries == 0 && was != nil && was.Reason == refused.Reason && was.Message == refused.Message &&
		slices.Equal(was.Digests, refused.Digests) && (!was.Versioned() || was.Inputs == refused.Inputs) {
		refused = was
	}
	kept.SignIn.Refused = refused
	if refused == f.Custody.SignIn.Refused && f.Custody.SignIn.Device == nil && !requested {
		return nil
	}
	if err := store.write(ctx, kept); err != nil {
		return err
	}
	f.HandledSignIn = requested
	r.askAgain(f)
	return nil
}

func (r *Reconciler) askForCode(ctx context.Context, v lifecycle.Facts) (answer.DeviceCode, error) {
	endpoint, err := r.endpoint(ctx, v.Request, v1alpha1.GrantDeviceCode)
	if err != nil {
		return answer.DeviceCode{}, err
	}
	platform := v.Request.Platform
	address, err := r.signInEndpoint(ctx, platform, "device authorization endpoint", platform.DeviceAuthorizationURL,
		func(e grant.Endpoints) string { return e.DeviceAuthorization })
	if err != nil {
		return answer.DeviceCode{}, err
	}
	var code answer.DeviceCode
	_, err = r.withBothSecrets(v, endpoint, func(endpoint grant.Endpoint) (err error) {
		code, err = endpoint.StartDevice(ctx, address, platform.Scopes)
		return err
	})
	return code, err
}

// pollDevice asks, when it is time to, whether the person has signed in.
func (r *Reconciler) pollDevice(ctx context.Context, f *found) error {
	state := r.pollState(f)
	if f.Now.Before(state.next) {
		return nil
	}
	permit := r.tryAcquire(f, lifecycle.Polling, throttle.Priority{Class: throttle.Background, Due: state.next})
	if permit == nil {
		return nil
	}
	defer permit.ReleaseUnused()
	done, ok := r.grants.Spend()
	if !ok {
		return nil // a shutdown begins
	}
	defer done()
	endpoint, failure := r.endpoint(ctx, f.Request, v1alpha1.GrantDeviceCode)
	if failure == nil {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("polling: %w", err)
		}
		// From here on a shutdown waits: the code is used up by an answer that brings tokens.
		ctx = context.WithoutCancel(ctx)
		pending := f.Custody.SignIn.Device
		var got lifecycle.Issued
		got, failure = r.exchange(f.Facts, endpoint, func(endpoint grant.Endpoint) (answer.Tokens, error) {
			return endpoint.Device(ctx, pending.Code)
		})
		release(permit, failure)
		if failure == nil {
			r.devices.setApproval(f.Account.UID, &approval{account: f.Account.DeepCopy(), got: got, asked: pending.Asked})
			return r.storeApproval(ctx, f)
		}
	}
	return r.notYet(ctx, f, state, answer.AsError(failure))
}

// notYet does what an answer without tokens asks for.
func (r *Reconciler) notYet(ctx context.Context, f *found, state poll, e *answer.Error) error {
	wait := state.interval
	state.unanswered = e.OutcomeUnknown || state.unanswered && e.Kind != answer.Pending && e.Kind != answer.SlowDown
	switch e.Kind {
	case answer.Pending:
		state.failures = 0
	case answer.SlowDown:
		state.failures = 0
		state.interval += slowDown
		wait = state.interval
	case answer.ConsentDenied, answer.CodeExpired, answer.ApplicationRejected, answer.ScopeRejected, answer.InvalidRequest, answer.GrantRejected:
		return r.endDevice(ctx, f, e)
	default: // RFC 8628 section 3.5 wants fewer polls after a failure
		state.failures++
		wait = max(min(state.interval<<min(state.failures, 6), slowestPoll), renewal.BoundRetryAfter(e.RetryAfter))
	}
	// The last poll comes just before the code ends: later there would be no time for another.
	left := f.Custody.SignIn.Device.ExpiresAt.Add(-time.Second).Sub(f.Now)
	if wait < left && left < wait+state.interval {
		wait = left
	}
	state.after(wait, f.Now)
	r.devices.setPoll(f.Account.UID, state)
	return nil
}

// endDevice forgets a device code that will not become tokens. One that expired before its time makes room for another; a
// refusal waits for somebody.
func (r *Reconciler) endDevice(ctx context.Context, f *found, e *answer.Error) error {
	store, err := r.openStore(ctx, f)
	if err != nil || store == nil || f.Custody.SignIn.Device == nil {
		return err
	}
	custody := f.Custody
	custody.SignIn = custody.SignIn.Clone()
	switch e.Kind {
	case answer.CodeExpired:
		if ended := *custody.SignIn.Device; f.Now.Sub(ended.StartedAt) < ended.ExpiresAt.Sub(ended.StartedAt)/2 {
			custody.SignIn = custody.SignIn.WithEndedCode(f.Now, e.Error())
		} else {
			ended.ExpiresAt = f.Now // which makes room for another, and counts this one as unattended
			custody.SignIn.Device = &ended
		}
		return store.write(ctx, custody)
	case answer.ConsentDenied:
		why := lifecycle.Declined(f.Facts)
		custody.SignIn.Refused = store.signInRefusal(&custody, why)
		f.blameNewGrant(&why)
	default:
		why, _ := lifecycle.FailureOf(f.Facts, e)
		custody.SignIn.Refused = store.signInRefusal(&custody, why)
		f.blameNewGrant(&why)
	}
	custody.SignIn.Device, custody.SignIn.Requested = nil, ""
	return store.write(ctx, custody)
}

// blameNewGrant makes the trouble with a sign-in the account's, where it has no other grant.
func (f *found) blameNewGrant(t *lifecycle.Failure) {
	if f.NeedsNewGrant() {
		f.Failure = t
	}
}

// storeApproval stores what a device code has become, and learns whose it is. While it cannot be stored it waits in memory.
func (r *Reconciler) storeApproval(ctx context.Context, f *found) error {
	approved := r.devices.approval(f.Account.UID)
	if approved == nil {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	f.inHand = true
	defer func() { f.inHand = false }()
	store, err := r.openStore(ctx, f)
	if err != nil || store == nil {
		return err
	}
	f.Failure, f.Attempted = nil, false
	unverified, failure := true, error(nil)
	if f.NewerCustody() == nil {
		unverified, failure = r.vet(ctx, f.Request, approved.got, "")
	}
	if failure != nil {
		r.devices.setApproval(f.Account.UID, nil)
		return r.endDevice(ctx, f, answer.AsError(failure))
	}
	if err := store.consented(ctx, approved.got, approved.asked, unverified); err != nil {
		return err
	}
	r.devices.setApproval(f.Account.UID, nil)
	r.devices.forgetPoll(f.Account.UID)
	if f.Rejected || f.NewerCustody() != nil {
		return nil
	}
	return r.identify(ctx, f, store)
}

// pollState is what is known of the polling for the code at hand.
func (r *Reconciler) pollState(f *found) poll {
	pending := f.Custody.SignIn.Device
	code := ""
	if pending != nil {
		code = pending.Code
	}
	if state, ok := r.devices.poll(f.Account.UID); ok && state.code == code {
		if state.next.Sub(f.Now) > state.wait { // the clock was set back
			state.after(state.wait, f.Now)
			r.devices.setPoll(f.Account.UID, state)
		}
		return state
	}
	state := poll{code: code, interval: slowDown}
	if pending != nil {
		if pending.IntervalSeconds > 0 {
			state.interval = time.Duration(pending.IntervalSeconds) * time.Second
		}
		state.after(state.interval, f.Now)
	}
	r.devices.setPoll(f.Account.UID, state)
	return state
}

// codeUnanswered tells that the device code at hand may have become tokens.
func (r *Reconciler) codeUnanswered(f *found) bool {
	state, ok := r.devices.poll(f.Account.UID)
	return ok && f.Custody.SignIn.Device != nil && state.code == f.Custody.SignIn.Device.Code && state.unanswered
}

// nextInvitation is when the invitation needs attention again; zero when it does not.
func (r *Reconciler) nextInvitation(f *found) time.Time {
	if f.Unresolved || !f.NeedsSignIn() {
		return time.Time{}
	}
	look := f.VisitUntil()
	if f.Invitation != nil {
		look = renewal.Earliest(look, f.Invitation.ExpirationTime.Time)
	}
	if f.Request.Grant == v1alpha1.GrantDeviceCode {
		look = renewal.Earliest(look, lifecycle.Ahead(f.NotBefore(), f.Now), lifecycle.Ahead(f.NextCode(), f.Now))
		if f.CodeLives() || f.MayStartCode() {
			next := r.pollState(f).next
			if next.IsZero() {
				next = f.Now
			}
			look = renewal.Earliest(look, next)
		}
	}
	return look
}
