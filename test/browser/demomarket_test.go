package browser_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/test/browser"
)

const (
	user     = demomarket.DefaultUser
	other    = demomarket.OtherUser
	password = demomarket.DefaultPassword
)

func TestSigningIn(t *testing.T) {
	for _, platform := range []string{"allegro", "ebay", "amazon", "oidc"} {
		t.Run(platform, func(t *testing.T) {
			w := newWorld(t)
			anna := chromium.Window(t)
			w.start(anna, platform, "")
			anna.Screenshot("login")
			anna.LogIn(user, password)
			anna.WantText(demomarket.DefaultClientID)
			anna.WantText(w.Platform(platform).Seller().Login)
			anna.Screenshot("consent")
			anna.Allow()
			w.wantCallback(anna)
		})
	}
}

// TestAStaleBrowser signs in, and starts again in the same window.
func TestAStaleBrowser(t *testing.T) {
	tests := map[string]struct {
		platform string
		prompt   string
		then     func(anna *browser.Window) // until she is back at the application
	}{
		"Allegro":                     {platform: "allegro"},
		"eBay":                        {platform: "ebay"},
		"Amazon":                      {platform: "amazon"},
		"OpenID Connect":              {platform: "oidc"},
		"OpenID Connect, prompt none": {platform: "oidc", prompt: "none"},
		"Allegro with confirm":        {platform: "allegro", prompt: "confirm", then: (*browser.Window).Continue},
		"select_account":              {platform: "oidc", prompt: "select_account", then: (*browser.Window).Continue},
		"consent":                     {platform: "oidc", prompt: "consent", then: (*browser.Window).Allow},
		"eBay with login": {platform: "ebay", prompt: "login", then: func(anna *browser.Window) {
			anna.LogIn(user, password)
			anna.Allow()
		}},
		"OpenID Connect with login": {platform: "oidc", prompt: "login", then: func(anna *browser.Window) {
			anna.LogIn(other, password)
			anna.Allow()
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			anna := chromium.Window(t)
			w.start(anna, test.platform, "")
			anna.LogIn(user, password)
			anna.Allow()
			w.wantCallback(anna)
			w.start(anna, test.platform, test.prompt)
			if test.then != nil {
				test.then(anna)
			}
			w.wantCallback(anna)
		})
	}
}

// TestTheWrongAccount is how one is bound in practice, and how prompt=confirm helps.
func TestTheWrongAccount(t *testing.T) {
	w := newWorld(t)
	market := w.Platform("allegro")
	anna := chromium.Window(t)
	w.start(anna, "allegro", "")
	anna.LogIn(other, password)
	anna.Allow()
	w.wantAccount(anna, market.OtherSeller())

	w.start(anna, "allegro", "")
	w.wantAccount(anna, market.OtherSeller())

	w.start(anna, "allegro", "confirm")
	anna.WantText(market.OtherSeller().Login)
	anna.Screenshot("account")
	anna.SwitchAccount()
	anna.LogIn(user, password)
	anna.WantText(market.Seller().Login)
	anna.Allow()
	w.wantAccount(anna, market.Seller())
}

func TestTwoPeopleAtOnce(t *testing.T) {
	w := newWorld(t)
	market := w.Platform("allegro")
	anna, ben := chromium.Window(t), chromium.Window(t)
	w.start(anna, "allegro", "")
	w.start(ben, "allegro", "")
	anna.LogIn(user, password)
	ben.LogIn(other, password)
	anna.Allow()
	ben.Allow()
	w.wantAccount(anna, market.Seller())
	w.wantAccount(ben, market.OtherSeller())
}

func TestASecondTab(t *testing.T) {
	w := newWorld(t)
	first := chromium.Window(t)
	w.start(first, "allegro", "")
	first.LogIn(user, password)
	second := first.Tab()
	w.start(second, "allegro", "")
	second.Allow() // without logging in
	first.Allow()
	w.wantAccount(second, w.Platform("allegro").Seller())
	w.wantAccount(first, w.Platform("allegro").Seller())
}

func TestBeginningInTheStore(t *testing.T) {
	w := newWorld(t)
	store := w.url + "/amazon/apps/store?application_id=" + demomarket.DefaultApplicationID
	anna := chromium.Window(t)
	anna.Open(store)
	anna.LogIn(user, password)
	anna.Screenshot("store")
	anna.Authorize()
	w.wantCallback(anna)

	anna.Open(store)
	anna.SwitchAccount()
	anna.LogIn(other, password)
	anna.Authorize()
	w.wantCallback(anna)
	if got := anna.URL().Query().Get("selling_partner_id"); got != w.Platform("amazon").OtherSeller().ID {
		t.Errorf("selling_partner_id = %q", got)
	}
}

func TestDenying(t *testing.T) {
	for _, platform := range []string{"allegro", "ebay", "amazon", "oidc"} {
		t.Run(platform, func(t *testing.T) {
			w := newWorld(t)
			anna := chromium.Window(t)
			w.start(anna, platform, "")
			anna.LogIn(user, password)
			anna.Deny()
			anna.WantPage("callback")
			if got := anna.URL().Query().Get("error"); got != "access_denied" {
				t.Errorf("the callback is %s", anna.URL())
			}
		})
	}
}

func TestAWrongPassword(t *testing.T) {
	w := newWorld(t)
	anna := chromium.Window(t)
	w.start(anna, "oidc", "")
	anna.LogIn(user, "a wrong one")
	anna.WantPage("login")
	anna.WantText("wrong user name or password")
	if anna.Status() != http.StatusForbidden {
		t.Errorf("the status is %d", anna.Status())
	}
	anna.Screenshot("refused")
	anna.LogIn(user, password)
	anna.Allow()
	w.wantCallback(anna)
}

func TestAMistakeOfTheApplication(t *testing.T) {
	w := newWorld(t)
	anna := chromium.Window(t)
	anna.Open(strings.Replace(w.link("amazon", ""), "callback", "elsewhere", 1))
	anna.WantPage("message")
	anna.WantText("MD5101")
	anna.Screenshot("mistake")
}

func TestADevice(t *testing.T) {
	tests := map[string]struct {
		complete bool
		decide   func(anna *browser.Window)
		says     string
		fails    string // the poll
	}{
		"typed, allowed":       {decide: (*browser.Window).Allow, says: "Access is allowed"},
		"typed, denied":        {decide: (*browser.Window).Deny, says: "Access is denied", fails: "access_denied"},
		"by the link, allowed": {complete: true, decide: (*browser.Window).Allow, says: "Access is allowed"},
		"by the link, denied":  {complete: true, decide: (*browser.Window).Deny, says: "Access is denied", fails: "access_denied"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			device, anna := w.device(), chromium.Window(t)
			if test.complete {
				anna.Open(device.PageAndCode)
			} else {
				anna.Open(device.Page)
				anna.Screenshot("code")
				anna.EnterCode(device.UserCode[:3] + " " + device.UserCode[3:6] + " " + device.UserCode[6:])
			}
			anna.LogIn(other, password)
			anna.WantText(device.UserCode)
			anna.Screenshot("consent")
			test.decide(anna)
			anna.WantPage("message")
			anna.WantText(test.says)
			anna.Screenshot("done")
			got := w.poll(device)
			if got.Error != test.fails {
				t.Errorf("the error is %q, want %q", got.Error, test.fails)
			}
			if test.fails == "" && got.account(t) != w.Platform("allegro").OtherSeller().ID {
				t.Errorf("the tokens are for %s", got.account(t))
			}
		})
	}
}

func TestAMistypedCode(t *testing.T) {
	w := newWorld(t)
	device, anna := w.device(), chromium.Window(t)
	anna.Open(device.Page)
	anna.EnterCode("abc def ghi")
	anna.WantPage("code")
	anna.WantText("not known")
	anna.Screenshot("unknown")
	anna.EnterCode(device.UserCode)
	anna.WantPage("login")
}

func TestTheControlPage(t *testing.T) {
	w := newWorld(t)
	anna := chromium.Window(t)
	w.start(anna, "allegro", "")
	anna.LogIn(user, password)
	anna.Open(w.url + "/_demo/")
	anna.Screenshot("page")
	anna.Press("Log out every browser") // the first, which is Allegro's
	anna.WantText("Demo marketplace")
	w.start(anna, "allegro", "")
	anna.WantPage("login")
}
