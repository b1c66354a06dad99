package oauthclient

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/metrics"
	"github.com/tokenkeeper/tokenkeeper/internal/openid"
)

// TestAnIDTokenThatNobodyAskedForTakesNoSignInAlong has an issuer that is away, and one whose document names another.
func TestAnIDTokenThatNobodyAskedForTakesNoSignInAlong(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	openID, others := []string{"orders", "openid"}, []string{"orders"}
	inIDToken := &marketplace.Platform{AccountIDClaim: "sub", AccountIDInIDToken: true}
	inAccessToken := &marketplace.Platform{AccountIDClaim: "sub"}
	byItself := custody.Account{ID: "17", By: inIDToken.ByClaim()}
	const verified, waits, refused = "used", "waits for the keys", "refused"
	for name, test := range map[string]struct {
		platform   *marketplace.Platform
		account    custody.Account
		asked      []string
		idToken    string
		away, ends string // where the issuer is away, and where it does not vouch for the ID token
	}{
		"none was asked for, and none came":           {inAccessToken, custody.Account{}, others, "", verified, verified},
		"one was asked for":                           {inAccessToken, custody.Account{}, openID, "ID token", waits, refused},
		"none was asked for":                          {inAccessToken, custody.Account{}, others, "ID token", verified, verified},
		"nothing was asked for by name":               {inAccessToken, custody.Account{}, nil, "ID token", verified, verified},
		"it alone tells whose the tokens are":         {inIDToken, byItself, others, "ID token", waits, refused},
		"it would tell, and the answer has told":      {inIDToken, custody.Account{ID: "17", By: marketplace.ByAnswer}, others, "ID token", verified, verified},
		"the access token tells whose the tokens are": {inAccessToken, custody.Account{ID: "17", By: inAccessToken.ByClaim()}, others, "ID token", verified, verified},
	} {
		t.Run(name, func(t *testing.T) {
			for status, want := range map[int]string{http.StatusBadGateway: test.away, http.StatusOK: test.ends} {
				server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
					w.WriteHeader(status)
					_, _ = w.Write([]byte(`{"issuer":"https://another.example"}`))
				}))
				defer server.Close()
				client := New(Options{
					Clock: testingclock.NewFakePassiveClock(now), Metrics: metrics.NewOperations(prometheus.NewRegistry()),
					Providers: &openid.Providers{HTTP: server.Client(), Now: func() time.Time { return now }},
				})
				platform := *test.platform
				platform.Issuer = server.URL
				got := lifecycle.Issued{Account: test.account}
				got.IDToken = test.idToken
				unverified, err := client.CheckIDToken(t.Context(), facts.Request{Platform: &platform}, got, test.asked, "")
				told := verified
				if failure, ok := errors.AsType[*answer.Error](err); ok && failure.Kind == answer.Malformed {
					told = refused
				} else if unverified {
					told = waits
				}
				if told != want || told != refused && err != nil {
					t.Errorf("with status %d of the issuer, the sign-in is %s, %v; want it %s", status, told, err, want)
				}
			}
		})
	}
}
