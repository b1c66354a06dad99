package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/tokenkeeper/tokenkeeper/test/testworld"
)

// stopLimit is how long kube-apiserver may take to say farewell to its watches. Then it is killed.
const stopLimit = 2 * time.Second

// cluster is an etcd and a kube-apiserver.
type cluster struct {
	etcd  *etcd
	api   *envtest.APIServer
	plane envtest.ControlPlane // only for its users
	// adding is held while a user is added: the control plane counts certificates without a lock.
	adding sync.Mutex

	admin    *rest.Config
	kube     client.WithWatch // of a cluster admin
	observer *observer
}

// startCluster starts a cluster below a directory, with all that the operator needs in it. etcdArgs are added to etcd's.
func startCluster(ctx context.Context, dir string, etcdArgs ...string) (c *cluster, err error) {
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	c = &cluster{etcd: &etcd{program: filepath.Join(assets, "etcd"), dir: filepath.Join(dir, "etcd"), args: etcdArgs}}
	defer func() {
		if err != nil {
			c.stop()
		}
	}()
	if err := c.etcd.start(); err != nil {
		return c, err
	}
	certificates := filepath.Join(dir, "kube-apiserver")
	if err := os.MkdirAll(certificates, 0o700); err != nil {
		return c, err
	}
	address, err := url.Parse(c.etcd.url)
	if err != nil {
		return c, err
	}
	c.api = &envtest.APIServer{
		Path: filepath.Join(assets, "kube-apiserver"), CertDir: certificates, EtcdURL: address,
		StartTimeout: testworld.StartLimit, StopTimeout: stopLimit,
	}
	c.api.Configure().
		// Without these a machine that has no route to anywhere cannot start it.
		Set("advertise-address", "127.0.0.1").
		Set("endpoint-reconciler-type", "none").
		// As on OpenShift: the writer of an owner reference must be allowed to write it.
		Append("enable-admission-plugins", "OwnerReferencesPermissionEnforcement")
	if err := c.api.Start(); err != nil {
		return c, fmt.Errorf("starting kube-apiserver: %w", err)
	}
	c.plane = envtest.ControlPlane{APIServer: c.api}
	if c.admin, err = c.user(envtest.User{Name: "admin", Groups: []string{"system:masters"}}); err != nil {
		return c, err
	}
	return c, c.install(ctx)
}

// user adds a user, who may do what is bound to his name. He does not look at the API server's certificate, which is another
// after each start.
func (c *cluster) user(user envtest.User) (*rest.Config, error) {
	c.adding.Lock()
	defer c.adding.Unlock()
	added, err := c.plane.AddUser(user, &rest.Config{QPS: -1, WarningHandler: rest.NoWarnings{}})
	if err != nil {
		return nil, fmt.Errorf("adding user %s: %w", user.Name, err)
	}
	config := added.Config()
	config.Insecure, config.CAData = true, nil
	return config, nil
}

// install writes the objects that the operator needs in its cluster, and begins to observe it.
func (c *cluster) install(ctx context.Context) (err error) {
	if _, err := envtest.InstallCRDs(c.admin, envtest.CRDInstallOptions{
		Paths: []string{testworld.Definitions()}, ErrorIfPathMissing: true, MaxTime: testworld.StartLimit,
	}); err != nil {
		return fmt.Errorf("installing the custom resource definitions: %w", err)
	}
	if c.kube, err = testworld.Client(c.admin); err != nil {
		return err
	}
	if err := testworld.InstallRights(ctx, c.kube); err != nil {
		return err
	}
	if err := testworld.Apply(ctx, c.kube, testworld.Path("config", "components", "portal-apart", "role.yaml")); err != nil {
		return err
	}
	c.observer = newObserver(c.kube)
	c.observer.start(ctx)
	return nil
}

// stop ends the cluster. It may be called for one that did not start.
func (c *cluster) stop() {
	if c == nil {
		return
	}
	if c.observer != nil {
		c.observer.stop()
	}
	if c.api != nil {
		c.stopAPIServer()
	}
	c.etcd.kill()
}

// stopAPIServer ends kube-apiserver. That it had to be killed is an error there, and none here.
func (c *cluster) stopAPIServer() { _ = c.api.Stop() }

// etcd is one that can be killed, and comes back with the same data at the same address.
type etcd struct {
	program, dir, url, peer string
	args                    []string
	command                 *exec.Cmd // nil while it does not run
}

func (e *etcd) start() error {
	if e.url == "" {
		addresses, err := freeAddresses(2)
		if err != nil {
			return err
		}
		e.url, e.peer = "http://"+addresses[0], "http://"+addresses[1]
	}
	args := append([]string{
		"--data-dir=" + e.dir, "--listen-client-urls=" + e.url, "--advertise-client-urls=" + e.url, "--listen-peer-urls=" + e.peer,
		"--unsafe-no-fsync", // the kernel keeps the writes of a killed program
	}, e.args...)
	log, err := os.OpenFile(e.dir+".log", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	e.command = exec.Command(e.program, args...)
	e.command.Stdout, e.command.Stderr = log, log
	if err := e.command.Start(); err != nil {
		e.command = nil
		return fmt.Errorf("starting etcd: %w", err)
	}
	return e.await()
}

// await returns when etcd can be asked.
func (e *etcd) await() error {
	for deadline := time.Now().Add(testworld.StartLimit); time.Now().Before(deadline); {
		if response, err := http.Get(e.url + "/health"); err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK || len(e.args) > 0 { // with a full disk it is not healthy, but there
				return nil
			}
		}
		<-time.After(100 * time.Millisecond)
	}
	return errors.New("etcd does not answer")
}

// kill ends it as kill -9 does.
func (e *etcd) kill() {
	if e.command == nil {
		return
	}
	_ = e.command.Process.Signal(syscall.SIGKILL)
	_ = e.command.Wait()
	e.command = nil
}

// call makes one request to etcd's own API.
func (e *etcd) call(path, body string) (string, error) {
	response, err := http.Post(e.url+path, "application/json", strings.NewReader(body))
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("etcd answers %s to %s: %s", response.Status, path, answer)
	}
	return string(answer), err
}

// freeAddresses are addresses on loopback that no program listens on.
func freeAddresses(count int) ([]string, error) {
	addresses := make([]string, 0, count)
	for range count {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("looking for a free port: %w", err)
		}
		defer listener.Close() // only now, so that they differ
		addresses = append(addresses, listener.Addr().String())
	}
	return addresses, nil
}
