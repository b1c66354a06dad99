package metrics

import "github.com/prometheus/client_golang/prometheus"

// Host is the traffic with one token host.
type Host struct {
	Name string
	// Waiting and Underway count requests, CircuitsOpen the clients that are held back since the host does not answer.
	Waiting, Underway, CircuitsOpen int
}

var (
	waitingDesc = prometheus.NewDesc("tokenkeeper_token_host_requests_waiting",
		"Requests that wait for their turn at a token host.", []string{"host"}, nil)
	underwayDesc = prometheus.NewDesc("tokenkeeper_token_host_requests_underway",
		"Requests to a token host that wait for its answer.", []string{"host"}, nil)
	circuitsDesc = prometheus.NewDesc("tokenkeeper_token_host_circuits_open",
		"Clients whose requests to a token host are held back, but for one now and then, since it failed to answer several in a row.",
		[]string{"host"}, nil)
)

// hosts exports the traffic with every token host.
type hosts func() []Host

// RegisterHosts registers the gauges of token hosts, which are asked for at each scrape.
func RegisterHosts(registry prometheus.Registerer, all func() []Host) {
	registry.MustRegister(hosts(all))
}

// Describe implements prometheus.Collector.
func (h hosts) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{waitingDesc, underwayDesc, circuitsDesc} {
		descs <- desc
	}
}

// Collect implements prometheus.Collector.
func (h hosts) Collect(out chan<- prometheus.Metric) {
	for _, host := range h() {
		for desc, value := range map[*prometheus.Desc]int{
			waitingDesc: host.Waiting, underwayDesc: host.Underway, circuitsDesc: host.CircuitsOpen,
		} {
			out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(value), host.Name)
		}
	}
}
