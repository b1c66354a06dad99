package controller

import (
	"context"
	"net/http"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/grant"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/metrics"
	"github.com/tokenkeeper/tokenkeeper/internal/outgoing"
)

const defaultCallTimeout = 30 * time.Second

// issued is what the marketplace gave.
type issued struct {
	answer.Tokens
	// account is whose tokens these are, as far as answer and claims tell.
	account custody.Account
	// subject is issuer and sub of the ID token; empty where there is none.
	subject string
	// byPreviousSecret tells that client_secret_previous was accepted.
	byPreviousSecret bool
}

// obtain asks the marketplace for tokens. It stores nothing, and makes no other call: what it returns may be the
// only copy.
func (r *Reconciler) obtain(ctx context.Context, v view, endpoint grant.Endpoint) (issued, error) {
	return r.exchange(ctx, v, endpoint, func(endpoint grant.Endpoint) (answer.Tokens, error) {
		switch v.request.grant {
		case v1alpha1.GrantPassword:
			return endpoint.Password(ctx, v.request.login.Username, v.request.login.Password, v.request.platform.Scopes)
		case v1alpha1.GrantClientCredentials:
			return endpoint.ClientCredentials(ctx, v.request.platform.Scopes)
		}
		return endpoint.RefreshToken(ctx, v.refreshToken())
	})
}

// exchange makes one kind of token request, counts it, and reads the answer.
func (r *Reconciler) exchange(
	_ context.Context, v view, endpoint grant.Endpoint, ask func(grant.Endpoint) (answer.Tokens, error),
) (issued, error) {
	var tokens answer.Tokens
	byPrevious, err := r.withBothSecrets(v, endpoint, func(endpoint grant.Endpoint) (err error) {
		started := r.Clock.Now()
		tokens, err = ask(endpoint)
		outcome := metrics.OutcomeSuccess
		if err != nil {
			outcome = string(answer.AsError(err).Kind)
		}
		r.Metrics.TokenRequest(v.request.platform.Name, v.request.platform.Environment, string(v.request.grant), outcome,
			r.Clock.Now().Sub(started))
		return err
	})
	if err != nil {
		return issued{}, err
	}
	platform := v.request.platform
	tokens = withEnd(tokens, platform.TokenLifetime)
	account := custody.Account{ID: tokens.AccountID, By: "answer"}
	if account.ID == "" && platform.AccountIDClaim != "" {
		token, kind := tokens.AccessToken, "access token "
		if platform.AccountIDInIDToken {
			token, kind = tokens.IDToken, "ID token "
		}
		account = custody.Account{ID: grant.Claim(token, platform.AccountIDClaim), By: kind + platform.AccountIDClaim}
	}
	if account.ID == "" || v.request.grant == v1alpha1.GrantClientCredentials {
		account = custody.Account{} // an application's tokens are nobody's
	}
	got := issued{Tokens: tokens, account: account, byPreviousSecret: byPrevious}
	if sub := grant.Claim(tokens.IDToken, "sub"); sub != "" {
		got.subject = grant.Claim(tokens.IDToken, "iss") + " " + sub
	}
	return got, nil
}

// unreadableLife is how long an access token counts at most whose end the marketplace tells in a way that cannot be read: less than
// any platform gives, and more than a renewal takes.
const unreadableLife = 10 * time.Minute

// withEnd sets when the access token ends, where the answer does not say it: the Marketplace's lifetime later.
func withEnd(tokens answer.Tokens, lifetime time.Duration) answer.Tokens {
	if !tokens.AccessTokenExpiresAt.IsZero() {
		return tokens
	}
	if tokens.EndUnreadable {
		lifetime = min(lifetime, unreadableLife)
	}
	end := tokens.IssuedAt.Add(lifetime).Truncate(time.Second)
	tokens.AccessTokenExpiresAt = end
	if tokens.ExpiresAt.IsZero() || tokens.EndUnreadable && end.Before(tokens.ExpiresAt) {
		tokens.ExpiresAt = end
	}
	return tokens
}

// endpoint is where to ask, discovered where the Marketplace leaves it to its issuer. speaking is the grant of the request,
// for which the platform's error codes have a meaning.
func (r *Reconciler) endpoint(ctx context.Context, req request, speaking v1alpha1.GrantType) (grant.Endpoint, error) {
	endpoint := grant.Endpoint{
		TokenURL:     req.platform.TokenURL,
		ClientID:     req.application.ClientID,
		ClientSecret: req.application.ClientSecret,
		HTTP:         r.client(req.platform, true),
		Now:          r.Clock.Now,
		Meaning: func(code string, status int) (answer.Kind, bool) {
			reason, ok := req.platform.Means(code, status, speaking)
			return kindOf(reason), ok
		},
		SingleUse: req.rotates() && req.platform.ReuseGrace < r.callTimeout(),
	}
	if endpoint.TokenURL == "" {
		discovered, err := r.Providers.Discover(ctx, req.platform.Issuer)
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
func (r *Reconciler) withBothSecrets(v view, endpoint grant.Endpoint, ask func(grant.Endpoint) error) (byPrevious bool, err error) {
	defer func() { r.asked(v.request, err) }()
	application := v.request.application
	secrets := []string{application.ClientSecret}
	if application.PreviousSecret != "" {
		secrets = append(secrets, application.PreviousSecret)
		if v.previousSecretWorked() {
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
func wireGrant(req request) v1alpha1.GrantType {
	if req.renewsByRefreshToken() {
		return v1alpha1.GrantRefreshToken
	}
	return req.grant
}

// troubleOf puts a failure into a condition's reason and words, and tells whether asking again later may help.
func troubleOf(v view, failure error) (t trouble, passes bool) {
	e := answer.AsError(failure)
	return trouble{reasonOf(e.Kind), sentence(v, e)}, e.Passes()
}
