package outgoing

import (
	"crypto/tls"
	"net"
	"net/http"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

// maxHeader bounds the headers of an answer; readers of bodies bound the bodies.
const maxHeader = 64 << 10

// NewClient returns a client that sends by transport and keeps the rules of this package. timeout bounds a request
// until its answer is read to the end.
func NewClient(transport http.RoundTripper, timeout time.Duration) *http.Client {
	return &http.Client{
		Transport:     guard{transport},
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// guard refuses requests to addresses that may not have them, wherever the address comes from.
type guard struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (g guard) RoundTrip(request *http.Request) (*http.Response, error) {
	if err := check(request.URL); err != nil {
		if request.Body != nil {
			_ = request.Body.Close()
		}
		return nil, err
	}
	return g.next.RoundTrip(request)
}

// NewTransport returns a transport over the network. Connections are not kept: net/http cannot tell whether a
// request on a connection that turns out to be closed was seen, and a single-use refresh token must not be sent in doubt.
func NewTransport() *http.Transport {
	return newTransport(&net.Dialer{Timeout: timeouts.Dial})
}

func newTransport(dialer *net.Dialer) *http.Transport {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    timeouts.Handshake,
		MaxResponseHeaderBytes: maxHeader,
		DisableKeepAlives:      true,
	}
}
