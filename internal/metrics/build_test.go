package metrics_test

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/tokenkeeper/tokenkeeper/internal/metrics"
)

func TestBuildInfoNamesVersionAndCommit(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	metrics.RegisterBuild(registry, "v0.1.0", "abc")
	const want = `# HELP tokenkeeper_build_info 1, with the version and the commit of the operator that serves it.
# TYPE tokenkeeper_build_info gauge
tokenkeeper_build_info{commit="abc",version="v0.1.0"} 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}
