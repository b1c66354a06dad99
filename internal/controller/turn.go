package controller

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/metrics"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
	"github.com/tokenkeeper/tokenkeeper/internal/throttle"
)

const (
	// limitedFor is how long a platform is left alone that refuses requests as too many and does not say for how long, and
	// longestShared how long all accounts of a client are made to wait for what one of them was told.
	limitedFor    = 10 * time.Second
	longestShared = 10 * time.Minute
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

// Priorities in the work queue. What users do has 0, and what the operator finds when it starts has less than all of these.
// They are set anew each time, since the queue would keep the one that an account was first seen with.
const (
	priorityCalled    = 10 // it holds a place that others wait for
	priorityScheduled = -10
)

// identities bound the identity requests to a host: all applications together, and by nothing but the workers that one host may occupy.
var identities = throttle.Limits{PerSecond: 1 << 20, Concurrency: 1 << 20}

// waiter is an account that waits for its turn at a marketplace.
type waiter struct {
	types.NamespacedName
	purpose lifecycle.Purpose
}

// caller puts accounts into a work queue when their turn comes.
func caller(queue workqueue.TypedRateLimitingInterface[reconcile.Request]) func(types.NamespacedName, time.Duration, int) {
	return func(who types.NamespacedName, after time.Duration, priority int) {
		request := reconcile.Request{NamespacedName: who}
		if ranked, ok := queue.(priorityqueue.PriorityQueue[reconcile.Request]); ok {
			ranked.AddWithOpts(priorityqueue.AddOpts{After: after, Priority: &priority}, request)
			return
		}
		queue.AddAfter(request, after)
	}
}

// newLimiters makes limiters at which namespaces take turns.
func newLimiters(now func() time.Time, perHost int) *throttle.Limiters[waiter] {
	return throttle.New(now, perHost, func(who waiter) string { return who.Namespace })
}

// limiterOf names the limiter of an account's requests for tokens, and says what its Marketplace lets through there. Copies of one credential
// share a limiter. An account that knows no more than a client_id, which is public, does not stand in their way.
func (r *Reconciler) limiterOf(req lifecycle.Request) (throttle.Key, throttle.Limits) {
	address := req.Platform.TokenURL
	if address == "" {
		address = req.Platform.Issuer
	}
	return throttle.Key{Host: lifecycle.HostOf(address), ClientID: req.Application.ClientID, Credential: r.digest(req.Application.ClientSecret)},
		throttle.Limits{PerSecond: req.Platform.RequestsPerSecond, Concurrency: req.Platform.Concurrency}
}

// digest stands for a secret in memory; empty for none.
func (r *Reconciler) digest(secret string) string {
	if secret == "" {
		return ""
	}
	mac := hmac.New(sha256.New, r.digestKey)
	_, _ = mac.Write([]byte(secret)) // never fails
	return string(mac.Sum(nil))
}

// tryAcquireToIdentify lets an account ask whose its access token is, or returns nil and why not.
func (r *Reconciler) tryAcquireToIdentify(v lifecycle.Facts) (*throttle.Permit[waiter], throttle.Wait) {
	key := throttle.Key{Host: lifecycle.HostOf(v.Request.Platform.IdentityURL())}
	return r.Limiters.TryAcquire(key, identities, waiterOf(v.Account, lifecycle.Identifying), throttle.Priority{Class: throttle.Urgent, Due: v.Now})
}

// whose asks whose an access token is; the permit may be nil.
func (r *Reconciler) whose(ctx context.Context, v lifecycle.Facts, accessToken string, permit *throttle.Permit[waiter]) (marketplace.Identity, error) {
	platform := v.Request.Platform
	identity, err := platform.Identify(ctx, r.client(platform, false), accessToken)
	if permit == nil {
		return identity, err
	}
	outcome := throttle.Outcome{}
	if answer, ok := errors.AsType[*marketplace.IdentityError](err); ok {
		outcome.Unavailable = answer.Unanswered()
		if answer.Status == http.StatusTooManyRequests {
			outcome.RetryAfter = limitedFor
		}
	}
	permit.Release(outcome)
	return identity, err
}

// unasked is why nobody was asked whose an access token is.
func unasked(wait throttle.Wait) *marketplace.IdentityError {
	if wait.Cause == throttle.LeftAlone {
		return marketplace.NotAsked("the marketplace wants no more requests for a while")
	}
	return marketplace.NotAsked("the marketplace did not answer the last requests of several accounts")
}

// tryAcquire lets an account ask its marketplace, or returns nil: then it is called later.
func (r *Reconciler) tryAcquire(f *found, what lifecycle.Purpose, priority throttle.Priority) *throttle.Permit[waiter] {
	key, limits := r.limiterOf(f.Request)
	permit, wait := r.Limiters.TryAcquire(key, limits, waiterOf(f.Account, what), priority)
	if permit == nil {
		f.Waits = append(f.Waits, what)
		f.TurnAt = renewal.Earliest(f.TurnAt, wait.Until)
		f.WaitsSince = renewal.Earliest(f.WaitsSince, wait.Since)
		if what == lifecycle.Renewing || what == lifecycle.Starting && f.NeedsNewGrant() {
			f.explain(wait)
		}
	}
	return permit
}

func waiterOf(account *v1alpha1.MarketplaceAccount, what lifecycle.Purpose) waiter {
	return waiter{types.NamespacedName{Namespace: account.Namespace, Name: account.Name}, what}
}

// leaveQueues gives up the places of an account that does not need them any more.
func (r *Reconciler) leaveQueues(account *v1alpha1.MarketplaceAccount, but ...lifecycle.Purpose) {
	for _, what := range []lifecycle.Purpose{lifecycle.Renewing, lifecycle.Polling, lifecycle.Starting, lifecycle.Revoking, lifecycle.Identifying} {
		if !slices.Contains(but, what) {
			r.Limiters.Forget(waiterOf(account, what))
		}
	}
}

// explain tells people why an account waits, where it is not for its turn alone: then there is nothing to tell. Nothing of it
// changes while the account waits, since each change would be a write.
func (f *found) explain(wait throttle.Wait) {
	name := f.Request.Platform.DisplayName
	f.LimiterClosed = f.Failure == nil && !f.Failing() && wait.Cause != throttle.Turn
	switch {
	case f.Failing(): // what it was told itself says more
	case wait.Cause == throttle.NoAnswer:
		f.Note(&lifecycle.Failure{Reason: v1alpha1.ReasonMarketplaceUnavailable, Message: fmt.Sprintf("%s did not answer the last requests of several accounts; "+
			"now and then one asks again, and the others follow once it is answered", name)})
	case wait.Cause == throttle.LeftAlone:
		f.Note(&lifecycle.Failure{Reason: v1alpha1.ReasonRateLimited, Message: fmt.Sprintf("%s has had too many requests of this application and wants no more for a while", name)})
	}
}

// hosts tells what goes on at the limiters.
func (r *Reconciler) hosts() []metrics.Host {
	var all []metrics.Host
	for _, host := range r.Limiters.Hosts() {
		all = append(all, metrics.Host{Name: host.Name, Waiting: host.Waiting, Underway: host.Underway, CircuitsOpen: host.Open})
	}
	return all
}

// priorityOf is how pressing new tokens are: first the ones that replace a token which is about to end or has ended, then the ones that a person
// waits for, and the rest in the order in which they fell due.
func priorityOf(v lifecycle.Facts) throttle.Priority {
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
func (r *Reconciler) admitRequests(f *found) {
	f.Deferred = nil
	defer r.admitEdit(f)
	for annotation, open := range map[string]bool{
		v1alpha1.AnnotationRenew: f.RenewalRequested(), v1alpha1.AnnotationVerify: f.TestRequested(), v1alpha1.AnnotationSignIn: f.SignsIn() && f.SignInRequested(),
	} {
		if !open {
			continue
		}
		if ok, next := r.requests.Admit(client.ObjectKeyFromObject(f.Account), requestKinds[annotation]); !ok {
			if f.Deferred == nil {
				f.Deferred = map[string]time.Time{}
			}
			f.Deferred[annotation] = next
		}
	}
}

// requestsDone tells which requests were acted on.
func (r *Reconciler) requestsDone(f *found) {
	for annotation, done := range map[string]bool{
		v1alpha1.AnnotationRenew: f.HandledRenew, v1alpha1.AnnotationVerify: f.HandledVerify, v1alpha1.AnnotationSignIn: f.HandledSignIn,
	} {
		if done {
			r.requests.Done(client.ObjectKeyFromObject(f.Account), requestKinds[annotation])
		}
	}
}

// release gives a permit back after a request.
func release(permit *throttle.Permit[waiter], failure error) {
	if failure == nil {
		permit.Release(throttle.Outcome{})
		return
	}
	e := answer.AsError(failure)
	outcome := throttle.Outcome{
		Unavailable: e.Kind == answer.Unavailable, Refused: e.Kind == answer.ApplicationRejected, RetryAfter: min(renewal.BoundRetryAfter(e.RetryAfter), longestShared),
	}
	if e.Kind == answer.Throttled && outcome.RetryAfter <= 0 {
		outcome.RetryAfter = limitedFor
	}
	permit.Release(outcome)
}
