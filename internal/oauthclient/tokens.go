package oauthclient

import (
	"context"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/grant"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/metrics"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
	"github.com/tokenkeeper/tokenkeeper/internal/room"
)

// Tokens asks the marketplace for tokens. It stores nothing, and makes no other call: the returned tokens may be the
// only copy.
func (c *Client) Tokens(ctx context.Context, leave Leave, endpoint grant.Endpoint) (lifecycle.Issued, error) {
	f := *leave.facts
	refused := 0 // client secrets
	return c.exchange(ctx, f, endpoint, func(endpoint grant.Endpoint) (answer.Tokens, error) {
		switch f.Request.Grant {
		case v1alpha1.GrantPassword:
			return endpoint.Password(ctx, f.Request.Login.Username, f.Request.Login.Password, f.Request.Platform.Scopes)
		case v1alpha1.GrantClientCredentials:
			return endpoint.ClientCredentials(ctx, f.Request.Platform.Scopes)
		}
		if refused > 0 && leave.isLate(c.clock.Now(), refused) {
			return answer.Tokens{}, &answer.Error{Kind: answer.Unavailable, Message: "one of two client secrets was refused, and it was too late to send the other"}
		}
		refused++
		return endpoint.RefreshToken(ctx, f.RefreshToken())
	})
}

// PolledTokens asks for the tokens of a device code (RFC 8628 section 3.4).
func (c *Client) PolledTokens(ctx context.Context, f facts.Facts, endpoint grant.Endpoint, code string) (lifecycle.Issued, error) {
	return c.exchange(ctx, f, endpoint, func(endpoint grant.Endpoint) (answer.Tokens, error) { return endpoint.Device(ctx, code) })
}

// CodeTokens exchanges an authorization code (RFC 6749 section 4.1.3). A person waits, so it takes no turn, and is counted.
func (c *Client) CodeTokens(ctx context.Context, f facts.Facts, endpoint grant.Endpoint, code, redirectURI, verifier string) (lifecycle.Issued, error) {
	c.limiters.Count(c.LimiterOf(f.Request))
	return c.exchange(ctx, f, endpoint, func(endpoint grant.Endpoint) (answer.Tokens, error) {
		return endpoint.AuthorizationCode(ctx, code, redirectURI, verifier)
	})
}

// exchange makes one kind of token request, counts it, and reads the answer.
func (c *Client) exchange(
	ctx context.Context, f facts.Facts, endpoint grant.Endpoint, ask func(grant.Endpoint) (answer.Tokens, error),
) (lifecycle.Issued, error) {
	var tokens answer.Tokens
	byPrevious, err := c.withBothSecrets(ctx, f, endpoint, func(endpoint grant.Endpoint) (err error) {
		started := c.clock.Now()
		tokens, err = ask(endpoint)
		outcome := metrics.OutcomeSuccess
		if err != nil {
			outcome = string(answer.AsError(err).Kind)
		}
		c.metrics.TokenRequest(f.Request.Platform.Name, f.Request.Platform.Environment, string(f.Request.Grant), outcome,
			c.clock.Now().Sub(started))
		return err
	})
	if err != nil {
		return lifecycle.Issued{}, err
	}
	platform := f.Request.Platform
	tokens = withEnd(tokens, platform)
	claims := grant.Claims(tokens.IDClaims)
	got := lifecycle.Issued{Tokens: tokens, ByPreviousSecret: byPrevious}
	if f.Request.Grant != v1alpha1.GrantClientCredentials { // an application's tokens are nobody's
		got.Account = accountOf(tokens, platform)
		got.Account.ID = platform.AccountIDOf(got.Account.ID, f.Account.Spec.AccountID)
	}
	if sub := claims.Text("sub"); sub != "" {
		got.Subject = claims.Text("iss") + " " + sub
	}
	return got, nil
}

// accountOf is the account of tokens, as the answer itself, a claim or the prefix of the access token tells it; empty where none does.
func accountOf(tokens answer.Tokens, platform *marketplace.Platform) custody.Account {
	id, by := tokens.AccountID, marketplace.ByAnswer
	if name := platform.AccountIDClaim; id == "" && name != "" {
		claims := tokens.AccessClaims
		if platform.AccountIDInIDToken {
			claims = tokens.IDClaims
		}
		id, by = grant.Claims(claims).Text(name), platform.ByClaim()
	}
	if id == "" {
		id, by = platform.AccountIDPrefix(tokens.AccessToken), marketplace.ByPrefix
	}
	if id == "" {
		return custody.Account{}
	}
	return custody.Account{ID: id, By: by, Login: tokens.Login}
}

// withEnd sets when the access token ends, where the answer does not say it: the Marketplace's lifetime later, or never.
func withEnd(tokens answer.Tokens, platform *marketplace.Platform) answer.Tokens {
	if !tokens.AccessTokenExpiresAt.IsZero() {
		return tokens
	}
	end := tokens.IssuedAt.Add(platform.TokenLifetime).Truncate(time.Second)
	switch {
	case tokens.EndUnreadable:
		end = tokens.IssuedAt.Add(min(platform.TokenLifetime, lifecycle.UnreadableLife)).Truncate(time.Second)
	case platform.TokensNeverEnd:
		end = renewal.Never
	}
	tokens.AccessTokenExpiresAt = end
	if tokens.ExpiresAt.IsZero() || tokens.EndUnreadable && end.Before(tokens.ExpiresAt) {
		tokens.ExpiresAt = end
	}
	return tokens
}

// withBothSecrets asks with the current client secret and, when that is refused, with the previous one, and tells
// whether it was that one. The one that worked last goes first, until a client secret changes.
func (c *Client) withBothSecrets(
	ctx context.Context, f facts.Facts, endpoint grant.Endpoint, ask func(grant.Endpoint) error,
) (byPrevious bool, err error) {
	defer room.StepOut(ctx)()
	defer func() { c.answered(f.Request, err) }()
	for _, secret := range secretsOf(f) {
		endpoint.ClientSecret = secret
		err = c.judgeApplication(f, secret, ask(endpoint))
		if err == nil || answer.AsError(err).Kind != answer.ApplicationRejected {
			return secret != f.Request.Application.ClientSecret, err
		}
	}
	return false, err
}

// secretsOf are the client secrets in the order in which they are tried.
func secretsOf(f facts.Facts) []string {
	application := f.Request.Application
	switch {
	case application.PreviousSecret == "":
		return []string{application.ClientSecret}
	case f.PreviousSecretWorked():
		return []string{application.PreviousSecret, application.ClientSecret}
	}
	return []string{application.ClientSecret, application.PreviousSecret}
}
