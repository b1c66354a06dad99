// Package oauthclient makes every request to a marketplace: for tokens with either client secret, device codes, identity and revocation. It
// counts them, lets accounts ask in their turn, and finds the meaning of answers without an error code. It stores nothing: the tokens that
// it returns may be the only copy.
package oauthclient

import (
	"encoding/binary"
	"hash/maphash"
	"net/http"
	"time"

	"k8s.io/utils/clock"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/accountmemory"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/metrics"
	"github.com/tokenkeeper/tokenkeeper/internal/openid"
	"github.com/tokenkeeper/tokenkeeper/internal/outgoing"
	"github.com/tokenkeeper/tokenkeeper/internal/throttle"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

// Options are the parts of a Client that its caller brings. All but CallTimeout and Memory are required.
type Options struct {
	// Clock tells the time.
	Clock clock.PassiveClock
	// Transport carries requests to marketplaces.
	Transport http.RoundTripper
	// Providers discovers issuers and verifies ID tokens.
	Providers *openid.Providers
	// Metrics counts requests.
	Metrics *metrics.Operations
	// PerHost is how many requests to one host may be under way; zero is taken for one.
	PerHost int
	// CallTimeout bounds one request; zero means timeouts.Call.
	CallTimeout time.Duration
	// Answered is told the answer to each request that names an application.
	Answered func(facts.Request, error)
	// Memory owns what is known of accounts; nil where none leaves.
	Memory *accountmemory.Owner
}

// Client makes requests to marketplaces. It may be used by many goroutines at once.
type Client struct {
	clock       clock.PassiveClock
	transport   http.RoundTripper
	providers   *openid.Providers
	metrics     *metrics.Operations
	limiters    *throttle.Limiters[waiter]
	callTimeout time.Duration
	answered    func(facts.Request, error)
	denials     denials
	skews       skews
	// seeds make digests: of two hashes, so that no two parts are taken for each other.
	seeds [2]maphash.Seed
}

// New returns a client.
func New(o Options) *Client {
	c := &Client{
		clock: o.Clock, transport: o.Transport, providers: o.Providers, metrics: o.Metrics, answered: o.Answered,
		limiters: newLimiters(o.Clock.Now, o.PerHost), callTimeout: o.CallTimeout, seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
	}
	c.denials.denied = accountmemory.New[*deniedApplications](o.Memory)
	if o.Memory != nil {
		o.Memory.OnForget(func(account *v1alpha1.MarketplaceAccount) { c.LeaveQueues(account) })
	}
	if c.callTimeout == 0 {
		c.callTimeout = timeouts.Call
	}
	return c
}

// CallTimeout bounds one request.
func (c *Client) CallTimeout() time.Duration { return c.callTimeout }

// client makes requests to a platform, in its dialect where they are OAuth requests.
func (c *Client) client(platform *marketplace.Platform, dialect bool) *http.Client {
	transport := c.transport
	if dialect {
		transport = platform.Dialect(dated{c.transport, c.clock, &c.skews}, c.clock.Now)
	}
	return outgoing.NewClient(transport, c.callTimeout)
}

// Digest stands for parts in memory, which cannot run into each other; empty where all of them are. It means nothing outside of this process.
func (c *Client) Digest(parts ...string) string {
	var digest [2 * 8]byte
	empty := true
	for i, seed := range c.seeds {
		var hash maphash.Hash
		hash.SetSeed(seed)
		for _, part := range parts {
			empty = empty && part == ""
			var size [8]byte
			binary.BigEndian.PutUint64(size[:], uint64(len(part)))
			_, _ = hash.Write(size[:]) // never fails
			_, _ = hash.WriteString(part)
		}
		binary.BigEndian.PutUint64(digest[8*i:], hash.Sum64())
	}
	if empty {
		return ""
	}
	return string(digest[:])
}
