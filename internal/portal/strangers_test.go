package portal_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/onsi/gomega"

	"github.com/tokenkeeper/tokenkeeper/internal/portal"
)

// forge is a token with another header or other claims than the one whose signature it bears; either may be empty.
func forge(token, header, claims string) string {
	parts := strings.Split(token, ".")
	for i, text := range []string{header, claims} {
		if text != "" {
			parts[i] = base64.RawURLEncoding.EncodeToString([]byte(text))
		}
	}
	return strings.Join(parts, ".")
}

func issuerOf(t *testing.T, token string) string {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	var claims struct{ Iss string }
	if err = errors.Join(err, json.Unmarshal(text, &claims)); err != nil || claims.Iss == "" {
		t.Fatalf("the issuer is %q: %v", claims.Iss, err)
	}
	return claims.Iss
}

func TestTokensThatCannotBeGoodCostTheAPIServerNothing(t *testing.T) {
	t.Parallel()
	s := newShops(t)
	good := s.token(s.person(s.a, "clerk", "list"), "tokenkeeper")
	issuer := issuerOf(t, good)
	for sentence, token := range map[string]string{
		"another signature":              good[:len(good)-8] + "AAAAAAAA",
		"other claims":                   forge(good, "", fmt.Sprintf(`{"iss":%q,"sub":"system:serviceaccount:x:y","exp":9999999999}`, issuer)),
		"a key that the cluster has not": forge(good, `{"alg":"RS256","kid":"made-up"}`, ""),
		"expired, of somebody else":      forge(good, "", `{"iss":"https://login.example.com","exp":1}`),
		"expired, of the cluster":        forge(good, "", fmt.Sprintf(`{"iss":%q,"exp":1}`, issuer)),
		"a Secret's, made up":            forge(good, "", `{"iss":"kubernetes/serviceaccount"}`),
	} {
		before := s.reviews.Load()
		for range 15 { // more than an address may fail
			s.browser().post("/session", url.Values{"token": {token}}).expect(t, http.StatusUnauthorized, "is not accepted")
		}
		if n := s.reviews.Load(); n != before {
			t.Errorf("%s: %d reviews", sentence, n-before)
		}
	}
	s.enter(good).get("/").expect(t, http.StatusOK, s.a+"/main")
	asked := s.reviews.Load()
	for _, token := range []string{forge(good, "", `{"iss":"https://login.example.com","exp":9999999999}`), "an-opaque-token"} {
		s.browser().post("/session", url.Values{"token": {token}}).expect(t, http.StatusUnauthorized)
		if n := s.reviews.Load(); n <= asked {
			t.Error("another authenticator is not asked")
		}
		asked = s.reviews.Load()
	}
}

func TestATokenThatHasExpiredIsNotReviewed(t *testing.T) {
	t.Parallel()
	s := newShops(t)
	token := s.token(s.person(s.a, "clerk", "list"), "tokenkeeper")
	s.clock.SetTime(time.Now().Add(21 * 365 * 24 * time.Hour))
	s.browser().post("/session", url.Values{"token": {token}}).expect(t, http.StatusUnauthorized, "it may have expired")
	if n := s.reviews.Load(); n != 0 {
		t.Errorf("%d reviews", n)
	}
}

func TestStrangersKeepNobodyOutWhoseTokenTheClusterHasSigned(t *testing.T) {
	t.Parallel()
	s := newShops(t)
	p := s.server.Config.Handler.(*portal.Portal)
	portal.Visitors(p).SetSleep(func(context.Context, time.Duration) error { return nil })
	for i := range 15 {
		for range 100 {
			portal.Visitors(p).Guess()
		}
		s.enter(s.token(s.person(s.a, fmt.Sprint("clerk-", i), "list"), "tokenkeeper")).get("/").expect(t, http.StatusOK, s.a+"/main")
	}
}

func TestARevokedTokenIsNotReviewedAllTheTime(t *testing.T) {
	t.Parallel()
	g := gomega.NewWithT(t)
	s := newShops(t)
	person, other := s.person(s.a, "clerk", "list"), s.person(s.a, "other", "list")
	token := s.token(person, "tokenkeeper")
	if err := s.cluster.admin.Delete(t.Context(), person); err != nil {
		t.Fatal(err)
	}
	attempt := func() int { return s.browser().post("/session", url.Values{"token": {token}}).status }
	g.Eventually(attempt).WithTimeout(time.Minute).Should(gomega.Equal(http.StatusUnauthorized))
	for range 20 {
		attempt()
	}
	if n := s.reviews.Load(); attempt() != http.StatusTooManyRequests || s.reviews.Load() != n {
		t.Errorf("it is reviewed %d times, and again", n)
	}
	s.enter(s.token(other, "tokenkeeper")).get("/").expect(t, http.StatusOK, s.a+"/main")
}

func TestAnAPIServerThatTellsNoKeysReviewsEachToken(t *testing.T) {
	t.Parallel()
	for sentence, document := range map[string]func(context.Context, string) ([]byte, error){
		"it refuses": func(context.Context, string) ([]byte, error) {
			return nil, errors.New("forbidden, and nobody is quoted")
		},
		"it tells none":  func(context.Context, string) ([]byte, error) { return []byte(`{"issuer":"","keys":[]}`), nil },
		"it tells tales": func(context.Context, string) ([]byte, error) { return []byte("<html>"), nil },
		"it is too long": func(context.Context, string) ([]byte, error) { return make([]byte, 1<<20), nil },
	} {
		t.Run(sentence, func(t *testing.T) {
			s := newShops(t)
			s.cluster = &realCluster{admin: s.cluster.admin, portal: s.cluster.portal, document: document}
			s.serve()
			s.enter(s.token(s.person(s.a, "clerk", "list"))).get("/").expect(t, http.StatusOK, s.a+"/main")
			if strings.Contains(s.log.text(), "quoted") {
				t.Errorf("the log quotes: %s", s.log.text())
			}
		})
	}
}
