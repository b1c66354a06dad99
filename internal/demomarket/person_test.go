package demomarket_test

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

func TestSignIn(t *testing.T) {
	confirm := map[string]string{"prompt": "confirm"}
	tests := map[string]struct {
		change map[string]string
		stale  bool // the browser is logged in as the first seller
		person func(m *demomarket.Market) demomarket.Person
		other  bool // signs in
		denied bool
	}{
		"as the first seller": {},
		"as the other": {
			person: func(m *demomarket.Market) demomarket.Person { return demomarket.Person{SellerID: m.OtherSeller().ID} },
			other:  true,
		},
		"denying": {
			person: func(*demomarket.Market) demomarket.Person { return demomarket.Person{Deny: true} },
			denied: true,
		},
		"as the other, in a stale browser": {
			stale:  true,
			person: func(m *demomarket.Market) demomarket.Person { return demomarket.Person{SellerID: m.OtherSeller().ID} },
		},
		"as the other, in a stale browser, with confirm": {
			change: confirm, stale: true, other: true,
			person: func(m *demomarket.Market) demomarket.Person { return demomarket.Person{SellerID: m.OtherSeller().ID} },
		},
		"carelessly, with confirm": {
			change: confirm, stale: true,
			person: func(m *demomarket.Market) demomarket.Person {
				return demomarket.Person{SellerID: m.OtherSeller().ID, Careless: true}
			},
		},
		"again, with confirm": {change: confirm, stale: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			d := serveSites(t)
			market := d.Platform("allegro")
			client := d.browser().Client
			if test.stale {
				_, err := market.SignIn(t.Context(), client, d.link("allegro"), demomarket.Person{})
				must(t, err)
			}
			person := demomarket.Person{}
			if test.person != nil {
				person = test.person(market)
			}
			state := map[string]string{"state": "a state & more"}
			callback, err := market.SignIn(t.Context(), client, d.link("allegro", test.change, state), person)
			must(t, err)
			wantEqual(t, "callback", callback.Scheme+"://"+callback.Host+callback.Path, portal+"/callback/allegro")
			wantEqual(t, "state", callback.Query().Get("state"), "a state & more")
			if test.denied {
				wantEqual(t, "error", callback.Query().Get("error"), "access_denied")
				return
			}
			want := market.Seller().ID
			if test.other {
				want = market.OtherSeller().ID
			}
			got := claims(t, d.exchange("allegro", callback.Query().Get("code")).text("access_token"))
			wantEqual(t, "user_name", got["user_name"], any(want))
		})
	}
}

func TestSignInAtEveryPlatform(t *testing.T) {
	d := serveSites(t)
	for platform := range sites {
		market := d.Platform(platform)
		callback, err := market.SignIn(t.Context(), http.DefaultClient, d.link(platform), demomarket.Person{SellerID: market.OtherSeller().ID})
		must(t, err)
		wantStatus(t, d.exchange(platform, page{location: callback, answer: answer{status: 303}}.code(t)), http.StatusOK)
	}
}

// TestAPersonElsewhere knows nothing of the market but its address.
func TestAPersonElsewhere(t *testing.T) {
	anna := demomarket.Person{User: demomarket.OtherUser, Password: demomarket.DefaultPassword}
	for platform := range sites {
		t.Run(platform, func(t *testing.T) {
			d := serveSites(t)
			client := d.browser().Client
			callback, err := anna.SignIn(t.Context(), client, d.url+"/", d.link(platform))
			must(t, err)
			wantEqual(t, "callback", callback.Scheme+"://"+callback.Host+callback.Path, portal+"/callback/"+platform)
			wantStatus(t, d.exchange(platform, page{location: callback, answer: answer{status: 303}}.code(t)), http.StatusOK)

			again, err := anna.SignIn(t.Context(), client, d.url, d.link(platform)) // straight back
			must(t, err)
			wantEqual(t, "path", again.Path, "/callback/"+platform)
			no := anna
			no.Deny = true
			denied, err := no.SignIn(t.Context(), d.browser().Client, d.url, d.link(platform))
			must(t, err)
			wantEqual(t, "error", denied.Query().Get("error"), "access_denied")
		})
	}
	d := serveSites(t)
	for name, who := range map[string]demomarket.Person{
		"wrong user name or password": {User: demomarket.OtherUser, Password: "wrong"},
		"no end":                      {User: demomarket.OtherUser, Password: demomarket.DefaultPassword, SellerID: "another"},
	} {
		if _, err := who.SignIn(t.Context(), d.browser().Client, d.url, d.link("oidc")); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("err = %v, want one that says %q", err, name)
		}
	}
}

func TestAPersonDecidesAboutADevice(t *testing.T) {
	d := serveSites(t)
	anna := demomarket.Person{User: demomarket.OtherUser, Password: demomarket.DefaultPassword}
	for _, platform := range []string{"allegro", "oidc"} {
		device := d.device(platform)
		must(t, anna.DecideDevice(t.Context(), http.DefaultClient, device.text("verification_uri_complete")))
		wantStatus(t, d.poll(platform, device.text("device_code")), http.StatusOK)
		if err := anna.DecideDevice(t.Context(), http.DefaultClient, device.text("verification_uri_complete")); err == nil {
			t.Error("a code can be used twice")
		}

		device = d.device(platform)
		no := demomarket.Person{User: anna.User, Password: anna.Password, Deny: true}
		must(t, no.DecideDevice(t.Context(), http.DefaultClient, device.text("verification_uri_complete")))
		wantEqual(t, "error", d.poll(platform, device.text("device_code")).text("error"), "access_denied")
	}
	for what, link := range map[string]string{
		"a page without a code": d.url + "/oidc/device",
		"a sign-in":             d.link("oidc"),
		"not even a link":       "::",
	} {
		if err := anna.DecideDevice(t.Context(), http.DefaultClient, link); err == nil {
			t.Errorf("%s is one for devices", what)
		}
	}
}

// TestSignInByALinkOfThePortal goes through a page of the application first.
func TestSignInByALinkOfThePortal(t *testing.T) {
	d := serveSites(t)
	pages := http.NewServeMux()
	pages.HandleFunc("GET /sign-in/shop/main", func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.RawQuery, "ask") {
			io.WriteString(w, `<header><form method="post" action="/log-out"><button>Log out</button></form></header>
				<main><form class="search" method="get"></form><form action="go" method="post">
				<input name="ticket" type="hidden" value="a &amp; b"><button>Go on</button></form></main>`)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "portal", Value: "1"})
		http.Redirect(w, r, d.link("oidc"), http.StatusFound)
	})
	pages.HandleFunc("POST /sign-in/shop/go", func(w http.ResponseWriter, r *http.Request) {
		wantEqual(t, "ticket", r.PostFormValue("ticket"), "a & b")
		io.WriteString(w, `<meta http-equiv="refresh" content="0; url=`+html.EscapeString(d.link("oidc"))+`"><p>One moment</p>`)
	})
	start := httptest.NewServer(pages)
	t.Cleanup(start.Close)
	jar, err := cookiejar.New(nil)
	must(t, err)
	callback, err := d.Platform("oidc").SignIn(t.Context(), &http.Client{Jar: jar}, start.URL+"/sign-in/shop/main?ticket=t", demomarket.Person{})
	must(t, err)
	wantEqual(t, "path", callback.Path, "/callback/oidc")
	wantEqual(t, "cookies of both", len(jar.Cookies(newRequest(t, http.MethodGet, start.URL+"/sign-in/shop/main", "").URL)), 1)

	anna := demomarket.Person{User: demomarket.OtherUser, Password: demomarket.DefaultPassword}
	callback, err = anna.SignIn(t.Context(), d.browser().Client, d.url, start.URL+"/sign-in/shop/main?ask")
	must(t, err)
	wantEqual(t, "path", callback.Path, "/callback/oidc")
}

func TestSignInsThatFail(t *testing.T) {
	d := serveSites(t)
	market := d.Platform("oidc")
	market.AddUser("second-factor", "a-password", "a-third-seller")
	market.RefuseLogin("second-factor", demomarket.MFARequired)
	tests := map[string]struct {
		link   string
		person demomarket.Person
		want   string
	}{
		"nobody's account":          {link: d.link("oidc"), person: demomarket.Person{SellerID: "nobody"}, want: "no user logs in"},
		"a login that is refused":   {link: d.link("oidc"), person: demomarket.Person{SellerID: "a-third-seller"}, want: "may not log in"},
		"a request that is none":    {link: d.link("oidc", map[string]string{"client_id": "x"}), want: "not registered"},
		"no link":                   {link: "::", want: "reading the link"},
		"nobody at home":            {link: "http://127.0.0.1:1/", want: "opening a page"},
		"a page of somebody else's": {link: d.url + "/oidc/device", want: "not one for signing in"},
		"not found":                 {link: d.url + "/oidc/elsewhere", want: "says 404"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := market.SignIn(t.Context(), d.browser().Client, test.link, test.person)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("err = %v, want one that says %q", err, test.want)
			}
		})
	}
	loop := httptest.NewServer(nil)
	t.Cleanup(loop.Close)
	loop.Config.Handler = http.RedirectHandler("/", http.StatusFound)
	if _, err := market.SignIn(t.Context(), d.browser().Client, loop.URL, demomarket.Person{}); err == nil {
		t.Error("a redirect to itself has an end")
	}
}
