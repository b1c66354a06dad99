package simulation_test

import (
	"context"
	"flag"
	"io"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/controller"
	"github.com/tokenkeeper/tokenkeeper/internal/kube"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

var (
	isOperator = flag.Bool("operator", false, "be the operator of a fleet; the world starts it so")
	sinceBegin = flag.Duration("since", 0, "how much of its history is over when the operator starts")
	onlyLabel  = flag.String("label", "", "the operator keeps accounts with this label alone")
	onlyIn     = flag.String("namespaces", "", "the operator keeps accounts in these namespaces alone")
	poolOfWork = flag.Int("workers", 256, "how many accounts of a fleet are worked on at once")
	writesEach = flag.Int("writes", 500, "how many requests a second the API server of a fleet takes")
	profile    = flag.String("profile", "", "the files for profiles of the processor time of each operator of a fleet begin so")
)

const (
	// requestTakes and askingTakes are how long a request to the API server and one to a marketplace take by themselves.
	requestTakes = 5 * time.Millisecond
	askingTakes  = 100 * time.Millisecond
	// pause is the time from one sample to the next.
	pause = 30 * time.Second
)

// waitingMetric is the gauge of the accounts that wait for a permit, by host.
const waitingMetric = "tokenkeeper_token_host_requests_waiting"

// sample is how it is with the operator's process.
type sample struct {
	// CPU is the processor time since it began, user and system.
	CPU time.Duration
	// Queue is the longest that the work queue was since the last sample, and Waiting how many accounts wait for a permit.
	Queue, Waiting int
	// Underway is how many requests were under way at once to each host since the last sample.
	Underway map[string]int
	// Alive is the memory that a garbage collection left, Resident the memory that the system gave the process, and Peak the most that it ever gave.
	Alive, Resident, Peak uint64
	// Scrape is how much processor time it takes to gather all metrics, and Measured the processor time once all was measured.
	Scrape, Measured time.Duration
}

// TestOperatorOfAFleet is the operator's process: controller, clients, caches and work queue are the program's.
func TestOperatorOfAFleet(t *testing.T) {
	if !*isOperator {
		t.Skip("the world of a fleet starts it")
	}
	stopProfile := startProfile(t)
	w := newWire(os.NewFile(3, "answers"), os.NewFile(4, "calls"))
	w.pace.every, w.pace.takes = time.Second/time.Duration(*writesEach), requestTakes
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(*sinceBegin) //nolint:forbidigo // in virtual time
		o := &fleetOperator{wire: w}
		o.start(t)
		o.tick(t)
		o.stop()
		stopProfile()
		_, _ = w.call(call{Kind: onEnd, Sample: o.sample()}) // it is not answered: the process is killed
	})
}

func startProfile(t *testing.T) (stop func()) {
	t.Helper()
	if *profile == "" {
		return func() {}
	}
	file, err := os.Create(*profile)
	if err != nil {
		t.Fatal(err)
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		t.Fatal(err)
	}
	return func() {
		pprof.StopCPUProfile()
		_ = file.Close()
	}
}

// fleetOperator is the operator of a fleet.
type fleetOperator struct {
	wire   *wire
	depth  depth
	hosts  hostsAlone
	all    *prometheus.Registry
	cancel context.CancelFunc
	ended  chan error
}

func (o *fleetOperator) start(t *testing.T) {
	t.Helper()
	ctrl.SetLogger(zap.New(zap.WriteTo(io.Discard)))
	options, err := shardOfOperator(t).ManagerOptions(manager.Options{
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		Controller:              config.Controller{SkipNameValidation: new(true)},
		GracefulShutdownTimeout: new(timeouts.Shutdown),
	})
	if err != nil {
		t.Fatal(err)
	}
	options.MapperProvider = mapper
	mgr, err := manager.New(&rest.Config{Host: "https://api.example", QPS: -1, Transport: apiConnection{o.wire}}, options)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	o.cancel, o.ended, o.all = cancel, make(chan error, 1), prometheus.NewRegistry()
	o.hosts.Registerer = o.all
	_, err = controller.Add(ctx, mgr, controller.Options{
		Clock: clock.RealClock{}, Transport: marketConnection{o.wire, askingTakes}, Registry: &o.hosts, MaxConcurrentReconciles: *poolOfWork,
		RequireUseLabel: true, CountAccounts: *onlyLabel == "" && *onlyIn == "", CustodyKey: types.NamespacedName{Namespace: operatorNamespace, Name: "tokenkeeper-custody-key"},
		NewQueue: func(name string, limiter workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request] {
			return priorityqueue.New(name, func(o2 *priorityqueue.Opts[reconcile.Request]) {
				o2.RateLimiter, o2.MetricProvider = limiter, &o.depth
			})
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	go func() { o.ended <- mgr.Start(ctx) }()
}

// shardOfOperator is which accounts the operator keeps.
func shardOfOperator(t *testing.T) kube.Shard {
	t.Helper()
	var shard kube.Shard
	if *onlyIn != "" {
		shard.Namespaces = strings.Split(*onlyIn, ",")
	}
	if *onlyLabel != "" {
		selector, err := labels.Parse(*onlyLabel)
		if err != nil {
			t.Fatal(err)
		}
		shard.Selector = selector
	}
	return shard
}

// tick tells the world each half minute how it is, and follows the orders of the world, until that is to end.
func (o *fleetOperator) tick(t *testing.T) {
	t.Helper()
	for {
		time.Sleep(time.Until(time.Now().Truncate(pause).Add(pause))) //nolint:forbidigo // in virtual time
		said, err := o.wire.call(call{Kind: onTick, Sample: o.sample()})
		for err == nil && said.Do == measureMemory {
			measured := o.sample()
			o.measure(&measured)
			said, err = o.wire.call(call{Kind: onMeasured, Sample: measured})
		}
		if err != nil {
			t.Fatal(err)
		}
		if said.Do == end {
			return
		}
	}
}

// stop ends the operator as Kubernetes does.
func (o *fleetOperator) stop() {
	o.cancel()
	<-o.ended
}

// sample is how it is now.
func (o *fleetOperator) sample() sample {
	s := sample{CPU: processorTime(), Queue: o.depth.since(), Waiting: o.hosts.waiting(), Underway: o.wire.underway.since()}
	s.Resident, s.Peak = memoryOf("VmRSS"), memoryOf("VmHWM")
	return s
}

// measure measures the figures that a sample does not have each second.
func (o *fleetOperator) measure(s *sample) {
	before := processorTime()
	if _, err := o.all.Gather(); err != nil {
		panic(err)
	}
	s.Scrape = processorTime() - before
	debug.FreeOSMemory()
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	s.Alive, s.Resident, s.Measured = memory.HeapAlloc, memoryOf("VmRSS"), processorTime()
}

// processorTime is the time that the system has charged to the process.
func processorTime() time.Duration {
	var used syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used)
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// memoryOf is a line of the system's file on the process, in bytes.
func memoryOf(line string) uint64 {
	said, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0 // it is no Linux
	}
	for text := range strings.Lines(string(said)) {
		if rest, ok := strings.CutPrefix(text, line+":"); ok {
			kilobytes, _ := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kilobytes << 10
		}
	}
	return 0
}

// hostsAlone is a registry that knows which of its metrics are about hosts, so that they can be read alone.
type hostsAlone struct {
	prometheus.Registerer
	collector prometheus.Collector
}

// MustRegister implements prometheus.Registerer.
func (h *hostsAlone) MustRegister(all ...prometheus.Collector) {
	for _, one := range all {
		described := make(chan *prometheus.Desc, 64)
		one.Describe(described)
		close(described)
		for desc := range described {
			if strings.Contains(desc.String(), waitingMetric) {
				h.collector = one
			}
		}
	}
	h.Registerer.MustRegister(all...)
}

// waiting is how many accounts wait for a permit.
func (h *hostsAlone) waiting() int {
	told := make(chan prometheus.Metric)
	go func() {
		defer close(told)
		h.collector.Collect(told)
	}()
	total := 0
	for metric := range told {
		var value dto.Metric
		if strings.Contains(metric.Desc().String(), waitingMetric) && metric.Write(&value) == nil {
			total += int(value.GetGauge().GetValue())
		}
	}
	return total
}

// mapper knows the kinds that the operator asks for.
func mapper(*rest.Config, *http.Client) (meta.RESTMapper, error) {
	known := meta.NewDefaultRESTMapper(nil)
	for kind, scope := range map[schema.GroupVersionKind]meta.RESTScope{
		v1alpha1.GroupVersion.WithKind("MarketplaceAccount"): meta.RESTScopeNamespace,
		v1alpha1.GroupVersion.WithKind("Marketplace"):        meta.RESTScopeRoot,
		corev1.SchemeGroupVersion.WithKind("Secret"):         meta.RESTScopeNamespace,
		corev1.SchemeGroupVersion.WithKind("Namespace"):      meta.RESTScopeRoot,
	} {
		known.Add(kind, scope)
		known.Add(kind.GroupVersion().WithKind(kind.Kind+"List"), scope)
	}
	return known, nil
}

// depth counts the accounts that wait for a worker. It implements workqueue.MetricsProvider.
type depth struct {
	mu        sync.Mutex // guards the rest
	now, most int
}

func (d *depth) since() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	most := d.most
	d.most = d.now
	return most
}

// Inc implements workqueue.GaugeMetric.
func (d *depth) Inc() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now++
	d.most = max(d.most, d.now)
}

// Dec implements workqueue.GaugeMetric.
func (d *depth) Dec() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now--
}

// unused takes output that is never read.
type unused struct{}

func (unused) Inc()            {}
func (unused) Set(float64)     {}
func (unused) Observe(float64) {}

func (d *depth) NewDepthMetric(string) workqueue.GaugeMetric            { return d }
func (d *depth) NewAddsMetric(string) workqueue.CounterMetric           { return unused{} }
func (d *depth) NewLatencyMetric(string) workqueue.HistogramMetric      { return unused{} }
func (d *depth) NewWorkDurationMetric(string) workqueue.HistogramMetric { return unused{} }
func (d *depth) NewUnfinishedWorkSecondsMetric(string) workqueue.SettableGaugeMetric {
	return unused{}
}
func (d *depth) NewLongestRunningProcessorSecondsMetric(string) workqueue.SettableGaugeMetric {
	return unused{}
}
func (d *depth) NewRetriesMetric(string) workqueue.CounterMetric { return unused{} }
