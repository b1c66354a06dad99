package oauthclient

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/grant"
	"github.com/tokenkeeper/tokenkeeper/internal/metrics"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// TestRevocationGoesOn has a platform that knows one client secret, and refuses a token that is dead.
func TestRevocationGoesOn(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	statuses := map[string]int{"dead": http.StatusBadRequest, "busy": http.StatusTooManyRequests, "nowhere": http.StatusNotFound}
	for name, test := range map[string]struct {
		knows, previous string
		tokens          []string
		revoked         []string
		want            answer.Kind // none where all were revoked
	}{
		"with the client secret":                     {"new", "", []string{"one"}, []string{"one"}, ""},
		"with the one of before":                     {"old", "old", []string{"one", "two"}, []string{"one", "two"}, ""},
		"with neither":                               {"lost", "old", []string{"one"}, nil, answer.ApplicationRejected},
		"a dead token before one that works":         {"new", "", []string{"dead", "one"}, []string{"one"}, answer.Unavailable},
		"a failure that passes after one that stays": {"new", "", []string{"nowhere", "busy", "one"}, []string{"one"}, answer.Throttled},
		"a failure that stays after one that passes": {"new", "", []string{"busy", "nowhere"}, nil, answer.Throttled},
	} {
		t.Run(name, func(t *testing.T) {
			var revoked []string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				token := r.FormValue("token")
				switch status := statuses[token]; {
				case r.FormValue("client_secret") != test.knows:
					w.WriteHeader(http.StatusUnauthorized)
				case status != 0:
					w.WriteHeader(status)
				default:
					revoked = append(revoked, token)
				}
			}))
			defer server.Close()
			client := New(Options{Clock: testingclock.NewFakePassiveClock(now), Metrics: metrics.NewOperations(prometheus.NewRegistry())})
			f := facts.Facts{Request: facts.Request{Application: tokensecret.Application{ClientID: "app", ClientSecret: "new", PreviousSecret: test.previous}}}
			endpoint := grant.Endpoint{ClientID: "app", HTTP: server.Client(), Now: func() time.Time { return now }}
			err := client.Revoke(t.Context(), f, endpoint, server.URL, test.tokens...)
			if got := answer.AsError(err); (err == nil) != (test.want == "") || err != nil && got.Kind != test.want {
				t.Errorf("the error is %v, want the kind %q", err, test.want)
			}
			if !slices.Equal(revoked, test.revoked) {
				t.Errorf("revoked are %v, want %v", revoked, test.revoked)
			}
		})
	}
}
