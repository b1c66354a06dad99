package main

import "strings"

// The metrics of accounts have their namespace in the label namespace or, where they are scraped without honorLabels, in exported_namespace. Both
// are selected, and called namespace afterwards. Of several replicas one is enough.
func accounts(metric, selector string, more ...string) string {
	if selector != "" {
		selector += ","
	}
	selector += `marketplace=~"$marketplace",`
	labels := strings.Join(append([]string{"namespace", "name", "marketplace"}, more...), ", ")
	return "max by (" + labels + ") (label_replace(" +
		metric + "{" + selector + `exported_namespace="",namespace=~"$namespace"} or ` +
		metric + "{" + selector + `exported_namespace!="",exported_namespace=~"$namespace"}` +
		`, "namespace", "$1", "exported_namespace", "(.+)"))`
}

func condition(kind, status string) string {
	return accounts("tokenkeeper_account_condition", `type="`+kind+`",status="`+status+`"`)
}

const (
	expiration    = "tokenkeeper_access_token_expiration_timestamp_seconds"
	renewal       = "tokenkeeper_access_token_renewal_timestamp_seconds"
	authorization = "tokenkeeper_authorization_expiration_timestamp_seconds"
	secret        = "tokenkeeper_application_secret_expiration_timestamp_seconds"
)

// until is how many seconds are left until a moment of an account.
func until(metric string) string { return accounts(metric, "") + " - time()" }

// soonest are the 25 accounts with the earliest moment.
func soonest(metric string) string { return "bottomk(25, " + until(metric) + ")" }

// count is how many there are, 0 where there are none.
func count(expr string) string { return "count(" + expr + ") or vector(0)" }

// requests is the number of requests to token endpoints in a second.
func requests(by, selector string) string {
	if selector != "" {
		selector = "," + selector
	}
	return "sum by (" + by + `) (rate(tokenkeeper_token_requests_total{marketplace=~"$marketplace"` + selector + "}[$__rate_interval]))"
}

// latency is a quantile of how long token endpoints take.
func latency(quantile string) string {
	return "histogram_quantile(" + quantile + `, sum by (le, marketplace) (rate(tokenkeeper_token_request_duration_seconds_bucket{marketplace=~"$marketplace"}[$__rate_interval])))`
}

// lateness is a quantile of how late renewals are.
func lateness(quantile string) string {
	return "histogram_quantile(" + quantile + ", sum by (le) (rate(tokenkeeper_renewal_lateness_seconds_bucket[$__rate_interval])))"
}

// ofOperator is a metric of every Go program, of the operator alone.
func ofOperator(metric string) string {
	return metric + " and on (job, instance) tokenkeeper_build_info"
}
