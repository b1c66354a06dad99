package main

import (
	"cmp"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/tokenkeeper/tokenkeeper/test/wholebody"
)

// counter stands between the operator and the API server and counts what passes. It takes time of its own, so that nothing
// is timed while it does.
type counter struct {
	server *httptest.Server

	mu       sync.Mutex
	counting bool
	// renewals are how many there were, and counts what they cost, with all requests that are nobody's in particular.
	renewals int
	counts   requests
	// costs are the requests of each account's next renewal so far.
	costs map[string]requests
}

// requests are how many requests there were, by verb and resource: "update secrets".
type requests map[string]int

func newCounter(config *rest.Config) (*counter, error) {
	target, err := url.Parse(config.Host)
	if err != nil {
		return nil, fmt.Errorf("counting requests: %w", err)
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		return nil, fmt.Errorf("counting requests: %w", err)
	}
	c := &counter{counts: requests{}, costs: map[string]requests{}}
	proxy := wholebody.First(&httputil.ReverseProxy{
		Transport:     transport,
		FlushInterval: -1, // an event of a watch is not kept back
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target) },
		ErrorLog:      log.New(io.Discard, "", 0), // watches end with the operator
	})
	c.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if kind, name := kindOf(r); kind != "" {
			c.note(kind, name)
		}
		proxy.ServeHTTP(w, r)
	}))
	return c, nil
}

// kubeconfig leads to the counter, which has the credentials.
func (c *counter) kubeconfig() ([]byte, error) {
	return clientcmd.Write(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"bench": {Server: c.server.URL}},
		Contexts:       map[string]*clientcmdapi.Context{"bench": {Cluster: "bench"}},
		CurrentContext: "bench",
	})
}

// begin begins to count.
func (c *counter) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counting = true
}

// note counts a request about the object of that name, which may be empty. A renewal is what happens from one write of a
// token Secret to the next, so that none is counted by halves.
func (c *counter) note(kind, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	account, token := strings.CutSuffix(name, "-token")
	if !token {
		account = strings.TrimSuffix(strings.TrimSuffix(name, "-grant"), "-import")
	}
	cost, begun := c.costs[account]
	switch {
	case !c.counting:
		return
	case name == "":
		c.counts[kind]++
		return
	case begun:
		cost[kind]++
	}
	if !token || kind != "update secrets" {
		return
	}
	for kind, n := range cost {
		c.counts[kind] += n
	}
	if begun {
		c.renewals++
	}
	c.costs[account] = requests{}
}

// end returns the counts.
func (c *counter) end() (requests, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.counting = false
	return maps.Clone(c.counts), c.renewals
}

// kindOf names a request by verb and resource, and its object; empty for one that does not count: watches, leases, discovery.
func kindOf(r *http.Request) (kind, name string) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch { // /api/v1/… or /apis/<group>/<version>/…
	case len(parts) > 2 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		parts = parts[3:]
	default:
		return "", ""
	}
	if parts[0] == "namespaces" && len(parts) > 2 {
		parts = parts[2:]
	}
	verb := cmp.Or(map[string]string{"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}[r.Method], "read")
	if parts[0] == "leases" || r.URL.Query().Get("watch") != "" {
		return "", ""
	}
	kind = verb + " " + parts[0]
	if len(parts) > 2 { // a subresource
		kind += "/" + parts[2]
	}
	if len(parts) > 1 {
		name = parts[1]
	}
	return kind, name
}

// sum adds the reads, the writes or the events among requests.
func (r requests) sum() (reads, writes, events int) {
	for kind, n := range r {
		verb, resource, _ := strings.Cut(kind, " ")
		switch {
		case resource == "events":
			events += n
		case verb == "read":
			reads += n
		default:
			writes += n
		}
	}
	return reads, writes, events
}
