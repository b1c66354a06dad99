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

func TestWhetherDefinitionsAreOutdatedIsAbsentUntilItIsKnown(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	report := metrics.RegisterCRDOutdated(registry)
	if count, err := testutil.GatherAndCount(registry); err != nil || count != 0 {
		t.Errorf("there are %d values, error %v", count, err)
	}
	for outdated, want := range map[bool]string{true: "1", false: "0"} {
		report(outdated)
		text := `# HELP tokenkeeper_crd_outdated 1 while the custom resource definitions of the API server are not those of the operator's version, else 0.
# TYPE tokenkeeper_crd_outdated gauge
tokenkeeper_crd_outdated ` + want + "\n"
		if err := testutil.GatherAndCompare(registry, strings.NewReader(text)); err != nil {
			t.Error(err)
		}
	}
}
