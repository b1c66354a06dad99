package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/test/testworld"
)

// namespace is where accounts are, unless a scenario has another for them.
const namespace = "bench"

// bench is a cluster, a marketplace and an operator.
type bench struct {
	*run
	dir     string
	cluster *testworld.APIServer
	config  *rest.Config
	kube    client.Client
	// market is the host that all marketplaces are on, other one for marketplaces that must not share it; nil where there is none.
	market, other *host
	operator      *operator
	// unwatch ends the watches, without which the API server would not end.
	unwatch context.CancelFunc
}

// onCluster plays on a cluster of its own.
func (r *run) onCluster(ctx context.Context, play func(context.Context, *bench) ([]figure, error)) (figures []figure, err error) {
	b, err := r.newBench(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w%s", err, b.operator.lastWords())
		}
		err = errors.Join(err, b.close())
	}()
	return play(ctx, b)
}

// newBench starts a cluster and the demo marketplace, and builds the operator. A bench that it returns with an error is closed.
func (r *run) newBench(ctx context.Context) (b *bench, err error) {
	b = &bench{run: r, unwatch: func() {}}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if b.dir, err = os.MkdirTemp("", "tokenkeeper-bench-"); err != nil {
		return b, fmt.Errorf("making a temporary directory: %w", err)
	}
	if b.cluster, err = testworld.Start(); err != nil {
		return b, err
	}
	b.config, b.kube = b.cluster.Config, b.cluster.Kube
	b.market = newHost("127.0.0.1")
	build := exec.CommandContext(ctx, "go", "build", "-o", b.program(), "./cmd/tokenkeeper") //nolint:gosec // our own program
	if output, err := build.CombinedOutput(); err != nil {
		return b, fmt.Errorf("building the operator: %w\n%s", err, output)
	}
	return b, errors.Join(b.namespace(ctx, namespace), b.namespace(ctx, testworld.OperatorNamespace)) // for the key of custody
}

func (b *bench) program() string { return filepath.Join(b.dir, "tokenkeeper") }

// close ends everything that was started.
func (b *bench) close() error {
	b.unwatch()
	err := b.stopOperator()
	for _, h := range []*host{b.market, b.other} {
		if h != nil {
			h.allegro().ClearFaults()
			h.server.Close()
		}
	}
	if b.cluster != nil {
		err = errors.Join(err, b.cluster.Stop())
	}
	return errors.Join(err, os.RemoveAll(b.dir))
}

func (b *bench) namespace(ctx context.Context, name string) error {
	return client.IgnoreAlreadyExists(b.kube.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}))
}

// marketplace creates the shipped Marketplace of Allegro, with the demo marketplace in its place, and with limits that do not limit: it is
// the operator that is measured.
func (b *bench) marketplace(ctx context.Context, on *host) error {
	object, err := testworld.Shipped("allegro", on.url)
	if err != nil {
		return err
	}
	object.Name = on.marketplace()
	object.Spec.Limits = v1alpha1.Limits{RequestsPerSecond: 10000, Concurrency: int32(b.concurrency)} //nolint:gosec // small
	return b.kube.Create(ctx, object)
}

// marketplace is the name of Allegro's Marketplace on this host.
func (h *host) marketplace() string {
	if strings.Contains(h.url, "localhost") {
		return "allegro-elsewhere"
	}
	return "allegro"
}

// application creates the Secret "app".
func (b *bench) application(ctx context.Context, namespace string) error {
	return client.IgnoreAlreadyExists(b.kube.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "app", Namespace: namespace, Labels: map[string]string{v1alpha1.LabelUse: v1alpha1.UseApplication}},
		StringData: map[string]string{"client_id": demomarket.DefaultClientID, "client_secret": demomarket.DefaultClientSecret},
	}))
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

// until asks ten times a second until the answer is yes.
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

// pause lets time pass.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return fmt.Errorf("waiting: %w", ctx.Err())
	case <-time.After(d):
		return nil
	}
}
