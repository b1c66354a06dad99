package oauthclient

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/grant"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/metrics"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// TestTheOtherClientSecretComesInTimeOrNot has a platform refuse the first of two client secrets, and the process stand still before the other: a
// single-use refresh token is not sent any more that another process may have sent meanwhile.
func TestTheOtherClientSecretComesInTimeOrNot(t *testing.T) {
	noon := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		rotating bool
		pause    time.Duration
		want     []string
	}{
		"at once":                       {true, 0, []string{"new", "old"}},
		"in time":                       {true, 49 * time.Second, []string{"new", "old"}},
		"too late":                      {true, 50 * time.Second, []string{"new"}},
		"late, of a token of many uses": {false, time.Hour, []string{"new", "old"}},
	} {
		t.Run(name, func(t *testing.T) {
			clock := testingclock.NewFakePassiveClock(noon)
			var sent []string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				sent = append(sent, r.FormValue("client_secret"))
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusUnauthorized)
				_, _ = w.Write([]byte(`{"error":"invalid_client"}`))
				clock.SetTime(noon.Add(test.pause))
			}))
			defer server.Close()
			client := New(Options{Clock: clock, Metrics: metrics.NewOperations(prometheus.NewRegistry()), Answered: func(facts.Request, error) {}})
			f := facts.Facts{Account: &v1alpha1.MarketplaceAccount{}, CallTimeout: 30 * time.Second, AttemptTimeout: 80 * time.Second}
			f.Request = facts.Request{
				Grant: v1alpha1.GrantRefreshToken, Platform: &marketplace.Platform{Rotating: test.rotating},
				Application: tokensecret.Application{ClientID: "app", ClientSecret: "new", PreviousSecret: "old"},
			}
			f.Custody.RefreshToken, f.Custody.Journal = "a token", &custody.Journal{StartedAt: noon, LastAt: noon, Attempts: 1}
			leave := Leave{facts: &f, entry: f.Custody.Journal}
			if !test.rotating {
				leave.entry = nil
			}
			_, err := client.Tokens(t.Context(), leave, grant.Endpoint{TokenURL: server.URL, ClientID: "app", HTTP: server.Client(), Now: clock.Now})
			if !slices.Equal(sent, test.want) {
				t.Errorf("the client secrets %v were sent, want %v", sent, test.want)
			}
			if late := len(test.want) == 1; answer.AsError(err).Passes() != late {
				t.Errorf("the failure is %v, and passes: %t", err, !late)
			}
		})
	}
}
