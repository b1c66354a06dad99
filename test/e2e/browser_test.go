package e2e_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/http/cookiejar"
)

// browser is one that is a mere HTTP client. It reaches the portal through the ingress, and the demo marketplace, and trusts the company.
func (c *cluster) browser() *http.Client {
	c.Helper()
	reached := map[string]string{
		host(portal) + ":443":      c.forward("e2e-ingress", "service/skipper", "443"),
		host(marketplace) + ":443": c.forward("tokenkeeper-demo", "service/demo-marketplace", "443"),
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(c.company.Certificate)
	jar, err := cookiejar.New(nil)
	if err != nil {
		c.Fatal(err)
	}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: trusted},
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			forwarded, ok := reached[address]
			if !ok {
				return nil, fmt.Errorf("this browser does not reach %s", address)
			}
			return new(net.Dialer).DialContext(ctx, network, forwarded)
		},
	}
	c.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Jar: jar, Transport: transport}
}
