package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/metrics"
	"github.com/tokenkeeper/tokenkeeper/test/promtool"
)

// cache holds accounts as the manager's does.
type cache struct {
	client.Reader
	mu       sync.Mutex
	accounts []v1alpha1.MarketplaceAccount
	err      error
	copied   bool // a List asked for copies
}

func (c *cache) List(ctx context.Context, list client.ObjectList, options ...client.ListOption) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := ctx.Deadline(); !ok {
		return errors.New("listing without a deadline")
	}
	var asked client.ListOptions
	asked.ApplyOptions(options)
	c.copied = asked.UnsafeDisableDeepCopy == nil || !*asked.UnsafeDisableDeepCopy
	list.(*v1alpha1.MarketplaceAccountList).Items = c.accounts
	return c.err
}

func (c *cache) set(accounts ...v1alpha1.MarketplaceAccount) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.accounts = accounts
}

// registered is a registry that scrapes a cache of these accounts.
func registered(accounts ...v1alpha1.MarketplaceAccount) (*prometheus.Registry, *cache) {
	held := &cache{accounts: accounts}
	registry := prometheus.NewPedanticRegistry()
	metrics.RegisterAccounts(registry, held)
	return registry, held
}

// account has a status in which nothing is missing.
func account(namespace, name string) v1alpha1.MarketplaceAccount {
	at := func(seconds int64) metav1.Time { return metav1.NewTime(time.Unix(seconds, 0)) }
	object := v1alpha1.MarketplaceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	object.Spec.MarketplaceRef.Name = "allegro"
	object.Spec.Environment, object.Spec.Grant.Type, object.Spec.Renewal.Policy = "Production", v1alpha1.GrantDeviceCode, v1alpha1.RenewalAutomatic
	object.Status = v1alpha1.MarketplaceAccountStatus{
		Conditions: []metav1.Condition{
			{Type: "Ready", Status: metav1.ConditionTrue, Reason: "TokenValid"},
			{Type: "Authenticated", Status: metav1.ConditionUnknown, Reason: "RateLimited"},
			{Type: "ReauthRequired", Status: metav1.ConditionFalse, Reason: "NotRequired"},
			{Type: "AuthorizationExpiring", Status: metav1.ConditionFalse, Reason: "NotRequired"},
		},
		AccessToken:   &v1alpha1.AccessTokenStatus{IssuedTime: at(1), ExpirationTime: at(1772373600), RenewalTime: at(1772370000)},
		Authorization: &v1alpha1.AuthorizationStatus{ExpirationTime: at(1780142400)},
		Application:   &v1alpha1.ApplicationStatus{SecretExpirationTime: at(1787918400)},
	}
	return object
}

func TestAccounts(t *testing.T) {
	const conditions = `
# HELP tokenkeeper_account_condition 1 for the status that a condition of an account has.
# TYPE tokenkeeper_account_condition gauge
`
	const info = `
# HELP tokenkeeper_account_info 1, with what the spec of an account says: its environment, its grant and whether it is renewed.
# TYPE tokenkeeper_account_info gauge
tokenkeeper_account_info{environment="Production",grant="DeviceCode",marketplace="allegro",name="main",namespace="shop",policy="Automatic"} 1
`
	const whole = info + conditions + `
tokenkeeper_account_condition{marketplace="allegro",name="main",namespace="shop",status="True",type="Ready"} 1
tokenkeeper_account_condition{marketplace="allegro",name="main",namespace="shop",status="Unknown",type="Authenticated"} 1
tokenkeeper_account_condition{marketplace="allegro",name="main",namespace="shop",status="False",type="ReauthRequired"} 1
tokenkeeper_account_condition{marketplace="allegro",name="main",namespace="shop",status="False",type="AuthorizationExpiring"} 1
# HELP tokenkeeper_account_reason 1 for the reason that a condition of an account has.
# TYPE tokenkeeper_account_reason gauge
tokenkeeper_account_reason{marketplace="allegro",name="main",namespace="shop",reason="TokenValid",type="Ready"} 1
tokenkeeper_account_reason{marketplace="allegro",name="main",namespace="shop",reason="RateLimited",type="Authenticated"} 1
tokenkeeper_account_reason{marketplace="allegro",name="main",namespace="shop",reason="NotRequired",type="ReauthRequired"} 1
tokenkeeper_account_reason{marketplace="allegro",name="main",namespace="shop",reason="NotRequired",type="AuthorizationExpiring"} 1
# HELP tokenkeeper_access_token_expiration_timestamp_seconds When the published token of an account expires.
# TYPE tokenkeeper_access_token_expiration_timestamp_seconds gauge
tokenkeeper_access_token_expiration_timestamp_seconds{marketplace="allegro",name="main",namespace="shop"} 1.7723736e+09
# HELP tokenkeeper_access_token_renewal_timestamp_seconds When the published token of an account will be renewed.
# TYPE tokenkeeper_access_token_renewal_timestamp_seconds gauge
tokenkeeper_access_token_renewal_timestamp_seconds{marketplace="allegro",name="main",namespace="shop"} 1.77237e+09
# HELP tokenkeeper_authorization_expiration_timestamp_seconds When the authorization of an account ends; absent where nothing ends.
# TYPE tokenkeeper_authorization_expiration_timestamp_seconds gauge
tokenkeeper_authorization_expiration_timestamp_seconds{marketplace="allegro",name="main",namespace="shop"} 1.7801424e+09
# HELP tokenkeeper_application_secret_expiration_timestamp_seconds When the client secret that an account uses ends; absent where nothing ends.
# TYPE tokenkeeper_application_secret_expiration_timestamp_seconds gauge
tokenkeeper_application_secret_expiration_timestamp_seconds{marketplace="allegro",name="main",namespace="shop"} 1.7879184e+09
`
	bare := account("shop", "main")
	bare.Status = v1alpha1.MarketplaceAccountStatus{}
	empty := account("shop", "main")
	empty.Status = v1alpha1.MarketplaceAccountStatus{
		Conditions:  []metav1.Condition{{Type: "Ready", Status: metav1.ConditionFalse}},
		AccessToken: &v1alpha1.AccessTokenStatus{}, Authorization: &v1alpha1.AuthorizationStatus{}, Application: &v1alpha1.ApplicationStatus{},
	}
	tests := map[string]struct {
		accounts []v1alpha1.MarketplaceAccount
		want     string
	}{
		"no account":                       {},
		"an account that nobody looked at": {accounts: []v1alpha1.MarketplaceAccount{bare}, want: info},
		"an account in which all is known": {accounts: []v1alpha1.MarketplaceAccount{account("shop", "main")}, want: whole},
		"an account of which nothing ends": {
			accounts: []v1alpha1.MarketplaceAccount{empty},
			want:     info + conditions + `tokenkeeper_account_condition{marketplace="allegro",name="main",namespace="shop",status="False",type="Ready"} 1` + "\n",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			registry, held := registered(test.accounts...)
			if err := testutil.GatherAndCompare(registry, strings.NewReader(test.want)); err != nil {
				t.Error(err)
			}
			if held.copied {
				t.Error("a scrape copies every account")
			}
		})
	}
}

// TestAccountsDoNotMix is about label values that share memory.
func TestAccountsDoNotMix(t *testing.T) {
	accounts := make([]v1alpha1.MarketplaceAccount, 0, 6)
	for _, namespace := range []string{"a", "b"} {
		for _, name := range []string{"x", "y", "z"} {
			accounts = append(accounts, account(namespace, name))
		}
	}
	registry, _ := registered(accounts...)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			labels := map[string]string{}
			for _, label := range metric.GetLabel() {
				labels[label.GetName()] = label.GetValue()
			}
			got[labels["namespace"]+"/"+labels["name"]]++
		}
	}
	want := map[string]int{"a/x": 13, "a/y": 13, "a/z": 13, "b/x": 13, "b/y": 13, "b/z": 13}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("series of each account (-want +got):\n%s", diff)
	}
}

func TestADeletedAccountLeavesNothing(t *testing.T) {
	registry, held := registered(account("shop", "main"), account("shop", "other"))
	count := func() int {
		t.Helper()
		n, err := testutil.GatherAndCount(registry)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	both := count()
	held.set(account("shop", "other"))
	if got := count(); got != both/2 {
		t.Errorf("%d series are left of %d, want half", got, both)
	}
	held.set()
	if got := count(); got != 0 {
		t.Errorf("%d series are left, want none", got)
	}
}

// TestAConditionThatFlipsHasOneStatusAndOneReason is about an alert that would go on for what is over.
func TestAConditionThatFlipsHasOneStatusAndOneReason(t *testing.T) {
	registry, held := registered()
	for _, state := range []struct{ status, reason string }{{"True", "TokenValid"}, {"Unknown", "MarketplaceUnavailable"}, {"False", "GrantRejected"}, {"True", "TokenValid"}} {
		flipped := account("shop", "main")
		flipped.Status.Conditions = []metav1.Condition{{Type: "Authenticated", Status: metav1.ConditionStatus(state.status), Reason: state.reason}}
		held.set(flipped)
		want := fmt.Sprintf(`# HELP tokenkeeper_account_condition 1 for the status that a condition of an account has.
# TYPE tokenkeeper_account_condition gauge
tokenkeeper_account_condition{marketplace="allegro",name="main",namespace="shop",status=%q,type="Authenticated"} 1
# HELP tokenkeeper_account_reason 1 for the reason that a condition of an account has.
# TYPE tokenkeeper_account_reason gauge
tokenkeeper_account_reason{marketplace="allegro",name="main",namespace="shop",reason=%q,type="Authenticated"} 1
`, state.status, state.reason)
		if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "tokenkeeper_account_condition", "tokenkeeper_account_reason"); err != nil {
			t.Error(err)
		}
	}
}

func TestASuspendedAccountIsToldApart(t *testing.T) {
	suspended := account("shop", "main")
	suspended.Spec.Renewal.Policy = v1alpha1.RenewalSuspended
	registry, _ := registered(suspended)
	const want = `# HELP tokenkeeper_account_info 1, with what the spec of an account says: its environment, its grant and whether it is renewed.
# TYPE tokenkeeper_account_info gauge
tokenkeeper_account_info{environment="Production",grant="DeviceCode",marketplace="allegro",name="main",namespace="shop",policy="Suspended"} 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "tokenkeeper_account_info"); err != nil {
		t.Error(err)
	}
}

// TestSeriesOfAnAccount bounds what an account costs whoever scrapes: with thousands of them it adds up.
func TestSeriesOfAnAccount(t *testing.T) {
	all := account("shop", "main")
	registry, held := registered(all)
	got, err := testutil.GatherAndCount(registry)
	if err != nil || got != 13 {
		t.Errorf("an account has %d series (%v), want 13", got, err)
	}
	all.Status.Conditions = append(all.Status.Conditions, metav1.Condition{Type: "Stalled", Status: metav1.ConditionTrue, Reason: "GrantRejected"})
	held.set(all)
	if got, err = testutil.GatherAndCount(registry); err != nil || got != 15 {
		t.Errorf("a stalled one has %d series (%v), want 15", got, err)
	}
}

// fleet is as many accounts in which nothing is missing.
func fleet(n int) []v1alpha1.MarketplaceAccount {
	accounts := make([]v1alpha1.MarketplaceAccount, 0, n)
	for i := range n {
		accounts = append(accounts, account(fmt.Sprintf("shop-%d", i/100), fmt.Sprintf("account-%d", i)))
	}
	return accounts
}

// BenchmarkScrape is a scrape at 10,000 accounts: gathered, written as text, compressed and read. The goal is a second.
func BenchmarkScrape(b *testing.B) {
	registry := prometheus.NewRegistry()
	metrics.RegisterAccounts(registry, &cache{accounts: fleet(10_000)})
	var before, after syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &before)
	for b.Loop() {
		page := metrics.NewPage(registry, time.Now) // a new one, which does not rest from the scrape before
		recorder := scrapeOf(page, http.MethodGet, "gzip")
		if recorder.Code != http.StatusOK {
			b.Fatal(recorder.Body)
		}
		b.ReportMetric(float64(recorder.Body.Len()), "bytes/scrape")
	}
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &after) // what it takes however busy the machine is
	spent := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
	b.ReportMetric(spent.Seconds()/float64(b.N), "cpu-s/op")
}

// TestPromtoolAccepts runs promtool over a page, as somebody who doubts it would.
func TestPromtoolAccepts(t *testing.T) {
	registry, _ := registered(fleet(3)...)
	operations := metrics.NewOperations(registry)
	operations.TokenRequest("allegro", "Production", "RefreshToken", metrics.OutcomeSuccess, time.Second)
	operations.RenewalLateness(time.Second)
	metrics.RegisterBuild(registry, "v0.1.0", "abc")
	metrics.RegisterCRDOutdated(registry)(false)
	metrics.RegisterHosts(registry, func() []metrics.Host { return []metrics.Host{{Name: "allegro.pl"}} })
	text := scrapeOf(metrics.NewPage(registry, time.Now), http.MethodGet, "").Body.String()
	promtool.CheckMetrics(t, text)
	for _, series := range []string{"tokenkeeper_account_reason{", "tokenkeeper_account_info{", "tokenkeeper_build_info{", "tokenkeeper_crd_outdated 0"} {
		if !strings.Contains(text, "\n"+series) {
			t.Errorf("the page has no %s", series)
		}
	}
}

// TestACacheThatCannotBeRead fails the scrape: without series, every alert about an account would end.
func TestACacheThatCannotBeRead(t *testing.T) {
	registry, held := registered(account("shop", "main"))
	held.err = errors.New("not synced")
	if _, err := registry.Gather(); err == nil || !strings.Contains(err.Error(), "not synced") {
		t.Errorf("the error is %v, want that of the cache", err)
	}
}

// TestScrapesAtOnce is for the race detector.
func TestScrapesAtOnce(t *testing.T) {
	registry, held := registered(account("shop", "main"))
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			held.set(account("shop", fmt.Sprint(i)))
			if _, err := registry.Gather(); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

func TestHosts(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	metrics.RegisterHosts(registry, func() []metrics.Host {
		return []metrics.Host{{Name: "allegro.pl", Waiting: 3, Underway: 4}, {Name: "api.ebay.com", Waiting: 5, CircuitsOpen: 1}}
	})
	const want = `
# HELP tokenkeeper_token_host_circuits_open Clients whose requests to a token host are held back, but for one now and then, since it failed to answer several in a row.
# TYPE tokenkeeper_token_host_circuits_open gauge
tokenkeeper_token_host_circuits_open{host="allegro.pl"} 0
tokenkeeper_token_host_circuits_open{host="api.ebay.com"} 1
# HELP tokenkeeper_token_host_requests_underway Requests to a token host that wait for its answer.
# TYPE tokenkeeper_token_host_requests_underway gauge
tokenkeeper_token_host_requests_underway{host="allegro.pl"} 4
tokenkeeper_token_host_requests_underway{host="api.ebay.com"} 0
# HELP tokenkeeper_token_host_requests_waiting Requests that wait for their turn at a token host.
# TYPE tokenkeeper_token_host_requests_waiting gauge
tokenkeeper_token_host_requests_waiting{host="allegro.pl"} 3
tokenkeeper_token_host_requests_waiting{host="api.ebay.com"} 5
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

// TestSeriesOfHostsAreBounded since authors of accounts may choose hosts.
func TestSeriesOfHostsAreBounded(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	metrics.RegisterHosts(registry, func() []metrics.Host {
		all := []metrics.Host{}
		for i := range 1000 {
			all = append(all, metrics.Host{Name: fmt.Sprintf("%03d.example", i), CircuitsOpen: 1})
		}
		return append(all, metrics.Host{Name: "allegro.pl", Waiting: 2})
	})
	if n, err := testutil.GatherAndCount(registry); n != 3*201 || err != nil {
		t.Errorf("there are %d series (%v), want three for each of 200 hosts and the others", n, err)
	}
	gathered, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprint(gathered)
	for _, want := range []string{`allegro.pl`, `000.example`, `198.example`, `value:"other"} gauge:{value:801}`} {
		if !strings.Contains(strings.Join(strings.Fields(text), " "), want) {
			t.Errorf("%s is missing", want)
		}
	}
	if strings.Contains(text, "199.example") {
		t.Error("a host with less traffic than others has a series of its own")
	}
}

func TestOperations(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	operations := metrics.NewOperations(registry)
	operations.TokenRequest("allegro", "Production", "RefreshToken", metrics.OutcomeSuccess, 300*time.Millisecond)
	operations.TokenRequest("allegro", "Production", "RefreshToken", metrics.OutcomeSuccess, 3*time.Second)
	operations.TokenRequest("allegro", "Production", "RefreshToken", "GrantRejected", time.Minute)
	operations.TokenRequest("xsale", "Sandbox", "Password", "PasswordRejected", time.Millisecond)
	operations.RenewalLateness(1500 * time.Millisecond)
	operations.RenewalLateness(2 * time.Hour)
	operations.RenewalLateness(-time.Minute) // a clock that was set back: not late at all

	const want = `
# HELP tokenkeeper_renewal_lateness_seconds Time from the planned moment of a renewal until the new token was published.
# TYPE tokenkeeper_renewal_lateness_seconds histogram
tokenkeeper_renewal_lateness_seconds_bucket{le="0.1"} 1
tokenkeeper_renewal_lateness_seconds_bucket{le="0.25"} 1
tokenkeeper_renewal_lateness_seconds_bucket{le="0.5"} 1
tokenkeeper_renewal_lateness_seconds_bucket{le="1"} 1
tokenkeeper_renewal_lateness_seconds_bucket{le="2"} 2
tokenkeeper_renewal_lateness_seconds_bucket{le="5"} 2
tokenkeeper_renewal_lateness_seconds_bucket{le="10"} 2
tokenkeeper_renewal_lateness_seconds_bucket{le="30"} 2
tokenkeeper_renewal_lateness_seconds_bucket{le="60"} 2
tokenkeeper_renewal_lateness_seconds_bucket{le="300"} 2
tokenkeeper_renewal_lateness_seconds_bucket{le="1800"} 2
tokenkeeper_renewal_lateness_seconds_bucket{le="3600"} 2
tokenkeeper_renewal_lateness_seconds_bucket{le="+Inf"} 3
tokenkeeper_renewal_lateness_seconds_sum 7201.5
tokenkeeper_renewal_lateness_seconds_count 3
# HELP tokenkeeper_token_request_duration_seconds Time from sending a request to a token endpoint until its answer was read, or until it failed.
# TYPE tokenkeeper_token_request_duration_seconds histogram
tokenkeeper_token_request_duration_seconds_bucket{environment="Production",grant="RefreshToken",marketplace="allegro",le="0.05"} 0
tokenkeeper_token_request_duration_seconds_bucket{environment="Production",grant="RefreshToken",marketplace="allegro",le="0.1"} 0
tokenkeeper_token_request_duration_seconds_bucket{environment="Production",grant="RefreshToken",marketplace="allegro",le="0.25"} 0
tokenkeeper_token_request_duration_seconds_bucket{environment="Production",grant="RefreshToken",marketplace="allegro",le="0.5"} 1
tokenkeeper_token_request_duration_seconds_bucket{environment="Production",grant="RefreshToken",marketplace="allegro",le="1"} 1
tokenkeeper_token_request_duration_seconds_bucket{environment="Production",grant="RefreshToken",marketplace="allegro",le="2.5"} 1
tokenkeeper_token_request_duration_seconds_bucket{environment="Production",grant="RefreshToken",marketplace="allegro",le="5"} 2
tokenkeeper_token_request_duration_seconds_bucket{environment="Production",grant="RefreshToken",marketplace="allegro",le="10"} 2
tokenkeeper_token_request_duration_seconds_bucket{environment="Production",grant="RefreshToken",marketplace="allegro",le="30"} 2
tokenkeeper_token_request_duration_seconds_bucket{environment="Production",grant="RefreshToken",marketplace="allegro",le="+Inf"} 3
tokenkeeper_token_request_duration_seconds_sum{environment="Production",grant="RefreshToken",marketplace="allegro"} 63.3
tokenkeeper_token_request_duration_seconds_count{environment="Production",grant="RefreshToken",marketplace="allegro"} 3
tokenkeeper_token_request_duration_seconds_bucket{environment="Sandbox",grant="Password",marketplace="xsale",le="0.05"} 1
tokenkeeper_token_request_duration_seconds_bucket{environment="Sandbox",grant="Password",marketplace="xsale",le="0.1"} 1
tokenkeeper_token_request_duration_seconds_bucket{environment="Sandbox",grant="Password",marketplace="xsale",le="0.25"} 1
tokenkeeper_token_request_duration_seconds_bucket{environment="Sandbox",grant="Password",marketplace="xsale",le="0.5"} 1
tokenkeeper_token_request_duration_seconds_bucket{environment="Sandbox",grant="Password",marketplace="xsale",le="1"} 1
tokenkeeper_token_request_duration_seconds_bucket{environment="Sandbox",grant="Password",marketplace="xsale",le="2.5"} 1
tokenkeeper_token_request_duration_seconds_bucket{environment="Sandbox",grant="Password",marketplace="xsale",le="5"} 1
tokenkeeper_token_request_duration_seconds_bucket{environment="Sandbox",grant="Password",marketplace="xsale",le="10"} 1
tokenkeeper_token_request_duration_seconds_bucket{environment="Sandbox",grant="Password",marketplace="xsale",le="30"} 1
tokenkeeper_token_request_duration_seconds_bucket{environment="Sandbox",grant="Password",marketplace="xsale",le="+Inf"} 1
tokenkeeper_token_request_duration_seconds_sum{environment="Sandbox",grant="Password",marketplace="xsale"} 0.001
tokenkeeper_token_request_duration_seconds_count{environment="Sandbox",grant="Password",marketplace="xsale"} 1
# HELP tokenkeeper_token_requests_total Requests to token endpoints, by outcome: Success or the kind of failure.
# TYPE tokenkeeper_token_requests_total counter
tokenkeeper_token_requests_total{environment="Production",grant="RefreshToken",marketplace="allegro",outcome="GrantRejected"} 1
tokenkeeper_token_requests_total{environment="Production",grant="RefreshToken",marketplace="allegro",outcome="Success"} 2
tokenkeeper_token_requests_total{environment="Sandbox",grant="Password",marketplace="xsale",outcome="PasswordRejected"} 1
`
	if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}

// TestNamesFollowTheRules runs promtool's linter over all that the package exports.
func TestNamesFollowTheRules(t *testing.T) {
	registry, _ := registered(account("shop", "main"))
	operations := metrics.NewOperations(registry)
	operations.TokenRequest("allegro", "Production", "RefreshToken", metrics.OutcomeSuccess, time.Second)
	problems, err := testutil.GatherAndLint(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Errorf("%s: %s", problem.Metric, problem.Text)
	}
}

func TestNothingIsRegisteredTwice(t *testing.T) {
	registry, held := registered()
	metrics.NewOperations(registry)
	for what, again := range map[string]func(){
		"the accounts":   func() { metrics.RegisterAccounts(registry, held) },
		"the operations": func() { metrics.NewOperations(registry) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s are registered twice without complaint", what)
				}
			}()
			again()
		}()
	}
}
