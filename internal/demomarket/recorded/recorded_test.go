package recorded_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/oauth2"
	yamlutil "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/recorded"
	"github.com/tokenkeeper/tokenkeeper/internal/grant"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/test/marketplaces"
)

const portal = "https://portal.example.org"

var begin = time.Date(2027, time.April, 1, 9, 0, 0, 0, time.UTC)

// serve starts the platforms that package demomarket has none for.
func serve(t *testing.T) (*recorded.Server, *httptest.Server) {
	t.Helper()
	drawn := 0
	var own []string
	for _, platform := range demomarket.Platforms() {
		own = append(own, platform.Name)
	}
	platforms, err := recorded.New(recorded.Options{
		Exchanges: marketplaces.Exchanges, Except: own, Portal: portal,
		ClientID: demomarket.DefaultClientID, ClientSecret: demomarket.DefaultClientSecret,
		Now:  func() time.Time { return begin },
		Text: func() string { drawn++; return "n" + strconv.Itoa(drawn) },
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(platforms)
	t.Cleanup(server.Close)
	return platforms, server
}

// shipped is a manifest whose addresses lead to the server.
func shipped(t *testing.T, name, base string) *v1alpha1.Marketplace {
	t.Helper()
	text, err := os.ReadFile("../../../config/marketplaces/" + name + ".yaml")
	if err != nil {
		t.Fatal(err)
	}
	object := &v1alpha1.Marketplace{}
	if err := yaml.UnmarshalStrict(text, object); err != nil {
		t.Fatal(err)
	}
	demomarket.RedirectManifest(object, base)
	return object
}

// sampled is the account of a platform in config/samples, and its application.
func sampled(t *testing.T, name string) (*v1alpha1.MarketplaceAccount, map[string]string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../../config/samples", name+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	account := &v1alpha1.MarketplaceAccount{}
	var application map[string]string
	for decoder := yamlutil.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
		var document struct {
			Kind       string            `json:"kind"`
			StringData map[string]string `json:"stringData"`
			v1alpha1.MarketplaceAccount
		}
		if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
			return account, application
		} else if err != nil {
			t.Fatal(err)
		}
		switch document.Kind {
		case "Secret":
			application = document.StringData
		case "MarketplaceAccount":
			account.Spec = document.Spec
		}
	}
}

// client is somebody who asks a platform for tokens.
type client struct {
	t           *testing.T
	platform    *marketplace.Platform
	application map[string]string
}

func newClient(t *testing.T, name, base string, as v1alpha1.GrantType) *client {
	t.Helper()
	account, application := sampled(t, name)
	account.Spec.Environment = "Production"
	account.Spec.Grant.Type = as
	platform, err := marketplace.Resolve(shipped(t, name, base), account)
	if err != nil {
		t.Fatal(err)
	}
	return &client{t, platform.ForAccount(application["client_id"], ""), application}
}

func (c *client) endpoint() grant.Endpoint {
	now := func() time.Time { return begin }
	return grant.Endpoint{
		TokenURL: c.platform.TokenURL, ClientID: c.application["client_id"], ClientSecret: c.application["client_secret"], Now: now,
		HTTP: &http.Client{Transport: c.platform.Dialect(http.DefaultTransport, now)},
		Meaning: func(code string, status int) (answer.Kind, bool) {
			reason, ok := c.platform.Means(code, status, v1alpha1.GrantRefreshToken)
			return answer.Kind(reason), ok
		},
	}
}

// signIn goes where a browser is sent, and exchanges the code that it brings back.
func (c *client) signIn(ctx context.Context) answer.Tokens {
	c.t.Helper()
	verifier, redirectURI := "", portal+"/callback/"+c.platform.Name
	parameters := marketplace.AuthorizationParameters{
		ClientID: c.application["client_id"], ApplicationID: c.application[c.platform.ClientIDKey()], RedirectURI: redirectURI, State: "the-state",
	}
	if c.platform.PKCE {
		verifier = oauth2.GenerateVerifier()
		parameters.Challenge = oauth2.S256ChallengeFromVerifier(verifier)
	}
	if slices.Contains(c.platform.Scopes, "openid") {
		parameters.Nonce = "the-nonce"
	}
	address, err := c.platform.AuthorizationRequest(c.platform.AuthorizationURL, parameters)
	if err != nil {
		c.t.Fatal(err)
	}
	browser := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := browser.Get(address)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	location := response.Header.Get("Location")
	back, err := url.Parse(location)
	if err != nil || !strings.HasPrefix(location, redirectURI+"?") {
		c.t.Fatalf("HTTP %d sends the browser to %q", response.StatusCode, location)
	}
	if err := c.platform.CheckSignature(back.Query(), c.application["client_secret"]); err != nil {
		c.t.Fatal(err)
	}
	callback, err := c.platform.Callback(back.Query())
	if err != nil || callback.State != "the-state" || callback.Code == "" {
		c.t.Fatalf("the callback is %+v (%v)", callback, err)
	}
	c.platform = c.platform.ForAccount(c.application["client_id"], callback.AccountID)
	got, err := c.endpoint().AuthorizationCode(ctx, callback.Code, redirectURI, verifier)
	if err != nil {
		c.t.Fatalf("exchanging the code: %v", err)
	}
	if parameters.Nonce != "" && (grant.ClaimsOf(got.IDToken).Text("nonce") != parameters.Nonce || grant.ClaimsOf(got.IDToken).Text("aud") != parameters.ClientID) {
		c.t.Errorf("the ID token is %s", got.IDToken)
	}
	return got
}

// TestActsAsPlatforms lives with every platform as an account does: it gets tokens, renews them twice, tests them, and is refused.
func TestActsAsPlatforms(t *testing.T) {
	platforms, server := serve(t)
	for _, name := range platforms.Names() {
		account, _ := sampled(t, name)
		t.Run(name, func(t *testing.T) {
			c := newClient(t, name, server.URL, account.Spec.Grant.Type)
			switch account.Spec.Grant.Type {
			case v1alpha1.GrantAuthorizationCode:
				c.renews(t, c.signIn(t.Context()))
			case v1alpha1.GrantClientCredentials:
				c.asksAgain(t)
			default:
				t.Fatalf("the sample has grant %s", account.Spec.Grant.Type)
			}
		})
	}
}

func (c *client) renews(t *testing.T, first answer.Tokens) {
	t.Helper()
	second, err := c.endpoint().RefreshToken(t.Context(), first.RefreshToken)
	if err != nil {
		t.Fatalf("renewing: %v", err)
	}
	next := second.RefreshToken
	third, err := c.endpoint().RefreshToken(t.Context(), next)
	if err != nil {
		t.Fatalf("renewing once more: %v", err)
	}
	if first.AccessToken == second.AccessToken || second.AccessToken == third.AccessToken {
		t.Errorf("the access tokens are %q, %q and %q", first.AccessToken, second.AccessToken, third.AccessToken)
	}
	for _, got := range []answer.Tokens{first, second, third} {
		if at := got.AccessTokenExpiresAt; !at.IsZero() && (at.Before(begin) || at.After(begin.Add(90*24*time.Hour))) {
			t.Errorf("an access token ends at %s", at)
		}
	}
	if c.platform.Rotating && next != first.RefreshToken { // which is spent
		c.wantRefused(t, c.application["client_secret"], first.RefreshToken, answer.GrantRejected)
	}
	c.wantRefused(t, c.application["client_secret"], "refresh-unknown", answer.GrantRejected)
	if c.application["client_secret"] != "" {
		c.wantRefused(t, "another", next, answer.ApplicationRejected)
	}
	c.tests(t, third.AccessToken)
}

func (c *client) asksAgain(t *testing.T) {
	t.Helper()
	first, err := c.endpoint().ClientCredentials(t.Context(), c.platform.Scopes)
	if err != nil {
		t.Fatalf("asking: %v", err)
	}
	second, err := c.endpoint().ClientCredentials(t.Context(), c.platform.Scopes)
	if err != nil || first.AccessToken == second.AccessToken {
		t.Fatalf("asking again brings %q after %q: %v", second.AccessToken, first.AccessToken, err)
	}
	c.tests(t, second.AccessToken)
}

// ownWords are platforms whose refusals of a client secret are not known, so that the standard one is given, which they do not speak.
var ownWords = []string{"tiktokshop"}

func (c *client) wantRefused(t *testing.T, secret, refreshToken string, kind answer.Kind) {
	t.Helper()
	endpoint := c.endpoint()
	endpoint.ClientSecret = secret
	_, err := endpoint.RefreshToken(t.Context(), refreshToken)
	e, ok := errors.AsType[*answer.Error](err)
	if ok && e.Kind == answer.Unavailable && slices.Contains(ownWords, c.platform.Name) {
		return
	}
	if !ok || e.Kind != kind {
		t.Errorf("the refusal is %v, want %s", err, kind)
	}
}

// tests tries the connection with a token that was issued, and with one that was not.
func (c *client) tests(t *testing.T, accessToken string) {
	t.Helper()
	if !c.platform.CanIdentify() {
		return
	}
	if _, err := c.platform.Identify(t.Context(), http.DefaultClient, accessToken); err != nil {
		t.Error(err)
	}
	_, err := c.platform.Identify(t.Context(), http.DefaultClient, "access-unknown")
	if e, ok := errors.AsType[*answer.IdentityError](err); !ok || !e.Refused() {
		t.Errorf("a token that nobody issued: %v", err)
	}
}

// TestEveryMarketplaceIsServed misses manifests that no platform of the demo marketplace stands for.
func TestEveryMarketplaceIsServed(t *testing.T) {
	platforms, _ := serve(t)
	served := platforms.Names()
	for _, platform := range demomarket.Platforms() {
		served = append(served, platform.Name)
	}
	slices.Sort(served)
	paths, err := filepath.Glob("../../../config/marketplaces/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, path := range paths {
		if name := strings.TrimSuffix(filepath.Base(path), ".yaml"); name != "kustomization" {
			names = append(names, name)
		}
	}
	if !slices.Equal(served, names) {
		t.Errorf("the demo marketplace acts as %v, and there are %v", served, names)
	}
}

func TestWhatIsNoExchange(t *testing.T) {
	_, server := serve(t)
	for path, status := range map[string]int{"/otto/v1/token": 400, "/otto/other": 400, "/nobody/token": 404} {
		response, err := http.Post(server.URL+path, "application/x-www-form-urlencoded", strings.NewReader("grant_type=other"))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode != status {
			t.Errorf("%s: HTTP %d %s, want %d", path, response.StatusCode, body, status)
		}
	}
	if _, err := recorded.New(recorded.Options{Exchanges: fstest.MapFS{"a/b.txtar": {Data: []byte("nothing")}}}); err == nil {
		t.Error("files that are no exchanges are taken")
	}
}
