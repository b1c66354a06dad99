package controller_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strconv"
	"sync"
	"testing"

	"go.uber.org/zap/zapcore"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/controller"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	clients "github.com/tokenkeeper/tokenkeeper/internal/kube"
	"github.com/tokenkeeper/tokenkeeper/test/leak"
)

var (
	environment *envtest.Environment
	scheme      *runtime.Scheme
	kube        client.Client // reads and writes without a cache, as a user would
	watched     transcript
)

func TestMain(m *testing.M) {
	code, err := runSuite(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runSuite(m *testing.M) (code int, err error) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		return 1, fmt.Errorf("KUBEBUILDER_ASSETS is not set: run \"make test\", which finds or builds a kube-apiserver")
	}
	if err := flag.Set("test.parallel", parallelStories()); err != nil {
		return 1, err
	}
	log := zap.New(zap.WriteTo(&watched), zap.Level(controller.LogLevel(zapcore.Level(-10))))
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	if scheme, err = clients.Scheme(); err != nil {
		return 1, err
	}
	if err := eventsv1.AddToScheme(scheme); err != nil {
		return 1, err
	}
	environment = &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join("..", "..", "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
	}
	config, err := environment.Start()
	if err != nil {
		return 1, fmt.Errorf("starting the API server: %w", err)
	}
	config.QPS = -1
	defer func() {
		if stopErr := environment.Stop(); stopErr != nil && err == nil {
			err = fmt.Errorf("stopping the API server: %w", stopErr)
		}
	}()
	if kube, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return 1, err
	}
	code = m.Run()
	return code, watched.leaks()
}

// parallelStories is how many stories are told at once: as many as -parallel says, and without it more than there are processors, since each
// waits for the API server most of the time.
func parallelStories() string {
	flag.Parse()
	given := flag.Lookup("test.parallel").Value.String()
	if given != strconv.Itoa(goruntime.GOMAXPROCS(0)) {
		return given
	}
	return "8"
}

// transcript collects all that the operator says: logs as they come, the metrics of each of its lives, and at the end
// every account and event.
type transcript struct {
	mu      sync.Mutex
	text    bytes.Buffer
	markets []*demomarket.Server
	secrets []string
}

// Write implements io.Writer.
func (t *transcript) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.text.Write(p)
}

func (t *transcript) market(server *demomarket.Server) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.markets = append(t.markets, server)
}

func (t *transcript) secret(values ...string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.secrets = append(t.secrets, values...)
}

// leaks looks for credentials in everything that was said during the suite.
func (t *transcript) leaks() error {
	ctx := context.Background()
	for _, list := range []client.ObjectList{&v1alpha1.MarketplaceAccountList{}, &eventsv1.EventList{}, &v1alpha1.MarketplaceList{}} {
		if err := kube.List(ctx, list); err != nil {
			return fmt.Errorf("listing what was said: %w", err)
		}
		text, err := yaml.Marshal(list)
		if err != nil {
			return err
		}
		_, _ = t.Write(text)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	said := t.text.Bytes()
	if at := bytes.Index(said, []byte("Observed a panic")); at >= 0 {
		return fmt.Errorf("the operator panicked: %s", said[at:min(len(said), at+3000)])
	}
	secrets := t.secrets
	for _, market := range t.markets {
		secrets = append(secrets, market.Secrets()...)
	}
	search := leak.For(secrets...)
	if found := search.In(said); found != "" {
		return fmt.Errorf("a credential was said: %s", found)
	}
	whole := flag.Lookup("test.run").Value.String() == ""
	if whole && (search.Parts() < 1000 || len(said) < 100_000) {
		return fmt.Errorf("the search for leaked credentials is void: %d parts of credentials, %d bytes", search.Parts(), len(said))
	}
	fmt.Fprintf(os.Stdout, "searched %d bytes of logs, metrics, events and objects for %d parts of credentials: none found\n", len(said), search.Parts())
	return nil
}
