package browser_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/control"
	"github.com/tokenkeeper/tokenkeeper/test/browser"
)

var chromium *browser.Chromium

func TestMain(m *testing.M) {
	var err error
	if chromium, err = browser.Start(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := chromium.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// world is a demo marketplace, and an application on another site that wants to use accounts there.
type world struct {
	*demomarket.Server
	t           *testing.T
	url         string
	application string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	market := demomarket.New(demomarket.Options{
		Key: demomarket.SharedKey(), Control: control.Pages,
		Lifetimes: demomarket.Lifetimes{Code: time.Minute}, // Allegro's ten seconds are short on a busy machine
	})
	w := &world{Server: market, t: t, url: serve(t, market), application: browser.Localhost(serve(t, application()))}
	market.SeedPortal(w.application)
	return w
}

// serve starts a server on 127.0.0.1.
func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// state is what the application sends along.
const state = "a state & more"

// application is a website that is as careful as the portal: it binds each visit to the browser by a cookie, as strictly as
// cookies can be, and has a policy that lets forms lead nowhere else, so that a page goes on to the marketplace by itself. At
// the callback it tells whether it knows the browser again.
func application() http.Handler {
	visit := &http.Cookie{
		Name: "__Host-visit", Value: "1", Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	home := template.Must(template.New("home").Parse(
		`<body data-page="home"><form method="post"><input type="hidden" name="link" value="{{.}}"><button>Sign in</button></form>`,
	))
	redirect := template.Must(template.New("redirect").Parse(`<meta http-equiv="refresh" content="0; url={{.}}"><body data-page="redirect">`))
	pages := http.NewServeMux()
	pages.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { _ = home.Execute(w, r.FormValue("link")) })
	pages.HandleFunc("POST /{$}", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, visit)
		_ = redirect.Execute(w, r.FormValue("link"))
	})
	pages.HandleFunc("GET /sign-in/amazon", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, visit)
		back := url.Values{"amazon_state": {r.FormValue("amazon_state")}, "state": {state}}
		http.Redirect(w, r, r.FormValue("amazon_callback_uri")+"?"+back.Encode(), http.StatusSeeOther)
	})
	pages.HandleFunc("GET /callback/{platform}", func(w http.ResponseWriter, r *http.Request) {
		greeting := "Welcome back"
		if _, err := r.Cookie(visit.Name); err != nil {
			greeting = "Who are you?"
		}
		fmt.Fprintf(w, `<body data-page="callback">%s`, greeting)
	})
	protected := http.NewCrossOriginProtection().Handler(pages)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; form-action 'self'")
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("Cross-Origin-Opener-Policy", "same-origin")
		protected.ServeHTTP(w, r)
	})
}

// start opens the application and presses its button, which leads to the marketplace.
func (w *world) start(window *browser.Window, platform, prompt string) {
	w.t.Helper()
	window.Open(w.application + "/?" + url.Values{"link": {w.link(platform, prompt)}}.Encode())
	window.Press("Sign in")
}

// link is the application's request for a code.
func (w *world) link(platform, prompt string) string {
	request := url.Values{
		"response_type": {"code"},
		"client_id":     {demomarket.DefaultClientID},
		"redirect_uri":  {w.application + "/callback/" + platform},
		"state":         {state},
		"prompt":        {prompt},
	}
	switch platform {
	case "allegro":
		return w.url + "/allegro/auth/oauth/authorize?" + request.Encode()
	case "ebay":
		request.Set("redirect_uri", demomarket.DemoRuName)
		return w.url + "/ebay/oauth2/authorize?" + request.Encode()
	case "amazon":
		request.Del("response_type")
		request.Set("application_id", demomarket.DefaultApplicationID)
		return w.url + "/amazon/apps/authorize/consent?" + request.Encode()
	}
	return w.url + "/oidc/authorize?" + request.Encode()
}

// wantCallback fails the test when the window is not back at the application with a code.
func (w *world) wantCallback(window *browser.Window) {
	w.t.Helper()
	window.WantPage("callback")
	window.WantText("Welcome back")
	query := window.URL().Query()
	if query.Get("state") != state || query.Get("code")+query.Get("spapi_oauth_code") == "" {
		w.t.Errorf("the callback is %s", window.URL())
	}
}

// wantAccount fails the test when the code of the callback is not for this account of Allegro.
func (w *world) wantAccount(window *browser.Window, want demomarket.Seller) {
	w.t.Helper()
	w.wantCallback(window)
	got := w.tokens(url.Values{
		"grant_type": {demomarket.GrantAuthorizationCode}, "code": {window.URL().Query().Get("code")},
		"redirect_uri": {w.application + "/callback/allegro"},
	})
	if got.account(w.t) != want.ID {
		w.t.Errorf("the tokens are for %s, want %s", got.account(w.t), want.ID)
	}
}

// answer is Allegro's.
type answer struct {
	Error       string `json:"error"`
	AccessToken string `json:"access_token"`
	DeviceCode  string `json:"device_code"`
	UserCode    string `json:"user_code"`
	Page        string `json:"verification_uri"`
	PageAndCode string `json:"verification_uri_complete"`
}

// tokens makes a token request at Allegro.
func (w *world) tokens(form url.Values) answer {
	w.t.Helper()
	return w.post("/allegro/auth/oauth/token", form)
}

// device asks Allegro for a device code.
func (w *world) device() answer {
	w.t.Helper()
	return w.post("/allegro/auth/oauth/device", url.Values{"client_id": {demomarket.DefaultClientID}})
}

// poll asks for the tokens of a device.
func (w *world) poll(device answer) answer {
	w.t.Helper()
	return w.tokens(url.Values{"grant_type": {demomarket.GrantDeviceCode}, "device_code": {device.DeviceCode}})
}

func (w *world) post(path string, form url.Values) answer {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.url+path, strings.NewReader(form.Encode()))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(demomarket.DefaultClientID, demomarket.DefaultClientSecret)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	var got answer
	if err := json.NewDecoder(response.Body).Decode(&got); err != nil {
		w.t.Fatalf("reading the answer of %s: %v", path, err)
	}
	return got
}

// account is whose token it is.
func (a answer) account(t *testing.T) string {
	t.Helper()
	parts := strings.Split(a.AccessToken, ".")
	if len(parts) != 3 {
		t.Fatalf("the access token is %q, the error %q", a.AccessToken, a.Error)
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims struct {
		UserName string `json:"user_name"`
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return claims.UserName
}
