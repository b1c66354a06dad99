package signin_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/controller"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// TestTheAPIServerIsAway takes real time: the API server comes back while the browser waits for its page, and before
// Allegro's codes are too old.
func TestTheAPIServerIsAway(t *testing.T) { inBothForms(t, testTheAPIServerIsAway) }

func testTheAPIServerIsAway(t *testing.T) {
	tests := map[string]struct {
		outage time.Duration
		goes   func(w *world, market *demomarket.Market, outage time.Duration)
	}{
		"when the browser comes back": {5 * time.Second, func(w *world, _ *demomarket.Market, outage time.Duration) {
			w.front.once(signin.CallbackPrefix, func() { w.line.cutFor(outage) })
		}},
		"when the tokens are there": {time.Second, func(w *world, market *demomarket.Market, outage time.Duration) {
			exchange := market.Inject(demomarket.HangAfterCommit().Once())
			go func() {
				<-exchange.Reached()
				w.line.cutFor(outage)
				exchange.Release()
			}()
		}},
	}
	for name, test := range rows(tests, "when the tokens are there") {
		t.Run(name, func(t *testing.T) {
			w, _ := newWorld(t)
			market := w.marketplace("allegro")
			w.account("allegro", v1alpha1.GrantAuthorizationCode)
			anna := w.window()
			w.follow(anna, w.link(""), "Allegro")
			anna.LogIn(user, password)
			test.goes(w, market, test.outage)
			away := time.Now()
			anna.Allow()
			w.Expect(time.Since(away)).To(BeNumerically(">", test.outage))
			anna.WantText("Signed in at Allegro")
			w.expectSignedIn(market, market.Seller())
			w.Expect(exchanges(market, "")).To(Equal(1))
			w.Expect(exchanges(market, demomarket.OK)).To(Equal(1))
		})
	}
}

func TestARestartInTheMiddle(t *testing.T) { inBothForms(t, testARestartInTheMiddle) }

func testARestartInTheMiddle(t *testing.T) {
	w, operator := newWorld(t)
	market := w.marketplace("allegro")
	w.account("allegro", v1alpha1.GrantAuthorizationCode)
	anna := w.window()
	w.follow(anna, w.link(""), "Allegro")
	anna.LogIn(user, password)
	operator.stop()
	w.front.answers(w.replica())
	anna.Allow()
	anna.WantText("Signed in at Allegro")
	w.expectSignedIn(market, market.Seller())
	w.Expect(exchanges(market, "")).To(Equal(1))
}

func TestTwoReplicas(t *testing.T) { inBothForms(t, testTwoReplicas) }

func testTwoReplicas(t *testing.T) {
	w, leader := newWorld(t)
	<-leader.leads
	follower := w.replica()
	market := w.marketplace("allegro")
	w.account("allegro", v1alpha1.GrantAuthorizationCode)

	t.Log("from the one that leads to the one that does not")
	anna := w.window()
	w.follow(anna, w.link(""), "Allegro")
	anna.LogIn(user, password)
	w.front.answers(follower)
	anna.Allow()
	anna.WantText("Signed in at Allegro")
	w.expectSignedIn(market, market.Seller())

	t.Log("each page from the other one")
	old := w.token("main")["access_token"]
	w.front.answers(leader, follower)
	w.Annotate("main", v1alpha1.AnnotationSignIn, "again")
	ben := w.signIn("Allegro", user)
	ben.WantText("Signed in at Allegro")
	w.expectSignedIn(market, market.Seller())
	w.expectNewToken(old)
	w.Expect(exchanges(market, "")).To(Equal(2))
	w.Expect(exchanges(market, demomarket.OK)).To(Equal(2))

	t.Log("and on with the other one alone")
	leader.stop()
	<-follower.leads
	w.front.answers(follower)
	w.Annotate("main", v1alpha1.AnnotationSignIn, "once more")
	w.signIn("Allegro", user).WantText("Signed in at Allegro")
	w.expectSignedIn(market, market.Seller())
}

// TestThePortalApartWhileTheOperatorIsAway: it stores sign-ins and hears buttons. It publishes and renews nothing and writes no status, which the operator does
// when it is back.
func TestThePortalApartWhileTheOperatorIsAway(t *testing.T) {
	t.Run(apart, func(t *testing.T) {
		w, both := newWorld(t)
		market := w.marketplace("allegro")
		w.imported("allegro", "other", market.OtherSeller().ID, w.clock.Now())
		w.ExpectCondition("other", v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)
		w.account("allegro", v1alpha1.GrantAuthorizationCode)
		link := w.link("")
		ben := w.window()
		w.enter(ben, w.clerk("clerk", w.Namespace))
		both.stopOperator()
		before, renewals := w.Get("main").Status, market.Report().Requests[demomarket.TokenEndpoint]

		w.clock.Step(11 * time.Hour) // the other account's token is due
		anna := w.window()
		w.follow(anna, link, "Allegro")
		anna.LogIn(user, password)
		anna.Allow()
		anna.WantText("Signed in at Allegro")
		ben.Press("Renew now")
		ben.WantText("A renewal was asked for and is not done yet.")
		w.Expect(w.token("main")).To(BeEmpty())
		w.Expect(w.Get("main").Status).To(Equal(before))
		w.Expect(market.Report().Requests[demomarket.TokenEndpoint]).To(Equal(renewals+1), "but for the code nothing is sent")

		w.process(operator, controller.Add, "")
		w.expectSignedIn(market, market.Seller())
		w.Expect(exchanges(market, "")).To(Equal(1))
		w.Eventually(func() *v1alpha1.HandledStatus { return w.Get("other").Status.Handled }).ShouldNot(BeNil())
		w.ExpectCondition("other", v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)
		w.Expect(market.Report().DoubleSpends).To(BeZero())
	})
}
