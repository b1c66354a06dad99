package marketplace_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
)

// shipped are the Marketplaces of config/marketplaces, by name.
func shipped(t *testing.T) map[string]*v1alpha1.Marketplace {
	t.Helper()
	paths, err := filepath.Glob("../../config/marketplaces/*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("there are no manifests: %v", err)
	}
	all := map[string]*v1alpha1.Marketplace{}
	for _, path := range paths {
		if filepath.Base(path) == "kustomization.yaml" {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		object := &v1alpha1.Marketplace{}
		if err := yaml.UnmarshalStrict(text, object); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		if object.Kind != "Marketplace" || object.Name+".yaml" != filepath.Base(path) {
			t.Errorf("%s holds %s %q", path, object.Kind, object.Name)
		}
		all[object.Name] = object
	}
	return all
}

// accountOf is the least account that there may be: of what a Marketplace wants to be set, it has the first choice, or a name.
func accountOf(object *v1alpha1.Marketplace, environment string, grant v1alpha1.GrantType) *v1alpha1.MarketplaceAccount {
	return account(withGrant(grant), func(s *v1alpha1.MarketplaceAccountSpec) {
		s.MarketplaceRef.Name, s.Environment = object.Name, environment
		for _, parameter := range object.Spec.Parameters {
			switch {
			case !parameter.Required && !bringsAuthorization(object, parameter):
			case len(parameter.Choices) > 0:
				s.Parameters = append(s.Parameters, v1alpha1.Parameter{Name: parameter.Name, Value: parameter.Choices[0].Value})
			default:
				s.Parameters = append(s.Parameters, v1alpha1.Parameter{Name: parameter.Name, Value: "my-shop"})
			}
		}
	})
}

// bringsAuthorization tells whether the address for sign-ins needs what comes along with a parameter.
func bringsAuthorization(object *v1alpha1.Marketplace, parameter v1alpha1.ParameterDeclaration) bool {
	return len(parameter.Choices) > 0 && slices.ContainsFunc(parameter.Choices[0].Variables, func(variable v1alpha1.NameValue) bool {
		return strings.Contains(string(object.Spec.Endpoints.Authorization), "{"+variable.Name+"}")
	})
}

// demo is a shipped Marketplace whose addresses lead to the demo marketplace, which holds it to what the real platform
// demands.
type demo struct {
	oauth
	platform *marketplace.Platform
	market   *demomarket.Market
}

func newDemo(t *testing.T, name string, grant v1alpha1.GrantType, scopes ...v1alpha1.Scope) *demo {
	t.Helper()
	server := demomarket.New(demomarket.Options{Now: now, Key: demomarket.SharedKey()})
	listener := httptest.NewServer(server)
	t.Cleanup(listener.Close)
	object := shipped(t)[name]
	if object == nil || server.Platform(name) == nil {
		t.Fatalf("there is no Marketplace, or no demo, of the name %s", name)
	}
	demomarket.RedirectManifest(object, listener.URL)
	account := accountOf(object, "Production", grant)
	account.Spec.Scopes = scopes
	platform := resolved(t, object, account)
	if platform.TokenURL == "" {
		platform.TokenURL = discovered(t, platform.Issuer)
	}
	d := &demo{
		platform: platform, market: server.Platform(name),
		oauth: newOAuth(t, platform.TokenURL, platform.Dialect(listener.Client().Transport, now)),
	}
	d.config.ClientID, d.config.ClientSecret = demomarket.DefaultClientID, demomarket.DefaultClientSecret
	d.market.SeedRefreshToken(refreshToken, d.market.Seller().ID)
	return d
}

// discovered is the token endpoint that an issuer's document names.
func discovered(t *testing.T, issuer string) string {
	t.Helper()
	response, err := http.Get(strings.TrimSuffix(issuer, "/") + "/.well-known/openid-configuration")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var document struct {
		Token string `json:"token_endpoint"`
	}
	body, err := io.ReadAll(response.Body)
	if err == nil {
		err = json.Unmarshal(body, &document)
	}
	if err != nil {
		t.Fatalf("discovering %s: %v", issuer, err)
	}
	return document.Token
}

// ask asks with the grant that the account has.
func (d *demo) ask(grant v1alpha1.GrantType) (*oauth2.Token, error) {
	switch grant {
	case v1alpha1.GrantPassword:
		d.config.Scopes = d.platform.Scopes
		return d.config.PasswordCredentialsToken(d.ctx, demomarket.DefaultUser, demomarket.DefaultPassword)
	case v1alpha1.GrantClientCredentials:
		return d.clientCredentials(d.platform.Scopes...)
	}
	return d.refresh(refreshToken)
}

// conformance is what shipped Marketplaces make of the demo marketplace, whose Go code they share. test/marketplaces holds every one of them
// against what its platform documents.
var conformance = map[string]struct {
	marketplace string
	grant       v1alpha1.GrantType
	scopes      []v1alpha1.Scope // of the account
	want        facts
	// identity is what the identity request tells; nil where there is none, or where the token is the application's.
	identity *answer.Identity
}{
	"Allegro rotates": {
		marketplace: "allegro", grant: v1alpha1.GrantRefreshToken,
		want:     facts{TokenType: "Bearer", Lifetime: 43199 * time.Second, Basic: true, Rotates: true, Scope: "allegro:api:profile:read"},
		identity: &answer.Identity{ID: "44130512", Login: "my-shop"},
	},
	"Allegro knows the application": {
		marketplace: "allegro", grant: v1alpha1.GrantClientCredentials,
		want: facts{TokenType: "Bearer", Lifetime: 43199 * time.Second, Basic: true, Scope: "allegro:api:profile:read"},
	},
	"eBay keeps its refresh token": {
		marketplace: "ebay", grant: v1alpha1.GrantRefreshToken,
		want:     facts{TokenType: "Bearer", Lifetime: 2 * time.Hour, Basic: true},
		identity: &answer.Identity{ID: "fZkq3zLmTsW", Login: "my-ebay-shop"},
	},
	"eBay knows the application": {
		marketplace: "ebay", grant: v1alpha1.GrantClientCredentials, scopes: []v1alpha1.Scope{"https://api.ebay.com/oauth/api_scope"},
		want: facts{TokenType: "Bearer", Lifetime: 2 * time.Hour, Basic: true},
	},
	"Amazon repeats its refresh token": {
		marketplace: "amazon", grant: v1alpha1.GrantRefreshToken,
		want:     facts{TokenType: "Bearer", Lifetime: time.Hour},
		identity: &answer.Identity{Login: "my-amazon-shop"},
	},
	"Amazon knows the application": {
		marketplace: "amazon", grant: v1alpha1.GrantClientCredentials, scopes: []v1alpha1.Scope{"sellingpartnerapi::notifications"},
		want: facts{TokenType: "Bearer", Lifetime: time.Hour},
	},
	"xSale logs in": {
		marketplace: "xsale", grant: v1alpha1.GrantPassword,
		want: facts{TokenType: "Bearer", Lifetime: 24 * time.Hour, JSON: true, IDToken: true},
	},
	"OpenID Connect rotates": {
		marketplace: "oidc", grant: v1alpha1.GrantRefreshToken,
		want: facts{TokenType: "Bearer", Lifetime: time.Hour, Basic: true, Rotates: true, IDToken: true},
	},
	"OpenID Connect knows the application": {
		marketplace: "oidc", grant: v1alpha1.GrantClientCredentials, scopes: []v1alpha1.Scope{"orders"},
		want: facts{TokenType: "Bearer", Lifetime: time.Hour, Basic: true},
	},
}

// facts are what an answer, and the request for it, came to.
type facts struct {
	TokenType string
	Lifetime  time.Duration
	Scope     string // the first of those that the answer names; empty where it may name none
	IDToken   bool
	Rotates   bool // the answer holds another refresh token
	Basic     bool // how the request authenticated the application
	JSON      bool // how it was written
}

func TestConformance(t *testing.T) {
	for name, test := range conformance {
		t.Run(name, func(t *testing.T) {
			d := newDemo(t, test.marketplace, test.grant, test.scopes...)
			token, err := d.ask(test.grant)
			if err != nil {
				t.Fatalf("asking: %v", err)
			}
			requests := d.market.Requests()
			if len(requests) != 1 || requests[0].Outcome != demomarket.OK {
				t.Fatalf("the platform saw %+v, want one request that is all right", requests)
			}
			seconds, _ := token.Extra("expires_in").(float64)
			scope, _ := token.Extra("scope").(string)
			idToken, _ := token.Extra("id_token").(string)
			got := facts{
				TokenType: token.Type(), Lifetime: time.Duration(seconds) * time.Second, IDToken: idToken != "",
				Rotates: token.RefreshToken != "" && token.RefreshToken != refreshToken,
				Basic:   requests[0].Basic, JSON: requests[0].ContentType == "application/json",
			}
			if test.want.Scope != "" {
				got.Scope, _, _ = strings.Cut(scope, " ")
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if !d.market.AccessTokenValid(token.AccessToken) {
				t.Error("the platform does not take the access token")
			}
			if token.RefreshToken != "" && !d.market.RefreshTokenValid(token.RefreshToken) {
				t.Error("the platform does not take the refresh token")
			}
			if d.platform.Rotating != test.want.Rotates && test.grant == v1alpha1.GrantRefreshToken {
				t.Errorf("the manifest says rotating: %v", d.platform.Rotating)
			}
			if test.identity == nil {
				return
			}
			identity, err := d.platform.Identify(t.Context(), d.client0(), token.AccessToken)
			if err != nil {
				t.Fatalf("identifying: %v", err)
			}
			if diff := cmp.Diff(*test.identity, identity); diff != "" {
				t.Errorf("identity (-want +got):\n%s", diff)
			}
		})
	}
}

// client0 is a client without the dialect.
func (d *demo) client0() *http.Client { return &http.Client{CheckRedirect: d.client.CheckRedirect} }

// TestWhatThePlatformsRefuse holds the manifests' error tables against the platforms' words.
func TestWhatThePlatformsRefuse(t *testing.T) {
	tests := map[string]struct {
		marketplace string
		grant       v1alpha1.GrantType
		arrange     func(*demo)
		code        string
		means       string // empty where the code is understood without an entry
	}{
		"Allegro, a dead refresh token": {
			marketplace: "allegro", grant: v1alpha1.GrantRefreshToken, arrange: func(d *demo) { d.market.RevokeGrants() }, code: "invalid_grant",
		},
		"Allegro, a wrong secret": {
			marketplace: "allegro", grant: v1alpha1.GrantRefreshToken, arrange: wrongSecret, code: "Unauthorized",
		},
		"eBay, a dead refresh token": {
			marketplace: "ebay", grant: v1alpha1.GrantRefreshToken, arrange: func(d *demo) { d.market.RevokeGrants() }, code: "invalid_grant",
		},
		"eBay, a wrong secret": {marketplace: "ebay", grant: v1alpha1.GrantRefreshToken, arrange: wrongSecret, code: "invalid_client"},
		"Amazon, a dead refresh token": {
			marketplace: "amazon", grant: v1alpha1.GrantRefreshToken, arrange: func(d *demo) { d.market.RevokeGrants() }, code: "invalid_grant",
		},
		"Amazon, a wrong secret": {marketplace: "amazon", grant: v1alpha1.GrantRefreshToken, arrange: wrongSecret, code: "invalid_client"},
		"xSale, a wrong secret":  {marketplace: "xsale", grant: v1alpha1.GrantPassword, arrange: wrongSecret, code: "invalid_client"},
		"xSale, a wrong password": {
			marketplace: "xsale", grant: v1alpha1.GrantPassword, code: "invalid_grant",
			arrange: func(d *demo) { d.market.SetPassword(demomarket.DefaultUser, "another") },
		},
		"xSale, a locked user": {
			marketplace: "xsale", grant: v1alpha1.GrantPassword, code: "too_many_attempts", means: v1alpha1.ReasonAccountLocked,
			arrange: func(d *demo) { d.market.Lock(demomarket.DefaultUser) },
		},
		"xSale, a second factor": {
			marketplace: "xsale", grant: v1alpha1.GrantPassword, code: "mfa_required",
			arrange: func(d *demo) { d.market.RefuseLogin(demomarket.DefaultUser, demomarket.MFARequired) },
		},
		"xSale, a leaked password": {
			marketplace: "xsale", grant: v1alpha1.GrantPassword, code: "password_leaked",
			arrange: func(d *demo) { d.market.RefuseLogin(demomarket.DefaultUser, demomarket.PasswordLeaked) },
		},
		"xSale, a blocked user": {
			marketplace: "xsale", grant: v1alpha1.GrantPassword, code: "unauthorized",
			arrange: func(d *demo) { d.market.RefuseLogin(demomarket.DefaultUser, demomarket.UserBlocked) },
		},
		"OpenID Connect, a dead refresh token": {
			marketplace: "oidc", grant: v1alpha1.GrantRefreshToken, arrange: func(d *demo) { d.market.RevokeGrants() }, code: "invalid_grant",
		},
		"OpenID Connect, a wrong secret": {marketplace: "oidc", grant: v1alpha1.GrantRefreshToken, arrange: wrongSecret, code: "invalid_client"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := newDemo(t, test.marketplace, test.grant)
			test.arrange(d)
			_, err := d.ask(test.grant)
			var refused *oauth2.RetrieveError
			if !errors.As(err, &refused) {
				t.Fatalf("the error is %T (%v), want an answer that refuses", err, err)
			}
			if refused.ErrorCode != test.code {
				t.Errorf("the code is %q, want %q", refused.ErrorCode, test.code)
			}
			means, _ := d.platform.Means(refused.ErrorCode, refused.Response.StatusCode, test.grant)
			if means != test.means {
				t.Errorf("the manifest takes it for %q, want %q", means, test.means)
			}
			if requests := d.market.Requests(); len(requests) != 1 {
				t.Errorf("the platform saw %d requests, want 1", len(requests))
			}
		})
	}
}

func wrongSecret(d *demo) { d.config.ClientSecret = "another" }

// TestFaults passes what goes wrong through the dialects of all platforms.
func TestFaults(t *testing.T) {
	rows := map[string]v1alpha1.GrantType{
		"allegro": v1alpha1.GrantRefreshToken, "ebay": v1alpha1.GrantRefreshToken, "amazon": v1alpha1.GrantRefreshToken,
		"xsale": v1alpha1.GrantPassword, "oidc": v1alpha1.GrantRefreshToken,
	}
	malformed := map[string]demomarket.Fault{"a page": demomarket.HTMLPage(), "nothing": demomarket.Empty(), "two MiB": demomarket.Huge()}
	harmless := map[string]demomarket.Fault{
		"no expires_in":            demomarket.ExpiresIn(demomarket.ExpiresInAbsent),
		"expires_in zero":          demomarket.ExpiresIn(`0`),
		"expires_in negative":      demomarket.ExpiresIn(`-5`),
		"expires_in a word":        demomarket.ExpiresIn(`"soon"`),
		"expires_in a fraction":    demomarket.ExpiresIn(`3600.5`),
		"expires_in a long string": demomarket.ExpiresIn(`"3600"`),
	}
	for name, grant := range rows {
		for fault, inject := range malformed {
			t.Run(name+", "+fault, func(t *testing.T) {
				d := newDemo(t, name, grant)
				d.market.Inject(inject)
				_, err := d.ask(grant)
				var none interface{ FromPlatform() bool }
				if !errors.As(err, &none) || none.FromPlatform() == (fault == "a page") {
					t.Errorf("the error is %v, want one that is Malformed", err)
				}
			})
		}
		for fault, inject := range harmless {
			t.Run(name+", "+fault, func(t *testing.T) {
				d := newDemo(t, name, grant)
				d.market.Inject(inject)
				token, err := d.ask(grant)
				if err != nil || !d.market.AccessTokenValid(token.AccessToken) {
					t.Errorf("the tokens are lost: %v", err)
				}
			})
		}
		t.Run(name+", half an answer", func(t *testing.T) {
			d := newDemo(t, name, grant)
			d.market.Inject(demomarket.CutAnswer())
			_, err := d.ask(grant)
			var none interface{ FromPlatform() bool }
			if err == nil || errors.As(err, &none) {
				t.Errorf("the error is %v, want that of a connection that broke", err)
			}
		})
	}
}

// TestRevocationAtEBay is the one that a shipped Marketplace names.
func TestRevocationAtEBay(t *testing.T) {
	d := newDemo(t, "ebay", v1alpha1.GrantRefreshToken)
	request := standard(t, d.platform.RevocationURL, map[string][]string{
		"token": {refreshToken}, "client_id": {demomarket.DefaultClientID}, "client_secret": {demomarket.DefaultClientSecret},
	})
	response, err := d.client.Do(request.WithContext(context.WithoutCancel(t.Context())))
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK || d.market.RefreshTokenValid(refreshToken) {
		t.Errorf("HTTP %d, and the refresh token is valid: %v", response.StatusCode, d.market.RefreshTokenValid(refreshToken))
	}
}
