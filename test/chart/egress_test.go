package chart_test

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/test/authority"
)

// forwardProxy is the proxy between a company and the internet: it makes tunnels (CONNECT), and each ends at the marketplace.
type forwardProxy struct {
	*httptest.Server
	// credentials are "name:password" that it asks for; nothing when they are empty.
	credentials atomic.Pointer[string]

	mu    sync.Mutex // guards hosts
	hosts []string   // to which tunnels led
}

func startForwardProxy(t *testing.T, marketplace string) *forwardProxy {
	t.Helper()
	p := &forwardProxy{}
	p.credentials.Store(new(string))
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		wanted := *p.credentials.Load()
		switch {
		case r.Method != http.MethodConnect:
			http.Error(w, "this proxy makes tunnels alone", http.StatusMethodNotAllowed)
		case wanted != "" && r.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte(wanted)):
			w.Header().Set("Proxy-Authenticate", "Basic")
			http.Error(w, "who are you?", http.StatusProxyAuthRequired)
		default:
			p.tunnel(w, r, marketplace)
		}
	}))
	t.Cleanup(p.CloseClientConnections)
	t.Cleanup(p.Close)
	return p
}

// tunnel passes on what each side says, until one of them has said all.
func (p *forwardProxy) tunnel(w http.ResponseWriter, r *http.Request, marketplace string) {
	p.mu.Lock()
	p.hosts = append(p.hosts, r.Host)
	p.mu.Unlock()
	there, err := net.Dial("tcp", marketplace)
	if err != nil {
		http.Error(w, "the marketplace does not answer", http.StatusBadGateway)
		return
	}
	defer there.Close()
	here, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer here.Close()
	_, _ = io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n")
	done := make(chan struct{}, 2)
	for _, pair := range [][2]net.Conn{{here, there}, {there, here}} {
		go func() { _, _ = io.Copy(pair[0], pair[1]); done <- struct{}{} }()
	}
	<-done
}

// tunnels are the hosts to which there were some, each once.
func (p *forwardProxy) tunnels() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Compact(slices.Sorted(slices.Values(p.hosts)))
}

// serveTLS serves a demo marketplace by TLS, and counts the connections. Platform allegro is at hosts of its own.
func serveTLS(t *testing.T, market *demomarket.Server, certificates ...tls.Certificate) (server *httptest.Server, connections *atomic.Int64) {
	t.Helper()
	server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.Host, "allegro.") && !strings.HasPrefix(r.URL.Path, "/allegro/") { // forms of its pages lead there as they stand
			r = r.Clone(r.Context())
			r.URL.Path, r.URL.RawPath = "/allegro"+r.URL.Path, ""
		}
		market.ServeHTTP(w, r)
	}))
	connections = &atomic.Int64{}
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{Certificates: certificates}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server, connections
}

// TestTokensComeThroughTheProxyAndByThePrivateAuthority runs the operator as the chart's values proxy and caBundle have it, where hosts of
// marketplaces can be reached directly as well. Allegro's certificate is of the company's authority, that of the issuer of a public one.
func TestTokensComeThroughTheProxyAndByThePrivateAuthority(t *testing.T) {
	t.Parallel()
	c := startCluster(t, helms["4"])
	private, public := authority.New(t, "Company"), authority.New(t, "Public")
	market := demomarket.New(demomarket.Options{Key: demomarket.SharedKey()})
	certificates := []tls.Certificate{private.Certify(t, "allegro.example", "api.allegro.example"), public.Certify(t, "login.example")}
	behind, _ := serveTLS(t, market, certificates...)
	direct, connections := serveTLS(t, market, certificates...)
	proxy := startForwardProxy(t, behind.Listener.Addr().String())

	_, port, err := net.SplitHostPort(direct.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	const aliases = "hostAliases: [{ip: 127.0.0.1, hostnames: [allegro.example, api.allegro.example, login.example]}]\n"
	through := aliases + "proxy: {https: '" + proxy.URL + "'}\n"
	c.release(t, "tokenkeeper", operator, through)
	c.waitForKinds(t)
	c.release(t, "tokenkeeper-marketplaces", marketplaces, strings.ReplaceAll(`
allegro: {overrides: {environments: [{name: Production, variables: [{name: host, value: "allegro.example:PORT"}]}]}}
oidc:
  enabled: true
  overrides:
    environments: [{name: Production, variables: [{name: host, value: "login.example:PORT"}]}]
    endpoints: {issuer: "https://{host}/oidc"}`, "PORT", port))
	s := c.openShop(t, market)
	s.imported("private", "allegro")
	s.imported("public", "oidc")

	// Without the authority the account says what is wrong, and nothing is sent. The authorities of the image count all the same.
	image := image{program: operatorProgram, authorities: public.PEM}
	replica := c.startReplica(t, image)
	replica.waitReady()
	s.expectHonoured("public", "oidc", "")
	says := s.expect("private", v1alpha1.ConditionAuthenticated, "Unknown MarketplaceUnavailable")
	if !strings.Contains(says, "certificate is not trusted: x509: certificate signed by unknown authority") {
		t.Errorf("the condition does not say what is wrong: %s", says)
	}
	want(t, market.Platform("allegro").Report().Count("", ""), 0)

	// With it, in each of the three ways, tokens come through the proxy.
	s.create(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "company", Namespace: namespace}, Data: map[string]string{"any.pem": private.PEM}})
	s.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "company", Namespace: namespace}, StringData: map[string]string{"any.pem": private.PEM}})
	s.create(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "proxy", Namespace: namespace}, StringData: map[string]string{
		"url": strings.Replace(proxy.URL, "://", "://operator:p4ssw0rd@", 1),
	}})
	for _, way := range []struct{ name, values, credentials string }{
		{"pem", through + fmt.Sprintf("caBundle: {pem: %q}", private.PEM), ""},
		{"ConfigMap", through + "caBundle: {configMapName: company}", ""},
		{"Secret, and a proxy with a password", aliases + `
caBundle: {secretName: company}
extraEnv:
- name: HTTPS_PROXY
  valueFrom: {secretKeyRef: {name: proxy, key: url}}
- {name: NO_PROXY, value: "$(KUBERNETES_SERVICE_HOST),.svc"}`, "operator:p4ssw0rd"},
	} {
		proxy.credentials.Store(&way.credentials)
		c.release(t, "tokenkeeper", operator, way.values)
		replica.terminate()
		replica = c.startReplica(t, image)
		replica.waitReady()
		s.renew("private", "allegro", way.name)
		s.renew("public", "oidc", way.name)
		if said := replica.log(); strings.Contains(said, "p4ssw0rd") {
			t.Error("the password of the proxy is in the log")
		}
	}
	want(t, connections.Load(), 0)
	for _, host := range proxy.tunnels() { // among them that of the API server must not be
		if name := (&url.URL{Host: host}).Hostname(); !slices.Contains([]string{"allegro.example", "api.allegro.example", "login.example"}, name) {
			t.Errorf("there was a tunnel to %s", host)
		}
	}

	// The direct way was there all the time: without the proxy it is taken.
	c.release(t, "tokenkeeper", operator, aliases+"caBundle: {configMapName: company}")
	replica.terminate()
	replica = c.startReplica(t, image)
	replica.waitReady()
	s.renew("private", "allegro", "directly")
	if connections.Load() == 0 {
		t.Error("no connection was made directly where there is no proxy: that there was none before says nothing")
	}
}
