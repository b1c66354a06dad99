package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// OutcomeSuccess is the outcome of a token request that brought tokens; other outcomes are the kind of failure.
const OutcomeSuccess = "Success"

// Operations counts token requests, and measures how late renewals are. Create it with NewOperations.
type Operations struct {
	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	lateness prometheus.Histogram
}

// NewOperations registers the collectors of Operations.
func NewOperations(registry prometheus.Registerer) *Operations {
	o := &Operations{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tokenkeeper_token_requests_total",
			Help: "Requests to token endpoints, by outcome: Success or the kind of failure.",
		}, []string{"marketplace", "environment", "grant", "outcome"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "tokenkeeper_token_request_duration_seconds",
			Help:    "Time from sending a request to a token endpoint until its answer was read, or until it failed.",
			Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"marketplace", "environment", "grant"}),
		lateness: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "tokenkeeper_renewal_lateness_seconds",
			Help:    "Time from the planned moment of a renewal until the new token was published.",
			Buckets: []float64{.1, .25, .5, 1, 2, 5, 10, 30, 60, 300, 1800, 3600},
		}),
	}
	registry.MustRegister(o.requests, o.duration, o.lateness)
	return o
}

// TokenRequest counts one request to a token endpoint.
func (o *Operations) TokenRequest(marketplace, environment, grant, outcome string, took time.Duration) {
	o.requests.WithLabelValues(marketplace, environment, grant, outcome).Inc()
	o.duration.WithLabelValues(marketplace, environment, grant).Observe(took.Seconds())
}

// RenewalLateness records how long after its planned moment a renewal was done.
func (o *Operations) RenewalLateness(late time.Duration) {
	o.lateness.Observe(max(late, 0).Seconds())
}
