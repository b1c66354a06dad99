package marketplace_test

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
)

const authorizeURL = "https://login.example.com/authorize"

// asking is an authorization request with everything in it.
var asking = marketplace.AuthorizationParameters{
	ClientID: clientID, ApplicationID: "amzn1.sp.solution.1", RedirectURI: "https://tokens.example.com/callback/shop",
	State: "the-state", Challenge: "the-challenge", Nonce: "the-nonce",
}

// person is an account that somebody signs in to.
func person(changes ...func(*v1alpha1.MarketplaceAccountSpec)) *v1alpha1.MarketplaceAccount {
	return account(append(changes, withGrant(v1alpha1.GrantAuthorizationCode))...)
}

func TestAuthorizationRequests(t *testing.T) {
	plain := url.Values{
		"response_type": {"code"}, "client_id": {clientID}, "redirect_uri": {"https://tokens.example.com/callback/shop"},
		"scope": {"openid orders"}, "state": {"the-state"}, "nonce": {"the-nonce"},
		"code_challenge": {"the-challenge"}, "code_challenge_method": {"S256"},
	}
	// with is plain with other values, and without those that are empty.
	with := func(pairs ...string) url.Values {
		want := maps.Clone(plain)
		for i := 0; i < len(pairs); i += 2 {
			want[pairs[i]] = []string{pairs[i+1]}
		}
		maps.DeleteFunc(want, func(_ string, values []string) bool { return values[0] == "" })
		return want
	}
	tests := map[string]struct {
		spec     v1alpha1.AuthorizationRequest
		scopes   v1alpha1.Scopes // default: openid and orders
		endpoint string          // default: authorizeURL
		change   func(*marketplace.AuthorizationParameters)
		want     url.Values
	}{
		"plain": {want: plain},
		"without PKCE and nonce": {
			change: func(a *marketplace.AuthorizationParameters) { a.Challenge, a.Nonce = "", "" },
			want:   with("code_challenge", "", "code_challenge_method", "", "nonce", ""),
		},
		"without redirect_uri, which Amazon allows": {
			change: func(a *marketplace.AuthorizationParameters) { a.RedirectURI = "" }, want: with("redirect_uri", ""),
		},
		"eBay's name instead of an address": {
			change: func(a *marketplace.AuthorizationParameters) { a.RedirectURI = "My_Name-MyApp-PRD-ab&c" },
			want:   with("redirect_uri", "My_Name-MyApp-PRD-ab&c"),
		},
		"without scopes":                 {scopes: v1alpha1.Scopes{Default: []v1alpha1.Scope{}}, want: with("scope", "")},
		"scopes with a comma between":    {scopes: v1alpha1.Scopes{Separator: ","}, want: with("scope", "openid,orders")},
		"scopes with a plus between":     {scopes: v1alpha1.Scopes{Separator: "+"}, want: with("scope", "openid+orders")},
		"parameters, filled in":          {spec: v1alpha1.AuthorizationRequest{Parameters: parameters("prompt", "confirm", "audience", "https://{host}/api")}, want: with("prompt", "confirm", "audience", "https://login.example.com/api")},
		"a parameter in another's place": {spec: v1alpha1.AuthorizationRequest{Parameters: parameters("scope", "all")}, want: with("scope", "all")},
		"Amazon's names": {
			spec: v1alpha1.AuthorizationRequest{
				Rename: []v1alpha1.Rename{{From: "client_id", To: "application_id"}}, Omit: []string{"response_type", "scope"},
				Parameters: parameters("version", "beta"),
			},
			change: func(a *marketplace.AuthorizationParameters) { a.Challenge, a.Nonce = "", "" },
			want: url.Values{
				"application_id": {"amzn1.sp.solution.1"}, "redirect_uri": {"https://tokens.example.com/callback/shop"},
				"state": {"the-state"}, "version": {"beta"},
			},
		},
		"names that change places": {
			spec: v1alpha1.AuthorizationRequest{Rename: []v1alpha1.Rename{{From: "scope", To: "nonce"}, {From: "nonce", To: "scope"}}},
			want: with("scope", "the-nonce", "nonce", "openid orders"),
		},
		"a parameter of the Marketplace's, renamed": {
			spec: v1alpha1.AuthorizationRequest{Parameters: parameters("prompt", "confirm"), Rename: []v1alpha1.Rename{{From: "prompt", To: "ask"}}},
			want: with("ask", "confirm"),
		},
		"what is omitted and set anew": {
			spec: v1alpha1.AuthorizationRequest{Omit: []string{"response_type"}, Parameters: parameters("response_type", "code token")},
			want: with("response_type", "code token"),
		},
		"an endpoint with a query of its own": {
			endpoint: authorizeURL + "?tenant=a%20b&resource=1&resource=2", want: with("tenant", "a b", "resource", "1"),
		},
		"an endpoint that names what we name too": {
			endpoint: authorizeURL + "?state=theirs&client_id=theirs&prompt=login",
			spec:     v1alpha1.AuthorizationRequest{Parameters: parameters("prompt", "confirm")}, want: with("prompt", "confirm"),
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			object := shop(func(s *v1alpha1.MarketplaceSpec) {
				s.AuthorizationRequest, s.Scopes = test.spec, test.scopes
				if s.Scopes.Default == nil {
					s.Scopes.Default = []v1alpha1.Scope{"openid", "orders"}
				}
			})
			a := asking
			if test.change != nil {
				test.change(&a)
			}
			endpoint := test.endpoint
			if endpoint == "" {
				endpoint = authorizeURL
			}
			link, err := resolved(t, object, person()).AuthorizationRequest(endpoint, a)
			if err != nil {
				t.Fatalf("no request: %v", err)
			}
			address, query, _ := strings.Cut(link, "?")
			got, err := url.ParseQuery(query)
			if err != nil || address != authorizeURL || strings.ContainsAny(query, "+ ") {
				t.Errorf("the request is %s: %v", link, err)
			}
			if name == "an endpoint with a query of its own" { // it may have one twice, as RFC 8707 section 2 has it
				if diff := cmp.Diff([]string{"1", "2"}, got["resource"]); diff != "" {
					t.Errorf("the endpoint's own query (-want +got):\n%s", diff)
				}
				got["resource"] = got["resource"][:1]
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// parameters are pairs of name and value.
func parameters(pairs ...string) []v1alpha1.NameValue {
	var list []v1alpha1.NameValue
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, v1alpha1.NameValue{Name: pairs[i], Value: v1alpha1.Text(pairs[i+1])})
	}
	return list
}

func TestNoAuthorizationRequest(t *testing.T) {
	amazon := v1alpha1.AuthorizationRequest{Rename: []v1alpha1.Rename{{From: "client_id", To: "application_id"}}}
	tests := map[string]struct {
		spec     v1alpha1.AuthorizationRequest
		endpoint string
		change   func(*marketplace.AuthorizationParameters)
		want     string
	}{
		"without a name for Amazon": {
			amazon, authorizeURL, func(a *marketplace.AuthorizationParameters) { a.ApplicationID = "" },
			`the application Secret must have key "application_id", which the marketplace wants instead of client_id`,
		},
		"without a state": {
			amazon, authorizeURL, func(a *marketplace.AuthorizationParameters) { a.State = "" },
			"an authorization request must have a state",
		},
		"at no address":            {endpoint: "", want: `the authorization endpoint: "" is no absolute URL`},
		"at an address in clear":   {endpoint: "http://login.example.com/", want: `the authorization endpoint: "http://login.example.com/" must be https`},
		"at one that runs":         {endpoint: "javascript:alert(1)", want: `the authorization endpoint: "javascript:alert(1)" is no absolute URL`},
		"at one with a fragment":   {endpoint: authorizeURL + "#x", want: `the authorization endpoint: "` + authorizeURL + `#x" must not hold user information or a fragment`},
		"at one that is unbearing": {endpoint: authorizeURL + "?a=%zz", want: "the address has a query that cannot be read"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			platform := resolved(t, shop(func(s *v1alpha1.MarketplaceSpec) { s.AuthorizationRequest = test.spec }), person())
			a := asking
			if test.change != nil {
				test.change(&a)
			}
			link, err := platform.AuthorizationRequest(test.endpoint, a)
			if link != "" || err == nil || err.Error() != test.want {
				t.Errorf("got %q and %v, want the error %q", link, err, test.want)
			}
		})
	}
}

func TestCallbacks(t *testing.T) {
	amazon := v1alpha1.CallbackParameters{Code: "spapi_oauth_code", AccountID: "selling_partner_id"}
	long := strings.Repeat("x", 4096)
	tests := map[string]struct {
		names v1alpha1.CallbackParameters
		query string
		want  marketplace.Callback
		err   string
	}{
		"plain":                                  {query: "code=c&state=s", want: marketplace.Callback{Code: "c", State: "s"}},
		"named":                                  {query: "code=c&state=s&iss=https%3A%2F%2Flogin.example.com", want: marketplace.Callback{Code: "c", State: "s", Issuer: "https://login.example.com"}},
		"by Amazon":                              {amazon, "spapi_oauth_code=c&state=s&selling_partner_id=A2&mws_auth_token=x", marketplace.Callback{Code: "c", State: "s", AccountID: "A2"}, ""},
		"by Amazon, with a code of another name": {amazon, "code=c&state=s", marketplace.Callback{State: "s"}, ""},
		"by eBay, whose code has marks of all kinds": {
			query: "state=s&code=v%5E1.1%23i%5E1%23p%5E3%23f%5E0%2BWq%3D%3D&expires_in=299",
			want:  marketplace.Callback{Code: "v^1.1#i^1#p^3#f^0+Wq==", State: "s"},
		},
		"nothing":        {query: "", want: marketplace.Callback{}},
		"of an error":    {query: "error=access_denied&error_description=No%0d%0athanks%00.&state=s", want: marketplace.Callback{State: "s", Error: "access_denied", ErrorDescription: "No thanks."}},
		"of both":        {query: "code=c&error=server_error&state=s", want: marketplace.Callback{State: "s", Error: "server_error"}},
		"of a long word": {query: "error=" + strings.Repeat("w", 300) + "&state=s", want: marketplace.Callback{State: "s", Error: strings.Repeat("w", 200)}},
		"with an account of many letters": {
			amazon, "spapi_oauth_code=c&state=s&selling_partner_id=%0aA" + long[:300], marketplace.Callback{Code: "c", State: "s", AccountID: "A" + long[:255]}, "",
		},
		"as long as can be":                  {query: "code=" + long + "&state=s", want: marketplace.Callback{Code: long, State: "s"}},
		"with a code too long":               {query: "code=x" + long + "&state=s", err: `the callback: parameter "code" is longer than 4096 bytes`},
		"with a state too long":              {query: "code=c&state=x" + long, err: `the callback: parameter "state" is longer than 4096 bytes`},
		"with an issuer too long":            {query: "code=c&state=s&iss=" + long, err: `the callback: parameter "iss" is longer than 2048 bytes`},
		"with two codes":                     {query: "code=c&code=d&state=s", err: `the callback: parameter "code" is there 2 times`},
		"with one code twice":                {query: "code=c&code=c&state=s", err: `the callback: parameter "code" is there 2 times`},
		"with three states":                  {query: "code=c&state=s&state=s&state=", err: `the callback: parameter "state" is there 3 times`},
		"with two accounts":                  {amazon, "spapi_oauth_code=c&state=s&selling_partner_id=A&selling_partner_id=B", marketplace.Callback{}, `the callback: parameter "selling_partner_id" is there 2 times`},
		"with two of what nobody asked":      {query: "code=c&state=s&x=1&x=2", want: marketplace.Callback{Code: "c", State: "s"}},
		"with an account nobody asked about": {query: "code=c&state=s&=A2&accountID=A2", want: marketplace.Callback{Code: "c", State: "s"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			platform := resolved(t, shop(func(s *v1alpha1.MarketplaceSpec) { s.AuthorizationRequest.Callback = test.names }), person())
			query, err := url.ParseQuery(test.query)
			if err != nil {
				t.Fatal(err)
			}
			got, err := platform.Callback(query)
			if (err == nil) != (test.err == "") || (err != nil && err.Error() != test.err) {
				t.Errorf("the error is %v, want %q", err, test.err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if tells := platform.CallbackTellsAccount(); tells != (test.names.AccountID != "") {
				t.Errorf("CallbackTellsAccount is %v", tells)
			}
		})
	}
}

// FuzzCallback has browsers bring whatever they like, for a callback and for a start from the store.
func FuzzCallback(f *testing.F) {
	for _, seed := range []string{
		"code=c&state=s&iss=https%3A%2F%2Flogin.example.com",
		"spapi_oauth_code=c&state=s&selling_partner_id=A2EUQ1WTGCTBG2X",
		"error=access_denied&error_description=%1b%5b31mno%e2%80%ae",
		"code=c&code=d", "code=%zz", "code=;state=s", "state=%00&selling_partner_id=%ff%fe",
		"amazon_callback_uri=https%3A%2F%2Famazon.com%2Fapps%2Fauthorize%2Fconfirm%2Fa&amazon_state=x&selling_partner_id=A2",
		"amazon_callback_uri=https%3A%2F%2Famazon.com%40evil.example%2F&amazon_state=x",
		"amazon_callback_uri=https%3A%2F%2Fevil.example%5C%40amazon.com%2F", "amazon_callback_uri=%2F%2Famazon.com",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		query, err := url.ParseQuery(raw)
		if err != nil {
			return
		}
		platform := resolved(t, store(), person())
		callback, err := platform.Callback(query)
		if err != nil {
			callback.Error = err.Error()
		}
		if callback.Code != "" && callback.Error != "" {
			t.Errorf("there are a code and the error %q", callback.Error)
		}
		for _, text := range []string{callback.Error, callback.ErrorDescription} {
			if utf8.RuneCountInString(text) > 200 || !utf8.ValidString(text) || strings.ContainsFunc(text, unprintable) {
				t.Errorf("%q is not fit to show", text)
			}
		}
		if len(callback.Code) > 4096 || len(callback.State) > 4096 || utf8.RuneCountInString(callback.AccountID) > 256 {
			t.Errorf("the callback is %+v", callback)
		}
		start, err := platform.StoreStart(query)
		if start == nil || err != nil {
			return
		}
		link, err := start.Request(platform, asking)
		if err != nil {
			return // a query that cannot be read
		}
		sent, err := url.Parse(link)
		if err != nil || sent.Scheme != "https" || !slices.Contains(storeHosts, sent.Host) || sent.User != nil || sent.Fragment != "" ||
			strings.ContainsAny(link, "\\\n\r\t ") {
			t.Errorf("the browser is sent to %q: %v", link, err)
		}
		if states := sent.Query()["state"]; len(states) != 1 || states[0] != asking.State {
			t.Errorf("the states are %q", states)
		}
	})
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) }
