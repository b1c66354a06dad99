package openid

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/sync/singleflight"
	"k8s.io/utils/lru"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/redact"
)

// Providers discovers OpenID Connect issuers (OIDC Discovery 1.0) and verifies ID tokens. It fetches an
// issuer's document once a day, and its keys when an unknown one appears. It may be used by many goroutines
// at once.
type Providers struct {
	// HTTP fetches documents and keys.
	HTTP *http.Client
	// Now is the clock.
	Now func() time.Time

	fetches  singleflight.Group
	mu       sync.Mutex
	byIssuer *lru.Cache // holds discovered
}

type discovered struct {
	document
	keySet *keySet
	at     time.Time
}

// Discover returns the endpoints that an issuer's document names. Its error is an *answer.Error.
func (p *Providers) Discover(ctx context.Context, issuer string) (Endpoints, error) {
	found, err := p.provider(ctx, issuer)
	return found.Endpoints, err
}

// Verify checks an ID token: signature, issuer, audience, authorized party and expiry, and that it was made for the sign-in with this
// nonce, unless that is empty (OIDC Core section 3.1.3.7). An ID token that has expired by our clock may be good by the issuer's, which is behind ours by
// delay. Its error is an *answer.Error.
func (p *Providers) Verify(ctx context.Context, issuer, clientID, idToken, nonce string, delay time.Duration) error {
	found, err := p.provider(ctx, issuer)
	if err != nil {
		return err
	}
	signature := &signature{keys: found.keySet}
	verify := func(at time.Time) (*oidc.IDToken, error) {
		config := oidc.Config{ClientID: clientID, Now: func() time.Time { return at }, SupportedSigningAlgs: found.algorithms}
		return oidc.NewVerifier(issuer, signature, &config).Verify(ctx, idToken)
	}
	token, err := verify(p.leniently())
	if _, expired := errors.AsType[*oidc.TokenExpiredError](err); expired && delay > 0 {
		token, err = verify(p.leniently().Add(-delay))
	}
	switch {
	case err == nil:
	case errors.Is(signature.unfetched, errKeysAddress): // waiting does not mend that
		return &answer.Error{Kind: answer.Malformed, Message: "the ID token cannot be verified: " + signature.unfetched.Error()}
	case signature.unfetched != nil:
		return &answer.Error{Kind: answer.Unavailable, Message: "the ID token cannot be verified: the issuer's keys cannot be fetched: " + signature.unfetched.Error()}
	default:
		return &answer.Error{Kind: answer.Malformed, Message: "the ID token cannot be verified: " + redact.Description(err.Error(), []string{idToken})}
	}
	if nonce != "" && subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(nonce)) != 1 {
		return &answer.Error{Kind: answer.Malformed, Message: "the ID token was made for another sign-in"}
	}
	if !isAuthorizedParty(token, clientID) {
		return &answer.Error{Kind: answer.Malformed, Message: "the ID token was made for another application (claims aud and azp)"}
	}
	return nil
}

// isAuthorizedParty tells whether an ID token that names the application among its audiences was made for it: azp, if there is one, names it,
// and there is one where there are other audiences (OIDC Core section 3.1.3.7, numbers 3 to 5).
func isAuthorizedParty(token *oidc.IDToken, clientID string) bool {
	var claims struct {
		AuthorizedParty *string `json:"azp"`
	}
	if token.Claims(&claims) != nil {
		return false
	}
	if claims.AuthorizedParty == nil {
		return len(token.Audience) == 1
	}
	return *claims.AuthorizedParty == clientID
}

// clockLeeway is how far the issuer's clock and ours may differ.
const clockLeeway = time.Minute

// leniently is the time by which an ID token ends.
func (p *Providers) leniently() time.Time { return p.Now().Add(-clockLeeway) }

// provider returns an issuer's document and keys. Its error is an *answer.Error.
func (p *Providers) provider(ctx context.Context, issuer string) (discovered, error) {
	now := p.Now()
	held, ok := p.known(issuer)
	if ok && !hasPassed(discoveryLife, held.at, now) {
		return held, nil
	}
	// All accounts of an issuer may want its document at once, and one fetch serves them.
	fetched, err, _ := p.fetches.Do(issuer, func() (any, error) { return p.discover(context.WithoutCancel(ctx), issuer) })
	switch {
	case err == nil:
		held.document, held.at = fetched.(document), now
	case ok: // yesterday's document is better than none
		held.at = now.Add(rediscoverAfter - discoveryLife)
	default:
		return discovered{}, err
	}
	return p.remember(issuer, held), nil
}

// known returns what is remembered of an issuer.
func (p *Providers) known(issuer string) (discovered, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lookUp(issuer)
}

// remember keeps a document of an issuer with the keys at the address that it names, and returns both.
func (p *Providers) remember(issuer string, held discovered) discovered {
	p.mu.Lock()
	defer p.mu.Unlock()
	if latest, ok := p.lookUp(issuer); ok && latest.keySet.address == held.keys {
		held.keySet = latest.keySet // another call may have come first
	} else {
		held.keySet = &keySet{address: held.keys, fetch: p.fetchKeys, now: p.Now}
	}
	p.byIssuer.Add(issuer, held)
	return held
}

// lookUp is for holders of the lock.
func (p *Providers) lookUp(issuer string) (discovered, bool) {
	if p.byIssuer == nil {
		p.byIssuer = lru.New(mostIssuers)
	}
	held, ok := p.byIssuer.Get(issuer)
	if !ok {
		return discovered{}, false
	}
	return held.(discovered), true
}
