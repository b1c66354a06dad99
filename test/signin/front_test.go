package signin_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/test/browser"
	"github.com/tokenkeeper/tokenkeeper/test/wholebody"
)

// front is the public address of the portal, as an ingress is. The story says which replicas answer, in turns, and to what, if
// not to everything. All that goes through is held against the rules for every answer, and secrets that must not be said elsewhere
// is remembered.
type front struct {
	t   *testing.T
	url string

	mu       sync.Mutex // guards the fields below
	replicas []*url.URL
	turn     int
	routes   []route                                                             // the paths that are let through; all where there are none
	passed   int                                                                 // requests that were let through
	before   map[string]func(http.ResponseWriter, *http.Request) (answered bool) // by the beginning of a path
	last     *http.Request
}

func newFront(t *testing.T) *front {
	t.Helper()
	f := &front{t: t, before: map[string]func(http.ResponseWriter, *http.Request) bool{}}
	proxy := wholebody.First(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(f.replica())
			r.Out.Host = r.In.Host
		},
		ModifyResponse: f.inspect,
	})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !f.admits(r) {
			http.NotFound(w, r)
			return
		}
		if do := f.waiting(r); do == nil || !do(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	f.url = browser.Localhost(server.URL)
	return f
}

// answers makes these replicas answer, each in its turn.
func (f *front) answers(replicas ...*replica) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.replicas = nil
	for _, replica := range replicas {
		f.replicas = append(f.replicas, &url.URL{Scheme: "http", Host: replica.address})
	}
}

// replica is the one whose turn it is.
func (f *front) replica() *url.URL {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turn++
	return f.replicas[f.turn%len(f.replicas)]
}

// once calls a function before the next request whose path begins like this is passed on.
func (f *front) once(path string, do func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.before[path] = func(http.ResponseWriter, *http.Request) bool { do(); return false }
}

// twice passes the next request whose path begins like this on, and again after a pause, as a browser does whose user clicks
// twice. The browser shows the second answer.
func (f *front) twice(path string, pause time.Duration) <-chan string {
	f.mu.Lock()
	defer f.mu.Unlock()
	address := make(chan string, 1)
	f.before[path] = func(_ http.ResponseWriter, r *http.Request) bool {
		first := r.Clone(context.WithoutCancel(r.Context()))
		first.URL, first.RequestURI = f.replica().ResolveReference(r.URL), ""
		go func() {
			if response, err := http.DefaultTransport.RoundTrip(first); err == nil {
				response.Body.Close()
			}
		}()
		<-time.After(pause) // of the user
		address <- f.url + r.URL.RequestURI()
		return false
	}
	return address
}

// lose answers the next request whose path begins like this by an error, and passes nothing on but the address to the story.
func (f *front) lose(path string) <-chan string {
	f.mu.Lock()
	defer f.mu.Unlock()
	lost := make(chan string, 1)
	f.before[path] = func(w http.ResponseWriter, r *http.Request) bool {
		f.remember(r, 0)
		lost <- f.url + r.URL.RequestURI()
		http.Error(w, "the ingress has no backend", http.StatusBadGateway)
		return true
	}
	return lost
}

// waiting is the treatment of a request to come.
func (f *front) waiting(r *http.Request) func(http.ResponseWriter, *http.Request) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last = r
	for prefix, do := range f.before {
		if strings.HasPrefix(r.URL.Path, prefix) {
			delete(f.before, prefix)
			return do
		}
	}
	return nil
}

// brought tells whether the last request came with a cookie.
func (f *front) brought(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, err := f.last.Cookie(name)
	return err == nil
}

// inspect holds an answer against the rules for all answers.
func (f *front) inspect(response *http.Response) error {
	request := response.Request
	page := request.Method + " " + request.URL.Path
	for name, want := range map[string]string{
		"Cache-Control":              "no-store",
		"Referrer-Policy":            "no-referrer",
		"X-Content-Type-Options":     "nosniff",
		"X-Frame-Options":            "DENY",
		"Cross-Origin-Opener-Policy": "same-origin",
	} {
		if got := response.Header.Get(name); got != want {
			f.t.Errorf("%s: %s is %q, want %q", page, name, got, want)
		}
	}
	policy := response.Header.Get("Content-Security-Policy")
	for _, directive := range []string{"default-src 'none'", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(policy, directive) {
			f.t.Errorf("%s: the policy %q lacks %s", page, policy, directive)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.Contains(policy, "script-src") {
		f.t.Errorf("%s: the policy is %q", page, policy)
	}
	location := strings.TrimPrefix(response.Header.Get("Location"), f.url)
	if location != "" && (!strings.HasPrefix(location, "/") || strings.HasPrefix(location, "//") || strings.Contains(location, `\`)) {
		f.t.Errorf("%s sends the browser to %s", page, location)
	}
	for _, cookie := range response.Cookies() {
		if !strings.HasPrefix(cookie.Name, "__Host-") || !cookie.Secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode {
			f.t.Errorf("%s sets the cookie %s", page, cookie.Raw)
		}
		said.Secret(cookie.Value, cookie.Value[strings.LastIndexByte(cookie.Value, '/')+1:])
	}
	f.remember(request, response.StatusCode)
	return nil
}

// remember takes note of the secrets of a browser, which must not be said elsewhere.
func (f *front) remember(request *http.Request, status int) {
	query := request.URL.Query()
	switch {
	case strings.HasPrefix(request.URL.Path, signin.CallbackPrefix):
		for _, name := range []string{"code", "spapi_oauth_code", "state"} {
			said.Secret(query[name]...)
		}
	case strings.HasPrefix(request.URL.Path, signin.LinkPrefix) && status == http.StatusOK:
		said.Ticket(query["ticket"]...)
		said.Secret(query["amazon_state"]...)
	}
}
