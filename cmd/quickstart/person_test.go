package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// places are a demo marketplace, and a portal whose application may use it.
type places struct {
	t              *testing.T
	market, portal string
	refuses        bool         // the portal, every person that comes back
	callbacks      []url.Values // that came back to the browser that they left from
}

func newPlaces(t *testing.T) *places {
	t.Helper()
	p := &places{t: t}
	server := demomarket.New(demomarket.Options{Key: demomarket.SharedKey()})
	p.market = serve(t, server)
	p.portal = strings.Replace(serve(t, p.pages()), "127.0.0.1", "localhost", 1)
	server.SeedPortal(p.portal)
	return p
}

func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// pages are like the portal's: a form with the ticket, a page that leads to the marketplace, and a callback that sends the
// browser on to the result. The cookies are the ones that a browser keeps for https alone, and for loopback.
func (p *places) pages() http.Handler {
	cookie := func(name string) *http.Cookie {
		return &http.Cookie{Name: name, Value: "1", Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode}
	}
	pages := http.NewServeMux()
	pages.HandleFunc("GET /sign-in/shop/a", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("ticket") != "t" {
			w.WriteHeader(http.StatusNotFound)
			io.WriteString(w, "<p>This link does not work</p>")
			return
		}
		io.WriteString(w, `<main><form method="post" action="/sign-in/shop/a"><input type="hidden" name="ticket" value="t"><button>Go on</button></form></main>`)
	})
	pages.HandleFunc("POST /sign-in/shop/a", func(w http.ResponseWriter, r *http.Request) {
		if r.PostFormValue("ticket") != "t" {
			p.t.Error("the ticket is not sent")
		}
		http.SetCookie(w, cookie("__Host-visit"))
		link := p.market + "/ebay/oauth2/authorize?" + url.Values{
			"response_type": {"code"}, "client_id": {demomarket.DefaultClientID}, "redirect_uri": {demomarket.DemoRuName}, "state": {"s"},
		}.Encode()
		fmt.Fprintf(w, `<meta http-equiv="refresh" content="0; url=%s"><p>On we go</p>`, html.EscapeString(link))
	})
	pages.HandleFunc("GET /callback/ebay", func(w http.ResponseWriter, r *http.Request) {
		if _, err := r.Cookie("__Host-visit"); err == nil {
			p.callbacks = append(p.callbacks, r.URL.Query())
		}
		http.SetCookie(w, cookie("__Host-result"))
		http.Redirect(w, r, "/done", http.StatusSeeOther)
	})
	pages.HandleFunc("GET /done", func(w http.ResponseWriter, r *http.Request) {
		if _, err := r.Cookie("__Host-result"); err != nil || p.refuses {
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, "<title>Another seller &amp; nobody else</title>")
		}
	})
	return pages
}

func TestAPersonGoesThroughThePortal(t *testing.T) {
	p := newPlaces(t)
	invited := invitation{url: p.portal + "/sign-in/shop/a?ticket=t", user: demomarket.OtherUser}
	if err := invited.accept(t.Context(), p.market); err != nil {
		t.Fatal(err)
	}
	if len(p.callbacks) != 1 || p.callbacks[0].Get("code") == "" || p.callbacks[0].Get("state") != "s" {
		t.Errorf("the callbacks are %v", p.callbacks)
	}
}

func TestAPersonFollowsTheLinkOfACode(t *testing.T) {
	p := newPlaces(t)
	device := p.post("/allegro/auth/oauth/device", url.Values{"client_id": {demomarket.DefaultClientID}})
	invited := invitation{url: device["verification_uri_complete"], code: device["user_code"], user: demomarket.OtherUser}
	if err := invited.accept(t.Context(), p.market); err != nil {
		t.Fatal(err)
	}
	tokens := p.post("/allegro/auth/oauth/token", url.Values{
		"grant_type": {demomarket.GrantDeviceCode}, "device_code": {device["device_code"]},
	})
	if tokens["access_token"] == "" {
		t.Errorf("the answer is %v", tokens)
	}
}

// post sends a form as the application, and returns the text of the answer.
func (p *places) post(path string, form url.Values) map[string]string {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodPost, p.market+path, strings.NewReader(form.Encode()))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(demomarket.DefaultClientID, demomarket.DefaultClientSecret)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	var answer map[string]any
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		p.t.Fatal(err)
	}
	texts := map[string]string{}
	for name, value := range answer {
		texts[name], _ = value.(string)
	}
	return texts
}

func TestAPersonSaysWhereTheWayEnds(t *testing.T) {
	tests := map[string]struct {
		link, code, user string
		refuses          bool
		want             string
	}{
		"a link that does not work":   {link: "{portal}/sign-in/shop/a?ticket=x", want: "says 404: This link does not work"},
		"a user whom nobody knows":    {link: "{portal}/sign-in/shop/a?ticket=t", user: "nobody", want: "says 403: Login refused"},
		"a result that is none":       {link: "{portal}/sign-in/shop/a?ticket=t", refuses: true, want: "says 403 Forbidden: Another seller & nobody else"},
		"nobody at home":              {link: "http://127.0.0.1:1/", want: "connection refused"},
		"no link":                     {link: "::", want: "reading the link"},
		"a code that is not known":    {link: "{market}/allegro/skojarz-aplikacje?code=no", code: "no", want: "This code is not known"},
		"a code, but no page for one": {link: "{portal}/done", code: "abc", want: "/done"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := newPlaces(t)
			p.refuses = test.refuses
			link := strings.NewReplacer("{portal}", p.portal, "{market}", p.market).Replace(test.link)
			invited := invitation{url: link, code: test.code, user: cmp.Or(test.user, demomarket.OtherUser)}
			if err := invited.accept(t.Context(), p.market); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("err = %v, want one that says %q", err, test.want)
			}
		})
	}
}

// Secure cookies go where they are safe: to https, and to this machine.
func TestSecureCookiesOfLoopback(t *testing.T) {
	tests := map[string]struct {
		address string
		want    int
	}{
		"localhost":      {"http://localhost:2/", 1},
		"127.0.0.1":      {"http://127.0.0.1:2/", 1},
		"IPv6":           {"http://[::1]:2/", 1},
		"https":          {"https://example.com/", 1},
		"somewhere else": {"http://example.com/", 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			browser, err := newBrowser()
			if err != nil {
				t.Fatal(err)
			}
			address, err := url.Parse(test.address)
			if err != nil {
				t.Fatal(err)
			}
			browser.Jar.SetCookies(address, []*http.Cookie{{Name: "__Host-a", Value: "b", Path: "/", Secure: true}})
			if got := len(browser.Jar.Cookies(address)); got != test.want {
				t.Errorf("there are %d cookies, want %d", got, test.want)
			}
		})
	}
}
