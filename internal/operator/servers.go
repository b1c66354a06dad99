package operator

import (
	"context"
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
)

// servers are those of metrics and probes. The manager's own take as many connections and headers as anybody sends.
type servers struct{ listeners []*httpserver.Listener }

// add serves handler on an address, unless that is "0", before the caches are filled and without being the leader.
func (s *servers) add(ctx context.Context, mgr manager.Manager, name, address string, connections int, handler http.Handler) error {
	if address == "0" {
		return nil
	}
	listener, err := httpserver.Listen(ctx, address, connections)
	if err != nil {
		return fmt.Errorf("preparing the server of %s: %w", name, err)
	}
	s.listeners = append(s.listeners, listener)
	server := httpserver.New(httpserver.Options{Handler: handler, Log: ctrl.Log.WithName(name)})
	if err := mgr.Add(&manager.Server{Name: name, Server: server, Listener: listener, ShutdownTimeout: new(bounds.AnswerTimeout)}); err != nil {
		return fmt.Errorf("adding the server of %s: %w", name, err)
	}
	return nil
}

// close gives the addresses back where the manager was not started.
func (s *servers) close() error {
	var err error
	for _, listener := range s.listeners {
		err = errors.Join(err, listener.Close())
	}
	return err
}

func (s *servers) addMetrics(ctx context.Context, mgr manager.Manager, o Options) error {
	mux := http.NewServeMux()
	mux.Handle("/metrics", metrics.NewPage(ctrlmetrics.Registry, o.Clock.Now))
	return s.add(ctx, mgr, "metrics", o.metricsAddress, bounds.MetricsConnections, mux)
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
	return s.add(ctx, mgr, "probes", o.probeAddress, bounds.ProbeConnections, mux)
}
