package marketplace_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
)

// storeHosts are those of the store of TestStoreStart.
var storeHosts = []string{"amazon.com", "amazon.co.uk", "sellercentral.amazon.com"}

// store is a Marketplace whose own store begins sign-ins, as Amazon's does.
func store(changes ...func(*v1alpha1.MarketplaceSpec)) *v1alpha1.Marketplace {
	return shop(append([]func(*v1alpha1.MarketplaceSpec){func(s *v1alpha1.MarketplaceSpec) {
		s.AuthorizationRequest = v1alpha1.AuthorizationRequest{
			PKCE: v1alpha1.PKCEDisabled, Omit: []string{"response_type", "scope"},
			Rename:     []v1alpha1.Rename{{From: "client_id", To: "application_id"}},
			Callback:   v1alpha1.CallbackParameters{Code: "spapi_oauth_code", AccountID: "selling_partner_id"},
			StoreStart: v1alpha1.StoreStart{CallbackURI: "amazon_callback_uri", State: "amazon_state", Hosts: storeHosts},
		}
	}}, changes...)...)
}

// storeQuery is what the store brings, with an address.
func storeQuery(address string) url.Values {
	return url.Values{"amazon_callback_uri": {address}, "amazon_state": {"the store's state &"}, "selling_partner_id": {"A2EUQ1"}}
}

func TestStoreStart(t *testing.T) {
	const confirm = "/apps/authorize/confirm/amzn1.sellerapps.app.1"
	plain := marketplace.AuthorizationParameters{State: "ours", RedirectURI: "https://tokens.example.com/callback/amazon"}
	sent := url.Values{
		"amazon_state": {"the store's state &"}, "state": {"ours"}, "redirect_uri": {"https://tokens.example.com/callback/amazon"},
	}
	with := func(name, value string) url.Values {
		want := url.Values{name: {value}}
		for name, values := range sent {
			if !want.Has(name) {
				want[name] = values
			}
		}
		return want
	}
	tests := map[string]struct {
		object  *v1alpha1.Marketplace // default: store()
		address string
		a       marketplace.AuthorizationParameters
		to      string // without the query
		want    url.Values
	}{
		"as Amazon documents it":     {nil, "https://amazon.com" + confirm, plain, "https://amazon.com" + confirm, sent},
		"at Seller Central":          {nil, "https://sellercentral.amazon.com" + confirm, plain, "https://sellercentral.amazon.com" + confirm, sent},
		"in capitals":                {nil, "HTTPS://Amazon.CO.uk" + confirm, plain, "https://amazon.co.uk" + confirm, sent},
		"at the port that it has":    {nil, "https://amazon.com:443" + confirm, plain, "https://amazon.com" + confirm, sent},
		"with an escape in its path": {nil, "https://amazon.com/a%2Fb%3F", plain, "https://amazon.com/a%2Fb%3F", sent},
		"with no path":               {nil, "https://amazon.com", plain, "https://amazon.com", sent},
		"with a query of its own":    {nil, "https://amazon.com/c?lang=de", plain, "https://amazon.com/c", with("lang", "de")},
		"with our names in its query": {
			nil, "https://amazon.com/c?state=theirs&amazon_state=other&redirect_uri=https%3A%2F%2Fevil.example", plain, "https://amazon.com/c", sent,
		},
		"for a draft": {
			store(func(s *v1alpha1.MarketplaceSpec) { s.AuthorizationRequest.Parameters = parameters("version", "beta") }),
			"https://amazon.com/c", plain, "https://amazon.com/c", with("version", "beta"),
		},
		"without redirect_uri": {
			nil, "https://amazon.com/c", marketplace.AuthorizationParameters{State: "ours"}, "https://amazon.com/c",
			url.Values{"amazon_state": {"the store's state &"}, "state": {"ours"}},
		},
		"with a host that the manifest has in capitals": {
			store(func(s *v1alpha1.MarketplaceSpec) { s.AuthorizationRequest.StoreStart.Hosts = []string{"Amazon.com"} }),
			"https://amazon.com/c", plain, "https://amazon.com/c", sent,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			object := test.object
			if object == nil {
				object = store()
			}
			platform := resolved(t, object, person())
			start, err := platform.StoreStart(storeQuery(test.address))
			if err != nil || start == nil {
				t.Fatalf("no start: %v", err)
			}
			if start.AccountID != "A2EUQ1" {
				t.Errorf("the account is %q", start.AccountID)
			}
			link, err := start.Request(platform, test.a)
			if err != nil {
				t.Fatalf("no request: %v", err)
			}
			address, query, _ := strings.Cut(link, "?")
			got, err := url.ParseQuery(query)
			if err != nil || address != test.to {
				t.Errorf("the browser is sent to %s, want %s", link, test.to)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestStoreStartGoesNowhereElse is about an open redirector, for which somebody would send people to the portal.
func TestStoreStartGoesNowhereElse(t *testing.T) {
	platform := resolved(t, store(), person())
	for _, address := range []string{
		"", "amazon.com", "//amazon.com/", "/amazon.com", "https:amazon.com", "https:/amazon.com", "https:///amazon.com", "https://",
		"http://amazon.com/", "ftp://amazon.com/", "javascript:alert(1)//amazon.com", "data:text/html,amazon.com",
		"https://evil.example/", "https://evil.example/amazon.com", "https://evil.example?https://amazon.com",
		"https://evil.example#amazon.com", "https://amazon.com.evil.example/", "https://evilamazon.com/", "https://evil-amazon.com/",
		"https://evil.amazon.com/", "https://amazon.com@evil.example/", "https://amazon.com:443@evil.example/", "https://evil@amazon.com/",
		"https://evil:secret@amazon.com/", "https://@amazon.com/", "https://amazon.com:8443/", "https://amazon.com:/", "https://amazon.com:0443/",
		"https://amazon.com:443:443/", "https://amazon.com./", "https://amazon.com%2eevil.example/", "https://amazon.com%00.evil.example/",
		"https://amazon%2ecom/", `https://evil.example\@amazon.com/`, `https://amazon.com\@evil.example/`, `https:\\amazon.com\`,
		`https://amazon.com\.evil.example/`, "https://amazon.com\t.evil.example/", "https://amazon.com\n.evil.example/", "\thttps://amazon.com/",
		" https://amazon.com/", "https://amazon.com/ x", "https://amazon.com/\x00", "https://amazon。com/", "https://аmazon.com/", "https://ａmazon.com/",
		"https://amazon.com/é", "https://amazon.com/#fragment", "https://amazon.com/#", "https://[amazon.com]/", "https://[::1]/",
		"https://amazon.com;evil.example/", "https://amazon.com,evil.example/", "https://amazon.com&evil.example/", "https://xn--amazon-.com/",
		"https://amazon.com/%zz", "https://amazon.com/" + strings.Repeat("x", 2048),
	} {
		start, err := platform.StoreStart(storeQuery(address))
		if err == nil || start != nil {
			t.Errorf("%q is taken", address)
			continue
		}
		if strings.Contains(err.Error(), "evil") || !strings.HasPrefix(err.Error(), "the start from the store: ") {
			t.Errorf("%q: the error is %v", address, err)
		}
	}
}

func TestStoreStartOfAnotherKind(t *testing.T) {
	twice := storeQuery("https://amazon.com/c")
	twice.Add("amazon_callback_uri", "https://amazon.com/c")
	states := storeQuery("https://amazon.com/c")
	states.Add("amazon_state", "another")
	long := storeQuery("https://amazon.com/c")
	long.Set("amazon_state", strings.Repeat("x", 4097))
	accounts := storeQuery("https://amazon.com/c")
	accounts.Add("selling_partner_id", "another")
	tests := map[string]struct {
		object *v1alpha1.Marketplace
		query  url.Values
		err    string
	}{
		"a platform without a store": {shop(), storeQuery("https://amazon.com/c"), ""},
		"a query without an address": {store(), url.Values{"amazon_state": {"x"}, "ticket": {"t"}}, ""},
		"no query":                   {store(), nil, ""},
		"two addresses":              {store(), twice, `the start from the store: parameter "amazon_callback_uri" is there 2 times`},
		"two states":                 {store(), states, `the start from the store: parameter "amazon_state" is there 2 times`},
		"two accounts":               {store(), accounts, `the start from the store: parameter "selling_partner_id" is there 2 times`},
		"a long state":               {store(), long, `the start from the store: parameter "amazon_state" is longer than 4096 bytes`},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			start, err := resolved(t, test.object, person()).StoreStart(test.query)
			if start != nil || (err == nil) != (test.err == "") || (err != nil && err.Error() != test.err) {
				t.Errorf("got %+v and %v, want the error %q", start, err, test.err)
			}
		})
	}
}

func TestStoreStartNeedsAState(t *testing.T) {
	platform := resolved(t, store(), person())
	start, err := platform.StoreStart(storeQuery("https://amazon.com/c"))
	if err != nil {
		t.Fatal(err)
	}
	if link, err := start.Request(platform, marketplace.AuthorizationParameters{}); err == nil {
		t.Errorf("the browser is sent to %s", link)
	}
}

func TestStoreStartWhereTheBrowserIsSentAnyway(t *testing.T) {
	object := store(func(s *v1alpha1.MarketplaceSpec) { s.Endpoints.Authorization = "http://127.0.0.1:8443/consent" })
	platform := resolved(t, object, person())
	if start, err := platform.StoreStart(storeQuery("http://127.0.0.1:8443/apps/authorize/confirm")); err != nil || start == nil {
		t.Errorf("the authorization endpoint's own origin is refused: %v", err)
	}
	for _, other := range []string{"https://127.0.0.1:8443/x", "http://127.0.0.1:8444/x", "http://127.0.0.1/x", "http://amazon.com/x", "http://127.0.0.1:8443@evil.example/x"} {
		if _, err := platform.StoreStart(storeQuery(other)); err == nil {
			t.Errorf("%s is accepted", other)
		}
	}
}
