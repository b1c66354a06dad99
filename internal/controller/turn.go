package controller

import (
	"cmp"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/conditions"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/oauthclient"
	"github.com/tokenkeeper/tokenkeeper/internal/throttle"
)

const (
	// requestsAtOnce is how many requests of people an account has at once, and requestEvery when it gets another: renewals, tests and
	// sign-ins together. A person who presses a button never meets these bounds, and a loop of annotations costs a platform no more
	// than one call a minute for each account.
	requestsAtOnce = 3
	requestEvery   = time.Minute
)

// requestKinds are the annotations that count as requests.
var requestKinds = map[string]throttle.Request{v1alpha1.AnnotationRenew: 1, v1alpha1.AnnotationVerify: 2, v1alpha1.AnnotationSignIn: 4}

// newAllowance bounds what people ask for. It belongs to the name and not to the UID of an account: who makes an account anew gets no more.
func newAllowance(now func() time.Time, every time.Duration) *throttle.Allowance[types.NamespacedName] {
	return throttle.NewAllowance[types.NamespacedName](now, requestsAtOnce, cmp.Or(every, requestEvery))
}

// tryAcquire lets an account ask its marketplace, or returns nil, and what it waits for: then it is called later.
func (r *reconciler) tryAcquire(f facts.Facts, what lifecycle.Purpose, priority throttle.Priority) (*oauthclient.Permit, lifecycle.Outcome) {
	permit, wait := r.OAuth.TryAcquire(f, what, priority)
	if permit != nil {
		return permit, lifecycle.Outcome{}
	}
	outcome := lifecycle.Outcome{}
	if what == lifecycle.Renewing || what == lifecycle.Starting && f.NeedsNewGrant() {
		outcome = whyWaiting(f, wait)
	}
	outcome.Waits, outcome.TurnAt, outcome.WaitsSince = []lifecycle.Purpose{what}, wait.Until, wait.Since
	return nil, outcome
}

// whyWaiting tells people why an account waits, where it is not for its turn alone: then there is nothing to tell. Nothing of it
// changes while the account waits, since each change would be a write.
func whyWaiting(f facts.Facts, wait throttle.Wait) lifecycle.Outcome {
	if f.Failing() { // what it was told itself says more
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

// admitRequests lets requests of people through, as far as the account has any left. Others wait: the newest value of an annotation is
// acted on then, and stands for those that it replaced.
func (r *reconciler) admitRequests(f facts.Facts) facts.Facts {
	f.Deferred = nil
	deferred := map[string]time.Time{}
	for annotation, open := range map[string]bool{
		v1alpha1.AnnotationRenew: f.RenewalRequested(), v1alpha1.AnnotationVerify: f.TestRequested(), v1alpha1.AnnotationSignIn: f.SignsIn() && f.SignInRequested(),
	} {
		if !open {
			continue
		}
		if ok, next := r.requests.Admit(client.ObjectKeyFromObject(f.Account), requestKinds[annotation]); !ok {
			deferred[annotation] = next
		}
	}
	if len(deferred) > 0 {
		f.Deferred = deferred
	}
	return r.admitEdit(f)
}

// requestsDone tells which requests were acted on.
func (r *reconciler) requestsDone(l conditions.Look) {
	for annotation, done := range map[string]bool{
		v1alpha1.AnnotationRenew: l.HandledRenew, v1alpha1.AnnotationVerify: l.HandledVerify, v1alpha1.AnnotationSignIn: l.HandledSignIn,
	} {
		if done {
			r.requests.Done(client.ObjectKeyFromObject(l.Account), requestKinds[annotation])
		}
	}
}
