package main

import (
	"maps"

	"github.com/tokenkeeper/tokenkeeper/test/promtool"
)

const (
	minute = 60.0
	hour   = 60 * minute
	day    = 24 * hour
)

// life is the state of an account at each minute of a story.
type life struct {
	minutes int
	labels  map[string]string
	series  []promtool.Series
}

// account begins the life of an account.
func lives(name, marketplace string, minutes int) *life {
	return &life{minutes: minutes, labels: map[string]string{"namespace": "shop", "name": name, "marketplace": marketplace}}
}

// span is a series that has a value from one minute until before another; until 0 means until the end.
func (l *life) span(name string, value float64, from, until int, more ...string) *life {
	if until == 0 {
		until = l.minutes + 1
	}
	labels := map[string]string{}
	maps.Copy(labels, l.labels)
	for i := 0; i < len(more); i += 2 {
		labels[more[i]] = more[i+1]
	}
	samples := make([]float64, l.minutes+1)
	for at := range samples {
		if samples[at] = promtool.None(); at >= from && at < until {
			samples[at] = value
		}
	}
	l.series = append(l.series, promtool.Series{Name: name, Labels: labels, Samples: samples})
	return l
}

// is gives a condition a status and a reason for some minutes.
func (l *life) is(kind, status, reason string, from, until int) *life {
	return l.span("tokenkeeper_account_condition", 1, from, until, "type", kind, "status", status).
		span("tokenkeeper_account_reason", 1, from, until, "type", kind, "reason", reason)
}

// renewed says how the account is renewed.
func (l *life) renewed(policy string) *life {
	return l.span("tokenkeeper_account_info", 1, 0, 0, "environment", "Production", "grant", "DeviceCode", "policy", policy)
}

// token has a token that is renewed and ends at these seconds.
func (l *life) token(renews, ends float64) *life {
	return l.span("tokenkeeper_access_token_renewal_timestamp_seconds", renews, 0, 0).
		span("tokenkeeper_access_token_expiration_timestamp_seconds", ends, 0, 0)
}

// fine is all that is said of an account that works, from one minute on until before another.
func (l *life) fine(from, until int) *life {
	return l.is("Ready", "True", "TokenValid", from, until).is("Authenticated", "True", "TokenValid", from, until).
		is("ReauthRequired", "False", "NotRequired", from, until).is("AuthorizationExpiring", "False", "NotRequired", from, until)
}

// refused is an account with a good token that needs a person, from a minute on.
func (l *life) refused(reason, authenticated string, from, until int) *life {
	return l.is("Ready", "True", "TokenValid", from, until).is("Authenticated", authenticated, reason, from, until).
		is("ReauthRequired", "True", reason, from, until).is("AuthorizationExpiring", "Unknown", reason, from, until)
}

// asks is an account with a good token that has got no answer, from a minute on.
func (l *life) asks(reason, authenticated string, from, until int) *life {
	return l.is("Ready", "True", "TokenValid", from, until).is("Authenticated", authenticated, reason, from, until).
		is("ReauthRequired", "False", "NotRequired", from, until).is("AuthorizationExpiring", "False", "NotRequired", from, until)
}

// working is an account with nothing wrong, whose token is renewed in ten hours.
func working(name, marketplace string, minutes int) *life {
	return lives(name, marketplace, minutes).renewed("Automatic").token(10*hour, 11*hour).fine(0, 0)
}

// operator holds the metrics of a replica about itself.
func operator(minutes int) []promtool.Series {
	return all(&life{minutes: minutes}).beside(
		said("tokenkeeper_build_info", 1, minutes, "version", "v0.1.0", "commit", "abc"),
		said("tokenkeeper_crd_outdated", 0, minutes),
		said("leader_election_master_status", 1, minutes, "name", "tokenkeeper"),
		said("process_resident_memory_bytes", 100e6, minutes),
		said("go_gc_gomemlimit_bytes", 480e6, minutes),
	)
}

// said is a series that does not change.
func said(name string, value float64, minutes int, labels ...string) promtool.Series {
	l := &life{minutes: minutes}
	return l.span(name, value, 0, 0, labels...).series[0]
}

// changes is a series whose value changes at a minute.
func changes(name string, before, after float64, at, minutes int, labels ...string) promtool.Series {
	series := said(name, before, minutes, labels...)
	for i := at; i < len(series.Samples); i++ {
		series.Samples[i] = after
	}
	return series
}

// counts is a counter that grows by one each minute until before another minute.
func counts(name string, until, minutes int, labels ...string) promtool.Series {
	series := said(name, 0, minutes, labels...)
	for i := range series.Samples {
		series.Samples[i] = float64(min(i, until))
	}
	return series
}

type several []promtool.Series

// replicas are the same series from two replicas.
func replicas(series []promtool.Series) []promtool.Series {
	var both []promtool.Series
	for _, one := range series {
		labels := maps.Clone(one.Labels)
		labels["instance"], labels["pod"] = "10.0.0.2:8080", "tokenkeeper-1"
		both = append(both, one, promtool.Series{Name: one.Name, Labels: labels, Samples: one.Samples})
	}
	return both
}

// all are the series of accounts.
func all(accounts ...*life) several {
	var series several
	for _, account := range accounts {
		series = append(series, account.series...)
	}
	return series
}

func (s several) beside(more ...promtool.Series) []promtool.Series { return append(s, more...) }

// onAccount is an alert of an account.
func onAccount(name, severity, account string) map[string]string {
	return map[string]string{"alertname": "Tokenkeeper" + name, "severity": severity, "namespace": "shop", "name": account, "marketplace": "allegro"}
}

// onMarketplace is an alert of all accounts of a Marketplace.
func onMarketplace(name, severity, marketplace string) map[string]string {
	return map[string]string{"alertname": "Tokenkeeper" + name, "severity": severity, "marketplace": marketplace}
}

// onOperator is an alert of the operator.
func onOperator(name, severity string, more ...string) map[string]string {
	labels := map[string]string{"alertname": "Tokenkeeper" + name, "severity": severity}
	for i := 0; i < len(more); i += 2 {
		labels[more[i]] = more[i+1]
	}
	return labels
}

func at(minute int, firing ...map[string]string) promtool.Check {
	return promtool.Check{Minute: minute, Firing: firing}
}
