package marketplaces_test

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"

	"golang.org/x/oauth2"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/exchange"
	"github.com/tokenkeeper/tokenkeeper/internal/grant"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/openid"
)

// discover reads the issuer's document.
func (p *player) discover(ctx context.Context) (string, any, error) {
	providers := &openid.Providers{HTTP: p.client(false), Now: p.clock}
	found, err := providers.Discover(ctx, p.platform.Issuer)
	p.endpoints = found
	return "endpoints", endpoints{
		Authorization: found.Authorization, Device: found.DeviceAuthorization, Token: found.Token, Revocation: found.Revocation,
	}, err
}

// startDevice asks for a device code.
func (p *player) startDevice(ctx context.Context) (string, any, error) {
	address := cmp.Or(p.platform.DeviceAuthorizationURL, p.endpoints.DeviceAuthorization)
	code, err := p.endpoint(v1alpha1.GrantDeviceCode).StartDevice(ctx, address, p.platform.Scopes)
	p.device = code
	return "device", device{
		DeviceCode: code.Code, UserCode: code.UserCode, URL: code.URL, CompleteURL: code.CompleteURL,
		Expires: exchange.Duration(code.ExpiresAt.Sub(p.now)), Interval: exchange.Duration(code.Interval),
	}, err
}

// signIn sends a browser to the platform, and reads the answer that it brings back.
func (p *player) signIn(step *exchange.Step) (string, any, error) {
	address, err := p.signInAddress(step.Store)
	if err != nil {
		return "", nil, err
	}
	if !step.Leads(address) {
		return "", nil, fmt.Errorf("the browser is sent to\n  %s\nwant\n  %s", address, step.Address)
	}
	back, err := url.Parse(step.Callback)
	if err != nil {
		return "", nil, err
	}
	err = p.platform.CheckSignature(back.Query(), p.application(v1alpha1.ApplicationKeyClientSecret))
	if err != nil {
		return "", nil, err
	}
	p.consent, err = p.platform.Callback(back.Query())
	switch {
	case err != nil:
		return "", nil, err
	case p.consent.State != p.ask.State:
		return "", nil, fmt.Errorf("the callback has state %q, want %q", p.consent.State, p.ask.State)
	case p.consent.Error != "":
		return "", nil, grant.CallbackError(p.consent.Error, p.consent.ErrorDescription, p.ask.Verifier)
	}
	return "consent", consent{Code: p.consent.Code, Account: p.consent.AccountID, Issuer: p.consent.Issuer}, nil
}

// signInAddress is where the browser is sent that a person has opened, or that the platform's store has sent.
func (p *player) signInAddress(fromStore string) (string, error) {
	parameters := marketplace.AuthorizationParameters{
		ClientID:      p.application(v1alpha1.ApplicationKeyClientID),
		ApplicationID: p.application(p.platform.ClientIDKey()),
		RedirectURI:   p.redirectURI(),
		State:         p.ask.State,
	}
	if p.platform.PKCE {
		parameters.Challenge = oauth2.S256ChallengeFromVerifier(p.ask.Verifier)
	}
	if slices.Contains(p.platform.Scopes, "openid") {
		parameters.Nonce = p.ask.Nonce
	}
	if fromStore == "" {
		return p.platform.AuthorizationRequest(cmp.Or(p.platform.AuthorizationURL, p.endpoints.Authorization), parameters)
	}
	from, err := url.Parse(fromStore)
	if err != nil {
		return "", err
	}
	start, err := p.platform.StoreStart(from.Query())
	switch {
	case err != nil:
		return "", err
	case start == nil:
		return "", fmt.Errorf("%s is no start from the platform's store", fromStore)
	}
	p.consent.AccountID = start.AccountID
	return start.Request(p.platform, parameters)
}

// describe tells the facts that show in no exchange: addresses, starts from the platform's store, and facts. The first two are told for all that
// the file asks for.
func (p *player) describe(step *exchange.Step) (string, any) {
	switch step.Outcome {
	case "addresses":
		var asked []addresses
		if err := yaml.UnmarshalStrict(step.Result, &asked); err != nil {
			return "refused", refused{Message: err.Error()}
		}
		for i := range asked {
			asked[i] = p.addresses(asked[i].Environment, asked[i].Parameters)
		}
		return "addresses", asked
	case "stores":
		var asked []storeRedirect
		if err := yaml.UnmarshalStrict(step.Result, &asked); err != nil {
			return "refused", refused{Message: err.Error()}
		}
		for i := range asked {
			asked[i] = p.storeRedirect(asked[i].From)
		}
		return "stores", asked
	}
	if err := p.resolve(); err != nil {
		return "refused", refused{Kind: "InvalidSpec", Message: err.Error()}
	}
	return "facts", bounds{
		ClientSecretLifetime: exchange.Duration(p.platform.ApplicationSecretLifetime),
		RequestsPerSecond:    p.platform.RequestsPerSecond, Concurrency: p.platform.Concurrency,
	}
}

func (p *player) addresses(environment string, parameters map[string]string) addresses {
	told := addresses{Environment: environment, Parameters: parameters}
	platform, err := marketplace.Resolve(p.object, p.account(environment, parameters))
	if err != nil {
		told.Refused = err.Error()
		return told
	}
	told.Issuer, told.Authorization, told.Device = platform.Issuer, platform.AuthorizationURL, platform.DeviceAuthorizationURL
	told.Token, told.Revocation, told.Identity = platform.TokenURL, platform.RevocationURL, platform.IdentityURL()
	return told
}

func (p *player) storeRedirect(from string) storeRedirect {
	told := storeRedirect{From: from}
	if err := p.resolve(); err != nil {
		told.Refused = err.Error()
		return told
	}
	to, err := p.signInAddress(from)
	if err != nil {
		told.Refused = err.Error()
		return told
	}
	told.To = to
	return told
}
