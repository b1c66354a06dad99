package signin_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

func TestADevice(t *testing.T) { inBothForms(t, testADevice) }

func testADevice(t *testing.T) {
	w, _ := newWorld(t)
	market := w.marketplace("allegro")
	w.account("allegro", v1alpha1.GrantDeviceCode, of(market.Seller()))
	var shown *v1alpha1.SignInStatus
	w.Eventually(func() *v1alpha1.SignInStatus { shown = w.Get("main").Status.SignIn; return shown }).ShouldNot(BeNil())

	clerk, anna := w.window(), w.window()
	w.enter(clerk, w.clerk("clerk", w.Namespace))
	clerk.WantText("Open Allegro, and check that it shows this code")
	clerk.WantText(shown.UserCode)
	picture(clerk, "code")
	w.Expect(clerk.Link("Open Allegro")).To(Equal(shown.URL))

	anna.Open(shown.URL)
	anna.LogIn(user, password)
	anna.WantText(shown.UserCode)
	anna.WantText(market.Seller().Login)
	anna.Allow()
	anna.WantText("Access is allowed")
	w.clock.Step(6 * time.Second) // the operator asks every 5 s
	w.expectSignedIn(market, market.Seller())
	tally := market.Report()
	w.Expect(tally.Count(demomarket.GrantDeviceCode, demomarket.OK)).To(Equal(1))
	w.Expect(tally.EarlyPolls).To(BeZero())
	clerk.Press("Refresh")
	clerk.WantText("Authenticated, renews itself")
}
