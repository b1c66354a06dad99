package testworld

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

const (
	// OperatorNamespace is where config/ installs the operator.
	OperatorNamespace = "tokenkeeper-system"
	// CustodyKey is the Secret there with the key that authenticates grant Secrets.
	CustodyKey = "tokenkeeper-custody-key"
	// OperatorUser is the operator's ServiceAccount, to which config/rbac gives its rights.
	OperatorUser = "system:serviceaccount:" + OperatorNamespace + ":tokenkeeper"
)

// StartLimit is how long a kube-apiserver may take to start on a machine that builds at the same time.
const StartLimit = 2 * time.Minute

// CollectAt is by how many percent the memory of kube-apiserver, etcd and a suite may grow until garbage is collected: suites have memory to
// spare, and at Go's 100 the collector takes a fifth to two fifths of their processor time.
const CollectAt = 400

// APIServer is a kube-apiserver with an etcd, and without a kubelet and controllers.
type APIServer struct {
	// Config is that of a cluster admin, without a limit of its rate.
	Config *rest.Config
	// Kube reads and writes without a cache, as a cluster admin.
	Kube client.WithWatch

	environment *envtest.Environment
	adding      sync.Mutex // held while a user is added: the environment counts certificates without a lock
	// speaksForOthers tells that users are the admin who speaks for them, which costs less than the certificate of each.
	speaksForOthers bool
}

// Main runs a suite with an API server, and ends the process with the suite's exit code. check, unless it is nil, is run when all tests
// have been; its error fails the suite.
func Main(m *testing.M, prepare func(*APIServer) error, check func() error) {
	code, err := run(m, prepare, check)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M, prepare func(*APIServer) error, check func() error) (code int, err error) {
	server, err := StartOfSuite()
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	if err := prepare(server); err != nil {
		return 1, err
	}
	code = m.Run()
	if check != nil {
		err = check()
	}
	return code, err
}

// StartOfSuite starts the API server of a suite. kube-apiserver and etcd take their environment variables from this process.
func StartOfSuite() (*APIServer, error) {
	debug.SetGCPercent(CollectAt)
	before, isSet := os.LookupEnv("GOGC")
	if err := os.Setenv("GOGC", strconv.Itoa(CollectAt)); err != nil {
		return nil, err
	}
	server, err := startThrifty()
	if !isSet {
		return server, errors.Join(err, os.Unsetenv("GOGC"))
	}
	return server, errors.Join(err, os.Setenv("GOGC", before))
}

// startThrifty starts an API server that spends no processor time on features that a lone admin does not need: checks of the signature of a
// certificate for each request (6 % of it), fair queues (a goroutine for each request), and compressed watches (4 %).
func startThrifty() (*APIServer, error) {
	token := rand.Text()
	file, err := tokenFile(token)
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(file) }() // it was read when the server started
	server, err := Start(func(environment *envtest.Environment) {
		environment.ControlPlane.GetAPIServer().Configure().
			Set("token-auth-file", file).
			Set("enable-priority-and-fairness", "false")
	})
	if err != nil {
		return nil, err
	}
	server.speaksForOthers = true
	server.Config.BearerToken, server.Config.CertData, server.Config.KeyData = token, nil, nil
	server.Config.DisableCompression = true
	if server.Kube, err = Client(server.Config); err != nil {
		return nil, errors.Join(err, server.Stop())
	}
	return server, nil
}

// tokenFile writes a file by which kube-apiserver knows a cluster admin by a token.
func tokenFile(token string) (string, error) {
	file, err := os.CreateTemp("", "tokens-*.csv")
	if err != nil {
		return "", err
	}
	_, err = fmt.Fprintf(file, "%s,admin,admin,system:masters\n", token)
	return file.Name(), errors.Join(err, file.Close())
}

// Start starts an API server that serves the kinds of config/crd. configure changes the environment before.
func Start(configure ...func(*envtest.Environment)) (*APIServer, error) {
	if err := CheckAssets(); err != nil {
		return nil, err
	}
	environment := &envtest.Environment{
		CRDDirectoryPaths:        []string{Definitions()},
		ErrorIfCRDPathMissing:    true,
		ControlPlaneStartTimeout: StartLimit,
		ControlPlaneStopTimeout:  time.Minute,
	}
	for _, change := range configure {
		change(environment)
	}
	config, err := environment.Start()
	if err != nil {
		return nil, fmt.Errorf("starting the API server: %w", err)
	}
	config.QPS = -1
	server := &APIServer{Config: config, environment: environment}
	if server.Kube, err = Client(config); err != nil {
		return nil, errors.Join(err, server.Stop())
	}
	return server, nil
}

// CheckAssets returns an error that says what to do where no kube-apiserver is at hand.
func CheckAssets() error {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		return errors.New(`KUBEBUILDER_ASSETS is not set: run "make test", which finds or builds etcd and kube-apiserver first`)
	}
	return nil
}

// Scheme knows the kinds of Kubernetes and of tokenkeeper.
func Scheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	return scheme, nil
}

// Client returns a client that reads and writes without a cache.
func Client(config *rest.Config) (client.WithWatch, error) {
	scheme, err := Scheme()
	if err != nil {
		return nil, err
	}
	kube, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("making a client: %w", err)
	}
	return kube, nil
}

// Stop ends the API server.
func (a *APIServer) Stop() error {
	if err := a.environment.Stop(); err != nil {
		return fmt.Errorf("stopping the API server: %w", err)
	}
	return nil
}

// User returns the configuration of a user with the roles that are bound to the name and the groups.
func (a *APIServer) User(name string, groups ...string) (*rest.Config, error) {
	if a.speaksForOthers {
		user := rest.CopyConfig(a.Config)
		user.Impersonate = rest.ImpersonationConfig{UserName: name, Groups: groups}
		return user, nil
	}
	a.adding.Lock()
	defer a.adding.Unlock()
	user, err := a.environment.AddUser(envtest.User{Name: name, Groups: groups}, &rest.Config{QPS: -1})
	if err != nil {
		return nil, fmt.Errorf("adding user %s: %w", name, err)
	}
	return user.Config(), nil
}

// Kubeconfig returns a kubeconfig of a cluster admin.
func (a *APIServer) Kubeconfig() []byte { return a.environment.KubeConfig }

// InstallRights creates the operator's namespace, the roles of config/rbac, and the empty Secret of the key of custody.
func InstallRights(ctx context.Context, kube client.Client) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: OperatorNamespace}}
	if err := client.IgnoreAlreadyExists(kube.Create(ctx, namespace)); err != nil {
		return fmt.Errorf("creating namespace %s: %w", OperatorNamespace, err)
	}
	files, err := filepath.Glob(Path("config", "rbac", "*role*.yaml"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("looking for the operator's roles: %w", err)
	}
	for _, file := range append(files, Path("config", "rbac", "custody_key.yaml")) {
		if err := Apply(ctx, kube, file); err != nil {
			return err
		}
	}
	return nil
}

// Apply creates the objects of a file that are not there yet.
func Apply(ctx context.Context, kube client.Client, file string) error {
	manifests, err := os.Open(file) //nolint:gosec // a manifest of ours
	if err != nil {
		return err
	}
	defer manifests.Close()
	decoder := yaml.NewYAMLOrJSONDecoder(manifests, 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(&object.Object); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("reading %s: %w", file, err)
		}
		if len(object.Object) == 0 {
			continue // before the first separator
		}
		if err := kube.Create(ctx, object); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("applying %s: %w", file, err)
		}
	}
}
