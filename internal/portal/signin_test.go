package portal_test

import (
	"errors"
	"html"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// offered is what the links of these tests are for.
var offered = signin.Offer{
	Account: signin.Account{
		Namespace: "shop", Name: "main", Login: "my-shop", Marketplace: "eBay", Environment: "Sandbox", ExpectedID: "44130512",
	},
	ExpiresAt: noon.Add(signin.TicketLife),
}

func link(query string) string { return "/sign-in/shop/main?ticket=" + goodTicket + query }

func TestALinkSaysWhatItIsFor(t *testing.T) {
	w := newWorld(t)
	w.signIns.offering(offered)
	for language, says := range map[string][]string{
		"en": {"Sign in at eBay", "shop/main", "my-shop", "Sandbox", "Expected seller ID", "44130512", "Continue to eBay", "until 5 December 2026, 12:00 UTC"},
		"de": {"Bei eBay anmelden", "Jemand hat es „my-shop“ genannt, was niemand geprüft hat.", "wechseln Sie dort zuerst das Konto", "Weiter zu eBay"},
		"pl": {"Logowanie w serwisie eBay", "Ktoś nazwał je „my-shop”, czego nikt nie sprawdził.", "najpierw zmień tam konto", "Przejdź do serwisu eBay"},
	} {
		visitor := w.browser()
		visitor.Language = language
		visitor.get(link("")).expect(t, http.StatusOK, says...).without(t, `name="store"`)
	}
	nobody := signin.Offer{Account: signin.Account{Namespace: "shop", Name: "main", Marketplace: "eBay"}}
	w.signIns.offering(nobody)
	w.browser().get(link("")).expect(t, http.StatusOK, "as the seller whose account this is", "the seller who signs in first counts").without(t, "until")
}

// The list is not for everybody who gets a link, and often not where they are.
func TestOnlyASessionIsLedToTheList(t *testing.T) {
	w := newWorld(t)
	w.signIns.offering(offered)
	w.browser().get(link("")).expect(t, http.StatusOK, "Continue to eBay").without(t, "Show accounts")
	w.enter(clerkToken).get(link("")).expect(t, http.StatusOK, "Continue to eBay", "Show accounts")
}

func TestOpeningALinkChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.signIns.offering(offered)
	visitor := w.browser()
	for range 5 { // scanners of mail do
		visitor.get(link("")).expect(t, http.StatusOK)
		visitor.send(http.MethodHead, link(""), nil).expect(t, http.StatusOK)
	}
	if n := w.signIns.count("Begin"); n != 0 {
		t.Errorf("%d sign-ins have begun", n)
	}
	visitor.press(visitor.get(link("")), "/sign-in/shop/main").expect(t, http.StatusOK)
	visitor.get(link("")).expect(t, http.StatusNotFound, "This link does not work")
}

func TestGoingOnLeadsToTheMarketplace(t *testing.T) {
	w := newWorld(t)
	w.signIns.offering(offered)
	w.signIns.visit.URL = `https://market.example/authorize?client_id=a&redirect_uri=https%3A%2F%2Fx%2F&scope=a+b%20'c'&state="<x>"`
	visitor := w.browser()
	left := visitor.press(visitor.get(link("")), "/sign-in/shop/main").expect(t, http.StatusOK, "eBay opens in a moment")
	if left.location != "" {
		t.Errorf("it redirects to %s, which browsers do not follow", left.location)
	}
	_, rest, _ := strings.Cut(left.text, `<meta http-equiv="refresh" content="0; url=`)
	onward, _, _ := strings.Cut(rest, `"`)
	_, rest, _ = strings.Cut(left.text, `<a class="button main" href="`)
	button, _, _ := strings.Cut(rest, `"`)
	for _, got := range []string{onward, button} {
		want, err := url.Parse(w.signIns.visit.URL)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := url.Parse(html.UnescapeString(got))
		if err != nil || parsed.Host != want.Host || parsed.Path != want.Path {
			t.Fatalf("the page leads to %q", got)
		}
		if diff := cmp.Diff(want.Query(), parsed.Query()); diff != "" {
			t.Errorf("%q: %s", got, diff)
		}
	}
	cookie := left.cookie(w.signIns.visit.CookieName)
	if cookie == nil || cookie.Value != "visit-secret" || !cookie.Secure || !cookie.HttpOnly || cookie.SameSite != http.SameSiteLaxMode ||
		cookie.Path != "/" || cookie.Domain != "" || !cookie.Expires.Equal(noon.Add(signin.VisitLife)) || cookie.MaxAge != 600 {
		t.Errorf("the cookie is %v", cookie)
	}
	if diff := cmp.Diff([]string{"Offer", "Offer", "Begin shop/main"}, w.signIns.calls); diff != "" {
		t.Error(diff)
	}
	if w.signIns.store != nil {
		t.Errorf("the store is %v", w.signIns.store)
	}
}

func TestNobodyIsSentToWhatIsNoWebAddress(t *testing.T) {
	for _, address := range []string{"javascript:alert(1)", "data:text/html,x", "//evil.example/", "/relative", "", "https://user:pass@evil.example/", "ftp://evil.example/", "http://evil.example/"} {
		w := newWorld(t)
		w.signIns.offering(offered)
		w.signIns.visit.URL = address
		a := w.browser().post("/sign-in/shop/main", url.Values{"ticket": {goodTicket}}).expect(t, http.StatusInternalServerError)
		if strings.Contains(a.text, "http-equiv") || len(a.cookies) > 0 {
			t.Errorf("%q: %s", address, a.text)
		}
	}
}

func TestTheQueryOfAStoreGoesAlong(t *testing.T) {
	w := newWorld(t)
	w.signIns.offering(offered)
	visitor := w.browser()
	page := visitor.get(link("&amazon_callback_uri=https%3A%2F%2Famazon.example%2F%3Fa%3Db%26c&amazon_state=s%22%3C&selling_partner_id=A1&selling_partner_id=A2"))
	visitor.press(page.expect(t, http.StatusOK), "/sign-in/shop/main").expect(t, http.StatusOK).without(t, "amazon.example")
	want := url.Values{
		"amazon_callback_uri": {"https://amazon.example/?a=b&c"}, "amazon_state": {`s"<`}, "selling_partner_id": {"A1", "A2"},
	}
	if diff := cmp.Diff(want, w.signIns.store); diff != "" {
		t.Error(diff)
	}
}

func TestLinksThatAreNone(t *testing.T) {
	w := newWorld(t)
	w.signIns.offering(offered)
	for sentence, path := range map[string]string{
		"no ticket":                "/sign-in/shop/main",
		"an empty ticket":          "/sign-in/shop/main?ticket=",
		"a wrong ticket":           "/sign-in/shop/main?ticket=wrong",
		"a long ticket":            "/sign-in/shop/main?ticket=" + strings.Repeat("x", 300),
		"another account":          "/sign-in/shop/other?ticket=" + goodTicket,
		"another namespace":        "/sign-in/other/main?ticket=" + goodTicket,
		"a ticket by another name": "/sign-in/shop/main?Ticket=" + goodTicket,
	} {
		t.Run(sentence, func(t *testing.T) {
			a := w.browser().get(path).expect(t, http.StatusNotFound, "This link does not work").without(t, "my-shop", "44130512")
			if len(a.cookies) > 0 {
				t.Errorf("it sets %v", a.cookies)
			}
		})
	}
	w.browser().post("/sign-in/shop/main", url.Values{"ticket": {"wrong"}}).expect(t, http.StatusNotFound)
	w.browser().post("/sign-in/shop/main?ticket="+goodTicket, url.Values{}).expect(t, http.StatusNotFound)
	if n := w.signIns.count("Begin"); n != 0 {
		t.Errorf("%d sign-ins have begun", n)
	}
}

func TestGuessesOfLinksAreLimited(t *testing.T) {
	w := newWorld(t)
	w.signIns.offering(offered)
	statuses := map[int]int{}
	visitor := w.browser()
	for i := range 2000 {
		a := visitor.get("/sign-in/shop/main?ticket=guess-" + strconv.Itoa(i))
		statuses[a.status]++
		if a.status == http.StatusTooManyRequests && a.header.Get("Retry-After") == "" {
			t.Fatal("there is no Retry-After")
		}
	}
	if statuses[http.StatusNotFound] != 20 || statuses[http.StatusTooManyRequests] != 1980 {
		t.Errorf("the statuses are %v", statuses)
	}
	if len(w.cluster.asked) > 0 || w.cluster.reviews > 0 {
		t.Error("the API server was asked")
	}
	visitor.post("/sign-in/shop/main", url.Values{"ticket": {"guess"}}).expect(t, http.StatusTooManyRequests)
	// Whoever is right goes on, from the same address.
	visitor.press(visitor.get(link("")).expect(t, http.StatusOK), "/sign-in/shop/main").expect(t, http.StatusOK)
	w.clock.SetTime(noon.Add(5 * time.Second))
	visitor.get("/sign-in/shop/main?ticket=guess").expect(t, http.StatusNotFound)
	visitor.get("/sign-in/shop/main?ticket=guess").expect(t, http.StatusTooManyRequests)
}

func TestProblemsOfLinks(t *testing.T) {
	for problem, want := range map[signin.Problem]struct {
		status int
		says   string
	}{
		signin.LinkInvalid:        {404, "This link does not work"},
		signin.LinkUsed:           {410, "This link was already used"},
		signin.LinkExpired:        {410, "This link is too old"},
		signin.StartRefused:       {400, "not the way from eBay"},
		signin.ApplicationRefused: {502, "eBay refuses the application"},
		signin.AccountUnready:     {409, "not ready for a sign-in"},
		signin.MarketplaceDown:    {503, "eBay cannot be reached"},
		signin.ClusterDown:        {503, "does not work right now"},
	} {
		t.Run(string(problem), func(t *testing.T) {
			w := newWorld(t)
			w.signIns.err = &signin.Error{Problem: problem, Account: offered.Account, Detail: "the detail of it", Ticket: "another-ticket-0123456789"}
			for _, a := range []*answer{w.browser().get(link("")), w.browser().post("/sign-in/shop/main", url.Values{"ticket": {goodTicket}})} {
				a.expect(t, want.status, want.says, "the detail of it", `href="/sign-in/shop/main?ticket=another-ticket-0123456789"`, "Try again")
			}
		})
	}
	w := newWorld(t)
	w.signIns.err = errors.New("no secret may be quoted: ticket")
	w.browser().get(link("")).expect(t, http.StatusInternalServerError, "Something went wrong").without(t, "quoted")
	w.signIns.err = &signin.Error{Problem: "Unheard of", Detail: "no secret may be quoted: ticket"}
	w.browser().get(link("")).expect(t, http.StatusInternalServerError, "Something went wrong").without(t, "quoted")
}
