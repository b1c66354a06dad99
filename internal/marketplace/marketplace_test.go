package marketplace_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
)

// start is when every test begins.
var start = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

func now() time.Time { return start }

// shop is a Marketplace with two environments that says no more than it must; changes say the rest.
func shop(changes ...func(*v1alpha1.MarketplaceSpec)) *v1alpha1.Marketplace {
	object := &v1alpha1.Marketplace{
		ObjectMeta: metav1.ObjectMeta{Name: "shop"},
		Spec: v1alpha1.MarketplaceSpec{
			DisplayName: "The Shop",
			Environments: []v1alpha1.Environment{
				{Name: "Production", Variables: []v1alpha1.NameValue{{Name: "host", Value: "login.example.com"}}},
				{Name: "Sandbox", Variables: []v1alpha1.NameValue{{Name: "host", Value: "login.sandbox.example.com"}}},
			},
			Grants: []v1alpha1.GrantType{
				v1alpha1.GrantAuthorizationCode, v1alpha1.GrantDeviceCode, v1alpha1.GrantRefreshToken, v1alpha1.GrantPassword,
				v1alpha1.GrantClientCredentials,
			},
			Endpoints: v1alpha1.Endpoints{Token: "https://{host}/token"},
		},
	}
	for _, change := range changes {
		change(&object.Spec)
	}
	return object
}

// account is one of the Shop in production; changes say the rest.
func account(changes ...func(*v1alpha1.MarketplaceAccountSpec)) *v1alpha1.MarketplaceAccount {
	object := &v1alpha1.MarketplaceAccount{
		ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: "shop"},
		Spec: v1alpha1.MarketplaceAccountSpec{
			MarketplaceRef: v1alpha1.MarketplaceReference{Name: "shop"},
			Environment:    "Production",
			Grant:          v1alpha1.Grant{Type: v1alpha1.GrantRefreshToken},
		},
	}
	for _, change := range changes {
		change(&object.Spec)
	}
	return object
}

func withGrant(grant v1alpha1.GrantType) func(*v1alpha1.MarketplaceAccountSpec) {
	return func(spec *v1alpha1.MarketplaceAccountSpec) { spec.Grant.Type = grant }
}

// withParameters sets parameters, given as pairs of name and value.
func withParameters(pairs ...string) func(*v1alpha1.MarketplaceAccountSpec) {
	return func(spec *v1alpha1.MarketplaceAccountSpec) {
		for i := 0; i+1 < len(pairs); i += 2 {
			spec.Parameters = append(spec.Parameters, v1alpha1.Parameter{Name: pairs[i], Value: pairs[i+1]})
		}
	}
}

// resolved is a Platform that must resolve.
func resolved(t *testing.T, object *v1alpha1.Marketplace, account *v1alpha1.MarketplaceAccount) *marketplace.Platform {
	t.Helper()
	platform, err := marketplace.Resolve(object, account)
	if err != nil {
		t.Fatalf("resolving: %v", err)
	}
	return platform
}

// transport answers requests in the place of a network.
type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(request *http.Request) (*http.Response, error) { return t(request) }

// answers gives the same answer to every request.
func answers(status int, contentType, body string) transport {
	return func(request *http.Request) (*http.Response, error) {
		return &http.Response{
			StatusCode: status, Header: http.Header{"Content-Type": {contentType}}, Request: request,
			Body: io.NopCloser(strings.NewReader(body)),
		}, nil
	}
}
