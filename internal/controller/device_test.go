package controller_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// userCode waits for a code that is not this one.
func (w *world) userCode(but string) string {
	w.T.Helper()
	var code string
	w.Eventually(func() string {
		if shown := w.shown(); shown.UserCode != but {
			code = shown.UserCode
		}
		return code
	}).ShouldNot(BeEmpty())
	return code
}

func TestDeviceSignIn(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("allegro", v1alpha1.GrantDeviceCode, func(a *v1alpha1.MarketplaceAccount) { a.Spec.Login = "my-shop" })
	w.start()
	message := w.expectSignInRequired()
	w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSignInRequired)
	w.Eventually(w.events).Should(ContainElement("Warning SignInRequired"))
	shown := w.get().Status.SignIn
	w.Expect(shown.ExpirationTime.Time).To(BeTemporally("==", w.clock.Now().Add(time.Hour)))
	w.Expect(message).To(And(ContainSubstring(shown.URL), ContainSubstring(shown.UserCode), ContainSubstring("2026-03-02 10:00:00 UTC")))

	// The platform is asked every 5 s, its interval, and nothing is written meanwhile.
	w.settle()
	w.traffic.reset()
	for range 6 {
		w.pass(5 * time.Second)
	}
	w.Expect(market.Report().DevicePolls).To(Equal(6))
	w.Expect(market.Report().EarlyPolls).To(BeZero())
	w.Expect(w.traffic.writes()).To(BeZero(), "%v", w.traffic.counted())

	w.Expect(market.ApproveDevice(shown.UserCode, market.Seller().ID)).To(Succeed())
	w.pass(5 * time.Second)
	w.expectReady()
	w.Expect(w.expectAuthenticated()).To(ContainSubstring("Authenticated as my-shop (" + market.Seller().ID + "), authorization renews itself"))
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
	w.Expect(w.get().Status.SignIn).To(BeNil())
	w.Expect(market.AccessTokenValid(w.token()["access_token"])).To(BeTrue())
	w.Eventually(w.events).Should(ContainElements("Normal SignInCompleted", "Normal TokenIssued"))

	w.passRenewal()
	w.Expect(market.Report().Count(demomarket.GrantDeviceCode, demomarket.OK)).To(Equal(1))
	w.Expect(market.Report().Count(demomarket.GrantRefreshToken, demomarket.OK)).To(Equal(1))
}

func TestDevicePollsSlowDown(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("allegro", v1alpha1.GrantDeviceCode)
	w.start()
	code := w.userCode("")
	slow := market.Inject(demomarket.Refuse(demomarket.SlowDown).Times(2))
	w.pass(5 * time.Second) // slow_down: every 10 s from now on
	w.pass(5 * time.Second)
	w.Expect(slow.Hits()).To(Equal(1))
	w.pass(5 * time.Second) // slow_down: every 15 s
	w.Expect(slow.Hits()).To(Equal(2))
	polls := market.Report().DevicePolls
	w.pass(10 * time.Second)
	w.Expect(market.Report().DevicePolls).To(Equal(polls))
	w.pass(5 * time.Second)
	w.Expect(market.Report().DevicePolls).To(Equal(polls + 1))
	w.Expect(market.ApproveDevice(code, market.Seller().ID)).To(Succeed())
	w.pass(15 * time.Second)
	w.expectReady()
}

func TestDeviceCodesThatNobodyUses(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("allegro", v1alpha1.GrantDeviceCode)
	market.SetLifetimes(demomarket.Lifetimes{DeviceCode: time.Minute})
	w.start()
	code := w.userCode("")
	for i := range 11 {
		w.pass(time.Minute)
		code = w.userCode(code)
		w.Expect(market.Report().DeviceCodes.Issued).To(Equal(2 + i))
	}
	w.pass(time.Minute)
	w.Eventually(func() string { return w.expectSignInRequired() }).Should(And(
		ContainSubstring("nobody used the last 12 codes"), ContainSubstring("annotate the account with "+v1alpha1.AnnotationSignIn)))
	w.Expect(w.get().Status.SignIn).To(BeNil())
	polls := market.Report().DevicePolls
	w.pass(day)
	w.Expect(market.Report().DeviceCodes.Issued).To(Equal(12))
	w.Expect(market.Report().DevicePolls).To(Equal(polls))

	w.annotate(v1alpha1.AnnotationSignIn, "tuesday")
	w.Expect(market.ApproveDevice(w.userCode(code), market.Seller().ID)).To(Succeed())
	w.Expect(w.get().Status.Handled.SignIn).To(Equal("tuesday"))
	w.pass(5 * time.Second)
	w.expectReady()
}

func TestDeviceCodesThatThePlatformEndsAtOnce(t *testing.T) {
	t.Parallel()
	for name, story := range map[string]struct {
		prepare func(*demomarket.Market)
		says    string
	}{
		"by an answer": {func(m *demomarket.Market) {
			m.Inject(demomarket.Answer(demomarket.Response{
				Status: http.StatusBadRequest, Header: http.Header{"Content-Type": {"application/json"}},
				Body: `{"error":"expired_token","error_description":"Expired token."}`,
			}).On(demomarket.TokenEndpoint))
		}, "(expired_token (HTTP 400))"},
		"by a life that is too short": {func(m *demomarket.Market) {
			m.SetLifetimes(demomarket.Lifetimes{DeviceCode: 2 * time.Second})
		}, "(it was good for 2s)"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			market := w.prepareSignIn("allegro", v1alpha1.GrantDeviceCode)
			story.prepare(market)
			w.start()
			w.expectSignInRequired()
			for range 12 { // a minute
				w.pass(5 * time.Second)
			}
			w.Expect(market.Report().DeviceCodes.Issued).To(BeNumerically("<=", 4))
			w.Eventually(func() string { return w.expectSignInRequired() }).Should(And(ContainSubstring("Allegro ended each of the last"),
				ContainSubstring("before it could be used "+story.says+": the next one follows at"), Not(ContainSubstring("nobody used"))))
			issued := market.Report().DeviceCodes.Issued
			w.start() // a restart does not make the waits shorter
			w.settle()
			w.Expect(market.Report().DeviceCodes.Issued).To(Equal(issued))
			for range 100 {
				w.pass(2 * time.Minute)
			}
			w.Expect(market.Report().DeviceCodes.Issued).To(Equal(12))
			w.Expect(w.expectSignInRequired()).To(And(ContainSubstring("each of the last 12 codes"), ContainSubstring("annotate the account with "+v1alpha1.AnnotationSignIn)))
		})
	}
}

func TestDeviceSignInDeclined(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("allegro", v1alpha1.GrantDeviceCode)
	w.start()
	code := w.userCode("")
	w.Expect(market.DenyDevice(code)).To(Succeed())
	w.pass(5 * time.Second)
	w.Eventually(func() string { return w.expectSignInRequired() }).Should(ContainSubstring("declined"))
	w.Expect(w.get().Status.SignIn).To(BeNil())
	w.pass(2 * time.Hour)
	w.Expect(market.Report().DeviceCodes.Issued).To(Equal(1), "asked again after a person declined")

	w.annotate(v1alpha1.AnnotationSignIn, "again")
	w.Expect(market.ApproveDevice(w.userCode(code), market.Seller().ID)).To(Succeed())
	w.pass(5 * time.Second)
	w.expectReady()
}

// TestDeviceCodeOfALockedLogin: a word of the platform's own ends a code as a standard one does.
func TestDeviceCodeOfALockedLogin(t *testing.T) {
	w := newWorld(t)
	w.marketplace("allegro", func(m *v1alpha1.Marketplace) {
		m.Spec.TokenResponse.Errors = append(m.Spec.TokenResponse.Errors, v1alpha1.ErrorMeaning{Code: "account_locked", Reason: v1alpha1.ReasonAccountLocked})
	})
	w.signInApplication("allegro")
	w.account("allegro", v1alpha1.GrantDeviceCode)
	market := w.Market.Platform("allegro")
	w.start()
	code := w.userCode("")
	locked := market.Inject(demomarket.Answer(demomarket.Response{
		Status: http.StatusBadRequest, Header: http.Header{"Content-Type": {"application/json"}}, Body: `{"error":"account_locked"}`,
	}).On(demomarket.TokenEndpoint))
	w.pass(5 * time.Second)
	w.Expect(w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonAccountLocked)).To(ContainSubstring(v1alpha1.AnnotationSignIn))
	w.pass(time.Hour)
	w.Expect(locked.Hits()).To(Equal(1))
	locked.Clear()
	w.annotate(v1alpha1.AnnotationSignIn, "again")
	w.Expect(market.ApproveDevice(w.userCode(code), market.Seller().ID)).To(Succeed())
	w.pass(5 * time.Second)
	w.expectReady()
}

func TestDeviceCodeSurvivesARestart(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("allegro", v1alpha1.GrantDeviceCode)
	w.start()
	code := w.userCode("")
	w.pass(5 * time.Second)
	w.start()
	w.Expect(w.get().Status.SignIn.UserCode).To(Equal(code))
	w.Expect(market.ApproveDevice(code, market.Seller().ID)).To(Succeed())
	w.pass(5 * time.Second)
	w.expectReady()
	w.Expect(market.Report().DeviceCodes.Issued).To(Equal(1))
}

func TestDevicePlatformAway(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("allegro", v1alpha1.GrantDeviceCode)
	away := market.Inject(demomarket.Maintenance().On(demomarket.DeviceAuthorizationEndpoint))
	w.start()
	w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonMarketplaceUnavailable)
	w.Expect(w.expectSignInRequired()).To(ContainSubstring("Allegro is unavailable"))
	w.pass(time.Hour)
	w.Expect(away.Hits()).To(BeNumerically("<", 60))
	away.Clear()
	w.pass(time.Hour)
	code := w.userCode("")
	w.expectSignInRequired()

	// Polls that get no answer come less and less often, and cost nothing.
	away = market.Inject(demomarket.Maintenance())
	w.traffic.reset()
	for range 60 {
		w.pass(5 * time.Second)
	}
	w.Expect(away.Hits()).To(BeNumerically("~", 8, 4))
	w.Expect(w.traffic.writes()).To(BeZero(), "%v", w.traffic.counted())
	away.Clear()
	w.Expect(market.ApproveDevice(code, market.Seller().ID)).To(Succeed())
	w.pass(time.Minute)
	w.expectReady()
}

func TestDeviceAnswerLost(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("allegro", v1alpha1.GrantDeviceCode)
	w.start()
	code := w.userCode("")
	w.Expect(market.ApproveDevice(code, market.Seller().ID)).To(Succeed())
	market.Inject(demomarket.DropAfterCommit().Once())
	w.pass(5 * time.Second)
	w.pass(time.Minute) // the platform does not know a used code any more: the person is asked again
	w.Expect(market.ApproveDevice(w.userCode(code), market.Seller().ID)).To(Succeed())
	w.pass(5 * time.Second)
	w.expectReady()
}

func TestSigningInAgainByCode(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("allegro", v1alpha1.GrantDeviceCode)
	w.start()
	first := w.userCode("")
	w.Expect(market.ApproveDevice(first, market.Seller().ID)).To(Succeed())
	w.pass(5 * time.Second)
	w.expectReady()
	old := w.token()["access_token"]

	// While the new sign-in waits, and after the wrong seller did it, the old grant stays in use.
	w.annotate(v1alpha1.AnnotationSignIn, "1")
	second := w.userCode(first)
	w.Expect(w.token()["access_token"]).To(Equal(old))
	w.Expect(w.expectAuthenticated()).To(ContainSubstring("Authenticated as"))
	w.Expect(market.ApproveDevice(second, market.OtherSeller().ID)).To(Succeed())
	w.pass(5 * time.Second)
	message := w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionTrue, v1alpha1.ReasonAccountMismatch)
	w.Expect(message).To(And(ContainSubstring(market.OtherSeller().ID), ContainSubstring(market.Seller().ID)))
	w.Eventually(w.events).Should(ContainElement("Warning AccountMismatch"))
	w.Expect(w.token()["access_token"]).To(Equal(old))
	w.passRenewal()
	w.Expect(w.token()["account_id"]).To(Equal(market.Seller().ID))
	w.Expect(market.AccessTokenValid(w.token()["access_token"])).To(BeTrue())

	third := w.userCode(second)
	w.Expect(market.ApproveDevice(third, market.Seller().ID)).To(Succeed())
	w.pass(5 * time.Second)
	w.expectAuthenticated()
	w.Expect(w.get().Status.SignIn).To(BeNil())
	w.Expect(market.Report().DoubleSpends).To(BeZero())
}

func TestDeviceSignInOfTheWrongSeller(t *testing.T) {
	w := newWorld(t)
	market := w.Market.Platform("allegro")
	w.prepareSignIn("allegro", v1alpha1.GrantDeviceCode, withAccountID(market.Seller().ID))
	w.start()
	code := w.userCode("")
	w.Expect(market.ApproveDevice(code, market.OtherSeller().ID)).To(Succeed())
	w.pass(5 * time.Second)
	message := w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonAccountMismatch)
	w.Expect(message).To(ContainSubstring(fmt.Sprintf("belong to account %s, expected is %s", market.OtherSeller().ID, market.Seller().ID)))
	w.hasNoSecret("main-token")
	w.pass(time.Second)
	w.Expect(market.ApproveDevice(w.userCode(code), market.Seller().ID)).To(Succeed())
	w.pass(5 * time.Second)
	w.expectReady()
	w.expectAuthenticated()
}
