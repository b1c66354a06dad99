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
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
	"github.com/tokenkeeper/tokenkeeper/internal/throttle"
)

const (
	// maxUnattended is how many codes in a row are made that nobody uses: enough for a night, where a platform's codes
	// live an hour. After the last one a person has to ask for another.
	maxUnattended = 12
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
	got     issued
	asked   []string
}

// inviteByCode keeps a device code waiting, and asks the platform now and then whether the person has signed in. No worker
// waits for that.
func (r *Reconciler) inviteByCode(ctx context.Context, f *found) error {
	if f.codeLives() && !f.signInRequested() {
		if err := r.pollDevice(ctx, f); err != nil {
			return err
		}
	}
	if !f.needsSignIn() {
		return nil
	}
	if (!f.codeLives() || f.signInRequested()) && f.mayStartDevice() && (f.custody.SignIn.Device != nil || !f.now.Before(r.pollState(f).next)) {
		if err := r.startDevice(ctx, f); err != nil {
			return err
		}
	}
	if f.codeLives() {
		pending := f.custody.SignIn.Device
		f.invitation = &v1alpha1.SignInStatus{URL: pending.URL, UserCode: pending.UserCode}
		f.invitation.ExpirationTime.Time = pending.ExpiresAt
	}
	return nil
}

// codeLives tells whether there is a device code that a person can use.
func (v view) codeLives() bool {
	pending := v.custody.SignIn.Device
	return v.fits(pending) && v.now.Before(pending.ExpiresAt)
}

// fits tells whether a device code asks for what the spec says.
func (v view) fits(pending *custody.Device) bool {
	return pending != nil && pending.ClientID == v.request.application.ClientID && slices.Equal(pending.Asked, v.request.platform.Scopes)
}

// mayStartDevice tells whether to ask for a device code now: not when nobody used the last ones, when a person declined, or
// when only a change can help, unless somebody asks for it.
func (v view) mayStartDevice() bool {
	if v.signInRequested() {
		return true
	}
	if v.unattended() || v.now.Before(v.notBefore()) || v.now.Before(v.nextCode()) || v.now.Before(v.editWaits) {
		return false
	}
	refused := v.signInRefused()
	if refused == nil {
		return true
	}
	switch refused.Reason {
	case v1alpha1.ReasonAccountMismatch, v1alpha1.ReasonMarketplaceUnavailable, v1alpha1.ReasonRateLimited:
		return true
	}
	return false
}

// unattended tells that as many codes were made as should be while nobody uses them, or can.
func (v view) unattended() bool {
	signIn := v.custody.SignIn
	return signIn.Device == nil && (signIn.Unattended >= maxUnattended || signIn.Ended != nil && signIn.Ended.Count >= maxUnattended)
}

// nextCode is when to ask for a code after those that the platform has ended early: at once after the first, which may have been
// used up by an answer that was lost, and then with growing waits. It is zero where there are none.
func (v view) nextCode() time.Time {
	ended := v.custody.SignIn.Ended
	if ended == nil || ended.Count < 2 {
		return time.Time{}
	}
	return renewal.RetryAt(ended.At, int32(min(ended.Count, maxUnattended)), renewal.Spread(string(v.account.UID)), 0)
}

// startDevice asks the platform for a device code and stores it.
func (r *Reconciler) startDevice(ctx context.Context, f *found) error {
	pass := r.enter(f, starting, throttle.Rank{Class: throttle.Urgent, Due: f.account.CreationTimestamp.Time})
	if pass == nil {
		return nil
	}
	defer unused(pass)
	store, err := r.openStore(ctx, f)
	if err != nil || store == nil {
		return err
	}
	requested := f.signInRequested()
	kept := f.custody
	kept.SignIn = kept.SignIn.Clone()
	signIn := &kept.SignIn
	switch {
	case requested:
		kept.HandledSignIn = requestOf(f.account, v1alpha1.AnnotationSignIn)
		signIn.Requested = kept.HandledSignIn
		*signIn = signIn.WithoutDevice()
	case signIn.Device != nil && signIn.Device.ExpiresAt.Sub(signIn.Device.StartedAt) < shortestCode:
		*signIn = signIn.WithEndedCode(f.now, fmt.Sprintf("it was good for %s", signIn.Device.ExpiresAt.Sub(signIn.Device.StartedAt)))
		return store.write(ctx, kept)
	case signIn.Device != nil:
		signIn.Ended = nil
		if signIn.Unattended++; signIn.Unattended >= maxUnattended {
			signIn.Device, signIn.Requested = nil, ""
			return store.write(ctx, kept)
		}
	}
	signIn.Device = nil
	r.sends(f)
	code, failure := r.askForCode(ctx, f.view)
	leave(pass, failure)
	if failure != nil {
		return r.noCode(ctx, f, store, kept, failure, requested)
	}
	signIn.Device = &custody.Device{
		Code:            code.Code,
		UserCode:        code.UserCode,
		URL:             code.URL,
		ExpiresAt:       code.ExpiresAt.UTC().Truncate(time.Second),
		StartedAt:       f.now.UTC().Truncate(time.Second),
		IntervalSeconds: int64(code.Interval / time.Second),
		ClientID:        f.request.application.ClientID,
		Asked:           slices.Clone(f.request.platform.Scopes),
	}
	if code.CompleteURL != "" {
		signIn.Device.URL = code.CompleteURL
	}
	if refused := signIn.Refused; refused != nil && refused.Reason != v1alpha1.ReasonAccountMismatch {
		signIn.Refused = nil
	}
	if err := store.write(ctx, kept); err != nil {
		return err
	}
	f.handledSignIn = requested
	return nil
}

// noCode records why there is no device code: once, since each attempt would be a write.
func (r *Reconciler) noCode(ctx context.Context, f *found, store *store, kept custody.Custody, failure error, requested bool) error {
	why, _ := troubleOf(f.view, failure)
	e := answer.AsError(failure)
	state := r.pollState(f)
	state.failures++
	retry := renewal.RetryAt(f.now, state.failures, renewal.Spread(string(f.account.UID)), 0)
	state.after(max(retry.Sub(f.now), renewal.BoundRetryAfter(e.RetryAfter)), f.now)
	state.code = ""
	r.devices.setPoll(f.account.UID, state)
	if f.needsNewGrant() {
		f.failed, f.trouble = true, &why
	}
	refused := store.signInRefusal(&kept, why)
	refused.Tries = f.triedAgain(kept.SignIn.Refused, why.reason)
	if was := kept.SignIn.Refused; refused.Tries == 0 && was != nil && was.Reason == refused.Reason && was.Message == refused.Message &&
		slices.Equal(was.Digests, refused.Digests) && (!was.Versioned() || was.Inputs == refused.Inputs) {
		refused = was
	}
	kept.SignIn.Refused = refused
	if refused == f.custody.SignIn.Refused && f.custody.SignIn.Device == nil && !requested {
		return nil
	}
	if err := store.write(ctx, kept); err != nil {
		return err
	}
	f.handledSignIn = requested
	r.askAgain(f)
	return nil
}

func (r *Reconciler) askForCode(ctx context.Context, v view) (answer.DeviceCode, error) {
	endpoint, err := r.endpoint(ctx, v.request, v1alpha1.GrantDeviceCode)
	if err != nil {
		return answer.DeviceCode{}, err
	}
	platform := v.request.platform
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
	if f.now.Before(state.next) {
		return nil
	}
	pass := r.enter(f, polling, throttle.Rank{Class: throttle.Background, Due: state.next})
	if pass == nil {
		return nil
	}
	defer unused(pass)
	done, ok := r.grants.Spend()
	if !ok {
		return nil // a shutdown begins
	}
	defer done()
	endpoint, failure := r.endpoint(ctx, f.request, v1alpha1.GrantDeviceCode)
	if failure == nil {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("polling: %w", err)
		}
		// From here on a shutdown waits: the code is used up by an answer that brings tokens.
		ctx = context.WithoutCancel(ctx)
		pending := f.custody.SignIn.Device
		var got issued
		got, failure = r.exchange(ctx, f.view, endpoint, func(endpoint grant.Endpoint) (answer.Tokens, error) {
			return endpoint.Device(ctx, pending.Code)
		})
		leave(pass, failure)
		if failure == nil {
			r.devices.setApproval(f.account.UID, &approval{account: f.account.DeepCopy(), got: got, asked: pending.Asked})
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
	left := f.custody.SignIn.Device.ExpiresAt.Add(-time.Second).Sub(f.now)
	if wait < left && left < wait+state.interval {
		wait = left
	}
	state.after(wait, f.now)
	r.devices.setPoll(f.account.UID, state)
	return nil
}

// endDevice forgets a device code that will not become tokens. One that expired before its time makes room for another; a
// refusal waits for somebody.
func (r *Reconciler) endDevice(ctx context.Context, f *found, e *answer.Error) error {
	store, err := r.openStore(ctx, f)
	if err != nil || store == nil || f.custody.SignIn.Device == nil {
		return err
	}
	custody := f.custody
	custody.SignIn = custody.SignIn.Clone()
	switch e.Kind {
	case answer.CodeExpired:
		if ended := *custody.SignIn.Device; f.now.Sub(ended.StartedAt) < ended.ExpiresAt.Sub(ended.StartedAt)/2 {
			custody.SignIn = custody.SignIn.WithEndedCode(f.now, e.Error())
		} else {
			ended.ExpiresAt = f.now // which makes room for another, and counts this one as unattended
			custody.SignIn.Device = &ended
		}
		return store.write(ctx, custody)
	case answer.ConsentDenied:
		why := declined(f.view)
		custody.SignIn.Refused = store.signInRefusal(&custody, why)
		f.blameNewGrant(&why)
	default:
		why, _ := troubleOf(f.view, e)
		custody.SignIn.Refused = store.signInRefusal(&custody, why)
		f.blameNewGrant(&why)
	}
	custody.SignIn.Device, custody.SignIn.Requested = nil, ""
	return store.write(ctx, custody)
}

// blameNewGrant makes the trouble with a sign-in the account's, where it has no other grant.
func (f *found) blameNewGrant(t *trouble) {
	if f.needsNewGrant() {
		f.trouble = t
	}
}

func declined(v view) trouble {
	again := "" // a link follows
	if v.request.grant == v1alpha1.GrantDeviceCode {
		again = "; annotate the account with " + v1alpha1.AnnotationSignIn + "=<anything new> for another code"
	}
	return trouble{v1alpha1.ReasonSignInRequired, fmt.Sprintf("The last sign-in at %s was declined there%s", v.request.platform.DisplayName, again)}
}

// storeApproval stores what a device code has become, and learns whose it is. While it cannot be stored it waits in memory.
func (r *Reconciler) storeApproval(ctx context.Context, f *found) error {
	approved := r.devices.approval(f.account.UID)
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
	f.trouble, f.failed = nil, false
	unverified, failure := true, error(nil)
	if f.newer() == nil {
		unverified, failure = r.vet(ctx, f.request, approved.got, "")
	}
	if failure != nil {
		r.devices.setApproval(f.account.UID, nil)
		return r.endDevice(ctx, f, answer.AsError(failure))
	}
	if err := store.consented(ctx, approved.got, approved.asked, unverified); err != nil {
		return err
	}
	r.devices.setApproval(f.account.UID, nil)
	r.devices.forgetPoll(f.account.UID)
	if f.discarded || f.newer() != nil {
		return nil
	}
	return r.identify(ctx, f, store)
}

// pollState is what is known of the polling for the code at hand.
func (r *Reconciler) pollState(f *found) poll {
	pending := f.custody.SignIn.Device
	code := ""
	if pending != nil {
		code = pending.Code
	}
	if state, ok := r.devices.poll(f.account.UID); ok && state.code == code {
		if state.next.Sub(f.now) > state.wait { // the clock was set back
			state.after(state.wait, f.now)
			r.devices.setPoll(f.account.UID, state)
		}
		return state
	}
	state := poll{code: code, interval: slowDown}
	if pending != nil {
		if pending.IntervalSeconds > 0 {
			state.interval = time.Duration(pending.IntervalSeconds) * time.Second
		}
		state.after(state.interval, f.now)
	}
	r.devices.setPoll(f.account.UID, state)
	return state
}

// codeUnanswered tells that the device code at hand may have become tokens.
func (r *Reconciler) codeUnanswered(f *found) bool {
	state, ok := r.devices.poll(f.account.UID)
	return ok && f.custody.SignIn.Device != nil && state.code == f.custody.SignIn.Device.Code && state.unanswered
}

// nextInvitation is when the invitation needs attention again; zero when it does not.
func (r *Reconciler) nextInvitation(f *found) time.Time {
	if f.unresolved || !f.needsSignIn() {
		return time.Time{}
	}
	look := f.visiting()
	if f.invitation != nil {
		look = renewal.Earliest(look, f.invitation.ExpirationTime.Time)
	}
	if f.request.grant == v1alpha1.GrantDeviceCode {
		look = renewal.Earliest(look, ahead(f.notBefore(), f.now), ahead(f.nextCode(), f.now))
		if f.codeLives() || f.mayStartDevice() {
			next := r.pollState(f).next
			if next.IsZero() {
				next = f.now
			}
			look = renewal.Earliest(look, next)
		}
	}
	return look
}
