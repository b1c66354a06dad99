package controller_test

import (
	"context"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/controller"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	clients "github.com/tokenkeeper/tokenkeeper/internal/kube"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/signinflow"
)

// standby starts a replica that answers people and does not lead, and has its own way to the API server.
func (w *world) standby() (*signinflow.Visits, *traffic) {
	w.T.Helper()
	own := &traffic{}
	own.reset()
	now := time.Now().UTC().Format(metav1.RFC3339Micro)
	w.Create(&unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
		"metadata": map[string]any{"namespace": w.Namespace, "name": "leader"},
		"spec":     map[string]any{"holderIdentity": "the-leader", "leaseDurationSeconds": int64(3600), "acquireTime": now, "renewTime": now},
	}})
	cfg := rest.CopyConfig(apiServer.Config)
	cfg.QPS = -1
	cfg.Wrap(own.wrap)
	options, err := clients.Shard{Namespaces: []string{w.Namespace}}.ManagerOptions(manager.Options{
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		Controller:              config.Controller{SkipNameValidation: new(true)},
		LeaderElection:          true,
		LeaderElectionID:        "leader",
		LeaderElectionNamespace: w.Namespace,
	})
	w.Expect(err).NotTo(HaveOccurred())
	mgr, err := manager.New(cfg, options)
	w.Expect(err).NotTo(HaveOccurred())
	ctx, cancel := context.WithCancel(context.Background())
	visits, err := controller.Add(ctx, mgr, controller.Options{
		Clock:       w.clock,
		Transport:   &http.Transport{DisableKeepAlives: true},
		Registry:    prometheus.NewRegistry(),
		CallTimeout: w.callTimeout,
		Portal:      w.portal,

		RequireUseLabel: true,
	})
	w.Expect(err).NotTo(HaveOccurred())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	w.T.Cleanup(func() {
		cancel()
		w.Expect(<-done).To(Succeed())
	})
	w.Eventually(func() error { return visits.Ready(nil) }).Should(Succeed())
	return visits, own
}

func TestACallbackThatReachesTwoReplicas(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("allegro", v1alpha1.GrantAuthorizationCode)
	w.start()
	standby, own := w.standby()
	b := w.browser()
	visit, err := b.begin(w.link())
	w.Expect(err).NotTo(HaveOccurred())
	back := b.consent("allegro", visit, demomarket.Person{})
	w.settle()

	// Both have looked at the visit before either writes.
	var looked atomic.Int32
	both := make(chan struct{})
	meet := func(request *http.Request) *http.Response {
		if writesTo(request, "main-grant") {
			if looked.Add(1) == 2 {
				close(both)
			}
			select {
			case <-both:
			case <-request.Context().Done():
			}
		}
		return nil
	}
	defer w.traffic.refusing(meet)()
	defer own.refusing(meet)()
	told := make(chan string, 2)
	for _, visits := range []*signinflow.Visits{w.visits, standby} {
		go func() {
			outcome, err := visits.Complete(t.Context(), w.Namespace+"-allegro", back.Query(), func(name string) string { return b.cookies[name] })
			told <- outcome.ID + ", " + errorText(err)
		}()
	}
	seller := market.Seller().ID + ", no error"
	w.Expect([]string{<-told, <-told}).To(Equal([]string{seller, seller}))
	w.Expect(w.calls("allegro")).To(Equal(1), "the code was sent twice")
	w.expectReady()
	w.Expect(market.AccessTokenValid(w.token()["access_token"])).To(BeTrue())
}

// lostAnswer lets the API server write, and loses its answer.
func lostAnswer(request *http.Request) *http.Response {
	transport, err := rest.TransportFor(apiServer.Config)
	if err == nil {
		var response *http.Response
		if response, err = transport.RoundTrip(request); err == nil {
			response.Body.Close()
		}
	}
	if err != nil {
		panic(err)
	}
	return refusal(http.StatusGatewayTimeout, metav1.StatusReasonTimeout)
}

func TestAnswersOfTheAPIServerAreLost(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("allegro", v1alpha1.GrantAuthorizationCode)
	w.start()
	link := w.link()
	w.settle()
	var writes atomic.Int32
	defer w.traffic.refusing(func(request *http.Request) *http.Response {
		if !writesTo(request, "main-grant") || writes.Add(1)%2 == 0 {
			return nil
		}
		return lostAnswer(request)
	})()
	b := w.browser()
	visit, err := b.begin(link)
	w.Expect(err).NotTo(HaveOccurred())
	back := b.consent("allegro", visit, demomarket.Person{})
	w.settle()
	outcome, err := b.comeBack(back)
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(outcome.ID).To(Equal(market.Seller().ID))
	w.expectReady()
	w.Expect(writes.Load()).To(BeNumerically(">=", 3))
	w.Expect(w.calls("allegro")).To(Equal(1))
	w.Expect(market.AccessTokenValid(w.token()["access_token"])).To(BeTrue())
}

func TestAnAnswerIsLostAndARenewalFollows(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("oidc", v1alpha1.GrantAuthorizationCode)
	w.start()
	standby, own := w.standby()
	b := w.browser()
	visit, err := b.begin(w.link())
	w.Expect(err).NotTo(HaveOccurred())
	back := b.consent("oidc", visit, demomarket.Person{})
	w.settle()

	// The replica stores the tokens, does not learn that it did, and is cut off.
	var cut atomic.Bool
	mended := own.refusing(func(request *http.Request) *http.Response {
		switch {
		case cut.Load():
			return refusal(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable)
		case w.calls("oidc") > 0 && writesTo(request, "main-grant"):
			cut.Store(true)
			return lostAnswer(request)
		}
		return nil
	})
	told := make(chan error, 1)
	go func() {
		_, err := standby.Complete(t.Context(), w.Namespace+"-oidc", back.Query(), func(name string) string { return b.cookies[name] })
		told <- err
	}()
	w.expectReady()
	w.passRenewal()
	renewed := w.token()
	mended()
	w.Expect(<-told).NotTo(HaveOccurred())
	w.settle()
	w.expectAuthenticated() // the refresh token that was spent by the renewal has not come back
	w.Expect(w.token()).To(Equal(renewed))
	w.passRenewal()
	w.Expect(market.Report().DoubleSpends).To(BeZero())
}

func TestForgedCallbacks(t *testing.T) {
	w := newWorld(t)
	w.prepareSignIn("allegro", v1alpha1.GrantAuthorizationCode)
	w.start()
	w.link()
	w.settle()
	w.traffic.reset()
	for i := range 1000 {
		query := map[string][]string{"state": {"forged-" + strconv.Itoa(i)}, "code": {"x"}}
		_, err := w.visits.Complete(t.Context(), w.Namespace+"-allegro", query, func(string) string { return w.Namespace + "/main/a-guess" })
		w.Expect(problemOf(err)).To(Equal(signin.VisitUnknown))
	}
	w.Expect(w.traffic.reads()).To(BeNumerically("<=", 50), "%v", w.traffic.counted())
	w.Expect(w.traffic.writes()).To(BeZero())
	w.pass(time.Second)
	w.signedIn("allegro")
}
