package outgoing_test

import (
	"encoding/pem"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/outgoing"
)

// askedFor names, in a process of its own, the address to ask for: net/http and crypto/x509 read the environment once.
const askedFor = "TOKENKEEPER_TEST_ASK"

// TestAsking is no test but that process: it says how asking by a client of this package went.
func TestAsking(t *testing.T) {
	address := os.Getenv(askedFor)
	if address == "" {
		t.Skip("run by TestTheEnvironmentNamesProxyAndAuthorities")
	}
	transports := map[string]http.RoundTripper{"plain": outgoing.NewTransport(), "public": outgoing.NewPublicTransport()}
	for name, transport := range transports {
		response, err := get(t, outgoing.NewClient(transport, 20*time.Second), address)
		if err != nil {
			fmt.Fprintf(os.Stdout, "%s: error %v\n", name, err)
			continue
		}
		body, err := io.ReadAll(response.Body)
		fmt.Fprintf(os.Stdout, "%s: %d %s %v\n", name, response.StatusCode, body, err)
	}
}

// forwardProxy connects to one server, whatever host it is asked for, and tells which ones it was asked for.
type forwardProxy struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
}

func newForwardProxy(t *testing.T, to string) *forwardProxy {
	t.Helper()
	p := &forwardProxy{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.asked = append(p.asked, r.Method+" "+r.Host)
		p.mu.Unlock()
		far, err := new(net.Dialer).DialContext(r.Context(), "tcp", to)
		if err != nil {
			http.Error(w, "unreachable", http.StatusBadGateway)
			return
		}
		defer func() { _ = far.Close() }()
		near, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = near.Close() }()
		_, _ = near.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n"))
		go func() { _, _ = io.Copy(far, near) }()
		_, _ = io.Copy(near, far)
	}))
	t.Cleanup(p.Close)
	return p
}

// TestAProxyThatCannotBeUsed is found at the start, and not passed by in silence.
func TestAProxyThatCannotBeUsed(t *testing.T) {
	for proxy, good := range map[string]bool{
		"": true, "http://proxy.example.com:3128": true, "proxy.example.com:3128": true, "proxy.example.com": true, "10.0.0.3:3128": true,
		"https://user:s3cr3t@proxy.example.com": true, "socks5://127.0.0.1:1080": true, "[fd00::1]:3128": true,
		"ftp://proxy.example.com": false, "http://": false, "://proxy": false, "http://user:s3cr3t@%zz": false, "http://pro xy:1": false,
	} {
		for _, name := range []string{"HTTPS_PROXY", "https_proxy"} {
			err := outgoing.CheckEnvironment(func(asked string) string { return map[string]string{name: proxy}[asked] })
			if (err == nil) != good {
				t.Errorf("%s=%s: %v", name, proxy, err)
			}
			if err != nil && (strings.Contains(err.Error(), "s3cr3t") || !strings.Contains(err.Error(), name)) {
				t.Errorf("the error is %v", err)
			}
		}
	}
}

// TestTheEnvironmentNamesProxyAndAuthorities asks by a real forward proxy for a host that only the proxy can reach, and whose
// certificate only an authority of the environment vouches for. The certificate of httptest is one of example.com.
func TestTheEnvironmentNamesProxyAndAuthorities(t *testing.T) {
	platform := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "tokens") }))
	t.Cleanup(platform.Close)
	directory := t.TempDir()
	authority := filepath.Join(directory, "authority.crt")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: platform.Certificate().Raw})
	if err := os.WriteFile(authority, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	const both = "plain: 200 tokens <nil>\npublic: 200 tokens <nil>\n"
	tests := map[string]struct {
		ask         string
		environment []string
		says        []string
		proxied     int
	}{
		"a proxy and a file of authorities":      {"https://example.com/token", []string{"SSL_CERT_FILE=" + authority}, []string{both}, 2},
		"a proxy and a directory of authorities": {"https://example.com/token", []string{"SSL_CERT_FILE=/none", "SSL_CERT_DIR=" + directory}, []string{both}, 2},
		"an authority that nobody vouches for": {
			"https://example.com/token", nil, []string{"plain: error", "public: error", "certificate"}, 2,
		},
		"a host that is not to be proxied": {
			"https://marketplace.invalid/token", []string{"SSL_CERT_FILE=" + authority, "NO_PROXY=.svc,marketplace.invalid"}, []string{"plain: error", "public: error"}, 0,
		},
		"a private address by the proxy": {
			"https://10.1.2.3/keys", []string{"SSL_CERT_FILE=" + authority}, []string{"plain: error", "public: error", "--deny-private-addresses"}, 1,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			proxy := newForwardProxy(t, platform.Listener.Addr().String())
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestAsking$")
			child.Env = append([]string{askedFor + "=" + test.ask, "HTTPS_PROXY=" + proxy.URL, "PATH=" + os.Getenv("PATH")}, test.environment...)
			said, err := child.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, said)
			}
			for _, want := range test.says {
				for line := range strings.Lines(want) { // the two come in any order
					if !strings.Contains(string(said), line) {
						t.Errorf("it says %q, want %q", said, line)
					}
				}
			}
			proxy.mu.Lock()
			defer proxy.mu.Unlock()
			if len(proxy.asked) != test.proxied {
				t.Errorf("the proxy was asked for %q, want %d requests", proxy.asked, test.proxied)
			}
		})
	}
}
