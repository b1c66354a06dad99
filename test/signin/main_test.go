// Package signin_test tells stories of sign-ins as people live them: at the windows of a real browser, with the operator and
// its portal in front of a real API server, and a demo marketplace. A story says what a person sees, and what the account's
// status and Secrets say afterwards.
//
// With the environment variable TOKENKEEPER_SCREENSHOTS, an absolute path, pictures of the pages are written there, and the
// operator's log.
//
// The operator runs in this process as cmd/tokenkeeper makes it, with the rights that config/rbac gives it, and nothing else
// of the cluster runs. Browsers reach the portal at one address, behind which the story puts the replica that answers.
package signin_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/zap/zapcore"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/controller"
	"github.com/tokenkeeper/tokenkeeper/test/browser"
)

const (
	// operatorUser is the operator's ServiceAccount in config/rbac.
	operatorUser      = "system:serviceaccount:" + operatorNamespace + ":tokenkeeper"
	operatorNamespace = "tokenkeeper-system"
)

var (
	chromium *browser.Chromium
	kube     client.WithWatch // of a cluster admin
	operator *rest.Config     // of the operator
	said     transcript
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		return 1, errors.New(`KUBEBUILDER_ASSETS is not set: run "make test", which finds or builds a kube-apiserver`)
	}
	log := zap.New(zap.WriteTo(&said.logs), zap.Level(controller.LogLevel(zapcore.Level(-10))))
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	environment := &envtest.Environment{
		CRDDirectoryPaths:        []string{filepath.Join("..", "..", "config", "crd", "bases")},
		ErrorIfCRDPathMissing:    true,
		ControlPlaneStartTimeout: 2 * time.Minute, // a machine that builds at the same time is slow
		ControlPlaneStopTimeout:  time.Minute,
	}
	config, err := environment.Start()
	if err != nil {
		return 1, fmt.Errorf("starting the API server: %w", err)
	}
	defer func() {
		if stopErr := environment.Stop(); stopErr != nil && err == nil {
			err = fmt.Errorf("stopping the API server: %w", stopErr)
		}
	}()
	config.QPS = -1
	if err := install(config); err != nil {
		return 1, err
	}
	user, err := environment.AddUser(envtest.User{Name: operatorUser}, nil)
	if err != nil {
		return 1, fmt.Errorf("adding the operator's user: %w", err)
	}
	operator = user.Config()
	ctx := context.Background()
	if chromium, err = browser.Start(ctx); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, chromium.Stop()) }()
	stop, err := said.record(ctx)
	if err != nil {
		return 1, err
	}
	code = m.Run()
	stop()
	if folder := os.Getenv(browser.ScreenshotsVariable); folder != "" {
		err = errors.Join(os.MkdirAll(folder, 0o700), os.WriteFile(filepath.Join(folder, "TestSignIn.log"), said.logs.said.Bytes(), 0o600))
	}
	return code, errors.Join(err, said.leaks(ctx))
}

// install writes what the operator needs in its cluster, beside the custom resource definitions.
func install(config *rest.Config) (err error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return err
		}
	}
	if kube, err = client.NewWithWatch(config, client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	ctx := context.Background()
	if err := kube.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: operatorNamespace}}); err != nil {
		return fmt.Errorf("creating namespace %s: %w", operatorNamespace, err)
	}
	files, err := filepath.Glob(filepath.Join("..", "..", "config", "rbac", "*role*.yaml"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("looking for the operator's roles: %w", err)
	}
	for _, file := range files {
		if err := apply(ctx, file); err != nil {
			return fmt.Errorf("applying %s: %w", file, err)
		}
	}
	return nil
}

// apply creates the objects of a file.
func apply(ctx context.Context, file string) error {
	manifests, err := os.Open(file)
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
			return err
		}
		if len(object.Object) == 0 {
			continue // before the first separator
		}
		if err := kube.Create(ctx, object); err != nil {
			return err
		}
	}
}
