// Package signin_test tells stories of sign-ins as people live them: at the windows of a real browser, with the operator and
// its portal in front of a real API server, and a demo marketplace. A story says what a person sees, and what the account's
// status and Secrets say afterwards.
//
// With the environment variable TOKENKEEPER_SCREENSHOTS, an absolute path, pictures of the pages are written there, and the
// operator's log.
//
// The operator runs in this process as cmd/tokenkeeper makes it, with the rights that config/rbac gives it, and nothing else
// of the cluster runs. Each story is told twice: with the portal in the operator's process, and with the portal apart, which has the
// rights of config/components/portal-apart. Browsers reach the portal at one address, behind which the story puts the replica that answers.
package signin_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/zap/zapcore"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/tokenkeeper/tokenkeeper/internal/controller"
	"github.com/tokenkeeper/tokenkeeper/test/browser"
	"github.com/tokenkeeper/tokenkeeper/test/testworld"
)

var (
	chromium *browser.Chromium
	kube     client.WithWatch // of a cluster admin
	operator *rest.Config     // of the operator
	// portalApart is that of the portal in a process of its own.
	portalApart *rest.Config
	said        testworld.Transcript
	record      = func() {} // ends the record of the accounts' states
)

func TestMain(m *testing.M) {
	log := zap.New(zap.WriteTo(&said.Logs), zap.Level(controller.LogLevel(zapcore.Level(-10))))
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	testworld.Main(m, prepare, check)
}

// prepare gives the operator its rights, starts a browser, and begins to write down all output.
func prepare(server *testworld.APIServer) (err error) {
	ctx := context.Background()
	kube = server.Kube
	if err := testworld.InstallRights(ctx, kube); err != nil {
		return err
	}
	if operator, err = server.User(testworld.OperatorUser); err != nil {
		return err
	}
	for _, file := range []string{"role.yaml", "role_binding.yaml"} {
		if err := testworld.Apply(ctx, kube, testworld.Path("config", "components", "portal-apart", file)); err != nil {
			return err
		}
	}
	if portalApart, err = server.User(testworld.OperatorUser + "-portal"); err != nil {
		return err
	}
	if record, err = said.Record(ctx, kube); err != nil {
		return err
	}
	chromium, err = browser.Start(ctx)
	return err
}

// check looks for credentials in all that was said.
func check() error {
	record()
	err := chromium.Stop()
	if folder := os.Getenv(browser.ScreenshotsVariable); folder != "" {
		err = errors.Join(err, os.MkdirAll(folder, 0o700), os.WriteFile(filepath.Join(folder, "TestSignIn.log"), said.Logs.Bytes(), 0o600))
	}
	err = errors.Join(err, said.Check(context.Background(), kube, 1000, 10_000))
	if whole := flag.Lookup("test.run").Value.String() == ""; whole && said.Tickets() < 50 {
		err = errors.Join(err, fmt.Errorf("the search for tickets is void: it looks for %d parts", said.Tickets()))
	}
	return err
}
