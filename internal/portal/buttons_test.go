package portal_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/portal"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

func unauthenticated(status metav1.ConditionStatus, reason string) change {
	return says(v1alpha1.ConditionAuthenticated, status, reason)
}

func unready(reason string) change {
	return func(a *v1alpha1.MarketplaceAccount) {
		says(v1alpha1.ConditionReady, metav1.ConditionFalse, reason)(a)
		a.Status.AccessToken.ExpirationTime = metav1.NewTime(noon.Add(-time.Minute))
	}
}

func usableStill(a *v1alpha1.MarketplaceAccount) {
	says(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)(a)
}

// TestNoButtonIsThereThatCanDoNothing is about each state in which an account may be.
func TestNoButtonIsThereThatCanDoNothing(t *testing.T) {
	for sentence, story := range map[string]struct {
		changes []change
		want    string
	}{
		"it works":                    {nil, "sign-in renew verify"},
		"its authorization ends soon": {[]change{ending(6 * 24 * time.Hour)}, "SIGN-IN renew verify"},
		"its authorization has ended": {[]change{ending(-time.Hour)}, "SIGN-IN verify"},
		"the grant is refused":        {[]change{stuck(v1alpha1.ReasonGrantRejected), unready(v1alpha1.ReasonGrantRejected)}, "SIGN-IN"},
		"the grant is refused, and the token works": {
			[]change{stuck(v1alpha1.ReasonGrantRejected), usableStill}, "SIGN-IN verify"},
		"its token has expired while the marketplace is away": {
			[]change{unauthenticated(metav1.ConditionUnknown, v1alpha1.ReasonMarketplaceUnavailable), unready(v1alpha1.ReasonMarketplaceUnavailable)}, "sign-in renew"},
		"its token has expired, whatever Ready says": {
			[]change{func(a *v1alpha1.MarketplaceAccount) {
				a.Status.AccessToken.ExpirationTime = metav1.NewTime(noon.Add(-time.Minute))
			}}, "sign-in renew"},
		"the marketplace wants a pause": {[]change{unauthenticated(metav1.ConditionUnknown, v1alpha1.ReasonRateLimited)}, "sign-in renew verify"},
		"the application is refused": {
			[]change{unauthenticated(metav1.ConditionFalse, v1alpha1.ReasonApplicationRejected), unready(v1alpha1.ReasonApplicationRejected)}, ""},
		"the application is refused, and the token works": {
			[]change{unauthenticated(metav1.ConditionFalse, v1alpha1.ReasonApplicationRejected)}, "verify"},
		"the application and the grant are refused": {
			[]change{stuck(v1alpha1.ReasonGrantRejected), unauthenticated(metav1.ConditionFalse, v1alpha1.ReasonApplicationRejected)}, ""},
		"the spec does not fit":  {[]change{unauthenticated(metav1.ConditionFalse, v1alpha1.ReasonInvalidSpec), unready(v1alpha1.ReasonInvalidSpec)}, ""},
		"a Secret is missing":    {[]change{unauthenticated(metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound), unready(v1alpha1.ReasonSecretNotFound)}, ""},
		"a Secret is in the way": {[]change{unready(v1alpha1.ReasonSecretConflict)}, ""},
		"a Secret is in the way of the link alone": {
			[]change{stuck(v1alpha1.ReasonSignInRequired), unready(v1alpha1.ReasonSecretConflict)}, "SIGN-IN"},
		"a Secret is in the way of the code": {
			[]change{withGrant(v1alpha1.GrantDeviceCode), stuck(v1alpha1.ReasonSignInRequired), unready(v1alpha1.ReasonSecretConflict)}, ""},
		"the login is locked": {
			[]change{withGrant(v1alpha1.GrantPassword), stuck(v1alpha1.ReasonAccountLocked), unready(v1alpha1.ReasonAccountLocked)}, ""},
		"the password is refused, and the token works": {
			[]change{withGrant(v1alpha1.GrantPassword), stuck(v1alpha1.ReasonPasswordRejected), usableStill}, "verify"},
		"more scopes are asked for":       {[]change{says(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonSignInRequired)}, "SIGN-IN renew verify"},
		"some scopes were not granted":    {[]change{unauthenticated(metav1.ConditionTrue, v1alpha1.ReasonScopesReduced)}, "sign-in renew verify"},
		"the first token is on its way":   {[]change{unauthenticated(metav1.ConditionUnknown, v1alpha1.ReasonRenewing), unready(v1alpha1.ReasonRenewing)}, "sign-in"},
		"nobody knows what a renewal did": {[]change{stuck(v1alpha1.ReasonRenewalOutcomeUnknown), unready(v1alpha1.ReasonRenewalOutcomeUnknown)}, "SIGN-IN"},
		"it was restored, and asks": {
			[]change{stuck(v1alpha1.ReasonRenewalOutcomeUnknown), unready(v1alpha1.ReasonRenewalOutcomeUnknown), func(a *v1alpha1.MarketplaceAccount) {
				a.Status.Conditions[1].Message = "annotate the account with tokenkeeper.dev/renew=<anything new> to try it"
			}}, "SIGN-IN renew"},
		"a renewal was asked for": {[]change{func(a *v1alpha1.MarketplaceAccount) {
			a.Annotations = map[string]string{v1alpha1.AnnotationRenew: "now"}
		}}, "sign-in verify"},
	} {
		t.Run(sentence, func(t *testing.T) {
			w := newWorld(t, account("main", story.changes...))
			page := w.enter(clerkToken).get("/").expect(t, http.StatusOK, "shop/main")
			var got []string
			for _, form := range strings.Split(page.text, `<form method="post" action="/accounts/shop/main/`)[1:] {
				action, rest, _ := strings.Cut(form, `"`)
				if button, _, _ := strings.Cut(rest, "</form>"); strings.Contains(button, `class="main"`) {
					action = strings.ToUpper(action)
				}
				got = append(got, action)
			}
			if got := strings.Join(got, " "); got != story.want {
				t.Errorf("the buttons are %q, want %q", got, story.want)
			}
		})
	}
}

func TestAButtonSaysAtItsAccountWhatBecameOfIt(t *testing.T) {
	for sentence, story := range map[string]struct {
		action string
		does   func(*v1alpha1.MarketplaceAccount)
		says   string
		focus  string // what holds the focus
	}{
		"renewed": {"renew", func(a *v1alpha1.MarketplaceAccount) {
			a.Status.AccessToken.IssuedTime = metav1.NewTime(noon.Add(time.Minute))
		}, "Renewed at 12:01 UTC.", "Renew now</button>"},
		"refused": {"renew", func(a *v1alpha1.MarketplaceAccount) {
			stuck(v1alpha1.ReasonGrantRejected)(a)
			a.Status.LastFailure = &v1alpha1.FailureStatus{Time: metav1.NewTime(noon.Add(time.Minute)), Reason: v1alpha1.ReasonGrantRejected, Count: 1}
		}, "Not renewed at 12:01 UTC: allegro does not accept the sign-in any more.", "article"},
		"nothing to renew": {"renew", func(*v1alpha1.MarketplaceAccount) {}, "Nothing was renewed at 12:00 UTC: something else is needed first.", "Renew now</button>"},
		"tested": {"verify", func(a *v1alpha1.MarketplaceAccount) {
			a.Status.ConnectionTest = &v1alpha1.ConnectionTestStatus{Time: metav1.NewTime(noon.Add(time.Minute)), Result: v1alpha1.ConnectionTestPassed}
		}, "Tested at 12:01 UTC: works.", "Test connection</button>"},
		"tested, and replaced": {"verify", func(a *v1alpha1.MarketplaceAccount) {
			a.Status.AccessToken.IssuedTime = metav1.NewTime(noon.Add(time.Minute))
		}, "Renewed at 12:01 UTC.", "Test connection</button>"},
		"not done yet": {"renew", nil, "A renewal was asked for and is not done yet.", "article"},
	} {
		t.Run(sentence, func(t *testing.T) {
			w := newWorld(t, account("another"), account("main"))
			clerk := w.enter(clerkToken)
			page := clerk.get("/")
			if story.does != nil {
				portal.PressedFor(w.server.Config.Handler.(*portal.Portal), time.Minute)
				go w.cluster.handle("shop", "main", story.does)
			}
			answer := clerk.press(page, "/accounts/shop/main/"+story.action)
			w.clock.SetTime(noon.Add(2 * time.Minute))
			shown := clerk.follow(answer).expect(t, http.StatusOK)
			_, texts := cards(shown.text)
			card := texts["allegro, shop/main"]
			if !strings.Contains(card, story.says) || strings.Contains(texts["allegro, shop/another"], "autofocus") {
				t.Errorf("the card does not say %q:\n%s", story.says, card)
			}
			if strings.Count(shown.text, "autofocus") != 1 {
				t.Errorf("the focus is at %d places", strings.Count(shown.text, "autofocus"))
			}
			before, after, _ := strings.Cut(card, "autofocus")
			after, _, _ = strings.Cut(after, "\n")
			if story.focus == "article" && strings.Contains(before, "\n") || story.focus != "article" && !strings.Contains(after, story.focus) {
				t.Errorf("the focus is not at %s:\n%s", story.focus, card)
			}
			if story.does != nil && story.action == "renew" {
				w.clock.SetTime(noon.Add(time.Hour))
				clerk.get("/").expect(t, http.StatusOK).without(t, "enewed at")
			}
		})
	}
}

func TestACodeThatTheLinkBringsAlongIsChecked(t *testing.T) {
	for address, says := range map[string]string{
		"https://market.example/device?user_code=ab-cd":  "Open allegro, and check that it shows this code:",
		"https://market.example/device?user_code=ABCD":   "Open allegro, and check that it shows this code:",
		"https://market.example/device/AB%2DCD?lang=en":  "Enter this code at allegro:", // it cannot be read out of that
		"https://market.example/device/ab-cd":            "Open allegro, and check that it shows this code:",
		"https://market.example/device":                  "Enter this code at allegro:",
		"https://market.example/device?client=something": "Enter this code at allegro:",
	} {
		w := newWorld(t, account("main", withGrant(v1alpha1.GrantDeviceCode), stuck(v1alpha1.ReasonSignInRequired), func(a *v1alpha1.MarketplaceAccount) {
			a.Status.SignIn = &v1alpha1.SignInStatus{URL: address, UserCode: "AB-CD", ExpirationTime: metav1.NewTime(noon.Add(time.Hour))}
		}))
		w.enter(clerkToken).get("/").expect(t, http.StatusOK, says, "<code>AB-CD</code>")
	}
}

func TestWhereNoButtonTriesAgainAPageSaysHowTo(t *testing.T) {
	const how = "choose “Sign in” in the list of accounts, or ask for a new link"
	for problem, says := range map[signin.Problem]bool{
		signin.VisitExpired: true, signin.IssuerMismatch: true, signin.ConsentDenied: true, signin.CodeRefused: true, signin.WrongAccount: true,
		signin.MarketplaceDown: true, signin.ClusterDown: true, signin.VisitUnknown: true, signin.ApplicationRefused: false, signin.NotStored: false,
		signin.AccountUnready: false, signin.AccountUnnamed: false,
	} {
		w := newWorld(t)
		w.signIns.err = &signin.Error{Problem: problem, Account: offered.Account}
		visitor := w.browser()
		page := visitor.follow(visitor.get(callback))
		if strings.Contains(page.text, how) != says {
			t.Errorf("%s: the page says how: %t:\n%s", problem, !says, page.text)
		}
		w.signIns.err = &signin.Error{Problem: problem, Account: offered.Account, Ticket: "another-ticket-0123456789"}
		if problem != signin.VisitUnknown {
			visitor.follow(visitor.get(callback)).without(t, how)
		}
	}
	w := newWorld(t)
	w.signIns.err = &signin.Error{Problem: signin.ClusterDown}
	w.browser().get(link("")).expect(t, http.StatusServiceUnavailable, "Try again in a few minutes.").without(t, how) // the link still works
}
