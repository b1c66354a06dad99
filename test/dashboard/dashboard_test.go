// Package dashboard_test asks a real Prometheus, which scrapes a quickstart, everything that the dashboard and the alerts ask.
package dashboard_test

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	root  = "../.."
	board = root + "/config/components/dashboard/tokenkeeper.json"
)

// query is the question of a panel or a variable.
type query struct{ of, expr string }

// panel is the part of Grafana's format that holds queries. Rows hold panels.
type panel struct {
	ID         int    `json:"id"`
	Title      string `json:"title"`
	Type       string `json:"type"`
	Datasource struct {
		UID string `json:"uid"`
	} `json:"datasource"`
	Targets []struct {
		Expr       string `json:"expr"`
		RefID      string `json:"refId"`
		Datasource struct {
			UID string `json:"uid"`
		} `json:"datasource"`
	} `json:"targets"`
	Panels []panel `json:"panels"`
}

// dashboard is the file that Grafana reads.
type dashboard struct {
	Panels     []panel `json:"panels"`
	Templating struct {
		List []struct {
			Name  string `json:"name"`
			Type  string `json:"type"`
			Query string `json:"query"`
			Regex string `json:"regex"`
		} `json:"list"`
	} `json:"templating"`
}

func load(t *testing.T) dashboard {
	t.Helper()
	text, err := os.ReadFile(board)
	if err != nil {
		t.Fatal(err)
	}
	var made dashboard
	if err := json.Unmarshal(text, &made); err != nil {
		t.Fatal(err)
	}
	return made
}

// queries are the queries of all panels, and the ones behind the variables.
func (d dashboard) queries() []query {
	var all []query
	var walk func(panels []panel)
	walk = func(panels []panel) {
		for _, panel := range panels {
			for _, target := range panel.Targets {
				all = append(all, query{panel.Title, target.Expr})
			}
			walk(panel.Panels)
		}
	}
	walk(d.Panels)
	for _, variable := range d.Templating.List {
		if expr, found := strings.CutPrefix(variable.Query, "query_result("); found {
			all = append(all, query{"variable " + variable.Name, strings.TrimSuffix(expr, ")")})
		}
	}
	return all
}

// filled is a query with values in the place of variables, as Grafana fills them in.
func (q query) filled(namespace, marketplace string) string {
	return strings.NewReplacer("$namespace", namespace, "$marketplace", marketplace, "$__rate_interval", "30s").Replace(q.expr)
}

func TestDashboardHasItsVariablesAndNoOtherSource(t *testing.T) {
	made := load(t)
	var names []string
	for _, variable := range made.Templating.List {
		names = append(names, variable.Name+":"+variable.Type)
	}
	if want := []string{"datasource:datasource", "namespace:query", "marketplace:query"}; !slices.Equal(names, want) {
		t.Errorf("the variables are %v, want %v", names, want)
	}
	ids := map[int]bool{}
	var walk func(panels []panel)
	walk = func(panels []panel) {
		for _, panel := range panels {
			letters := map[string]bool{}
			if ids[panel.ID] || panel.ID == 0 {
				t.Errorf("%s has the number %d, as another has", panel.Title, panel.ID)
			}
			ids[panel.ID] = true
			for _, target := range panel.Targets {
				if letters[target.RefID] || target.RefID == "" {
					t.Errorf("a query of %s has the letter %q, as another has", panel.Title, target.RefID)
				}
				letters[target.RefID] = true
				if panel.Datasource.UID != "${datasource}" || target.Datasource.UID != "${datasource}" {
					t.Errorf("%s asks %s", panel.Title, target.Datasource.UID)
				}
			}
			walk(panel.Panels)
		}
	}
	walk(made.Panels)
}

// TestDashboardShowsWhatOnCallNeeds by the metrics that its panels ask for.
func TestDashboardShowsWhatOnCallNeeds(t *testing.T) {
	asked := ""
	for _, query := range load(t).queries() {
		asked += query.expr + "\n"
	}
	for what, metric := range map[string]string{
		"fleet by condition": "tokenkeeper_account_condition", "what needs a person": `tokenkeeper_account_reason{type="ReauthRequired"`,
		"suspended accounts": `policy="Suspended"`, "the end of authorizations": "tokenkeeper_authorization_expiration_timestamp_seconds",
		"the end of client secrets": "tokenkeeper_application_secret_expiration_timestamp_seconds",
		"the end of tokens":         "tokenkeeper_access_token_expiration_timestamp_seconds",
		"renewals":                  "tokenkeeper_token_requests_total", "lateness": "tokenkeeper_renewal_lateness_seconds_bucket",
		"latency of hosts": "tokenkeeper_token_request_duration_seconds_bucket", "errors": `outcome!~"Success|Pending|SlowDown"`,
		"open circuits": "tokenkeeper_token_host_circuits_open", "memory": "process_resident_memory_bytes", "its limit": "go_gc_gomemlimit_bytes",
	} {
		if !strings.Contains(asked, metric) {
			t.Errorf("no panel shows %s", what)
		}
	}
}

var (
	selector = regexp.MustCompile(`\b([a-z_]+)\{([^}]*)\}`)
	bare     = regexp.MustCompile(`\b((?:tokenkeeper|process|go|workqueue|leader)_[a-z_]+)\b`)
	matched  = regexp.MustCompile(`([a-z_]+)(?:=~|!~|!=|=)"`)
	grouped  = regexp.MustCompile(`\b(?:by|on) \(([^)]*)\)`)
	sampled  = regexp.MustCompile(`(?m)^([a-z_:]+)(?:\{(.*)\})? \S+$`)
	labelled = regexp.MustCompile(`([a-zA-Z_]+)="`)
)

// scraped are the labels of each metric of a page.
func scraped(page string) map[string]map[string]bool {
	metrics := map[string]map[string]bool{}
	for _, sample := range sampled.FindAllStringSubmatch(page, -1) {
		if metrics[sample[1]] == nil {
			metrics[sample[1]] = map[string]bool{}
		}
		for _, label := range labelled.FindAllStringSubmatch(sample[2], -1) {
			metrics[sample[1]][label[1]] = true
		}
	}
	return metrics
}

// ofTarget are the labels that Prometheus adds.
var ofTarget = []string{"job", "instance", "namespace", "exported_namespace"}

// unknown are metrics and labels of a query that a scrape does not have.
func unknown(expr string, metrics map[string]map[string]bool) []string {
	var missing []string
	all := map[string]bool{}
	for _, found := range bare.FindAllStringSubmatch(expr, -1) {
		if metrics[found[1]] == nil {
			missing = append(missing, "metric "+found[1])
		}
		maps.Copy(all, metrics[found[1]])
	}
	for _, found := range selector.FindAllStringSubmatch(expr, -1) {
		for _, label := range matched.FindAllStringSubmatch(found[2], -1) {
			if !metrics[found[1]][label[1]] && !slices.Contains(ofTarget, label[1]) {
				missing = append(missing, "label "+label[1]+" of "+found[1])
			}
		}
	}
	for _, found := range grouped.FindAllStringSubmatch(expr, -1) {
		for label := range strings.SplitSeq(found[1], ", ") {
			if label != "" && !all[label] && !slices.Contains(ofTarget, label) {
				missing = append(missing, "label "+label)
			}
		}
	}
	return missing
}

func TestUnknownMetricsAndLabelsAreFound(t *testing.T) {
	metrics := scraped("# HELP x y\ntokenkeeper_a{name=\"n\",type=\"t\"} 1\ntokenkeeper_b 2\n")
	for expr, want := range map[string]int{
		`tokenkeeper_a{type="t",exported_namespace=""}`: 0,
		`max by (name, job) (tokenkeeper_a)`:            0,
		`tokenkeeper_c`:                                 1,
		`tokenkeeper_a{kind="t"}`:                       1,
		`sum by (kind) (tokenkeeper_b)`:                 1,
	} {
		if got := unknown(expr, metrics); len(got) != want {
			t.Errorf("%s: %v", expr, got)
		}
	}
}
