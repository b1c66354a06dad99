package oauthclient

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/metrics"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
	"github.com/tokenkeeper/tokenkeeper/internal/throttle"
)

const (
	// limitedFor is how long a platform is left alone that refuses requests as too many and does not say for how long, and
	// longestShared how long all accounts of a client are made to wait by an answer to one of them.
	limitedFor    = 10 * time.Second
	longestShared = 10 * time.Minute
)

// identities bound the identity requests to a host: all applications together, and by nothing but the workers that one host may occupy.
var identities = throttle.Limits{PerSecond: 1 << 20, Concurrency: 1 << 20}

// waiter is an account that waits for its turn at a marketplace.
type waiter struct {
	types.NamespacedName
	purpose lifecycle.Purpose
}

// newLimiters makes limiters at which namespaces take turns.
func newLimiters(now func() time.Time, perHost int) *throttle.Limiters[waiter] {
	return throttle.New(now, perHost, func(who waiter) string { return who.Namespace })
}

// LimiterOf names the limiter of an account's requests for tokens, and its limits by the Marketplace. Copies of one credential
// share a limiter. An account that knows no more than a client_id, which is public, does not stand in their way.
func (c *Client) LimiterOf(req facts.Request) (throttle.Key, throttle.Limits) {
	address := req.Platform.TokenURL
	if address == "" {
		address = req.Platform.Issuer
	}
	return throttle.Key{Host: facts.HostOf(address), ClientID: req.Application.ClientID, Credential: c.Digest(req.Application.ClientSecret)},
		throttle.Limits{PerSecond: req.Platform.RequestsPerSecond, Concurrency: req.Platform.Concurrency}
}

// TryAcquireToIdentify lets an account make its identity request, or returns nil and why not.
func (c *Client) TryAcquireToIdentify(v facts.Facts) (*throttle.Permit[waiter], throttle.Wait) {
	key := throttle.Key{Host: facts.HostOf(v.Request.Platform.IdentityURL())}
	return c.limiters.TryAcquire(key, identities, waiterOf(v.Account, lifecycle.Identifying), throttle.Priority{Class: throttle.Urgent, Due: v.Now})
}

func waiterOf(account *v1alpha1.MarketplaceAccount, what lifecycle.Purpose) waiter {
	return waiter{types.NamespacedName{Namespace: account.Namespace, Name: account.Name}, what}
}

// LeaveQueues gives up the places of an account that does not need them any more.
func (c *Client) LeaveQueues(account *v1alpha1.MarketplaceAccount, but ...lifecycle.Purpose) {
	for _, what := range []lifecycle.Purpose{lifecycle.Renewing, lifecycle.Polling, lifecycle.Starting, lifecycle.Revoking, lifecycle.Identifying} {
		if !slices.Contains(but, what) {
			c.limiters.Forget(waiterOf(account, what))
		}
	}
}

// Hosts returns the traffic with every host, as its limiters see it.
func (c *Client) Hosts() []metrics.Host {
	var all []metrics.Host
	for _, host := range c.limiters.Hosts() {
		all = append(all, metrics.Host{Name: host.Name, Waiting: host.Waiting, Underway: host.Underway, CircuitsOpen: host.Open})
	}
	return all
}

// Permit lets an account make one request for tokens.
type Permit struct{ held *throttle.Permit[waiter] }

// ReleaseUnused gives a permit back without which no request was made. After Release it does nothing.
func (p *Permit) ReleaseUnused() { p.held.ReleaseUnused() }

// Release gives the permit back after a request, with the failure that it ended with; nil for none.
func (p *Permit) Release(failure error) {
	if failure == nil {
		p.held.Release(throttle.Outcome{})
		return
	}
	e := answer.AsError(failure)
	outcome := throttle.Outcome{
		Unavailable: e.Kind == answer.Unavailable, Refused: e.Kind == answer.ApplicationRejected, RetryAfter: min(renewal.BoundRetryAfter(e.RetryAfter), longestShared),
	}
	if e.Kind == answer.Throttled && outcome.RetryAfter <= 0 {
		outcome.RetryAfter = limitedFor
	}
	p.held.Release(outcome)
}

// TryAcquire lets an account make a request for tokens, or returns nil, and the cause of its wait: then it is called later.
func (c *Client) TryAcquire(f facts.Facts, what lifecycle.Purpose, priority throttle.Priority) (*Permit, throttle.Wait) {
	key, limits := c.LimiterOf(f.Request)
	permit, wait := c.limiters.TryAcquire(key, limits, waiterOf(f.Account, what), priority)
	if permit == nil {
		return nil, wait
	}
	return &Permit{permit}, throttle.Wait{}
}

// OnTurn has accounts called when their turn comes. It is called before anything waits.
func (c *Client) OnTurn(call func(account types.NamespacedName, after time.Duration)) {
	c.limiters.OnTurn(func(who waiter, after time.Duration) { call(who.NamespacedName, after) })
}
