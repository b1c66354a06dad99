package marketplace_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
)

// TestWhatTheOperatorKnows fills in names that no Marketplace and no account can: Walmart's headers.
func TestWhatTheOperatorKnows(t *testing.T) {
	object := shop(func(s *v1alpha1.MarketplaceSpec) {
		s.TokenRequest.Headers = []v1alpha1.HTTPHeader{
			{Name: "X-Partner", Value: "{accountID}"}, {Name: "X-Correlation", Value: "{random}"}, {Name: "X-Client", Value: "{clientID}"},
		}
		s.TokenRequest.Parameters = []v1alpha1.TokenParameter{{Name: "seller", Value: "{accountID}"}}
	})
	platform := resolved(t, object, account())
	baseURL, seen := wire(t)
	for _, account := range []string{"", "10001/ü&b"} {
		known := platform.ForAccount(clientID, account)
		if _, err := newOAuth(t, baseURL+"/token", known.Dialect(http.DefaultTransport, now)).refresh(refreshToken); err != nil {
			t.Fatal(err)
		}
	}
	before, after := seen()[0], seen()[1]
	if before.Extra.Get("X-Client") != clientID || before.Form.Has("seller") || before.Extra["X-Partner"] != nil {
		t.Errorf("before the account is known the platform got %v with %v", before.Form, before.Extra)
	}
	if after.Form.Get("seller") != "10001/ü&b" || after.Extra.Get("X-Partner") != "10001%2F%C3%BC%26b" {
		t.Errorf("once it is known the platform got %v with %v", after.Form, after.Extra)
	}
	random := []string{before.Extra.Get("X-Correlation"), after.Extra.Get("X-Correlation")}
	if len(random[0]) < 16 || random[0] == random[1] {
		t.Errorf("the random texts are %q, want two of at least 16 characters", random)
	}
}

// TestIdentityKnowsTheApplication is for APIs that want the client beside its token: Amazon Ads.
func TestIdentityKnowsTheApplication(t *testing.T) {
	platform := identifying(t, v1alpha1.IdentityRequest{URL: "https://api.example.com/me", Headers: []v1alpha1.HTTPHeader{
		{Name: "X-Api-Key", Value: "{clientID}"}, {Name: "X-Token", Value: "{accessToken}"},
	}}).ForAccount("my-client", "")
	client := &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
		if r.Header.Get("X-Api-Key") != "my-client" || r.Header.Get("X-Token") != accessToken || r.Header.Get("Authorization") != "" {
			t.Errorf("the headers are %v", r.Header)
		}
		return answers(200, "application/json", `{}`)(r)
	})}
	if _, err := platform.Identify(t.Context(), client, accessToken); err != nil {
		t.Fatal(err)
	}
}

func TestRandomNonce(t *testing.T) {
	platform := resolved(t, shop(func(s *v1alpha1.MarketplaceSpec) {
		s.AuthorizationRequest.Parameters = []v1alpha1.NameValue{{Name: "nonce", Value: "{random}"}}
	}), account())
	nonces := map[string]bool{}
	for range 2 {
		link, err := platform.AuthorizationRequest(authorizeURL, marketplace.AuthorizationParameters{ClientID: "c", State: "s"})
		if err != nil {
			t.Fatal(err)
		}
		parsed, _ := url.Parse(link)
		nonces[parsed.Query().Get("nonce")] = true
	}
	if len(nonces) != 2 || nonces[""] || nonces["{random}"] {
		t.Errorf("the nonces are %v, want two", nonces)
	}
	link, err := platform.AuthorizationRequest(authorizeURL, marketplace.AuthorizationParameters{ClientID: "c", State: "s", Nonce: "ours"})
	if err != nil || !strings.Contains(link, "nonce=ours") {
		t.Errorf("the browser is sent to %s (%v), want with the nonce that binds the ID token", link, err)
	}
}

func TestClientIDOfTheBrowser(t *testing.T) {
	rename := []v1alpha1.Rename{{From: "client_id", To: "clientId"}}
	tests := map[string]struct {
		request v1alpha1.AuthorizationRequest
		want    string
		err     string
	}{
		"its own":                             {want: "client_id=c"},
		"another key":                         {request: v1alpha1.AuthorizationRequest{ClientIDKey: "service_id"}, want: "client_id=a"},
		"the same under another name":         {request: v1alpha1.AuthorizationRequest{ClientIDKey: "client_id", Rename: rename}, want: "clientId=c"},
		"another name alone means another id": {request: v1alpha1.AuthorizationRequest{Rename: rename}, want: "clientId=a"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			platform := resolved(t, shop(func(s *v1alpha1.MarketplaceSpec) { s.AuthorizationRequest = test.request }), account())
			link, err := platform.AuthorizationRequest(authorizeURL, marketplace.AuthorizationParameters{ClientID: "c", ApplicationID: "a", State: "s"})
			if err != nil || !strings.Contains(link, "?"+test.want+"&") {
				t.Errorf("the browser is sent to %s (%v), want with %s", link, err, test.want)
			}
		})
	}
	platform := resolved(t, shop(func(s *v1alpha1.MarketplaceSpec) { s.AuthorizationRequest.ClientIDKey = "service_id" }), account())
	_, err := platform.AuthorizationRequest(authorizeURL, marketplace.AuthorizationParameters{ClientID: "c", State: "s"})
	if err == nil || err.Error() != `the application Secret must have key "service_id", which the marketplace wants instead of client_id` {
		t.Errorf("the error is %v", err)
	}
}

func TestRenewalsElsewhere(t *testing.T) {
	baseURL, seen := wire(t)
	platform := resolved(t, shop(func(s *v1alpha1.MarketplaceSpec) {
		s.Endpoints.Token, s.Endpoints.Refresh = v1alpha1.URLTemplate(baseURL+"/get"), v1alpha1.URLTemplate(baseURL+"/refresh")
	}), account())
	client := newOAuth(t, platform.TokenURL, platform.Dialect(http.DefaultTransport, now))
	if _, err := client.refresh(refreshToken); err != nil {
		t.Fatal(err)
	}
	if _, err := client.clientCredentials(); err != nil {
		t.Fatal(err)
	}
	if got := seen(); got[0].Path != "/refresh" || got[1].Path != "/get" {
		t.Errorf("a renewal went to %s, and the rest to %s", got[0].Path, got[1].Path)
	}
}

// TestGET is for platforms that take parameters in the query alone: TikTok Shop.
func TestGET(t *testing.T) {
	baseURL, seen := wire(t)
	platform := resolved(t, shop(func(s *v1alpha1.MarketplaceSpec) {
		s.TokenRequest = v1alpha1.TokenRequest{
			Method: v1alpha1.MethodGET, ClientAuthentication: v1alpha1.ClientAuthenticationBody,
			Rename: []v1alpha1.Rename{{From: "client_id", To: "app_key"}, {From: "client_secret", To: "app_secret"}},
		}
	}), account())
	client := newOAuth(t, baseURL+"/token?v=2", platform.Dialect(http.DefaultTransport, now))
	if _, err := client.refresh(refreshToken); err != nil {
		t.Fatal(err)
	}
	want := arrival{
		Method: "GET", Accept: "application/json", UserAgent: "tokenkeeper (+https://github.com/tokenkeeper/tokenkeeper)", Form: url.Values{},
		Path: "/token?app_key=my%20client%3A1&app_secret=s%2Be%2Fc%3Dr~e%26t%3A%25%20%C3%A4&grant_type=refresh_token&" +
			"refresh_token=v%5E1.1%23i%5E1%7CAtzr%2B%2F%3D&v=2",
	}
	if diff := cmp.Diff(want, seen()[0]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	t.Run("its errors hold no credentials", func(t *testing.T) {
		failing := newOAuth(t, "https://login.example.com/token", platform.Dialect(transport(func(*http.Request) (*http.Response, error) {
			return nil, io.ErrUnexpectedEOF
		}), now))
		_, err := failing.refresh(refreshToken)
		if err == nil || strings.Contains(err.Error(), "app_secret") || strings.Contains(err.Error(), "Atzr") {
			t.Errorf("the error is %v", err)
		}
	})
}

func TestBasicUnescaped(t *testing.T) {
	baseURL, seen := wire(t)
	platform := resolved(t, shop(func(s *v1alpha1.MarketplaceSpec) {
		s.TokenRequest.ClientAuthentication = v1alpha1.ClientAuthenticationBasicUnescaped
	}), account())
	if _, err := newOAuth(t, baseURL+"/token", platform.Dialect(http.DefaultTransport, now)).refresh(refreshToken); err != nil {
		t.Fatal(err)
	}
	plain := &http.Request{Header: http.Header{}}
	plain.SetBasicAuth(clientID, clientSecret)
	if got := seen()[0]; got.Authorization != plain.Header.Get("Authorization") || got.Form.Has("client_id") {
		t.Errorf("the platform got %+v", got)
	}
}

// TestCodesOfSuccess is for platforms that send a code with every answer: TikTok Shop, Lazada.
func TestCodesOfSuccess(t *testing.T) {
	object := shop(func(s *v1alpha1.MarketplaceSpec) {
		s.TokenResponse = v1alpha1.TokenResponse{
			Envelope: "data", SuccessCodes: []string{"0"},
			Fields: v1alpha1.TokenResponseFields{Error: "code", ErrorDescription: "message", Login: "seller_name"},
		}
		s.Identity.Request = &v1alpha1.IdentityRequest{URL: "https://api.example.com/me", IDPath: "{.data.id}"}
	})
	platform := resolved(t, object, account())
	ask := func(body string) (*oauth2.Token, error) {
		return newOAuth(t, "https://login.example.com/token", platform.Dialect(answers(200, "application/json", body), now)).refresh(refreshToken)
	}
	token, err := ask(`{"code":0,"message":"success","data":{"access_token":"at","seller_name":"My Shop"}}`)
	if err != nil || token.AccessToken != "at" || token.Extra("account_login") != "My Shop" {
		t.Errorf("a code of success brings %+v (%v)", token, err)
	}
	if _, err := ask(`{"code":36004004,"message":"expired","data":null}`); err == nil || !strings.Contains(err.Error(), "36004004") {
		t.Errorf("another code brings the error %v", err)
	}
	identify := func(body string) error {
		_, err := platform.Identify(t.Context(), &http.Client{Transport: answers(200, "application/json", body)}, accessToken)
		return err
	}
	if err := identify(`{"code":0,"data":{"id":"1"}}`); err != nil {
		t.Errorf("testing with a code of success: %v", err)
	}
	if err := identify(`{"code":105001,"message":"no such token"}`); err == nil || err.Error() != "testing the connection: the marketplace answered with an error code" {
		t.Errorf("testing with another code: %v", err)
	}
	for body, want := range map[string]int{`{"code":0}`: 200, `{"code":1}`: 400, ``: 200, `<html>`: 200} {
		response, err := platform.Dialect(answers(200, "application/json", body), now).RoundTrip(
			standard(t, "https://login.example.com/revoke", url.Values{"token": {refreshToken}}))
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("a revocation answered with %q has status %d, want %d", body, response.StatusCode, want)
		}
	}
}

// TestErrorsInLists reads what stands in a list: Square, Amazon.
func TestErrorsInLists(t *testing.T) {
	platform := resolved(t, shop(func(s *v1alpha1.MarketplaceSpec) {
		s.TokenResponse.Fields = v1alpha1.TokenResponseFields{Error: "errors.0.code", ErrorDescription: "errors.0.detail"}
	}), account())
	for body, want := range map[string]string{
		`{"errors":[{"code":"UNAUTHORIZED","detail":"no"},{"code":"OTHER"}]}`: "UNAUTHORIZED",
		`{"errors":[]}`:                 "",
		`{"errors":{"0":{"code":"A"}}}`: "A",
		`{"errors":"text"}`:             "",
	} {
		_, err := newOAuth(t, "https://login.example.com/token", platform.Dialect(answers(401, "application/json", body), now)).refresh(refreshToken)
		refused, ok := errors.AsType[*oauth2.RetrieveError](err)
		if !ok || refused.ErrorCode != want {
			t.Errorf("%s is read as %v, want code %q", body, err, want)
		}
	}
}

// TestSignedCallbacks is for platforms that sign what the browser brings: Shopify.
func TestSignedCallbacks(t *testing.T) {
	platform := resolved(t, shop(func(s *v1alpha1.MarketplaceSpec) { s.AuthorizationRequest.Callback.HMAC = "hmac" }), account())
	sign := func(secret, text string) string {
		sum := hmac.New(sha256.New, []byte(secret))
		sum.Write([]byte(text))
		return hex.EncodeToString(sum.Sum(nil))
	}
	const escaped = "code=c1&host=YWJj%3D&shop=my.example.com&state=s&timestamp=1"
	brought := func(signature string, changes ...string) url.Values {
		query := url.Values{"code": {"c1"}, "host": {"YWJj="}, "shop": {"my.example.com"}, "state": {"s"}, "timestamp": {"1"}, "hmac": {signature}}
		for i := 0; i+1 < len(changes); i += 2 {
			query.Set(changes[i], changes[i+1])
		}
		return query
	}
	const unsigned = "the callback is not signed by the marketplace"
	tests := map[string]struct {
		query url.Values
		err   string
	}{
		"signed":                        {query: brought(sign("secret", escaped))},
		"signed in capitals":            {query: brought(strings.ToUpper(sign("secret", escaped)))},
		"signed with the secret before": {query: brought(sign("before", escaped))},
		"signed with another secret":    {brought(sign("other", escaped)), unsigned},
		"signed with no secret":         {brought(sign("", escaped)), unsigned},
		"another shop":                  {brought(sign("secret", escaped), "shop", "evil.example.com"), unsigned},
		"a parameter more":              {brought(sign("secret", escaped), "extra", "1"), unsigned},
		"no signature":                  {brought(""), `the callback has no signature in parameter "hmac"`},
		"no hexadecimal digits":         {brought("zz"), `the callback has no signature in parameter "hmac"`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			err := platform.CheckSignature(test.query, "secret", "before", "")
			if (err == nil) != (test.err == "") || err != nil && err.Error() != test.err {
				t.Errorf("the error is %v, want %q", err, test.err)
			}
		})
	}
	t.Run("one parameter does not pass for two", func(t *testing.T) {
		query := url.Values{"code": {"c1&shop=my.example.com"}, "state": {"s"}, "hmac": {sign("secret", "code=c1&shop=my.example.com&state=s")}}
		if err := platform.CheckSignature(query, "secret"); err == nil {
			t.Error("it is taken for signed")
		}
	})
	t.Run("a platform that signs nothing", func(t *testing.T) {
		if err := resolved(t, shop(), account()).CheckSignature(url.Values{}, "secret"); err != nil {
			t.Error(err)
		}
	})
}
