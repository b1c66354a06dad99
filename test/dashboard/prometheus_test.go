package dashboard_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/test/promtool"
)

// patience is how long programs may take to start, and accounts to become ready, on a machine that is busy.
const patience = 4 * time.Minute

// eventually tries until it succeeds.
func eventually(t *testing.T, what string, try func() error) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		<-time.After(200 * time.Millisecond) // programs of their own, whose clock is the real one
	}
}

// start runs a program in a folder until the end of the test, which asks it to end. It returns the output of the program.
func start(t *testing.T, folder, program string, args ...string) io.Reader {
	t.Helper()
	command := exec.CommandContext(context.WithoutCancel(t.Context()), program, args...)
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stderr, command.Dir = os.Stderr, folder
	command.Env = append(os.Environ(), "GOMEMLIMIT=1GiB") // as the manifests have it, for the quickstart's operator
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		_ = command.Wait()
	})
	return out
}

var metricsAt = regexp.MustCompile(`its metrics are at (http://\S+)`)

// quickstart runs the quickstart, and returns where its operator serves metrics.
func quickstart(t *testing.T) string {
	t.Helper()
	if os.Getenv("KUBEBUILDER_ASSETS") == "" {
		t.Fatal(`KUBEBUILDER_ASSETS is not set: run "make test", which finds or builds a kube-apiserver`)
	}
	program := filepath.Join(t.TempDir(), "quickstart")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./cmd/quickstart")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	found := make(chan string, 1)
	lines := bufio.NewScanner(start(t, root, program))
	go func() {
		defer close(found)
		for lines.Scan() {
			if match := metricsAt.FindStringSubmatch(lines.Text()); match != nil {
				select {
				case found <- match[1]:
				default:
				}
			}
		}
	}()
	select {
	case address, says := <-found:
		if !says {
			t.Fatal("the quickstart has ended")
		}
		return address
	case <-time.After(patience):
		t.Fatal("the quickstart does not say where its metrics are")
	}
	return ""
}

func fetch(t *testing.T, address string) (string, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, http.NoBody)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusOK {
		err = errors.Join(err, fmt.Errorf("%s: %s", response.Status, body))
	}
	return string(body), err
}

// prometheus scrapes an operator and evaluates the alert rules so often, and returns its address.
func prometheus(t *testing.T, metrics string, honorLabels bool, often time.Duration) string {
	t.Helper()
	program, err := exec.LookPath("prometheus")
	if err != nil {
		t.Fatalf("%v: install Debian's package prometheus", err)
	}
	target, err := url.Parse(metrics)
	if err != nil {
		t.Fatal(err)
	}
	rules, err := filepath.Abs(root + "/config/monitoring/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	folder := t.TempDir()
	config := fmt.Sprintf(`
global: {scrape_interval: %[1]s, scrape_timeout: %[1]s, evaluation_interval: %[1]s}
rule_files: [%[2]q]
scrape_configs:
- job_name: tokenkeeper-metrics
  honor_labels: %[3]t
  static_configs:
  - targets: [%[4]q]
    labels: {namespace: tokenkeeper-system}
`, often, rules, honorLabels, target.Host)
	file := filepath.Join(folder, "prometheus.yml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	start(t, folder, program, "--config.file="+file, "--storage.tsdb.path="+filepath.Join(folder, "data"), "--web.listen-address="+address, "--log.level=error")
	return "http://" + address
}

// answer is the answer of Prometheus to a query.
type answer struct {
	Status string `json:"status"`
	Error  string `json:"error"`
	Data   struct {
		Result []struct {
			Metric map[string]string `json:"metric"`
		} `json:"result"`
	} `json:"data"`
}

func ask(t *testing.T, address, expr string) (answer, error) {
	t.Helper()
	var got answer
	body, err := fetch(t, address+"/api/v1/query?query="+url.QueryEscape(expr))
	if err == nil {
		err = json.Unmarshal([]byte(body), &got)
	}
	if err == nil && got.Status != "success" {
		err = errors.New(got.Error)
	}
	return got, err
}

// mayBeEmpty are panels that have nothing to show while all goes well, or that need a source that the quickstart does not have.
var mayBeEmpty = []string{
	"Accounts that need a change", "Client secrets", "Not authenticated, by marketplace and status", "Errors",
	"Accounts that need a person", // the quickstart's person signs in
}

// TestPrometheusAnswersTheDashboard scrapes a quickstart, with and without honorLabels, and asks what every panel asks.
func TestPrometheusAnswersTheDashboard(t *testing.T) {
	metrics := quickstart(t)
	var page string
	eventually(t, "waiting for accounts that are ready, and for a renewal", func() (err error) {
		page, err = fetch(t, metrics)
		if err == nil && (!strings.Contains(page, `status="True",type="Ready"`) || !strings.Contains(page, `tokenkeeper_renewal_lateness_seconds_count `) ||
			strings.Contains(page, "tokenkeeper_renewal_lateness_seconds_count 0")) {
			err = errors.New("there is none yet")
		}
		return err
	})
	promtool.CheckMetrics(t, ours(page))
	known := scraped(page)
	documented(t, known)
	all := load(t).queries()
	for _, query := range all {
		missing := slices.DeleteFunc(unknown(query.expr, known), func(what string) bool {
			// of client secrets that end, which no sample names, and of what a lone operator without a lease does not say
			return strings.Contains(what, "tokenkeeper_application_secret") || strings.Contains(what, "leader_election")
		})
		if len(missing) > 0 {
			t.Errorf("%s: the operator does not say %v\n%s", query.of, missing, query.expr)
		}
	}
	for _, honorLabels := range []bool{true, false} {
		t.Run(fmt.Sprintf("honorLabels %t", honorLabels), func(t *testing.T) {
			address := prometheus(t, metrics, honorLabels, time.Second)
			eventually(t, "waiting for some scrapes", func() error {
				got, err := ask(t, address, "count_over_time(tokenkeeper_build_info[1m]) > 5")
				if err == nil && len(got.Data.Result) == 0 {
					err = errors.New("there are few")
				}
				return err
			})
			for _, query := range all {
				got, err := ask(t, address, query.filled(".*", ".*"))
				if err != nil {
					t.Errorf("%s: %v\n%s", query.of, err, query.expr)
					continue
				}
				if len(got.Data.Result) == 0 && !slices.Contains(mayBeEmpty, query.of) {
					t.Errorf("%s: there is nothing to show\n%s", query.of, query.expr)
				}
				for _, result := range got.Data.Result {
					if result.Metric["namespace"] == "tokenkeeper-system" && result.Metric["marketplace"] != "" {
						t.Errorf("%s shows the operator's namespace for an account's", query.of)
					}
				}
			}
			narrowed(t, address)
			judged(t, address)
		})
	}
}

// documented expects that docs/metrics.md names every metric of the operator.
func documented(t *testing.T, metrics map[string]map[string]bool) {
	t.Helper()
	text, err := os.ReadFile(root + "/docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range metrics {
		family := name
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			family = strings.TrimSuffix(family, suffix)
		}
		if strings.HasPrefix(name, "tokenkeeper_") && !strings.Contains(string(text), "`"+family+"`") {
			t.Errorf("docs/metrics.md does not name %s", family)
		}
	}
}

// ours are the metrics of a page that are named after the project.
func ours(page string) string {
	var kept strings.Builder
	for line := range strings.Lines(page) {
		if strings.HasPrefix(strings.TrimPrefix(strings.TrimPrefix(line, "# HELP "), "# TYPE "), "tokenkeeper_") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// narrowed expects that the variables narrow down the panels.
func narrowed(t *testing.T, address string) {
	t.Helper()
	accounts := query{"Accounts", ""}
	for _, candidate := range load(t).queries() {
		if candidate.of == "Fleet" || candidate.of == "Ready, by marketplace" {
			accounts = candidate
		}
	}
	all, err := ask(t, address, accounts.filled(".*", ".*"))
	if err != nil || len(all.Data.Result) < 2 {
		t.Fatalf("%d marketplaces are shown (%v)", len(all.Data.Result), err)
	}
	one, err := ask(t, address, accounts.filled(".*", all.Data.Result[0].Metric["marketplace"]))
	if err != nil || len(one.Data.Result) != 1 {
		t.Errorf("of one marketplace, %d are shown (%v)", len(one.Data.Result), err)
	}
	none, err := ask(t, address, accounts.filled("another-namespace", ".*"))
	if err != nil || len(none.Data.Result) != 0 {
		t.Errorf("of a namespace without accounts, %d are shown (%v)", len(none.Data.Result), err)
	}
}

// judged expects that every alert rule can be evaluated, and that none wakes a person while all goes well.
func judged(t *testing.T, address string) {
	t.Helper()
	eventually(t, "waiting for the alert rules to be evaluated", func() error {
		body, err := fetch(t, address+"/api/v1/rules")
		if err != nil {
			return err
		}
		var got struct {
			Data struct {
				Groups []struct {
					Rules []struct {
						Name      string `json:"name"`
						Health    string `json:"health"`
						LastError string `json:"lastError"`
						State     string `json:"state"`
						Labels    struct {
							Severity string `json:"severity"`
						} `json:"labels"`
					} `json:"rules"`
				} `json:"groups"`
			} `json:"data"`
		}
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			return err
		}
		if len(got.Data.Groups) != 1 || len(got.Data.Groups[0].Rules) < 15 {
			return errors.New("there are too few rules")
		}
		for _, rule := range got.Data.Groups[0].Rules {
			switch {
			case rule.Health == "unknown":
				return errors.New("they were not evaluated yet")
			case rule.Health != "ok":
				t.Errorf("%s: %s %s", rule.Name, rule.Health, rule.LastError)
			case rule.State == "firing" && rule.Labels.Severity == "critical":
				t.Errorf("%s wakes somebody", rule.Name)
			}
		}
		return nil
	})
}
