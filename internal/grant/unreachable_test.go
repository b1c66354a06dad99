package grant_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/outgoing"
)

// silence is what is known of a request that got no answer.
type silence struct {
	Kind           answer.Kind
	Status         int
	Code           string
	OutcomeUnknown bool
}

func silenceOf(e *answer.Error) silence { return silence{e.Kind, e.Status, e.Code, e.OutcomeUnknown} }

// check compares the failure with what is wanted, and looks for an address in its text.
func check(t *testing.T, err error, outcomeUnknown bool, message string) {
	t.Helper()
	got := failure(t, err)
	want := silence{Kind: answer.Unavailable, OutcomeUnknown: outcomeUnknown}
	if diff := cmp.Diff(want, silenceOf(got)); diff != "" {
		t.Errorf("(-want +got):\n%s\nerror: %v", diff, err)
	}
	if !strings.Contains(err.Error(), message) {
		t.Errorf("the error is %q, want it to say %q", err, message)
	}
	if strings.Contains(err.Error(), "/oauth/token") || strings.Contains(err.Error(), "http://") {
		t.Errorf("the error holds an address: %q", err)
	}
	for _, secret := range []string{refreshToken, clientSecret, password, code, verifier, deviceCode} {
		if piece := leaked(err.Error(), secret); piece != "" {
			t.Errorf("the error holds %q of a secret: %q", piece, err)
		}
	}
}

func TestNoAnswer(t *testing.T) {
	tests := map[string]struct {
		answer  http.HandlerFunc
		unknown bool
		says    string
	}{
		"hung up after the request was read": {hangUp, true, "the connection to the marketplace failed: EOF"},
		"reset after the request was read":   {reset, true, "the connection to the marketplace failed"},
		"broken off in the answer":           {breakOff, true, "the connection to the marketplace failed: unexpected EOF"},
		"broken off in the header": {func(w http.ResponseWriter, _ *http.Request) {
			conn, buffer := hijack(w)
			_, _ = buffer.WriteString("HTTP/1.1 200 OK\r\nContent-")
			_ = buffer.Flush()
			_ = conn.Close()
		}, true, "the connection to the marketplace failed: net/http: HTTP/1.x transport connection broken"},
		"no HTTP": {func(w http.ResponseWriter, _ *http.Request) {
			conn, buffer := hijack(w)
			_, _ = buffer.WriteString("550 " + refreshToken + "\r\n")
			_ = buffer.Flush()
			_ = conn.Close()
		}, true, "the connection to the marketplace failed"},
	}
	for name, test := range tests {
		for asking, ask := range asked {
			t.Run(name+", asked with "+asking, func(t *testing.T) {
				_, err := ask(t, listen(t, test.answer).endpoint())
				check(t, err, test.unknown, test.says)
			})
		}
	}
}

// TestARefusalThatBreaksOffIsARefusal has the status arrive and not the body.
func TestARefusalThatBreaksOffIsARefusal(t *testing.T) {
	platform := listen(t, func(w http.ResponseWriter, _ *http.Request) {
		conn, buffer := hijack(w)
		_, _ = buffer.WriteString("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 30\r\nContent-Length: 100\r\n\r\n{\"error\":")
		_ = buffer.Flush()
		_ = conn.Close()
	})
	_, err := platform.endpoint().RefreshToken(t.Context(), refreshToken)
	got := failure(t, err)
	if got.Kind != answer.Throttled || got.Status != 429 || got.RetryAfter != 30*time.Second || got.OutcomeUnknown {
		t.Errorf("the failure is %+v, want Throttled for 30 s", got)
	}
}

func TestRefusedConnection(t *testing.T) {
	platform := listen(t, hangUp)
	endpoint := platform.endpoint()
	platform.Close()
	for asking, ask := range asked {
		t.Run(asking, func(t *testing.T) {
			_, err := ask(t, endpoint)
			check(t, err, false, "connecting to the marketplace: dial tcp 127.0.0.1")
		})
	}
}

func TestUnknownHost(t *testing.T) {
	unknown := &net.DNSError{Err: "no such host", Name: "login.example.com", IsNotFound: true}
	dial := func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: unknown}
	}
	for asking, ask := range asked {
		t.Run(asking, func(t *testing.T) {
			_, err := ask(t, endpoint(&http.Transport{DialContext: dial}))
			check(t, err, false, "looking up the marketplace's host: lookup login.example.com: no such host")
		})
	}
}

// TestAHostThatMayNotBeAsked is told without its address, which is not for everybody who reads the account's status.
func TestAHostThatMayNotBeAsked(t *testing.T) {
	dial := func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.IPv4(10, 1, 2, 3), Port: 443}, Err: outgoing.ErrPrivateAddress}
	}
	_, err := endpoint(&http.Transport{DialContext: dial}).RefreshToken(t.Context(), refreshToken)
	check(t, err, false, "the host has a private address")
	if strings.Contains(err.Error(), "10.1.2.3") {
		t.Errorf("the error holds the address: %v", err)
	}
}

func TestUntrustedCertificate(t *testing.T) {
	server := httptest.NewUnstartedServer(respond(http.StatusOK, granted))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	trusting := server.Client().Transport.(*http.Transport).TLSClientConfig

	tests := map[string]struct {
		config *tls.Config
		says   string
	}{
		"signed by nobody we know": {nil, "certificate is not trusted: x509: certificate signed by unknown authority"},
		"made for another host": {
			&tls.Config{RootCAs: trusting.RootCAs, ServerName: "login.example.org"}, "certificate is not trusted: x509: certificate is valid for",
		},
	}
	for name, test := range tests {
		for asking, ask := range asked {
			t.Run(name+", asked with "+asking, func(t *testing.T) {
				_, err := ask(t, at(server.URL+"/oauth/token", &http.Transport{TLSClientConfig: test.config}))
				check(t, err, false, test.says)
			})
		}
	}
	t.Run("one that is trusted will do", func(t *testing.T) {
		if _, err := at(server.URL, server.Client().Transport).RefreshToken(t.Context(), refreshToken); err != nil {
			t.Error(err)
		}
	})
}

// hanging is a transport over connections on whose other end somebody reads the request and says nothing, or only what
// is given. For use within synctest, where waiting takes no time.
func hanging(t *testing.T, says string) *http.Transport {
	t.Helper()
	transport := &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		go func() {
			reader := bufio.NewReader(far)
			request, err := http.ReadRequest(reader)
			if err == nil {
				_, _ = io.Copy(io.Discard, request.Body)
				_, _ = io.WriteString(far, says)
			}
			_, _ = io.Copy(io.Discard, reader) // until the client goes away
			_ = far.Close()
		}()
		return near, nil
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return transport
}

func TestHang(t *testing.T) {
	tests := map[string]string{
		"without a word":       "",
		"in the header":        "HTTP/1.1 200 OK\r\nContent-Ty",
		"in the answer":        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{",
		"in an endless answer": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
	}
	for name, says := range tests {
		for asking, ask := range asked {
			t.Run(name+", asked with "+asking, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					endpoint := at("http://login.example.com/oauth/token", hanging(t, says))
					endpoint.HTTP.Timeout = 30 * time.Second
					before := time.Now()
					_, err := ask(t, endpoint)
					check(t, err, true, "the marketplace did not answer in time")
					if took := time.Since(before); took != 30*time.Second {
						t.Errorf("it took %v to give up, want the client's timeout", took)
					}
				})
			})
		}
	}
}

// TestHangBeforeTheRequest never gets a connection, so nothing was sent.
func TestHangBeforeTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dialling := transport(func(request *http.Request) (*http.Response, error) {
			<-request.Context().Done()
			return nil, &net.OpError{Op: "dial", Net: "tcp", Err: request.Context().Err()}
		})
		endpoint := at("http://login.example.com/oauth/token", dialling)
		endpoint.HTTP.Timeout = 30 * time.Second
		_, err := endpoint.RefreshToken(t.Context(), refreshToken)
		check(t, err, false, "the marketplace did not answer in time")
	})
}

func TestDeadlineOfTheCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := at("http://login.example.com/oauth/token", hanging(t, "")).RefreshToken(ctx, refreshToken)
		check(t, err, true, "the marketplace did not answer in time")
	})
}

func TestCancelled(t *testing.T) {
	t.Run("before the request", func(t *testing.T) {
		platform := listen(t, respond(http.StatusOK, granted))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := platform.endpoint().RefreshToken(ctx, refreshToken)
		check(t, err, false, "asking the marketplace was interrupted")
		if got := platform.seen(); len(got) != 0 {
			t.Errorf("%+v arrived all the same", got)
		}
	})
	t.Run("while the marketplace thinks", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		platform := listen(t, func(_ http.ResponseWriter, r *http.Request) {
			cancel()
			<-r.Context().Done()
		})
		_, err := platform.endpoint().RefreshToken(ctx, refreshToken)
		check(t, err, true, "asking the marketplace was interrupted")
	})
}

// malformed is what the transport of a platform says of no usable answer.
type malformed struct{ error }

func (malformed) FromPlatform() bool { return true }

func TestAnAnswerThatTheTransportCannotRead(t *testing.T) {
	why := malformed{errors.New("the marketplace's answer is empty")}
	_, err := endpoint(transport(func(*http.Request) (*http.Response, error) { return nil, why })).RefreshToken(t.Context(), refreshToken)
	got := failure(t, err)
	if want := (silence{Kind: answer.Malformed, OutcomeUnknown: true}); silenceOf(got) != want || got.Message != why.Error() {
		t.Errorf("the failure is %+v, want Malformed in the words of the transport", got)
	}
}

func TestAFailureWithASecretInItsText(t *testing.T) {
	broken := transport(func(*http.Request) (*http.Response, error) { return nil, errors.New(refreshToken) })
	_, err := endpoint(broken).RefreshToken(t.Context(), refreshToken)
	check(t, err, false, "the connection to the marketplace failed: [redacted]")

	const words = "my cat is up on it"
	broken = func(*http.Request) (*http.Response, error) { return nil, errors.New("tried " + words) }
	_, err = endpoint(broken).Password(t.Context(), username, words, nil)
	if got := failure(t, err).Message; got != "the connection to the marketplace failed" {
		t.Errorf("the message is %q, want one without the password", got)
	}
}

func TestAnAddressThatIsNone(t *testing.T) {
	_, err := at("http://login.example.com:port/\x7f", nil).RefreshToken(t.Context(), refreshToken)
	check(t, err, false, "the connection to the marketplace failed")
}
