package oauthclient

import (
	"context"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/failures"
	"github.com/tokenkeeper/tokenkeeper/internal/grant"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/openid"
	"github.com/tokenkeeper/tokenkeeper/internal/outgoing"
	"github.com/tokenkeeper/tokenkeeper/internal/room"
)

// Endpoint is where to ask, discovered where the Marketplace leaves it to its issuer. speaking is the grant of the request,
// for which the platform's error codes have a meaning.
func (c *Client) Endpoint(ctx context.Context, req facts.Request, speaking v1alpha1.GrantType) (grant.Endpoint, error) {
	endpoint := grant.Endpoint{
		TokenURL:     req.Platform.TokenURL,
		ClientID:     req.Application.ClientID,
		ClientSecret: req.Application.ClientSecret,
		HTTP:         c.client(req.Platform, true),
		Now:          c.clock.Now,
		Meaning: func(code string, status int) (answer.Kind, bool) {
			reason, ok := req.Platform.Means(code, status, speaking)
			return failures.KindOf(reason), ok
		},
		SingleUse: req.Rotates() && req.Platform.ReuseGrace < c.callTimeout,
	}
	if endpoint.TokenURL == "" {
		discovered, err := c.discover(ctx, req.Platform.Issuer)
		if err != nil {
			return endpoint, err
		}
		if endpoint.TokenURL = discovered.Token; endpoint.TokenURL == "" {
			return endpoint, &answer.Error{Kind: answer.InvalidRequest, Message: "the issuer's discovery document names no token endpoint"}
		}
		if err := outgoing.CheckURL(endpoint.TokenURL); err != nil {
			return endpoint, &answer.Error{Kind: answer.InvalidRequest, Message: "the issuer's discovery document: " + err.Error()}
		}
	}
	return endpoint, nil
}

// SignInEndpoint is where a sign-in begins: the address that the Marketplace gives, or the one that its issuer names.
func (c *Client) SignInEndpoint(
	ctx context.Context, platform *marketplace.Platform, what, given string, named func(openid.Endpoints) string,
) (string, error) {
	address := given
	if address == "" && platform.Issuer != "" {
		discovered, err := c.discover(ctx, platform.Issuer)
		if err != nil {
			return "", err
		}
		address = named(discovered)
	}
	if address == "" {
		return "", &answer.Error{Kind: answer.InvalidRequest, Message: "neither the Marketplace nor its issuer names the " + what}
	}
	if err := outgoing.CheckURL(address); err != nil {
		return "", &answer.Error{Kind: answer.InvalidRequest, Message: "the " + what + ": " + err.Error()}
	}
	return address, nil
}

// Revocation is the outcome of revoking a grant.
type Revocation int

const (
	// Revoked: it has ended.
	Revoked Revocation = iota
	// MayStillRevoke: the revocation failed in a way that may pass.
	MayStillRevoke
	// CannotRevoke: it will not end before its time.
	CannotRevoke
)

// RevocationAddress is where grants are revoked; empty when there is no such place, and then why.
func (c *Client) RevocationAddress(ctx context.Context, req facts.Request) (address, why string, outcome Revocation) {
	address = req.Platform.RevocationURL
	if address == "" && req.Platform.Issuer != "" {
		discovered, err := c.discover(ctx, req.Platform.Issuer)
		if err != nil {
			return "", err.Error(), MayStillRevoke
		}
		address = discovered.Revocation
		if address != "" && outgoing.CheckURL(address) != nil {
			return "", "the issuer's discovery document names a revocation endpoint without TLS", CannotRevoke
		}
	}
	if address == "" {
		return "", req.Platform.DisplayName + " has no revocation endpoint; remove the application's access there", CannotRevoke
	}
	return address, "", Revoked
}

// WireGrant is the grant that a request of the account speaks on the wire.
func WireGrant(req facts.Request) v1alpha1.GrantType {
	if req.RenewsByRefreshToken() {
		return v1alpha1.GrantRefreshToken
	}
	return req.Grant
}

// discover returns what an issuer says of itself.
func (c *Client) discover(ctx context.Context, issuer string) (openid.Endpoints, error) {
	defer room.StepOut(ctx)()
	return c.providers.Discover(ctx, issuer)
}

// AnswersNameIssuer tells whether an issuer names itself in its callbacks (RFC 9207 section 3).
func (c *Client) AnswersNameIssuer(ctx context.Context, issuer string) (bool, error) {
	discovered, err := c.discover(ctx, issuer)
	return err == nil && discovered.IssuerParameter, err
}
