package demomarket_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// devicePaths are those of the device authorization endpoints.
var devicePaths = map[string]string{"allegro": "/allegro/auth/oauth/device", "oidc": "/oidc/device_authorization"}

// device asks for a device code.
func (d *demo) device(platform string) answer {
	d.t.Helper()
	got := d.must(d.deviceRequest(platform))
	wantStatus(d.t, got, http.StatusOK)
	return got
}

func (d *demo) deviceRequest(platform string) *http.Request {
	d.t.Helper()
	form := map[string]string{"client_id": demomarket.DefaultClientID}
	if platform == "oidc" {
		form["scope"] = "openid offline_access"
	}
	r := newRequest(d.t, http.MethodPost, d.url+devicePaths[platform], encodeForm(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(demomarket.DefaultClientID, demomarket.DefaultClientSecret)
	return r
}

// poll asks for the tokens of a device code.
func (d *demo) poll(platform, deviceCode string) answer {
	d.t.Helper()
	return d.must(d.request(platform, map[string]string{
		"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": deviceCode,
	}))
}

func TestDeviceAuthorization(t *testing.T) {
	d := serve(t)
	allegro := d.device("allegro")
	wantEqual(t, "expires_in", allegro.text("expires_in"), "3600")
	wantEqual(t, "interval", allegro.text("interval"), "5")
	if code := allegro.text("user_code"); !regexp.MustCompile(`^[a-z2-9]{9}$`).MatchString(code) {
		t.Errorf("user_code is %q", code)
	}
	page := d.url + "/allegro/skojarz-aplikacje"
	wantEqual(t, "verification_uri", allegro.text("verification_uri"), page)
	wantEqual(t, "the complete one", allegro.text("verification_uri_complete"), page+"?code="+allegro.text("user_code"))

	oidc := d.device("oidc")
	wantEqual(t, "expires_in", oidc.body["expires_in"], any(600.0))
	wantEqual(t, "interval", oidc.body["interval"], any(5.0))
	if code := oidc.text("user_code"); !regexp.MustCompile(`^[B-Z]{4}-[B-Z]{4}$`).MatchString(code) {
		t.Errorf("user_code is %q", code)
	}
	page = d.url + "/oidc/device"
	wantEqual(t, "verification_uri", oidc.text("verification_uri"), page)
	wantEqual(t, "the complete one", oidc.text("verification_uri_complete"), page+"?user_code="+oidc.text("user_code"))
	wantEqual(t, "no-store", oidc.header.Get("Cache-Control"), "no-store")
	wantEqual(t, "device codes", d.Report().Total.DeviceCodes, demomarket.CodeTally{Issued: 2})
	wantEqual(t, "requests", d.Report().Total.Requests[demomarket.DeviceAuthorizationEndpoint], 2)
}

func TestDeviceAuthorizationIsJudgedStrictly(t *testing.T) {
	query := func(r *http.Request) {
		r.URL.RawQuery = "client_id=demo-client"
		r.Header.Del("Content-Type")
		setBody(r, "")
	}
	tests := map[string]struct {
		platform string
		change   func(*http.Request)
		status   int
		code     string
	}{
		"Allegro, in the body":      {platform: "allegro", status: 200},
		"Allegro, in the query":     {platform: "allegro", status: 200, change: query},
		"Allegro, in both":          {platform: "allegro", status: 400, code: "invalid_request", change: func(r *http.Request) { r.URL.RawQuery = "client_id=demo-client" }},
		"Allegro without client_id": {platform: "allegro", status: 400, code: "invalid_request", change: func(r *http.Request) { setBody(r, "") }},
		"Allegro without Basic":     {platform: "allegro", status: 401, code: "Unauthorized", change: func(r *http.Request) { r.Header.Del("Authorization") }},
		"Allegro as JSON": {platform: "allegro", status: 400, code: "invalid_request", change: func(r *http.Request) {
			r.Header.Set("Content-Type", "application/json")
			setBody(r, `{"client_id":"demo-client"}`)
		}},
		"Allegro as GET":       {platform: "allegro", status: 405, code: "invalid_request", change: func(r *http.Request) { r.Method = http.MethodGet }},
		"Allegro, a long body": {platform: "allegro", status: 400, code: "invalid_request", change: func(r *http.Request) { setBody(r, tooLong) }},
		"in the query":         {platform: "oidc", status: 400, code: "invalid_request", change: query},
		"without credentials":  {platform: "oidc", status: 401, code: "invalid_client", change: func(r *http.Request) { r.Header.Del("Authorization") }},
		"credentials in the body": {platform: "oidc", status: 200, change: func(r *http.Request) {
			r.Header.Del("Authorization")
			setBody(r, "client_id=demo-client&client_secret=demo-client-secret")
		}},
		"a public client": {platform: "oidc", status: 200, change: func(r *http.Request) {
			r.Header.Del("Authorization")
			setBody(r, "client_id=public-client")
		}},
		"another's client_id":   {platform: "oidc", status: 400, code: "invalid_request", change: func(r *http.Request) { setBody(r, "client_id=public-client") }},
		"an excessive scope":    {platform: "oidc", status: 400, code: "invalid_scope", change: func(r *http.Request) { setBody(r, "scope=admin") }},
		"without any client_id": {platform: "oidc", status: 200, change: func(r *http.Request) { setBody(r, "") }},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := serve(t)
			d.Platform("oidc").AddClient("public-client", "")
			r := d.deviceRequest(test.platform)
			if test.change != nil {
				test.change(r)
			}
			got := d.must(r)
			wantStatus(t, got, test.status)
			wantEqual(t, "error", got.text("error"), test.code)
		})
	}
}

// TestPolling lets time pass, lets somebody decide, and asks.
func TestPolling(t *testing.T) {
	type moment struct {
		after time.Duration
		say   string // allow or deny
		want  string // the error; empty for tokens
	}
	tests := map[string]struct {
		platform string
		story    []moment
		codes    demomarket.CodeTally
		early    int
	}{
		"allowed in time": {
			platform: "oidc",
			story:    []moment{{want: "authorization_pending"}, {after: 5 * time.Second, want: "authorization_pending"}, {after: 5 * time.Second, say: "allow"}},
			codes:    demomarket.CodeTally{Used: 1},
		},
		"used up": {
			platform: "oidc",
			story:    []moment{{say: "allow"}, {after: 5 * time.Second, want: "invalid_grant"}},
			codes:    demomarket.CodeTally{Used: 1, Reused: 1},
		},
		"used up at Allegro": {
			platform: "allegro",
			story:    []moment{{say: "allow"}, {after: 5 * time.Second, want: "invalid_request"}},
			codes:    demomarket.CodeTally{Used: 1, Reused: 1},
		},
		"denied": {
			platform: "oidc",
			story:    []moment{{say: "deny", want: "access_denied"}, {after: 5 * time.Second, want: "access_denied"}},
		},
		"denied at Allegro": {platform: "allegro", story: []moment{{say: "deny", want: "access_denied"}}},
		"too late": {
			platform: "oidc",
			story:    []moment{{after: 10*time.Minute - 1, want: "authorization_pending"}, {after: 1, want: "expired_token"}},
			codes:    demomarket.CodeTally{Expired: 1},
		},
		"too late at Allegro": {
			platform: "allegro",
			story:    []moment{{after: time.Hour, want: "invalid_request"}},
			codes:    demomarket.CodeTally{Expired: 1},
		},
		"allowed, but asked too late": {
			platform: "oidc",
			story:    []moment{{say: "allow", after: 10 * time.Minute, want: "expired_token"}},
			codes:    demomarket.CodeTally{Expired: 1},
		},
		"too fast, and again": {
			platform: "oidc",
			story: []moment{
				{want: "authorization_pending"},
				{after: 4 * time.Second, want: "slow_down"}, // from now on 10 seconds
				{after: 9 * time.Second, want: "slow_down"},
				{after: 10 * time.Second, want: "authorization_pending"},
				{after: 2 * time.Second, want: "slow_down"}, // 15
				{after: 1 * time.Second, want: "slow_down"}, // 20
				{after: 19 * time.Second, want: "slow_down"},
				{after: 20 * time.Second, want: "authorization_pending"},
				{after: 20 * time.Second, say: "allow"},
			},
			codes: demomarket.CodeTally{Used: 1}, early: 5,
		},
		"too fast also after the decision": {
			platform: "allegro",
			story:    []moment{{want: "authorization_pending"}, {say: "allow", want: "slow_down"}, {after: 10 * time.Second}},
			codes:    demomarket.CodeTally{Used: 1}, early: 1,
		},
		"the network may be uneven": {
			platform: "oidc",
			story:    []moment{{want: "authorization_pending"}, {after: 4950 * time.Millisecond, want: "authorization_pending"}},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := serve(t)
			market := d.Platform(test.platform)
			device := d.device(test.platform)
			for i, now := range test.story {
				if now.say == "allow" {
					must(t, market.ApproveDevice(device.text("user_code"), market.OtherSeller().ID))
				} else if now.say == "deny" {
					must(t, market.DenyDevice(device.text("user_code")))
				}
				d.clock.step(now.after)
				got := d.poll(test.platform, device.text("device_code"))
				if got.text("error") != now.want {
					t.Fatalf("poll %d: error = %q, want %q", i, got.text("error"), now.want)
				}
				if now.want != "" {
					wantStatus(t, got, http.StatusBadRequest)
				}
			}
			report := market.Report()
			test.codes.Issued = 1
			wantEqual(t, "codes", report.DeviceCodes, test.codes)
			wantEqual(t, "polls", report.DevicePolls, len(test.story))
			wantEqual(t, "early polls", report.EarlyPolls, test.early)
			wantEqual(t, "slow_down", report.Count(demomarket.GrantDeviceCode, demomarket.SlowDown), test.early)
		})
	}
}

func TestTokensOfADevice(t *testing.T) {
	d := serve(t)
	for platform, claim := range map[string]string{"allegro": "user_name", "oidc": "sub"} {
		market := d.Platform(platform)
		device := d.device(platform)
		must(t, market.ApproveDevice(device.text("user_code"), market.OtherSeller().ID))
		got := d.poll(platform, device.text("device_code"))
		wantStatus(t, got, http.StatusOK)
		wantEqual(t, claim, claims(t, got.text("access_token"))[claim], any(market.OtherSeller().ID))
		wantStatus(t, d.refresh(platform, got.text("refresh_token")), http.StatusOK)
		if platform == "oidc" {
			wantEqual(t, "sub", claims(t, got.text("id_token"))["sub"], any(market.OtherSeller().ID))
		}
	}
}

func TestDeviceCodesThatAreNone(t *testing.T) {
	d := serve(t)
	wantError(t, d.poll("oidc", ""), http.StatusBadRequest, "invalid_request")
	wantError(t, d.poll("oidc", "made-up"), http.StatusBadRequest, "invalid_grant")
	allegro := d.poll("allegro", "made-up")
	wantError(t, allegro, http.StatusBadRequest, "invalid_request")
	wantEqual(t, "Allegro's words", allegro.text("error_description"), "Invalid device code")
	wantError(t, d.poll("ebay", "made-up"), http.StatusBadRequest, "unsupported_grant_type")

	device := d.device("oidc")
	d.Platform("oidc").AddClient("another-client", "another-secret")
	foreign := d.request("oidc", map[string]string{
		"grant_type": demomarket.GrantDeviceCode, "device_code": device.text("device_code"),
	})
	foreign.SetBasicAuth("another-client", "another-secret")
	wantError(t, d.must(foreign), http.StatusBadRequest, "invalid_grant")
	wantEqual(t, "polls", d.Report().Total.DevicePolls, 0)
}

func TestDecidingForOthers(t *testing.T) {
	d := serve(t)
	market := d.Platform("oidc")
	if market.ApproveDevice("BCDF-GHJK", "1") == nil || market.DenyDevice("") == nil {
		t.Error("an unknown user code can be decided about")
	}
	typed := func(device answer) string {
		return strings.ToLower(strings.ReplaceAll(device.text("user_code"), "-", " "))
	}
	device := d.device("oidc")
	must(t, market.ApproveDevice(typed(device), "a-third-seller"))
	if market.DenyDevice(device.text("user_code")) == nil {
		t.Error("a decision can be changed")
	}
	got := d.poll("oidc", device.text("device_code"))
	wantEqual(t, "sub", claims(t, got.text("access_token"))["sub"], any("a-third-seller"))
	late := d.device("oidc")
	d.clock.step(10 * time.Minute)
	if market.ApproveDevice(late.text("user_code"), "1") == nil {
		t.Error("a user code outlives its device code")
	}
}

func TestThePageForDevices(t *testing.T) {
	tests := map[string]struct {
		platform string
		complete bool
		press    string
		says     string
		want     string // of the poll
	}{
		"Allegro, by the link, allowed": {"allegro", true, "allow", "Access is allowed", ""},
		"Allegro, typed, denied":        {"allegro", false, "deny", "Access is denied", "access_denied"},
		"by the link, denied":           {"oidc", true, "deny", "Access is denied", "access_denied"},
		"typed, allowed":                {"oidc", false, "allow", "Access is allowed", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := serveSites(t)
			device, b := d.device(test.platform), d.browser()
			link := device.text("verification_uri_complete")
			if !test.complete {
				enter := b.open(device.text("verification_uri")).want(t, "code")
				field := enter.find(`<input id="code" name="([^"]*)"`)
				link = d.url + enter.find(`action="([^"]*)"`) + "?" + field + "=" + escape(strings.ToLower(" "+device.text("user_code")))
			}
			consent := b.logIn(b.open(link), demomarket.OtherUser).want(t, "consent")
			consent.wantText(t, demomarket.DefaultClientID).wantText(t, device.text("user_code"))
			consent.wantText(t, d.Platform(test.platform).OtherSeller().Login)
			b.press(consent, test.press).want(t, "message").wantText(t, test.says)
			got := d.poll(test.platform, device.text("device_code"))
			wantEqual(t, "error", got.text("error"), test.want)

			b.open(link).want(t, "code").wantText(t, "not known") // once is enough
			wantEqual(t, "pages", d.Report().Total.Requests[demomarket.DeviceEndpoint] >= 3, true)
		})
	}
}

func TestAStaleBrowserIsAskedAboutADevice(t *testing.T) {
	d := serveSites(t)
	b := d.browser()
	b.signIn(d.link("allegro"), demomarket.DefaultUser)
	b.open(d.link("allegro")).wantRedirect(t)
	device := d.device("allegro")
	consent := b.open(device.text("verification_uri_complete")).want(t, "consent")
	login := b.press(consent, "switch").want(t, "login")
	consent = b.logIn(login, demomarket.OtherUser).want(t, "consent")
	b.press(consent, "allow").want(t, "message")
	got := claims(t, d.poll("allegro", device.text("device_code")).text("access_token"))
	wantEqual(t, "user_name", got["user_name"], any(d.Platform("allegro").OtherSeller().ID))
}

func TestACodeThatEndsOnThePage(t *testing.T) {
	d := serveSites(t)
	for _, press := range []string{"allow", "deny"} {
		device, b := d.device("oidc"), d.browser()
		d.clock.step(5 * time.Minute)
		consent := b.logIn(b.open(device.text("verification_uri_complete")), demomarket.DefaultUser).want(t, "consent")
		d.clock.step(5 * time.Minute)
		b.press(consent, press).want(t, "message").wantText(t, "no longer valid")
		b.open(device.text("verification_uri_complete")).want(t, "code")
	}
}

func TestTheIntervalIsTheCallers(t *testing.T) {
	slow := demomarket.OIDC()
	slow.Device.Interval = 7 * time.Second
	d := serve(t, slow)
	device := d.device("oidc")
	wantEqual(t, "interval", device.body["interval"], any(7.0))
	d.poll("oidc", device.text("device_code"))
	d.clock.step(6 * time.Second)
	wantEqual(t, "error", d.poll("oidc", device.text("device_code")).text("error"), "slow_down")
}

// must fails the test when there is an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
