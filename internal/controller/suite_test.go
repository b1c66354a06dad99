package controller_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	goruntime "runtime"
	"strconv"
	"testing"

	"go.uber.org/zap/zapcore"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/tokenkeeper/tokenkeeper/internal/controller"
	"github.com/tokenkeeper/tokenkeeper/test/testworld"
)

var (
	apiServer *testworld.APIServer
	kube      client.Client // reads and writes without a cache, as a user would
	watched   testworld.Transcript
)

func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", parallelStories()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	log := zap.New(zap.WriteTo(&watched.Logs), zap.Level(controller.LogLevel(zapcore.Level(-10))))
	ctrl.SetLogger(log)
	klog.SetLogger(log)
	testworld.Main(m, func(server *testworld.APIServer) error {
		apiServer, kube = server, written.noting(server.Kube)
		return nil
	}, func() error { return watched.Check(context.Background(), kube, 1000, 100_000) })
}

// parallelStories is how many stories are told at once: as many as -parallel says, and without it more than there are processors, since each
// waits for the API server most of the time.
func parallelStories() string {
	flag.Parse()
	given := flag.Lookup("test.parallel").Value.String()
	if given != strconv.Itoa(goruntime.GOMAXPROCS(0)) {
		return given
	}
	return "12"
}
