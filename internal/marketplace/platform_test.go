package marketplace_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
)

func TestResolve(t *testing.T) {
	const hour, day = time.Hour, 24 * time.Hour
	plain := marketplace.Platform{
		Name: "shop", DisplayName: "The Shop", Environment: "Production", TokenURL: "https://login.example.com/token",
		Scopes: []string{}, TokenLifetime: hour, Rotating: true, PKCE: true,
	}
	with := func(change func(*marketplace.Platform)) marketplace.Platform {
		platform := plain
		change(&platform)
		return platform
	}
	tests := map[string]struct {
		object  func(*v1alpha1.MarketplaceSpec)
		account func(*v1alpha1.MarketplaceAccountSpec)
		want    marketplace.Platform
	}{
		"what is not said has a default": {want: plain},
		"an environment has its own variables": {
			account: func(s *v1alpha1.MarketplaceAccountSpec) { s.Environment = "Sandbox" },
			want: with(func(p *marketplace.Platform) {
				p.Environment, p.TokenURL = "Sandbox", "https://login.sandbox.example.com/token"
			}),
		},
		"every endpoint is filled in": {
			object: func(s *v1alpha1.MarketplaceSpec) {
				s.Endpoints = v1alpha1.Endpoints{
					Issuer: "https://{host}/", Token: "https://{host}/token", Revocation: "https://{host}/revoke",
					Authorization: "https://{host}/authorize", DeviceAuthorization: "https://{host}/device",
				}
			},
			want: with(func(p *marketplace.Platform) {
				p.Issuer, p.RevocationURL = "https://login.example.com/", "https://login.example.com/revoke"
				p.AuthorizationURL, p.DeviceAuthorizationURL = "https://login.example.com/authorize", "https://login.example.com/device"
			}),
		},
		"endpoints and parameters of a sign-in may be incomplete for an account that needs none": {
			object: func(s *v1alpha1.MarketplaceSpec) {
				s.Endpoints.Authorization, s.Endpoints.DeviceAuthorization = "https://{seller}/authorize", "https://{seller}/device"
				s.AuthorizationRequest.Parameters = []v1alpha1.NameValue{{Name: "seller", Value: "{seller}"}}
			},
			want: plain,
		},
		"endpoints may be left to the issuer": {
			object: func(s *v1alpha1.MarketplaceSpec) { s.Endpoints = v1alpha1.Endpoints{Issuer: "https://{host}"} },
			want:   with(func(p *marketplace.Platform) { p.Issuer, p.TokenURL = "https://login.example.com", "" }),
		},
		"a Marketplace has scopes of its own": {
			object: func(s *v1alpha1.MarketplaceSpec) { s.Scopes.Default = []v1alpha1.Scope{"openid", "orders"} },
			want:   with(func(p *marketplace.Platform) { p.Scopes = []string{"openid", "orders"} }),
		},
		"an account's scopes take their place": {
			object:  func(s *v1alpha1.MarketplaceSpec) { s.Scopes.Default = []v1alpha1.Scope{"openid", "orders"} },
			account: func(s *v1alpha1.MarketplaceAccountSpec) { s.Scopes = []v1alpha1.Scope{"email"} },
			want:    with(func(p *marketplace.Platform) { p.Scopes = []string{"email"} }),
		},
		"what is known of tokens": {
			object: func(s *v1alpha1.MarketplaceSpec) {
				s.AccessToken.Lifetime = "12h"
				s.RefreshToken = v1alpha1.RefreshToken{Rotation: "Rotating", ReuseGrace: "60s", Expiry: "Sliding", Lifetime: "2160h"}
				s.Renewal = v1alpha1.MarketplaceRenewal{Before: "30m", MaxBefore: "1h"}
			},
			want: with(func(p *marketplace.Platform) {
				p.TokenLifetime, p.ReuseGrace, p.AuthorizationLifetime, p.AuthorizationSlides = 12*hour, time.Minute, 90*day, true
				p.RenewBefore, p.MaxBefore = 30*time.Minute, hour
			}),
		},
		"a refresh token that stays, and an authorization that ends a time after the consent": {
			object: func(s *v1alpha1.MarketplaceSpec) {
				s.RefreshToken = v1alpha1.RefreshToken{Rotation: "Static", Expiry: "Fixed", Lifetime: "8760h"}
			},
			want: with(func(p *marketplace.Platform) { p.Rotating, p.AuthorizationLifetime = false, 365*day }),
		},
		"an authorization that does not end has no lifetime": {
			object: func(s *v1alpha1.MarketplaceSpec) {
				s.RefreshToken = v1alpha1.RefreshToken{Expiry: "None", Lifetime: "8760h"}
			},
			want: plain,
		},
		"platforms that do not know PKCE": {
			object: func(s *v1alpha1.MarketplaceSpec) { s.AuthorizationRequest.PKCE = v1alpha1.PKCEDisabled },
			want:   with(func(p *marketplace.Platform) { p.PKCE = false }),
		},
		"PKCE, said aloud": {
			object: func(s *v1alpha1.MarketplaceSpec) { s.AuthorizationRequest.PKCE = v1alpha1.PKCES256 },
			want:   plain,
		},
		"client secrets that end": {
			object: func(s *v1alpha1.MarketplaceSpec) { s.ApplicationSecret.Lifetime = "4320h" },
			want:   with(func(p *marketplace.Platform) { p.ApplicationSecretLifetime = 180 * day }),
		},
		"a claim of the access token": {
			object: func(s *v1alpha1.MarketplaceSpec) { s.Identity.AccessTokenClaim = "user_name" },
			want:   with(func(p *marketplace.Platform) { p.AccountIDClaim = "user_name" }),
		},
		"a claim of the ID token": {
			object: func(s *v1alpha1.MarketplaceSpec) { s.Identity.IDTokenClaim = "sub" },
			want:   with(func(p *marketplace.Platform) { p.AccountIDClaim, p.AccountIDInIDToken = "sub", true }),
		},
		"headers and parameters are filled in, in a copy": {
			object: func(s *v1alpha1.MarketplaceSpec) {
				s.TokenRequest.Headers = []v1alpha1.HTTPHeader{{Name: "X-Host", Value: "{host}"}}
				s.TokenRequest.Parameters = []v1alpha1.TokenParameter{{Name: "audience", Value: "{host}"}}
				s.Identity.Request = &v1alpha1.IdentityRequest{
					URL: "https://{host}/me", Headers: []v1alpha1.HTTPHeader{{Name: "X-Host", Value: "{host} {accessToken}"}},
				}
			},
			want: plain,
		},
		"plain http to this machine": {
			object: func(s *v1alpha1.MarketplaceSpec) { s.Endpoints.Token = "http://127.0.0.1:8080/token" },
			want:   with(func(p *marketplace.Platform) { p.TokenURL = "http://127.0.0.1:8080/token" }),
		},
		"plain http to this machine, by name": {
			object: func(s *v1alpha1.MarketplaceSpec) { s.Endpoints.Token = "http://localhost/token" },
			want:   with(func(p *marketplace.Platform) { p.TokenURL = "http://localhost/token" }),
		},
		"plain http to this machine, by its other number": {
			object: func(s *v1alpha1.MarketplaceSpec) { s.Endpoints.Token = "http://[::1]:8080/token" },
			want:   with(func(p *marketplace.Platform) { p.TokenURL = "http://[::1]:8080/token" }),
		},
		"braces that name nothing stay": {
			object: func(s *v1alpha1.MarketplaceSpec) { s.Endpoints.Token = "https://{host}/{}/{9}" },
			want:   with(func(p *marketplace.Platform) { p.TokenURL = "https://login.example.com/{}/{9}" }),
		},
		"a variable is not filled in twice": {
			object: func(s *v1alpha1.MarketplaceSpec) {
				s.Environments[0].Variables = append(s.Environments[0].Variables, v1alpha1.NameValue{Name: "path", Value: "{host}"})
				s.Endpoints.Token = "https://{host}/{path}"
			},
			want: with(func(p *marketplace.Platform) { p.TokenURL = "https://login.example.com/{host}" }),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			object, account := shop(), account()
			if test.object != nil {
				test.object(&object.Spec)
			}
			if test.account != nil {
				test.account(&account.Spec)
			}
			before := object.DeepCopy()
			got := resolved(t, object, account)
			if diff := cmp.Diff(&test.want, got, cmpopts.IgnoreUnexported(marketplace.Platform{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, object); diff != "" {
				t.Errorf("the Marketplace, which the cache owns, was changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestParameters(t *testing.T) {
	declared := func(declaration v1alpha1.ParameterDeclaration) func(*v1alpha1.MarketplaceSpec) {
		return func(s *v1alpha1.MarketplaceSpec) {
			declaration.Name = "region"
			s.Parameters = []v1alpha1.ParameterDeclaration{declaration}
			s.Endpoints.Token = "https://{region}.example.com/token"
		}
	}
	pattern := v1alpha1.ParameterDeclaration{Pattern: "[a-z]{2}|world"}
	anything := v1alpha1.ParameterDeclaration{Pattern: ".*"}
	enum := v1alpha1.ParameterDeclaration{Enum: []string{"na", "eu", "fe"}, Default: "eu"}
	required := v1alpha1.ParameterDeclaration{Pattern: ".+", Required: true, Description: "the region of the seller, such as eu"}

	tests := map[string]struct {
		declaration v1alpha1.ParameterDeclaration
		set         []string
		url, err    string
	}{
		"a value that matches the pattern":    {declaration: pattern, set: []string{"region", "eu"}, url: "https://eu.example.com/token"},
		"a value that matches the other half": {declaration: pattern, set: []string{"region", "world"}, url: "https://world.example.com/token"},
		"a value of the enum":                 {declaration: enum, set: []string{"region", "na"}, url: "https://na.example.com/token"},
		"the default":                         {declaration: enum, url: "https://eu.example.com/token"},
		"a default that is asked for":         {declaration: enum, set: []string{"region", "eu"}, url: "https://eu.example.com/token"},
		"a pattern holds from the first letter": {
			declaration: pattern, set: []string{"region", "xeu"}, err: `spec.parameters: parameter "region" must match [a-z]{2}|world`,
		},
		"a pattern holds to the last letter": {
			declaration: pattern, set: []string{"region", "eux"}, err: `spec.parameters: parameter "region" must match [a-z]{2}|world`,
		},
		"a value beyond the enum": {
			declaration: enum, set: []string{"region", "asia"}, err: `spec.parameters: parameter "region" must be one of na, eu, fe`,
		},
		"a required parameter that is missing": {
			declaration: required, err: `spec.parameters: parameter "region" must be set: the region of the seller, such as eu`,
		},
		"a parameter that is not set and has no default": {
			declaration: pattern,
			err:         `Marketplace "shop": spec.endpoints.token: {region} is neither a variable of the environment nor a parameter that is set`,
		},
		"an unknown parameter": {
			declaration: enum, set: []string{"colour", "blue"}, err: `spec.parameters: Marketplace "shop" declares no parameter colour; it declares region`,
		},
		"several unknown parameters, always in one order": {
			declaration: enum, set: []string{"size", "xl", "colour", "blue", "region", "eu", "age", "9"},
			err: `spec.parameters: Marketplace "shop" declares no parameter age, colour, size; it declares region`,
		},
		"a pattern that is none": {
			declaration: v1alpha1.ParameterDeclaration{Pattern: "("}, set: []string{"region", "eu"},
			err: `the Marketplace's pattern of parameter "region" is no regular expression`,
		},
		"a default that the Marketplace itself does not allow": {
			declaration: v1alpha1.ParameterDeclaration{Enum: []string{"eu"}, Default: "na"},
			err:         `spec.parameters: parameter "region" must be one of eu`,
		},
	}
	// An account belongs to a tenant: whatever it sets, credentials go to no other place.
	for what, value := range map[string]string{
		"another host":              "evil.example/",
		"another host and a query":  "evil.example?x=",
		"another host and the rest": "evil.example#",
		"a user name":               "login.example.com@evil.example",
		"a user name, escaped":      "x%40evil.example",
		"a port":                    "evil.example:443",
		"a backslash":               `evil.example\`,
		"an escaped slash":          "evil.example%2f",
		"a space":                   "evil example",
		"a line end":                "eu\r\nHost: evil.example",
		"a line end behind it":      "eu\n",
		"a placeholder":             "{host}",
		"another letter a":          "\u0430",
		"a null":                    "eu\x00",
		"the folder itself":         ".",
		"the folder above":          "..",
	} {
		tests["an injection of "+what] = struct {
			declaration v1alpha1.ParameterDeclaration
			set         []string
			url, err    string
		}{
			declaration: anything, set: []string{"region", value},
			err: `spec.parameters: parameter "region" must be made of letters, digits and . _ ~ -, and not of dots alone`,
		}
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			platform, err := marketplace.Resolve(shop(declared(test.declaration)), account(withParameters(test.set...)))
			got, url := "", ""
			if err != nil {
				got = err.Error()
			} else {
				url = platform.TokenURL
			}
			if diff := cmp.Diff(test.err, got); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.url, url); diff != "" {
				t.Errorf("URL (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnknownParameterWhereNoneIsDeclared(t *testing.T) {
	_, err := marketplace.Resolve(shop(), account(withParameters("region", "eu")))
	if want := `spec.parameters: Marketplace "shop" declares no parameter region; it declares none`; err == nil || err.Error() != want {
		t.Errorf("the error is %v, want %q", err, want)
	}
}

func TestResolveRefuses(t *testing.T) {
	token := func(url v1alpha1.URLTemplate) func(*v1alpha1.MarketplaceSpec) {
		return func(s *v1alpha1.MarketplaceSpec) { s.Endpoints.Token = url }
	}
	host := func(value v1alpha1.Text) func(*v1alpha1.MarketplaceSpec) {
		return func(s *v1alpha1.MarketplaceSpec) { s.Environments[0].Variables[0].Value = value }
	}
	tests := map[string]struct {
		object  func(*v1alpha1.MarketplaceSpec)
		account func(*v1alpha1.MarketplaceAccountSpec)
		want    string
	}{
		"a grant that is not offered": {
			object: func(s *v1alpha1.MarketplaceSpec) {
				s.Grants = []v1alpha1.GrantType{"RefreshToken", "ClientCredentials"}
			},
			account: withGrant(v1alpha1.GrantPassword),
			want:    `spec.grant.type: Marketplace "shop" does not offer Password; it offers RefreshToken, ClientCredentials`,
		},
		"an environment that is not there": {
			account: func(s *v1alpha1.MarketplaceAccountSpec) { s.Environment = "Staging" },
			want:    `spec.environment: Marketplace "shop" has no environment "Staging"; it has Production, Sandbox`,
		},
		"an environment in other letters": {
			account: func(s *v1alpha1.MarketplaceAccountSpec) { s.Environment = "production" },
			want:    `spec.environment: Marketplace "shop" has no environment "production"; it has Production, Sandbox`,
		},
		"an unknown placeholder in the token endpoint": {
			object: token("https://{host}/{tenant}/{shop}/token"),
			want: `Marketplace "shop": spec.endpoints.token: {tenant}, {shop} is neither a variable of the environment ` +
				`nor a parameter that is set`,
		},
		"an unknown placeholder in the issuer": {
			object: func(s *v1alpha1.MarketplaceSpec) { s.Endpoints.Issuer = "https://{tenant}" },
			want:   `Marketplace "shop": spec.endpoints.issuer: {tenant} is neither a variable of the environment nor a parameter that is set`,
		},
		"an unknown placeholder in the revocation endpoint": {
			object: func(s *v1alpha1.MarketplaceSpec) { s.Endpoints.Revocation = "https://{tenant}" },
			want:   `Marketplace "shop": spec.endpoints.revocation: {tenant} is neither a variable of the environment nor a parameter that is set`,
		},
		"an unknown placeholder in the authorization endpoint": {
			object:  func(s *v1alpha1.MarketplaceSpec) { s.Endpoints.Authorization = "https://{tenant}" },
			account: withGrant(v1alpha1.GrantAuthorizationCode),
			want:    `Marketplace "shop": spec.endpoints.authorization: {tenant} is neither a variable of the environment nor a parameter that is set`,
		},
		"an unknown placeholder in the device authorization endpoint": {
			object:  func(s *v1alpha1.MarketplaceSpec) { s.Endpoints.DeviceAuthorization = "https://{tenant}" },
			account: withGrant(v1alpha1.GrantDeviceCode),
			want:    `Marketplace "shop": spec.endpoints.deviceAuthorization: {tenant} is neither a variable of the environment nor a parameter that is set`,
		},
		"an unknown placeholder in a parameter of the authorization request": {
			object: func(s *v1alpha1.MarketplaceSpec) {
				s.AuthorizationRequest.Parameters = []v1alpha1.NameValue{{Name: "audience", Value: "{tenant}"}}
			},
			account: withGrant(v1alpha1.GrantAuthorizationCode),
			want:    `Marketplace "shop": spec.authorizationRequest.parameters: {tenant} is neither a variable of the environment nor a parameter that is set`,
		},
		"an unknown placeholder in the identity request": {
			object: func(s *v1alpha1.MarketplaceSpec) {
				s.Identity.Request = &v1alpha1.IdentityRequest{URL: "https://{tenant}"}
			},
			want: `Marketplace "shop": spec.identity.request.url: {tenant} is neither a variable of the environment nor a parameter that is set`,
		},
		"an unknown placeholder in a header of the identity request": {
			object: func(s *v1alpha1.MarketplaceSpec) {
				s.Identity.Request = &v1alpha1.IdentityRequest{
					URL: "https://{host}/me", Headers: []v1alpha1.HTTPHeader{{Name: "X", Value: "{tenant}"}},
				}
			},
			want: `Marketplace "shop": spec.identity.request.headers: {tenant} is neither a variable of the environment nor a parameter that is set`,
		},
		"an unknown placeholder in a header": {
			object: func(s *v1alpha1.MarketplaceSpec) {
				s.TokenRequest.Headers = []v1alpha1.HTTPHeader{{Name: "X", Value: "{tenant}"}}
			},
			want: `Marketplace "shop": spec.tokenRequest.headers: {tenant} is neither a variable of the environment nor a parameter that is set`,
		},
		"the access token in a header of the token request": {
			object: func(s *v1alpha1.MarketplaceSpec) {
				s.TokenRequest.Headers = []v1alpha1.HTTPHeader{{Name: "X", Value: "{accessToken}"}}
			},
			want: `Marketplace "shop": spec.tokenRequest.headers: {accessToken} is neither a variable of the environment nor a parameter that is set`,
		},
		"the access token in the address of the identity request": {
			object: func(s *v1alpha1.MarketplaceSpec) {
				s.Identity.Request = &v1alpha1.IdentityRequest{URL: "https://{host}/me?token={accessToken}"}
			},
			want: `Marketplace "shop": spec.identity.request.url: {accessToken} is neither a variable of the environment nor a parameter that is set`,
		},
		"an unknown placeholder in a parameter": {
			object: func(s *v1alpha1.MarketplaceSpec) {
				s.TokenRequest.Parameters = []v1alpha1.TokenParameter{{Name: "audience", Value: "{tenant}"}}
			},
			want: `Marketplace "shop": spec.tokenRequest.parameters: {tenant} is neither a variable of the environment nor a parameter that is set`,
		},
		"plain http to another machine": {
			object: token("http://login.example.com/token"),
			want:   `Marketplace "shop": spec.endpoints.token: "http://login.example.com/token" must be https`,
		},
		"plain http to a name that only looks like this machine": {
			object: token("http://localhost.example.com/token"),
			want:   `Marketplace "shop": spec.endpoints.token: "http://localhost.example.com/token" must be https`,
		},
		"plain http to another machine by a variable": {
			object: func(s *v1alpha1.MarketplaceSpec) {
				s.Endpoints.Token = "http://{host}/token"
			},
			want: `Marketplace "shop": spec.endpoints.token: "http://login.example.com/token" must be https`,
		},
		"another scheme": {
			object: token("ftp://{host}/token"),
			want:   `Marketplace "shop": spec.endpoints.token: "ftp://login.example.com/token" must be https`,
		},
		"no scheme": {
			object: token("{host}/token"),
			want:   `Marketplace "shop": spec.endpoints.token: "login.example.com/token" is no absolute URL`,
		},
		"a path alone": {
			object: token("/token"),
			want:   `Marketplace "shop": spec.endpoints.token: "/token" is no absolute URL`,
		},
		"no host": {
			object: token("https:///token"),
			want:   `Marketplace "shop": spec.endpoints.token: "https:///token" is no absolute URL`,
		},
		"a port and no host": {
			object: token("https://:443/token"),
			want:   `Marketplace "shop": spec.endpoints.token: "https://:443/token" is no absolute URL`,
		},
		"no URL at all": {
			object: token("https://{host}:port/"),
			want:   `Marketplace "shop": spec.endpoints.token: "https://login.example.com:port/" is no absolute URL`,
		},
		"a user name in a variable": {
			object: host("user:secret@login.example.com"),
			want: `Marketplace "shop": spec.endpoints.token: "https://user:secret@login.example.com/token" must not hold user information ` +
				`or a fragment`,
		},
		"a fragment in a variable": {
			object: host("login.example.com/#"),
			want:   `Marketplace "shop": spec.endpoints.token: "https://login.example.com/#/token" must not hold user information or a fragment`,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			object, account := shop(), account()
			if test.object != nil {
				test.object(&object.Spec)
			}
			if test.account != nil {
				test.account(&account.Spec)
			}
			_, err := marketplace.Resolve(object, account)
			if err == nil {
				t.Fatal("resolved all the same")
			}
			if diff := cmp.Diff(test.want, err.Error()); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTokenParameters(t *testing.T) {
	platform := resolved(t, shop(func(s *v1alpha1.MarketplaceSpec) {
		s.TokenRequest.Parameters = []v1alpha1.TokenParameter{
			{Name: "audience", Value: "https://{host}/api", Grants: []v1alpha1.GrantType{v1alpha1.GrantPassword}},
			{Name: "expiring", Value: "1"},
		}
	}), account())
	want := []v1alpha1.TokenParameter{
		{Name: "audience", Value: "https://login.example.com/api", Grants: []v1alpha1.GrantType{v1alpha1.GrantPassword}},
		{Name: "expiring", Value: "1"},
	}
	if diff := cmp.Diff(want, platform.TokenParameters()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMeans(t *testing.T) {
	platform := resolved(t, shop(func(s *v1alpha1.MarketplaceSpec) {
		s.TokenResponse.Errors = []v1alpha1.ErrorMeaning{
			{Code: "Unauthorized", Status: 401, Reason: "ApplicationRejected"},
			{Code: "invalid_token", Grants: []v1alpha1.GrantType{v1alpha1.GrantRefreshToken}, Reason: "GrantRejected"},
			{Code: "access_denied", Status: 403, Grants: []v1alpha1.GrantType{v1alpha1.GrantPassword}, Reason: "AccountLocked"},
			{Status: 420, Reason: "RateLimited"},
			{Code: "twice", Status: 400, Reason: "InvalidSpec"},
			{Code: "twice", Reason: "ScopeRejected"},
		}
	}), account())
	tests := map[string]struct {
		code   string
		status int
		grant  v1alpha1.GrantType
		want   string
	}{
		"a code and its status":                      {"Unauthorized", 401, v1alpha1.GrantPassword, "ApplicationRejected"},
		"a code and another status":                  {"Unauthorized", 400, v1alpha1.GrantPassword, ""},
		"a code in other letters":                    {"unauthorized", 401, v1alpha1.GrantPassword, ""},
		"a code and its grant":                       {"invalid_token", 400, v1alpha1.GrantRefreshToken, "GrantRejected"},
		"a code and another grant":                   {"invalid_token", 400, v1alpha1.GrantPassword, ""},
		"a code, its status and its grant":           {"access_denied", 403, v1alpha1.GrantPassword, "AccountLocked"},
		"a code, its status and another grant":       {"access_denied", 403, v1alpha1.GrantRefreshToken, ""},
		"a status without a code":                    {"", 420, v1alpha1.GrantRefreshToken, "RateLimited"},
		"a status that has a code after all":         {"calm_down", 420, v1alpha1.GrantRefreshToken, ""},
		"no code and another status":                 {"", 500, v1alpha1.GrantRefreshToken, ""},
		"of two that fit, the first":                 {"twice", 400, v1alpha1.GrantRefreshToken, "InvalidSpec"},
		"of two, the one that fits":                  {"twice", 401, v1alpha1.GrantRefreshToken, "ScopeRejected"},
		"a standard code that nothing is said about": {"invalid_grant", 400, v1alpha1.GrantRefreshToken, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got, ok := platform.Means(test.code, test.status, test.grant)
			if got != test.want || ok != (test.want != "") {
				t.Errorf("Means(%q, %d, %s) = %q, %v, want %q", test.code, test.status, test.grant, got, ok, test.want)
			}
		})
	}
}
