// Package chaos_test breaks the programs that the operator depends on, and the operator itself, and looks whether it keeps its promises.
//
// The operator runs as a process of its own, which is killed as kill -9 does, with the rights that config/rbac gives it. It serves the portal as
// well or, with -chaos.apart, a second process beside it does, with the rights of config/components/portal-apart. Its
// way to a real kube-apiserver and etcd leads through a proxy of the suite, and its way to the demo marketplace through a front:
// there a story holds a request at the very point where the operator dies, and the product needs no code for that. The
// marketplace judges, an observer follows every state of every account and Secret, and one function says what must hold after
// each story: [world.expectAtRest].
//
// The stories are in [stories]; without -chaos.long only the short ones are told. docs/faults.md has the promises.
package chaos_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"

	// The program that the suite builds and runs: without this, go test would find its last result good enough after a change of the operator.
	_ "github.com/tokenkeeper/tokenkeeper/internal/operator"
)

var (
	long     = flag.Bool("chaos.long", false, "tell all stories, also those that take minutes")
	kills    = flag.Int("chaos.kills", 10_000, "random kills of the long form")
	killTime = flag.Duration("chaos.for", 2*time.Hour, "how long random kills go on at most, in the long form")
	shards   = flag.Int("chaos.shards", 6, "how many operators are killed at once, each with its own accounts")
	each     = flag.Int("chaos.accounts", 6, "accounts of each kind in a shard")
	seed     = flag.Uint64("chaos.seed", 0, "seed of random kills; 0 takes one from the clock and prints it")
	greed    = flag.Int("chaos.greed", 1, "how many times 600 Secrets of 0.7 MB and 1500 accounts of 250 kB tenants write, in the long form")
	apart    = flag.Bool("chaos.apart", false, "each operator runs without portal, beside a process that serves nothing else")
	keepLogs = flag.String("chaos.logs", "", "folder to leave the logs in")
)

// shared is the cluster of all stories that do not break it.
var shared *cluster

// operatorProgram is the operator with a clock that can be set.
var operatorProgram string

// stories are all there are. A long one takes minutes, or more than two cores can do beside others.
var stories = []struct {
	name string
	long bool
	tell func(*testing.T)
}{
	{name: "a kill at any point between two steps", tell: killsAtEveryPoint},
	{name: "a kill that takes the only copy of a pair", tell: killsWithoutGrace},
	{name: "last resorts after lost answers", tell: lastResorts},
	{name: "an end that is asked for", tell: askedToEnd},
	{name: "kills at random", tell: randomKills},
	{name: "an API server that answers badly", tell: badAPIServer},
	{name: "Secrets that may not be written", tell: refusedWrites},
	{name: "a marketplace that answers badly", tell: badMarketplace},
	{name: "a clock that jumps", tell: clockJumps},
	{name: "a storm of strangers", tell: storm},
	{name: "tenants that write too much", tell: greedyTenants},
	{name: "a marketplace that is late", long: true, tell: lateMarketplace},
	{name: "two operators at once", long: true, tell: twoOperators},
	{name: "an API server that stops", long: true, tell: stoppedAPIServer},
	{name: "etcd killed", long: true, tell: killedEtcd},
	{name: "a disk that is full", long: true, tell: fullDisk},
}

// TestFaults tells the stories, each in a namespace of its own.
func TestFaults(t *testing.T) {
	for _, story := range stories {
		if !story.long || *long {
			t.Run(story.name, func(t *testing.T) {
				t.Parallel()
				story.tell(t)
			})
		}
	}
}

func TestMain(m *testing.M) {
	flag.Parse()
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
	// Stories mostly wait, so that more of them run at once than there are processors.
	if err := flag.Set("test.parallel", "12"); err != nil {
		return 1, err
	}
	ctrl.SetLogger(logr.Discard())
	klog.SetLogger(logr.Discard())
	dir, err := os.MkdirTemp("", "tokenkeeper-chaos-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	operatorProgram = filepath.Join(dir, "operator")
	if output, err := exec.CommandContext(ctx, "go", "build", "-o", operatorProgram, "./operator").CombinedOutput(); err != nil {
		return 1, fmt.Errorf("building the operator: %w\n%s", err, output)
	}
	if shared, err = startCluster(ctx, dir); err != nil {
		return 1, err
	}
	defer shared.stop()
	code = m.Run()
	return code, figuresOfAll.print(os.Stdout)
}
