package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

const (
	// startAttempts is how often etcd and kube-apiserver are started: another program may take a port in between.
	startAttempts = 3
	startLimit    = time.Minute
	// lookInterval and maxMisses tell when the API server counts as lost.
	lookInterval = 2 * time.Second
	maxMisses    = 3
)

// cluster is an etcd and a kube-apiserver on loopback, with the custom resource definitions.
type cluster struct {
	plane      *envtest.ControlPlane
	dir        string
	config     *rest.Config // of a cluster admin
	kubeconfig []byte       // the same, for kubectl
}

// startCluster starts etcd and kube-apiserver. The cluster that it returns with an error must be stopped, too.
func startCluster(ctx context.Context, assets, dir string) (*cluster, error) {
	c := &cluster{dir: dir}
	if err := c.start(ctx, assets); err != nil {
		return c, c.withLogs(err)
	}
	admin, err := c.plane.AddUser(envtest.User{Name: "admin", Groups: []string{"system:masters"}}, &rest.Config{
		QPS: -1, WarningHandler: rest.NoWarnings{},
	})
	if err != nil {
		return c, fmt.Errorf("adding a cluster admin: %w", err)
	}
	c.config = admin.Config()
	if c.kubeconfig, err = admin.KubeConfig(); err != nil {
		return c, fmt.Errorf("writing a kubeconfig: %w", err)
	}
	if _, err := envtest.InstallCRDs(c.config, envtest.CRDInstallOptions{
		Paths: []string{crdDirectory}, ErrorIfPathMissing: true, MaxTime: startLimit,
	}); err != nil {
		return c, c.withLogs(fmt.Errorf("installing %s: %w", crdDirectory, err))
	}
	return c, nil
}

// start starts both programs, with other ports at each attempt.
func (c *cluster) start(ctx context.Context, assets string) error {
	var errs []error
	for attempt := range startAttempts {
		plane, err := c.newPlane(assets, fmt.Sprint(attempt))
		if err != nil {
			return err
		}
		c.plane = plane
		if err = plane.Start(); ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return fmt.Errorf("starting etcd and kube-apiserver: %w", errors.Join(errs...))
}

// newPlane says how to start both programs. Its directories and logs are below the cluster's.
func (c *cluster) newPlane(assets, attempt string) (*envtest.ControlPlane, error) {
	data, certificates := filepath.Join(c.dir, "etcd-"+attempt), filepath.Join(c.dir, "kube-apiserver-"+attempt)
	for _, dir := range []string{data, certificates} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return nil, fmt.Errorf("making a directory: %w", err)
		}
	}
	etcdLog, err := os.Create(c.etcdLog())
	if err != nil {
		return nil, fmt.Errorf("making the log of etcd: %w", err)
	}
	apiLog, err := os.Create(c.apiLog())
	if err != nil {
		return nil, fmt.Errorf("making the log of kube-apiserver: %w", err)
	}
	api := &envtest.APIServer{
		Path: filepath.Join(assets, "kube-apiserver"), CertDir: certificates, Out: apiLog, Err: apiLog,
		StartTimeout: startLimit, StopTimeout: timeouts.QuickstartStop,
	}
	api.Configure().
		// Without these a machine that has no route to anywhere cannot start it.
		Set("advertise-address", "127.0.0.1").
		Set("endpoint-reconciler-type", "none").
		// As on OpenShift: the writer of an owner reference must be allowed to write it.
		Append("enable-admission-plugins", "OwnerReferencesPermissionEnforcement")
	return &envtest.ControlPlane{
		APIServer: api,
		Etcd: &envtest.Etcd{
			Path: filepath.Join(assets, "etcd"), DataDir: data, Out: etcdLog, Err: etcdLog,
			StartTimeout: startLimit, StopTimeout: timeouts.QuickstartStop,
		},
		KubectlPath: filepath.Join(assets, "kubectl"),
	}, nil
}

// user adds a user and returns the kubeconfig. The roles that are bound to the name say what the user may do.
func (c *cluster) user(name string) ([]byte, error) {
	user, err := c.plane.AddUser(envtest.User{Name: name}, nil)
	if err != nil {
		return nil, fmt.Errorf("adding user %s: %w", name, err)
	}
	kubeconfig, err := user.KubeConfig()
	if err != nil {
		return nil, fmt.Errorf("writing the kubeconfig of %s: %w", name, err)
	}
	return kubeconfig, nil
}

// guard returns when the API server has not answered for a while, or etcd has not answered it. It returns nil when ctx
// ends.
func (c *cluster) guard(ctx context.Context) error {
	kube, err := discovery.NewDiscoveryClientForConfig(c.config)
	if err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	ticks := time.NewTicker(lookInterval)
	defer ticks.Stop()
	for misses := 0; misses < maxMisses; {
		select {
		case <-ctx.Done():
			return nil
		case <-ticks.C:
		}
		if err = kube.RESTClient().Get().AbsPath("/livez").Timeout(lookInterval).Do(ctx).Error(); err == nil {
			misses = 0
			continue
		}
		misses++
	}
	return c.withLogs(fmt.Errorf("asking kube-apiserver for its health: %w", err))
}

// stop ends kube-apiserver and then etcd, each by force after timeouts.QuickstartStop. It may be called for nil.
func (c *cluster) stop() error {
	if c == nil || c.plane == nil {
		return nil
	}
	if err := c.plane.Stop(); err != nil {
		return fmt.Errorf("stopping kube-apiserver and etcd: %w", err)
	}
	return nil
}

func (c *cluster) withLogs(err error) error {
	return withLog(withLog(err, "etcd", c.etcdLog()), "kube-apiserver", c.apiLog())
}

func (c *cluster) etcdLog() string { return filepath.Join(c.dir, "etcd.log") }

func (c *cluster) apiLog() string { return filepath.Join(c.dir, "kube-apiserver.log") }
