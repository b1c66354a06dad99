package marketplace_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
)

// country chooses the host of the consent and the region of the API together, as Amazon's marketplaces do.
var country = v1alpha1.ParameterDeclaration{
	Name: "country",
	Choices: []v1alpha1.Choice{
		{Value: "pl", Description: "Poland", Variables: []v1alpha1.NameValue{{Name: "central", Value: "central.example.pl"}, {Name: "region", Value: "eu"}}},
		{Value: "us", Description: "United States", Variables: []v1alpha1.NameValue{{Name: "central", Value: "central.example.com"}, {Name: "region", Value: "na"}}},
	},
}

func chosen(s *v1alpha1.MarketplaceSpec) {
	s.Parameters = []v1alpha1.ParameterDeclaration{country}
	s.Endpoints.Authorization = "https://{central}/authorize"
	s.Identity.Request = &v1alpha1.IdentityRequest{URL: "https://{region}.api.example.com/me"}
}

func TestChoices(t *testing.T) {
	platform := resolved(t, shop(chosen), account(withGrant(v1alpha1.GrantAuthorizationCode), withParameters("country", "us")))
	if platform.AuthorizationURL != "https://central.example.com/authorize" || platform.IdentityURL() != "https://na.api.example.com/me" {
		t.Errorf("the consent is at %s and the API at %s, want those of one country", platform.AuthorizationURL, platform.IdentityURL())
	}
	if platform.CallbackKey != "" {
		t.Error("the Marketplace fixes the hosts, so all may have one callback")
	}
	tests := map[string]struct {
		object  func(*v1alpha1.MarketplaceSpec)
		account func(*v1alpha1.MarketplaceAccountSpec)
		err     string
	}{
		"a value that is no choice": {
			account: withParameters("country", "de"), err: `spec.parameters: parameter "country" must be one of pl, us`,
		},
		"a variable whose parameter is not set": {
			account: func(*v1alpha1.MarketplaceAccountSpec) {},
			err: `Marketplace "shop": spec.endpoints.authorization: {central} is neither a variable of the environment nor a parameter that is set; ` +
				`it comes with parameter "country"`,
		},
		"a choice that must be made": {
			object:  func(s *v1alpha1.MarketplaceSpec) { s.Parameters[0].Required = true },
			account: func(*v1alpha1.MarketplaceAccountSpec) {},
			err:     `spec.parameters: parameter "country" must be set: pl, us`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			object := shop(chosen)
			object.Spec.Parameters = []v1alpha1.ParameterDeclaration{country}
			if test.object != nil {
				test.object(&object.Spec)
			}
			_, err := marketplace.Resolve(object, account(withGrant(v1alpha1.GrantAuthorizationCode), test.account))
			if err == nil || err.Error() != test.err {
				t.Errorf("the error is %v, want %s", err, test.err)
			}
		})
	}
}

// TestValues sends what cannot stand in an address: Auth0's audience, Allegro's User-Agent.
func TestValues(t *testing.T) {
	declare := func(s *v1alpha1.MarketplaceSpec) {
		s.Parameters = []v1alpha1.ParameterDeclaration{
			{Name: "audience", Usage: v1alpha1.UsageValue, Pattern: "https://.+"},
			{Name: "agent", Usage: v1alpha1.UsageValue, Pattern: ".*"},
		}
		s.TokenRequest.Parameters = []v1alpha1.TokenParameter{{Name: "audience", Value: "{audience}"}}
		s.TokenRequest.Headers = []v1alpha1.HTTPHeader{{Name: "User-Agent", Value: "{agent}"}}
	}
	set := withParameters("audience", "https://api.example.com/v1?a=b&c", "agent", "my-app/1.0 (+https://shop.example.com)")
	baseURL, seen := wire(t)
	platform := resolved(t, shop(declare), account(set))
	if _, err := newOAuth(t, baseURL+"/token", platform.Dialect(http.DefaultTransport, now)).refresh(refreshToken); err != nil {
		t.Fatal(err)
	}
	got := seen()[0]
	if got.Form.Get("audience") != "https://api.example.com/v1?a=b&c" || got.UserAgent != "my-app/1.0 (+https://shop.example.com)" {
		t.Errorf("the platform got %+v", got)
	}
	t.Run("not in an address", func(t *testing.T) {
		object := shop(declare, func(s *v1alpha1.MarketplaceSpec) { s.Endpoints.Token = "https://login.example.com/{agent}" })
		_, err := marketplace.Resolve(object, account(withParameters("agent", "evil.example.com")))
		if err == nil || !strings.HasSuffix(err.Error(), "it has usage Value, and must not stand in an address") {
			t.Errorf("the error is %v", err)
		}
	})
	for name, value := range map[string]string{"a line": "a\r\nX-Evil: b", "a letter that a header cannot hold": "ż"} {
		t.Run(name, func(t *testing.T) {
			_, err := marketplace.Resolve(shop(declare), account(withParameters("agent", value)))
			if err == nil || err.Error() != `spec.parameters: parameter "agent" must be made of ASCII characters that can be printed` {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

// TestUnsetParametersAreNotSent is what makes version=beta, locale and realm optional.
func TestUnsetParametersAreNotSent(t *testing.T) {
	declare := func(s *v1alpha1.MarketplaceSpec) {
		s.Parameters = []v1alpha1.ParameterDeclaration{{Name: "version", Enum: []string{"beta"}}, {Name: "market", Pattern: "[a-z]+"}}
		s.Endpoints.Authorization = "https://{host}/authorize"
		s.AuthorizationRequest.Parameters = []v1alpha1.NameValue{{Name: "version", Value: "{version}"}, {Name: "prompt", Value: "login"}}
		s.TokenRequest.Parameters = []v1alpha1.TokenParameter{{Name: "market", Value: "m-{market}"}}
		s.TokenRequest.Headers = []v1alpha1.HTTPHeader{{Name: "X-Market", Value: "{market}"}}
	}
	parameters := marketplace.AuthorizationParameters{ClientID: "c", State: "s"}
	tests := map[string]struct {
		account       func(*v1alpha1.MarketplaceAccountSpec)
		authorization string
		form, header  string
	}{
		"unset": {
			account:       func(*v1alpha1.MarketplaceAccountSpec) {},
			authorization: "https://login.example.com/authorize?client_id=c&prompt=login&response_type=code&state=s",
		},
		"set": {
			account:       withParameters("version", "beta", "market", "us"),
			authorization: "https://login.example.com/authorize?client_id=c&prompt=login&response_type=code&state=s&version=beta",
			form:          "m-us", header: "us",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			baseURL, seen := wire(t)
			platform := resolved(t, shop(declare), account(withGrant(v1alpha1.GrantAuthorizationCode), test.account))
			link, err := platform.AuthorizationRequest(platform.AuthorizationURL, parameters)
			if err != nil || link != test.authorization {
				t.Errorf("the browser is sent to %s (%v), want %s", link, err, test.authorization)
			}
			if _, err := newOAuth(t, baseURL+"/token", platform.Dialect(http.DefaultTransport, now)).refresh(refreshToken); err != nil {
				t.Fatal(err)
			}
			got := seen()[0]
			if diff := cmp.Diff(test.form, got.Form.Get("market")); diff != "" || got.Form.Has("market") != (test.form != "") {
				t.Errorf("parameter market: %q", got.Form["market"])
			}
			if got.Extra.Get("X-Market") != test.header || (got.Extra != nil) != (test.header != "") {
				t.Errorf("headers: %v", got.Extra)
			}
		})
	}
}

func TestScopesOfSomeGrants(t *testing.T) {
	object := shop(func(s *v1alpha1.MarketplaceSpec) {
		s.Scopes.Default = []v1alpha1.Scope{"sell", "identity"}
		s.Scopes.Overrides = []v1alpha1.ScopeOverride{
			{Grants: []v1alpha1.GrantType{v1alpha1.GrantClientCredentials}, Default: []v1alpha1.Scope{"base"}},
			{Grants: []v1alpha1.GrantType{v1alpha1.GrantPassword}},
		}
	})
	own := func(s *v1alpha1.MarketplaceAccountSpec) { s.Scopes = []v1alpha1.Scope{"mine"} }
	none := func(*v1alpha1.MarketplaceAccountSpec) {}
	for name, test := range map[string]struct {
		grant   v1alpha1.GrantType
		account func(*v1alpha1.MarketplaceAccountSpec)
		want    []string
	}{
		"a seller's":               {v1alpha1.GrantAuthorizationCode, none, []string{"sell", "identity"}},
		"an application's":         {v1alpha1.GrantClientCredentials, none, []string{"base"}},
		"none at all":              {v1alpha1.GrantPassword, none, []string{}},
		"the account's come first": {v1alpha1.GrantClientCredentials, own, []string{"mine"}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, resolved(t, object, account(withGrant(test.grant), test.account)).Scopes); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
