package demomarket_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/control"
)

// TestAStaleBrowser signs in once and then asks again in the same browser.
func TestAStaleBrowser(t *testing.T) {
	tests := map[string]struct {
		platform string
		prompt   string
		want     string // the page; empty when the browser is sent straight back
	}{
		"Allegro":                          {platform: "allegro"},
		"Allegro with confirm":             {platform: "allegro", prompt: "confirm", want: "account"},
		"Allegro with what others know":    {platform: "allegro", prompt: "login"},
		"eBay":                             {platform: "ebay"},
		"eBay with login":                  {platform: "ebay", prompt: "login", want: "login"},
		"Amazon":                           {platform: "amazon"},
		"Amazon knows no prompt":           {platform: "amazon", prompt: "login"},
		"OpenID Connect":                   {platform: "oidc"},
		"OpenID Connect, none":             {platform: "oidc", prompt: "none"},
		"OpenID Connect, login":            {platform: "oidc", prompt: "login", want: "login"},
		"OpenID Connect, consent":          {platform: "oidc", prompt: "consent", want: "consent"},
		"OpenID Connect, select_account":   {platform: "oidc", prompt: "select_account", want: "account"},
		"OpenID Connect, both":             {platform: "oidc", prompt: "select_account consent", want: "account"},
		"OpenID Connect, Allegro's prompt": {platform: "oidc", prompt: "confirm"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := serveSites(t)
			b := d.browser()
			b.signIn(d.link(test.platform), demomarket.DefaultUser)
			d.clock.step(24 * time.Hour)
			again := b.open(d.link(test.platform, map[string]string{"prompt": test.prompt, "login_hint": demomarket.OtherUser}))
			if test.want != "" {
				again.want(t, test.want)
				return
			}
			again.wantRedirect(t)
			got := d.exchange(test.platform, again.code(t))
			wantStatus(t, got, http.StatusOK)
			if test.platform == "allegro" {
				wantEqual(t, "user_name", claims(t, got.text("access_token"))["user_name"], any(d.Platform("allegro").Seller().ID))
			}
		})
	}
}

func TestGoingOnWithTheAccount(t *testing.T) {
	d := serveSites(t)
	b := d.browser()
	b.signIn(d.link("allegro"), demomarket.DefaultUser)
	account := b.open(d.link("allegro", map[string]string{"prompt": "confirm", "state": "s"})).want(t, "account")
	account.wantText(t, d.Platform("allegro").Seller().Login)
	b.press(account, "continue").wantParameters(t, map[string]string{"code": "*", "state": "s"})

	both := map[string]string{"prompt": "select_account consent"}
	b.signIn(d.link("oidc"), demomarket.DefaultUser)
	consent := b.press(b.open(d.link("oidc", both)), "continue").want(t, "consent")
	b.press(consent, "allow").wantRedirect(t)
	b.open(d.link("oidc", both)).want(t, "account") // each time
}

func TestUsingAnotherAccount(t *testing.T) {
	d := serveSites(t)
	other := d.Platform("allegro").OtherSeller()
	b := d.browser()
	b.signIn(d.link("allegro"), demomarket.DefaultUser)
	login := b.press(b.open(d.link("allegro", map[string]string{"prompt": "confirm"})), "switch").want(t, "login")
	consent := b.logIn(login, demomarket.OtherUser).want(t, "consent").wantText(t, other.Login)
	code := b.press(consent, "allow").code(t)
	got := claims(t, d.exchange("allegro", code).text("access_token"))
	wantEqual(t, "user_name", got["user_name"], any(other.ID))

	// From now on that is what the browser has.
	stale := b.open(d.link("allegro")).code(t)
	got = claims(t, d.exchange("allegro", stale).text("access_token"))
	wantEqual(t, "user_name", got["user_name"], any(other.ID))

	// On the consent page one can change one's mind, too.
	consent = b.logIn(b.open(d.link("ebay")), demomarket.DefaultUser)
	b.press(consent, "switch").want(t, "login")
}

func TestLoggingInAgain(t *testing.T) {
	d := serveSites(t)
	b := d.browser()
	b.signIn(d.link("ebay"), demomarket.DefaultUser)
	consent := b.logIn(b.open(d.link("ebay", map[string]string{"prompt": "login"})), demomarket.OtherUser)
	consent.want(t, "consent").wantText(t, d.Platform("ebay").OtherSeller().Login)
	b.press(consent, "allow").wantRedirect(t)
}

func TestConsentIsAskedForWhatIsNew(t *testing.T) {
	d := serveSites(t)
	b := d.browser()
	less, more := map[string]string{"scope": "openid"}, map[string]string{"scope": "openid orders"}
	b.signIn(d.link("oidc", less), demomarket.DefaultUser)
	b.open(d.link("oidc", less)).wantRedirect(t)
	wantEqual(t, "error", b.open(d.link("oidc", more, map[string]string{"prompt": "none"})).parameter("error"), "consent_required")
	consent := b.open(d.link("oidc", more)).want(t, "consent").wantText(t, "<li>orders</li>")
	b.press(consent, "allow").wantRedirect(t)
	b.open(d.link("oidc", more)).wantRedirect(t)
	b.open(d.link("oidc", less)).wantRedirect(t)

	d.Platform("oidc").AddClient("another-client", "another-secret")
	d.Platform("oidc").AddRedirectURI("another-client", portal)
	another := map[string]string{"client_id": "another-client", "redirect_uri": portal}
	b.open(d.link("oidc", less, another)).want(t, "consent").wantText(t, "another-client")

	d.Platform("oidc").RevokeGrants()
	b.open(d.link("oidc", less)).want(t, "consent")
	d.Platform("oidc").LogOut()
	b.open(d.link("oidc", less)).want(t, "login")
}

func TestASessionBelongsToABrowserAndAPlatform(t *testing.T) {
	d := serveSites(t)
	b := d.browser()
	b.signIn(d.link("oidc"), demomarket.DefaultUser)
	b.open(d.link("allegro")).want(t, "login")
	d.browser().open(d.link("oidc")).want(t, "login")

	consent := b.logIn(b.open(d.link("ebay")), demomarket.DefaultUser)
	cookie, err := http.ParseSetCookie(consent.header.Get("Set-Cookie"))
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "path", cookie.Path, "/ebay/")
	wantEqual(t, "HttpOnly", cookie.HttpOnly, true)
	wantEqual(t, "SameSite", cookie.SameSite, http.SameSiteLaxMode)
}

func TestLoginsThatAreRefused(t *testing.T) {
	tests := map[string]struct {
		arrange  func(*demomarket.Market)
		user     string
		password string
		says     string
	}{
		"a wrong password": {user: demomarket.DefaultUser, password: "wrong", says: "wrong user name or password"},
		"an unknown user":  {user: "nobody", password: demomarket.DefaultPassword, says: "wrong user name or password"},
		"nothing":          {says: "wrong user name or password"},
		"a locked user": {
			arrange: func(m *demomarket.Market) { m.Lock(demomarket.DefaultUser) },
			user:    demomarket.DefaultUser, password: demomarket.DefaultPassword, says: "locked",
		},
		"a second factor": {
			arrange: func(m *demomarket.Market) { m.RefuseLogin(demomarket.DefaultUser, demomarket.MFARequired) },
			user:    demomarket.DefaultUser, password: demomarket.DefaultPassword, says: "may not log in",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := serveSites(t)
			if test.arrange != nil {
				test.arrange(d.Platform("oidc"))
			}
			b := d.browser()
			refused := b.press(b.open(d.link("oidc")), "login", "username", test.user, "password", test.password)
			wantStatus(t, refused.answer, http.StatusForbidden)
			refused.want(t, "login").wantText(t, test.says)
			wantEqual(t, "cookie", refused.header.Get("Set-Cookie"), "")
			b.logIn(refused, demomarket.OtherUser).want(t, "consent") // on the same page
		})
	}
}

func TestFormsThatAreNotWhatTheySeem(t *testing.T) {
	d := serveSites(t)
	b := d.browser()
	login := b.open(d.link("oidc")).want(t, "login")

	foreign := b.form(login, "login", "username", demomarket.DefaultUser, "password", demomarket.DefaultPassword)
	foreign.Header.Set("Sec-Fetch-Site", "cross-site")
	wantStatus(t, b.send(foreign).want(t, "message").answer, http.StatusForbidden)
	foreign = b.form(login, "login")
	foreign.Header.Set("Origin", "https://evil.example.com")
	wantStatus(t, b.send(foreign).want(t, "message").answer, http.StatusForbidden)

	b.press(login, "allow").want(t, "login") // without having logged in
	b.press(login, "switch").want(t, "login")
	wantStatus(t, b.press(login, "login", "visit", "made-up").want(t, "message").answer, http.StatusBadRequest)
	wantStatus(t, b.press(login, "login", "visit", "").want(t, "message").answer, http.StatusBadRequest)

	elsewhere := b.form(login, "login")
	elsewhere.URL.Path = "/oidc/device"
	wantStatus(t, b.send(elsewhere).want(t, "message").answer, http.StatusBadRequest)
	put := newRequest(t, http.MethodPut, d.link("oidc"), "")
	wantStatus(t, b.send(put).answer, http.StatusMethodNotAllowed)

	consent := b.logIn(login, demomarket.DefaultUser).want(t, "consent")
	b.press(consent, "continue").want(t, "consent")
	b.press(consent, "").want(t, "consent")
	wantEqual(t, "codes", d.Report().Total.Codes.Issued, 0)
	b.press(consent, "allow").wantRedirect(t)
	wantStatus(t, b.press(consent, "allow").want(t, "message").answer, http.StatusBadRequest) // a second time
}

func TestAPersonWhoTakesTooLong(t *testing.T) {
	d := serveSites(t)
	b := d.browser()
	login := b.open(d.link("oidc"))
	d.clock.step(9 * time.Minute)
	consent := b.logIn(login, demomarket.DefaultUser).want(t, "consent")
	d.clock.step(2 * time.Minute)
	b.press(consent, "allow").want(t, "message").wantText(t, "start again")
	b.open(d.link("oidc")).want(t, "consent")
}

// TestAnotherTab looks at a consent page of one account while another tab logs in with the other.
func TestAnotherTab(t *testing.T) {
	d := serveSites(t)
	b := d.browser()
	consent := b.logIn(b.open(d.link("oidc")), demomarket.DefaultUser).want(t, "consent")
	b.logIn(b.open(d.link("oidc", map[string]string{"prompt": "login"})), demomarket.OtherUser).want(t, "consent")
	shown := b.press(consent, "allow").want(t, "consent").wantText(t, d.Platform("oidc").OtherSeller().ID)
	back := b.press(shown, "allow")
	got := claims(t, d.exchange("oidc", back.code(t)).text("id_token"))
	wantEqual(t, "sub", got["sub"], any(d.Platform("oidc").OtherSeller().ID))
}

func TestPagesEscapeWhatTheyShow(t *testing.T) {
	const mean = `"><script>alert(1)</script>`
	d := serveSites(t)
	market := d.Platform("oidc")
	market.AddClient(mean, "another-secret")
	market.AddRedirectURI(mean, portal)
	market.AddSeller(demomarket.Seller{ID: `7"><script>`, Login: mean})
	market.AddUser("mean", demomarket.DefaultPassword, `7"><script>`)
	b := d.browser()
	request := map[string]string{"client_id": mean, "redirect_uri": portal, "prompt": "select_account"}
	login := b.open(d.link("oidc", request))
	consent := b.logIn(login, "mean").want(t, "consent")
	account := b.open(d.link("oidc", request)).want(t, "account")
	code := b.open(d.url+"/oidc/device?user_code="+escape(mean)).want(t, "code")
	for _, shown := range []page{login, consent, account, code, b.open(d.link("oidc", map[string]string{"client_id": mean}))} {
		if strings.Contains(shown.raw, "<script") {
			t.Errorf("the page %s runs scripts: %s", shown.name, shown.raw)
		}
		if policy := shown.header.Get("Content-Security-Policy"); !strings.Contains(policy, "default-src 'none'") {
			t.Errorf("the page %s has the policy %q", shown.name, policy)
		}
		shown.wantText(t, `<meta name="viewport"`)
	}
	wantEqual(t, "account", consent.field("account"), `7"><script>`)
	b.press(consent, "allow").wantRedirect(t)
}

func TestHelpIsForDemonstrations(t *testing.T) {
	d := serveSites(t, demomarket.Options{Control: control.Pages})
	d.browser().open(d.link("oidc")).wantText(t, demomarket.OtherUser).wantText(t, demomarket.DefaultPassword)
	d = serveSites(t)
	if login := d.browser().open(d.link("oidc")); strings.Contains(login.raw, demomarket.DefaultPassword) {
		t.Error("the login page tells the password")
	}
}

func TestFaultsStrikePages(t *testing.T) {
	d := serveSites(t)
	market := d.Platform("oidc")
	b := d.browser()
	b.signIn(d.link("oidc"), demomarket.DefaultUser)

	fault := market.Inject(demomarket.Callback(func(parameters url.Values) {
		parameters.Set("iss", "https://evil.example.com")
	}))
	wantEqual(t, "iss", b.open(d.link("oidc")).parameter("iss"), "https://evil.example.com")
	wantEqual(t, "hits", fault.Hits(), 1)
	fault.Clear()
	wantEqual(t, "iss", b.open(d.link("oidc")).parameter("iss"), d.url+"/oidc")

	market.Inject(demomarket.HTMLPage().On(demomarket.AuthorizationEndpoint).Once())
	response, err := b.Get(d.link("oidc"))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	wantEqual(t, "status", response.StatusCode, http.StatusOK)

	market.Down(0)
	response, err = b.Get(d.link("oidc"))
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	wantEqual(t, "status", response.StatusCode, http.StatusServiceUnavailable)
}

func TestWithoutRandomnessNobodySignsIn(t *testing.T) {
	d := serveSites(t, demomarket.Options{Rand: strings.NewReader(strings.Repeat("r", 96))})
	b := d.browser()
	login := b.open(d.link("oidc"))
	consent := b.logIn(login, demomarket.DefaultUser).want(t, "consent")
	b.press(consent, "allow").wantRedirect(t) // used the rest
	back := b.open(d.link("oidc"))
	wantEqual(t, "error", back.parameter("error"), "server_error")
	wantStatus(t, d.browser().open(d.link("oidc")).want(t, "message").answer, http.StatusInternalServerError)
	wantError(t, d.must(d.deviceRequest("oidc")), http.StatusInternalServerError, "server_error")
}
