// Package operator is the program: it reads the flags, and runs the controller and the portal against a cluster.
package operator

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/controller"
	"github.com/tokenkeeper/tokenkeeper/internal/crds"
	operatormetrics "github.com/tokenkeeper/tokenkeeper/internal/metrics"
	"github.com/tokenkeeper/tokenkeeper/internal/outgoing"
	"github.com/tokenkeeper/tokenkeeper/internal/portal"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/signinflow"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
	"github.com/tokenkeeper/tokenkeeper/internal/version"
)

// Run works until ctx ends, or until there is no use in going on. It returns when the work under way is done.
func Run(ctx context.Context, o Options) error {
	o.log.Level = controller.LogLevel(o.log.Level)
	log := zap.New(zap.UseFlagOptions(&o.log))
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	limitMemory(log, os.Getenv)

	if err := outgoing.CheckEnvironment(os.Getenv); err != nil {
		return err
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("finding the cluster: %w", err)
	}
	// The API server's priority and fairness protects it better than a limit that knows nothing of its load.
	config.QPS = -1
	build := version.Get()
	config.UserAgent = "tokenkeeper/" + build.Version
	if !o.portalOnly { // by this series alerts know that the operator is there
		operatormetrics.RegisterBuild(metrics.Registry, build.Version, build.Commit)
	}
	managerOptions, err := o.shard.kept().ManagerOptions(manager.Options{
		Metrics:                       metricsserver.Options{BindAddress: "0"}, // see servers
		LeaderElection:                o.leaderElect,
		LeaderElectionID:              o.shard.lease(),
		LeaderElectionReleaseOnCancel: true,
		GracefulShutdownTimeout:       new(timeouts.Shutdown),
	})
	if err != nil {
		return err
	}
	mgr, err := manager.New(config, managerOptions)
	if err != nil {
		return fmt.Errorf("preparing the manager: %w", err)
	}
	add := addOperator
	if o.portalOnly {
		add = controller.AddSignIns
	}
	signIns, err := add(ctx, mgr, controller.Options{
		Clock:                   o.Clock,
		Transport:               o.Transport,
		IssuerTransport:         o.issuerTransport(),
		Registry:                metrics.Registry,
		MaxConcurrentReconciles: o.maxConcurrentReconciles,
		RequestEvery:            o.RequestEvery,
		Portal:                  signin.Address(o.portalURL),
		RequireUseLabel:         o.requireUseLabel,
		LinksInSecret:           o.signInLinks == linksInSecret,
		CustodyKey:              types.NamespacedName{Namespace: ownNamespace(os.ReadFile), Name: o.custodyKeySecret},
		CountAccounts:           len(o.shard.namespaces) == 0 && o.shard.selector == nil,
	})
	if err != nil {
		return err
	}
	var servers servers
	defer func() { _ = servers.close() }()
	if err := errors.Join(servers.addMetrics(ctx, mgr, o), servers.addProbes(ctx, mgr, o, signIns.Ready)); err != nil {
		return err
	}
	if err := addPortal(mgr, o, signIns); err != nil {
		return err
	}
	if err := mgr.Add(memoryRelease{}); err != nil {
		return fmt.Errorf("adding the release of memory: %w", err)
	}
	log.Info("Starting tokenkeeper", "version", build.Version, "commit", build.Commit, "portalOnly", o.portalOnly)
	err = mgr.Start(ctx)
	if ctx.Err() == nil {
		// The lease is lost. Another replica may work by now, but only we can store the answers of marketplaces to us.
		draining, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeouts.Shutdown)
		defer cancel()
		signIns.Drain(draining)
	}
	return err
}

// addOperator adds what keeps the tokens of accounts valid, and compares the definitions in the cluster with those that it was built with.
func addOperator(ctx context.Context, mgr manager.Manager, options controller.Options) (*signinflow.Visits, error) {
	signIns, err := controller.Add(ctx, mgr, options)
	if err != nil {
		return nil, err
	}
	definitions := &crds.Watch{
		Reader: mgr.GetAPIReader(),
		Log:    ctrl.Log.WithName("crds"),
		Report: operatormetrics.RegisterCRDOutdated(metrics.Registry),
	}
	if err := mgr.Add(definitions); err != nil {
		return nil, fmt.Errorf("adding the comparison of definitions: %w", err)
	}
	return signIns, nil
}

// addPortal serves the pages where people sign in, unless they are turned off.
func addPortal(mgr manager.Manager, o Options, signIns portal.SignIns) error {
	if o.portalBindAddress == "0" {
		return nil
	}
	pages, err := portal.New(portal.Options{
		Address:     signin.Address(o.portalURL),
		BindAddress: o.portalBindAddress,
		SignIns:     signIns,
		Reader:      mgr.GetClient(),
		Writer:      client.WithFieldOwner(mgr.GetClient(), v1alpha1.ManagedBy),
		Recorder:    mgr.GetEventRecorder(v1alpha1.ManagedBy),
		Clock:       o.Clock,
		Random:      rand.Reader,
		Log:         ctrl.Log.WithName("portal"),

		ClusterDocument: clusterDocument(mgr.GetConfig(), mgr.GetHTTPClient()),
		TrustedProxies:  o.trustedProxies,
		Organisation:    o.portalOrganisation,
		Contact:         o.portalContact,
	})
	if err != nil {
		return err
	}
	if err := mgr.Add(pages); err != nil {
		return fmt.Errorf("adding the portal: %w", err)
	}
	return nil
}

// issuerTransport carries requests for the documents of issuers. The writer of a Marketplace names the issuer, and the issuer
// names the address of its keys.
func (o Options) issuerTransport() http.RoundTripper {
	if o.denyPrivateAddresses {
		return outgoing.NewPublicTransport()
	}
	return outgoing.NewTransport()
}
