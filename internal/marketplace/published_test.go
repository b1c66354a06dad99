package marketplace_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
)

func publishing(keys ...v1alpha1.PublishedKey) func(*v1alpha1.MarketplaceSpec) {
	return func(s *v1alpha1.MarketplaceSpec) { s.Published = keys }
}

// TestPublished is what workloads find beside the token.
func TestPublished(t *testing.T) {
	regions := func(s *v1alpha1.MarketplaceSpec) {
		s.Parameters = append(s.Parameters, v1alpha1.ParameterDeclaration{Name: "region", Enum: []string{"eu", "na"}})
	}
	tests := map[string]struct {
		keys     []v1alpha1.PublishedKey
		hosts    []v1alpha1.HostTemplate
		set      []v1alpha1.Parameter
		told     map[string]string
		accounts string
		want     map[string]string
	}{
		"nothing": {want: map[string]string{"api_hosts": ""}},
		"a value, filled in": {
			keys: []v1alpha1.PublishedKey{{Key: "api_url", Value: "https://api-{region}.example.com"}}, set: []v1alpha1.Parameter{{Name: "region", Value: "eu"}},
			want: map[string]string{"api_hosts": "", "api_url": "https://api-eu.example.com"},
		},
		"a value that names what is not set": {
			keys: []v1alpha1.PublishedKey{{Key: "api_url", Value: "https://api-{region}.example.com"}}, want: map[string]string{"api_hosts": "", "api_url": ""},
		},
		"a value with the account": {
			keys: []v1alpha1.PublishedKey{{Key: "seller", Value: "{accountID} of {clientID}"}}, accounts: "17",
			want: map[string]string{"api_hosts": "", "seller": "17 of " + clientID},
		},
		"a value with an account that is not known yet": {
			keys: []v1alpha1.PublishedKey{{Key: "seller", Value: "{accountID}"}}, want: map[string]string{"api_hosts": "", "seller": ""},
		},
		"what was told": {
			keys: []v1alpha1.PublishedKey{{Key: "instance_url", Answer: "instance_url"}, {Key: "realm_id", Callback: "realmId"}},
			told: map[string]string{"instance_url": "https://my.example.com", "realm_id": "4", "of_another_manifest": "x"},
			want: map[string]string{"api_hosts": "", "instance_url": "https://my.example.com", "realm_id": "4"},
		},
		"hosts": {
			hosts: []v1alpha1.HostTemplate{"api-{region}.example.com", "files.example.com"}, set: []v1alpha1.Parameter{{Name: "region", Value: "na"}},
			want: map[string]string{"api_hosts": "api-na.example.com files.example.com"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			object := shop(regions, publishing(test.keys...), func(s *v1alpha1.MarketplaceSpec) { s.APIHosts = test.hosts })
			platform := resolved(t, object, account(func(s *v1alpha1.MarketplaceAccountSpec) { s.Parameters = test.set }))
			if diff := cmp.Diff(test.want, platform.ForAccount(clientID, "").Published(test.told, test.accounts)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	var gone *marketplace.Platform
	if got := gone.Published(nil, ""); got != nil {
		t.Errorf("a Marketplace that is gone publishes %v", got)
	}
}

// TestWhatAnAnswerPublishes takes members of answers, and never a token.
func TestWhatAnAnswerPublishes(t *testing.T) {
	tests := map[string]struct {
		answer string
		want   any
	}{
		"a text":                     {`{"access_token":"a","where":"https://my.example.com"}`, map[string]any{"at": "https://my.example.com"}},
		"a number":                   {`{"access_token":"a","where":9341452}`, map[string]any{"at": "9341452"}},
		"none":                       {`{"access_token":"a"}`, nil},
		"neither text nor number":    {`{"access_token":"a","where":["b"]}`, nil},
		"the refresh token":          {`{"access_token":"a","refresh_token":"r","where":"r"}`, nil},
		"the access token":           {`{"access_token":"a","where":"a"}`, nil},
		"what cannot be printed":     {`{"access_token":"a","where":"b\nc"}`, nil},
		"more than an address holds": {`{"access_token":"a","where":"` + strings.Repeat("b", 1025) + `"}`, nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			platform := resolved(t, shop(publishing(v1alpha1.PublishedKey{Key: "at", Answer: "where"})), account())
			token, err := newOAuth(t, "https://shop.example.com/token", platform.Dialect(answers(200, "application/json", test.answer), now)).refresh("old")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, token.Extra("published")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestWhatACallbackPublishes takes parameters that the browser brings.
func TestWhatACallbackPublishes(t *testing.T) {
	platform := resolved(t, shop(publishing(v1alpha1.PublishedKey{Key: "realm_id", Callback: "realmId"}, v1alpha1.PublishedKey{Key: "a", Value: "b"})), account())
	for query, want := range map[string]map[string]string{
		"code=c&state=s&realmId=4":                            {"realm_id": "4"},
		"code=c&state=s":                                      nil,
		"code=c&state=s&realmId=4&realmId=5":                  nil,
		"code=c&state=s&realmId=a%0Ab":                        nil,
		"code=c&state=s&realmId=" + strings.Repeat("4", 1025): nil,
		"code=c&state=s&realmId=%E2%80%8B":                    nil,
	} {
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		callback, err := platform.Callback(values)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, callback.Published); diff != "" {
			t.Errorf("%.60s: (-want +got):\n%s", query, diff)
		}
	}
}

// TestAnEndThatNoRenewalMoves is told by QuickBooks in a member of its own.
func TestAnEndThatNoRenewalMoves(t *testing.T) {
	object := shop(func(s *v1alpha1.MarketplaceSpec) {
		s.TokenResponse.Fields.RefreshTokenMaxExpiresIn = "x_refresh_token_hard_expires_in"
		s.RefreshToken.Expiry, s.RefreshToken.MaxLifetime = v1alpha1.ExpirySliding, "43800h"
	})
	platform := resolved(t, object, account())
	if platform.AuthorizationMaxLifetime.Hours() != 43800 {
		t.Errorf("the longest life is %s", platform.AuthorizationMaxLifetime)
	}
	for answer, want := range map[string]any{
		`{"access_token":"a","x_refresh_token_hard_expires_in":157680000}`:   float64(157680000),
		`{"access_token":"a","x_refresh_token_hard_expires_in":"157680000"}`: float64(157680000),
		`{"access_token":"a","x_refresh_token_hard_expires_in":0}`:           nil,
		`{"access_token":"a"}`: nil,
	} {
		token, err := newOAuth(t, "https://shop.example.com/token", platform.Dialect(answers(200, "application/json", answer), now)).refresh("old")
		if err != nil {
			t.Fatal(err)
		}
		if got := token.Extra("refresh_token_max_expires_in"); got != want {
			t.Errorf("%s: %v, want %v", answer, got, want)
		}
	}
}
