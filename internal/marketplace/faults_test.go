package marketplace_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
)

// TestWhatIsWrongWithAMarketplace says what is wrong with a Marketplace, by its fields.
func TestWhatIsWrongWithAMarketplace(t *testing.T) {
	const neither = " is neither a variable of the environment nor a parameter that is set"
	choices := func(first, second []v1alpha1.NameValue) func(*v1alpha1.MarketplaceSpec) {
		return func(s *v1alpha1.MarketplaceSpec) {
			s.Parameters = []v1alpha1.ParameterDeclaration{{Name: "country", Choices: []v1alpha1.Choice{{Value: "pl", Variables: first}, {Value: "de", Variables: second}}}}
			s.Endpoints.Token = "https://{central}/token"
		}
	}
	tests := map[string]struct {
		change func(*v1alpha1.MarketplaceSpec)
		want   []string
	}{
		"nothing": {func(*v1alpha1.MarketplaceSpec) {}, nil},
		"a name that is none": {
			func(s *v1alpha1.MarketplaceSpec) { s.Endpoints.Token = "https://{hots}/token" }, []string{"spec.endpoints.token: {hots}" + neither},
		},
		"a name in a header": {
			func(s *v1alpha1.MarketplaceSpec) {
				s.TokenRequest.Headers = []v1alpha1.HTTPHeader{{Name: "X", Value: "{market}"}}
			},
			[]string{"spec.tokenRequest.headers: {market}" + neither},
		},
		"the access token where it does not belong": {
			func(s *v1alpha1.MarketplaceSpec) {
				s.TokenRequest.Parameters = []v1alpha1.TokenParameter{{Name: "x", Value: "{accessToken}"}}
			},
			[]string{"spec.tokenRequest.parameters: {accessToken}" + neither},
		},
		"a variable that one environment lacks": {
			func(s *v1alpha1.MarketplaceSpec) {
				s.Environments = []v1alpha1.Environment{{Name: "Production", Variables: []v1alpha1.NameValue{{Name: "h", Value: "a.example"}}}, {Name: "Sandbox"}}
				s.Endpoints.Token = "https://{h}/token"
			}, []string{"spec.endpoints.token: {h}" + neither},
		},
		"a variable that every choice brings": {choices([]v1alpha1.NameValue{{Name: "central", Value: "a.example"}}, []v1alpha1.NameValue{{Name: "central", Value: "b.example"}}), nil},
		"a variable that one choice lacks": {
			choices([]v1alpha1.NameValue{{Name: "central", Value: "a.example"}}, nil), []string{"spec.endpoints.token: {central}" + neither},
		},
		"a value in an address": {
			func(s *v1alpha1.MarketplaceSpec) {
				s.Parameters = []v1alpha1.ParameterDeclaration{{Name: "v", Usage: v1alpha1.UsageValue, Pattern: ".+"}}
				s.Endpoints.Token = "https://a.example/{v}"
			}, []string{"spec.endpoints.token: {v}" + neither + "; it has usage Value, and must not stand in an address"},
		},
		"a variable that makes another address": {
			func(s *v1alpha1.MarketplaceSpec) {
				s.Environments = []v1alpha1.Environment{{Name: "Production", Variables: []v1alpha1.NameValue{{Name: "h", Value: "a.example/#"}}}}
				s.Endpoints.Token = "https://{h}/token"
			}, []string{`spec.endpoints.token: "https://a.example/#/token" must not hold user information or a fragment`},
		},
		"a path that is none": {
			func(s *v1alpha1.MarketplaceSpec) {
				s.Identity.Request = &v1alpha1.IdentityRequest{URL: "https://a.example/me", IDPath: "{.id[}"}
			},
			[]string{"spec.identity.request.idPath: is no JSONPath"},
		},
		"what is published": {
			func(s *v1alpha1.MarketplaceSpec) {
				s.Published = []v1alpha1.PublishedKey{{Key: "a", Value: "{nothing}"}}
			},
			[]string{"spec.published: {nothing}" + neither},
		},
		"a host": {func(s *v1alpha1.MarketplaceSpec) { s.APIHosts = []v1alpha1.HostTemplate{"{nothing}"} }, []string{"spec.apiHosts: {nothing}" + neither}},
		"two faults": {
			func(s *v1alpha1.MarketplaceSpec) {
				s.Grants = []v1alpha1.GrantType{v1alpha1.GrantAuthorizationCode, v1alpha1.GrantClientCredentials}
				s.Endpoints.Authorization = "https://{a}/"
				s.TokenRequest.Headers = []v1alpha1.HTTPHeader{{Name: "X", Value: "{b}"}}
			}, []string{"spec.endpoints.authorization: {a}" + neither, "spec.tokenRequest.headers: {b}" + neither},
		},
		"what no grant needs": {
			func(s *v1alpha1.MarketplaceSpec) {
				s.Grants = []v1alpha1.GrantType{v1alpha1.GrantClientCredentials}
				s.Endpoints.Authorization = "https://{a}/"
			}, nil,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			object := shop(test.change)
			before := object.DeepCopy()
			if diff := cmp.Diff(test.want, marketplace.Faults(object)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(before, object); diff != "" {
				t.Errorf("it was changed: %s", diff)
			}
		})
	}
}

// TestShippedMarketplacesAreValid looks at all of them, with every choice.
func TestShippedMarketplacesAreValid(t *testing.T) {
	for name, object := range shipped(t) {
		if faults := marketplace.Faults(object); len(faults) > 0 {
			t.Errorf("%s: %v", name, faults)
		}
	}
}
