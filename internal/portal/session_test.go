package portal_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/portal"
)

func TestWithoutASessionThereIsAForm(t *testing.T) {
	w := newWorld(t, account("main"))
	for language, says := range map[string][]string{
		"en": {`<html lang="en">`, "Access token", "kubectl create token shop-clerk --namespace shop --duration 8h --audience tokenkeeper"},
		"de": {`<html lang="de">`, "Zugangstoken", "--audience tokenkeeper"},
		"pl": {`<html lang="pl">`, "Token dostępu", "--audience tokenkeeper"},
	} {
		visitor := w.browser()
		visitor.Language = language
		visitor.get("/").expect(t, http.StatusOK, append(says, `type="password"`, `autocomplete="off"`)...).without(t, "shop/main")
	}
}

func TestASessionBeginsWithAToken(t *testing.T) {
	for sentence, entered := range map[string]string{
		"for the API server":           clerkToken,
		"for the portal":               portalToken,
		"with spaces around it":        "\n " + clerkToken + " \t",
		"as it stands in a header":     "Bearer " + clerkToken,
		"as it is pasted with a space": "  Bearer   " + portalToken,
	} {
		t.Run(sentence, func(t *testing.T) {
			w := newWorld(t, account("main"))
			visitor := w.browser()
			entered := visitor.post("/session", url.Values{"token": {entered}}).expect(t, http.StatusSeeOther)
			if entered.location != "/?notice=entered" {
				t.Errorf("it leads to %s", entered.location)
			}
			cookie := entered.cookie("__Host-tokenkeeper-session")
			if cookie == nil || !cookie.Secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode || cookie.Path != "/" ||
				cookie.Domain != "" || cookie.MaxAge != 0 || !cookie.Expires.IsZero() {
				t.Errorf("the cookie is %v", cookie)
			}
			visitor.get("/").expect(t, http.StatusOK, "shop/main", "Logged in as clerk")
		})
	}
}

func TestTokensThatAreNone(t *testing.T) {
	w := newWorld(t)
	for token, says := range map[string]string{
		"":                        "Enter the access token.",
		"   ":                     "Enter the access token.",
		"two words":               "characters that no access token has",
		"a\r\nSet-Cookie: evil=1": "characters that no access token has",
		`a"; Path=/evil; b="`:     "characters that no access token has",
		"zażółć":                  "characters that no access token has",
		strings.Repeat("x", 4001): "too long",
		"wrong-token-0123456789":  "is not accepted",
		portalToken + "x":         "is not accepted",
	} {
		a := w.browser().post("/session", url.Values{"token": {token}}).expect(t, http.StatusUnauthorized, says)
		if len(a.cookies) > 0 || a.header.Get("WWW-Authenticate") == "" {
			t.Errorf("%.20q gives %v", token, a.header)
		}
		if token != "" && strings.TrimSpace(token) != "" {
			a.without(t, token)
		}
	}
	if w.cluster.reviews != 4 {
		t.Errorf("the API server was asked %d times, want twice for each of two tokens", w.cluster.reviews)
	}
}

func TestTheLongestTokenFits(t *testing.T) {
	long := strings.Repeat("x", 4000)
	w := newWorld(t)
	w.cluster.users[long] = "clerk"
	w.enter(long).get("/").expect(t, http.StatusOK, "Logged in as clerk")
}

func TestARevokedTokenEndsTheSession(t *testing.T) {
	w := newWorld(t, account("main"))
	clerk := w.enter(clerkToken)
	clerk.get("/").expect(t, http.StatusOK, "shop/main")
	if w.cluster.reviews != 1 {
		t.Errorf("within a moment the API server was asked %d times", w.cluster.reviews)
	}
	w.cluster.revoked[clerkToken] = true
	w.clock.SetTime(noon.Add(10 * time.Second))
	a := clerk.get("/").expect(t, http.StatusUnauthorized, "Your session is over").without(t, "shop/main")
	if cookie := a.cookie("__Host-tokenkeeper-session"); cookie == nil || cookie.MaxAge >= 0 || !cookie.Secure || cookie.Path != "/" {
		t.Errorf("the cookie stays: %v", cookie)
	}
	clerk.get("/").expect(t, http.StatusOK, "Access token").without(t, "Your session is over")
}

func TestLeaving(t *testing.T) {
	w := newWorld(t)
	clerk := w.enter(clerkToken)
	clerk.follow(clerk.press(clerk.get("/"), "/logout")).expect(t, http.StatusOK, "Access token")
}

func TestLeavingAsksNobody(t *testing.T) {
	w := newWorld(t)
	clerk := w.enter(clerkToken)
	page := clerk.get("/")
	w.cluster.down = errors.New("down")
	w.clock.SetTime(noon.Add(time.Minute))
	left := clerk.press(page, "/logout")
	if cookie := left.cookie("__Host-tokenkeeper-session"); left.status != http.StatusSeeOther || cookie == nil || cookie.MaxAge >= 0 {
		t.Errorf("leaving gives %d, and the cookie %v", left.status, cookie)
	}
}

func TestABrowserThatKeepsNoCookie(t *testing.T) {
	w := newWorld(t)
	entered := w.browser().post("/session", url.Values{"token": {clerkToken}})
	forgetful := w.browser()
	forgetful.get(entered.location).expect(t, http.StatusUnauthorized, "this browser has not kept it")
	forgetful.get("/").expect(t, http.StatusOK).without(t, "has not kept it")
	w.enter(clerkToken).get(entered.location).expect(t, http.StatusOK, "Logged in as clerk")
}

func TestGuessesOfTokensAreLimited(t *testing.T) {
	w := newWorld(t, account("main"))
	clerk := w.enter(clerkToken) // from the same address, as behind a proxy
	var waits []time.Duration
	portal.Visitors(w.server.Config.Handler.(*portal.Portal)).SetSleep(func(_ context.Context, wait time.Duration) error {
		waits = append(waits, wait)
		return nil
	})
	reviews := w.cluster.reviews
	guess := func(i int) *answer {
		return w.browser().post("/session", url.Values{"token": {"guess-" + strconv.Itoa(i)}}, "X-Forwarded-For", "198.51.100."+strconv.Itoa(i%250))
	}
	for i := range 10 {
		guess(i).expect(t, http.StatusUnauthorized)
	}
	for range 30 { // in the slow lane
		guess(10).expect(t, http.StatusUnauthorized)
	}
	for i := range 100 {
		if a := guess(i).expect(t, http.StatusTooManyRequests, "Too many attempts", "need not be a mistake of yours", "6 seconds"); a.header.Get("Retry-After") != "6" {
			t.Fatalf("Retry-After is %q", a.header.Get("Retry-After"))
		}
	}
	if got := w.cluster.reviews - reviews; got != 80 {
		t.Errorf("the API server was asked %d times, want twice for each of forty", got)
	}
	if longest := slices.Max(waits); longest != 5*time.Second {
		t.Errorf("somebody waits for %s", longest)
	}
	guesser := w.browser()
	guesser.send(http.MethodGet, "/", nil, "Cookie", "__Host-tokenkeeper-session=guess").expect(t, http.StatusTooManyRequests)

	clerk.get("/").expect(t, http.StatusOK, "shop/main")
	w.clock.SetTime(noon.Add(time.Second)) // nothing is refilled
	clerk.get("/").expect(t, http.StatusOK, "shop/main")
	w.cluster.revoked[clerkToken] = true
	w.clock.SetTime(noon.Add(20 * time.Second))
	for i := range 10 {
		guess(i)
	}
	clerk.send(http.MethodGet, "/", nil).expect(t, http.StatusUnauthorized, "Your session is over")
	w.enter(adminToken).get("/").expect(t, http.StatusOK, "shop/main") // what is right is let in, though others guess
}

func TestASessionOutlivesTheGuessesOfOthers(t *testing.T) {
	w := newWorld(t, account("main"))
	clerk := w.enter(clerkToken)
	for i := range 12 {
		w.browser().post("/session", url.Values{"token": {"guess-" + strconv.Itoa(i)}})
		w.clock.SetTime(noon.Add(time.Duration(i) * time.Second))
	}
	w.clock.SetTime(noon.Add(11 * time.Second)) // the review is too old, and nobody else may try
	clerk.get("/").expect(t, http.StatusOK, "shop/main")
}

func TestAnAPIServerThatDoesNotAnswerIsNobodysMistake(t *testing.T) {
	w := newWorld(t)
	w.cluster.down = errors.New("https://10.0.0.1/apis/authentication.k8s.io/v1/tokenreviews: no secret may be quoted")
	for range 30 {
		w.browser().post("/session", url.Values{"token": {clerkToken}}).
			expect(t, http.StatusServiceUnavailable, "cannot be reached").without(t, "10.0.0.1", "quoted")
	}
	w.cluster.down = nil
	clerk := w.enter(clerkToken)
	w.cluster.down = errors.New("down")
	w.clock.SetTime(noon.Add(10 * time.Second))
	clerk.get("/").expect(t, http.StatusServiceUnavailable)
	w.cluster.down = nil
	clerk.get("/").expect(t, http.StatusOK, "Logged in as clerk")
}

func TestEnteringLeadsNowhereElse(t *testing.T) {
	w := newWorld(t)
	for next, want := range map[string]string{
		"":                                   "/",
		"/":                                  "/",
		"https://evil.example/":              "/",
		"//evil.example/sign-in/amazon":      "/sign-in/amazon",
		"https://evil.example/sign-in/a?x=y": "/sign-in/a?x=y",
		"/sign-in/amazon":                    "/sign-in/amazon",
		"/sign-in/amazon?a=b%0d%0aX&c=%2F%2Fevil":   "/sign-in/amazon?a=b%0D%0AX&c=%2F%2Fevil",
		"/sign-in/shop/main?ticket=x":               "/",
		"/sign-in//evil.example":                    "/",
		"/sign-in/%2Fevil.example":                  "/",
		`/sign-in/\evil.example`:                    "/",
		"/sign-in/..":                               "/",
		"javascript:alert(1)":                       "/",
		"/accounts/shop/main/renew":                 "/",
		"/sign-in/a?x=" + strings.Repeat("x", 5000): "/",
		"%zz": "/",
	} {
		a := w.browser().post("/session", url.Values{"token": {clerkToken}, "next": {next}}).expect(t, http.StatusSeeOther)
		if want == "/" {
			want = "/?notice=entered"
		}
		if a.location != want {
			t.Errorf("%.40q leads to %q, want %q", next, a.location, want)
		}
	}
}
