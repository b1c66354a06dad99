package metrics

import "github.com/prometheus/client_golang/prometheus"

// RegisterBuild registers tokenkeeper_build_info, which names the build that runs.
func RegisterBuild(registry prometheus.Registerer, version, commit string) {
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "tokenkeeper_build_info",
		Help:        "1, with the version and the commit of the operator that serves it.",
		ConstLabels: prometheus.Labels{"version": version, "commit": commit},
	})
	info.Set(1)
	registry.MustRegister(info)
}
