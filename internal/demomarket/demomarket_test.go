package demomarket_test

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// start is when every test begins.
var start = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// clock is a clock that only moves when told to.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// demo is a demo marketplace that listens.
type demo struct {
	*demomarket.Server
	t      *testing.T
	clock  *clock
	url    string
	settle func() // stops listening and waits until every request has ended
}

// serve starts a demo marketplace of these platforms, or of all when none is given.
func serve(t *testing.T, platforms ...demomarket.Platform) *demo {
	t.Helper()
	return serveWith(t, demomarket.Options{}, platforms...)
}

// serveWith starts one with options, whose clock and key it sets.
func serveWith(t *testing.T, options demomarket.Options, platforms ...demomarket.Platform) *demo {
	t.Helper()
	c := &clock{now: start}
	options.Now, options.Key = c.Now, demomarket.SharedKey()
	market := demomarket.New(options, platforms...)
	server := httptest.NewServer(market)
	t.Cleanup(server.Close)
	return &demo{Server: market, t: t, clock: c, url: server.URL, settle: server.Close}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	raw    string
	body   map[string]any // nil when raw is no JSON object
}

func (a answer) text(name string) string {
	value, _ := a.body[name].(string)
	return value
}

// do sends a request.
func (d *demo) do(r *http.Request) (answer, error) {
	transport := &http.Transport{DisableKeepAlives: true}
	response, err := transport.RoundTrip(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	got := answer{status: response.StatusCode, header: response.Header, raw: string(raw)}
	if json.Unmarshal(raw, &got.body) != nil {
		got.body = nil
	}
	return got, err
}

// must sends a request that has to be answered.
func (d *demo) must(r *http.Request) answer {
	d.t.Helper()
	got, err := d.do(r)
	if err != nil {
		d.t.Fatalf("%s %s: %v", r.Method, r.URL, err)
	}
	return got
}

// tokenPaths are the paths of the real platforms.
var tokenPaths = map[string]string{
	"allegro": "/allegro/auth/oauth/token",
	"ebay":    "/ebay/identity/v1/oauth2/token",
	"amazon":  "/amazon/auth/o2/token",
	"xsale":   "/xsale/oauth/token",
	"oidc":    "/oidc/token",
}

// request makes a token request as the platform wants it, with the demo client's credentials.
func (d *demo) request(platform string, parameters map[string]string) *http.Request {
	d.t.Helper()
	all := map[string]string{}
	maps.Copy(all, parameters)
	inBody := platform == "amazon" || platform == "xsale"
	if inBody {
		all["client_id"], all["client_secret"] = demomarket.DefaultClientID, demomarket.DefaultClientSecret
	}
	body, contentType := encodeForm(all), "application/x-www-form-urlencoded"
	if platform == "xsale" {
		body, contentType = encodeJSON(d.t, all), "application/json"
	}
	path := tokenPaths[platform]
	if path == "" {
		path = "/" + platform + "/token"
	}
	r := newRequest(d.t, http.MethodPost, d.url+path, body)
	r.Header.Set("Content-Type", contentType)
	if !inBody {
		r.SetBasicAuth(demomarket.DefaultClientID, demomarket.DefaultClientSecret)
	}
	return r
}

// refresh renews with a refresh token.
func (d *demo) refresh(platform, token string) answer {
	d.t.Helper()
	return d.must(d.refreshRequest(platform, token))
}

func (d *demo) refreshRequest(platform, token string) *http.Request {
	d.t.Helper()
	return d.request(platform, map[string]string{"grant_type": "refresh_token", "refresh_token": token})
}

// login asks xSale for tokens.
func (d *demo) login(password string) answer {
	d.t.Helper()
	return d.must(d.request("xsale", loginParameters(password)))
}

func loginParameters(password string) map[string]string {
	return map[string]string{
		"grant_type": "password",
		"username":   demomarket.DefaultUser,
		"password":   password,
		"audience":   "https://api.xsale.ai",
		"scope":      "openid profile email xsale production",
	}
}

// get asks for a page.
func (d *demo) get(path string, header ...string) answer {
	d.t.Helper()
	r := newRequest(d.t, http.MethodGet, d.url+path, "")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return d.must(r)
}

func newRequest(t *testing.T, method, url, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func encodeForm(parameters map[string]string) string {
	form := url.Values{}
	for name, value := range parameters {
		form.Set(name, value)
	}
	return form.Encode()
}

func encodeJSON(t *testing.T, parameters map[string]string) string {
	t.Helper()
	var body bytes.Buffer
	if err := json.NewEncoder(&body).Encode(parameters); err != nil {
		t.Fatal(err)
	}
	return body.String()
}

// wantStatus fails the test when the answer has another status.
func wantStatus(t *testing.T, got answer, want int) {
	t.Helper()
	if got.status != want {
		t.Fatalf("status = %d, want %d; answer %s", got.status, want, got.raw)
	}
}

// wantError fails the test when the answer is not this error.
func wantError(t *testing.T, got answer, status int, code string) {
	t.Helper()
	wantStatus(t, got, status)
	if got.text("error") != code {
		t.Fatalf("error = %q, want %q", got.text("error"), code)
	}
}

// wantEqual fails the test when two values differ.
func wantEqual[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

// setBody replaces the body of a request.
func setBody(r *http.Request, body string) {
	r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
}

// escape encodes a part of Basic credentials (RFC 6749 section 2.3.1).
func escape(part string) string { return url.QueryEscape(part) }

// tooLong is a body one byte over the limit, all of which is read: if some were left, the connection would be reset, and
// with it perhaps the answer.
var tooLong = strings.Repeat("x", 64<<10+1)
