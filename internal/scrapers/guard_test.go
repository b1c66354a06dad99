package scrapers_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/scrapers"
)

// apiServer knows the user of a token that begins with "user-", and lets one read the metrics whose token begins with "user-reader". It knows the
// tokens in issued too, as those of a user who may.
type apiServer struct {
	issued  []string
	reviews int
	asked   authorizationv1.SubjectAccessReviewSpec
	err     error
}

func (a *apiServer) Create(_ context.Context, object client.Object, _ ...client.CreateOption) error {
	if a.err != nil {
		return a.err
	}
	switch review := object.(type) {
	case *authenticationv1.TokenReview:
		a.reviews++
		if token := review.Spec.Token; slices.Contains(a.issued, token) {
			review.Status.Authenticated, review.Status.User.Username = true, "user-reader"
		} else if len(token) > 5 && token[:5] == "user-" {
			review.Status.Authenticated = true
			review.Status.User = authenticationv1.UserInfo{
				Username: token, UID: "1", Groups: []string{"group"}, Extra: map[string]authenticationv1.ExtraValue{"extra": {"value"}},
			}
		}
	case *authorizationv1.SubjectAccessReview:
		a.asked = review.Spec
		review.Status.Allowed = len(review.Spec.User) >= 11 && review.Spec.User[:11] == "user-reader"
	default:
		return fmt.Errorf("%T is not to be created", object)
	}
	return nil
}

// world is a guard that is tried.
type world struct {
	*testing.T
	*apiServer
	clock *clocktesting.FakePassiveClock
	page  http.Handler
	key   *ecdsa.PrivateKey // of the cluster
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, apiServer: &apiServer{}, clock: clocktesting.NewFakePassiveClock(time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC))}
	var err error
	if w.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	w.page = scrapers.New(w.apiServer, w.document, w.clock, logr.Discard()).Protect(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	return w
}

// expect scrapes with an Authorization header, and looks at the status.
func (w *world) expect(authorization string, status int) *httptest.ResponseRecorder {
	w.Helper()
	request := httptest.NewRequestWithContext(w.Context(), http.MethodGet, "/metrics", http.NoBody)
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	answer := httptest.NewRecorder()
	w.page.ServeHTTP(answer, request)
	if answer.Code != status {
		w.Errorf("with %.20q it answers %d %s, want %d", authorization, answer.Code, answer.Body, status)
	}
	return answer
}

const clusterIssuer = "https://kubernetes.default.svc"

// document is what the API server publishes about its tokens.
func (w *world) document(_ context.Context, path string) ([]byte, error) {
	switch path {
	case "/.well-known/openid-configuration":
		return []byte(`{"issuer":"` + clusterIssuer + `"}`), nil
	case "/openid/v1/jwks":
		return json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: w.key.Public(), KeyID: "cluster"}}})
	}
	return nil, fmt.Errorf("nothing is published at %s", path)
}

// issue makes a token of a ServiceAccount, signed with a key, each time another.
func (w *world) issue(key *ecdsa.PrivateKey, subject string, number int) string {
	w.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: "cluster"}}, nil)
	if err != nil {
		w.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(map[string]any{
		"iss": clusterIssuer, "sub": subject, "jti": strconv.Itoa(number), "exp": w.clock.Now().Add(time.Hour).Unix(),
	}).Serialize()
	if err != nil {
		w.Fatal(err)
	}
	return token
}

func (w *world) pass(d time.Duration) { w.clock.SetTime(w.clock.Now().Add(d)) }

func TestWhoMayReadTheMetrics(t *testing.T) {
	for name, row := range map[string]struct {
		authorization string
		status        int
	}{
		"nobody":                     {"", http.StatusUnauthorized},
		"a token that nobody knows":  {"Bearer stranger", http.StatusUnauthorized},
		"a user who may not":         {"Bearer user-other", http.StatusForbidden},
		"a user who may":             {"Bearer user-reader", http.StatusOK},
		"the scheme in small":        {"bearer user-reader", http.StatusOK},
		"another scheme":             {"Basic user-reader", http.StatusUnauthorized},
		"what cannot be a token":     {"Bearer user-reader\u00e9", http.StatusUnauthorized},
		"a scheme without its token": {"Bearer", http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.T = t
			answer := w.expect(row.authorization, row.status)
			if got := answer.Header().Get("WWW-Authenticate"); (got == "Bearer") != (row.status == http.StatusUnauthorized) {
				t.Errorf("WWW-Authenticate is %q", got)
			}
		})
	}
}

func TestTheAPIServerIsAskedWhatTheRequestDoes(t *testing.T) {
	w := newWorld(t)
	w.expect("Bearer user-reader", http.StatusOK)
	asked := w.asked
	if asked.User != "user-reader" || asked.UID != "1" || fmt.Sprint(asked.Groups, asked.Extra) != "[group] map[extra:[value]]" ||
		*asked.NonResourceAttributes != (authorizationv1.NonResourceAttributes{Path: "/metrics", Verb: "get"}) {
		t.Errorf("the API server was asked about %+v", asked)
	}
}

func TestTheWordOfTheAPIServerCountsForAMinute(t *testing.T) {
	w := newWorld(t)
	for range 20 {
		w.expect("Bearer user-reader", http.StatusOK)
		w.expect("Bearer stranger", http.StatusUnauthorized)
	}
	if w.reviews != 2 {
		t.Errorf("the API server was asked %d times about two tokens", w.reviews)
	}
	w.pass(time.Minute)
	w.expect("Bearer user-reader", http.StatusOK)
	if w.reviews != 3 {
		t.Error("a token is good for ever")
	}
}

func TestStrangersCostTheAPIServerLittleAndScrapersNothing(t *testing.T) {
	w := newWorld(t)
	w.expect("Bearer user-reader", http.StatusOK)
	w.pass(time.Minute)
	before := w.reviews
	for i := range 1000 {
		token := fmt.Sprintf("Bearer stranger-%d", i)
		if i < 10 {
			w.expect(token, http.StatusUnauthorized)
			continue
		}
		w.expect(token, http.StatusTooManyRequests)
	}
	if asked := w.reviews - before; asked != 10 {
		t.Errorf("the API server was asked about %d strangers", asked)
	}
	w.expect("Bearer user-reader", http.StatusOK) // it was good before
	w.pass(time.Second)
	w.expect("Bearer user-reader-2", http.StatusOK)
}

// TestStrangersKeepNoTokenOutThatTheClusterHasSigned also a new one, as Prometheus brings when its own was rotated.
func TestStrangersKeepNoTokenOutThatTheClusterHasSigned(t *testing.T) {
	w := newWorld(t)
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const prometheus, other = "system:serviceaccount:monitoring:prometheus", "system:serviceaccount:shop:pod"
	for i := range 100 { // they have the cluster's name and not its key
		w.expect("Bearer "+w.issue(stranger, prometheus, i), http.StatusUnauthorized)
	}
	if w.reviews != 0 {
		t.Errorf("the API server was asked about %d forged tokens", w.reviews)
	}
	for i := range 20 { // strangers, and a ServiceAccount with tokens that were revoked, use up what is theirs
		for _, token := range []string{fmt.Sprint("stranger-", i), w.issue(w.key, other, i)} {
			status := http.StatusUnauthorized
			if i >= 10 {
				status = http.StatusTooManyRequests
			}
			w.expect("Bearer "+token, status)
		}
	}
	w.issued = []string{w.issue(w.key, prometheus, 1)}
	w.expect("Bearer "+w.issued[0], http.StatusOK)
}

func TestATokenThatWasGoodIsNotForgottenForStrangers(t *testing.T) {
	w := newWorld(t)
	w.expect("Bearer user-reader", http.StatusOK)
	for i := range 2 * bounds.MetricsTokens {
		w.pass(time.Second)
		w.expect(fmt.Sprintf("Bearer stranger-%d", i), http.StatusUnauthorized)
	}
	w.err = errors.New("away")
	w.expect("Bearer user-reader", http.StatusOK)
}

func TestMetricsWhileTheAPIServerIsAway(t *testing.T) {
	w := newWorld(t)
	w.expect("Bearer user-reader", http.StatusOK)
	w.err = errors.New("away")
	w.expect("Bearer user-other", http.StatusServiceUnavailable)
	w.pass(10*time.Minute - time.Second)
	w.expect("Bearer user-reader", http.StatusOK)
	w.pass(time.Second)
	w.expect("Bearer user-reader", http.StatusServiceUnavailable)
	w.err = nil
	w.expect("Bearer user-other", http.StatusForbidden)
}
