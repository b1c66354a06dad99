package marketplaces_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/exchange"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/grant"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/outgoing"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/vetting"
)

// The application of every exchange that names no other, registered nowhere. Its secret has characters that must be escaped.
const (
	clientID     = "client-1"
	clientSecret = "secret/1+="
	portal       = "https://tokens.example.com"
)

// asking are the grants with which the operator makes a request; it makes all further requests with any grant.
var asking = map[exchange.Action][]v1alpha1.GrantType{
	exchange.SignIn:           {v1alpha1.GrantAuthorizationCode},
	exchange.ExchangeCode:     {v1alpha1.GrantAuthorizationCode},
	exchange.StartDevice:      {v1alpha1.GrantDeviceCode},
	exchange.PollDevice:       {v1alpha1.GrantDeviceCode},
	exchange.LogIn:            {v1alpha1.GrantPassword},
	exchange.AskAsApplication: {v1alpha1.GrantClientCredentials},
	exchange.Renew:            {v1alpha1.GrantAuthorizationCode, v1alpha1.GrantDeviceCode, v1alpha1.GrantRefreshToken},
	exchange.Revoke:           {v1alpha1.GrantAuthorizationCode, v1alpha1.GrantDeviceCode, v1alpha1.GrantRefreshToken},
}

// refuse is why the operator would not make the request that is asked for.
func (p *player) refuse() error {
	if grants, some := asking[p.ask.Do]; some && !slices.Contains(grants, p.grant()) {
		return fmt.Errorf("%s is not done with grant %s", p.ask.Do, p.grant())
	}
	request := facts.Request{Platform: p.platform, Grant: p.grant()}
	if p.ask.Do == exchange.Identify && !lifecycle.TestSupported(facts.Facts{Request: request}) {
		return fmt.Errorf("nothing tests a token of grant %s", p.grant())
	}
	return p.platform.CheckAccountID(p.account(p.ask.Environment, p.ask.Parameters))
}

// act makes the request that is asked for.
func (p *player) act(ctx context.Context, step *exchange.Step) (string, any, error) {
	if err := p.refuse(); err != nil {
		return "", nil, err
	}
	switch p.ask.Do {
	case exchange.Discover:
		return p.discover(ctx)
	case exchange.SignIn:
		return p.signIn(step)
	case exchange.StartDevice:
		return p.startDevice(ctx)
	case exchange.Identify:
		identity, err := p.platform.Identify(ctx, p.client(false), cmp.Or(p.ask.AccessToken, p.tokens.AccessToken))
		return "identity", identified{ID: identity.ID, Login: identity.Login}, err
	case exchange.Revoke:
		address := cmp.Or(p.platform.RevocationURL, p.endpoints.Revocation)
		err := p.endpoint(v1alpha1.GrantRefreshToken).Revoke(ctx, address, cmp.Or(p.ask.RefreshToken, p.tokens.RefreshToken))
		return "revoked", revoked{}, err
	}
	return p.askForTokens(ctx)
}

func (p *player) askForTokens(ctx context.Context) (string, any, error) {
	var got answer.Tokens
	var err error
	switch p.ask.Do {
	case exchange.ExchangeCode:
		verifier := ""
		if p.platform.PKCE {
			verifier = p.ask.Verifier
		}
		p.granted = p.now
		got, err = p.endpoint(v1alpha1.GrantAuthorizationCode).AuthorizationCode(ctx, cmp.Or(p.ask.Code, p.consent.Code), p.redirectURI(), verifier)
	case exchange.PollDevice:
		p.granted = p.now
		got, err = p.endpoint(v1alpha1.GrantDeviceCode).Device(ctx, cmp.Or(p.ask.DeviceCode, p.device.Code))
	case exchange.LogIn:
		got, err = p.endpoint(v1alpha1.GrantPassword).Password(ctx, p.ask.Username, p.ask.Password, p.platform.Scopes)
	case exchange.AskAsApplication:
		got, err = p.endpoint(v1alpha1.GrantClientCredentials).ClientCredentials(ctx, p.platform.Scopes)
	case exchange.Renew:
		token := p.tokens.RefreshToken
		if p.ask.RefreshToken != "" { // the steps that follow send its successor
			token, p.ask.RefreshToken = p.ask.RefreshToken, ""
			p.granted = p.now.Add(-time.Duration(p.ask.GrantedAgo))
		}
		got, err = p.endpoint(v1alpha1.GrantRefreshToken).RefreshToken(ctx, token)
	default:
		return "", nil, fmt.Errorf("there is no action %q", p.ask.Do)
	}
	if err != nil {
		return "", nil, err
	}
	if err := p.staysAsStored(got); err != nil {
		return "", nil, err
	}
	return "tokens", p.accept(got), nil
}

// staysAsStored tells that nothing of an answer is lost when it is read from the grant Secret that the operator has written.
func (p *player) staysAsStored(got answer.Tokens) error {
	stored := custody.Custody{Grant: custody.Grant{
		RefreshToken: got.RefreshToken, ClientID: p.application(v1alpha1.ApplicationKeyClientID), Account: custody.Account{ID: got.AccountID, Login: got.Login},
		Published: custody.Grant{}.Publish(got.Published),
		Tokens:    &custody.Tokens{AccessToken: got.AccessToken, IDToken: got.IDToken, TokenType: got.TokenType, Scope: got.Scope, IssuedAt: got.IssuedAt},
	}}
	read, out := vetting.Form(stored, p.now)
	read, elsewhere := vetting.Addresses(read, vetting.Platform{LeadsTo: p.platform.LeadsTo, Names: p.platform.Names})
	if out = append(out, elsewhere...); len(out) > 0 || !reflect.DeepEqual(read, stored) {
		return fmt.Errorf("of what was stored, the next look leaves out %v", out)
	}
	return nil
}

// unreadableLife is how long an access token counts at most whose end is told in a way that cannot be read.
const unreadableLife = 10 * time.Minute

// accept keeps the tokens that an answer brought, and counts them as the operator does.
func (p *player) accept(got answer.Tokens) tokens {
	if p.ask.Do == exchange.LogIn || p.ask.Do == exchange.AskAsApplication {
		got.RefreshToken = "" // they are renewed by asking again
	}
	p.tokens = got
	result := tokens{
		AccessToken: got.AccessToken, RefreshToken: got.RefreshToken, IDToken: got.IDToken, TokenType: got.TokenType, Scope: got.Scope,
		Missing: p.platform.MissingScopes(got.Scope), Account: p.accountOf(got), Login: got.Login,
	}
	expires := got.AccessTokenExpiresAt
	if expires.IsZero() {
		expires = got.IssuedAt.Add(p.platform.TokenLifetime)
		switch {
		case got.EndUnreadable:
			expires = got.IssuedAt.Add(min(p.platform.TokenLifetime, unreadableLife))
			result.Unreadable = append(result.Unreadable, "access_token")
		case p.platform.TokensNeverEnd:
			expires = renewal.Never
		}
	}
	ends := expires
	if !got.ExpiresAt.IsZero() && got.ExpiresAt.Before(ends) {
		ends = got.ExpiresAt
		result.Ends = exchange.Duration(ends.Sub(got.IssuedAt))
	}
	if expires.Equal(renewal.Never) {
		result.Published = p.publish(got)
		return result
	}
	policy := renewal.Policy{Before: p.platform.RenewBefore, MaxBefore: p.platform.MaxBefore}
	result.Expires = exchange.Duration(expires.Sub(got.IssuedAt))
	result.Renewed = exchange.Duration(policy.RenewAt(got.IssuedAt, ends, 0).Sub(got.IssuedAt))
	if got.AuthorizationEndUnreadable {
		result.Unreadable = append(result.Unreadable, "refresh_token")
	}
	if got.RefreshToken != "" {
		result.Authorization = p.authorization(got)
	}
	result.Published = p.publish(got)
	return result
}

// publish is the content of the token Secret beside the tokens; nil when there is none.
func (p *player) publish(got answer.Tokens) map[string]string {
	told := maps.Clone(p.consent.Published)
	for _, brought := range []map[string]string{p.published, got.Published} {
		if told == nil {
			told = map[string]string{}
		}
		maps.Copy(told, brought)
	}
	p.published = told
	keys := p.platform.Published(told, p.known)
	maps.DeleteFunc(keys, func(_, value string) bool { return value == "" })
	if len(keys) == 0 {
		return nil
	}
	return keys
}

// authorization is how long it takes until the authorization ends.
func (p *player) authorization(got answer.Tokens) exchange.Duration {
	if told := got.AuthorizationExpiresAt; !told.IsZero() || p.platform.AuthorizationSlides || got.AuthorizationEndUnreadable {
		p.ends = told
	}
	if told := got.AuthorizationMaxExpiresAt; !told.IsZero() {
		p.last = told
	}
	end := renewal.Earliest(
		renewal.AuthorizationEnd(p.ends, p.granted, got.IssuedAt, p.platform.AuthorizationLifetime, p.platform.AuthorizationSlides),
		renewal.AuthorizationEnd(p.last, p.granted, time.Time{}, p.platform.AuthorizationMaxLifetime, false),
	)
	if end.IsZero() {
		return 0
	}
	return exchange.Duration(end.Sub(got.IssuedAt))
}

// accountOf is the account of the tokens, as far as the answer, a claim, the token's prefix or the callback tells.
func (p *player) accountOf(got answer.Tokens) string {
	if p.ask.Do == exchange.AskAsApplication {
		return "" // an application's tokens are nobody's
	}
	token := got.AccessToken
	if p.platform.AccountIDInIDToken {
		token = got.IDToken
	}
	claimed := ""
	if p.platform.AccountIDClaim != "" {
		claimed = grant.ClaimsOf(token).Text(p.platform.AccountIDClaim)
	}
	p.known = cmp.Or(got.AccountID, claimed, p.platform.AccountIDPrefix(got.AccessToken), p.consent.AccountID, p.known)
	return p.known
}

// resolve fills in the Marketplace for the account that is asked for.
func (p *player) resolve() error {
	platform, err := marketplace.Resolve(p.object, p.account(p.ask.Environment, p.ask.Parameters))
	if platform != nil {
		p.platform = platform.ForAccount(p.application(v1alpha1.ApplicationKeyClientID), cmp.Or(p.ask.AccountID, p.known, p.consent.AccountID))
	}
	return err
}

// grant is the account's.
func (p *player) grant() v1alpha1.GrantType {
	return v1alpha1.GrantType(cmp.Or(p.ask.Grant, string(p.object.Spec.Grants[0])))
}

func (p *player) account(environment string, parameters map[string]string) *v1alpha1.MarketplaceAccount {
	account := &v1alpha1.MarketplaceAccount{ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: "shop"}}
	account.Spec.MarketplaceRef.Name = p.object.Name
	account.Spec.Environment = cmp.Or(environment, "Production")
	account.Spec.Grant.Type = p.grant()
	account.Spec.AccountID = p.ask.AccountID
	for _, scope := range p.ask.Scopes {
		account.Spec.Scopes = append(account.Spec.Scopes, v1alpha1.Scope(scope))
	}
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		account.Spec.Parameters = append(account.Spec.Parameters, v1alpha1.Parameter{Name: name, Value: parameters[name]})
	}
	return account
}

// application is a key of the application's Secret.
func (p *player) application(key string) string {
	defaults := map[string]string{v1alpha1.ApplicationKeyClientID: clientID, v1alpha1.ApplicationKeyClientSecret: clientSecret}
	return cmp.Or(p.ask.Application[key], defaults[key])
}

func (p *player) redirectURI() string {
	return cmp.Or(p.application(v1alpha1.ApplicationKeyRedirectURI), signin.Address(portal).Callback(signin.CallbackName(p.object.Name, p.platform.CallbackKey)))
}

// endpoint is where tokens are asked for; speaking is the grant of the request.
func (p *player) endpoint(speaking v1alpha1.GrantType) grant.Endpoint {
	return grant.Endpoint{
		TokenURL:     cmp.Or(p.platform.TokenURL, p.endpoints.Token),
		ClientID:     p.application(v1alpha1.ApplicationKeyClientID),
		ClientSecret: p.application(v1alpha1.ApplicationKeyClientSecret),
		HTTP:         p.client(true),
		Now:          p.clock,
		Meaning: func(code string, status int) (answer.Kind, bool) {
			reason, ok := p.platform.Means(code, status, speaking)
			return kindOf(reason), ok
		},
		SingleUse: speaking == v1alpha1.GrantRefreshToken && p.platform.Rotating && p.platform.ReuseGrace == 0,
	}
}

func (p *player) clock() time.Time { return p.now }

// kindOf is the failure that a Marketplace means by a reason.
func kindOf(reason string) answer.Kind {
	switch reason {
	case v1alpha1.ReasonRateLimited:
		return answer.Throttled
	case v1alpha1.ReasonMarketplaceUnavailable:
		return answer.Unavailable
	case v1alpha1.ReasonInvalidSpec:
		return answer.InvalidRequest
	}
	return answer.Kind(reason)
}

// client is the client that requests go out by, in the platform's dialect where they are OAuth requests.
func (p *player) client(dialect bool) *http.Client {
	var transport http.RoundTripper = p.wire
	if dialect {
		transport = p.platform.Dialect(p.wire, p.clock)
	}
	return outgoing.NewClient(transport, time.Minute)
}

// credentialIn is a credential that a text shows; empty when it shows none.
func (p *player) credentialIn(text string) string {
	for _, credential := range []string{
		p.application(v1alpha1.ApplicationKeyClientSecret), p.ask.Password, p.ask.Code, p.ask.DeviceCode, p.ask.Verifier,
		p.consent.Code, p.device.Code, p.tokens.AccessToken, p.tokens.RefreshToken,
	} {
		if credential != "" && strings.Contains(text, credential) {
			return credential
		}
	}
	return ""
}
