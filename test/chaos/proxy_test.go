package chaos_test

import (
	"bytes"
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
	"github.com/tokenkeeper/tokenkeeper/test/wholebody"
)

// call is a request of the operator to the API server.
type call struct {
	method, resource, subresource, namespace, name string
	// custody is the custody that a grant Secret is to hold; nil for any other request.
	custody *custody.Custody
	// stores tells that it holds tokens which the marketplace issued and no grant Secret holds yet.
	stores bool
}

func (c *call) writes() bool { return c.method != http.MethodGet }

// account is the owner of the Secret or status, by the names that the operator gives; empty for anything else.
func (c *call) account() string {
	if c.resource == "marketplaceaccounts" {
		return c.name
	}
	name, grant := strings.CutSuffix(c.name, "-grant")
	if grant {
		return name
	}
	name, token := strings.CutSuffix(c.name, "-token")
	if !token || c.resource != "secrets" {
		return ""
	}
	return name
}

// The writes of a renewal, in their order.
func (c *call) journals() bool {
	return c.custody != nil && !c.stores && (c.custody.Journal != nil || c.custody.ImportJournal != nil)
}
func (c *call) publishes() bool {
	return c.writes() && c.resource == "secrets" && strings.HasSuffix(c.name, "-token")
}
func (c *call) reports() bool { return c.writes() && c.subresource == "status" }

// interception is the treatment of some of the operator's requests.
type interception struct {
	match func(*call) bool
	// before runs before the request is passed on. It may answer in the API server's place, or panic with http.ErrAbortHandler
	// to close the connection.
	before func(context.Context, http.ResponseWriter) (answered bool)
	// after runs when the API server has answered, before that is passed on. It may close the connection by an error.
	after func(context.Context) error
}

// proxy is the only way of a process to the API server, as one user of the cluster.
type proxy struct {
	front  *front
	server *httptest.Server

	mu            sync.Mutex // guards the fields below
	interceptions []*interception
	gone          bool
	reads         int
	writes        []string
}

func newProxy(user *rest.Config, platform *front) (*proxy, error) {
	transport, err := rest.TransportFor(user)
	if err != nil {
		return nil, err
	}
	address, err := url.Parse(user.Host)
	if err != nil {
		return nil, err
	}
	p := &proxy{front: platform}
	passOn := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(address); r.Out.Host = address.Host },
		Transport:     transport,
		FlushInterval: -1, // of watches
		ErrorLog:      log.New(io.Discard, "", 0),
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	passOn.ModifyResponse = func(r *http.Response) error {
		if struck, ok := r.Request.Context().Value(struckKey{}).(*struck); ok {
			return struck.answered(r.Request.Context(), r.StatusCode)
		}
		return nil
	}
	p.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { p.serve(wholebody.First(passOn), w, r) }))
	p.server.Config.ErrorLog = passOn.ErrorLog
	p.server.Start()
	return p, nil
}

// struck is a request with its treatment.
type struck struct {
	proxy *proxy
	*call
	interception *interception
	arrived      time.Time
}

type struckKey struct{}

func (p *proxy) serve(next http.Handler, w http.ResponseWriter, r *http.Request) {
	p.count(r)
	if r.URL.Query().Get("watch") != "" {
		p.stayAway()
		next.ServeHTTP(w, r)
		return
	}
	s := &struck{proxy: p, arrived: time.Now()}
	var err error
	if s.call, err = p.read(r); err != nil {
		panic(http.ErrAbortHandler) // the operator died in the middle of it
	}
	p.stayAway()
	s.interception = p.intercept(s.call)
	if s.interception != nil && s.interception.before != nil {
		if answered := s.interception.before(r.Context(), w); answered {
			return
		}
	}
	next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), struckKey{}, s)))
}

func (p *proxy) count(r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.Method == http.MethodGet {
		p.reads++
		return
	}
	p.writes = append(p.writes, r.Method+" "+r.URL.Path)
}

// counted are the reads, and the writes as they were tried.
func (p *proxy) counted() (reads int, writes []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reads, slices.Clone(p.writes)
}

// answered is called with the API server's answer.
func (s *struck) answered(ctx context.Context, status int) error {
	if s.custody != nil && status < http.StatusMultipleChoices {
		s.proxy.front.wrote(s.account(), s.custody)
	}
	if s.stores && status < http.StatusMultipleChoices {
		s.proxy.front.stored(s.custody, s.arrived)
	}
	if s.interception == nil || s.interception.after == nil {
		return nil
	}
	return s.interception.after(ctx)
}

// read finds the subject of a request.
func (p *proxy) read(r *http.Request) (*call, error) {
	c := &call{method: r.Method}
	if _, rest, ok := strings.Cut(r.URL.Path, "/namespaces/"); ok {
		parts := strings.SplitN(rest, "/", 4)
		for i, part := range []*string{&c.namespace, &c.resource, &c.name, &c.subresource} {
			if i < len(parts) {
				*part = parts[i]
			}
		}
	}
	if c.resource != "secrets" || !c.writes() {
		return c, nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	object, _, err := clientgoscheme.Codecs.UniversalDeserializer().Decode(body, nil, nil)
	if err != nil {
		return c, nil // the options of a deletion
	}
	if secret, ok := object.(*corev1.Secret); ok {
		c.name = secret.Name
		if custody, err := tokensecret.DecodeCustody(secret); err == nil {
			c.custody, c.stores = &custody, p.front.isNew(&custody)
		}
	}
	return c, nil
}

// add puts an interception in force, until the returned function is called.
func (p *proxy) add(i *interception) (remove func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.interceptions = append(p.interceptions, i)
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.interceptions = slices.DeleteFunc(p.interceptions, func(other *interception) bool { return other == i })
	}
}

// intercept returns the first interception that fits.
func (p *proxy) intercept(c *call) *interception {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, i := range p.interceptions {
		if i.match(c) {
			return i
		}
	}
	return nil
}

// stop makes the API server unreachable, and breaks off what is under way; resume makes it reachable again.
func (p *proxy) stop() {
	p.mu.Lock()
	p.gone = true
	p.mu.Unlock()
	p.server.CloseClientConnections()
}

func (p *proxy) resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.gone = false
}

// stayAway closes the connection of a request while the API server is unreachable.
func (p *proxy) stayAway() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gone {
		panic(http.ErrAbortHandler)
	}
}
