// Command tokenkeeper is the operator: it keeps the token Secrets of MarketplaceAccounts valid, and serves the pages where
// people sign in.
package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/controller"
	"github.com/tokenkeeper/tokenkeeper/internal/portal"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// shutdownTimeout lets a token request that is under way end, and its answer be stored. It is shorter than the
// terminationGracePeriodSeconds of the manifests.
const shutdownTimeout = 110 * time.Second

func main() {
	o, err := parse(flag.CommandLine, os.Args[1:])
	if err == nil {
		err = run(ctrl.SetupSignalHandler(), o)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "tokenkeeper:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	o.log.Level = controller.LogLevel(o.log.Level)
	log := zap.New(zap.UseFlagOptions(&o.log))
	ctrl.SetLogger(log)
	klog.SetLogger(log)

	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("finding the cluster: %w", err)
	}
	// The API server's priority and fairness protects it better than a limit that knows nothing of its load.
	config.QPS = -1
	config.UserAgent = "tokenkeeper"
	managerOptions, err := controller.ManagerOptions(manager.Options{
		Metrics:                       metricsserver.Options{BindAddress: o.metricsAddress},
		HealthProbeBindAddress:        o.probeAddress,
		LeaderElection:                o.leaderElect,
		LeaderElectionID:              "tokenkeeper",
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       new(shutdownTimeout),
	})
	if err != nil {
		return err
	}
	mgr, err := manager.New(config, managerOptions)
	if err != nil {
		return fmt.Errorf("preparing the manager: %w", err)
	}
	for _, add := range []func(string, healthz.Checker) error{mgr.AddHealthzCheck, mgr.AddReadyzCheck} {
		if err := add("ping", healthz.Ping); err != nil {
			return fmt.Errorf("adding a health check: %w", err)
		}
	}
	signIns, err := controller.Add(ctx, mgr, controller.Options{
		Clock:                   clock.RealClock{},
		Transport:               transport(),
		Registry:                metrics.Registry,
		MaxConcurrentReconciles: o.maxConcurrentReconciles,
		Portal:                  signin.Address(o.portalURL),
	})
	if err != nil {
		return err
	}
	if err := mgr.AddReadyzCheck("caches", signIns.Ready); err != nil {
		return fmt.Errorf("adding a health check: %w", err)
	}
	if err := addPortal(mgr, o, signIns); err != nil {
		return err
	}
	log.Info("Starting tokenkeeper")
	return mgr.Start(ctx)
}

// addPortal serves the pages where people sign in, unless they are turned off.
func addPortal(mgr manager.Manager, o options, signIns portal.SignIns) error {
	if o.portalBindAddress == "0" {
		return nil
	}
	pages, err := portal.New(portal.Options{
		Address:     signin.Address(o.portalURL),
		BindAddress: o.portalBindAddress,
		SignIns:     signIns,
		Reader:      mgr.GetClient(),
		Writer:      client.WithFieldOwner(mgr.GetClient(), v1alpha1.ManagedBy),
		Clock:       clock.RealClock{},
		Random:      rand.Reader,
		Log:         ctrl.Log.WithName("portal"),
	})
	if err != nil {
		return err
	}
	if err := mgr.Add(pages); err != nil {
		return fmt.Errorf("adding the portal: %w", err)
	}
	return nil
}

// transport carries requests to marketplaces. Connections are not kept: net/http cannot tell whether a request
// on a connection that turns out to be closed was seen, and a single-use refresh token must not be sent in doubt.
func transport() http.RoundTripper {
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    10 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		DisableKeepAlives:      true,
	}
}
