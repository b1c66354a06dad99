package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/controller"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// namespace is where all accounts are.
const namespace = "bench"

// bench is what one run works on.
type bench struct {
	options
	dir     string
	cluster *envtest.Environment
	kube    client.Client
	market  *demomarket.Server
	// arrived is called with each request to the marketplace before it is answered; nil ignores them.
	arrived   func(*http.Request)
	server    *httptest.Server
	operator  *exec.Cmd
	portalURL string
}

// newBench starts a cluster and the demo marketplace, and builds the operator. What it returns with an error is closed.
func newBench(ctx context.Context, o options) (b *bench, err error) {
	b = &bench{options: o}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if b.dir, err = os.MkdirTemp("", "tokenkeeper-bench-"); err != nil {
		return b, fmt.Errorf("making a temporary directory: %w", err)
	}
	scheme, err := controller.Scheme()
	if err != nil {
		return b, err
	}
	b.cluster = &envtest.Environment{CRDDirectoryPaths: []string{"config/crd/bases"}, ErrorIfCRDPathMissing: true}
	config, err := b.cluster.Start()
	if err != nil {
		return b, fmt.Errorf("starting the API server: %w", err)
	}
	config.QPS = -1
	if b.kube, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return b, err
	}
	b.market = demomarket.New(demomarket.Options{Key: demomarket.SharedKey()})
	b.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if b.arrived != nil {
			b.arrived(r)
		}
		b.market.ServeHTTP(w, r)
	}))
	build := exec.CommandContext(ctx, "go", "build", "-o", b.program(), "./cmd/tokenkeeper") //nolint:gosec // our own program
	if output, err := build.CombinedOutput(); err != nil {
		return b, fmt.Errorf("building the operator: %w\n%s", err, output)
	}
	return b, b.kube.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
}

func (b *bench) program() string { return filepath.Join(b.dir, "tokenkeeper") }

// close ends everything that was started.
func (b *bench) close() error {
	err := b.stopOperator()
	if b.server != nil {
		b.server.Close()
	}
	if b.cluster != nil {
		err = errors.Join(err, b.cluster.Stop())
	}
	return errors.Join(err, os.RemoveAll(b.dir)) //nolint:gosec // the directory that we made
}

// startOperator starts the operator with its portal on a free port, and waits until it is ready.
func (b *bench) startOperator(ctx context.Context) error {
	kubeconfig := filepath.Join(b.dir, "kubeconfig")
	if err := os.WriteFile(kubeconfig, b.cluster.KubeConfig, 0o600); err != nil {
		return fmt.Errorf("writing the kubeconfig: %w", err)
	}
	portal, err := freePort(ctx)
	if err != nil {
		return err
	}
	probe, err := freePort(ctx)
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(b.dir, "operator.log"))
	if err != nil {
		return fmt.Errorf("making a log: %w", err)
	}
	defer log.Close()
	b.portalURL = "http://localhost:" + portal
	b.market.SeedPortal(b.portalURL)
	b.operator = exec.CommandContext(ctx, b.program(), "--kubeconfig", kubeconfig, "--leader-elect=false", "--metrics-bind-address=0", //nolint:gosec // see above
		"--health-probe-bind-address=127.0.0.1:"+probe, "--portal-bind-address=127.0.0.1:"+portal, "--portal-url="+b.portalURL)
	b.operator.Stdout, b.operator.Stderr = log, log
	b.operator.Cancel = func() error { return b.operator.Process.Signal(syscall.SIGTERM) }
	b.operator.WaitDelay = 2 * time.Minute
	if err := b.operator.Start(); err != nil {
		b.operator = nil
		return fmt.Errorf("starting the operator: %w", err)
	}
	return until(ctx, time.Minute, func(ctx context.Context) (bool, error) {
		for _, address := range []string{"http://127.0.0.1:" + probe + "/readyz", b.portalURL + "/readyz"} {
			if !answers(ctx, address) {
				return false, nil
			}
		}
		return true, nil
	})
}

// stopOperator ends the operator as Kubernetes does.
func (b *bench) stopOperator() error {
	if b.operator == nil {
		return nil
	}
	operator := b.operator
	b.operator = nil
	if err := operator.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stopping the operator: %w", err)
	}
	return operator.Wait()
}

// marketplace creates a shipped Marketplace, with the demo marketplace in its place.
func (b *bench) marketplace(ctx context.Context, name string) error {
	text, err := os.ReadFile(filepath.Join("config", "marketplaces", name+".yaml")) //nolint:gosec // a name of ours
	if err != nil {
		return fmt.Errorf("reading the Marketplace: %w", err)
	}
	object := &v1alpha1.Marketplace{}
	if err := yaml.UnmarshalStrict(text, object); err != nil {
		return fmt.Errorf("reading Marketplace %s: %w", name, err)
	}
	demomarket.RedirectManifest(object, b.server.URL)
	return b.kube.Create(ctx, object)
}

// application creates the Secret "app".
func (b *bench) application(ctx context.Context) error {
	return b.kube.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "app", Namespace: namespace},
		StringData: map[string]string{"client_id": demomarket.DefaultClientID, "client_secret": demomarket.DefaultClientSecret},
	})
}

func freePort(ctx context.Context) (string, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("looking for a free port: %w", err)
	}
	defer listener.Close()
	_, port, err := net.SplitHostPort(listener.Addr().String())
	return port, err
}

func answers(ctx context.Context, address string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, response.Body) // for the connection's next user
	return response.StatusCode == http.StatusOK
}

// until asks ten times a second until something is so.
func until(ctx context.Context, patience time.Duration, done func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticks := time.NewTicker(100 * time.Millisecond)
	defer ticks.Stop()
	for {
		if ok, err := done(ctx); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting: %w", ctx.Err())
		case <-ticks.C:
		}
	}
}
