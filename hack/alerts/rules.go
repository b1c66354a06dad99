package main

import (
	"strings"

	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
)

// Severities. A critical alert wakes a person; a warning is a ticket for working hours; info waits until a person looks.
const (
	info     = "info"
	warning  = "warning"
	critical = "critical"
)

// alert is one name that on-call sees, with a rule for each severity.
type alert struct {
	name string
	// about says in a sentence what has happened, impact its consequence, action the first thing to do. They may name labels.
	about, impact, action string
	rules                 []rule
}

// rule is when an alert has a severity.
type rule struct {
	severity string
	expr     string
	// lasts is how long it has to be so.
	lasts string
}

// perAccount gives an expression over series of accounts one result for each account, and its namespace in the label namespace: a scrape without
// honorLabels has it in exported_namespace, and that of the operator in namespace. Of several replicas one is enough. What can be filtered and
// compared before is, since labels are replaced one by one: of 10,000 accounts few are left here.
func perAccount(expr string) string {
	return `max by (namespace, name, marketplace) (label_replace(` + expr + `, "namespace", "$1", "exported_namespace", "(.+)"))`
}

// sameAccount joins series of an account as one operator tells them, before perAccount.
func sameAccount(word, other string) string {
	return " " + word + " on (job, instance, namespace, exported_namespace, name) " + other
}

func condition(kind, status string) string {
	return perAccount(conditionSeries(kind, status))
}

func conditionSeries(kind, status string) string {
	return `tokenkeeper_account_condition{type="` + kind + `",status="` + status + `"}`
}

func reason(kinds string, names ...string) string { return perAccount(reasonSeries(kinds, names...)) }

func reasonSeries(kinds string, names ...string) string {
	return `tokenkeeper_account_reason{type=~"` + kinds + `",reason=~"` + strings.Join(names, "|") + `"}`
}

// toldBy are the reasons of which an alert speaks.
func toldBy(alert reasons.Alert) []string {
	return reasons.Where(func(m reasons.Meaning) bool { return m.Alert == alert })
}

// Series of accounts.
const (
	expiration    = "tokenkeeper_access_token_expiration_timestamp_seconds"
	renewal       = "tokenkeeper_access_token_renewal_timestamp_seconds"
	authorization = "tokenkeeper_authorization_expiration_timestamp_seconds"
	secret        = "tokenkeeper_application_secret_expiration_timestamp_seconds"
)

var stalled = condition("Stalled", "True")

// join is a condition upon the accounts that have been selected.
func join(word, other string) string { return "\n" + word + " on (namespace, name) " + other }

// active leaves suspended accounts out: their author wants it so.
func active(expr string) string {
	return expr + join("unless", perAccount(`tokenkeeper_account_info{policy="Suspended"}`))
}

// overdue tells that a fifth of the time between the planned renewal and the end of the token has passed. It is measured by that time, since
// platforms leave between five minutes and an hour.
var overdue = perAccount("time() - " + renewal + " > 0.2 * (" + expiration + " - " + renewal + ")")

// dying tells that less than half of that time is left.
var dying = perAccount(expiration + " - time() < 0.5 * (" + expiration + " - " + renewal + ")")

// endsWithin tells that a token ends within so many seconds, or has ended.
func endsWithin(seconds string) string { return perAccount(expiration + " - time() < " + seconds) }

// endless are the accounts with a token that does not end by itself: only a refusal tells that it is dead.
var endless = perAccount(conditionSeries("Ready", "True") + sameAccount("unless", expiration))

// within bounds a remaining time to so many days, and not fewer.
func within(expr, days, fewer string) string {
	expr += " < " + days + " * 86400"
	if fewer != "" {
		expr += " >= " + fewer + " * 86400"
	}
	return expr
}

// byMarketplace counts accounts for each Marketplace: one alert for a failure that they all share.
func byMarketplace(expr string) string { return "count by (marketplace) (\n" + expr + "\n)" }

// outcomeUnknown are the accounts whose refresh token may be spent.
func outcomeUnknown() string {
	return reason("ReauthRequired", toldBy(reasons.RenewalOutcomeUnknown)...)
}

// lastResortFailed tells that the operator has sent such a token once more three minutes before the end of the access token, and that it got no answer, when that lasts for a minute.
var lastResortFailed = endsWithin("180")

// unavailable are the accounts whose marketplace does not answer.
func unavailable() string { return reason("Authenticated", toldBy(reasons.MarketplaceDown)...) }

// answered are the marketplaces that have answered anybody.
const answered = `sum by (marketplace) (increase(tokenkeeper_token_requests_total{outcome!~"Unavailable|Malformed"}[5m])) > 0`

// goneInstallations are the installations that were scraped in the last hours and are not now, while other installations are.
const goneInstallations = `(
group by (namespace, job) (present_over_time(tokenkeeper_build_info[6h]))
unless on (namespace, job) group by (namespace, job) (tokenkeeper_build_info)
) and on () group(tokenkeeper_build_info)`

// personCures are the reasons that a person cures, and of which another alert than RenewalOverdue tells.
func personCures() []string {
	return reasons.Where(func(m reasons.Meaning) bool { return m.ReauthRequired })
}

const account = "{{ $labels.namespace }}/{{ $labels.name }} ({{ $labels.marketplace }})"

// alerts are the alerts of the contract, in its order.
func alerts() []alert {
	return []alert{{
		name:   "TokenkeeperAccountNotReady",
		about:  "Account " + account + " has no valid token.",
		impact: "Workloads that mount its token Secret are refused by the marketplace.",
		action: "kubectl -n {{ $labels.namespace }} describe mpa {{ $labels.name }}: the reason of Ready says who must act.",
		rules: []rule{{
			severity: critical, lasts: "5m",
			expr: active(perAccount(`tokenkeeper_account_condition{type="Ready",status!="True"}` + sameAccount("and", expiration))),
		}, {
			severity: warning, lasts: "30m",
			expr: active(perAccount(reasonSeries("Ready", toldBy(reasons.AccountNotReady)...) + sameAccount("unless", expiration))),
		}},
	}, {
		name:   "TokenkeeperPersonRequired",
		about:  "A person must act for account " + account + ": sign in, or mend the login.",
		impact: "Its token is not renewed any more, and works until it expires.",
		action: "Send the shop to the portal, or to the link in status.signIn; where the login was refused, tell the owner of its Secret.",
		rules: []rule{{
			severity: critical, lasts: "1m",
			expr: active("(\n" + condition("ReauthRequired", "True") + join("and", stalled) + join("and", endsWithin("7200")) +
				"\nor\n" + condition("ReauthRequired", "True") + join("and", stalled) + join("and", endless) +
				"\nor\n" + outcomeUnknown() + join("and", lastResortFailed) + "\n)"),
		}, {
			severity: warning, lasts: "5m",
			expr: active("(\n" + reason("ReauthRequired", toldBy(reasons.PersonRequired)...) +
				"\nor\n" + outcomeUnknown() + join("and", stalled) + "\n)"),
		}},
	}, {
		name:   "TokenkeeperAuthorizationExpiring",
		about:  "The authorization of account " + account + " ends in {{ $value | humanizeDuration }}.",
		impact: "After that its tokens are not renewed, and workloads lose access when the last one expires.",
		action: "Have the shop sign in again before that, with the link in status.signIn or at the portal; tokens go on meanwhile.",
		rules: []rule{
			{severity: critical, lasts: "10m", expr: authorizationEnds("1", "")},
			{severity: warning, lasts: "10m", expr: authorizationEnds("7", "1")},
			{severity: info, lasts: "10m", expr: authorizationEnds("14", "7")},
		},
	}, {
		name:   "TokenkeeperApplicationSecretExpiring",
		about:  "A client secret for {{ $labels.marketplace }} in namespace {{ $labels.namespace }} ends in {{ $value | humanizeDuration }}.",
		impact: "When it has ended, no account that uses it gets a token any more.",
		action: "Make another client secret at the marketplace and put it into the application's Secret, the former one as client_secret_previous.",
		rules: []rule{
			{severity: critical, lasts: "10m", expr: secretEnds("7", "")},
			{severity: warning, lasts: "10m", expr: secretEnds("30", "7")},
		},
	}, {
		name:   "TokenkeeperRenewalOverdue",
		about:  "The token of account " + account + " is not renewed.",
		impact: "The token at hand works until it expires; workloads have none after that.",
		action: "kubectl -n {{ $labels.namespace }} describe mpa {{ $labels.name }}: mend what the reason of Authenticated or Stalled names, or look whether the operator is stuck.",
		rules: []rule{{
			severity: critical, lasts: "1m",
			expr: active(overdue + join("unless", reason("Authenticated", personCures()...)) +
				join("unless", reason("Authenticated", append(toldBy(reasons.ApplicationRejected), toldBy(reasons.MarketplaceThrottling)...)...)) +
				join("unless", "("+unavailable()+" unless on (marketplace) ("+answered+"))")),
		}, {
			severity: warning, lasts: "15m",
			expr: active(reason("Stalled", toldBy(reasons.RenewalOverdue)...)),
		}},
	}, {
		name:   "TokenkeeperRenewalOutcomeUnknown",
		about:  "{{ $value }} account(s) of {{ $labels.marketplace }} do not know whether their refresh token is spent, since the answer to a renewal was lost.",
		impact: "The tokens at hand work until they expire. Shortly before that each is renewed once more as a last resort, which succeeds where the marketplace had not acted.",
		action: "Have the shops sign in again in working hours; find out why answers were lost (gateways, time-outs, killed pods).",
		rules: []rule{{
			severity: warning, lasts: "2m",
			expr: byMarketplace(active(outcomeUnknown() + join("unless", stalled) + join("unless", lastResortFailed))),
		}},
	}, {
		name:   "TokenkeeperApplicationRejected",
		about:  "{{ $labels.marketplace }} refuses the application of {{ $value }} account(s).",
		impact: "None of them is renewed; each loses access when its token expires.",
		action: "Compare client_id and client_secret of the application's Secret with the marketplace's page; put the right ones there, and all accounts go on.",
		rules: []rule{{
			severity: critical, lasts: "1m",
			expr: byMarketplace(active(reason("Authenticated", toldBy(reasons.ApplicationRejected)...) + join("and", dying))),
		}, {
			severity: warning, lasts: "7m",
			expr: byMarketplace(active(reason("Authenticated", toldBy(reasons.ApplicationRejected)...))),
		}},
	}, {
		name:   "TokenkeeperAccountMismatch",
		about:  "New tokens for account " + account + " belong to another seller, and are not used.",
		impact: "The former token works until it expires, and its renewals go on where they can.",
		action: "Compare spec.accountID and status.account with the seller in the message; have the shop sign in as the right one, or correct spec.accountID.",
		rules: []rule{{
			severity: warning, lasts: "5m",
			expr: active(reason("Authenticated|ReauthRequired", toldBy(reasons.AccountMismatch)...)),
		}},
	}, {
		name:   "TokenkeeperMarketplaceDown",
		about:  "{{ $labels.marketplace }} does not answer; {{ $value }} account(s) wait for it.",
		impact: "Their tokens are not renewed and work until they expire; the operator keeps trying.",
		action: "Look at the marketplace's status page, then at DNS, proxy and NetworkPolicy between the operator and the token host.",
		rules: []rule{{
			severity: critical, lasts: "1m",
			expr: byMarketplace(active(unavailable()+join("and", dying))) + "\nunless on (marketplace) (" + answered + ")",
		}, {
			severity: warning, lasts: "5m",
			expr: byMarketplace(active(unavailable())) + "\nunless on (marketplace) (" + answered + ")",
		}},
	}, {
		name:   "TokenkeeperMarketplaceThrottling",
		about:  "{{ $labels.marketplace }} asks for fewer requests; {{ $value }} account(s) wait.",
		impact: "Renewals are late; tokens work until they expire.",
		action: "Lower spec.limits of the Marketplace, and look for other programs that use the same application.",
		rules: []rule{{
			severity: critical, lasts: "1m",
			expr: byMarketplace(active(reason("Authenticated", toldBy(reasons.MarketplaceThrottling)...) + join("and", dying))),
		}, {
			severity: warning, lasts: "15m",
			expr: byMarketplace(active(reason("Authenticated", toldBy(reasons.MarketplaceThrottling)...))),
		}},
	}, {
		name:   "TokenkeeperSecretConflict",
		about:  "The tokens of account " + account + " cannot be published.",
		impact: "A Secret of that name is somebody else's, or the API server refuses the write; workloads do not get new tokens.",
		action: "Remove the other Secret or choose another spec.tokenSecret.name; look at quotas, policies and immutable Secrets.",
		rules: []rule{{
			severity: critical, lasts: "2m",
			expr: active(perAccount(reasonSeries("Ready|Authenticated|Stalled", toldBy(reasons.SecretConflict)...) + sameAccount("and", expiration))),
		}, {
			severity: warning, lasts: "5m",
			expr: active(perAccount(reasonSeries("Ready|Authenticated|Stalled", toldBy(reasons.SecretConflict)...) + sameAccount("unless", expiration))),
		}},
	}, {
		name:   "TokenkeeperOperatorAbsent",
		about:  "No operator is scraped, or one of several installations is not any more.",
		impact: "Either no token is renewed, or nobody hears of one that is not: every other alert is silent.",
		action: "kubectl -n tokenkeeper-system get deployment,pods; then the scrape target in Prometheus.",
		rules:  []rule{{severity: critical, lasts: "5m", expr: "absent(tokenkeeper_build_info)\nor\n" + goneInstallations}},
	}, {
		name:   "TokenkeeperNoLeader",
		about:  "No replica of the operator ({{ $labels.job }}) holds the lease {{ $labels.name }}.",
		impact: "No token is renewed.",
		action: "kubectl -n tokenkeeper-system get lease,pods, and the log: the replicas must reach the API server and be able to write the lease.",
		rules: []rule{{
			severity: critical, lasts: "3m",
			expr: "max by (namespace, job, name) (leader_election_master_status and on (job, instance) tokenkeeper_build_info) == 0",
		}},
	}, {
		name:   "TokenkeeperMemoryNearLimit",
		about:  "The operator {{ $labels.instance }} uses {{ $value | humanizePercentage }} of the memory that it may.",
		impact: "It is slower, since it collects garbage all the time, and the kernel kills it when it reaches the limit. Tokens stay valid meanwhile.",
		action: "Raise resources.limits.memory, or split the accounts among installations.",
		rules: []rule{{
			severity: warning, lasts: "10m",
			expr: "max by (namespace, job, instance) (\nprocess_resident_memory_bytes / on (job, instance) group_left () go_gc_gomemlimit_bytes\nand on (job, instance) tokenkeeper_build_info\n) > 0.95",
		}},
	}, {
		name:   "TokenkeeperCRDOutdated",
		about:  "The custom resource definitions in the cluster are not those of the operator that runs ({{ $labels.job }}).",
		impact: "Fields of this version are dropped or refused, and checks of the API server may be missing. Renewals go on.",
		action: "Apply the definitions of the operator's version: docs/upgrade.md.",
		rules:  []rule{{severity: warning, lasts: "30m", expr: "max by (namespace, job) (tokenkeeper_crd_outdated) == 1"}},
	}}
}

// authorizationEnds is for consents that end so soon, unless the operator says that this one does not end by itself or is prolonged.
func authorizationEnds(days, fewer string) string {
	return active(perAccount(within(authorization+" - time()", days, fewer) + sameAccount("unless", conditionSeries("AuthorizationExpiring", "False"))))
}

// secretEnds is for client secrets that end so soon: one alert for the accounts of a namespace that share it.
func secretEnds(days, fewer string) string {
	return within("min by (namespace, marketplace) (\n"+active(perAccount(secret+" - time() < 30 * 86400"))+"\n)", days, fewer)
}
