package marketplace

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/placeholder"
)

// defaultTokenLifetime is assumed of an access token when neither the answer nor the Marketplace names a
// lifetime: short enough to be safe with every platform in the field that names none.
const defaultTokenLifetime = time.Hour

// Platform is a Marketplace resolved for one account.
type Platform struct {
	// Name is the Marketplace's name, DisplayName the one that people use.
	Name, DisplayName string
	// Environment is the account's environment.
	Environment string
	// Issuer is the OpenID Connect issuer; empty when ID tokens are not verified.
	Issuer string
	// RefreshURL is where tokens are asked for with a refresh token, where that is not TokenURL.
	RefreshURL string
	// TokenURL and RevocationURL are empty when the issuer's discovery document has to name them. So are AuthorizationURL and
	// DeviceAuthorizationURL, and also where the grant does not need them and they hold a {name} that the account does not set.
	TokenURL, RevocationURL, AuthorizationURL, DeviceAuthorizationURL string
	// CallbackKey stands in the path of the callback where the authors of accounts choose the host of the authorization server,
	// so that each server has a callback of its own (RFC 9700 section 4.4.2.2); empty where the Marketplace fixes the hosts.
	CallbackKey string
	// ChosenHosts stands for the hosts that the author of the account chose, of those that get credentials; empty where the Marketplace fixes them.
	ChosenHosts string
	// PKCE tells that authorization requests carry a code challenge, by method S256.
	PKCE bool
	// Scopes are asked for; empty leaves them to the platform.
	Scopes []string
	// TokenLifetime is assumed of an access token when the answer names none.
	TokenLifetime time.Duration
	// Rotating tells that using a refresh token spends it.
	Rotating bool
	// ReuseGrace is how long a spent refresh token still works.
	ReuseGrace time.Duration
	// LostAnswerNever tells that a single-use refresh token is not sent again after a lost answer, not even as a last resort.
	LostAnswerNever bool
	// AuthorizationLifetime is how long an authorization lives when the answer names no end; zero means that it does not end.
	AuthorizationLifetime time.Duration
	// AuthorizationMaxLifetime is how long after the consent an authorization ends at the latest, however it is prolonged; zero means that
	// no such end is known.
	AuthorizationMaxLifetime time.Duration
	// TokensNeverEnd tells that an access token has no end where the answer names none, so that TokenLifetime is not assumed.
	TokensNeverEnd bool
	// AuthorizationSlides tells that the lifetime counts from the last renewal and not from the consent.
	AuthorizationSlides bool
	// ApplicationSecretLifetime is how long a client secret lives; zero means that it does not end, or that its end is not known.
	ApplicationSecretLifetime time.Duration
	// RenewBefore is the Marketplace's default and MaxBefore its bound; zero where it names none.
	RenewBefore, MaxBefore time.Duration
	// AccountIDClaim names the claim that identifies the account, in the ID token when AccountIDInIDToken, else
	// in the access token; empty when no claim does.
	AccountIDClaim     string
	AccountIDInIDToken bool
	// AccountIDPrefixEnd is the sign behind the account's identifier where access tokens begin with it; empty where they do not.
	AccountIDPrefixEnd string

	// RequestsPerSecond and Concurrency bound the token requests of one client.
	RequestsPerSecond, Concurrency int

	// content is the result of RequestContent, once it was asked for.
	content string
	// clientID and accountID are the arguments of ForAccount.
	clientID, accountID string

	authorization v1alpha1.AuthorizationRequest
	identity      *v1alpha1.IdentityRequest
	request       v1alpha1.TokenRequest
	response      v1alpha1.TokenResponse
	scopeSep      string
	unreported    []v1alpha1.Scope
	published     []v1alpha1.PublishedKey
	apiHosts      []string
	hosts         hosts
}

// Resolve fills in a Marketplace for one account. Its error names the field that does not fit, and whether the account or
// the Marketplace has to change.
func Resolve(object *v1alpha1.Marketplace, account *v1alpha1.MarketplaceAccount) (*Platform, error) {
	spec := &object.Spec
	if !slices.Contains(spec.Grants, account.Spec.Grant.Type) {
		return nil, fmt.Errorf("spec.grant.type: Marketplace %q does not offer %s; it offers %s",
			object.Name, account.Spec.Grant.Type, join(spec.Grants))
	}
	names, err := namesFor(object, account)
	if err != nil {
		return nil, err
	}
	p := &Platform{
		Name:                object.Name,
		DisplayName:         spec.DisplayName,
		Environment:         account.Spec.Environment,
		Scopes:              scopes(spec, account),
		TokenLifetime:       spec.AccessToken.Lifetime.Or(defaultTokenLifetime),
		Rotating:            spec.RefreshToken.Rotation != v1alpha1.RotationStatic,
		ReuseGrace:          spec.RefreshToken.ReuseGrace.Or(0),
		LostAnswerNever:     spec.RefreshToken.LostAnswer == v1alpha1.LostAnswerNever,
		AuthorizationSlides: spec.RefreshToken.Expiry == v1alpha1.ExpirySliding,
		RenewBefore:         spec.Renewal.Before.Or(0),
		MaxBefore:           spec.Renewal.MaxBefore.Or(0),
		AccountIDClaim:      spec.Identity.AccessTokenClaim,
		AccountIDPrefixEnd:  spec.Identity.AccessTokenPrefixEnd,
		PKCE:                spec.AuthorizationRequest.PKCE != v1alpha1.PKCEDisabled,

		AuthorizationMaxLifetime:  spec.RefreshToken.MaxLifetime.Or(0),
		TokensNeverEnd:            spec.AccessToken.Expiry == v1alpha1.AccessTokenExpiryNone,
		ApplicationSecretLifetime: spec.ApplicationSecret.Lifetime.Or(0),
		RequestsPerSecond:         int(spec.Limits.RequestsPerSecond),
		Concurrency:               int(spec.Limits.Concurrency),

		authorization: *spec.AuthorizationRequest.DeepCopy(),
		request:       *spec.TokenRequest.DeepCopy(),
		response:      spec.TokenResponse,
		scopeSep:      spec.Scopes.Separator,
		unreported:    slices.Clone(spec.Scopes.Unreported),
	}
	if spec.RefreshToken.Expiry != v1alpha1.ExpiryNone {
		p.AuthorizationLifetime = spec.RefreshToken.Lifetime.Or(0)
	}
	if spec.Identity.IDTokenClaim != "" {
		p.AccountIDClaim, p.AccountIDInIDToken = spec.Identity.IDTokenClaim, true
	}
	if err := p.fillEndpoints(spec, names, account.Spec.Grant.Type); err != nil {
		return p, err
	}
	p.setCallbackKey(spec)
	p.ChosenHosts = chosenHosts(spec, names)
	err = p.fill(spec, names, account.Spec.Grant.Type)
	p.setHosts(spec)
	return p, err
}

// fillEndpoints replaces the {name}s in the endpoints. The endpoints of a sign-in need not be complete for an account without one.
func (p *Platform) fillEndpoints(spec *v1alpha1.MarketplaceSpec, names names, grant v1alpha1.GrantType) error {
	for _, endpoint := range []struct {
		field    string
		template v1alpha1.URLTemplate
		into     *string
		of       v1alpha1.GrantType // empty means all
	}{
		{"issuer", spec.Endpoints.Issuer, &p.Issuer, ""},
		{"token", spec.Endpoints.Token, &p.TokenURL, ""},
		{"refresh", spec.Endpoints.Refresh, &p.RefreshURL, ""},
		{"revocation", spec.Endpoints.Revocation, &p.RevocationURL, ""},
		{"authorization", spec.Endpoints.Authorization, &p.AuthorizationURL, v1alpha1.GrantAuthorizationCode},
		{"deviceAuthorization", spec.Endpoints.DeviceAuthorization, &p.DeviceAuthorizationURL, v1alpha1.GrantDeviceCode},
	} {
		filled, err := names.url(string(endpoint.template))
		switch {
		case err == nil:
			*endpoint.into = filled
		case endpoint.of == "" || endpoint.of == grant:
			return fmt.Errorf("Marketplace %q: spec.endpoints.%s: %w", p.Name, endpoint.field, err)
		}
	}
	return nil
}

// fill replaces the {name}s in everything else that is sent, and leaves out values that name a parameter which is not set.
func (p *Platform) fill(spec *v1alpha1.MarketplaceSpec, names names, grant v1alpha1.GrantType) (err error) {
	failed := func(field string, err error) error {
		return fmt.Errorf("Marketplace %q: spec.%s: %w", p.Name, field, err)
	}
	p.authorization.Parameters, err = sent(names, p.authorization.Parameters, func(v *v1alpha1.NameValue) *v1alpha1.Text { return &v.Value })
	if err != nil && grant == v1alpha1.GrantAuthorizationCode {
		return failed("authorizationRequest.parameters", err)
	}
	p.request.Headers, err = sent(names, p.request.Headers, headerValue)
	if err != nil {
		return failed("tokenRequest.headers", err)
	}
	p.request.Parameters, err = sent(names, p.request.Parameters, func(v *v1alpha1.TokenParameter) *v1alpha1.Text { return &v.Value })
	if err != nil {
		return failed("tokenRequest.parameters", err)
	}
	if err := p.fillPublished(spec, names); err != nil {
		return err
	}
	if spec.Identity.Request == nil {
		return nil
	}
	p.identity = spec.Identity.Request.DeepCopy()
	address, err := names.url(string(p.identity.URL))
	if err != nil {
		return failed("identity.request.url", err)
	}
	p.identity.URL = v1alpha1.URLTemplate(address)
	names.known = append(names.known, placeholder.AccessToken)
	delete(names.addresses, placeholder.AccessToken) // nothing takes its place
	p.identity.Headers, err = sent(names, p.identity.Headers, headerValue)
	if err != nil {
		return failed("identity.request.headers", err)
	}
	return nil
}

func headerValue(header *v1alpha1.HTTPHeader) *v1alpha1.Text { return &header.Value }

// ForAccount returns the platform for an account: the application's client_id, and the platform's identifier of
// the account, which may be empty.
func (p *Platform) ForAccount(clientID, accountID string) *Platform {
	known := *p
	known.clientID, known.accountID = clientID, accountID
	return &known
}

// Means returns the condition reason that the Marketplace gives to one of the platform's own error codes. A failure of the
// server (5xx) is no verdict, whatever code comes with it, unless the Marketplace names that very status.
func (p *Platform) Means(code string, status int, grant v1alpha1.GrantType) (reason string, ok bool) {
	for _, e := range p.response.Errors {
		if e.Code == code && (e.Status == 0 && status < 500 || int(e.Status) == status) &&
			(len(e.Grants) == 0 || slices.Contains(e.Grants, grant)) {
			return e.Reason, true
		}
	}
	return "", false
}

func scopes(spec *v1alpha1.MarketplaceSpec, account *v1alpha1.MarketplaceAccount) []string {
	asked := account.Spec.Scopes
	if len(asked) == 0 {
		asked = spec.Scopes.For(account.Spec.Grant.Type)
	}
	texts := make([]string, len(asked))
	for i, scope := range asked {
		texts[i] = string(scope)
	}
	return texts
}

func join[S ~string](names []S) string {
	texts := make([]string, len(names))
	for i, name := range names {
		texts[i] = string(name)
	}
	return strings.Join(texts, ", ")
}

// TellsAccount tells whether anything names the account of a token: the answer, a claim, the token's prefix, or a call.
func (p *Platform) TellsAccount() bool {
	return p.AccountIDClaim != "" || p.AccountIDPrefixEnd != "" || p.response.Fields.AccountID != "" || p.NamesAccount()
}

// CheckAccountID refuses an expectation of an account that nothing can hold its tokens against.
func (p *Platform) CheckAccountID(account *v1alpha1.MarketplaceAccount) error {
	grant := account.Spec.Grant.Type
	tells := p.TellsAccount() && grant != v1alpha1.GrantClientCredentials || p.CallbackTellsAccount() && grant == v1alpha1.GrantAuthorizationCode
	if account.Spec.AccountID == "" || tells {
		return nil
	}
	return fmt.Errorf("spec.accountID must not be set: %s does not tell whose the tokens of grant %s are", p.DisplayName, grant)
}

// TokenParameters returns the extra parameters of token requests, filled in.
func (p *Platform) TokenParameters() []v1alpha1.TokenParameter { return p.request.Parameters }
