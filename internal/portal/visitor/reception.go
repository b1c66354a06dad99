package visitor

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/netip"
	"regexp"

	"github.com/go-logr/logr"
	"golang.org/x/sync/semaphore"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/internal/clustertokens"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

// SessionCookie holds the visitor's bearer token itself: every replica can answer, and a token that is revoked
// ends the session.
const SessionCookie = "__Host-tokenkeeper-session"

// bearerToken is the syntax of a token (RFC 6750 section 2.1). Any other text cannot be a token, nor a cookie's value.
var bearerToken = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

// Options are the clients and settings of a Reception. All but ClusterDocument and TrustedProxies are required.
type Options struct {
	// Kube creates TokenReviews and SubjectAccessReviews, by which the API server tells of visitors and their rights.
	Kube client.Writer
	// ClusterDocument reads a document that the API server publishes about the tokens that it issues, by its path. Without it,
	// and where the API server does not tell, every token is reviewed.
	ClusterDocument func(ctx context.Context, path string) ([]byte, error)
	// TrustedProxies are the addresses of proxies that are believed when they tell a visitor's address in X-Forwarded-For.
	TrustedProxies []netip.Prefix
	// Clock tells the time.
	Clock clock.PassiveClock
	// Log takes failures, and never a credential.
	Log logr.Logger
}

// Reception receives visitors: it recognises them by their tokens, finds out about their rights, and keeps each of them within
// bounds. It is safe for concurrent use.
type Reception struct {
	kube    client.Writer
	clock   clock.PassiveClock
	access  *access
	reviews reviews
	// keys recognises the tokens that the cluster has signed. subjects limits such tokens that it does not honour any more, by
	// their ServiceAccount; tokens and links limit all other wrong tokens and links, by their address. Tokens beyond that limit
	// wait in doubtful.
	keys           *clustertokens.Keys
	subjects       *limiter[string]
	tokens, links  *limiter[netip.Prefix]
	doubtful       *slowLane
	trustedProxies []netip.Prefix
	lists          *room
	unread         *semaphore.Weighted
}

// New returns a Reception that has seen no visitor yet.
func New(o Options) *Reception {
	return &Reception{
		kube: o.Kube, clock: o.Clock, trustedProxies: o.TrustedProxies,
		access:   newAccess(o.Kube, o.Clock),
		reviews:  reviews{good: newRecent[tokenKey, *reviewed](maxReviews)},
		keys:     &clustertokens.Keys{Read: o.ClusterDocument, Clock: o.Clock, Log: o.Log},
		subjects: newLimiter[string](o.Clock, tokenFailures, maxSubjects),
		tokens:   newLimiter[netip.Prefix](o.Clock, tokenFailures, maxAddresses),
		links:    newLimiter[netip.Prefix](o.Clock, linkFailures, maxAddresses),
		doubtful: newSlowLane(o.Clock),
		lists:    &room{places: make(chan struct{}, maxLists), patience: timeouts.List},
		unread:   semaphore.NewWeighted(maxUnreadBytes),
	}
}

// Of returns the visitor that sent a request, by the cookie of their session. Its error is the Refusal None without such a
// cookie, Ended where the token in it is refused, or an error of Recognise that is no Refusal.
func (c *Reception) Of(r *http.Request) (*Visitor, error) {
	cookie, err := r.Cookie(SessionCookie)
	if err != nil || cookie.Value == "" {
		return nil, None
	}
	who, err := c.Recognise(r, cookie.Value)
	if _, refused := errors.AsType[Refusal](err); refused {
		return nil, Ended
	}
	return who, err
}

// Recognise returns the visitor with the token that a request brings, as the API server reviews it. Its error may be a Refusal, a
// *LimitedError or a *ClusterError.
func (c *Reception) Recognise(r *http.Request, token string) (*Visitor, error) {
	switch {
	case token == "":
		return nil, Missing
	case len(token) > MaxToken:
		return nil, TooLong
	case !bearerToken.MatchString(token):
		return nil, Malformed
	}
	who := &Visitor{token: token, key: sha256.Sum256([]byte(token))}
	known := c.reviews.of(who.key)
	now := c.clock.Now()
	if known != nil && now.Sub(known.at) >= 0 && now.Sub(known.at) < reviewLife {
		who.user = known.user
		return who, nil
	}
	done := func(bool) {}
	if known == nil { // a token that was good before is no guess, so it does not wait behind guesses
		var err error
		if done, err = c.admit(r, token); err != nil {
			return nil, err
		}
	}
	user, err := review(r.Context(), c.kube, token)
	done(err == nil && user == nil)
	switch {
	case err != nil:
		return nil, err
	case user == nil:
		if known != nil {
			c.reviews.put(who.key, nil)
		}
		return nil, Refused
	}
	c.reviews.put(who.key, &reviewed{user: *user, at: now})
	who.user = *user
	return who, nil
}

// admit lets a token pass that was not seen before; the caller calls done with the result of its review. A token that cannot be
// good costs the API server nothing. One that the cluster has signed does not wait for strangers.
func (c *Reception) admit(r *http.Request, token string) (done func(failed bool), err error) {
	judged, subject := c.keys.Judge(r.Context(), token)
	switch judged {
	case clustertokens.Forged:
		return nil, Refused
	case clustertokens.Signed: // and perhaps revoked since
		admitted, within := c.subjects.admit(subject)
		if !within {
			return nil, &LimitedError{anotherFailure}
		}
		return admitted, nil
	}
	// Any other may be right too, for behind a proxy everybody has one address: where too many were wrong, it is looked at more
	// slowly.
	admitted, within := c.tokens.admit(addressOf(r, c.trustedProxies))
	if !within {
		if err := c.doubtful.wait(r.Context()); err != nil {
			return nil, err
		}
	}
	return admitted, nil
}

// GuessedLink counts a link that cannot have been given to anybody. Its error is a *LimitedError once there were too many.
func (c *Reception) GuessedLink(r *http.Request) error {
	if wait := c.links.fail(addressOf(r, c.trustedProxies)); wait > 0 {
		return &LimitedError{wait}
	}
	return nil
}

// Enter waits until a page with a list can be made for a visitor: one for each visitor at a time, and a few altogether. The caller
// leaves, as often as it likes. Its error may be a *BusyError.
func (c *Reception) Enter(ctx context.Context, who *Visitor) (leave func(), err error) {
	own, err := c.access.of(who).pages.enter(ctx)
	if err != nil {
		return nil, err
	}
	place, err := c.lists.enter(ctx)
	if err != nil {
		own()
		return nil, err
	}
	return func() { place(); own() }, nil
}

// Send counts a page of a size that is written to a visitor, who may read slowly. The caller calls sent in the end. Its error is a *BusyError.
func (c *Reception) Send(who *Visitor, size int) (sent func(), err error) {
	own := c.access.of(who).unread
	select {
	case own <- struct{}{}:
	default:
		return nil, &BusyError{timeouts.List}
	}
	if !c.unread.TryAcquire(int64(size)) {
		<-own
		return nil, &BusyError{timeouts.List}
	}
	return func() { c.unread.Release(int64(size)); <-own }, nil
}

// MayAct asks the API server whether a visitor may press the buttons of an account now. Its error may be a *BusyError: of one who presses too
// many.
func (c *Reception) MayAct(ctx context.Context, who *Visitor, account types.NamespacedName) (bool, error) {
	return c.access.may(ctx, who, account)
}

// Visible returns the accounts that a visitor may see. more tells that some accounts were not asked about.
func (c *Reception) Visible(ctx context.Context, who *Visitor, accounts []types.NamespacedName) (visible Permitted, more bool, err error) {
	return c.access.which(ctx, who, toSee, accounts)
}

// Actable returns the accounts of which a visitor may press the buttons, as far as the API server was asked about them.
func (c *Reception) Actable(ctx context.Context, who *Visitor, accounts []types.NamespacedName) (Permitted, error) {
	may, _, err := c.access.which(ctx, who, toAct, accounts)
	return may, err
}
