package demomarket_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/control"
)

// press sends a POST to the control pages.
func (d *demo) press(path string, header ...string) answer {
	d.t.Helper()
	r := newRequest(d.t, http.MethodPost, d.url+"/_demo/"+path, "")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return d.must(r)
}

func TestControl(t *testing.T) {
	tests := map[string]struct {
		press  string
		status int // of pressing
		then   int // of what is asked of the platform next
	}{
		"revoke grants":             {press: "ebay/revoke-grants", status: 200, then: 400},
		"down":                      {press: "ebay/down", status: 200, then: 503},
		"down for a while":          {press: "ebay/down?for=30s", status: 200, then: 503},
		"up":                        {press: "ebay/up", status: 200, then: 200},
		"slow":                      {press: "ebay/slow?latency=1ns", status: 200, then: 200},
		"a new client secret":       {press: "ebay/set-client-secret?value=other", status: 200, then: 401},
		"a new password":            {press: "xsale/set-password?value=other", status: 200, then: 403},
		"lock":                      {press: "xsale/lock", status: 200, then: 429},
		"no new password":           {press: "xsale/set-password", status: 400, then: 200},
		"no new client secret":      {press: "ebay/set-client-secret", status: 400, then: 200},
		"no such duration":          {press: "ebay/down?for=long", status: 400, then: 200},
		"a negative duration":       {press: "ebay/slow?latency=-1s", status: 400, then: 200},
		"no such action":            {press: "ebay/explode", status: 404, then: 200},
		"no such platform":          {press: "etsy/down", status: 404, then: 200},
		"another redirect_uri":      {press: "ebay/add-redirect-uri?value=http://portal.example.com&name=Ru", status: 200, then: 200},
		"no redirect_uri":           {press: "ebay/add-redirect-uri", status: 400, then: 200},
		"everybody logged out":      {press: "ebay/log-out", status: 200, then: 200},
		"no device to approve":      {press: "oidc/approve-device?user_code=x", status: 400, then: 200},
		"no device to deny":         {press: "oidc/deny-device", status: 400, then: 200},
		"a new grant harms nothing": {press: "ebay/grant", status: 200, then: 200},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := serveWith(t, demomarket.Options{Control: control.Pages})
			d.SeedDemo()
			wantStatus(t, d.press(test.press), test.status)
			if strings.HasPrefix(test.press, "xsale") {
				wantStatus(t, d.login(demomarket.DefaultPassword), test.then)
				return
			}
			wantStatus(t, d.refresh("ebay", demomarket.DemoRefreshToken("ebay")), test.then)
		})
	}
}

func TestControlGrantsAnew(t *testing.T) {
	d := serveWith(t, demomarket.Options{Control: control.Pages})
	d.SeedDemo()
	d.press("allegro/revoke-grants")
	words := strings.Fields(d.press("allegro/grant").raw)
	wantStatus(t, d.refresh("allegro", words[len(words)-1]), http.StatusOK)
}

func TestControlPrintsTheTokenAlone(t *testing.T) {
	d := serveWith(t, demomarket.Options{Control: control.Pages})
	d.SeedDemo()
	d.press("allegro/revoke-grants")
	got := d.press("allegro/grant", "Accept", "text/plain")
	wantStatus(t, got, http.StatusOK)
	token := strings.TrimSuffix(got.raw, "\n")
	if strings.ContainsAny(token, " \n") {
		t.Fatalf("more than a token is printed: %q", got.raw)
	}
	wantStatus(t, d.refresh("allegro", token), http.StatusOK)
}

func TestControlSignsIn(t *testing.T) {
	d := serveSites(t, demomarket.Options{Control: control.Pages})
	device := d.device("allegro")
	wantStatus(t, d.press("allegro/approve-device?seller=71203344&user_code="+device.text("user_code")), http.StatusOK)
	wantStatus(t, d.poll("allegro", device.text("device_code")), http.StatusOK)
	device = d.device("oidc")
	wantStatus(t, d.press("oidc/deny-device?user_code="+device.text("user_code")), http.StatusOK)
	wantError(t, d.poll("oidc", device.text("device_code")), http.StatusBadRequest, "access_denied")

	d.press("oidc/add-redirect-uri?value=" + escape(portal+"/elsewhere"))
	b := d.browser()
	b.signIn(d.link("oidc", map[string]string{"redirect_uri": portal + "/elsewhere"}), demomarket.DefaultUser)
	d.press("oidc/log-out")
	b.open(d.link("oidc")).want(t, "login")

	shown := d.get("/_demo/").raw
	for _, part := range []string{
		demomarket.OtherUser, "71203344", portal + "/elsewhere", demomarket.DemoRuName, d.url + "/allegro/skojarz-aplikacje",
		d.url + "/amazon/apps/authorize/consent", "Log out every browser",
	} {
		if !strings.Contains(shown, part) {
			t.Errorf("the page lacks %s", part)
		}
	}
}

func TestControlPages(t *testing.T) {
	d := serveWith(t, demomarket.Options{Control: control.Pages})
	d.SeedDemo()
	for _, name := range []string{"allegro", "ebay", "amazon", "oidc"} {
		wantStatus(t, d.refresh(name, "demo-refresh-token-"+name), http.StatusOK)
	}
	page := d.get("/_demo/")
	wantStatus(t, page, http.StatusOK)
	for _, part := range []string{"<h2>oidc</h2>", d.url + "/ebay/identity/v1/oauth2/token", "/_demo/xsale/lock", "44130512"} {
		if !strings.Contains(page.raw, part) {
			t.Errorf("the page lacks %s", part)
		}
	}
	var report demomarket.Report
	if err := json.Unmarshal([]byte(d.get("/_demo/report").raw), &report); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "token requests", report.Total.Count("", demomarket.OK), 4)

	browser := d.press("ebay/down", "Accept", "text/html,*/*")
	wantStatus(t, browser, http.StatusSeeOther)
	wantEqual(t, "Location", browser.header.Get("Location"), "/_demo/")
	wantStatus(t, d.press("ebay/down", "Sec-Fetch-Site", "cross-site"), http.StatusForbidden)
	wantStatus(t, d.get("/_demo/ebay/down"), http.StatusMethodNotAllowed)
}

func TestControlIsOffUnlessAskedFor(t *testing.T) {
	d := serve(t)
	wantStatus(t, d.get("/_demo/"), http.StatusNotFound)
	wantStatus(t, d.press("ebay/down"), http.StatusNotFound)
	wantStatus(t, d.get("/unknown/token"), http.StatusNotFound)
	wantStatus(t, d.get("/ebay/unknown"), http.StatusNotFound)
}
