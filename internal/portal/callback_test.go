package portal_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

const callback = "/callback/ebay?code=secret-code&state=a-state"

func TestTheBrowserLeavesTheAddressWithTheCode(t *testing.T) {
	w := newWorld(t)
	w.signIns.offering(offered)
	w.signIns.cookie = w.signIns.visit.CookieName
	w.signIns.outcome = signin.Outcome{Account: offered.Account, ID: "44130512", SeenLogin: "my-shop-at-ebay"}
	visitor := w.browser()
	visitor.press(visitor.get(link("")), "/sign-in/shop/main").expect(t, http.StatusOK)

	back := visitor.get(callback, "Sec-Fetch-Site", "cross-site")
	if back.status != http.StatusSeeOther || !strings.HasPrefix(back.location, "/done/") || strings.Contains(back.location, "?") {
		t.Fatalf("it leads to %d %q", back.status, back.location)
	}
	if w.signIns.seen != "visit-secret" {
		t.Errorf("the cookie of the visit is %q", w.signIns.seen)
	}
	if diff := cmp.Diff(url.Values{"code": {"secret-code"}, "state": {"a-state"}}, w.signIns.query); diff != "" {
		t.Error(diff)
	}
	if visit := back.cookie(w.signIns.visit.CookieName); visit != nil {
		t.Errorf("the cookie of the visit is changed, and the browser may come back twice: %v", visit)
	}
	result := back.cookie("__Host-tokenkeeper-result-")
	if result == nil || !result.Secure || !result.HttpOnly || result.SameSite != http.SameSiteLaxMode || result.Path != "/" || result.Domain != "" || result.MaxAge != 120 {
		t.Errorf("the cookie of the result is %v", result)
	}

	visitor.follow(back).expect(t, http.StatusOK, "Signed in at eBay", "my-shop-at-ebay", "44130512", "shop/main", "Sandbox").
		without(t, "secret-code", "a-state", "were not granted", "has not said yet")
	visitor.follow(back).expect(t, http.StatusOK, "Signed in at eBay") // a reload
	w.browser().follow(back).expect(t, http.StatusNotFound, "Nothing to show")
	if again := visitor.get(callback); again.location != back.location || w.signIns.seen != "visit-secret" {
		t.Errorf("coming back twice leads to %q and %q", back.location, again.location)
	}
}

// TestTheCallbackOfAServer tells the server that it is for.
func TestTheCallbackOfAServer(t *testing.T) {
	w := newWorld(t)
	visitor := w.browser()
	visitor.get("/callback/ebay/abcdefgh234567ab?code=c&state=s").expect(t, http.StatusSeeOther)
	visitor.get("/callback/ebay/abcdefgh234567ab?error=access_denied").expect(t, http.StatusSeeOther)
	for _, call := range []string{"Complete ebay/abcdefgh234567ab", "Decline ebay/abcdefgh234567ab"} {
		if w.signIns.count(call) != 1 {
			t.Errorf("no call %q", call)
		}
	}
	visitor.get("/callback/ebay/abcdefgh234567ab/more?code=c&state=s").expect(t, http.StatusNotFound)
	visitor.get("/callback/ebay/?code=c&state=s").expect(t, http.StatusNotFound)
}

func TestADeclineTakesTheCookiesOfTheVisitsAlong(t *testing.T) {
	w := newWorld(t)
	w.signIns.err = &signin.Error{Problem: signin.ConsentDenied, Account: offered.Account, Ticket: "another-ticket-0123456789"}
	visitor := w.browser()
	for _, path := range []string{"/callback/ebay?error=access_denied", "/callback/ebay"} {
		back := visitor.get(path, "Cookie", "a=b; "+signin.CookieName("one")+"=shop/one/1; "+signin.CookieName("two")+"=shop/two/2")
		visitor.follow(back).expect(t, http.StatusForbidden, "Access was not granted", "shop/main", "Try again").without(t, "use the link again")
		if diff := cmp.Diff([]string{"shop/one/1", "shop/two/2"}, w.signIns.visits); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
	if w.signIns.count("Decline ebay") != 2 || w.signIns.count("Complete") != 0 {
		t.Errorf("what was called: %v", w.signIns.calls)
	}
}

func TestResults(t *testing.T) {
	w := newWorld(t)
	visitor := w.browser()
	w.signIns.outcome = signin.Outcome{Account: offered.Account, MissingScopes: []string{"sell.orders", "sell.stores"}}
	visitor.follow(visitor.get(callback)).expect(t, http.StatusOK, "These permissions were not granted:", "sell.orders", "sell.stores")
	w.signIns.outcome = signin.Outcome{Account: offered.Account, Unconfirmed: true}
	visitor.follow(visitor.get(callback)).expect(t, http.StatusOK, "eBay has not said yet whose account this is").without(t, "This account is connected")
	visitor.Language = "de"
	visitor.follow(visitor.get(callback)).expect(t, http.StatusOK, "eBay hat noch nicht mitgeteilt")
	visitor.Language = "pl"
	visitor.follow(visitor.get(callback)).expect(t, http.StatusOK, "Serwis eBay nie podał jeszcze")
}

func TestTwoResultsAreNotMixedUp(t *testing.T) {
	w := newWorld(t)
	visitor := w.browser()
	w.signIns.outcome = signin.Outcome{Account: signin.Account{Namespace: "shop", Name: "one", Marketplace: "eBay"}}
	one := visitor.get(callback + "1")
	w.signIns.outcome = signin.Outcome{Account: signin.Account{Namespace: "shop", Name: "two", Marketplace: "eBay"}}
	two := visitor.get(callback + "2")
	visitor.follow(one).expect(t, http.StatusOK, "shop/one").without(t, "shop/two")
	visitor.follow(two).expect(t, http.StatusOK, "shop/two").without(t, "shop/one")
}

func TestProblemsOfVisits(t *testing.T) {
	for problem, want := range map[signin.Problem]struct {
		status int
		says   []string
	}{
		signin.VisitUnknown:       {403, []string{"cannot be completed here"}},
		signin.VisitUsed:          {409, []string{"already taken", "Look at the list of accounts in a few minutes."}},
		signin.AccountUnnamed:     {409, []string{"eBay does not say who signed in", "Only seller 44130512"}},
		signin.VisitExpired:       {410, []string{"took too long"}},
		signin.IssuerMismatch:     {403, []string{"came from the wrong place"}},
		signin.ConsentDenied:      {403, []string{"Access was not granted"}},
		signin.CodeRefused:        {502, []string{"could not be completed"}},
		signin.WrongAccount:       {409, []string{"belongs to seller 44130512; you signed in as 99."}},
		signin.ApplicationRefused: {502, []string{"eBay refuses the application"}},
		signin.AccountUnready:     {409, []string{"not ready"}},
		signin.MarketplaceDown:    {503, []string{"eBay cannot be reached"}},
		signin.ClusterDown:        {503, []string{"does not work right now"}},
		signin.NotStored:          {503, []string{"Signed in, not stored yet"}},
	} {
		t.Run(string(problem), func(t *testing.T) {
			w := newWorld(t)
			w.signIns.err = &signin.Error{
				Problem: problem, Account: offered.Account, Detail: "the detail of it", GotID: "99", Ticket: "another-ticket-0123456789",
			}
			visitor := w.browser()
			visitor.follow(visitor.get(callback)).expect(t, want.status, append(want.says,
				"the detail of it", `href="/sign-in/shop/main?ticket=another-ticket-0123456789"`)...).without(t, "secret-code")
			w.signIns.err = &signin.Error{Problem: problem, Account: offered.Account}
			visitor.follow(visitor.get(callback)).expect(t, want.status).without(t, "Try again</a>", "<details")
		})
	}
	w := newWorld(t)
	w.signIns.err = errors.New("no secret may be quoted: code=1")
	visitor := w.browser()
	visitor.follow(visitor.get(callback)).expect(t, http.StatusInternalServerError, "Something went wrong").without(t, "quoted")
}

func TestForgedCallbacksKeepNobodyOut(t *testing.T) {
	w := newWorld(t)
	w.signIns.err = &signin.Error{Problem: signin.VisitUnknown}
	visitor := w.browser()
	for range 50 {
		visitor.get(callback).expect(t, http.StatusSeeOther)
	}
	visitor.follow(visitor.get(callback)).expect(t, http.StatusForbidden, "cannot be completed here")
	w.signIns.err, w.signIns.outcome = nil, signin.Outcome{Account: offered.Account}
	visitor.follow(visitor.get(callback)).expect(t, http.StatusOK, "Signed in at eBay")
}

func TestMadeUpResults(t *testing.T) {
	w := newWorld(t)
	for sentence, value := range map[string]string{
		"nothing":           "",
		"no base64":         "***",
		"no result":         base64.RawURLEncoding.EncodeToString([]byte("{}")),
		"a strange problem": base64.RawURLEncoding.EncodeToString(marshal(t, map[string]any{"Error": signin.Error{Problem: "Strange"}})),
		"a link elsewhere": base64.RawURLEncoding.EncodeToString(marshal(t, map[string]any{"Error": signin.Error{
			Problem: signin.LinkUsed, Account: signin.Account{Namespace: "/evil.example", Name: "x"}, Ticket: "t",
		}})),
	} {
		t.Run(sentence, func(t *testing.T) {
			w.browser().get("/done/0123456789abcdef", "Cookie", "__Host-tokenkeeper-result-0123456789abcdef="+value).
				expect(t, http.StatusNotFound, "Nothing to show").without(t, "evil.example")
		})
	}
}

func TestABrowserThatGoesAwayDoesNotStopTheExchange(t *testing.T) {
	w := newWorld(t)
	var during error
	var deadline time.Time
	ctx, cancel := context.WithCancel(t.Context())
	w.signIns.complete = func(exchange context.Context) error {
		cancel()
		during = exchange.Err()
		deadline, _ = exchange.Deadline()
		return nil
	}
	w.signIns.outcome = signin.Outcome{Account: offered.Account}
	w.server.Config.Handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, http.MethodGet, callback, nil))
	if during != nil || ctx.Err() == nil {
		t.Errorf("the exchange was stopped: %v", during)
	}
	if left := time.Until(deadline); left < 30*time.Second || left > 2*time.Minute {
		t.Errorf("the exchange may take %s", left)
	}
}

func TestWhoSignedIn(t *testing.T) {
	named := signin.Account{Namespace: "shop", Name: "main", Marketplace: "eBay", Login: "the-name-given"}
	for sentence, test := range map[string]struct {
		outcome       signin.Outcome
		facts, hasNot []string
	}{
		"both":    {signin.Outcome{Account: named, ID: "44130512", SeenLogin: "seen"}, []string{"<dt>Seller</dt><dd>seen</dd>", "<dt>Seller ID</dt><dd>44130512</dd>"}, []string{"does not say"}},
		"the ID":  {signin.Outcome{Account: named, ID: "44130512"}, []string{"<dt>Seller ID</dt><dd>44130512</dd>"}, []string{"<dt>Seller</dt>", "does not say"}},
		"nobody":  {signin.Outcome{Account: named}, []string{"eBay does not say who signed in."}, []string{"<dt>Seller</dt>"}},
		"not yet": {signin.Outcome{Account: named, Unconfirmed: true}, []string{"eBay has not said yet"}, []string{"<dt>Seller</dt>", "does not say"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			w := newWorld(t)
			w.signIns.outcome = test.outcome
			visitor := w.browser()
			visitor.follow(visitor.get(callback)).
				expect(t, http.StatusOK, append(test.facts, "<dt>Name given to this account</dt><dd>“the-name-given” (unverified)</dd>")...).without(t, test.hasNot...)
		})
	}
}

func TestARefusalOfNobodysAccount(t *testing.T) {
	w := newWorld(t, marketplace("ebay", "eBay Deutschland"))
	w.signIns.err = &signin.Error{Problem: signin.ConsentDenied}
	visitor := w.browser()
	for path, says := range map[string]map[string]string{
		callback: {
			"en": "You declined, or eBay Deutschland did so for you.",
			"de": "Sie haben abgelehnt, oder eBay Deutschland hat es für Sie getan.",
		},
		"/callback/no-such-marketplace?error=access_denied": {
			"en": "You declined, or the marketplace did so for you.",
			"de": "Sie haben abgelehnt, oder der Marktplatz hat es für Sie getan.",
		},
	} {
		for visitor.Language = range says {
			visitor.follow(visitor.get(path)).expect(t, http.StatusForbidden, says[visitor.Language])
		}
	}
	visitor.Language = "en"
	visitor.follow(visitor.get(callback)).expect(t, http.StatusForbidden, "choose “Sign in” in the list of accounts, or ask for a new link").without(t, "<dl>")
}

func TestAnAPIServerThatFailsASignInIsLogged(t *testing.T) {
	for problem, account := range map[signin.Problem]signin.Account{signin.ClusterDown: {}, signin.NotStored: offered.Account} {
		w := newWorld(t)
		forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "quoted", errors.New("https://quoted"))
		w.signIns.err = fmt.Errorf("%w: %w", &signin.Error{Problem: problem, Account: account}, forbidden)
		w.browser().get(link("")).expect(t, http.StatusServiceUnavailable)
		for _, said := range []string{`"answer"="Forbidden"`, `"error"="` + string(problem) + `"`, `"namespace"="shop"`, `"name"="main"`} {
			if !strings.Contains(w.log.text(), said) {
				t.Errorf("%s: the log does not say %s:\n%s", problem, said, w.log.text())
			}
		}
		if strings.Contains(w.log.text(), "quoted") {
			t.Errorf("the log quotes:\n%s", w.log.text())
		}
	}
}
