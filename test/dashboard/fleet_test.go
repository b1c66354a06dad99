package dashboard_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// fleet is the page of an operator with as many accounts, all of which work.
func fleet(accounts int) string {
	var page strings.Builder
	now := time.Now().Unix()
	page.WriteString("tokenkeeper_build_info{version=\"v0.1.0\",commit=\"abc\"} 1\n")
	for i := range accounts {
		labels := fmt.Sprintf(`namespace="shop-%d",name="account-%d",marketplace="marketplace-%d"`, i/100, i, i%20)
		fmt.Fprintf(&page, "tokenkeeper_account_info{%s,environment=\"Production\",grant=\"DeviceCode\",policy=\"Automatic\"} 1\n", labels)
		for _, condition := range [][3]string{
			{"Ready", "True", "TokenValid"}, {"Authenticated", "True", "TokenValid"}, {"ReauthRequired", "False", "NotRequired"}, {"AuthorizationExpiring", "False", "NotRequired"},
		} {
			fmt.Fprintf(&page, "tokenkeeper_account_condition{%s,type=%q,status=%q} 1\n", labels, condition[0], condition[1])
			fmt.Fprintf(&page, "tokenkeeper_account_reason{%s,type=%q,reason=%q} 1\n", labels, condition[0], condition[2])
		}
		for metric, after := range map[string]int64{
			"access_token_expiration": 12 * 3600, "access_token_renewal": 11 * 3600, "authorization_expiration": 90 * 86400, "application_secret_expiration": 170 * 86400,
		} {
			fmt.Fprintf(&page, "tokenkeeper_%s_timestamp_seconds{%s} %d\n", metric, labels, now+after)
		}
	}
	return page.String()
}

// readsOfAnAccount is how often the rules may read a series of one account at an evaluation: as often as half a dozen rules do that look at every
// condition and every reason.
const readsOfAnAccount = 60

// TestRulesAreCheapWithTenThousandAccounts: Prometheus evaluates them once a minute or more often. What an evaluation costs is told by the samples
// that it reads, whatever else the machine does meanwhile. In the short form a thousand stand for them.
func TestRulesAreCheapWithTenThousandAccounts(t *testing.T) {
	accounts := 10_000
	if testing.Short() {
		accounts = 1000
	}
	page := fleet(accounts)
	operator := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = w.Write([]byte(page))
	}))
	defer operator.Close()
	address := prometheus(t, operator.URL+"/metrics", false, 10*time.Second)
	eventually(t, "waiting for the accounts", func() error {
		got, err := ask(t, address, fmt.Sprintf("count(tokenkeeper_account_info) == %d", accounts))
		if err == nil && len(got.Data.Result) == 0 {
			err = errors.New("there are no accounts yet")
		}
		return err
	})
	read := 0
	for _, rule := range rules(t, address) {
		samples := samplesOf(t, address, rule.Query)
		t.Logf("%9d samples: %s", samples, rule.Name)
		read += samples
	}
	t.Logf("an evaluation reads %.1f samples for each account", float64(read)/float64(accounts))
	if read < accounts || read > readsOfAnAccount*accounts {
		t.Errorf("an evaluation reads %d samples of %d accounts, want at most %d for each", read, accounts, readsOfAnAccount)
	}
}

// rule is an alert, or a series that is recorded for other rules.
type rule struct{ Name, Query string }

// rules are the rules that Prometheus evaluates.
func rules(t *testing.T, address string) []rule {
	t.Helper()
	var got struct {
		Data struct{ Groups []struct{ Rules []rule } }
	}
	body, err := fetch(t, address+"/api/v1/rules")
	if err == nil {
		err = json.Unmarshal([]byte(body), &got)
	}
	if err != nil || len(got.Data.Groups) != 1 {
		t.Fatalf("Prometheus has %d groups of rules: %v", len(got.Data.Groups), err)
	}
	return got.Data.Groups[0].Rules
}

// samplesOf is how many samples a query reads.
func samplesOf(t *testing.T, address, query string) int {
	t.Helper()
	var got struct {
		Data struct {
			Stats struct {
				Samples struct{ TotalQueryableSamples int }
			}
		}
	}
	body, err := fetch(t, address+"/api/v1/query?stats=all&query="+url.QueryEscape(query))
	if err == nil {
		err = json.Unmarshal([]byte(body), &got)
	}
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return got.Data.Stats.Samples.TotalQueryableSamples
}
