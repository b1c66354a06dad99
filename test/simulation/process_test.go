package simulation_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"reflect"
	"runtime"
	"strings"
	"syscall"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kuberuntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/recorder"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/controller"
	"github.com/tokenkeeper/tokenkeeper/internal/kube"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/signinflow"
)

// workers is how many accounts one process works on at once, and portal where people sign in.
const (
	workers = 16
	portal  = "https://portal.example"
)

// process is an operator: the whole of internal/controller with the packages below it, on a cache of its own.
type process struct {
	world *world
	name  string
	// offset is how far its clock is ahead.
	offset time.Duration
	cache  *watchCache
	queue  *workQueue
	visits *signinflow.Visits
	random *rand.ChaCha8

	ctx    context.Context
	cancel context.CancelFunc
	ended  chan struct{}
	dead   bool
	// stalled tells that it stands still.
	stalled bool
	// lagUntil is until when its watches show nothing.
	lagUntil time.Time
	// calls counts the calls that leave the process: reads and writes of the API server, and requests to marketplaces.
	calls int
	// crash and stall are disturbances at a call that is still to come; nil for none.
	crash, stall *disturbance
	// hand are refresh tokens that a marketplace gave this process and that are neither stored yet nor rejected.
	hand map[string]*consent
}

// disturbance ends or halts a process at a call: after so many calls from now on, before the call has its effect or after it.
type disturbance struct {
	in    int
	after bool
	long  time.Duration
}

var scheme = func() *kuberuntime.Scheme {
	made, err := kube.Scheme()
	if err != nil {
		panic(err)
	}
	return made
}()

// begin starts an operator, as a pod does that has just got the lease.
func (w *world) begin(name string) *process {
	var seed [32]byte
	copy(seed[:], fmt.Sprintf("%d %s", w.seed, name))
	p := &process{world: w, name: name, offset: w.clockOffset, random: rand.NewChaCha8(seed), ended: make(chan struct{}), hand: map[string]*consent{}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.cache = w.api.watch()
	mgr := &simulatedManager{process: p}
	pages := signin.Address(portal)
	if w.noPortal {
		pages = ""
	}
	visits, err := controller.Add(p.ctx, mgr, controller.Options{
		Clock: p, Transport: transport{p}, Registry: prometheus.NewRegistry(), MaxConcurrentReconciles: workers, Portal: pages, Random: p.random,
		Observe: w.covers, LinksInSecret: w.linksInSecret,
		NewQueue: func(_ string, limiter workqueue.TypedRateLimiter[reconcile.Request]) workqueue.TypedRateLimitingInterface[reconcile.Request] {
			p.queue = newWorkQueue(limiter)
			return p.queue
		},
		Connect: func(ctx context.Context, _ manager.Manager, clock clock.PassiveClock) (*kube.Clients, error) {
			return kube.Assemble(ctx, connection{process: p}, kube.Parts{
				Cached: p.cache, Live: live{process: p}, Informers: p.cache, Metadata: p.cache,
				ForeignSecrets: p.cache.foreignSecrets, NamespaceLabels: noLabels, Clock: clock,
			})
		},
	})
	if err != nil {
		panic(err)
	}
	p.visits = visits
	go func() {
		defer close(p.ended)
		if err := mgr.accounts.Start(p.ctx); err != nil {
			panic(err)
		}
	}()
	synctest.Wait()
	w.processes = append(w.processes, p)
	w.note("%s begins", name)
	return p
}

// Now and Since implement clock.PassiveClock.
func (p *process) Now() time.Time { return time.Now().Add(p.offset) }

func (p *process) Since(t time.Time) time.Duration { return p.Now().Sub(t) }

// kill ends a process at once. What it does from then on has no effect: a goroutine of it ends at its next call.
func (p *process) kill() {
	if p.dead {
		return
	}
	p.dead = true
	p.world.owed = nil // events that it has not told die with it
	p.world.note("%s is killed", p.name)
	p.world.api.unwatch(p.cache)
	for token, of := range p.hand {
		of.lose(token)
	}
	p.cancel()
}

// stop ends a process as Kubernetes does, which waits until it has stored all that it holds.
func (p *process) stop() {
	if p.dead {
		return
	}
	p.world.note("%s is asked to end", p.name)
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		draining, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
		defer cancel()
		p.visits.Drain(draining)
	}()
	p.world.await(drained)
	p.kill()
}

// ends stops the goroutine of a process that was killed.
func (p *process) ends() {
	if p.dead {
		runtime.Goexit()
	}
}

// call makes a call that leaves the process, and lets the disturbance come that the history wants.
func (p *process) call(what string, do func() error) error {
	p.ends()
	p.calls++
	p.world.calls++
	if p.world.calls > p.world.mostCalls {
		p.world.breaks("%d calls in one history: something is asked for again and again, at last %s", p.world.calls, what)
		p.kill()
		p.ends()
	}
	p.disturb(what, false)
	err := do()
	p.disturb(what, true)
	if p.world.telling {
		p.world.note("%s: %s%s", p.name, what, because(err))
	}
	return err
}

func because(err error) string {
	if err == nil {
		return ""
	}
	return ": " + err.Error()
}

// disturb kills or stalls the process where the history says so.
func (p *process) disturb(what string, after bool) {
	if d := p.stall; d != nil && d.after == after {
		if d.in--; d.in < 0 {
			p.stall = nil
			p.world.note("%s stands still for %s at: %s", p.name, d.long, what)
			p.stalled = true
			p.world.run(time.Now().Add(d.long))
			p.stalled = false
			p.ends()
		}
	}
	if d := p.crash; d != nil && d.after == after {
		if d.in--; d.in < 0 {
			p.crash = nil
			p.world.note("%s crashes at: %s, after it: %t", p.name, what, after)
			p.kill()
			p.world.restartAt = append(p.world.restartAt, time.Now().Add(d.long))
			p.ends()
		}
	}
}

// write is a write of the API server, which may be refused or get lost.
func (p *process) write(verb string, object client.Object, do func() error) error {
	at := refOf(object)
	return p.call(verb+" "+string(at.kind)+" "+at.Name, func() (err error) {
		defer func() { p.world.notesRefusal(err) }()
		refusal := p.world.refusalOf(verb, at)
		if refusal == nil {
			err := do()
			p.world.isWritten(verb, at, err != nil)
			return err
		}
		p.world.isWritten(verb, at, true)
		if refusal.after {
			if err := do(); err != nil {
				return err
			}
		}
		return refusal.error(at)
	})
}

// refusal is how the API server fails.
type refusal struct {
	name string
	// after tells that the call has its effect, and its answer is lost.
	after bool
}

var errReset error = &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}

func (r refusal) error(at ref) error {
	switch r.name {
	case "conflict":
		return apierrors.NewConflict(at.kind.resource(), at.Name, errors.New("the object has been modified"))
	case "forbidden":
		return apierrors.NewForbidden(at.kind.resource(), at.Name, errors.New("exceeded quota"))
	case "busy":
		return apierrors.NewTooManyRequests("busy", 1)
	case "internal":
		return apierrors.NewInternalError(errors.New("etcdserver: leader changed"))
	case "reset", "lost":
		return fmt.Errorf("write: %w", errReset)
	}
	return apierrors.NewServiceUnavailable("away")
}

// connection reads from the cache of a process and writes to the API server.
type connection struct {
	client.Client // for methods that the operator does not call
	process       *process
}

func (c connection) Get(ctx context.Context, key client.ObjectKey, into client.Object, options ...client.GetOption) error {
	c.process.ends()
	return c.process.cache.Get(ctx, key, into, options...)
}

func (c connection) List(ctx context.Context, into client.ObjectList, options ...client.ListOption) error {
	c.process.ends()
	return c.process.cache.List(ctx, into, options...)
}

func (c connection) Create(_ context.Context, object client.Object, _ ...client.CreateOption) error {
	return c.process.write("create", object, func() error { return c.process.world.api.create(object) })
}

func (c connection) Update(_ context.Context, object client.Object, _ ...client.UpdateOption) error {
	return c.process.write("update", object, func() error { return c.process.world.api.update(object) })
}

func (c connection) Delete(_ context.Context, object client.Object, options ...client.DeleteOption) error {
	asked := client.DeleteOptions{}
	asked.ApplyOptions(options)
	var uid types.UID
	if asked.Preconditions != nil && asked.Preconditions.UID != nil {
		uid = *asked.Preconditions.UID
	}
	return c.process.write("delete", object, func() error {
		return c.process.world.api.delete(ref{kindOf(object), client.ObjectKeyFromObject(object)}, uid)
	})
}

func (c connection) Patch(_ context.Context, object client.Object, patch client.Patch, _ ...client.PatchOption) error {
	return c.patch("patch", object, patch, c.process.world.api.patchFinalizers)
}

func (c connection) patch(verb string, object client.Object, patch client.Patch, do func(ref, []byte) (client.Object, error)) error {
	document, err := patch.Data(object)
	if err != nil {
		return err
	}
	return c.process.write(verb, object, func() error {
		after, err := do(ref{kindOf(object), client.ObjectKeyFromObject(object)}, document)
		if err == nil {
			object.SetResourceVersion(after.GetResourceVersion())
			object.SetUID(after.GetUID())
		}
		return err
	})
}

func (c connection) Scheme() *kuberuntime.Scheme { return scheme }

func (c connection) Status() client.SubResourceWriter { return c.SubResource("status") }

func (c connection) SubResource(string) client.SubResourceClient { return statusWriter{connection: c} }

// statusWriter writes the status of objects.
type statusWriter struct {
	client.SubResourceClient
	connection connection
}

func (s statusWriter) Patch(_ context.Context, object client.Object, patch client.Patch, _ ...client.SubResourcePatchOption) error {
	return s.connection.patch("status", object, patch, s.connection.process.world.api.patchStatus)
}

// live reads from the API server.
type live struct {
	client.Reader
	process *process
}

func (l live) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	at := ref{kindOf(into), key}
	if at.kind == namespaces {
		return l.namespace(key, into)
	}
	return l.process.call("get "+string(at.kind)+" "+at.Name, func() error {
		l.process.world.isRead()
		if refusal := l.process.world.refusalOf("get", at); refusal != nil {
			l.process.world.notesRefusal(refusal.error(at))
			return refusal.error(at)
		}
		held := l.process.world.api.stored(at)
		if held == nil {
			return notFound(at)
		}
		fill(into, held, false)
		return nil
	})
}

func (l live) namespace(key client.ObjectKey, into client.Object) error {
	into.SetName(key.Name)
	into.SetUID("cluster-1")
	return nil
}

// simulatedManager is a manager with the parts of a process.
type simulatedManager struct {
	manager.Manager // for methods that the operator does not call
	process         *process
	accounts        manager.Runnable
}

func (m *simulatedManager) Add(runnable manager.Runnable) error {
	value := reflect.Indirect(reflect.ValueOf(runnable))
	if name := value.FieldByName("Name"); value.Kind() == reflect.Struct && name.IsValid() && name.String() == controller.Name {
		m.accounts = runnable
	}
	return nil
}

func (m *simulatedManager) GetFieldIndexer() client.FieldIndexer { return m.process.cache }
func (m *simulatedManager) GetCache() cache.Cache                { return m.process.cache }
func (m *simulatedManager) GetAPIReader() client.Reader          { return live{process: m.process} }
func (m *simulatedManager) GetClient() client.Client             { return connection{process: m.process} }
func (m *simulatedManager) GetScheme() *kuberuntime.Scheme       { return scheme }
func (m *simulatedManager) GetLogger() logr.Logger               { return logr.New(logSink{m.process.world}) }
func (m *simulatedManager) GetControllerOptions() config.Controller {
	return config.Controller{SkipNameValidation: new(true)}
}
func (m *simulatedManager) GetEventRecorder(string) recorder.EventRecorder {
	return eventRecorder{m.process}
}

// logSink holds log lines against the secrets that must not be shown.
type logSink struct{ world *world }

func (logSink) Init(logr.RuntimeInfo)            {}
func (logSink) Enabled(level int) bool           { return level == 0 }
func (s logSink) WithValues(...any) logr.LogSink { return s }
func (s logSink) WithName(string) logr.LogSink   { return s }
func (s logSink) Error(err error, message string, values ...any) {
	s.Info(0, message, append(values, err)...)
}
func (s logSink) Info(_ int, message string, values ...any) {
	text := fmt.Sprint(append(values, message)...)
	if strings.Contains(text, credential) {
		s.world.breaks("a credential was logged: %s", text)
	}
	if strings.Contains(text, "panic") {
		s.world.breaks("the operator panicked: %s", text)
	}
}

// eventRecorder takes events.
type eventRecorder struct{ process *process }

func (r eventRecorder) Eventf(object, _ kuberuntime.Object, kind, reason, _, note string, args ...any) {
	text := fmt.Sprintf(note, args...)
	account := object.(metav1.Object)
	r.process.world.pays(account.GetName(), reason)
	if strings.Contains(text, credential) {
		r.process.world.breaks("a credential is in an event of %s: %s", account.GetName(), text)
	}
	r.process.world.note("%s: event %s %s of %s: %s", r.process.name, kind, reason, account.GetName(), text)
}

func (r eventRecorder) AnnotatedEventf(object, related kuberuntime.Object, _ map[string]string, kind, reason, action, note string, args ...any) {
	r.Eventf(object, related, kind, reason, action, note, args...)
}

// transport carries requests of a process to the simulated marketplaces.
type transport struct{ process *process }

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(request *http.Request) (response *http.Response, err error) {
	err = t.process.call("ask "+request.URL.Host+request.URL.Path, func() error {
		response, err = t.process.world.answer(t.process, request)
		return err
	})
	if s := t.process.world.shop(t.process.world.looking); s != nil && errors.Is(err, context.DeadlineExceeded) {
		s.answers = append(s.answers, v1alpha1.ReasonMarketplaceUnavailable) // also where the process stood still, and nothing was sent
	}
	return response, err
}

// secretOf makes a Secret as users write it.
func secretOf(name string, values map[string]string) *corev1.Secret {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: map[string][]byte{}}
	for key, value := range values {
		secret.Data[key] = []byte(value)
	}
	return secret
}
