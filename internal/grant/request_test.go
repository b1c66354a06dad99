package grant_test

import (
	"bufio"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/grant"
)

// arrival is a request as it came over the wire.
type arrival struct {
	Method, Path, ContentType, Authorization string
	Form                                     url.Values
}

// platform is a token endpoint that listens and remembers what it was asked.
type platform struct {
	*httptest.Server
	mu       sync.Mutex
	arrivals []arrival
}

// listen starts a platform that answers with answer.
func listen(t *testing.T, answer http.HandlerFunc) *platform {
	t.Helper()
	p := &platform{}
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // a body that cannot be read shows as a form without parameters
		form, _ := url.ParseQuery(string(body))
		p.mu.Lock()
		p.arrivals = append(p.arrivals, arrival{
			Method: r.Method, Path: r.URL.RequestURI(), Form: form,
			ContentType: r.Header.Get("Content-Type"), Authorization: r.Header.Get("Authorization"),
		})
		p.mu.Unlock()
		answer(w, r)
	}))
	p.Config.ErrorLog = log.New(io.Discard, "", 0)
	p.Start()
	t.Cleanup(p.Close)
	return p
}

// seen returns what arrived so far.
func (p *platform) seen() []arrival {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]arrival{}, p.arrivals...)
}

// endpoint is the platform's, with connections of its own.
func (p *platform) endpoint() grant.Endpoint {
	return at(p.URL+"/oauth/token", p.Client().Transport)
}

func respond(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

const granted = `{"access_token":"an-access-token","token_type":"bearer","expires_in":3600}`

func TestRequests(t *testing.T) {
	tests := map[string]struct {
		ask  func(*testing.T, grant.Endpoint) (answer.Tokens, error)
		want url.Values
	}{
		"Password sends the login, the application and the scopes": {
			ask: asked["Password"],
			want: url.Values{
				"grant_type": {"password"}, "username": {username}, "password": {password}, "scope": {"openid orders"},
				"client_id": {clientID}, "client_secret": {clientSecret},
			},
		},
		"Password without scopes leaves them to the platform": {
			ask: func(t *testing.T, e grant.Endpoint) (answer.Tokens, error) {
				return e.Password(t.Context(), username, password, nil)
			},
			want: url.Values{
				"grant_type": {"password"}, "username": {username}, "password": {password},
				"client_id": {clientID}, "client_secret": {clientSecret},
			},
		},
		"ClientCredentials sends the application and the scopes": {
			ask: asked["ClientCredentials"],
			want: url.Values{
				"grant_type": {"client_credentials"}, "scope": {"orders"},
				"client_id": {clientID}, "client_secret": {clientSecret},
			},
		},
		"ClientCredentials without scopes leaves them to the platform": {
			ask: func(t *testing.T, e grant.Endpoint) (answer.Tokens, error) {
				return e.ClientCredentials(t.Context(), nil)
			},
			want: url.Values{
				"grant_type": {"client_credentials"}, "client_id": {clientID}, "client_secret": {clientSecret},
			},
		},
		"RefreshToken sends the token and never a scope": {
			ask: asked["RefreshToken"],
			want: url.Values{
				"grant_type": {"refresh_token"}, "refresh_token": {refreshToken},
				"client_id": {clientID}, "client_secret": {clientSecret},
			},
		},
		"AuthorizationCode sends the code, and what it was asked for with": {
			ask: asked["AuthorizationCode"],
			want: url.Values{
				"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callbackURI}, "code_verifier": {verifier},
				"client_id": {clientID}, "client_secret": {clientSecret},
			},
		},
		"AuthorizationCode without PKCE, and with eBay's name for an address": {
			ask: func(t *testing.T, e grant.Endpoint) (answer.Tokens, error) {
				return e.AuthorizationCode(t.Context(), code, "My_RuName-My_App-x", "")
			},
			want: url.Values{
				"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {"My_RuName-My_App-x"},
				"client_id": {clientID}, "client_secret": {clientSecret},
			},
		},
		"AuthorizationCode that was asked for without redirect_uri": {
			ask: func(t *testing.T, e grant.Endpoint) (answer.Tokens, error) {
				return e.AuthorizationCode(t.Context(), code, "", "")
			},
			want: url.Values{
				"grant_type": {"authorization_code"}, "code": {code}, "client_id": {clientID}, "client_secret": {clientSecret},
			},
		},
		"AuthorizationCode of a public client": {
			ask: func(t *testing.T, e grant.Endpoint) (answer.Tokens, error) {
				e.ClientSecret = ""
				return e.AuthorizationCode(t.Context(), code, callbackURI, verifier)
			},
			want: url.Values{
				"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callbackURI}, "code_verifier": {verifier},
				"client_id": {clientID},
			},
		},
		"Device sends the code and never a scope": {
			ask: asked["Device"],
			want: url.Values{
				"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"}, "device_code": {deviceCode},
				"client_id": {clientID}, "client_secret": {clientSecret},
			},
		},
		"an application without a secret sends none": {
			ask: func(t *testing.T, e grant.Endpoint) (answer.Tokens, error) {
				e.ClientSecret = ""
				return e.RefreshToken(t.Context(), refreshToken)
			},
			want: url.Values{
				"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}, "client_id": {clientID},
			},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			platform := listen(t, respond(http.StatusOK, granted))
			if _, err := test.ask(t, platform.endpoint()); err != nil {
				t.Fatalf("asking: %v", err)
			}
			want := []arrival{{
				Method: http.MethodPost, Path: "/oauth/token", ContentType: "application/x-www-form-urlencoded", Form: test.want,
			}}
			if diff := cmp.Diff(want, platform.seen()); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

// TestOneRequestWhateverComesBack is about platforms that lock a login after a few attempts, and about refresh tokens
// that work once: x/oauth2 probes, and net/http follows and repeats, unless they are kept from it.
func TestOneRequestWhateverComesBack(t *testing.T) {
	outcomes := map[string]http.HandlerFunc{
		"tokens":                    respond(http.StatusOK, granted),
		"400":                       respond(http.StatusBadRequest, `{"error":"invalid_grant"}`),
		"401 invalid_client":        respond(http.StatusUnauthorized, `{"error":"invalid_client"}`),
		"401 without a word":        respond(http.StatusUnauthorized, ``),
		"403":                       respond(http.StatusForbidden, `{"error":"invalid_grant"}`),
		"404":                       respond(http.StatusNotFound, `not found`),
		"429 with no time to wait":  func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Retry-After", "0"); w.WriteHeader(429) },
		"500":                       respond(http.StatusInternalServerError, `{"error":"server_error"}`),
		"503":                       respond(http.StatusServiceUnavailable, `<html>maintenance</html>`),
		"an empty answer":           respond(http.StatusOK, ``),
		"an answer without a token": respond(http.StatusOK, `{}`),
		"an answer that breaks off": breakOff,
		"no answer":                 hangUp,
		"a reset":                   reset,
		"a redirect that keeps all": redirect(http.StatusTemporaryRedirect),
		"a lasting redirect":        redirect(http.StatusPermanentRedirect),
		"a redirect that drops all": redirect(http.StatusFound),
		"an authentication challenge": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("WWW-Authenticate", "Basic")
			w.WriteHeader(401)
		},
	}
	for name, outcome := range outcomes {
		for asking, ask := range asked {
			t.Run(name+" to "+asking, func(t *testing.T) {
				platform := listen(t, outcome)
				_, _ = ask(t, platform.endpoint()) // what comes of it is the business of other tests
				if got := len(platform.seen()); got != 1 {
					t.Errorf("%d requests arrived, want 1", got)
				}
			})
		}
	}
}

// TestOneRequestOnAConnectionThatWasUsed repeats the worst of the above where net/http is most inclined to try again.
func TestOneRequestOnAConnectionThatWasUsed(t *testing.T) {
	for name, outcome := range map[string]http.HandlerFunc{"no answer": hangUp, "a reset": reset} {
		for asking, ask := range asked {
			t.Run(name+" to "+asking, func(t *testing.T) {
				var first sync.Once
				platform := listen(t, func(w http.ResponseWriter, r *http.Request) {
					next := outcome
					first.Do(func() { next = respond(http.StatusOK, granted) })
					next(w, r)
				})
				endpoint := platform.endpoint()
				if _, err := ask(t, endpoint); err != nil {
					t.Fatalf("the first request: %v", err)
				}
				_, err := ask(t, endpoint)
				if !failure(t, err).OutcomeUnknown {
					t.Errorf("OutcomeUnknown is false for %v", err)
				}
				if got := len(platform.seen()); got != 2 {
					t.Errorf("%d requests arrived, want one for each time of asking", got)
				}
			})
		}
	}
}

// TestCredentialsGoToOneAddress sends them where the endpoint is, and not where its answer points.
func TestCredentialsGoToOneAddress(t *testing.T) {
	elsewhere := listen(t, respond(http.StatusOK, granted))
	for _, status := range []int{301, 302, 303, 307, 308} {
		for asking, ask := range asked {
			platform := listen(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, status) })
			_, err := ask(t, platform.endpoint())
			if got := failure(t, err); got.Kind != answer.Malformed || got.Status != status {
				t.Errorf("%s answered with %d is %+v, want Malformed", asking, status, got)
			}
		}
		platform := listen(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, status) })
		if err := platform.endpoint().Revoke(t.Context(), platform.URL+"/revoke", refreshToken); err == nil {
			t.Errorf("a revocation answered with %d succeeds", status)
		}
	}
	if got := elsewhere.seen(); len(got) != 0 {
		t.Errorf("the redirect's target received %+v", got)
	}
}

func TestNoRequestWithoutACredential(t *testing.T) {
	tests := map[string]struct {
		ask  func(grant.Endpoint) error
		want answer.Kind
	}{
		"a refresh token": {
			func(e grant.Endpoint) error { _, err := e.RefreshToken(t.Context(), ""); return err }, answer.GrantRejected,
		},
		"an authorization code": {
			func(e grant.Endpoint) error {
				_, err := e.AuthorizationCode(t.Context(), "", callbackURI, verifier)
				return err
			}, answer.GrantRejected,
		},
		"a device code": {
			func(e grant.Endpoint) error { _, err := e.Device(t.Context(), ""); return err }, answer.CodeExpired,
		},
		"a place to ask for a device code": {
			func(e grant.Endpoint) error { _, err := e.StartDevice(t.Context(), "", nil); return err }, answer.InvalidRequest,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			platform := listen(t, respond(http.StatusOK, granted))
			err := test.ask(platform.endpoint())
			if got := failure(t, err); got.Kind != test.want || got.OutcomeUnknown {
				t.Errorf("the failure is %+v, want %s with a known outcome", got, test.want)
			}
			if got := platform.seen(); len(got) != 0 {
				t.Errorf("%+v arrived, want nothing", got)
			}
		})
	}
}

func redirect(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, status) }
}

// hijack takes the connection away from the server.
func hijack(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter) {
	conn, buffer, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	return conn, buffer
}

// hangUp closes the connection instead of an answer.
func hangUp(w http.ResponseWriter, _ *http.Request) {
	conn, _ := hijack(w)
	_ = conn.Close()
}

// reset does so without the courtesies of TCP.
func reset(w http.ResponseWriter, _ *http.Request) {
	conn, _ := hijack(w)
	_ = conn.(*net.TCPConn).SetLinger(0)
	_ = conn.Close()
}

// breakOff sends half an answer.
func breakOff(w http.ResponseWriter, _ *http.Request) {
	conn, buffer := hijack(w)
	_, _ = buffer.WriteString("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n" +
		strings.TrimSuffix(granted, "}"))
	_ = buffer.Flush()
	_ = conn.Close()
}
