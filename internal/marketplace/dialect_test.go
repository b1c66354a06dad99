package marketplace_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Credentials with every character that must be escaped somewhere.
const (
	clientID     = "my client:1"
	clientSecret = "s+e/c=r~e&t:% ä"
	username     = "seller@example.com"
	password     = `p"a\ss<word>&=+ ż`
	refreshToken = "v^1.1#i^1|Atzr+/="
)

// arrival is a request as it came over the wire.
type arrival struct {
	Method, Path, Authorization, Accept, UserAgent, ContentType string
	Form                                                        url.Values        // of a form
	JSON                                                        map[string]string // of JSON
	Extra                                                       http.Header       // headers whose name begins with X- or Wm
}

// wire is a platform that listens, takes what comes and gives a token.
func wire(t *testing.T) (baseURL string, seen func() []arrival) {
	t.Helper()
	var arrivals []arrival
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("reading the body: %v", err)
		}
		got := arrival{
			Method: r.Method, Path: r.URL.RequestURI(), Authorization: r.Header.Get("Authorization"), Accept: r.Header.Get("Accept"),
			UserAgent: r.Header.Get("User-Agent"), ContentType: r.Header.Get("Content-Type"),
		}
		switch got.ContentType {
		case "application/json":
			if err := json.Unmarshal(body, &got.JSON); err != nil {
				t.Errorf("the body %q is no object of strings: %v", body, err)
			}
		default:
			if got.Form, err = url.ParseQuery(string(body)); err != nil {
				t.Errorf("the body %q is no form: %v", body, err)
			}
		}
		if r.ContentLength != int64(len(body)) {
			t.Errorf("Content-Length is %d for %d bytes", r.ContentLength, len(body))
		}
		for name, values := range r.Header {
			if strings.HasPrefix(name, "X-") || strings.HasPrefix(name, "Wm") {
				if got.Extra == nil {
					got.Extra = http.Header{}
				}
				got.Extra[name] = values
			}
		}
		arrivals = append(arrivals, got)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token":"an-access-token","token_type":"bearer","expires_in":3600}`)
	}))
	t.Cleanup(server.Close)
	return server.URL, func() []arrival { server.Close(); return arrivals }
}

// oauth is an OAuth library's view of a platform behind the dialect.
type oauth struct {
	ctx    context.Context
	config *oauth2.Config
	client *http.Client
}

func newOAuth(t *testing.T, tokenURL string, dialect http.RoundTripper) oauth {
	t.Helper()
	client := &http.Client{
		Transport:     dialect,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return oauth{
		ctx: context.WithValue(t.Context(), oauth2.HTTPClient, client), client: client,
		config: &oauth2.Config{
			ClientID: clientID, ClientSecret: clientSecret, RedirectURL: "https://portal.example.com/callback",
			Endpoint: oauth2.Endpoint{TokenURL: tokenURL, AuthStyle: oauth2.AuthStyleInParams},
		},
	}
}

func (o oauth) password(scopes ...string) (*oauth2.Token, error) {
	o.config.Scopes = scopes
	return o.config.PasswordCredentialsToken(o.ctx, username, password)
}

func (o oauth) clientCredentials(scopes ...string) (*oauth2.Token, error) {
	return (&clientcredentials.Config{
		ClientID: o.config.ClientID, ClientSecret: o.config.ClientSecret, TokenURL: o.config.Endpoint.TokenURL,
		AuthStyle: oauth2.AuthStyleInParams, Scopes: scopes,
	}).Token(o.ctx)
}

func (o oauth) refresh(token string) (*oauth2.Token, error) {
	return o.config.TokenSource(o.ctx, &oauth2.Token{RefreshToken: token}).Token()
}

// basic is the Authorization header of RFC 6749 section 2.3.1.
func basic(id, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
}

func TestRequests(t *testing.T) {
	refresh := func(o oauth) error { _, err := o.refresh(refreshToken); return err }
	login := func(o oauth) error { _, err := o.password("openid", "orders"); return err }
	application := func(o oauth) error { _, err := o.clientCredentials("openid", "orders"); return err }
	exchange := func(o oauth) error {
		_, err := o.config.Exchange(o.ctx, "the-code", oauth2.VerifierOption("the-verifier"))
		return err
	}

	tests := map[string]struct {
		request v1alpha1.TokenRequest
		scopes  v1alpha1.Scopes
		ask     func(oauth) error
		want    arrival // Method, Path, Accept and UserAgent are filled in
	}{
		"Basic is the default, with both parts escaped": {
			ask: refresh,
			want: arrival{
				Authorization: basic(clientID, clientSecret),
				Form:          url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}},
			},
		},
		"Basic, said aloud": {
			request: v1alpha1.TokenRequest{ClientAuthentication: "Basic", Encoding: "Form"}, ask: login,
			want: arrival{
				Authorization: basic(clientID, clientSecret),
				Form:          url.Values{"grant_type": {"password"}, "username": {username}, "password": {password}, "scope": {"openid orders"}},
			},
		},
		"Body": {
			request: v1alpha1.TokenRequest{ClientAuthentication: "Body"}, ask: application,
			want: arrival{Form: url.Values{
				"grant_type": {"client_credentials"}, "scope": {"openid orders"}, "client_id": {clientID}, "client_secret": {clientSecret},
			}},
		},
		"None": {
			request: v1alpha1.TokenRequest{ClientAuthentication: "None"}, ask: refresh,
			want: arrival{Form: url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}, "client_id": {clientID}}},
		},
		"JSON with Body, as xSale has it": {
			request: v1alpha1.TokenRequest{
				ClientAuthentication: "Body", Encoding: "JSON",
				Parameters: []v1alpha1.TokenParameter{{Name: "audience", Value: "https://{host}/api"}},
			},
			ask: login,
			want: arrival{JSON: map[string]string{
				"grant_type": "password", "username": username, "password": password, "scope": "openid orders",
				"client_id": clientID, "client_secret": clientSecret, "audience": "https://login.example.com/api",
			}},
		},
		"JSON with Basic": {
			request: v1alpha1.TokenRequest{Encoding: "JSON"}, ask: refresh,
			want: arrival{
				Authorization: basic(clientID, clientSecret),
				JSON:          map[string]string{"grant_type": "refresh_token", "refresh_token": refreshToken},
			},
		},
		"an exchange of a code": {
			ask: exchange,
			want: arrival{
				Authorization: basic(clientID, clientSecret),
				Form: url.Values{
					"grant_type": {"authorization_code"}, "code": {"the-code"}, "code_verifier": {"the-verifier"},
					"redirect_uri": {"https://portal.example.com/callback"},
				},
			},
		},
		"parameters for all grants": {
			request: v1alpha1.TokenRequest{ClientAuthentication: "None", Parameters: []v1alpha1.TokenParameter{{Name: "a[]", Value: "{host}&x=1"}}},
			ask:     refresh,
			want: arrival{Form: url.Values{
				"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}, "client_id": {clientID}, "a[]": {"login.example.com&x=1"},
			}},
		},
		"parameters for this grant and for others": {
			request: v1alpha1.TokenRequest{ClientAuthentication: "None", Parameters: []v1alpha1.TokenParameter{
				{Name: "refreshing", Value: "1", Grants: []v1alpha1.GrantType{v1alpha1.GrantRefreshToken}},
				{Name: "either", Value: "1", Grants: []v1alpha1.GrantType{v1alpha1.GrantPassword, v1alpha1.GrantRefreshToken}},
				{Name: "logging_in", Value: "1", Grants: []v1alpha1.GrantType{v1alpha1.GrantPassword}},
				{Name: "exchanging", Value: "1", Grants: []v1alpha1.GrantType{v1alpha1.GrantAuthorizationCode, v1alpha1.GrantDeviceCode}},
				{Name: "applying", Value: "1", Grants: []v1alpha1.GrantType{v1alpha1.GrantClientCredentials}},
			}},
			ask: refresh,
			want: arrival{Form: url.Values{
				"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}, "client_id": {clientID}, "refreshing": {"1"}, "either": {"1"},
			}},
		},
		"parameters for an exchange": {
			request: v1alpha1.TokenRequest{ClientAuthentication: "None", Parameters: []v1alpha1.TokenParameter{
				{Name: "expiring", Value: "1", Grants: []v1alpha1.GrantType{v1alpha1.GrantAuthorizationCode}},
				{Name: "not_this", Value: "1", Grants: []v1alpha1.GrantType{v1alpha1.GrantRefreshToken}},
			}},
			ask: exchange,
			want: arrival{Form: url.Values{
				"grant_type": {"authorization_code"}, "code": {"the-code"}, "code_verifier": {"the-verifier"}, "client_id": {clientID},
				"redirect_uri": {"https://portal.example.com/callback"}, "expiring": {"1"},
			}},
		},
		"another grant_type, which does not hide the grant": {
			request: v1alpha1.TokenRequest{ClientAuthentication: "None", Parameters: []v1alpha1.TokenParameter{
				{Name: "grant_type", Value: "http://auth0.com/oauth/grant-type/password-realm"},
				{Name: "realm", Value: "sellers", Grants: []v1alpha1.GrantType{v1alpha1.GrantPassword}},
			}},
			ask: login,
			want: arrival{Form: url.Values{
				"grant_type": {"http://auth0.com/oauth/grant-type/password-realm"}, "username": {username}, "password": {password},
				"scope": {"openid orders"}, "client_id": {clientID}, "realm": {"sellers"},
			}},
		},
		"renamed parameters": {
			request: v1alpha1.TokenRequest{
				ClientAuthentication: "Body",
				Rename: []v1alpha1.Rename{
					{From: "client_id", To: "app_key"}, {From: "client_secret", To: "app_secret"}, {From: "code", To: "auth_code"},
				},
			},
			ask: application,
			want: arrival{Form: url.Values{
				"grant_type": {"client_credentials"}, "scope": {"openid orders"}, "app_key": {clientID}, "app_secret": {clientSecret},
			}},
		},
		"renamed parameters that change places": {
			request: v1alpha1.TokenRequest{
				ClientAuthentication: "Body",
				Rename:               []v1alpha1.Rename{{From: "username", To: "password"}, {From: "password", To: "username"}},
			},
			ask: login,
			want: arrival{Form: url.Values{
				"grant_type": {"password"}, "username": {password}, "password": {username}, "scope": {"openid orders"},
				"client_id": {clientID}, "client_secret": {clientSecret},
			}},
		},
		"an extra parameter, renamed": {
			request: v1alpha1.TokenRequest{
				ClientAuthentication: "None", Parameters: []v1alpha1.TokenParameter{{Name: "audience", Value: "x"}},
				Rename: []v1alpha1.Rename{{From: "audience", To: "resource"}},
			},
			ask: refresh,
			want: arrival{Form: url.Values{
				"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}, "client_id": {clientID}, "resource": {"x"},
			}},
		},
		"scopes with a comma between": {
			request: v1alpha1.TokenRequest{ClientAuthentication: "None"}, scopes: v1alpha1.Scopes{Separator: ","}, ask: application,
			want: arrival{Form: url.Values{"grant_type": {"client_credentials"}, "scope": {"openid,orders"}, "client_id": {clientID}}},
		},
		"scopes with a space between, said aloud": {
			request: v1alpha1.TokenRequest{ClientAuthentication: "None"}, scopes: v1alpha1.Scopes{Separator: " "}, ask: application,
			want: arrival{Form: url.Values{"grant_type": {"client_credentials"}, "scope": {"openid orders"}, "client_id": {clientID}}},
		},
		"headers": {
			request: v1alpha1.TokenRequest{ClientAuthentication: "None", Headers: []v1alpha1.HTTPHeader{
				{Name: "WM_SVC.NAME", Value: "Walmart {host}"}, {Name: "x-partner", Value: "1"}, {Name: "Accept", Value: "application/vnd.shop+json"},
				{Name: "User-Agent", Value: "my-shop/1.0 (+https://shop.example.com)"},
			}},
			ask: refresh,
			want: arrival{
				Accept: "application/vnd.shop+json", UserAgent: "my-shop/1.0 (+https://shop.example.com)",
				Extra: http.Header{"Wm_svc.name": {"Walmart login.example.com"}, "X-Partner": {"1"}},
				Form:  url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}, "client_id": {clientID}},
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			baseURL, seen := wire(t)
			platform := resolved(t, shop(func(s *v1alpha1.MarketplaceSpec) {
				s.Endpoints.Token = v1alpha1.URLTemplate(baseURL + "/oauth/token?v=2")
				s.TokenRequest, s.Scopes = test.request, test.scopes
			}), account())
			if err := test.ask(newOAuth(t, platform.TokenURL, platform.Dialect(http.DefaultTransport, now))); err != nil {
				t.Fatalf("asking: %v", err)
			}
			want := test.want
			want.Method, want.Path = http.MethodPost, "/oauth/token?v=2"
			if want.Accept == "" {
				want.Accept = "application/json"
			}
			if want.UserAgent == "" {
				want.UserAgent = "tokenkeeper (+https://github.com/tokenkeeper/tokenkeeper)"
			}
			want.ContentType = "application/x-www-form-urlencoded"
			if want.JSON != nil {
				want.ContentType = "application/json"
			}
			if diff := cmp.Diff([]arrival{want}, seen()); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

// TestParametersByGrant sends a parameter to each grant of its own; a renewal is one of RefreshToken, whatever the
// account's grant is.
func TestParametersByGrant(t *testing.T) {
	grants := map[string]v1alpha1.GrantType{
		"authorization_code":                           v1alpha1.GrantAuthorizationCode,
		"urn:ietf:params:oauth:grant-type:device_code": v1alpha1.GrantDeviceCode,
		"refresh_token":                                v1alpha1.GrantRefreshToken,
		"password":                                     v1alpha1.GrantPassword,
		"client_credentials":                           v1alpha1.GrantClientCredentials,
	}
	platform := resolved(t, shop(func(s *v1alpha1.MarketplaceSpec) {
		s.TokenRequest.ClientAuthentication = "None"
		for _, grant := range grants {
			s.TokenRequest.Parameters = append(s.TokenRequest.Parameters, v1alpha1.TokenParameter{
				Name: "for" + string(grant), Value: "1", Grants: []v1alpha1.GrantType{grant},
			})
		}
	}), account())
	grants["urn:ietf:params:oauth:grant-type:jwt-bearer"] = "" // one that no account can have
	for wire, grant := range grants {
		t.Run(wire, func(t *testing.T) {
			var got url.Values
			listening := transport(func(r *http.Request) (*http.Response, error) {
				body, err := io.ReadAll(r.Body)
				if err == nil {
					got, err = url.ParseQuery(string(body))
				}
				if err != nil {
					return nil, err
				}
				return answers(200, "application/json", `{}`)(r)
			})
			response, err := platform.Dialect(listening, now).RoundTrip(
				standard(t, "https://login.example.com/token", url.Values{"grant_type": {wire}}))
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			want := url.Values{"grant_type": {wire}}
			if grant != "" {
				want.Set("for"+string(grant), "1")
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("form (-want +got):\n%s", diff)
			}
		})
	}
}

// TestUserAgentOfTheCaller is sent on; a header of the Marketplace goes before it.
func TestUserAgentOfTheCaller(t *testing.T) {
	for name, test := range map[string]struct {
		headers []v1alpha1.HTTPHeader
		want    string
	}{
		"the caller's":      {nil, "tokenkeeper/1.0"},
		"the Marketplace's": {[]v1alpha1.HTTPHeader{{Name: "user-agent", Value: "my-shop/1.0"}}, "my-shop/1.0"},
	} {
		t.Run(name, func(t *testing.T) {
			baseURL, seen := wire(t)
			platform := resolved(t, shop(func(s *v1alpha1.MarketplaceSpec) { s.TokenRequest.Headers = test.headers }), account())
			request := standard(t, baseURL, url.Values{"grant_type": {"client_credentials"}})
			request.Header.Set("User-Agent", "tokenkeeper/1.0")
			response, err := platform.Dialect(http.DefaultTransport, now).RoundTrip(request)
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			if got := seen()[0].UserAgent; got != test.want {
				t.Errorf("User-Agent is %q, want %q", got, test.want)
			}
		})
	}
}

// standard is a request as an OAuth library makes it.
func standard(t *testing.T, url string, form url.Values) *http.Request {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return request
}

func TestRevocations(t *testing.T) {
	form := url.Values{"token": {refreshToken}, "token_type_hint": {"refresh_token"}, "client_id": {clientID}, "client_secret": {clientSecret}}
	tests := map[string]struct {
		request v1alpha1.TokenRequest
		want    arrival
	}{
		"Basic": {
			want: arrival{
				Authorization: basic(clientID, clientSecret), Form: url.Values{"token": {refreshToken}, "token_type_hint": {"refresh_token"}},
			},
		},
		"Body": {request: v1alpha1.TokenRequest{ClientAuthentication: "Body"}, want: arrival{Form: form}},
		"a form also where token requests are JSON": {
			request: v1alpha1.TokenRequest{ClientAuthentication: "Body", Encoding: "JSON"}, want: arrival{Form: form},
		},
		"without the parameters of token requests, and with the headers": {
			request: v1alpha1.TokenRequest{
				ClientAuthentication: "Body", Parameters: []v1alpha1.TokenParameter{{Name: "audience", Value: "x"}},
				Headers: []v1alpha1.HTTPHeader{{Name: "X-Partner", Value: "1"}},
			},
			want: arrival{Form: form, Extra: http.Header{"X-Partner": {"1"}}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			baseURL, seen := wire(t)
			platform := resolved(t, shop(func(s *v1alpha1.MarketplaceSpec) { s.TokenRequest = test.request }), account())
			response, err := platform.Dialect(http.DefaultTransport, now).RoundTrip(standard(t, baseURL+"/revoke", form))
			if err != nil {
				t.Fatal(err)
			}
			_ = response.Body.Close()
			want := test.want
			want.Method, want.Path, want.Accept, want.UserAgent = http.MethodPost, "/revoke", "application/json", "tokenkeeper (+https://github.com/tokenkeeper/tokenkeeper)"
			want.ContentType = "application/x-www-form-urlencoded"
			if diff := cmp.Diff([]arrival{want}, seen()); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

// TestAnAnswerToARevocationIsItsStatus leaves the body alone: RFC 7009 has none.
func TestAnAnswerToARevocationIsItsStatus(t *testing.T) {
	platform := resolved(t, shop(), account())
	for _, status := range []int{200, 400, 503} {
		response, err := platform.Dialect(answers(status, "text/html", "<html>"), now).RoundTrip(
			standard(t, "https://login.example.com/revoke", url.Values{"token": {"x"}}))
		if err != nil {
			t.Fatalf("status %d: %v", status, err)
		}
		if body, _ := io.ReadAll(response.Body); response.StatusCode != status || string(body) != "<html>" {
			t.Errorf("the answer is %d with %q, want %d as it came", response.StatusCode, body, status)
		}
	}
}

// TestTheStandardRequestIsLeftAlone holds what http.RoundTripper promises.
func TestTheStandardRequestIsLeftAlone(t *testing.T) {
	platform := resolved(t, shop(), account())
	body := &closing{Reader: strings.NewReader("grant_type=refresh_token&client_id=a&client_secret=b")}
	request := standard(t, "https://login.example.com/token", nil)
	request.Body = body
	header := request.Header.Clone()
	response, err := platform.Dialect(answers(200, "application/json", `{}`), now).RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if diff := cmp.Diff(header, request.Header); diff != "" {
		t.Errorf("its header was changed (-before +after):\n%s", diff)
	}
	if !body.closed {
		t.Error("its body was not closed")
	}
}

type closing struct {
	io.Reader
	closed bool
}

func (c *closing) Close() error { c.closed = true; return nil }

func TestRequestsThatCannotBeSent(t *testing.T) {
	platform := resolved(t, shop(), account())
	never := transport(func(*http.Request) (*http.Response, error) { return nil, errors.New("it was sent") })
	tests := map[string]func(*http.Request){
		"a body that cannot be read": func(r *http.Request) { r.Body = io.NopCloser(broken{}) },
		"a body that is no form":     func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("a=%zz")) },
		"a method that is none":      func(r *http.Request) { r.Method = "P OST" },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			request := standard(t, "https://login.example.com/token", url.Values{"grant_type": {"refresh_token"}})
			change(request)
			_, err := platform.Dialect(never, now).RoundTrip(request)
			if err == nil || strings.Contains(err.Error(), "it was sent") {
				t.Errorf("the error is %v, want one before anything was sent", err)
			}
		})
	}
	t.Run("a request without a body is none of ours and goes on", func(t *testing.T) {
		request := standard(t, "https://login.example.com/token", nil)
		request.Body = nil
		if _, err := platform.Dialect(never, now).RoundTrip(request); err == nil || err.Error() != "it was sent" {
			t.Errorf("the error is %v, want that of the transport", err)
		}
	})
}

// broken breaks off.
type broken struct{ text *bytes.Buffer }

func (b broken) Read(p []byte) (int, error) {
	if b.text != nil && b.text.Len() > 0 {
		return b.text.Read(p)
	}
	return 0, io.ErrUnexpectedEOF
}

// TestOneRequest sends one for each that it is given, whatever comes back.
func TestOneRequest(t *testing.T) {
	for _, status := range []int{200, 307, 400, 401, 429, 500, 503} {
		count := 0
		counting := transport(func(r *http.Request) (*http.Response, error) {
			count++
			return answers(status, "application/json", `{}`)(r)
		})
		platform := resolved(t, shop(), account())
		_, _ = newOAuth(t, platform.TokenURL, platform.Dialect(counting, now)).refresh(refreshToken)
		if count != 1 {
			t.Errorf("%d requests were sent for an answer of %d, want 1", count, status)
		}
	}
}
