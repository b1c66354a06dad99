package demomarket_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// inProcess hands requests to a handler without a network, so that a test can be in a bubble of its own time.
type inProcess struct{ http.Handler }

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	response := w.Result()
	response.Request = r
	return response, nil
}

// library is golang.org/x/oauth2 and go-oidc, set up by what platform oidc says about itself.
type library struct {
	oauth2.Config
	market   *demomarket.Market
	client   *http.Client
	provider *oidc.Provider
	ctx      context.Context
}

// inLibrary runs a test with them in a bubble, where waiting takes no time.
func inLibrary(t *testing.T, test func(t *testing.T, l *library)) {
	demomarket.SharedKey() // made out here, where its time is not that of a bubble
	synctest.Test(t, func(t *testing.T) {
		server := demomarket.New(demomarket.Options{Key: demomarket.SharedKey()})
		server.SeedPortal(portal)
		client := &http.Client{Transport: inProcess{server}}
		ctx := oidc.ClientContext(t.Context(), client)
		provider, err := oidc.NewProvider(ctx, "http://market.example.com/oidc")
		must(t, err)
		test(t, &library{
			Config: oauth2.Config{
				ClientID: demomarket.DefaultClientID, ClientSecret: demomarket.DefaultClientSecret,
				Endpoint: provider.Endpoint(), RedirectURL: portal + "/callback/oidc",
				Scopes: []string{"openid", "offline_access"},
			},
			market: server.Platform("oidc"), client: client, provider: provider, ctx: ctx,
		})
	})
}

// checkTokens checks the ID token and renews.
func (l *library) checkTokens(t *testing.T, token *oauth2.Token, subject, nonce string) {
	t.Helper()
	raw, _ := token.Extra("id_token").(string)
	verified, err := l.provider.Verifier(&oidc.Config{ClientID: l.ClientID, Now: time.Now}).Verify(l.ctx, raw)
	must(t, err)
	wantEqual(t, "sub", verified.Subject, subject)
	wantEqual(t, "nonce", verified.Nonce, nonce)
	renewed, err := l.TokenSource(l.ctx, &oauth2.Token{RefreshToken: token.RefreshToken}).Token()
	must(t, err)
	wantEqual(t, "renewed token is valid", l.market.AccessTokenValid(renewed.AccessToken), true)
}

func TestDiscoveryOfSignIn(t *testing.T) {
	inLibrary(t, func(t *testing.T, l *library) {
		var document struct {
			Authorization string   `json:"authorization_endpoint"`
			Device        string   `json:"device_authorization_endpoint"`
			Methods       []string `json:"code_challenge_methods_supported"`
			Issuer        bool     `json:"authorization_response_iss_parameter_supported"`
			Grants        []string `json:"grant_types_supported"`
		}
		must(t, l.provider.Claims(&document))
		wantEqual(t, "authorization endpoint", document.Authorization, "http://market.example.com/oidc/authorize")
		wantEqual(t, "device endpoint", document.Device, "http://market.example.com/oidc/device_authorization")
		wantEqual(t, "S256 alone", slices.Equal(document.Methods, []string{"S256"}), true)
		wantEqual(t, "iss", document.Issuer, true)
		for _, grant := range []string{demomarket.GrantAuthorizationCode, demomarket.GrantDeviceCode} {
			wantEqual(t, grant, slices.Contains(document.Grants, grant), true)
		}
	})
}

func TestTheLibrarySignsInByCode(t *testing.T) {
	inLibrary(t, func(t *testing.T, l *library) {
		other := l.market.OtherSeller().ID
		verifier := oauth2.GenerateVerifier()
		link := l.AuthCodeURL("a-state", oauth2.S256ChallengeOption(verifier), oidc.Nonce("a-nonce"))
		callback, err := l.market.SignIn(t.Context(), l.client, link, demomarket.Person{SellerID: other})
		must(t, err)
		wantEqual(t, "state", callback.Query().Get("state"), "a-state")
		wantEqual(t, "iss", callback.Query().Get("iss"), "http://market.example.com/oidc")

		code := callback.Query().Get("code")
		_, err = l.Exchange(l.ctx, code, oauth2.VerifierOption(oauth2.GenerateVerifier()))
		var refused *oauth2.RetrieveError
		if !errors.As(err, &refused) || refused.ErrorCode != "invalid_grant" {
			t.Fatalf("err = %v, want invalid_grant", err)
		}
		token, err := l.Exchange(l.ctx, code, oauth2.VerifierOption(verifier))
		must(t, err)
		l.checkTokens(t, token, other, "a-nonce")
	})
}

func TestTheLibrarySignsInByDevice(t *testing.T) {
	for name, public := range map[string]bool{"with a secret": false, "a public client": true} {
		t.Run(name, func(t *testing.T) {
			inLibrary(t, func(t *testing.T, l *library) {
				secret := oauth2.SetAuthURLParam("client_secret", l.ClientSecret) // it knows no other way
				if public {
					l.market.AddClient("public-client", "")
					l.ClientID, l.ClientSecret = "public-client", ""
					secret = oauth2.SetAuthURLParam("client_secret", "")
				}
				l.Endpoint.AuthStyle = oauth2.AuthStyleInParams
				device, err := l.DeviceAuth(l.ctx, secret)
				must(t, err)
				wantEqual(t, "interval", device.Interval, 5)

				// Somebody decides after a minute. A second program that asks meanwhile makes this one slow down.
				time.AfterFunc(62*time.Second, func() { _ = l.market.ApproveDevice(device.UserCode, l.market.Seller().ID) })
				time.AfterFunc(12*time.Second, func() {
					short, cancel := context.WithTimeout(l.ctx, 6*time.Second)
					defer cancel()
					_, _ = l.DeviceAccessToken(short, device)
				})
				token, err := l.DeviceAccessToken(l.ctx, device)
				must(t, err)
				l.checkTokens(t, token, l.market.Seller().ID, "")
				report := l.market.Report()
				wantEqual(t, "codes", report.DeviceCodes, demomarket.CodeTally{Issued: 1, Used: 1})
				if report.EarlyPolls == 0 {
					t.Error("nobody was told to slow down")
				}
			})
		})
	}
}

func TestTheLibraryGivesUpOnADevice(t *testing.T) {
	tests := map[string]struct {
		decide func(l *library, userCode string)
		want   string
	}{
		"denied":  {decide: func(l *library, userCode string) { _ = l.market.DenyDevice(userCode) }, want: "access_denied"},
		"expired": {decide: func(*library, string) {}, want: "expired_token"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inLibrary(t, func(t *testing.T, l *library) {
				device, err := l.DeviceAuth(l.ctx, oauth2.SetAuthURLParam("client_secret", l.ClientSecret))
				must(t, err)
				device.Expiry = time.Time{}                     // so that it asks until it is told
				l.Endpoint.AuthStyle = oauth2.AuthStyleInHeader // or it would ask twice, to find out
				time.AfterFunc(7*time.Second, func() { test.decide(l, device.UserCode) })
				_, err = l.DeviceAccessToken(l.ctx, device)
				var refused *oauth2.RetrieveError
				if !errors.As(err, &refused) || refused.ErrorCode != test.want {
					t.Fatalf("err = %v, want %s", err, test.want)
				}
				wantEqual(t, "early polls", l.market.Report().EarlyPolls, 0)
			})
		})
	}
}
