package demomarket_test

import (
	"html"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// portal is the application's address. Nobody listens there: browsers are not let go that far.
const portal = "http://portal.example.com"

// sites are the platforms where people sign in, with a proper authorization request each.
var sites = map[string]struct {
	path    string
	request map[string]string
}{
	"allegro": {path: "/allegro/auth/oauth/authorize", request: map[string]string{
		"response_type": "code", "client_id": "demo-client", "redirect_uri": portal + "/callback/allegro",
	}},
	"ebay": {path: "/ebay/oauth2/authorize", request: map[string]string{
		"response_type": "code", "client_id": "demo-client", "redirect_uri": demomarket.DemoRuName,
	}},
	"amazon": {path: "/amazon/apps/authorize/consent", request: map[string]string{
		"application_id": "amzn1.sellerapps.app.demo", "redirect_uri": portal + "/callback/amazon",
	}},
	"oidc": {path: "/oidc/authorize", request: map[string]string{
		"response_type": "code", "client_id": "demo-client", "redirect_uri": portal + "/callback/oidc",
		"scope": "openid offline_access",
	}},
}

// serveSites starts a demo marketplace that sends people back to the portal.
func serveSites(t *testing.T, options ...demomarket.Options) *demo {
	t.Helper()
	d := serveWith(t, append(options, demomarket.Options{})[0])
	d.SeedPortal(portal)
	return d
}

// link is an authorization request, with changes to the proper one. An empty value takes a parameter away.
func (d *demo) link(platform string, changes ...map[string]string) string {
	parameters := maps.Clone(sites[platform].request)
	for _, change := range changes {
		maps.Copy(parameters, change)
	}
	maps.DeleteFunc(parameters, func(_, value string) bool { return value == "" })
	return d.url + sites[platform].path + "?" + encodeForm(parameters)
}

// browser is a browser with a person before it, who does what the test says.
type browser struct {
	*http.Client
	d *demo
}

// browser is one that nobody used before.
func (d *demo) browser() *browser {
	d.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		d.t.Fatal(err)
	}
	return &browser{d: d, Client: &http.Client{
		Jar:           jar,
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// page is what the browser shows, or where it is sent.
type page struct {
	answer
	name     string // login, account, consent, code or message; empty when it is none of the platform's
	address  string
	location *url.URL
}

// open goes to an address.
func (b *browser) open(address string) page {
	b.d.t.Helper()
	return b.send(newRequest(b.d.t, http.MethodGet, address, ""))
}

// press fills in a page's form and presses a button.
func (b *browser) press(p page, action string, fields ...string) page {
	b.d.t.Helper()
	return b.send(b.form(p, action, fields...))
}

// form is what pressing a button sends.
func (b *browser) form(p page, action string, fields ...string) *http.Request {
	b.d.t.Helper()
	form := map[string]string{"action": action, "visit": p.field("visit"), "account": p.field("account")}
	for i := 0; i+1 < len(fields); i += 2 {
		form[fields[i]] = fields[i+1]
	}
	target := p.find(`<form method="post" action="([^"]*)"`)
	if target == "" {
		b.d.t.Fatalf("the page %q has no form: %s", p.name, p.raw)
	}
	r := newRequest(b.d.t, http.MethodPost, b.d.url+target, encodeForm(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// logIn fills in the login page.
func (b *browser) logIn(p page, user string) page {
	b.d.t.Helper()
	p.want(b.d.t, "login")
	return b.press(p, "login", "username", user, "password", demomarket.DefaultPassword)
}

// signIn does what a person does in a browser that nobody used before.
func (b *browser) signIn(link, user string) page {
	b.d.t.Helper()
	return b.press(b.logIn(b.open(link), user), "allow").wantRedirect(b.d.t)
}

// send sends a request and reads what comes back.
func (b *browser) send(r *http.Request) page {
	b.d.t.Helper()
	response, err := b.Do(r)
	if err != nil {
		b.d.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		b.d.t.Fatal(err)
	}
	got := page{
		answer:  answer{status: response.StatusCode, header: response.Header, raw: string(body)},
		address: r.URL.String(),
	}
	got.name = got.find(`<body data-page="([a-z]+)"`)
	if response.StatusCode/100 == 3 {
		if got.location, err = response.Location(); err != nil {
			b.d.t.Fatal(err)
		}
	}
	if cached := response.Header.Get("Cache-Control"); cached != "no-store" {
		b.d.t.Errorf("%s %s may be kept: Cache-Control is %q", r.Method, r.URL, cached)
	}
	return got
}

// find is the first group of a pattern in the page, unescaped.
func (p page) find(pattern string) string {
	found := regexp.MustCompile(pattern).FindStringSubmatch(p.raw)
	if found == nil {
		return ""
	}
	return html.UnescapeString(found[1])
}

// field is the value of a field.
func (p page) field(name string) string {
	return p.find(`name="` + name + `"(?: type="[a-z]*")? value="([^"]*)"`)
}

// parameter is one of the callback's.
func (p page) parameter(name string) string { return p.location.Query().Get(name) }

// want fails the test when another page is shown.
func (p page) want(t *testing.T, name string) page {
	t.Helper()
	if p.name != name {
		t.Fatalf("page = %q (%d, to %v), want %q; it is %s", p.name, p.status, p.location, name, p.raw)
	}
	return p
}

// wantText fails the test when the page lacks a text.
func (p page) wantText(t *testing.T, text string) page {
	t.Helper()
	if !strings.Contains(p.raw, text) {
		t.Errorf("the page lacks %q; it is %s", text, p.raw)
	}
	return p
}

// wantRedirect fails the test when the browser is not sent back to the portal.
func (p page) wantRedirect(t *testing.T) page {
	t.Helper()
	if p.status != http.StatusSeeOther || p.location.Host != "portal.example.com" {
		t.Fatalf("page = %q (%d, to %v), want a redirect to the portal; it is %s", p.name, p.status, p.location, p.raw)
	}
	return p
}

// wantParameters fails the test when the callback has other parameters. An asterisk stands for any value.
func (p page) wantParameters(t *testing.T, want map[string]string) {
	t.Helper()
	p.wantRedirect(t)
	got := p.location.Query()
	for name, value := range want {
		if given := got[name]; len(given) != 1 || (value != "*" && given[0] != value) {
			t.Errorf("callback's %s = %q, want %q", name, given, value)
		}
	}
	for name := range got {
		if _, wanted := want[name]; !wanted {
			t.Errorf("callback has %s = %q", name, got[name])
		}
	}
}

// code is the code that the browser was sent back with.
func (p page) code(t *testing.T) string {
	t.Helper()
	p.wantRedirect(t)
	for _, name := range []string{"code", "spapi_oauth_code"} {
		if code := p.parameter(name); code != "" {
			return code
		}
	}
	t.Fatalf("no code in %s", p.location)
	return ""
}

// exchange turns a code into tokens, with changes to the proper request.
func (d *demo) exchange(platform, code string, changes ...map[string]string) answer {
	d.t.Helper()
	return d.must(d.exchangeRequest(platform, code, changes...))
}

func (d *demo) exchangeRequest(platform, code string, changes ...map[string]string) *http.Request {
	d.t.Helper()
	parameters := map[string]string{
		"grant_type": "authorization_code", "code": code, "redirect_uri": sites[platform].request["redirect_uri"],
	}
	for _, change := range changes {
		maps.Copy(parameters, change)
	}
	maps.DeleteFunc(parameters, func(_, value string) bool { return value == "" })
	return d.request(platform, parameters)
}
