package controller

import (
	"context"
	"net/http"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/grant"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/metrics"
	"github.com/tokenkeeper/tokenkeeper/internal/outgoing"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
)

// obtain asks the marketplace for tokens. It stores nothing, and makes no other call: what it returns may be the
// only copy.
func (r *Reconciler) obtain(ctx context.Context, v lifecycle.Facts, endpoint grant.Endpoint) (lifecycle.Issued, error) {
	return r.exchange(v, endpoint, func(endpoint grant.Endpoint) (answer.Tokens, error) {
		switch v.Request.Grant {
		case v1alpha1.GrantPassword:
			return endpoint.Password(ctx, v.Request.Login.Username, v.Request.Login.Password, v.Request.Platform.Scopes)
		case v1alpha1.GrantClientCredentials:
			return endpoint.ClientCredentials(ctx, v.Request.Platform.Scopes)
		}
		return endpoint.RefreshToken(ctx, v.RefreshToken())
	})
}

// exchange makes one kind of token request, counts it, and reads the answer.
func (r *Reconciler) exchange(
	v lifecycle.Facts, endpoint grant.Endpoint, ask func(grant.Endpoint) (answer.Tokens, error),
) (lifecycle.Issued, error) {
	var tokens answer.Tokens
	byPrevious, err := r.withBothSecrets(v, endpoint, func(endpoint grant.Endpoint) (err error) {
		started := r.Clock.Now()
		tokens, err = ask(endpoint)
		outcome := metrics.OutcomeSuccess
		if err != nil {
			outcome = string(answer.AsError(err).Kind)
		}
		r.Metrics.TokenRequest(v.Request.Platform.Name, v.Request.Platform.Environment, string(v.Request.Grant), outcome,
			r.Clock.Now().Sub(started))
		return err
	})
	if err != nil {
		return lifecycle.Issued{}, err
	}
	platform := v.Request.Platform
	tokens = withEnd(tokens, platform)
	account := custody.Account{ID: tokens.AccountID, By: "answer", Login: tokens.Login}
	if account.ID == "" && platform.AccountIDClaim != "" {
		token, kind := tokens.AccessToken, "access token "
		if platform.AccountIDInIDToken {
			token, kind = tokens.IDToken, "ID token "
		}
		account.ID, account.By = grant.Claim(token, platform.AccountIDClaim), kind+platform.AccountIDClaim
	}
	if account.ID == "" || v.Request.Grant == v1alpha1.GrantClientCredentials {
		account = custody.Account{} // an application's tokens are nobody's
	}
	got := lifecycle.Issued{Tokens: tokens, Account: account, ByPreviousSecret: byPrevious}
	if sub := grant.Claim(tokens.IDToken, "sub"); sub != "" {
		got.Subject = grant.Claim(tokens.IDToken, "iss") + " " + sub
	}
	return got, nil
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

// endpoint is where to ask, discovered where the Marketplace leaves it to its issuer. speaking is the grant of the request,
// for which the platform's error codes have a meaning.
func (r *Reconciler) endpoint(ctx context.Context, req lifecycle.Request, speaking v1alpha1.GrantType) (grant.Endpoint, error) {
	endpoint := grant.Endpoint{
		TokenURL:     req.Platform.TokenURL,
		ClientID:     req.Application.ClientID,
		ClientSecret: req.Application.ClientSecret,
		HTTP:         r.client(req.Platform, true),
		Now:          r.Clock.Now,
		Meaning: func(code string, status int) (answer.Kind, bool) {
			reason, ok := req.Platform.Means(code, status, speaking)
			return lifecycle.KindOf(reason), ok
		},
		SingleUse: req.Rotates() && req.Platform.ReuseGrace < r.callTimeout(),
	}
	if endpoint.TokenURL == "" {
		discovered, err := r.Providers.Discover(ctx, req.Platform.Issuer)
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

// signInEndpoint is where a sign-in begins: the address that the Marketplace gives, or the one that its issuer names.
func (r *Reconciler) signInEndpoint(
	ctx context.Context, platform *marketplace.Platform, what, given string, named func(grant.Endpoints) string,
) (string, error) {
	address := given
	if address == "" && platform.Issuer != "" {
		discovered, err := r.Providers.Discover(ctx, platform.Issuer)
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

// withBothSecrets asks with the current client secret and, when that is refused, with the previous one, and tells
// whether it was that one. The one that worked last goes first, until a client secret changes.
func (r *Reconciler) withBothSecrets(v lifecycle.Facts, endpoint grant.Endpoint, ask func(grant.Endpoint) error) (byPrevious bool, err error) {
	defer func() { r.asked(v.Request, err) }()
	application := v.Request.Application
	secrets := []string{application.ClientSecret}
	if application.PreviousSecret != "" {
		secrets = append(secrets, application.PreviousSecret)
		if v.PreviousSecretWorked() {
			secrets[0], secrets[1] = secrets[1], secrets[0]
		}
	}
	for _, secret := range secrets {
		endpoint.ClientSecret = secret
		err = r.judgeApplication(v, secret, ask(endpoint))
		if err == nil || answer.AsError(err).Kind != answer.ApplicationRejected {
			return secret != application.ClientSecret, err
		}
	}
	return false, err
}

// client makes requests to a platform, in its dialect where they are OAuth requests.
func (r *Reconciler) client(platform *marketplace.Platform, dialect bool) *http.Client {
	transport := r.Transport
	if dialect {
		transport = platform.Dialect(r.Transport, r.Clock.Now)
	}
	return outgoing.NewClient(transport, r.callTimeout())
}

// wireGrant is the grant that a request of the account speaks on the wire.
func wireGrant(req lifecycle.Request) v1alpha1.GrantType {
	if req.RenewsByRefreshToken() {
		return v1alpha1.GrantRefreshToken
	}
	return req.Grant
}
