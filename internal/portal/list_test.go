package portal_test

import (
	"context"
	"errors"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/portal"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

var cardPattern = regexp.MustCompile(`(?s)<article class="([a-z]+)" aria-label="([^"]*)"[^>]*>(.*?)</article>`)

// cards are the accounts of a list by what they are called, in order.
func cards(page string) (names []string, texts map[string]string) {
	texts = map[string]string{}
	for _, card := range cardPattern.FindAllStringSubmatch(page, -1) {
		name := html.UnescapeString(card[2])
		names = append(names, name)
		texts[name] = html.UnescapeString(card[0])
	}
	return names, texts
}

func TestTheListBeginsWithWhatNeedsAPerson(t *testing.T) {
	w := newWorld(t, marketplace("allegro", "Allegro"), marketplace("ebay", "eBay"),
		account("fine"),
		account("soon", ending(6*24*time.Hour), func(a *v1alpha1.MarketplaceAccount) {
			a.Spec.MarketplaceRef.Name = "ebay"
			a.Status.Account = &v1alpha1.AccountStatus{ID: "44130512", Login: "my-shop"}
		}),
		account("stuck", stuck(v1alpha1.ReasonGrantRejected), says(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)),
		account("down", says(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonMarketplaceUnavailable)),
		account("sandbox", ending(90*24*time.Hour), func(a *v1alpha1.MarketplaceAccount) {
			a.Spec.MarketplaceRef.Name, a.Spec.Environment, a.Spec.Login, a.Spec.AccountID = "gone", "Sandbox", "tester", "77"
		}),
	)
	clerk := w.enter(clerkToken)
	page := clerk.get("/").expect(t, http.StatusOK, "2 accounts need you.")
	got, texts := cards(page.text)
	want := []string{"Allegro, shop/stuck", "eBay, shop/soon", "Allegro, shop/down", "gone, shop/sandbox", "Allegro, shop/fine"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for card, parts := range map[string][]string{
		"Allegro, shop/stuck": {`class="act"`, "does not accept the sign-in any more", "keeps working for another 8 hours", "Authenticated=False, GrantRejected: Message of Authenticated"},
		"eBay, shop/soon":     {`class="soon"`, "Authenticated, expires in 6 days", "my-shop", "44130512"},
		"Allegro, shop/down":  {`class="trouble"`, "Allegro cannot be reached"},
		"gone, shop/sandbox":  {`class="fine"`, "Authenticated, expires in 90 days", "Sandbox", "tester", "77"},
		"Allegro, shop/fine":  {`class="fine"`, ">Authenticated<"},
	} {
		for _, part := range parts {
			if !strings.Contains(texts[card], part) {
				t.Errorf("%s does not say %q:\n%s", card, part, texts[card])
			}
		}
	}
	if strings.Contains(texts["Allegro, shop/fine"], "Production") {
		t.Error("the usual environment is mentioned")
	}

	clerk.Language = "de-DE"
	clerk.get("/").expect(t, http.StatusOK, "Authentifiziert, läuft in 6 Tagen ab", "Bei 2 Konten müssen Sie etwas tun.")
	clerk.Language = "pl"
	clerk.get("/").expect(t, http.StatusOK, "Uwierzytelnione, wygasa za 6 dni", "2 konta wymagają działania.")
	w.clock.SetTime(noon.Add(5*24*time.Hour + time.Hour))
	clerk.get("/").expect(t, http.StatusOK, "Uwierzytelnione, wygasa w ciągu doby")
}

func TestAListInOrder(t *testing.T) {
	w := newWorld(t, account("main"))
	w.enter(clerkToken).get("/").expect(t, http.StatusOK, "Everything is in order.")
}

func TestVisitorsSeeWhatTheyMay(t *testing.T) {
	w := newWorld(t, account("main"), account("second"), account("main", in("other")), account("main", in("third")))
	w.cluster.users["single-token-0123456789"] = "single"
	w.cluster.rights["single"] = []string{"get other/main", "patch other/main", "list third/"}
	for token, want := range map[string]map[string]bool{ // account: whether it has buttons
		adminToken:                {"shop/main": true, "shop/second": true, "other/main": true, "third/main": true},
		clerkToken:                {"shop/main": true, "shop/second": true},
		portalToken:               {"shop/main": true, "shop/second": true},
		viewerToken:               {"shop/main": false, "shop/second": false},
		nobodyToken:               {},
		"single-token-0123456789": {"other/main": true, "third/main": false},
	} {
		page := w.enter(token).get("/").expect(t, http.StatusOK)
		got := map[string]bool{}
		names, texts := cards(page.text)
		for _, name := range names {
			_, object, _ := strings.Cut(name, ", ")
			got[object] = strings.Contains(texts[name], "<form")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", token, diff)
		}
		if len(want) == 0 {
			page.expect(t, http.StatusOK, "There is no account that you may see.")
		}
	}
}

func TestFewQuestionsAreAsked(t *testing.T) {
	var objects []*v1alpha1.MarketplaceAccount
	for i := range 50 {
		objects = append(objects, account(fmt.Sprintf("account-%d", i)), account(fmt.Sprintf("account-%d", i), in("other")))
	}
	w := newWorld(t, objectsOf(objects)...)
	ask := func(token string) int {
		before := len(w.cluster.asked)
		w.enter(token).get("/").expect(t, http.StatusOK)
		return len(w.cluster.asked) - before
	}
	if n := ask(adminToken); n != 2 {
		t.Errorf("of somebody who may do all, %d questions are asked", n)
	}
	if n := ask(clerkToken); n != 1+2+50+2+2 { // may list one namespace, is asked about each account of the other, and may not operate but patch in the one
		t.Errorf("of somebody who may do all in one namespace, %d questions are asked", n)
	}
	if n := ask(clerkToken); n != 0 {
		t.Errorf("a moment later, %d questions are asked", n)
	}
	w.clock.SetTime(noon.Add(5 * time.Second))
	if n := ask(clerkToken); n != 57 {
		t.Errorf("five seconds later, %d questions are asked", n)
	}
}

func TestRightsThatCannotBeAskedShowNothing(t *testing.T) {
	w := newWorld(t, account("main"))
	clerk := w.enter(clerkToken)
	w.cluster.down = errors.New("no secret may be quoted")
	clerk.get("/").expect(t, http.StatusServiceUnavailable).without(t, "shop/main", "quoted")
}

func TestNothingOfAnAccountIsMarkup(t *testing.T) {
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>'`
	w := newWorld(t, marketplace("allegro", evil), account("main", stuck(evil), func(a *v1alpha1.MarketplaceAccount) {
		a.Spec.Login, a.Spec.AccountID, a.Spec.Environment = evil, evil, evil
		a.Spec.Grant.Type = v1alpha1.GrantDeviceCode
		a.Status.Account = &v1alpha1.AccountStatus{ID: evil, Login: evil}
		a.Status.SignIn = &v1alpha1.SignInStatus{URL: "javascript:alert(1)//https://a.example", UserCode: evil}
		for i := range a.Status.Conditions {
			a.Status.Conditions[i].Message = evil
		}
	}))
	w.cluster.users[clerkToken] = evil
	w.cluster.rights[evil] = []string{"list /", "patch /"}
	w.enter(clerkToken).get("/").expect(t, http.StatusOK, evil).without(t, "<script", "<img", "javascript:", "ZgotmplZ")

	shown := signin.Account{Namespace: "shop", Name: "main", Login: evil, Marketplace: evil, Environment: evil, ExpectedID: evil}
	w.signIns.offering(signin.Offer{Account: shown})
	visitor := w.browser()
	visitor.get("/sign-in/shop/main?ticket="+goodTicket+"&a=%22%3E%3Cscript%3E").expect(t, http.StatusOK, evil).without(t, "<script", "<img")
	w.signIns.outcome = signin.Outcome{Account: shown, ID: evil, SeenLogin: evil, MissingScopes: []string{evil}}
	visitor.follow(visitor.get("/callback/allegro?code=1")).expect(t, http.StatusOK, evil).without(t, "<script", "<img")
	w.signIns.err = &signin.Error{Problem: signin.WrongAccount, Account: shown, Detail: evil, GotID: evil, Ticket: evil}
	visitor.follow(visitor.get("/callback/allegro?code=1")).expect(t, http.StatusConflict, evil).without(t, "<script", "<img")
	visitor.get("/sign-in/shop/main?ticket="+goodTicket).expect(t, http.StatusConflict, evil).without(t, "<script", "<img")
	w.enter(clerkToken).get("/?notice=%3Cscript%3E").expect(t, http.StatusOK).without(t, "<script")
}

func TestTooManyLists(t *testing.T) {
	w := newWorld(t, account("main"))
	clerk := w.enter(clerkToken)
	clerk.get("/").expect(t, http.StatusOK, "shop/main")
	portal.Visitors(w.server.Config.Handler.(*portal.Portal)).FillLists(time.Millisecond)
	for _, path := range []string{"/", "/sign-in/allegro"} {
		busy := clerk.get(path).expect(t, http.StatusServiceUnavailable, "Too much is going on").without(t, "shop/main")
		if busy.header.Get("Retry-After") != "1" {
			t.Errorf("Retry-After is %q", busy.header.Get("Retry-After"))
		}
	}
	clerk.post("/accounts/shop/main/renew", url.Values{"form": {w.formToken(clerkToken, "/accounts/shop/main/renew")}}).expect(t, http.StatusSeeOther)
}

func TestAVisitorWhoLeavesIsNoFailure(t *testing.T) {
	w := newWorld(t, account("main"))
	w.enter(clerkToken)
	ctx, leave := context.WithCancel(t.Context())
	leave()
	request := httptest.NewRequestWithContext(ctx, http.MethodGet, "/", nil)
	request.AddCookie(&http.Cookie{Name: "__Host-tokenkeeper-session", Value: clerkToken})
	portal.Visitors(w.server.Config.Handler.(*portal.Portal)).FillLists(time.Minute) // so that he waits
	w.server.Config.Handler.ServeHTTP(httptest.NewRecorder(), request)
	if strings.Contains(w.log.text(), `"error"=`) || !strings.Contains(w.log.text(), "The visitor has left") {
		t.Errorf("the log says:\n%s", w.log.text())
	}
}

func TestWhatDoesNotWorkIsCounted(t *testing.T) {
	rejected := func(a *v1alpha1.MarketplaceAccount) {
		says(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonApplicationRejected)(a)
		says(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonApplicationRejected)(a)
	}
	w := newWorld(t, account("rejected", rejected), account("soon", ending(6*24*time.Hour)))
	page := w.enter(clerkToken).get("/").expect(t, http.StatusOK, "One account needs you.", "One account does not work.")
	got, _ := cards(page.text)
	if diff := cmp.Diff([]string{"allegro, shop/rejected", "allegro, shop/soon"}, got); diff != "" {
		t.Error(diff)
	}
	w = newWorld(t, account("rejected", rejected), account("fine"))
	w.enter(clerkToken).get("/").expect(t, http.StatusOK, "One account does not work.").without(t, "in order", "needs you")
}

func TestWarningsAreNotInOrder(t *testing.T) {
	for sentence, warned := range map[string]change{
		"connected twice":    says(v1alpha1.ConditionAuthenticated, metav1.ConditionTrue, v1alpha1.ReasonDuplicateAccount),
		"fewer scopes":       says(v1alpha1.ConditionAuthenticated, metav1.ConditionTrue, v1alpha1.ReasonScopesReduced),
		"somebody else":      says(v1alpha1.ConditionAuthenticated, metav1.ConditionTrue, v1alpha1.ReasonAccountMismatch),
		"a failed test":      testedAs(v1alpha1.ConnectionTestFailed),
		"renewal is stopped": func(a *v1alpha1.MarketplaceAccount) { a.Spec.Renewal.Policy = v1alpha1.RenewalSuspended },
		"an application": func(a *v1alpha1.MarketplaceAccount) {
			a.Status.Application = &v1alpha1.ApplicationStatus{SecretExpirationTime: metav1.NewTime(noon.Add(time.Hour))}
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			w := newWorld(t, account("main", warned))
			w.enter(clerkToken).get("/").expect(t, http.StatusOK, `<article class="warn"`).without(t, "Everything is in order.")
		})
	}
}

// TestNamesOfSellers is S14: what the author of an account says is quoted, and marked as what nobody has verified.
func TestNamesOfSellers(t *testing.T) {
	named := func(given, seen string) change {
		return func(a *v1alpha1.MarketplaceAccount) {
			a.Spec.Login = given
			a.Status.Account = &v1alpha1.AccountStatus{ID: "1", Login: seen}
		}
	}
	w := newWorld(t, account("given", named("me", "")), account("seen", named("me", "my-shop")), account("repeated", named("me", "me")),
		account("expected", func(a *v1alpha1.MarketplaceAccount) { a.Spec.AccountID, a.Status.Account = "call 555-0100 now", nil }),
	)
	_, texts := cards(w.enter(clerkToken).get("/").text)
	for name, want := range map[string]string{
		"given":    "<span>Name given to this account: <strong>“me” (unverified)</strong></span>",
		"seen":     `<span><strong>my-shop</strong></span> <span class="id">1</span>`,
		"expected": `<span class="id">Expected seller ID: “call 555-0100 now” (unverified)</span>`,
		"repeated": "<span>Name given to this account: <strong>“me” (unverified)</strong></span>",
	} {
		if text := texts["allegro, shop/"+name]; !strings.Contains(text, want) {
			t.Errorf("%s does not say %q:\n%s", name, want, text)
		}
	}
}

func TestWhoMayNotSignInIsToldWhoMay(t *testing.T) {
	code := func(a *v1alpha1.MarketplaceAccount) {
		a.Status.SignIn = &v1alpha1.SignInStatus{URL: "https://market.example/device?code=AB-CD", UserCode: "AB-CD"}
		a.Status.Conditions[0].Message = "sign in at https://market.example/device?code=AB-CD with the code AB-CD"
	}
	stuckDevice := []change{withGrant(v1alpha1.GrantDeviceCode), stuck(v1alpha1.ReasonSignInRequired), code}
	suspended := append(stuckDevice, func(a *v1alpha1.MarketplaceAccount) { a.Spec.Renewal.Policy = v1alpha1.RenewalSuspended })
	w := newWorld(t, account("main", stuckDevice...), account("suspended", suspended...))
	_, viewed := cards(w.enter(viewerToken).get("/").text)
	_, own := cards(w.enter(clerkToken).get("/").text)
	for sentence, test := range map[string]struct{ text, says string }{
		"a viewer":              {viewed["allegro, shop/main"], "Somebody with the right to change this account has to sign in."},
		"a viewer, suspended":   {viewed["allegro, shop/suspended"], "Renewal is switched off: ask your administrator."},
		"suspended for a clerk": {own["allegro, shop/suspended"], "Renewal is switched off: ask your administrator."},
	} {
		if !strings.Contains(test.text, test.says) || strings.Contains(test.text, "AB-CD") || strings.Contains(test.text, "Sign in at") {
			t.Errorf("%s: %s", sentence, test.text)
		}
	}
	if text := own["allegro, shop/main"]; !strings.Contains(text, "<code>AB-CD</code>") || !strings.Contains(text, "Sign in at allegro.") {
		t.Error(text)
	}
}

// TestACodeThatStandsInASecret is shown to a visitor who may use it, and asked for on behalf of no other.
func TestACodeThatStandsInASecret(t *testing.T) {
	addressAlone := func(a *v1alpha1.MarketplaceAccount) {
		a.Status.SignIn = &v1alpha1.SignInStatus{URL: "https://market.example/device", ExpirationTime: metav1.NewTime(noon.Add(time.Hour))}
		a.Status.Conditions[0].Message = "sign in at https://market.example/device by the link and the code in Secret \"main-sign-in\""
	}
	w := newWorld(t,
		account("main", withGrant(v1alpha1.GrantDeviceCode), stuck(v1alpha1.ReasonSignInRequired), addressAlone),
		account("browser", withGrant(v1alpha1.GrantAuthorizationCode), stuck(v1alpha1.ReasonSignInRequired), addressAlone),
		account("none", withGrant(v1alpha1.GrantDeviceCode), stuck(v1alpha1.ReasonSignInRequired)),
	)
	w.signIns.code = signin.Code{URL: "https://market.example/device?code=AB-CD", UserCode: "AB-CD", ExpiresAt: noon.Add(30 * time.Minute)}
	w.enter(viewerToken).get("/").without(t, "AB-CD")
	if len(w.signIns.calls) != 0 {
		t.Errorf("for a viewer the portal asks %v", w.signIns.calls)
	}
	clerk := w.enter(clerkToken)
	clerk.get("/").expect(t, http.StatusOK, "check that it shows this code:", "<code>AB-CD</code>", `href="https://market.example/device?code=AB-CD"`)
	if got := strings.Join(w.signIns.calls, ", "); got != "Code shop/main" {
		t.Errorf("for a clerk the portal asks %s", got)
	}
	for name, changed := range map[string]func(){
		"it has ended":           func() { w.clock.SetTime(noon.Add(30 * time.Minute)) },
		"there is none any more": func() { w.clock.SetTime(noon); w.signIns.code = signin.Code{} },
		"it cannot be read":      func() { w.signIns.err = &signin.Error{Problem: signin.ClusterDown} },
	} {
		changed()
		page := clerk.get("/").expect(t, http.StatusOK)
		if _, texts := cards(page.text); strings.Contains(page.text, "AB-CD") || !strings.Contains(texts["allegro, shop/main"], "Sign in") {
			t.Errorf("%s: %s", name, texts["allegro, shop/main"])
		}
		w.signIns.err, w.signIns.code = nil, signin.Code{URL: "https://market.example/device?code=AB-CD", UserCode: "AB-CD", ExpiresAt: noon.Add(30 * time.Minute)}
		w.clock.SetTime(noon)
	}
}

// slowReader looks at how many lists are under way while it reads one.
type slowReader struct {
	*httptest.ResponseRecorder
	portal *portal.Portal
	lists  int
}

func (s *slowReader) Write(text []byte) (int, error) {
	s.lists = portal.Visitors(s.portal).Lists()
	return s.ResponseRecorder.Write(text)
}

func TestSlowReadersKeepNobodyFromLists(t *testing.T) {
	w := newWorld(t, account("main"))
	for _, path := range []string{"/", "/sign-in/allegro"} {
		reader := &slowReader{ResponseRecorder: httptest.NewRecorder(), portal: w.server.Config.Handler.(*portal.Portal), lists: -1}
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		request.AddCookie(&http.Cookie{Name: "__Host-tokenkeeper-session", Value: clerkToken})
		reader.portal.ServeHTTP(reader, request)
		if reader.Code != http.StatusOK || reader.lists != 0 {
			t.Errorf("%s gives %d, and meanwhile %d lists are under way", path, reader.Code, reader.lists)
		}
	}
}
