package signin_test

import (
	"context"
	"crypto/rand"
	"net"
	"net/http"
	"sync"

	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/controller"
	clients "github.com/tokenkeeper/tokenkeeper/internal/kube"
	"github.com/tokenkeeper/tokenkeeper/internal/portal"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/signinflow"
	"github.com/tokenkeeper/tokenkeeper/test/testworld"
)

// replica is the operator, or one of several.
type replica struct {
	address string // of the portal
	leads   <-chan struct{}
	stop    func()
	// stopOperator ends the operator's process where the portal is apart.
	stopOperator func()
}

// replica starts the operator, as cmd/tokenkeeper does: in one process, or where the portal is apart in two. The first one leads.
func (w *world) replica() *replica {
	w.T.Helper()
	r := &replica{address: w.freeAddress()}
	if !w.apart {
		r.leads, r.stop = w.process(operator, controller.Add, r.address)
		return r
	}
	r.leads, r.stopOperator = w.process(operator, controller.Add, "")
	_, stopPortal := w.process(portalApart, controller.AddSignIns, r.address)
	r.stop = func() {
		stopPortal()
		r.stopOperator()
	}
	return r
}

// add is controller.Add or controller.AddSignIns.
type add func(context.Context, manager.Manager, controller.Options) (*signinflow.Visits, error)

// process starts a process with the rights of a user, and the portal at an address, or none where that is empty.
func (w *world) process(user *rest.Config, add add, portalAddress string) (leads <-chan struct{}, stop func()) {
	w.T.Helper()
	cfg := rest.CopyConfig(user)
	cfg.Host = "https://" + w.line.address
	cfg.QPS = -1
	options, err := clients.Shard{}.ManagerOptions(manager.Options{
		Metrics:                       metricsserver.Options{BindAddress: "0"},
		LeaderElection:                user == operator,
		LeaderElectionID:              "tokenkeeper",
		LeaderElectionNamespace:       testworld.OperatorNamespace,
		LeaderElectionReleaseOnCancel: true,
		Controller:                    config.Controller{SkipNameValidation: new(true)},
	})
	w.Expect(err).NotTo(HaveOccurred())
	mgr, err := manager.New(cfg, options)
	w.Expect(err).NotTo(HaveOccurred())
	ctx, cancel := context.WithCancel(context.Background())
	registry := prometheus.NewRegistry()
	address := signin.Address(w.front.url)
	visits, err := add(ctx, mgr, controller.Options{
		Clock:                   w.clock,
		Transport:               &http.Transport{DisableKeepAlives: true},
		Registry:                registry,
		MaxConcurrentReconciles: 16,
		Portal:                  address,
		RequireUseLabel:         true,
		LinksInSecret:           w.linksInSecret,
		CustodyKey:              client.ObjectKey{Namespace: testworld.OperatorNamespace, Name: testworld.CustodyKey},
		NewQueue:                w.newQueue,
	})
	w.Expect(err).NotTo(HaveOccurred())
	if portalAddress != "" {
		pages, err := portal.New(portal.Options{
			Address: address, BindAddress: portalAddress, SignIns: visits, Reader: mgr.GetClient(), Writer: mgr.GetClient(),
			Recorder: mgr.GetEventRecorder(v1alpha1.ManagedBy), Clock: w.clock, Random: rand.Reader, Log: ctrl.Log.WithName("portal"),
		})
		w.Expect(err).NotTo(HaveOccurred())
		w.Expect(mgr.Add(pages)).To(Succeed())
	}
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	stop = sync.OnceFunc(func() {
		if err := said.Metrics(registry); err != nil {
			w.T.Error(err)
		}
		cancel()
		if err := <-done; err != nil {
			w.T.Errorf("the process ended with: %v", err)
		}
	})
	w.T.Cleanup(stop)
	w.Eventually(func() error {
		select {
		case err := <-done:
			done <- err
			return StopTrying("the process ended").Wrap(err)
		default:
		}
		if portalAddress == "" {
			return visits.Ready(nil)
		}
		response, err := http.Get("http://" + portalAddress + "/readyz")
		if err == nil {
			response.Body.Close()
		}
		return err
	}).Should(Succeed())
	return mgr.Elected(), stop
}

func (w *world) newQueue(name string, limiter workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request] {
	return workqueue.NewTypedRateLimitingQueueWithConfig(limiter, workqueue.TypedRateLimitingQueueConfig[reconcile.Request]{Name: name, Clock: testworld.QueueClock{FakeClock: w.clock.FakeClock}})
}

// freeAddress is an address on loopback that no program listens on.
func (w *world) freeAddress() string {
	w.T.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	w.Expect(err).NotTo(HaveOccurred())
	defer listener.Close()
	return listener.Addr().String()
}
