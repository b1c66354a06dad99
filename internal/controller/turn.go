package controller

import (
	"fmt"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/oauthclient"
	"github.com/tokenkeeper/tokenkeeper/internal/throttle"
)

// tryAcquire returns a permit to ask the marketplace, or nil and an outcome that says what the account waits for: then it is called later.
func (r *reconciler) tryAcquire(f facts.Facts, what lifecycle.Purpose, priority throttle.Priority) (*oauthclient.Permit, lifecycle.Outcome) {
	permit, wait := r.OAuth.TryAcquire(f, what, priority)
	if permit != nil {
		return permit, lifecycle.Outcome{}
	}
	outcome := lifecycle.Outcome{}
	if what == lifecycle.Renewing || what == lifecycle.Starting && f.NeedsNewGrant() {
		outcome = whyWaiting(f, wait)
	}
	outcome.Waits, outcome.WaitsSince = []lifecycle.Purpose{what}, wait.Since
	if wait.Called {
		outcome.TurnAt = wait.Until
	}
	return nil, outcome
}

// whyWaiting tells people why an account waits, where it is not for its turn alone: then there is nothing to tell. Nothing of it
// changes while the account waits, since each change would be a write.
func whyWaiting(f facts.Facts, wait throttle.Wait) lifecycle.Outcome {
	if f.Failing() { // its own failure says more
		return lifecycle.Outcome{}
	}
	outcome := lifecycle.Outcome{LimiterClosed: wait.Cause != throttle.Turn}
	name := f.Request.Platform.DisplayName
	switch wait.Cause {
	case throttle.NoAnswer:
		outcome.Failure = &facts.Failure{Reason: v1alpha1.ReasonMarketplaceUnavailable, Message: fmt.Sprintf("%s did not answer the last requests of several accounts; "+
			"now and then one asks again, and the others follow once it is answered", name)}
	case throttle.LeftAlone:
		outcome.Failure = &facts.Failure{Reason: v1alpha1.ReasonRateLimited, Message: fmt.Sprintf("%s has had too many requests of this application and wants no more for a while", name)}
	}
	return outcome
}

// priorityOf is how pressing new tokens are: first the ones that replace a token which is about to end or has ended, then the ones that a person
// waits for, and the rest in the order in which they fell due.
func priorityOf(v facts.Facts) throttle.Priority {
	priority := throttle.Priority{Class: throttle.Scheduled, Asked: v.RenewalRequested(), Patience: v.LongestWait(v.Now)}
	tokens := v.Custody.Tokens
	switch limit := v.GraceLimit(); {
	case !limit.IsZero() && !v.Now.Before(limit):
		priority.Class, priority.Due = throttle.Ending, v.Journal().StartedAt.Add(v.Grace())
	case tokens != nil && !v.Now.Before(v.LastMinutes()):
		priority.Class, priority.Due = throttle.Ending, tokens.ExpiresAt
	case priority.Asked, v.Edited, v.Account.Status.ObservedGeneration == 0:
		priority.Class, priority.Due = throttle.Urgent, v.Account.CreationTimestamp.Time
	case v.Failing():
		priority.Due = v.RetryAt()
	case tokens == nil, v.Changed():
		priority.Class, priority.Due = throttle.Urgent, v.Account.CreationTimestamp.Time
	default:
		priority.Due = tokens.RenewAt
	}
	return priority
}
