package marketplace_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
)

const portal = "https://tokens.example.com/callback/"

// signIns are the platforms of the demo marketplace at which a person signs in with a browser.
var signIns = map[string]struct {
	redirectURI string // default: the portal's callback
	accountID   string // that the callback tells
	issuer      bool   // whether it names the issuer
	scope       string // one that must be granted
}{
	"allegro": {scope: "allegro:api:orders:read"},
	"amazon":  {accountID: "A2EUQ1WTGCTBG2X"},
	"ebay":    {redirectURI: "My_Shop-MyApp-PRD-x"},
	"oidc":    {issuer: true},
}

func TestSignInAtShippedMarketplaces(t *testing.T) {
	for name, row := range signIns {
		t.Run(name, func(t *testing.T) {
			d := newDemo(t, name, v1alpha1.GrantAuthorizationCode)
			a := marketplace.AuthorizationParameters{
				ClientID: demomarket.DefaultClientID, ApplicationID: demomarket.DefaultApplicationID,
				RedirectURI: portal + name, State: "the-state_1",
			}
			if row.redirectURI != "" {
				a.RedirectURI = row.redirectURI
			}
			d.market.AddRuName(demomarket.DefaultClientID, a.RedirectURI, portal+name, portal+"declined")
			verifier := ""
			if d.platform.PKCE {
				verifier = oauth2.GenerateVerifier()
				a.Challenge = oauth2.S256ChallengeFromVerifier(verifier)
			}
			callback := d.signIn(t, a, demomarket.Person{})
			if callback.Code == "" || callback.State != a.State || callback.AccountID != row.accountID || (callback.Issuer != "") != row.issuer {
				t.Fatalf("the callback is %+v", callback)
			}
			if row.issuer && callback.Issuer != d.platform.Issuer {
				t.Errorf("the issuer is %q, want %q", callback.Issuer, d.platform.Issuer)
			}
			d.config.RedirectURL = a.RedirectURI
			var options []oauth2.AuthCodeOption
			if verifier != "" {
				options = append(options, oauth2.VerifierOption(verifier))
			}
			token, err := d.config.Exchange(d.ctx, callback.Code, options...)
			if err != nil {
				t.Fatalf("exchanging the code: %v", err)
			}
			scope, _ := token.Extra("scope").(string)
			if !d.market.AccessTokenValid(token.AccessToken) || !d.market.RefreshTokenValid(token.RefreshToken) || !strings.Contains(scope, row.scope) {
				t.Errorf("the tokens are %+v, with scope %q", token, scope)
			}
		})
		if name == "ebay" {
			continue // it sends people who decline to another address, and says nothing
		}
		t.Run(name+", denied", func(t *testing.T) {
			d := newDemo(t, name, v1alpha1.GrantAuthorizationCode)
			a := marketplace.AuthorizationParameters{
				ClientID: demomarket.DefaultClientID, ApplicationID: demomarket.DefaultApplicationID, RedirectURI: portal + name, State: "s",
			}
			d.market.AddRedirectURI(demomarket.DefaultClientID, a.RedirectURI)
			callback := d.signIn(t, a, demomarket.Person{Deny: true})
			if callback.Code != "" || callback.Error != "access_denied" || callback.State != "s" {
				t.Errorf("the callback is %+v", callback)
			}
		})
	}
}

func offers(object *v1alpha1.Marketplace, grant v1alpha1.GrantType) bool {
	return slices.Contains(object.Spec.Grants, grant)
}

// signIn has a person sign in, and reads what comes back.
func (d *demo) signIn(t *testing.T, a marketplace.AuthorizationParameters, person demomarket.Person) marketplace.Callback {
	t.Helper()
	endpoint := d.platform.AuthorizationURL
	if endpoint == "" {
		endpoint = strings.TrimSuffix(d.platform.Issuer, "/") + "/authorize" // as discovery has it
	}
	link, err := d.platform.AuthorizationRequest(endpoint, a)
	if err != nil {
		t.Fatalf("no request: %v", err)
	}
	address, err := d.market.SignIn(t.Context(), &http.Client{}, link, person)
	if err != nil {
		t.Fatalf("signing in: %v", err)
	}
	callback, err := d.platform.Callback(address.Query())
	if err != nil {
		t.Fatalf("reading %s: %v", address, err)
	}
	return callback
}

// TestDeviceFlowAtShippedMarketplaces asks for device codes as x/oauth2 does, and reads Allegro's answer.
func TestDeviceFlowAtShippedMarketplaces(t *testing.T) {
	for name, object := range shipped(t) {
		if !offers(object, v1alpha1.GrantDeviceCode) || !slices.ContainsFunc(demomarket.Platforms(), func(p demomarket.Platform) bool { return p.Name == name }) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			d := newDemo(t, name, v1alpha1.GrantDeviceCode)
			d.config.Endpoint.DeviceAuthURL = d.platform.DeviceAuthorizationURL
			if d.config.Endpoint.DeviceAuthURL == "" {
				d.config.Endpoint.DeviceAuthURL = strings.TrimSuffix(d.platform.Issuer, "/") + "/device_authorization"
			}
			d.config.Scopes = d.platform.Scopes
			secret := oauth2.SetAuthURLParam("client_secret", demomarket.DefaultClientSecret)
			code, err := d.config.DeviceAuth(d.ctx, secret)
			if err != nil {
				t.Fatalf("asking for a code: %v", err)
			}
			if code.DeviceCode == "" || code.UserCode == "" || code.Interval != 5 || time.Until(code.Expiry) < 9*time.Minute ||
				!strings.HasPrefix(code.VerificationURIComplete, code.VerificationURI+"?") {
				t.Errorf("the code is %+v", code)
			}
			form := url.Values{
				"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {code.DeviceCode},
				"client_id": {demomarket.DefaultClientID}, "client_secret": {demomarket.DefaultClientSecret},
			}
			if err := d.market.ApproveDevice(code.UserCode, d.market.Seller().ID); err != nil {
				t.Fatal(err)
			}
			response, err := d.client.Do(standard(t, d.platform.TokenURL, form))
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			requests := d.market.Requests()
			if last := requests[len(requests)-1]; response.StatusCode != http.StatusOK || last.Outcome != demomarket.OK || !last.Basic {
				t.Errorf("HTTP %d to %+v", response.StatusCode, last)
			}
		})
	}
}
