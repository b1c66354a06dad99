package main

import (
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

var source = common.DataSourceRef{Type: new("prometheus"), Uid: new("${datasource}")}

// board is the whole dashboard.
func board() *dashboard.DashboardBuilder { //nolint:staticcheck // The format that every Grafana reads; its successor needs Grafana 12.
	return dashboard.NewDashboardBuilder("tokenkeeper"). //nolint:staticcheck // the same
								Uid("tokenkeeper").
								Description("OAuth tokens of marketplace accounts: which work, when each ends, and what needs a person. https://github.com/tokenkeeper/tokenkeeper/blob/main/docs/dashboard.md").
								Tags([]string{"tokenkeeper"}).
								Refresh("1m").
								Time("now-6h", "now").
								Timezone("browser").
								WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Data source").Type("prometheus")).
								WithVariable(variable("namespace", "Namespace")).
								WithVariable(variable("marketplace", "Marketplace")).
								WithRow(dashboard.NewRowBuilder("What needs a person")).
								WithPanel(number("Accounts", "All accounts that are selected.", count(accounts("tokenkeeper_account_info", "")))).
								WithPanel(number("Not ready", "Accounts without a valid token, but for suspended ones.",
			count(accounts("tokenkeeper_account_condition", `type="Ready",status!="True"`)+" unless on (namespace, name) "+accounts("tokenkeeper_account_info", `policy="Suspended"`)), red)).
		WithPanel(number("Need a person", "ReauthRequired is True.", count(condition("ReauthRequired", "True")), yellow)).
		WithPanel(number("Stalled", "Nothing more is tried before somebody changes something.", count(condition("Stalled", "True")), yellow)).
		WithPanel(number("Overdue", "Renewals whose planned moment has passed.", count(until(renewal)+" < 0"), yellow)).
		WithPanel(number("Suspended", "Accounts that their author has switched off.", count(accounts("tokenkeeper_account_info", `policy="Suspended"`)))).
		WithPanel(list("Accounts that need a person", "Who acts, by reason: docs/troubleshooting.md.", 12,
			accounts("tokenkeeper_account_reason", `type="ReauthRequired",reason!="NotRequired"`, "reason"), "Value")).
		WithPanel(list("Accounts that need a change", "Nothing more is tried before somebody changes an object: the reason says which.", 12,
			accounts("tokenkeeper_account_reason", `type="Stalled"`, "reason"), "Value")).
		WithRow(dashboard.NewRowBuilder("Fleet")).
		WithPanel(curves("Ready, by marketplace", "Accounts with a valid token.", "short", 12,
			line("count by (marketplace) ("+condition("Ready", "True")+")", "{{marketplace}}"))).
		WithPanel(curves("Not authenticated, by marketplace and status", "Unknown: the marketplace cannot be asked; False: it refuses, or a person must sign in.", "short", 12,
			line("count by (marketplace, status) ("+accounts("tokenkeeper_account_condition", `type="Authenticated",status!="True"`, "status")+")", "{{marketplace}} {{status}}"))).
		WithPanel(list("By condition and marketplace", "How many accounts have which status.", 12,
			"count by (marketplace, type, status) ("+accounts("tokenkeeper_account_condition", "", "type", "status")+")", "Accounts")).
		WithPanel(curves("Reasons of Authenticated", "Accounts by reason.", "short", 12,
			line("count by (reason) ("+accounts("tokenkeeper_account_reason", `type="Authenticated"`, "reason")+")", "{{reason}}"))).
		WithRow(dashboard.NewRowBuilder("Time to each end")).
		WithPanel(ends("Authorizations", "What a person must renew. Where each renewal prolongs it, the end never comes.", authorization)).
		WithPanel(ends("Client secrets", "What the owner of the application must renew.", secret)).
		WithPanel(ends("Access tokens", "Renewed by themselves before that.", expiration)).
		WithPanel(ends("Renewals", "Planned moments; negative ones are overdue.", renewal)).
		WithRow(dashboard.NewRowBuilder("Renewals")).
		WithPanel(curves("Token requests by outcome", "First tokens, renewals, exchanges of a code and polls.", "reqps", 12, line(requests("outcome", ""), "{{outcome}}"))).
		WithPanel(curves("Lateness of renewals", "From the planned moment until the new token was published.", "s", 12,
			line(lateness("0.5"), "median"), line(lateness("0.99"), "99 %"))).
		WithRow(dashboard.NewRowBuilder("Hosts")).
		WithPanel(curves("Latency of token endpoints", "95 % are faster.", "s", 6, line(latency("0.95"), "{{marketplace}}"))).
		WithPanel(curves("Errors", "Requests that brought no tokens, but for polls of a person who has not decided yet.", "reqps", 6,
			line(requests("marketplace, outcome", `outcome!~"Success|Pending|SlowDown"`), "{{marketplace}} {{outcome}}"))).
		WithPanel(curves("Waiting and underway", "Requests at token hosts.", "short", 6,
			line("sum by (host) (tokenkeeper_token_host_requests_waiting)", "{{host}} waiting"), line("sum by (host) (tokenkeeper_token_host_requests_underway)", "{{host}} underway"))).
		WithPanel(curves("Open circuits", "Clients whose requests are held back, since the host does not answer.", "short", 6,
			line("sum by (host) (tokenkeeper_token_host_circuits_open)", "{{host}}"))).
		WithRow(dashboard.NewRowBuilder("Operator")).
		WithPanel(curves("Memory", "Resident memory, and GOMEMLIMIT, which is nine tenths of the container's limit.", "bytes", 12,
			line(ofOperator("process_resident_memory_bytes"), "{{instance}}"), line("go_gc_gomemlimit_bytes < 1e15 and on (job, instance) tokenkeeper_build_info", "limit of {{instance}}"))).
		WithPanel(curves("Accounts that wait to be worked on", "The operator's queue.", "short", 6, line(ofOperator("workqueue_depth"), "{{name}} {{instance}}"))).
		WithPanel(list("Builds", "What runs.", 6, "max by (version, commit, instance) (tokenkeeper_build_info)", "Value")).
		WithPanel(number("Definitions outdated", "The custom resource definitions are not those of the operator's version.", "max(tokenkeeper_crd_outdated) or vector(0)", red)).
		WithPanel(number("Leaders", "Replicas that hold the lease.", "sum("+ofOperator("leader_election_master_status")+") or vector(0)"))
}

// variable lists the values of a label of the accounts, whatever it is called after the scrape.
func variable(name, label string) *dashboard.QueryVariableBuilder {
	query := "query_result(count by (" + name + `) (label_replace(tokenkeeper_account_info, "namespace", "$1", "exported_namespace", "(.+)")))`
	return dashboard.NewQueryVariableBuilder(name).Label(label).Datasource(source).
		Query(dashboard.StringOrMap{String: &query}).Regex(`/` + name + `="([^"]+)"/`).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).Sort(dashboard.VariableSortAlphabeticalAsc).
		Multi(true).IncludeAll(true).AllValue(".*")
}

func line(expr, legend string) *prometheus.DataqueryBuilder {
	return prometheus.NewDataqueryBuilder().Datasource(source).Expr(expr).LegendFormat(legend)
}

const (
	yellow = "yellow"
	red    = "red"
)

// number is one value of now, of a color when it is not zero.
func number(title, about, expr string, color ...string) *stat.PanelBuilder {
	steps := []dashboard.Threshold{{Color: "green"}}
	for _, name := range color {
		steps = append(steps, dashboard.Threshold{Color: name, Value: new(float64(1))})
	}
	return stat.NewPanelBuilder().Title(title).Description(about).Datasource(source).Height(4).Span(4).
		ColorMode(common.BigValueColorModeValue).GraphMode(common.BigValueGraphModeArea).
		ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"})).
		Thresholds(dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(steps)).
		WithTarget(line(expr, title).RefId("A"))
}

// curves are values over time.
func curves(title, about, unit string, span uint32, lines ...*prometheus.DataqueryBuilder) *timeseries.PanelBuilder {
	panel := timeseries.NewPanelBuilder().Title(title).Description(about).Datasource(source).Height(8).Span(span).Unit(unit).Min(0).
		FillOpacity(10).Legend(common.NewVizLegendOptionsBuilder().DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom).ShowLegend(true))
	for i, target := range lines {
		panel = panel.WithTarget(target.RefId(string(rune('A' + i))))
	}
	return panel
}

// list shows the labels of now; value names the meaning of the number.
func list(title, about string, span uint32, expr, value string) *table.PanelBuilder {
	organize := dashboard.DataTransformerConfig{Id: "organize", Options: map[string]any{
		"excludeByName": map[string]bool{"Time": true, "Value": value == "Value"}, "renameByName": map[string]string{"Value": value},
	}}
	return table.NewPanelBuilder().Title(title).Description(about).Datasource(source).Height(8).Span(span).
		WithTransformation(organize).WithTarget(instant(expr))
}

// ends lists what ends first.
func ends(title, about, metric string) *table.PanelBuilder {
	organize := dashboard.DataTransformerConfig{Id: "organize", Options: map[string]any{
		"excludeByName": map[string]bool{"Time": true}, "renameByName": map[string]string{"Value": "Left"},
	}}
	sort := dashboard.DataTransformerConfig{Id: "sortBy", Options: map[string]any{"sort": []map[string]string{{"field": "Left"}}}}
	return table.NewPanelBuilder().Title(title).Description(about).Datasource(source).Height(8).Span(6).Unit("s").
		WithTransformation(organize).WithTransformation(sort).WithTarget(instant(soonest(metric)))
}

func instant(expr string) *prometheus.DataqueryBuilder {
	return prometheus.NewDataqueryBuilder().Datasource(source).Expr(expr).RefId("A").Instant().Format(prometheus.PromQueryFormatTable)
}
