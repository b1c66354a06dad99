package operator

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	ctrlmetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/httpserver"
	"github.com/tokenkeeper/tokenkeeper/internal/metrics"
	"github.com/tokenkeeper/tokenkeeper/internal/scrapers"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

// servers serve metrics and probes. The manager's own take as many connections and headers as anybody sends.
type servers struct{ listeners []*httpserver.Listener }

// served is the handler of one of the servers: over TLS, where there is a configuration for it.
type served struct {
	name, address string
	connections   int
	handler       http.Handler
	tls           *tls.Config
}

// add starts a server, unless its address is "0", before the caches are filled and without being the leader.
func (s *servers) add(ctx context.Context, mgr manager.Manager, what served) error {
	if what.address == "0" {
		return nil
	}
	name := what.name
	listener, err := what.listen(ctx)
	if err != nil {
		return fmt.Errorf("preparing the server of %s: %w", name, err)
	}
	s.listeners = append(s.listeners, listener)
	server := httpserver.New(httpserver.Options{Handler: what.handler, Log: ctrl.Log.WithName(name)})
	if err := mgr.Add(&manager.Server{Name: name, Server: server, Listener: listener, ShutdownTimeout: new(timeouts.Answer)}); err != nil {
		return fmt.Errorf("adding the server of %s: %w", name, err)
	}
	return nil
}

func (w served) listen(ctx context.Context) (*httpserver.Listener, error) {
	if w.tls != nil {
		return httpserver.ListenTLS(ctx, w.address, w.connections, w.tls)
	}
	return httpserver.Listen(ctx, w.address, w.connections)
}

// close gives the addresses back where the manager was not started.
func (s *servers) close() error {
	var err error
	for _, listener := range s.listeners {
		err = errors.Join(err, listener.Close())
	}
	return err
}

// addMetrics serves the metrics: to everybody who reaches them or, where they are secured, to users that the API server lets read them.
func (s *servers) addMetrics(ctx context.Context, mgr manager.Manager, o Options) error {
	what := served{name: "metrics", address: o.metricsAddress, connections: bounds.MetricsConnections}
	var page http.Handler = metrics.NewPage(ctrlmetrics.Registry, o.Clock.Now)
	if o.metricsSecure {
		page = scrapers.New(mgr.GetClient(), clusterDocument(mgr.GetConfig(), mgr.GetHTTPClient()), o.Clock, ctrl.Log.WithName(what.name)).Protect(page)
		what.tls = scrapers.TLS(o.Clock, rand.Reader)
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", page)
	what.handler = mux
	return s.add(ctx, mgr, what)
}

// addProbes answers whether the process lives, and whether it is ready.
func (s *servers) addProbes(ctx context.Context, mgr manager.Manager, o Options, ready healthz.Checker) error {
	mux := http.NewServeMux()
	for path, checks := range map[string]map[string]healthz.Checker{
		"/healthz": {"ping": healthz.Ping},
		"/readyz":  {"ping": healthz.Ping, "caches": ready},
	} {
		handler := http.StripPrefix(path, &healthz.Handler{Checks: checks})
		mux.Handle(path, handler)
		mux.Handle(path+"/", handler) // each check by itself
	}
	return s.add(ctx, mgr, served{name: "probes", address: o.probeAddress, connections: bounds.ProbeConnections, handler: mux})
}
