package controller

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/grant"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/metrics"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

const (
	defaultCallTimeout = 30 * time.Second
	// identifyTimeout is short, since the tokens in question are not stored yet.
	identifyTimeout = 5 * time.Second
)

// issued is what the marketplace gave. After a failure it may hold a new refresh token and nothing else: one
// that must be kept although the tokens beside it are not to be used.
type issued struct {
	grant.Tokens
	account tokensecret.Account
	// byPreviousSecret tells that client_secret_previous was accepted.
	byPreviousSecret bool
}

// mismatchError is the trouble with tokens that belong to somebody else.
type mismatchError struct{ trouble }

func (e *mismatchError) Error() string { return e.message }

// obtain asks the marketplace for tokens and checks what it gives. It stores nothing.
func (r *Reconciler) obtain(ctx context.Context, v view) (issued, error) {
	endpoint, err := r.endpoint(ctx, v.request)
	if err != nil {
		return issued{}, err
	}
	var got issued
	got.Tokens, got.byPreviousSecret, err = r.askWithBothSecrets(ctx, v, endpoint)
	if err != nil {
		return issued{}, err
	}
	if got.ExpiresAt.IsZero() {
		got.ExpiresAt = got.IssuedAt.Add(v.request.platform.TokenLifetime).Truncate(time.Second)
	}
	got.account, err = r.identify(ctx, v, got.Tokens)
	if err != nil {
		return issued{Tokens: grant.Tokens{RefreshToken: got.RefreshToken}}, err
	}
	if want := v.expectedAccount(); want != "" && got.account.ID != "" && got.account.ID != want {
		kept := issued{}
		if !v.newImport() { // the chain is ours, whatever the spec expects of it now
			kept.RefreshToken = got.RefreshToken
		}
		return kept, &mismatchError{*mismatch(got.account.ID, want)}
	}
	return got, nil
}

// verifyIDToken checks an ID token against its issuer's keys, where the Marketplace names an issuer. It may have
// to fetch them, so it comes after the tokens are stored.
func (r *Reconciler) verifyIDToken(ctx context.Context, req request, idToken string) error {
	if req.platform.Issuer == "" || idToken == "" {
		return nil
	}
	return r.Providers.Verify(ctx, req.platform.Issuer, req.application.ClientID, idToken)
}

// expectedAccount is the only account whose tokens are accepted: the one that the spec names, else the one
// seen first.
func (v view) expectedAccount() string {
	if v.account.Spec.AccountID != "" {
		return v.account.Spec.AccountID
	}
	return v.custody.Account.ID
}

// identify learns whose tokens these are: from the answer, a claim, what is known, or, for a new grant or where
// an account is prescribed, one call. Its error means that a prescribed account could not be checked.
func (r *Reconciler) identify(ctx context.Context, v view, tokens grant.Tokens) (tokensecret.Account, error) {
	platform := v.request.platform
	id := tokens.AccountID
	if id == "" && platform.AccountIDClaim != "" {
		token := tokens.AccessToken
		if platform.AccountIDInIDToken {
			token = tokens.IDToken
		}
		id = grant.Claim(token, platform.AccountIDClaim)
	}
	known := v.custody.Account
	prescribed := v.account.Spec.AccountID != ""
	switch {
	case id != "" && id != known.ID:
		return tokensecret.Account{ID: id}, nil
	case id != "" || known.ID != "" && !v.changed():
		return known, nil
	case !platform.NamesAccount(), v.request.grant == v1alpha1.GrantClientCredentials, !prescribed && !v.changed() && v.custody.Tokens != nil:
		return known, nil
	}
	ctx, cancel := context.WithTimeout(ctx, identifyTimeout)
	defer cancel()
	identity, err := platform.Identify(ctx, r.client(platform, false), tokens.AccessToken)
	if err != nil && prescribed {
		return tokensecret.Account{}, &grant.Error{Kind: grant.Unavailable, Message: err.Error()}
	}
	return tokensecret.Account(identity), nil
}

// endpoint is where to ask, discovered where the Marketplace leaves it to its issuer.
func (r *Reconciler) endpoint(ctx context.Context, req request) (grant.Endpoint, error) {
	endpoint := grant.Endpoint{
		TokenURL:     req.platform.TokenURL,
		ClientID:     req.application.ClientID,
		ClientSecret: req.application.ClientSecret,
		HTTP:         r.client(req.platform, true),
		Now:          r.Clock.Now,
		Meaning: func(code string, status int) (grant.Kind, bool) {
			reason, ok := req.platform.Means(code, status, wireGrant(req))
			return kindOf(reason), ok
		},
	}
	if endpoint.TokenURL == "" {
		discovered, err := r.Providers.Discover(ctx, req.platform.Issuer)
		if err != nil {
			return endpoint, err
		}
		if endpoint.TokenURL = discovered.Token; endpoint.TokenURL == "" {
			return endpoint, &grant.Error{Kind: grant.InvalidRequest, Message: "the issuer's discovery document names no token endpoint"}
		}
	}
	return endpoint, nil
}

// askWithBothSecrets asks with the current client secret and, when that is refused, with the previous one.
// The one that worked last goes first, until the application Secret changes.
func (r *Reconciler) askWithBothSecrets(ctx context.Context, v view, endpoint grant.Endpoint) (grant.Tokens, bool, error) {
	application := v.request.application
	secrets := []string{application.ClientSecret}
	if application.PreviousSecret != "" {
		secrets = append(secrets, application.PreviousSecret)
		if v.custody.PreviousSecretOf == v.request.inputs.Application {
			secrets[0], secrets[1] = secrets[1], secrets[0]
		}
	}
	var tokens grant.Tokens
	var err error
	for _, secret := range secrets {
		endpoint.ClientSecret = secret
		tokens, err = r.ask(ctx, v, endpoint)
		if err == nil {
			return tokens, secret != application.ClientSecret, nil
		}
		if grant.AsError(err).Kind != grant.ApplicationRejected {
			break
		}
	}
	return grant.Tokens{}, false, err
}

// ask makes one token request and counts it.
func (r *Reconciler) ask(ctx context.Context, v view, endpoint grant.Endpoint) (grant.Tokens, error) {
	var tokens grant.Tokens
	var err error
	started := r.Clock.Now()
	switch v.request.grant {
	case v1alpha1.GrantPassword:
		tokens, err = endpoint.Password(ctx, v.request.login.Username, v.request.login.Password, v.request.platform.Scopes)
	case v1alpha1.GrantClientCredentials:
		tokens, err = endpoint.ClientCredentials(ctx, v.request.platform.Scopes)
	default:
		tokens, err = endpoint.RefreshToken(ctx, v.refreshToken())
	}
	outcome := metrics.OutcomeSuccess
	if err != nil {
		outcome = string(grant.AsError(err).Kind)
	}
	r.Metrics.TokenRequest(v.request.platform.Name, v.request.platform.Environment, string(v.request.grant), outcome,
		r.Clock.Now().Sub(started))
	return tokens, err
}

// client makes requests to a platform, in its dialect where they are OAuth requests. It follows no
// redirects: credentials go where the Marketplace says and nowhere else.
func (r *Reconciler) client(platform *marketplace.Platform, dialect bool) *http.Client {
	timeout := r.CallTimeout
	if timeout == 0 {
		timeout = defaultCallTimeout
	}
	transport := r.Transport
	if dialect {
		transport = platform.Dialect(r.Transport, r.Clock.Now)
	}
	return &http.Client{
		Transport:     transport,
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
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
	if other, ok := errors.AsType[*mismatchError](failure); ok {
		return other.trouble, false
	}
	e := grant.AsError(failure)
	return trouble{reasonOf(e.Kind), sentence(v, e)}, e.Passes()
}
