package marketplace

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/outgoing"
)

// defaultTokenLifetime is assumed of an access token when neither the answer nor the Marketplace names a
// lifetime: short enough to be safe with every platform in the field that names none.
const defaultTokenLifetime = time.Hour

// Platform is a Marketplace resolved for one account.
type Platform struct {
	// Name is the Marketplace's name, DisplayName what people call it.
	Name, DisplayName string
	// Environment is the account's environment.
	Environment string
	// Issuer is the OpenID Connect issuer; empty when ID tokens are not verified.
	Issuer string
	// TokenURL and RevocationURL are empty when the issuer's discovery document has to name them. So are AuthorizationURL and
	// DeviceAuthorizationURL, and also where they hold a {name} that the account, whose grant does not need them, does not set.
	TokenURL, RevocationURL, AuthorizationURL, DeviceAuthorizationURL string
	// CallbackKey stands in the path of the callback where the authors of accounts choose the host of the authorization server,
	// so that each server has a callback of its own (RFC 9700 section 4.4.2.2); empty where the Marketplace fixes the hosts.
	CallbackKey string
	// PKCE tells that authorization requests carry a code challenge, by method S256.
	PKCE bool
	// Scopes is what is asked; empty leaves it to the platform.
	Scopes []string
	// TokenLifetime is assumed of an access token when the answer names none.
	TokenLifetime time.Duration
	// Rotating tells that using a refresh token spends it.
	Rotating bool
	// ReuseGrace is how long a spent refresh token still works.
	ReuseGrace time.Duration
	// LostAnswerNever tells that a single-use refresh token whose answer was lost is not sent again, not even as a last resort.
	LostAnswerNever bool
	// AuthorizationLifetime is how long an authorization lives when the answer names no end; zero means that it does not end.
	AuthorizationLifetime time.Duration
	// AuthorizationSlides tells that the lifetime counts from the last renewal and not from the consent.
	AuthorizationSlides bool
	// ApplicationSecretLifetime is how long a client secret lives; zero means that it does not end, or that nobody knows.
	ApplicationSecretLifetime time.Duration
	// RenewBefore is the Marketplace's default and MaxBefore its bound; zero where it names none.
	RenewBefore, MaxBefore time.Duration
	// AccountIDClaim names the claim that identifies the account, in the ID token when AccountIDInIDToken, else
	// in the access token; empty when no claim does.
	AccountIDClaim     string
	AccountIDInIDToken bool

	// RequestsPerSecond and Concurrency bound the token requests of one client.
	RequestsPerSecond, Concurrency int

	authorization v1alpha1.AuthorizationRequest
	identity      *v1alpha1.IdentityRequest
	request       v1alpha1.TokenRequest
	response      v1alpha1.TokenResponse
	scopeSep      string
	unreported    []v1alpha1.Scope
}

// Resolve fills in a Marketplace for one account. Its error says what does not fit, and whether the account or
// the Marketplace has to change.
func Resolve(object *v1alpha1.Marketplace, account *v1alpha1.MarketplaceAccount) (*Platform, error) {
	spec := &object.Spec
	if !slices.Contains(spec.Grants, account.Spec.Grant.Type) {
		return nil, fmt.Errorf("spec.grant.type: Marketplace %q does not offer %s; it offers %s",
			object.Name, account.Spec.Grant.Type, join(spec.Grants))
	}
	values, err := valuesFor(object, account)
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
		PKCE:                spec.AuthorizationRequest.PKCE != v1alpha1.PKCEDisabled,

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
	if err := p.fillEndpoints(spec, values, account.Spec.Grant.Type); err != nil {
		return p, err
	}
	p.setCallbackKey(spec)
	return p, p.fill(spec, values, account.Spec.Grant.Type)
}

// fillEndpoints replaces the {name}s in the endpoints. Those of a sign-in need not be complete for an account without one.
func (p *Platform) fillEndpoints(spec *v1alpha1.MarketplaceSpec, values values, grant v1alpha1.GrantType) error {
	for _, endpoint := range []struct {
		field    string
		template v1alpha1.URLTemplate
		into     *string
		of       v1alpha1.GrantType // empty means all
	}{
		{"issuer", spec.Endpoints.Issuer, &p.Issuer, ""},
		{"token", spec.Endpoints.Token, &p.TokenURL, ""},
		{"revocation", spec.Endpoints.Revocation, &p.RevocationURL, ""},
		{"authorization", spec.Endpoints.Authorization, &p.AuthorizationURL, v1alpha1.GrantAuthorizationCode},
		{"deviceAuthorization", spec.Endpoints.DeviceAuthorization, &p.DeviceAuthorizationURL, v1alpha1.GrantDeviceCode},
	} {
		filled, err := values.url(string(endpoint.template))
		switch {
		case err == nil:
			*endpoint.into = filled
		case endpoint.of == "" || endpoint.of == grant:
			return fmt.Errorf("Marketplace %q: spec.endpoints.%s: %w", p.Name, endpoint.field, err)
		}
	}
	return nil
}

// fill replaces the {name}s in everything else that is sent.
func (p *Platform) fill(spec *v1alpha1.MarketplaceSpec, values values, grant v1alpha1.GrantType) error {
	for i := range p.authorization.Parameters {
		err := values.text(&p.authorization.Parameters[i].Value)
		if err != nil && grant == v1alpha1.GrantAuthorizationCode {
			return fmt.Errorf("Marketplace %q: spec.authorizationRequest.parameters: %w", p.Name, err)
		}
	}
	for i := range p.request.Headers {
		if err := values.text(&p.request.Headers[i].Value); err != nil {
			return fmt.Errorf("Marketplace %q: spec.tokenRequest.headers: %w", p.Name, err)
		}
	}
	for i := range p.request.Parameters {
		if err := values.text(&p.request.Parameters[i].Value); err != nil {
			return fmt.Errorf("Marketplace %q: spec.tokenRequest.parameters: %w", p.Name, err)
		}
	}
	if spec.Identity.Request == nil {
		return nil
	}
	p.identity = spec.Identity.Request.DeepCopy()
	address, err := values.url(string(p.identity.URL))
	if err != nil {
		return fmt.Errorf("Marketplace %q: spec.identity.request.url: %w", p.Name, err)
	}
	p.identity.URL = v1alpha1.URLTemplate(address)
	values[accessTokenName] = "{" + accessTokenName + "}" // filled in when the call is made
	for i := range p.identity.Headers {
		if err := values.text(&p.identity.Headers[i].Value); err != nil {
			return fmt.Errorf("Marketplace %q: spec.identity.request.headers: %w", p.Name, err)
		}
	}
	return nil
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
		asked = spec.Scopes.Default
	}
	texts := make([]string, len(asked))
	for i, scope := range asked {
		texts[i] = string(scope)
	}
	return texts
}

// values are what {name} stands for.
type values map[string]string

// valuesFor joins the environment's variables and the account's parameters.
func valuesFor(object *v1alpha1.Marketplace, account *v1alpha1.MarketplaceAccount) (values, error) {
	spec := &object.Spec
	at := slices.IndexFunc(spec.Environments, func(e v1alpha1.Environment) bool { return e.Name == account.Spec.Environment })
	if at < 0 {
		names := make([]string, len(spec.Environments))
		for i, e := range spec.Environments {
			names[i] = e.Name
		}
		return nil, fmt.Errorf("spec.environment: Marketplace %q has no environment %q; it has %s",
			object.Name, account.Spec.Environment, join(names))
	}
	result := values{}
	for _, variable := range spec.Environments[at].Variables {
		result[variable.Name] = string(variable.Value)
	}
	set := map[string]string{}
	for _, parameter := range account.Spec.Parameters {
		set[parameter.Name] = parameter.Value
	}
	for _, declared := range spec.Parameters {
		value, err := parameter(declared, set[declared.Name])
		if err != nil {
			return nil, err
		}
		if value != "" {
			result[declared.Name] = value
		}
		delete(set, declared.Name)
	}
	if len(set) > 0 {
		declared := make([]string, len(spec.Parameters))
		for i, parameter := range spec.Parameters {
			declared[i] = parameter.Name
		}
		return nil, fmt.Errorf("spec.parameters: Marketplace %q declares no parameter %s; it declares %s",
			object.Name, join(slices.Sorted(maps.Keys(set))), cmp.Or(join(declared), "none"))
	}
	return result, nil
}

// harmless is a value that can become part of a URL without changing which URL it is: characters that need no
// escape (RFC 3986 section 2.3), and not dots alone.
var harmless = regexp.MustCompile(`^[A-Za-z0-9._~-]*[A-Za-z0-9_~-][A-Za-z0-9._~-]*$`)

func parameter(declared v1alpha1.ParameterDeclaration, value string) (string, error) {
	if value == "" {
		value = declared.Default
	}
	switch {
	case value == "" && declared.Required:
		return "", fmt.Errorf("spec.parameters: parameter %q must be set: %s", declared.Name, declared.Description)
	case value == "":
		return "", nil
	case !harmless.MatchString(value):
		return "", fmt.Errorf("spec.parameters: parameter %q must be made of letters, digits and . _ ~ -, and not of dots alone", declared.Name)
	case len(declared.Enum) > 0 && !slices.Contains(declared.Enum, value):
		return "", fmt.Errorf("spec.parameters: parameter %q must be one of %s", declared.Name, join(declared.Enum))
	case declared.Pattern == "":
		return value, nil
	}
	pattern, err := regexp.Compile(`^(?:` + declared.Pattern + `)$`)
	if err != nil {
		return "", fmt.Errorf("the Marketplace's pattern of parameter %q is no regular expression", declared.Name)
	}
	if !pattern.MatchString(value) {
		return "", fmt.Errorf("spec.parameters: parameter %q must match %s", declared.Name, declared.Pattern)
	}
	return value, nil
}

var placeholder = regexp.MustCompile(`\{[A-Za-z][A-Za-z0-9_-]*\}`)

func (v values) replace(template string) (string, error) {
	var unknown []string
	filled := placeholder.ReplaceAllStringFunc(template, func(match string) string {
		value, ok := v[match[1:len(match)-1]]
		if !ok {
			unknown = append(unknown, match)
		}
		return value
	})
	if len(unknown) > 0 {
		return "", fmt.Errorf("%s is neither a variable of the environment nor a parameter that is set", strings.Join(unknown, ", "))
	}
	return filled, nil
}

func (v values) text(text *v1alpha1.Text) error {
	filled, err := v.replace(string(*text))
	*text = v1alpha1.Text(filled)
	return err
}

// url fills in a URL and checks what came out, since a variable can hold anything.
func (v values) url(template string) (string, error) {
	if template == "" {
		return "", nil
	}
	filled, err := v.replace(template)
	if err != nil {
		return "", err
	}
	return filled, outgoing.CheckURL(filled)
}

func join[S ~string](names []S) string {
	texts := make([]string, len(names))
	for i, name := range names {
		texts[i] = string(name)
	}
	return strings.Join(texts, ", ")
}

// TellsAccount tells whether anything says whose a token is: the answer, a claim, or a call.
func (p *Platform) TellsAccount() bool {
	return p.AccountIDClaim != "" || p.response.Fields.AccountID != "" || p.NamesAccount()
}

// TokenParameters returns the extra parameters of token requests, filled in.
func (p *Platform) TokenParameters() []v1alpha1.TokenParameter { return p.request.Parameters }
