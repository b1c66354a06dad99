package marketplace_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
)

// TestCallbackKey: hosts that the authors of accounts choose have callbacks of their own, and those that the Marketplace fixes
// share one.
func TestCallbackKey(t *testing.T) {
	chosen := v1alpha1.ParameterDeclaration{Name: "shop", Pattern: "[a-z0-9.-]+", Default: "first"}
	listed := v1alpha1.ParameterDeclaration{Name: "shop", Enum: []string{"first", "second"}, Default: "first"}
	both := v1alpha1.ParameterDeclaration{Name: "shop", Pattern: "[a-z]+", Enum: []string{"first", "second"}, Default: "first"}
	endpoints := func(issuer, authorization, token v1alpha1.URLTemplate) v1alpha1.Endpoints {
		return v1alpha1.Endpoints{Issuer: issuer, Authorization: authorization, Token: token}
	}
	tests := map[string]struct {
		declared  v1alpha1.ParameterDeclaration
		endpoints v1alpha1.Endpoints
		keyed     bool
	}{
		"hosts of the environment":                {chosen, endpoints("", "https://{host}/authorize", "https://{host}/token"), false},
		"a chosen part of both hosts":             {chosen, endpoints("", "https://{shop}.example.com/authorize", "https://{shop}.example.com/token"), true},
		"a chosen host as a whole":                {chosen, endpoints("", "https://{shop}/authorize", "https://{shop}/token"), true},
		"a chosen host of the token endpoint":     {chosen, endpoints("", "https://{host}/authorize", "https://{shop}.example.com/token"), true},
		"a chosen authorization endpoint":         {chosen, endpoints("", "https://{shop}.example.com:8443?x=y", "https://{host}/token"), true},
		"a chosen issuer that names the rest":     {chosen, endpoints("https://{shop}.example.com", "", ""), true},
		"a chosen issuer that names one":          {chosen, endpoints("https://{shop}.example.com", "https://{host}/authorize", ""), true},
		"a chosen issuer that names neither":      {chosen, endpoints("https://{shop}.example.com", "https://{host}/authorize", "https://{host}/token"), false},
		"a chosen path of the issuer":             {chosen, endpoints("https://{host}/{shop}", "", ""), true},
		"a chosen path of one that names neither": {chosen, endpoints("https://{host}/{shop}", "https://{host}/authorize", "https://{host}/token"), false},
		"a path of the issuer from a list":        {listed, endpoints("https://{host}/{shop}", "", ""), false},
		"a chosen path":                           {chosen, endpoints("", "https://{host}/{shop}/authorize", "https://{host}/token?shop={shop}"), false},
		"a host from a list":                      {listed, endpoints("", "https://{shop}.example.com/authorize", "https://{shop}.example.com/token"), false},
		"a host from a list that has a pattern":   {both, endpoints("", "https://{shop}.example.com/authorize", "https://{shop}.example.com/token"), false},
		"a host from a list, for the issuer too":  {listed, endpoints("https://{shop}.example.com", "", ""), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			key := func(shopName string) (string, string) {
				platform := resolved(t, shop(func(s *v1alpha1.MarketplaceSpec) {
					s.Endpoints, s.Parameters = test.endpoints, []v1alpha1.ParameterDeclaration{test.declared}
				}), account(withGrant(v1alpha1.GrantAuthorizationCode), withParameters("shop", shopName)))
				return platform.CallbackKey, platform.Server()
			}
			first, server := key("first")
			if keyed := first != ""; keyed != test.keyed {
				t.Fatalf("the key is %q, want one: %v", first, test.keyed)
			}
			if again, same := key("first"); again != first || same != server {
				t.Error("it is another one each time")
			}
			if second, _ := key("second"); test.keyed == (second == first) {
				t.Errorf("the key of another host is %q after %q", second, first)
			}
		})
	}
}

// TestChosenHosts: a grant is bound to the hosts that the author of its account chose, of all that get refresh tokens.
func TestChosenHosts(t *testing.T) {
	open := v1alpha1.ParameterDeclaration{Name: "shop", Pattern: "[A-Za-z0-9.-]+"}
	listed := v1alpha1.ParameterDeclaration{Name: "shop", Enum: []string{"first", "second"}}
	const chosen, fixed = v1alpha1.URLTemplate("https://{shop}.example.com"), v1alpha1.URLTemplate("https://{host}/{shop}")
	for name, test := range map[string]struct {
		declared  v1alpha1.ParameterDeclaration
		endpoints v1alpha1.Endpoints
		bound     bool
	}{
		"token endpoint":             {open, v1alpha1.Endpoints{Token: chosen}, true},
		"renewals":                   {open, v1alpha1.Endpoints{Token: fixed, Refresh: chosen}, true},
		"revocations":                {open, v1alpha1.Endpoints{Token: fixed, Revocation: chosen}, true},
		"issuer, whose document may": {open, v1alpha1.Endpoints{Token: fixed, Issuer: chosen}, true},
		"a path of the issuer":       {open, v1alpha1.Endpoints{Token: fixed, Issuer: fixed}, true},
		"the browser's alone":        {open, v1alpha1.Endpoints{Token: fixed, Authorization: chosen}, false},
		"a path":                     {open, v1alpha1.Endpoints{Token: fixed, Refresh: fixed, Revocation: fixed}, false},
		"hosts from a list":          {listed, v1alpha1.Endpoints{Token: chosen}, false},
	} {
		t.Run(name, func(t *testing.T) {
			hosts := func(value string) string {
				return resolved(t, shop(func(s *v1alpha1.MarketplaceSpec) {
					s.Endpoints, s.Parameters = test.endpoints, []v1alpha1.ParameterDeclaration{test.declared}
				}), account(withParameters("shop", value))).ChosenHosts
			}
			first, second := hosts("first"), hosts("second")
			if (first != "") != test.bound || (first != second) != test.bound {
				t.Errorf("the hosts are %q and %q of another shop, want these bound: %v", first, second, test.bound)
			}
			if path := test.endpoints.Issuer == fixed; test.declared.Pattern != "" && (hosts("FIRST") != first) != path {
				t.Errorf("capitals make another one: %v", !path)
			}
		})
	}
}

// TestShippedMarketplacesKeepTheirCallback since people have registered it. Those that have a host for each account have a callback for each, too.
func TestShippedMarketplacesKeepTheirCallback(t *testing.T) {
	for name, object := range shipped(t) {
		for _, environment := range object.Spec.Environments {
			if !slices.Contains(object.Spec.Grants, v1alpha1.GrantAuthorizationCode) {
				continue
			}
			of := accountOf(object, environment.Name, v1alpha1.GrantAuthorizationCode)
			for _, declared := range object.Spec.Parameters {
				if declared.Required && len(declared.Enum) > 0 {
					of.Spec.Parameters = append(of.Spec.Parameters, v1alpha1.Parameter{Name: declared.Name, Value: declared.Enum[0]})
				}
			}
			keyed := slices.ContainsFunc(object.Spec.Parameters, func(declared v1alpha1.ParameterDeclaration) bool {
				host, _, _ := strings.Cut(strings.TrimPrefix(string(object.Spec.Endpoints.Token), "https://"), "/")
				return declared.Pattern != "" && strings.Contains(host, "{"+declared.Name+"}") // as Shopify's shop
			})
			if key := resolved(t, object, of).CallbackKey; (key != "") != keyed {
				t.Errorf("%s, %s: the callback has the key %q", name, environment.Name, key)
			}
		}
	}
}

// TestSharedApplicationsGoToListedHostsAlone is S10 for Marketplaces that the API server stored before it knew the rule.
func TestSharedApplicationsGoToListedHostsAlone(t *testing.T) {
	pattern := v1alpha1.ParameterDeclaration{Name: "shop", Pattern: "[a-z0-9.-]+"}
	enum := v1alpha1.ParameterDeclaration{Name: "shop", Enum: []string{"first", "second"}}
	choices := v1alpha1.ParameterDeclaration{Name: "shop", Choices: []v1alpha1.Choice{{Value: "first", Variables: []v1alpha1.NameValue{{Name: "central", Value: "a"}}}}}
	const chosen, fixed = v1alpha1.URLTemplate("https://{shop}.example.com:8443/a"), v1alpha1.URLTemplate("https://{host}/{shop}?at={shop}")
	for name, test := range map[string]struct {
		declared  v1alpha1.ParameterDeclaration
		endpoints v1alpha1.Endpoints
		refused   string // the endpoint
	}{
		"a path and a query":                      {pattern, v1alpha1.Endpoints{Issuer: "https://{host}", Authorization: fixed, Token: fixed, Revocation: fixed}, ""},
		"a listed host":                           {enum, v1alpha1.Endpoints{Issuer: chosen, Authorization: chosen, Token: chosen, Refresh: chosen}, ""},
		"a host that comes with a choice":         {choices, v1alpha1.Endpoints{Token: "https://{central}.example.com/{shop}"}, ""},
		"a chosen token host":                     {pattern, v1alpha1.Endpoints{Token: chosen}, "token"},
		"a chosen token host alone":               {pattern, v1alpha1.Endpoints{Token: "https://{shop}"}, "token"},
		"a chosen token host before a query":      {pattern, v1alpha1.Endpoints{Token: "https://{shop}?a=b"}, "token"},
		"a chosen host of the browser":            {pattern, v1alpha1.Endpoints{Token: fixed, Authorization: chosen}, "authorization"},
		"a chosen host of renewals":               {pattern, v1alpha1.Endpoints{Token: fixed, Refresh: chosen}, "refresh"},
		"a chosen host of revocations":            {pattern, v1alpha1.Endpoints{Token: fixed, Revocation: chosen}, "revocation"},
		"a chosen host of device codes":           {pattern, v1alpha1.Endpoints{Token: fixed, DeviceAuthorization: chosen}, "deviceAuthorization"},
		"a chosen issuer, which names the others": {pattern, v1alpha1.Endpoints{Issuer: chosen}, "issuer"},
		"a chosen path of the issuer":             {pattern, v1alpha1.Endpoints{Issuer: "https://{host}/{shop}", Token: fixed}, "issuer"},
		"a listed path of the issuer":             {enum, v1alpha1.Endpoints{Issuer: "https://{host}/{shop}", Token: fixed}, ""},
		"a chosen port":                           {pattern, v1alpha1.Endpoints{Token: "https://example.com:{shop}/a"}, "token"},
	} {
		t.Run(name, func(t *testing.T) {
			object := shop(func(s *v1alpha1.MarketplaceSpec) {
				s.Endpoints, s.Parameters = test.endpoints, []v1alpha1.ParameterDeclaration{test.declared}
				s.Application = &v1alpha1.Application{}
			})
			err := marketplace.CheckSharedApplication(object)
			faults := strings.Join(marketplace.Faults(object), "\n")
			if test.refused == "" {
				if err != nil || strings.Contains(faults, "spec.application") {
					t.Errorf("it is refused: %v, %s", err, faults)
				}
				return
			}
			says := "spec.endpoints." + test.refused + ` has parameter "shop"`
			if err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(faults, says) {
				t.Errorf("the error is %v, and the faults are %s; want %q", err, faults, says)
			}
			object.Spec.Application = nil
			if faults := strings.Join(marketplace.Faults(object), "\n"); strings.Contains(faults, "spec.application") {
				t.Errorf("without an application it is refused: %s", faults)
			}
		})
	}
}
