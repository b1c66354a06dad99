package controller

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/tokenkeeper/tokenkeeper/internal/accountindex"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/grantstore"
	"github.com/tokenkeeper/tokenkeeper/internal/metrics"
	"github.com/tokenkeeper/tokenkeeper/internal/signinflow"
)

// AddSignIns adds what completes sign-ins to a manager that was made with kube.Shard.ManagerOptions, and no controller: nothing is renewed,
// polled or published, and no status is written. A controller in another process goes on with what a sign-in has brought, which its
// watch of the grant Secret tells it of. RequestEvery, CountAccounts and NewQueue of the options are not used.
func AddSignIns(ctx context.Context, mgr manager.Manager, options Options) (*signinflow.Visits, error) {
	options = options.withDefaults()
	if err := accountindex.BySeller.Add(ctx, mgr.GetFieldIndexer()); err != nil {
		return nil, err
	}
	clients, err := options.connect(ctx, mgr)
	if err != nil {
		return nil, err
	}
	cluster, err := clusterIdentity(ctx, mgr.GetAPIReader())
	if err != nil {
		return nil, err
	}
	keys, err := options.addCustodyKey(ctx, mgr) // which the controller of the other process makes
	if err != nil {
		return nil, err
	}
	grants := grantstore.New(grantstore.Options{Client: clients.Client, Live: clients.Live, Cluster: cluster, Keys: keys})
	visiting, err := options.newDriver(mgr, clients, grants, nil, metrics.NewOperations(options.Registry), func(facts.Request, error) {})
	if err != nil {
		return nil, err
	}
	metrics.RegisterHosts(options.Registry, visiting.OAuth.Hosts)
	return options.addVisits(mgr, clients, grants, &visiting, func(context.Context) error { return nil })
}
