package marketplace_test

import (
	"testing"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

func TestLeadsTo(t *testing.T) {
	fixed := func(s *v1alpha1.MarketplaceSpec) {
		s.DocumentationURL = "https://learn.example.org/docs"
		s.Endpoints = v1alpha1.Endpoints{Token: "https://login.example-online.com/token", DeviceAuthorization: "https://login.example-online.com:8443/device"}
	}
	tenants := func(s *v1alpha1.MarketplaceSpec) {
		s.DocumentationURL = "https://example.com/docs"
		s.Parameters = []v1alpha1.ParameterDeclaration{{Name: "tenant", Pattern: "[a-z.]+", Default: "acme.eu"}}
		s.Endpoints = v1alpha1.Endpoints{Token: "https://{tenant}.example.com/token"}
	}
	chosen := func(s *v1alpha1.MarketplaceSpec) {
		s.DocumentationURL = ""
		s.Parameters = []v1alpha1.ParameterDeclaration{{Name: "issuer", Pattern: "[a-z.]+", Default: "sso.acme.example"}}
		s.Endpoints = v1alpha1.Endpoints{Issuer: "https://{issuer}"}
	}
	local := func(s *v1alpha1.MarketplaceSpec) {
		s.DocumentationURL = ""
		s.Endpoints = v1alpha1.Endpoints{Token: "http://127.0.0.1:1234/token"}
	}
	tests := map[string]struct {
		spec    func(*v1alpha1.MarketplaceSpec)
		address string
		want    bool
	}{
		"the host of an endpoint":            {fixed, "https://login.example-online.com/enter?code=1", true},
		"another host of its domain":         {fixed, "https://www.EXAMPLE-online.com./enter", true},
		"the domain of the documentation":    {fixed, "https://example.org/devicelogin", true},
		"a domain that ends alike":           {fixed, "https://evil-example.org/devicelogin", false},
		"a domain that begins alike":         {fixed, "https://example.org.evil.example/devicelogin", false},
		"the name in the path":               {fixed, "https://evil.example/example.org", false},
		"the name in the user information":   {fixed, "https://example.org@evil.example/", false},
		"a public suffix":                    {fixed, "https://com/", false},
		"no address":                         {fixed, "example.org", false},
		"nothing":                            {fixed, "", false},
		"the tenant's host":                  {tenants, "https://acme.eu.example.com/activate", true},
		"below the tenant's host":            {tenants, "https://device.acme.eu.example.com/activate", true},
		"the host of another tenant":         {tenants, "https://evil.eu.example.com/activate", false},
		"the platform's own site":            {tenants, "https://example.com/activate", true},
		"a neighbour of the platform's site": {tenants, "https://evil.example.com/activate", false},
		"another host of a domain of theirs": {chosen, "https://login.acme.example/activate", true},
		"another domain than the chosen one": {chosen, "https://login.evil.example/activate", false},
		"this machine, at another port":      {local, "http://127.0.0.1:99/activate", true},
		"another machine, by its number":     {local, "http://127.0.0.2:1234/activate", false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			platform := resolved(t, shop(func(s *v1alpha1.MarketplaceSpec) {
				s.APIHosts, s.Identity.Request = nil, nil
				test.spec(s)
			}), account(func(a *v1alpha1.MarketplaceAccountSpec) { a.Parameters = nil }))
			if got := platform.LeadsTo(test.address); got != test.want {
				t.Errorf("%s leads to the platform: %t", test.address, got)
			}
		})
	}
}

// TestAccountIDOf: an identifier that is an address stays where it may be shown, and any other is no link.
func TestAccountIDOf(t *testing.T) {
	platform := resolved(t, shop(func(s *v1alpha1.MarketplaceSpec) {
		s.APIHosts, s.Identity.Request, s.DocumentationURL = nil, nil, ""
		s.Parameters = []v1alpha1.ParameterDeclaration{{Name: "tenant", Pattern: "[a-z.]+", Default: "acme.eu"}}
		s.Endpoints = v1alpha1.Endpoints{Token: "https://{tenant}.example.com/token"}
	}), account(func(a *v1alpha1.MarketplaceAccountSpec) { a.Parameters = nil }))
	const named = "https://elsewhere.example/id/7"
	for told, want := range map[string]string{
		"44130512":                               "44130512",
		"":                                       "",
		"https://acme.eu.example.com/id/1":       "https://acme.eu.example.com/id/1",
		"https://login.example.com/id/1":         "https://login.example.com/id/1",
		named:                                    named,
		"https://elsewhere.example/id/8":         "elsewhere.example/id/8",
		"HTTPhttp://s://WWW.elsewhere.example/8": "elsewhere.example/8",
		"mailto:me@shop.example":                 "me@shop.example",
	} {
		if got := platform.AccountIDOf(told, named); got != want {
			t.Errorf("%q became %q", told, got)
		}
	}
	if platform.LeadsTo("https://login.example.com/id/1") {
		t.Error("people may be sent to a neighbour of tenants")
	}
}
