package metrics

import "github.com/prometheus/client_golang/prometheus"

// RegisterCRDOutdated registers tokenkeeper_crd_outdated, and returns the function that sets it. Until then it has no value.
func RegisterCRDOutdated(registry prometheus.Registerer) func(outdated bool) {
	gauge := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "tokenkeeper_crd_outdated",
		Help: "1 while the custom resource definitions of the API server are not those of the operator's version, else 0.",
	}, nil)
	registry.MustRegister(gauge)
	return func(outdated bool) {
		value := 0.0
		if outdated {
			value = 1
		}
		gauge.WithLabelValues().Set(value)
	}
}
