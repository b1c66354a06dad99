package signin_test

import (
	"fmt"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/test/browser"
)

// wantOrder fails the story when these texts are not on the page in this order.
func (w *world) wantOrder(window *browser.Window, texts ...string) {
	w.T.Helper()
	rest := window.Text()
	for _, text := range texts {
		_, after, found := strings.Cut(rest, text)
		if !found {
			w.T.Fatalf("%q is not on the page after what must come before it:\n%s", text, window.Text())
		}
		rest = after
	}
}

func TestTheList(t *testing.T) { inBothForms(t, testTheList) }

func testTheList(t *testing.T) {
	w, _ := newWorld(t)
	ebay, allegro := w.marketplace("ebay"), w.marketplace("allegro")
	now := w.clock.Now()
	w.imported("allegro", "a-good-one", allegro.Seller().ID, now)
	w.imported("allegro", "b-good-one", allegro.OtherSeller().ID, now)
	w.imported("ebay", "c-ending", ebay.Seller().ID, now.Add(-541*day))
	w.account("allegro", v1alpha1.GrantAuthorizationCode, named("main"))
	for _, name := range []string{"a-good-one", "b-good-one", "c-ending"} {
		w.ExpectCondition(name, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)
	}
	w.ExpectCondition("c-ending", v1alpha1.ConditionAuthorizationExpiring, metav1.ConditionTrue, v1alpha1.ReasonAuthorizationExpiring)
	w.link("")
	token := w.clerk("clerk", w.Namespace)

	anna := w.window()
	w.enter(anna, token)
	w.wantOrder(anna,
		"2 accounts need you.",
		w.Namespace+"/main", "Sign-in needed", "Sign in at Allegro.",
		w.Namespace+"/c-ending", "Authenticated, expires in 7 days",
		w.Namespace+"/a-good-one", "Authenticated, renews itself",
		w.Namespace+"/b-good-one", "Authenticated, renews itself",
	)
	w.Expect(anna.Text()).NotTo(ContainSubstring("ticket="))
	picture(anna, "list")

	for languages, words := range map[string]struct{ label, button, ending, person, action string }{
		"de-AT,de;q=0.9,en;q=0.5": {"Zugangstoken", "Konten anzeigen", "Authentifiziert, läuft in 7 Tagen ab", "Anmeldung erforderlich", "Jetzt erneuern"},
		"pl":                      {"Token dostępu", "Pokaż konta", "Uwierzytelnione, wygasa za 7 dni", "Wymagane logowanie", "Testuj połączenie"},
	} {
		window := w.window()
		window.Speak(languages)
		window.Open(w.front.url)
		window.Fill(words.label, token)
		window.Press(words.button)
		window.WantText(words.ending)
		window.WantText(words.person)
		window.WantText(words.action)
		picture(window, "list-"+languages[:2])
	}

	anna.Press("Log out")
	anna.WantText("Access token")
	anna.Open(w.front.url)
	w.Expect(anna.Text()).NotTo(ContainSubstring(w.Namespace))
}

func TestTheButtonsOfTheList(t *testing.T) { inBothForms(t, testTheButtonsOfTheList) }

func testTheButtonsOfTheList(t *testing.T) {
	w, _ := newWorld(t)
	market := w.marketplace("allegro")
	w.account("allegro", v1alpha1.GrantAuthorizationCode)
	anna := w.window()
	w.enter(anna, w.clerk("clerk", w.Namespace))
	anna.WantText("One account needs you.")

	anna.Press("Sign in")
	anna.WantText("Sign in at Allegro")
	anna.WantText(w.Namespace + "/main")
	picture(anna, "offer")
	anna.Press("Continue to Allegro")
	anna.LogIn(user, password)
	anna.Allow()
	anna.WantText("Signed in at Allegro")
	picture(anna, "done")
	w.expectSignedIn(market, market.Seller())
	anna.Press("Show accounts")
	anna.WantText("Authenticated, renews itself")
	anna.WantText("Everything is in order.")

	old := w.token("main")["access_token"]
	anna.Press("Renew now")
	anna.WantText("Renewed at")
	w.Eventually(func() string {
		return anna.Evaluate(`document.activeElement.textContent + " of " + document.activeElement.closest("article")?.getAttribute("aria-label")`)
	}).Should(Equal("Renew now of Allegro, " + w.Namespace + "/main"))
	picture(anna, "renewed")
	w.expectNewToken(old)
	w.Eventually(func() bool { return handled(w, v1alpha1.AnnotationRenew) }).Should(BeTrue())
	w.expectSignedIn(market, market.Seller())
	tally := market.Report()
	w.Expect(tally.Count(demomarket.GrantRefreshToken, demomarket.OK)).To(Equal(1))
	clerk := "system:serviceaccount:" + w.Namespace + ":clerk"
	w.Eventually(func() (said []string) {
		for _, event := range w.Events("main") {
			if event.Reason == v1alpha1.EventActionRequested && event.Related != nil && event.Related.Name == clerk {
				said = append(said, event.Note)
			}
		}
		return said
	}).Should(ContainElements(clerk+" asked for a sign-in in the portal", clerk+" asked for a renewal in the portal"))

	anna.Press("Test connection")
	anna.WantText("works.")
	w.Eventually(func() string { return anna.Evaluate(`document.activeElement.textContent`) }).Should(Equal("Test connection"))
	w.Eventually(func() bool { return handled(w, v1alpha1.AnnotationVerify) }).Should(BeTrue())
	w.Eventually(func() string {
		return w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)
	}).Should(ContainSubstring("connection tested at"))
	w.Expect(market.Report().Requests[demomarket.IdentityEndpoint]).To(Equal(1))
	anna.Press("Refresh")
	anna.WantText("Authenticated, renews itself")

	anna.Press("Sign in again")
	anna.Press("Continue to Allegro")
	anna.Continue()
	anna.WantText("Signed in at Allegro")
	w.expectSignedIn(market, market.Seller())
	w.Expect(market.Report().DoubleSpends).To(BeZero())
}

// TestAButtonFarDownKeepsItsPlace presses one that a window does not show at first.
func TestAButtonFarDownKeepsItsPlace(t *testing.T) { inBothForms(t, testAButtonFarDownKeepsItsPlace) }

func testAButtonFarDownKeepsItsPlace(t *testing.T) {
	inLongForm(t)
	w, _ := newWorld(t)
	w.marketplace("allegro")
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		w.imported("allegro", name, fmt.Sprint("seller-", name), w.clock.Now())
		w.ExpectCondition(name, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)
		if name != "h" { // the only one with buttons, and the last
			suspended := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"renewal":{"policy":"Suspended"}}}`))
			w.Expect(kube.Patch(t.Context(), w.Get(name), suspended)).To(Succeed())
		}
	}
	anna := w.window()
	anna.Resize(1280, 800)
	w.enter(anna, w.clerk("clerk", w.Namespace))
	anna.Press("Renew now")
	anna.WantText("Renewed at")
	w.Eventually(func() string { return anna.Evaluate(`document.activeElement.form?.action ?? ""`) }).Should(HaveSuffix(w.Namespace + "/h/renew"))
	w.Eventually(func() string {
		return anna.Evaluate(`(r => r.top >= 0 && r.bottom <= innerHeight ? "in sight" : "out of sight")(document.activeElement.getBoundingClientRect())`)
	}).Should(Equal("in sight"))
	w.Expect(anna.Evaluate(`document.querySelector(".outcome").closest("article").getAttribute("aria-label")`)).To(HaveSuffix(w.Namespace + "/h"))
}

// handled tells whether the operator has done as an annotation of main asks.
func handled(w *world, annotation string) bool {
	account := w.Get("main")
	value, done := account.Annotations[annotation], account.Status.Handled
	if value == "" || done == nil {
		return false
	}
	return value == map[string]string{v1alpha1.AnnotationRenew: done.Renew, v1alpha1.AnnotationVerify: done.Verify}[annotation]
}
