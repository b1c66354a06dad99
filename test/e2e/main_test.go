// Package e2e_test installs tokenkeeper on a cluster with real nodes, as users do: with both versions of Helm and with kustomize, with images,
// probes, an ingress and a workload. "make e2e" runs it, on the cluster of E2E_CONTEXT where that is given, else on a node that it starts
// (test/e2e/node), which takes root and some twenty minutes to build the first time. "go test ./..." leaves it out.
//
// On a cluster of E2E_CONTEXT, E2E_LOAD is a command that brings an image archive to the nodes, such as "kind load image-archive"; without it, the
// images must be there.
package e2e_test

import (
	"flag"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/go-logr/logr"
	logf "sigs.k8s.io/controller-runtime/pkg/log"
)

var (
	onNode = flag.Bool("e2e", false, "run the suite, on the cluster of E2E_CONTEXT or on a node that it starts")
	keep   = flag.Bool("e2e.keep", false, "leave everything as it is in the end, to look at")
)

func TestMain(m *testing.M) {
	flag.Parse()
	if !*onNode {
		fmt.Fprintln(os.Stdout, `Nothing was tried: "make e2e" installs tokenkeeper on a real node.`)
		return
	}
	logf.SetLogger(logr.Discard())
	os.Exit(m.Run())
}

// began is when the suite did.
var began = time.Now()

// saw prints an observation with its time.
func saw(format string, args ...any) {
	fmt.Fprintf(os.Stdout, "%7.1fs  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
}

// TestOnARealNode is one story: the ways to install take over from each other, and the shop's account outlives all of them.
func TestOnARealNode(t *testing.T) {
	c := startCluster(t)
	c.openMarketplace()
	for number, way := range ways(c) {
		if !t.Run(way.name, func(t *testing.T) { c.on(t).tell(number, way) }) {
			t.Fatalf("%s does not work, so that what comes after it is not tried", way.name)
		}
	}
}
