package demomarket_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/control"
)

// storeLink is the page of the application in Amazon's store.
func (d *demo) storeLink() string {
	return d.url + "/amazon/apps/store?application_id=" + demomarket.DefaultApplicationID
}

// startInStore authorizes the application in the store, and returns the parameters of its Login URI.
func (b *browser) startInStore() url.Values {
	b.d.t.Helper()
	store := b.logIn(b.open(b.d.storeLink()), demomarket.DefaultUser).want(b.d.t, "store")
	store.wantText(b.d.t, demomarket.DefaultClientID).wantText(b.d.t, b.d.Platform("amazon").Seller().Login)
	login := b.press(store, "allow").wantRedirect(b.d.t)
	wantEqual(b.d.t, "Login URI", login.location.Path, "/sign-in/amazon")
	return login.location.Query()
}

// confirmation is where the application sends the seller back, with changes to the proper parameters. An empty value takes one
// away.
func confirmation(login url.Values, changes map[string]string) string {
	parameters := url.Values{
		"amazon_state": login["amazon_state"], "state": {"the portal's"}, "redirect_uri": {portal + "/callback/amazon"},
	}
	for name, value := range changes {
		parameters.Set(name, value)
		if value == "" {
			parameters.Del(name)
		}
	}
	return login.Get("amazon_callback_uri") + "?" + parameters.Encode()
}

func TestASignInThatBeginsInTheStore(t *testing.T) {
	for name, draft := range map[string]bool{"published": false, "draft": true} {
		t.Run(name, func(t *testing.T) {
			d := serveSites(t)
			market := d.Platform("amazon")
			market.SetDraft(demomarket.DefaultClientID, draft)
			b := d.browser()
			login := b.startInStore()
			version := ""
			if draft {
				version = "beta"
			}
			wantEqual(t, "version", login.Get("version"), version)
			wantEqual(t, "selling_partner_id", login.Get("selling_partner_id"), market.Seller().ID)
			wantEqual(t, "amazon_callback_uri", login.Get("amazon_callback_uri"), d.url+"/amazon/apps/authorize/confirm/amzn1.sellerapps.app.demo")

			back := b.open(confirmation(login, map[string]string{"version": version}))
			back.wantParameters(t, map[string]string{
				"spapi_oauth_code": "*", "state": "the portal's", "selling_partner_id": market.Seller().ID,
			})
			wantStatus(t, d.exchange("amazon", back.code(t)), http.StatusOK)
			report := market.Report()
			wantEqual(t, "starts", report.Starts, demomarket.CodeTally{Issued: 1, Used: 1})
			wantEqual(t, "codes", report.Codes, demomarket.CodeTally{Issued: 1, Used: 1})
			wantEqual(t, "pages of the store", report.Requests[demomarket.StoreEndpoint], 3)
			wantEqual(t, "confirmations", report.Requests[demomarket.ConfirmationEndpoint], 1)
			wantEqual(t, "starts in total", d.Report().Total.Starts.Used, 1)
		})
	}
}

func TestConfirmations(t *testing.T) {
	tests := map[string]struct {
		change map[string]string
		draft  bool
		says   string // on a page; empty where the person is sent back
		fails  string // the error that he is sent back with
	}{
		"without redirect_uri":        {change: map[string]string{"redirect_uri": ""}},
		"another redirect_uri":        {change: map[string]string{"redirect_uri": portal + "/elsewhere"}, says: "MD5101"},
		"without state":               {change: map[string]string{"state": ""}, says: "state is missing"},
		"without amazon_state":        {change: map[string]string{"amazon_state": ""}, says: "not known"},
		"another amazon_state":        {change: map[string]string{"amazon_state": "made up"}, says: "not known"},
		"a draft without version":     {draft: true, says: "MD1000"},
		"version of what is no draft": {change: map[string]string{"version": "beta"}, says: "MD1000"},
		"with response_type":          {change: map[string]string{"response_type": "code"}, fails: "invalid_request"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := serveSites(t)
			market := d.Platform("amazon")
			b := d.browser()
			login := b.startInStore()
			market.SetDraft(demomarket.DefaultClientID, test.draft)
			got := b.open(confirmation(login, test.change))
			if test.says != "" {
				wantStatus(t, got.want(t, "message").wantText(t, test.says).answer, http.StatusBadRequest)
			} else {
				wantEqual(t, "error", got.wantRedirect(t).parameter("error"), test.fails)
			}
			if test.says == "" && test.fails == "" {
				return
			}
			wantEqual(t, "starts", market.Report().Starts, demomarket.CodeTally{Issued: 1})
			market.SetDraft(demomarket.DefaultClientID, false)
			b.open(confirmation(login, nil)).code(t) // a mistake uses nothing up
		})
	}
}

func TestAStartIsForOneBrowserAndOneSession(t *testing.T) {
	d := serveSites(t)
	market := d.Platform("amazon")
	b, another := d.browser(), d.browser()
	link := confirmation(b.startInStore(), nil)

	another.open(link).want(t, "message").wantText(t, "another browser")
	another.signIn(d.link("amazon"), demomarket.DefaultUser)
	another.open(link).want(t, "message").wantText(t, "another browser")
	b.open(link).code(t)
	b.open(link).want(t, "message").wantText(t, "used before")
	wantEqual(t, "starts", market.Report().Starts, demomarket.CodeTally{Issued: 1, Used: 1, Reused: 1})

	again := b.press(b.open(d.storeLink()).want(t, "store"), "allow") // is asked each time
	link = confirmation(again.location.Query(), nil)
	market.LogOut()
	b.open(link).want(t, "message").wantText(t, "no longer logged in")

	slow := d.browser()
	link = confirmation(slow.startInStore(), nil)
	d.clock.step(10 * time.Minute)
	slow.open(link).want(t, "message").wantText(t, "time")
	wantEqual(t, "starts", market.Report().Starts, demomarket.CodeTally{Issued: 3, Used: 1, Reused: 1, Expired: 1})
}

func TestAStartIsForOneApplication(t *testing.T) {
	d := serveSites(t)
	market := d.Platform("amazon")
	market.AddClient("another-client", "another-secret")
	market.AddRedirectURI("another-client", portal+"/another")
	b := d.browser()
	login := b.startInStore()
	foreign := strings.Replace(confirmation(login, map[string]string{"redirect_uri": portal + "/another"}), demomarket.DefaultApplicationID, "another-client", 1)
	b.open(foreign).want(t, "message").wantText(t, "not known")
	unknown := strings.Replace(confirmation(login, nil), demomarket.DefaultApplicationID, "nobody", 1)
	b.open(unknown).want(t, "message").wantText(t, "MD1000")
}

func TestTheStore(t *testing.T) {
	d := serveSites(t, demomarket.Options{Control: control.Pages})
	market := d.Platform("amazon")
	b := d.browser()
	for _, nothing := range []string{"", "?application_id=nobody", "?application_id=a&application_id=b"} {
		b.open(d.url+"/amazon/apps/store"+nothing).want(t, "message")
	}
	wantStatus(t, d.get("/allegro/apps/store"), http.StatusNotFound)

	store := b.logIn(b.open(d.storeLink()), demomarket.OtherUser).want(t, "store")
	login := b.press(store, "switch").want(t, "login")
	store = b.logIn(login, demomarket.DefaultUser).want(t, "store")
	b.press(store, "deny").want(t, "message").wantText(t, "gets no access")
	wantEqual(t, "starts", market.Report().Starts, demomarket.CodeTally{})
	if shown := d.get("/_demo/").raw; !strings.Contains(shown, d.storeLink()) {
		t.Error("the page does not lead to the store")
	}

	market.SetLoginURI(demomarket.DefaultClientID, portal+"/log-in?from=amazon")
	back := b.press(b.open(d.storeLink()), "allow").wantRedirect(t)
	wantEqual(t, "path", back.location.Path, "/log-in")
	wantEqual(t, "parameter", back.parameter("from"), "amazon")
	market.SetLoginURI(demomarket.DefaultClientID, "")
	market.SetLoginURI("nobody", portal)
	wantStatus(t, b.open(d.storeLink()).want(t, "message").answer, http.StatusNotFound)
}

// TestAPersonBeginsInTheStore goes to the portal and back on the way.
func TestAPersonBeginsInTheStore(t *testing.T) {
	d := serveSites(t)
	logIn := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, confirmation(r.URL.Query(), nil), http.StatusFound)
	}))
	t.Cleanup(logIn.Close)
	market := d.Platform("amazon")
	market.SetLoginURI(demomarket.DefaultClientID, logIn.URL+"/sign-in/amazon")

	anna := demomarket.Person{User: demomarket.OtherUser, Password: demomarket.DefaultPassword}
	callback, err := anna.SignIn(t.Context(), d.browser().Client, d.url, d.storeLink())
	must(t, err)
	wantEqual(t, "selling_partner_id", callback.Query().Get("selling_partner_id"), market.OtherSeller().ID)
	callback, err = market.SignIn(t.Context(), d.browser().Client, d.storeLink(), demomarket.Person{})
	must(t, err)
	wantEqual(t, "selling_partner_id", callback.Query().Get("selling_partner_id"), market.Seller().ID)
	wantEqual(t, "path", callback.Path, "/callback/amazon")
}
