package signin_test

import (
	"net/http"
	"sync"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

func TestALinkWorksOnce(t *testing.T) { inBothForms(t, testALinkWorksOnce) }

func testALinkWorksOnce(t *testing.T) {
	w, _ := newWorld(t)
	market := w.marketplace("allegro")
	w.account("allegro", v1alpha1.GrantAuthorizationCode)
	link := w.link("")
	anna, ben := w.window(), w.window()
	ben.Open(link)
	w.follow(anna, link, "Allegro")

	ben.Press("Continue to Allegro") // on the page that was there before
	ben.WantText("This link was already used")
	ben.Open(link)
	ben.WantText("This link was already used")
	w.Expect(ben.Status()).To(Equal(http.StatusGone))
	picture(ben, "used")

	anna.LogIn(user, password)
	anna.Allow()
	anna.WantText("Signed in at Allegro")
	w.expectSignedIn(market, market.Seller())
}

func TestALinkThatIsTooOld(t *testing.T) { inBothForms(t, testALinkThatIsTooOld) }

func testALinkThatIsTooOld(t *testing.T) {
	w, _ := newWorld(t)
	market := w.marketplace("allegro")
	w.account("allegro", v1alpha1.GrantAuthorizationCode)
	old := w.link("")
	anna := w.window()
	anna.Open(old)
	w.clock.Step(signin.TicketLife)
	anna.Press("Continue to Allegro")
	anna.WantText("This link is too old")
	anna.Open(old)
	anna.WantText("This link is too old")
	w.Expect(anna.Status()).To(Equal(http.StatusGone))

	w.follow(anna, w.link(old), "Allegro")
	anna.LogIn(user, password)
	anna.Allow()
	anna.WantText("Signed in at Allegro")
	w.expectSignedIn(market, market.Seller())
}

func TestAPersonWhoTakesTooLong(t *testing.T) { inBothForms(t, testAPersonWhoTakesTooLong) }

func testAPersonWhoTakesTooLong(t *testing.T) {
	inLongForm(t)
	w, _ := newWorld(t)
	market := w.marketplace("allegro")
	w.account("allegro", v1alpha1.GrantAuthorizationCode)
	anna := w.window()
	w.follow(anna, w.link(""), "Allegro")
	anna.LogIn(user, password)
	w.front.once(signin.CallbackPrefix, func() { w.clock.Step(signin.VisitLife) })
	anna.Allow()
	anna.WantText("The sign-in took too long")
	w.Expect(exchanges(market, "")).To(BeZero())
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonSignInRequired)

	anna.Press("Try again")
	anna.Press("Continue to Allegro")
	anna.Continue()
	anna.WantText("Signed in at Allegro")
	w.expectSignedIn(market, market.Seller())
}

func TestTwoPeopleAtOnce(t *testing.T) { inBothForms(t, testTwoPeopleAtOnce) }

func testTwoPeopleAtOnce(t *testing.T) {
	w, _ := newWorld(t)
	market := w.marketplace("allegro")
	w.account("allegro", v1alpha1.GrantAuthorizationCode)
	anna, ben := w.window(), w.window()
	first := w.link("")
	w.follow(anna, first, "Allegro")
	w.follow(ben, w.link(first), "Allegro") // the first is used
	anna.LogIn(user, password)
	ben.LogIn(user, password)
	var both sync.WaitGroup
	both.Go(anna.Allow)
	both.Go(ben.Allow)
	both.Wait()
	anna.WantText("Signed in at Allegro")
	ben.WantText("Signed in at Allegro")
	w.expectSignedIn(market, market.Seller())
	w.Expect(exchanges(market, demomarket.OK)).To(Equal(2))
	w.Expect(market.Report().DoubleSpends).To(BeZero())
}
