package outgoing

import (
	"crypto/tls"
	"net"
	"net/http"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

// maxHeader bounds the headers of an answer; readers of bodies bound those.
const maxHeader = 64 << 10

// NewClient returns a client whose requests go by transport and keep the rules of this package. timeout bounds a request
// until its answer is read to the end.
func NewClient(transport http.RoundTripper, timeout time.Duration) *http.Client {
	return &http.Client{
		Transport:     guard{transport},
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// guard refuses requests to addresses that may not have them, whoever made the address.
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

// NewTransport returns what carries requests by the network. Connections are not kept: net/http cannot tell whether a
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
