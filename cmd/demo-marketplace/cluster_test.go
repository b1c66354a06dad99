package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// writeCertificate makes a certificate for 127.0.0.1, which is its own authority.
func writeCertificate(t *testing.T) (certFile, keyFile string, authority *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	authority = x509.NewCertPool()
	files := make([]string, 0, 2)
	for kind, der := range map[string][]byte{"CERTIFICATE": certificate, "PRIVATE KEY": private} {
		text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
		file := filepath.Join(t.TempDir(), strings.ToLower(strings.ReplaceAll(kind, " ", "-")))
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
		authority.AppendCertsFromPEM(text)
	}
	if strings.Contains(files[0], "private") {
		files[0], files[1] = files[1], files[0]
	}
	return files[0], files[1], authority
}

func TestServesHTTPSUnderItsName(t *testing.T) {
	certFile, keyFile, authority := writeCertificate(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	read, write := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"--address", address, "--anyone", "--url", "https://demo.example", "--tls-cert-file", certFile, "--tls-key-file", keyFile}, write, io.Discard)
	}()
	line, err := bufio.NewReader(read).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "https://demo.example" {
		t.Fatalf("it printed %q, error %v", line, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+address+"/oidc/.well-known/openid-configuration", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Transport{TLSClientConfig: &tls.Config{RootCAs: authority, MinVersion: tls.VersionTLS12}, DisableKeepAlives: true}).RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || !strings.Contains(string(body), `"https://demo.example/oidc`) {
		t.Errorf("its endpoints are %s, error %v", body, err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestManifestsLeadToTheDemoMarketplace(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), []string{"--manifests", "../../config/marketplaces", "--url", "https://demo.example"}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"https://demo.example/allegro/auth/oauth/token", "https://demo.example/ebay/identity", "https://demo.example/xsale/oauth/token"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("there is no %s in\n%s", want, out.String())
		}
	}
	if err := run(t.Context(), []string{"--manifests", t.TempDir(), "--url", "https://demo.example"}, io.Discard, io.Discard); err == nil {
		t.Error("a directory without manifests must be an error")
	}
}
