package metrics

import (
	"cmp"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	// mostHosts have series of their own: authors of accounts may choose hosts. They are the busiest ones, and otherHosts names all others together.
	mostHosts  = 200
	otherHosts = "other"
)

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
	for _, host := range busiest(h()) {
		for desc, value := range map[*prometheus.Desc]int{
			waitingDesc: host.Waiting, underwayDesc: host.Underway, circuitsDesc: host.CircuitsOpen,
		} {
			out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(value), host.Name)
		}
	}
}

// traffic orders hosts.
func (h Host) traffic() int { return h.Waiting + h.Underway + h.CircuitsOpen }

// busiest returns the hosts with most traffic, and one that stands for the others.
func busiest(all []Host) []Host {
	if len(all) <= mostHosts {
		return all
	}
	all = slices.SortedFunc(slices.Values(all), func(a, b Host) int {
		return cmp.Or(cmp.Compare(b.traffic(), a.traffic()), cmp.Compare(a.Name, b.Name))
	})
	other := Host{Name: otherHosts}
	for _, host := range all[mostHosts:] {
		other.Waiting += host.Waiting
		other.Underway += host.Underway
		other.CircuitsOpen += host.CircuitsOpen
	}
	return append(all[:mostHosts], other)
}
