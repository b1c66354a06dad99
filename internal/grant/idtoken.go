package grant

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/sync/singleflight"
)

const (
	// discoveryLife is how long a discovery document is used before it is fetched again.
	discoveryLife = 24 * time.Hour
	// rediscoverAfter is when that is tried again after it failed.
	rediscoverAfter = 10 * time.Minute
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
	byIssuer map[string]discovered
}

type discovered struct {
	provider *oidc.Provider
	at       time.Time
}

// Endpoints are what an issuer's document names; empty where it does not.
type Endpoints struct {
	Authorization       string `json:"authorization_endpoint"`
	DeviceAuthorization string `json:"device_authorization_endpoint"`
	Token               string `json:"token_endpoint"`
	Revocation          string `json:"revocation_endpoint"`
	// IssuerParameter tells that every callback names the issuer, so that one without it is forged (RFC 9207 section 2.4).
	IssuerParameter bool `json:"authorization_response_iss_parameter_supported"`
}

// Discover returns the endpoints that an issuer's document names. Its error is an *Error.
func (p *Providers) Discover(ctx context.Context, issuer string) (Endpoints, error) {
	provider, err := p.provider(ctx, issuer)
	if err != nil {
		return Endpoints{}, err
	}
	var endpoints Endpoints
	if err := provider.Claims(&endpoints); err != nil {
		return Endpoints{}, &Error{Kind: Malformed, Message: "the issuer's discovery document cannot be read"}
	}
	return endpoints, nil
}

// Verify checks an ID token: signature, issuer, audience and expiry, and that it was made for the sign-in with this nonce,
// unless that is empty (OIDC Core section 3.1.3.7). Its error is an *Error.
func (p *Providers) Verify(ctx context.Context, issuer, clientID, idToken, nonce string) error {
	provider, err := p.provider(ctx, issuer)
	if err != nil {
		return err
	}
	// Verifier, and not VerifierContext, keeps the keys from one call to the next.
	verifier := provider.Verifier(&oidc.Config{ClientID: clientID, Now: p.Now})
	token, err := verifier.Verify(ctx, idToken)
	switch {
	case err == nil:
	case strings.Contains(err.Error(), "fetching keys"): // go-oidc wraps it in text; what follows may be somebody's page
		return &Error{Kind: Unavailable, Message: "the ID token cannot be verified: the issuer's keys cannot be fetched"}
	default:
		return &Error{Kind: Malformed, Message: "the ID token cannot be verified: " + cleanDescription(err.Error(), []string{idToken})}
	}
	if nonce != "" && subtle.ConstantTimeCompare([]byte(token.Nonce), []byte(nonce)) != 1 {
		return &Error{Kind: Malformed, Message: "the ID token was made for another sign-in"}
	}
	return nil
}

func (p *Providers) provider(ctx context.Context, issuer string) (*oidc.Provider, error) {
	now := p.Now()
	p.mu.Lock()
	held, ok := p.byIssuer[issuer]
	p.mu.Unlock()
	if ok && now.Sub(held.at) < discoveryLife {
		return held.provider, nil
	}
	// All accounts of an issuer may want its document at once, and one fetch serves them.
	fetched, err, _ := p.fetches.Do(issuer, func() (any, error) {
		return oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), wholeAnswers(p.HTTP)), issuer)
	})
	switch {
	case err == nil:
		held = discovered{provider: fetched.(*oidc.Provider), at: now}
	case ok: // yesterday's document is better than none
		held.at = now.Add(rediscoverAfter - discoveryLife)
	default:
		return nil, undiscovered(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byIssuer == nil {
		p.byIssuer = map[string]discovered{}
	}
	p.byIssuer[issuer] = held
	return held.provider, nil
}

// undiscovered describes a discovery that failed.
func undiscovered(err error) *Error {
	if other, ok := errors.AsType[*oidc.IssuerMismatchError](err); ok {
		return &Error{Kind: Malformed, Message: fmt.Sprintf("the issuer %q calls itself %q; the two must be the same letter by letter",
			other.Provided, bounded(other.Discovered, maxDescription))}
	}
	if _, ok := errors.AsType[*url.Error](err); ok {
		return &Error{Kind: Unavailable, Message: "discovering the issuer: " + attempt{}.whyUnreachable(err)}
	}
	return &Error{Kind: Unavailable, Message: "discovering the issuer: " + cleanDescription(err.Error(), nil)}
}
