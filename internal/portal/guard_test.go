package portal_test

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/tokenkeeper/tokenkeeper/internal/portal"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

var (
	stylePattern  = regexp.MustCompile(`(?s)<style>(.*?)</style>`)
	policyPattern = regexp.MustCompile(
		`^default-src 'none'; style-src 'sha256-([A-Za-z0-9+/=]+)'; form-action 'self'( https://[^ ;]+)?; frame-ancestors 'none'; base-uri 'none'$`)
	valuePattern = regexp.MustCompile(`="[^"]*"`)
	loadsPattern = regexp.MustCompile(`(?i)<(script|img|iframe|object|embed|link|base|style )|<[^>]*\s(src|srcset|style|on[a-z]+)=`)
)

// checkAnswer looks at what every answer must have.
func checkAnswer(t *testing.T, what string, status int, header http.Header, text string) {
	t.Helper()
	for name, value := range map[string]string{
		"Referrer-Policy":              "no-referrer",
		"Cache-Control":                "no-store",
		"X-Content-Type-Options":       "nosniff",
		"X-Frame-Options":              "DENY",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Permissions-Policy":           "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
	} {
		if got := header.Get(name); got != value {
			t.Errorf("%s: %s is %q, want %q", what, name, got, value)
		}
	}
	policy := policyPattern.FindStringSubmatch(header.Get("Content-Security-Policy"))
	if policy == nil {
		t.Fatalf("%s: the policy is %q", what, header.Get("Content-Security-Policy"))
	}
	if status/100 == 3 || !strings.HasPrefix(header.Get("Content-Type"), "text/html") {
		return
	}
	style := stylePattern.FindStringSubmatch(text)
	if style == nil {
		if text != "" {
			t.Errorf("%s: the page has no style", what)
		}
		return
	}
	if sum := sha256.Sum256([]byte(style[1])); base64.StdEncoding.EncodeToString(sum[:]) != policy[1] {
		t.Errorf("%s: the policy does not allow the page's own style", what)
	}
	if loads := loadsPattern.FindString(valuePattern.ReplaceAllString(text, `=""`)); loads != "" {
		t.Errorf("%s: the page has %q", what, loads)
	}
}

func TestEveryAnswerIsGuarded(t *testing.T) {
	w := newWorld(t, account("main"), marketplace("allegro", "Allegro"))
	visitor := w.browser() // which looks at every answer it gets
	for path, want := range map[string]map[string]int{
		"/":                         {"GET": 200, "HEAD": 200, "POST": 405, "PUT": 405, "OPTIONS": 405, "TRACE": 405},
		"/session":                  {"GET": 405, "POST": 401},
		"/logout":                   {"GET": 405, "POST": 401},
		"/accounts/shop/main/renew": {"GET": 405, "POST": 401, "DELETE": 405},
		"/accounts/shop/main/other": {"POST": 404},
		"/accounts/shop/main":       {"GET": 404, "POST": 404},
		"/sign-in/shop/main":        {"GET": 404, "HEAD": 404, "POST": 404, "PATCH": 405},
		"/sign-in/Shop/main":        {"GET": 404, "POST": 404},
		"/sign-in/shop/a%2Fb":       {"GET": 404},
		"/sign-in/allegro":          {"GET": 200, "POST": 401},
		"/sign-in/":                 {"GET": 404},
		"/sign-in/a%00b":            {"GET": 404},
		"/callback/allegro":         {"GET": 303, "HEAD": 405, "POST": 405},
		"/callback/NOT%20A%20NAME":  {"GET": 404},
		"/done/0123456789abcdef":    {"GET": 404, "HEAD": 405, "POST": 405},
		"/done/x":                   {"GET": 404},
		"/healthz":                  {"GET": 200, "HEAD": 200, "POST": 405},
		"/readyz":                   {"GET": 200},
		"/style.css":                {"GET": 404},
		"/favicon.ico":              {"GET": 404},
		"//example.com/":            {"GET": 307},
		"/sign-in/../..//etc":       {"GET": 307},
		"/sign-in/shop/main?a=%zz":  {"GET": 400},
		"/callback/allegro?a=%zz":   {"GET": 400},
		"/sign-in/allegro?a=%zz":    {"GET": 400},
		"/callback/allegro?code=" + strings.Repeat("x", 9000): {"GET": 413},
		"/sign-in/allegro?x=" + strings.Repeat("x", 5000):     {"GET": 413},
		"/sign-in/shop/main?x=" + strings.Repeat("x", 5000):   {"GET": 413},
	} {
		for method, status := range want {
			a := visitor.send(method, path, strings.NewReader(""))
			if a.status != status {
				t.Errorf("%s %.40s gives %d, want %d", method, path, a.status, status)
			}
			if status == 405 && a.header.Get("Allow") == "" {
				t.Errorf("%s %s does not say what is allowed", method, path)
			}
			if strings.HasPrefix(a.location, "//") || strings.Contains(a.location, "://") {
				t.Errorf("%s %s leads to %s", method, path, a.location)
			}
		}
	}
	if n := w.signIns.count("Begin"); n != 0 {
		t.Errorf("%d sign-ins have begun", n)
	}
}

func TestStrictTransportWhereThePortalHasIt(t *testing.T) {
	w := newWorld(t)
	if got := w.browser().get("/").header.Get("Strict-Transport-Security"); got != "max-age=31536000" {
		t.Errorf("a portal with https says %q", got)
	}
	served, err := portal.New(portal.Options{
		Address: "http://127.0.0.1:8082", SignIns: w.signIns, Reader: w.cluster, Writer: w.cluster, Recorder: w.told, Clock: w.clock, Random: rand.Reader,
	})
	if err != nil {
		t.Fatal(err)
	}
	recorder := httptest.NewRecorder()
	served.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/", nil))
	if got := recorder.Header().Get("Strict-Transport-Security"); got != "" || recorder.Code != http.StatusOK {
		t.Errorf("a portal without https says %d and %q", recorder.Code, got)
	}
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	w := newWorld(t)
	good := portal.Options{
		Address: "https://tokens.example.com", SignIns: w.signIns, Reader: w.cluster, Writer: w.cluster, Recorder: w.told, Random: rand.Reader,
		Clock: clocktesting.NewFakePassiveClock(noon), Log: logr.Discard(),
	}
	for _, address := range []signin.Address{
		"", "https://tokens.example.com", "https://tokens.example.com:8443", "http://localhost:8082", "http://127.0.0.1", "http://[::1]:8082", "http://a.localhost",
	} {
		options := good
		options.Address = address
		if _, err := portal.New(options); err != nil {
			t.Errorf("%q: %v", address, err)
		}
	}
	for _, address := range []signin.Address{
		"tokens.example.com", "http://tokens.example.com", "https://tokens.example.com/", "https://tokens.example.com/portal", "https://a@example.com",
		"https://example.com?x", "ftp://localhost", "https://", "http://192.0.2.1",
	} {
		options := good
		options.Address = address
		if _, err := portal.New(options); err == nil {
			t.Errorf("%q is accepted", address)
		}
	}
	if _, err := portal.New(portal.Options{}); err == nil {
		t.Error("nothing is accepted")
	}
}

func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	w := newWorld(t, account("main"))
	w.signIns.offering(signin.Offer{Account: signin.Account{Namespace: "shop", Name: "main", Marketplace: "Allegro"}})
	clerk := w.enter(clerkToken)
	renew, found := formTo(clerk.get("/").text, "/accounts/shop/main/renew")
	if !found {
		t.Fatal("there is no button")
	}
	for sentence, headers := range map[string][]string{
		"another site":                    {"Sec-Fetch-Site", "cross-site"},
		"a neighbour":                     {"Sec-Fetch-Site", "same-site"},
		"an old browser, another origin":  {"Sec-Fetch-Site", "", "Origin", "https://evil.example"},
		"an old browser, an origin of no": {"Sec-Fetch-Site", "", "Origin", "null"},
	} {
		t.Run(sentence, func(t *testing.T) {
			for path, form := range map[string]url.Values{
				"/accounts/shop/main/renew": renew,
				"/sign-in/shop/main":        {"ticket": {goodTicket}},
				"/session":                  {"token": {clerkToken}},
				"/logout":                   {},
			} {
				clerk.post(path, form, headers...).expect(t, http.StatusForbidden, "another site")
			}
		})
	}
	if n := w.signIns.count("Begin"); n != 0 {
		t.Errorf("%d sign-ins have begun", n)
	}
	if got := w.cluster.account(t, "shop", "main").Annotations; len(got) != 0 {
		t.Errorf("the account was annotated: %v", got)
	}
	for sentence, headers := range map[string][]string{
		"a browser of today":              {"Sec-Fetch-Site", "same-origin", "Origin", "null"},
		"an old browser":                  {"Sec-Fetch-Site", "", "Origin", w.server.URL},
		"a program that has the form":     {"Sec-Fetch-Site", "", "Origin", ""},
		"a browser with an address typed": {"Sec-Fetch-Site", "none", "Origin", ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			clerk.post("/accounts/shop/main/renew", renew, headers...).expect(t, http.StatusSeeOther)
		})
	}
}

func TestFormsNeedTheirToken(t *testing.T) {
	w := newWorld(t, account("main"), account("other"), marketplace("allegro", "Allegro"))
	clerk, admin := w.enter(clerkToken), w.enter(adminToken)
	page := clerk.get("/")
	own, _ := formTo(page.text, "/accounts/shop/main/renew")
	ofOther, _ := formTo(page.text, "/accounts/shop/other/renew")
	ofAdmin, _ := formTo(admin.get("/").text, "/accounts/shop/main/renew")
	for sentence, form := range map[string]url.Values{
		"none":                    {},
		"an empty one":            {"form": {""}},
		"a made up one":           {"form": {"abc"}},
		"one of another account":  ofOther,
		"one of another session":  ofAdmin,
		"one in the wrong place":  {"ticket": own["form"]},
		"one that is longer":      {"form": {own.Get("form") + "A"}},
		"the session's own token": {"form": {clerkToken}},
	} {
		t.Run(sentence, func(t *testing.T) {
			for _, path := range []string{"/accounts/shop/main/renew", "/accounts/shop/main/sign-in", "/logout", "/sign-in/allegro"} {
				if path == "/accounts/shop/main/renew" || sentence != "one of another account" {
					clerk.post(path, form).expect(t, http.StatusForbidden, "out of date")
				}
			}
		})
	}
	clerk.post("/accounts/shop/main/renew?form="+own.Get("form"), url.Values{}).expect(t, http.StatusForbidden)
	if got := w.cluster.account(t, "shop", "main").Annotations; len(got) != 0 {
		t.Errorf("the account was annotated: %v", got)
	}
	if n := w.signIns.count("Invite"); n != 0 {
		t.Errorf("%d tickets were made", n)
	}
	clerk.post("/accounts/shop/main/renew", own).expect(t, http.StatusSeeOther)
}

func TestLargeFormsAreRefused(t *testing.T) {
	w := newWorld(t, account("main"))
	clerk := w.enter(clerkToken)
	large := url.Values{"token": {strings.Repeat("x", 40<<10)}}
	for _, path := range []string{"/session", "/logout", "/accounts/shop/main/renew", "/sign-in/shop/main", "/sign-in/allegro"} {
		clerk.post(path, large).expect(t, http.StatusRequestEntityTooLarge)
	}
	clerk.post("/sign-in/shop/main", url.Values{"ticket": {goodTicket}, "store": {strings.Repeat("x", 5000)}}).expect(t, http.StatusBadRequest)
	clerk.send(http.MethodPost, "/session", strings.NewReader("token=%zz")).expect(t, http.StatusBadRequest)
}

func TestAPanicDoesNotLeak(t *testing.T) {
	w := newWorld(t)
	w.signIns.complete = func(context.Context) error { panic("the secret of the panic") }
	w.browser().get("/callback/allegro?code=1").expect(t, http.StatusInternalServerError, "Something went wrong").without(t, "secret")
	if !strings.Contains(w.log.text(), "panic") {
		t.Error("nobody is told")
	}
}
