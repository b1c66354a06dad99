package scrapers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"sync"
	"time"

	"k8s.io/utils/clock"
)

// certificateLife is how long a certificate is good for. Another is made in the second half of it.
const certificateLife = 30 * 24 * time.Hour

// TLS returns a configuration with a certificate that the process makes for itself. No client can verify it: it guards tokens against eavesdropping alone.
func TLS(clock clock.PassiveClock, random io.Reader) *tls.Config {
	made := &ownCertificate{clock: clock, random: random}
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return made.get()
		},
	}
}

// ownCertificate is made when it is first needed. It is safe for concurrent use.
type ownCertificate struct {
	clock  clock.PassiveClock
	random io.Reader

	mu   sync.Mutex // guards held
	held *tls.Certificate
}

func (c *ownCertificate) get() (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock.Now()
	if c.held != nil && !now.Before(c.held.Leaf.NotBefore) && now.Before(c.held.Leaf.NotAfter.Add(-certificateLife/2)) {
		return c.held, nil
	}
	made, err := newCertificate(now, c.random)
	if err != nil {
		return nil, fmt.Errorf("making a certificate for the metrics: %w", err)
	}
	c.held = made
	return made, nil
}

func newCertificate(now time.Time, random io.Reader) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), random)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(random, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "tokenkeeper-metrics"},
		DNSNames:     []string{"tokenkeeper-metrics"},
		NotBefore:    now.Add(-time.Hour), // clocks differ
		NotAfter:     now.Add(certificateLife),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(random, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}
