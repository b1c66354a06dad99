package oauthclient

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/grant"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/metrics"
	"github.com/tokenkeeper/tokenkeeper/internal/openid"
	"github.com/tokenkeeper/tokenkeeper/internal/room"
)

// TestALookThatAsksMakesRoom: while a marketplace or an issuer is asked, another look comes into a room with one place.
func TestALookThatAsksMakesRoom(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for name, ask := range map[string]func(context.Context, *Client, facts.Facts, grant.Endpoint){
		"for tokens": func(ctx context.Context, c *Client, f facts.Facts, e grant.Endpoint) {
			_, _ = c.Tokens(ctx, Leave{facts: &f}, e)
		},
		"to revoke": func(ctx context.Context, c *Client, f facts.Facts, e grant.Endpoint) {
			_ = c.Revoke(ctx, f, e, e.TokenURL, "a token")
		},
		"for a document": func(ctx context.Context, c *Client, f facts.Facts, _ grant.Endpoint) {
			_, _, _ = c.RevocationAddress(ctx, f.Request)
		},
		"for keys": func(ctx context.Context, c *Client, f facts.Facts, _ grant.Endpoint) {
			_ = c.VerifyIDToken(ctx, f.Request, "an ID token", "")
		},
	} {
		t.Run(name, func(t *testing.T) {
			place := room.New(1)
			asked, came := false, make(chan struct{})
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusBadGateway)
				if asked {
					return
				}
				asked = true
				go func() {
					_, leave := place.Enter(t.Context())
					leave()
					close(came)
				}()
				select {
				case <-came:
				case <-time.After(10 * time.Second):
					t.Error("no other look has come in")
				}
			}))
			defer server.Close()
			client := New(Options{
				Clock: testingclock.NewFakePassiveClock(now), Metrics: metrics.NewOperations(prometheus.NewRegistry()), Transport: http.DefaultTransport,
				Providers: &openid.Providers{HTTP: server.Client(), Now: func() time.Time { return now }}, Answered: func(facts.Request, error) {},
			})
			platform := &marketplace.Platform{Issuer: server.URL}
			f := facts.Facts{Account: &v1alpha1.MarketplaceAccount{}, Request: facts.Request{Platform: platform, Grant: v1alpha1.GrantClientCredentials}}
			look, leave := place.Enter(t.Context())
			defer leave()
			ask(look, client, f, grant.Endpoint{TokenURL: server.URL, HTTP: server.Client(), Now: func() time.Time { return now }})
			if !asked {
				t.Error("nobody was asked")
			}
		})
	}
}
