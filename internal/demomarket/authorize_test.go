package demomarket_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

func TestSigningInAtEachPlatform(t *testing.T) {
	tests := map[string]struct {
		callback map[string]string
		tokens   map[string]any // what the answer must have
		without  string         // what it must not
	}{
		"allegro": {
			callback: map[string]string{"code": "*", "state": "s"},
			tokens:   map[string]any{"token_type": "bearer", "expires_in": 43199.0},
			without:  "refresh_token_expires_in",
		},
		"ebay": {
			callback: map[string]string{"code": "*", "state": "s", "expires_in": "299"},
			tokens: map[string]any{
				"token_type": "User Access Token", "expires_in": 7200.0, "refresh_token_expires_in": 47304000.0,
			},
			without: "scope",
		},
		"amazon": {
			callback: map[string]string{"spapi_oauth_code": "*", "state": "s", "selling_partner_id": "A2EUQ1WTGCTBG2X"},
			tokens:   map[string]any{"token_type": "bearer", "expires_in": 3600.0},
			without:  "scope",
		},
		"oidc": {
			callback: map[string]string{"code": "*", "state": "s", "iss": "{url}/oidc"},
			tokens:   map[string]any{"token_type": "Bearer", "expires_in": 3600.0},
			without:  "scope",
		},
	}
	for platform, test := range tests {
		t.Run(platform, func(t *testing.T) {
			d := serveSites(t)
			b := d.browser()
			login := b.open(d.link(platform, map[string]string{"state": "s", "login_hint": "somebody@example.com"}))
			login.want(t, "login").wantText(t, demomarket.DefaultClientID)
			if strings.Contains(login.raw, "somebody") {
				t.Error("login_hint is heeded")
			}
			consent := b.logIn(login, demomarket.DefaultUser).want(t, "consent")
			consent.wantText(t, demomarket.DefaultClientID).wantText(t, d.Platform(platform).Seller().Login)
			back := b.press(consent, "allow")
			if want, echoed := test.callback["iss"]; echoed {
				test.callback["iss"] = strings.ReplaceAll(want, "{url}", d.url)
			}
			if platform == "allegro" {
				test.callback["login_hint"] = "somebody@example.com" // Allegro repeats what it does not know
			}
			back.wantParameters(t, test.callback)
			wantEqual(t, "path", back.location.Path, "/callback/"+platform)

			got := d.exchange(platform, back.code(t))
			wantStatus(t, got, http.StatusOK)
			for name, want := range test.tokens {
				wantEqual(t, name, got.body[name], want)
			}
			if _, there := got.body[test.without]; there {
				t.Errorf("the answer has %s: %s", test.without, got.raw)
			}
			renewed := d.refresh(platform, got.text("refresh_token"))
			wantStatus(t, renewed, http.StatusOK)
			if _, there := renewed.body["refresh_token_expires_in"]; there {
				t.Errorf("a renewal tells the end of the consent again: %s", renewed.raw)
			}
			report := d.Platform(platform).Report()
			wantEqual(t, "codes", report.Codes, demomarket.CodeTally{Issued: 1, Used: 1})
			wantEqual(t, "requests for pages", report.Requests[demomarket.AuthorizationEndpoint], 3)
		})
	}
}

func TestWhoSignsInIsWhoseTokensTheyAre(t *testing.T) {
	d := serveSites(t)
	code := d.browser().signIn(d.link("allegro"), demomarket.OtherUser).code(t)
	got := claims(t, d.exchange("allegro", code).text("access_token"))
	wantEqual(t, "user_name", got["user_name"], any(d.Platform("allegro").OtherSeller().ID))

	code = d.browser().signIn(d.link("oidc", map[string]string{"nonce": "n-0S6_WzA2Mj"}), demomarket.OtherUser).code(t)
	got = claims(t, d.exchange("oidc", code).text("id_token"))
	wantEqual(t, "sub", got["sub"], any(d.Platform("oidc").OtherSeller().ID))
	wantEqual(t, "nonce", got["nonce"], any("n-0S6_WzA2Mj"))

	back := d.browser().signIn(d.link("amazon"), demomarket.OtherUser)
	wantEqual(t, "selling_partner_id", back.parameter("selling_partner_id"), d.Platform("amazon").OtherSeller().ID)
}

func TestWithoutOfflineAccessThereIsNoRefreshToken(t *testing.T) {
	d := serveSites(t)
	code := d.browser().signIn(d.link("oidc", map[string]string{"scope": "orders"}), demomarket.DefaultUser).code(t)
	got := d.exchange("oidc", code)
	wantStatus(t, got, http.StatusOK)
	wantEqual(t, "refresh token", got.text("refresh_token"), "")
	wantEqual(t, "ID token", got.text("id_token"), "")
	wantStatus(t, d.exchange("oidc", code), http.StatusBadRequest)
	wantEqual(t, "access token is valid", d.Platform("oidc").AccessTokenValid(got.text("access_token")), false)
}

func TestAuthorizationRequestsThatLeadNowhere(t *testing.T) {
	tests := map[string]struct {
		platform string
		change   map[string]string
		query    string // instead of all
		says     string
	}{
		"an unknown application": {
			platform: "oidc", change: map[string]string{"client_id": "another-client"}, says: "not registered",
		},
		"no application":            {platform: "oidc", change: map[string]string{"client_id": ""}, says: "not registered"},
		"no redirect_uri":           {platform: "oidc", change: map[string]string{"redirect_uri": ""}, says: "redirect_uri"},
		"another redirect_uri":      {platform: "oidc", change: map[string]string{"redirect_uri": "https://evil.example.com/"}, says: "redirect_uri"},
		"a longer redirect_uri":     {platform: "oidc", change: map[string]string{"redirect_uri": portal + "/callback/oidc/"}, says: "redirect_uri"},
		"another platform's":        {platform: "oidc", change: map[string]string{"redirect_uri": portal + "/callback/allegro"}, says: "redirect_uri"},
		"a redirect_uri with case":  {platform: "allegro", change: map[string]string{"redirect_uri": portal + "/Callback/allegro"}, says: "redirect_uri"},
		"a parameter twice":         {platform: "oidc", query: "client_id=demo-client&client_id=demo-client", says: "twice"},
		"a query that is none":      {platform: "oidc", query: "client_id=%zz", says: "reading the form"},
		"eBay, by an address":       {platform: "ebay", change: map[string]string{"redirect_uri": portal + "/callback/ebay"}, says: `"error_id":"invalid_request"`},
		"eBay says the status":      {platform: "ebay", change: map[string]string{"client_id": "x"}, says: `"http_status_code":400`},
		"Amazon, by the client id":  {platform: "amazon", change: map[string]string{"application_id": "demo-client"}, says: "MD1000"},
		"Amazon, as client_id":      {platform: "amazon", change: map[string]string{"application_id": "", "client_id": "demo-client"}, says: "MD1000"},
		"Amazon, another address":   {platform: "amazon", change: map[string]string{"redirect_uri": portal}, says: "MD5101"},
		"Amazon, beta of a release": {platform: "amazon", change: map[string]string{"version": "beta"}, says: "MD1000"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := serveSites(t)
			link := d.link(test.platform, test.change)
			if test.query != "" {
				link = d.url + sites[test.platform].path + "?" + test.query
			}
			got := d.browser().open(link)
			wantStatus(t, got.answer, http.StatusBadRequest)
			wantEqual(t, "Location", got.header.Get("Location"), "")
			got.wantText(t, test.says)
			if test.platform == "ebay" {
				wantEqual(t, "is JSON", json.Valid([]byte(got.raw)), true)
				return
			}
			got.want(t, "message")
		})
	}
}

func TestAuthorizationRequestsThatAreRefused(t *testing.T) {
	challenge := map[string]string{
		"code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method": "S256",
	}
	with := func(change map[string]string, name, value string) map[string]string {
		changed := map[string]string{name: value}
		for other, given := range change {
			if other != name {
				changed[other] = given
			}
		}
		return changed
	}
	tests := map[string]struct {
		platform string
		change   map[string]string
		want     string
	}{
		"no response_type":            {"oidc", map[string]string{"response_type": ""}, "invalid_request"},
		"the implicit flow":           {"oidc", map[string]string{"response_type": "token"}, "unsupported_response_type"},
		"a scope that does not exist": {"oidc", map[string]string{"scope": "openid admin"}, "invalid_scope"},
		"eBay's scope error":          {"ebay", map[string]string{"scope": "sell"}, "invalid_scope"},
		"PKCE without a method":       {"oidc", with(challenge, "code_challenge_method", ""), "invalid_request"},
		"PKCE with plain":             {"allegro", with(challenge, "code_challenge_method", "plain"), "invalid_request"},
		"a method without challenge":  {"oidc", with(challenge, "code_challenge", ""), "invalid_request"},
		"a short challenge":           {"oidc", with(challenge, "code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8"), "invalid_request"},
		"a challenge in base64":       {"oidc", with(challenge, "code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw/cM"), "invalid_request"},
		"prompt none with another":    {"oidc", map[string]string{"prompt": "none login"}, "invalid_request"},
		"prompt none in a new tab":    {"oidc", map[string]string{"prompt": "none"}, "login_required"},
		"Amazon with response_type":   {"amazon", map[string]string{"response_type": "code"}, "invalid_request"},
		"Amazon with a scope":         {"amazon", map[string]string{"scope": "profile"}, "invalid_request"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := serveSites(t)
			change := with(test.change, "state", "s")
			want := map[string]string{"error": test.want, "error_description": "*", "state": "s"}
			if test.platform == "oidc" {
				want["iss"] = d.url + "/oidc"
			}
			d.browser().open(d.link(test.platform, change)).wantParameters(t, want)
			wantEqual(t, "codes", d.Report().Total.Codes.Issued, 0)
		})
	}
}

func TestAllegroCutsTheScope(t *testing.T) {
	d := serveSites(t)
	link := d.link("allegro", map[string]string{"scope": "allegro:api:profile:read allegro:api:everything"})
	code := d.browser().signIn(link, demomarket.DefaultUser).code(t)
	wantEqual(t, "scope", d.exchange("allegro", code).text("scope"), "allegro:api:profile:read")
}

func TestStateIsNotTouched(t *testing.T) {
	for name, state := range map[string]string{
		"base64":             "a+b/c==",
		"a query":            "a=b&c=d;e=f#g?h",
		"escapes":            "%41%2B%",
		"HTML":               `"><script>alert(1)</script>`,
		"other alphabets":    "zażółć 鍵 🔑",
		"line breaks":        "a\r\nSet-Cookie: b=c",
		"the name of others": "code=x&iss=y",
	} {
		t.Run(name, func(t *testing.T) {
			d := serveSites(t)
			for platform := range sites {
				back := d.browser().signIn(d.link(platform, map[string]string{"state": state}), demomarket.DefaultUser)
				wantEqual(t, platform+"'s state", back.parameter("state"), state)
			}
		})
	}
	d := serveSites(t)
	back := d.browser().signIn(d.link("allegro"), demomarket.DefaultUser)
	back.wantParameters(t, map[string]string{"code": "*"})
}

func TestAllegroRepeatsWhatItDoesNotKnow(t *testing.T) {
	d := serveSites(t)
	back := d.browser().signIn(d.link("allegro", map[string]string{"shop": "7 & 8", "code": "forged"}), demomarket.DefaultUser)
	back.wantParameters(t, map[string]string{"code": "*", "shop": "7 & 8"})
	if back.code(t) == "forged" {
		t.Error("the request chooses its code")
	}
}

func TestARedirectURIKeepsItsQuery(t *testing.T) {
	d := serveSites(t)
	d.Platform("oidc").AddRedirectURI(demomarket.DefaultClientID, portal+"/back?shop=a%20b")
	back := d.browser().signIn(d.link("oidc", map[string]string{"redirect_uri": portal + "/back?shop=a%20b"}), demomarket.DefaultUser)
	back.wantParameters(t, map[string]string{"code": "*", "iss": "*", "shop": "a b"})
}

func TestDenying(t *testing.T) {
	tests := map[string]map[string]string{
		"allegro": {"error": "access_denied", "error_description": "*", "state": "s"},
		"ebay":    {"error": "access_denied"}, // from the decline URL, to which eBay adds nothing
		"amazon":  {"error": "access_denied", "error_description": "*", "state": "s"},
		"oidc":    {"error": "access_denied", "error_description": "*", "state": "s", "iss": "*"},
	}
	for platform, want := range tests {
		t.Run(platform, func(t *testing.T) {
			d := serveSites(t)
			b := d.browser()
			consent := b.logIn(b.open(d.link(platform, map[string]string{"state": "s"})), demomarket.DefaultUser)
			b.press(consent, "deny").wantParameters(t, want)
			wantEqual(t, "codes", d.Report().Total.Codes.Issued, 0)
			b.open(d.link(platform)).want(t, "consent") // nothing was allowed, so it is asked again
		})
	}
}

func TestAmazonsDrafts(t *testing.T) {
	d := serveSites(t)
	d.Platform("amazon").SetDraft(demomarket.DefaultClientID, true)
	d.browser().open(d.link("amazon")).want(t, "message").wantText(t, "MD1000")
	d.browser().open(d.link("amazon", map[string]string{"version": "alpha"})).want(t, "message")
	d.browser().open(d.link("amazon", map[string]string{"version": "beta"})).want(t, "login")
	d.Platform("amazon").SetDraft(demomarket.DefaultClientID, false)
	d.browser().open(d.link("amazon")).want(t, "login")
}

func TestAmazonGoesWithoutRedirectURI(t *testing.T) {
	d := serveSites(t)
	d.Platform("amazon").AddRedirectURI(demomarket.DefaultClientID, portal+"/second")
	none := map[string]string{"redirect_uri": ""}
	first := map[string]string{"redirect_uri": portal + "/callback/amazon"}
	second := map[string]string{"redirect_uri": portal + "/second"}
	tests := map[string]struct {
		asked, sent map[string]string
		path        string
		status      int
	}{
		"neither":             {none, none, "/callback/amazon", http.StatusOK},
		"the exchange alone":  {none, first, "/callback/amazon", http.StatusOK},
		"the request alone":   {second, none, "/second", http.StatusOK},
		"both":                {second, second, "/second", http.StatusOK},
		"another in exchange": {second, first, "/second", http.StatusBadRequest},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			back := d.browser().signIn(d.link("amazon", test.asked), demomarket.DefaultUser)
			wantEqual(t, "path", back.location.Path, test.path)
			wantStatus(t, d.exchange("amazon", back.code(t), test.sent), test.status)
		})
	}
}

func TestAnApplicationThatIsReplacedLosesItsCallbacks(t *testing.T) {
	d := serveSites(t)
	market := d.Platform("oidc")
	market.SetClientSecret("another-secret", true)
	wantEqual(t, "after a new secret", len(market.RedirectURIs(demomarket.DefaultClientID)), 1)
	market.AddClient(demomarket.DefaultClientID, "a-third-secret")
	wantEqual(t, "after a new registration", len(market.RedirectURIs(demomarket.DefaultClientID)), 0)
	market.AddRedirectURI("nobody", portal)
	market.SetDraft("nobody", true)
	market.SetApplicationID("nobody", "x")
	wantEqual(t, "of nobody", len(market.RedirectURIs("nobody")), 0)
	d.browser().open(d.link("oidc")).want(t, "message")
}
