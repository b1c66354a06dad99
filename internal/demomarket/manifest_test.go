package demomarket_test

import (
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

func TestRedirectManifest(t *testing.T) {
	tests := map[string]struct{ url, want v1alpha1.URLTemplate }{
		"a variable for the host":    {"https://{host}/auth/oauth/token", "http://127.0.0.1:8080/shop/auth/oauth/token"},
		"a variable within the host": {"https://api-{region}.example.com:8443/me", "http://127.0.0.1:8080/shop/me"},
		"a variable in the path":     {"https://{host}/{tenant}/token", "http://127.0.0.1:8080/shop/{tenant}/token"},
		"a query":                    {"https://{host}/token?a=b//c", "http://127.0.0.1:8080/shop/token?a=b//c"},
		"a query without a path":     {"https://{host}?a=b", "http://127.0.0.1:8080/shop?a=b"},
		"no path":                    {"https://{host}", "http://127.0.0.1:8080/shop"},
		"a slash alone":              {"https://{host}/", "http://127.0.0.1:8080/shop/"},
		"a slash at the end":         {"https://{host}/user/", "http://127.0.0.1:8080/shop/user/"},
		"plain http":                 {"http://127.0.0.1:99/token", "http://127.0.0.1:8080/shop/token"},
		"none":                       {"", ""},
		"no address":                 {"token", "token"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			marketplace := &v1alpha1.Marketplace{}
			marketplace.Name = "shop"
			marketplace.Spec.Endpoints = v1alpha1.Endpoints{
				Issuer: test.url, Authorization: test.url, DeviceAuthorization: test.url, Token: test.url, Refresh: test.url,
				Revocation: test.url,
			}
			marketplace.Spec.Identity.Request = &v1alpha1.IdentityRequest{URL: test.url}
			demomarket.RedirectManifest(marketplace, "http://127.0.0.1:8080")
			endpoints := marketplace.Spec.Endpoints
			for field, got := range map[string]v1alpha1.URLTemplate{
				"issuer": endpoints.Issuer, "authorization": endpoints.Authorization,
				"deviceAuthorization": endpoints.DeviceAuthorization, "token": endpoints.Token, "refresh": endpoints.Refresh,
				"revocation": endpoints.Revocation, "identity.request.url": marketplace.Spec.Identity.Request.URL,
			} {
				if got != test.want {
					t.Errorf("%s is %q, want %q", field, got, test.want)
				}
			}
		})
	}
}

func TestRedirectManifestTakesABaseURLWithASlash(t *testing.T) {
	marketplace := &v1alpha1.Marketplace{}
	marketplace.Name = "shop"
	marketplace.Spec.Endpoints.Token = "https://{host}/token"
	demomarket.RedirectManifest(marketplace, "http://127.0.0.1:8080/")
	if got, want := marketplace.Spec.Endpoints.Token, v1alpha1.URLTemplate("http://127.0.0.1:8080/shop/token"); got != want {
		t.Errorf("token is %q, want %q", got, want)
	}
}

// TestManifestsFitTheDemoMarketplace redirects what we ship and asks whether somebody is at home. The platforms that package recorded acts as are
// its own tests' business.
func TestManifestsFitTheDemoMarketplace(t *testing.T) {
	market := demomarket.New(demomarket.Options{Key: demomarket.SharedKey()})
	server := httptest.NewServer(market)
	t.Cleanup(server.Close)

	for _, marketplace := range shippedMarketplaces(t) {
		t.Run(marketplace.Name, func(t *testing.T) {
			demomarket.RedirectManifest(&marketplace, server.URL)
			endpoints := marketplace.Spec.Endpoints
			if endpoints.Issuer != "" {
				checkIssuer(t, string(endpoints.Issuer))
			}
			checkServed(t, http.MethodPost, endpoints.DeviceAuthorization)
			checkServed(t, http.MethodPost, endpoints.Token)
			checkServed(t, http.MethodPost, endpoints.Revocation)
			if request := marketplace.Spec.Identity.Request; request != nil {
				checkServed(t, http.MethodGet, v1alpha1.URLTemplate(chosen(marketplace.Spec, string(request.URL))))
			}
		})
	}
}

// TestManifestsLeadToTheLoginPage makes the authorization request that a manifest describes, as the demo application
// does, and signs in by it.
func TestManifestsLeadToTheLoginPage(t *testing.T) {
	d := serveSites(t)
	for _, marketplace := range shippedMarketplaces(t) {
		site, signsIn := sites[marketplace.Name]
		if signsIn != slices.Contains(marketplace.Spec.Grants, v1alpha1.GrantAuthorizationCode) {
			t.Errorf("grants of %s are %v", marketplace.Name, marketplace.Spec.Grants)
		}
		if !signsIn {
			continue
		}
		demomarket.RedirectManifest(&marketplace, d.url)
		authorize := string(marketplace.Spec.Endpoints.Authorization)
		if authorize == "" {
			authorize = d.get("/" + marketplace.Name + "/.well-known/openid-configuration").text("authorization_endpoint")
		}
		wantEqual(t, marketplace.Name+"'s endpoint", authorize, d.url+site.path)
		request := authorizationRequest(marketplace.Spec, site.request["redirect_uri"])
		market := d.Platform(marketplace.Name)
		callback, err := market.SignIn(t.Context(), d.browser().Client, authorize+"?"+request.Encode(), demomarket.Person{})
		if err != nil {
			t.Errorf("signing in at %s by %v: %v", marketplace.Name, request, err)
			continue
		}
		names := marketplace.Spec.AuthorizationRequest.Callback
		if code := callback.Query().Get(cmp.Or(names.Code, "code")); code == "" {
			t.Errorf("%s's callback has no code: %s", marketplace.Name, callback)
		}
		if names.AccountID != "" {
			wantEqual(t, marketplace.Name+"'s account", callback.Query().Get(names.AccountID), market.Seller().ID)
		}
	}
}

// authorizationRequest is what a manifest makes of a standard request.
func authorizationRequest(spec v1alpha1.MarketplaceSpec, redirectURI string) url.Values {
	request := url.Values{
		"response_type": {"code"}, "client_id": {demomarket.DefaultClientID}, "redirect_uri": {redirectURI}, "state": {"s"},
	}
	for _, scope := range spec.Scopes.Default {
		request.Set("scope", strings.TrimSpace(request.Get("scope")+" "+string(scope)))
	}
	if spec.AuthorizationRequest.PKCE == v1alpha1.PKCES256 {
		request.Set("code_challenge", challengeOf("a-verifier"))
		request.Set("code_challenge_method", "S256")
	}
	for _, parameter := range spec.AuthorizationRequest.Parameters {
		if !unset(spec, string(parameter.Value)) {
			request.Set(parameter.Name, string(parameter.Value))
		}
	}
	for _, name := range spec.AuthorizationRequest.Omit {
		request.Del(name)
	}
	for _, rename := range spec.AuthorizationRequest.Rename {
		request[rename.To] = request[rename.From]
		request.Del(rename.From)
		if rename.To == "application_id" {
			request.Set(rename.To, demomarket.DefaultApplicationID)
		}
	}
	return request
}

// chosen fills in the variables of the first choice of each parameter.
func chosen(spec v1alpha1.MarketplaceSpec, text string) string {
	for _, parameter := range spec.Parameters {
		if len(parameter.Choices) == 0 {
			continue
		}
		for _, variable := range parameter.Choices[0].Variables {
			text = strings.ReplaceAll(text, "{"+variable.Name+"}", string(variable.Value))
		}
	}
	return text
}

// unset tells that a value names a parameter without a default, so that an account which leaves it unset does not send it.
func unset(spec v1alpha1.MarketplaceSpec, value string) bool {
	return slices.ContainsFunc(spec.Parameters, func(parameter v1alpha1.ParameterDeclaration) bool {
		return parameter.Default == "" && strings.Contains(value, "{"+parameter.Name+"}")
	})
}

// shippedMarketplaces reads the manifests of the platforms that this package has.
func shippedMarketplaces(t *testing.T) []v1alpha1.Marketplace {
	t.Helper()
	paths, err := filepath.Glob("../../config/marketplaces/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var shipped []v1alpha1.Marketplace
	for _, path := range paths {
		if filepath.Base(path) == "kustomization.yaml" {
			continue
		}
		manifest, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var marketplace v1alpha1.Marketplace
		if err := yaml.UnmarshalStrict(manifest, &marketplace); err != nil {
			t.Fatalf("reading %s: %v", path, err)
		}
		shipped = append(shipped, marketplace)
	}
	own := demomarket.Platforms()
	shipped = slices.DeleteFunc(shipped, func(marketplace v1alpha1.Marketplace) bool {
		return !slices.ContainsFunc(own, func(platform demomarket.Platform) bool { return platform.Name == marketplace.Name })
	})
	if len(shipped) != len(own) {
		t.Fatalf("config/marketplaces holds %d manifests for %d platforms", len(shipped), len(own))
	}
	return shipped
}

// checkServed wants any answer but "not found", to a request that says nothing. An empty URL is none to check.
func checkServed(t *testing.T, method string, url v1alpha1.URLTemplate) {
	t.Helper()
	if url == "" {
		return
	}
	if status, body := ask(t, method, string(url)); status == http.StatusNotFound || status == http.StatusMethodNotAllowed {
		t.Errorf("%s %s answers %d %s", method, url, status, body)
	}
}

// checkIssuer wants discovery to name the issuer letter by letter, and a token endpoint that is served.
func checkIssuer(t *testing.T, issuer string) {
	t.Helper()
	status, body := ask(t, http.MethodGet, strings.TrimSuffix(issuer, "/")+"/.well-known/openid-configuration")
	var found struct {
		Issuer string               `json:"issuer"`
		Token  v1alpha1.URLTemplate `json:"token_endpoint"`
	}
	if err := json.Unmarshal(body, &found); err != nil || status != http.StatusOK {
		t.Fatalf("discovery answers %d %s (%v)", status, body, err)
	}
	if found.Issuer != issuer || found.Token == "" {
		t.Fatalf("discovery names issuer %q and token endpoint %q, want issuer %q", found.Issuer, found.Token, issuer)
	}
	checkServed(t, http.MethodPost, found.Token)
}

func ask(t *testing.T, method, url string) (status int, body []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if body, err = io.ReadAll(response.Body); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, body
}
