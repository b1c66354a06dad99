package controller_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// These stories are about sign-ins while the API server refuses what it is asked for.

// refusingGrant makes the API server refuse those requests for the grant Secret that match, and returns how many it
// has refused.
func (w *world) refusingGrant(match func(*http.Request) bool) (refused *atomic.Int32, end func()) {
	refused = &atomic.Int32{}
	return refused, w.traffic.refusing(func(request *http.Request) *http.Response {
		if !strings.HasSuffix(request.URL.Path, "/secrets/main-grant") || !match(request) {
			return nil
		}
		refused.Add(1)
		return refusal(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable)
	})
}

func anyRequest(*http.Request) bool { return true }

func anyWrite(request *http.Request) bool { return request.Method != http.MethodGet }

// first lets through the first n.
func first(n int32, of func(*http.Request) bool) func(*http.Request) bool {
	var seen atomic.Int32
	return func(request *http.Request) bool { return of(request) && seen.Add(1) <= n }
}

func TestACodeIsApprovedWhileTheAPIServerIsAway(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("allegro", v1alpha1.GrantDeviceCode)
	w.start()
	w.Expect(market.ApproveDevice(w.userCode(""), market.Seller().ID)).To(Succeed())
	w.settle()
	refused, end := w.refusingGrant(anyRequest)
	w.pass(5 * time.Second)
	w.Expect(market.Report().Count(demomarket.GrantDeviceCode, demomarket.OK)).To(Equal(1))
	w.Expect(refused.Load()).To(BeNumerically(">=", 1))
	end()
	refused, end = w.refusingGrant(anyWrite)
	w.pass(time.Minute)
	w.Expect(refused.Load()).To(BeNumerically(">=", 1))
	w.hasNoSecret("main-token")
	end()
	w.pass(time.Minute)
	w.expectReady()
	w.Expect(market.AccessTokenValid(w.token()["access_token"])).To(BeTrue())
	w.Expect(w.calls("allegro")).To(Equal(1), "the only copy was not thrown away")
	w.Expect(market.Report().DeviceCodes.Issued).To(Equal(1))
}

func TestAVisitThatBeginsDuringARenewal(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("allegro", v1alpha1.GrantAuthorizationCode)
	w.start()
	w.signedIn("allegro")
	w.annotate(v1alpha1.AnnotationSignIn, "1")
	link, old := w.link(), w.token()["access_token"]
	w.settle()
	hanging := market.Inject(demomarket.HangAfterCommit().Once())
	w.clock.SetTime(w.renewalTime())
	<-hanging.Reached()
	b := w.browser()
	visit, err := b.begin(link)
	w.Expect(err).NotTo(HaveOccurred())
	hanging.Release()
	w.pass(time.Second) // the renewal comes too late to be written, and is written on top of the visit
	w.Eventually(func() string { return w.token()["access_token"] }).ShouldNot(Equal(old))

	_, err = w.browser().begin(link)
	w.Expect(problemOf(err)).To(Equal(signin.LinkUsed))
	_, err = b.comeBack(b.consent("allegro", visit, demomarket.Person{}))
	w.Expect(err).NotTo(HaveOccurred())
	w.passRenewal()
	w.Expect(market.AccessTokenValid(w.token()["access_token"])).To(BeTrue())
	w.Expect(market.Report().DoubleSpends).To(BeZero())
}

func TestAnImportAfterASignInIsNotLost(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("oidc", v1alpha1.GrantAuthorizationCode)
	w.start()
	w.signedIn("oidc")
	w.imported("oidc")
	calls := w.calls("oidc")
	var refused atomic.Int32
	end := w.traffic.refusing(func(request *http.Request) *http.Response {
		if !writesTo(request, "main-grant") || w.calls("oidc") == calls {
			return nil
		}
		refused.Add(1)
		return refusal(http.StatusForbidden, metav1.StatusReasonForbidden)
	})
	w.edit(func(a *v1alpha1.MarketplaceAccount) {
		a.Spec.Grant = v1alpha1.Grant{Type: v1alpha1.GrantRefreshToken,
			RefreshToken: &v1alpha1.RefreshTokenGrant{SecretRef: v1alpha1.SecretReference{Name: "import"}}}
	})
	w.Eventually(refused.Load).Should(BeNumerically(">=", 1))
	w.Eventually(func() int { return w.calls("oidc") }).Should(Equal(calls + 1))
	w.settle()
	end()
	w.pass(time.Minute)
	w.expectReady()
	w.expectAuthenticated()
	w.passRenewal()
	w.Expect(market.AccessTokenValid(w.token()["access_token"])).To(BeTrue())
	w.Expect(w.calls("oidc")).To(Equal(calls + 2))
	w.Expect(market.Report().DoubleSpends).To(BeZero())
}

func TestARequestForASignInIsActedOn(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("allegro", v1alpha1.GrantDeviceCode)
	w.start()
	used := w.userCode("")
	w.Expect(market.ApproveDevice(used, market.Seller().ID)).To(Succeed())
	w.pass(5 * time.Second)
	w.expectReady()
	refused, end := w.refusingGrant(first(1, anyWrite))
	defer end()
	w.annotate(v1alpha1.AnnotationSignIn, "please")
	w.pass(time.Minute)
	w.Expect(refused.Load()).To(Equal(int32(1)))
	w.Expect(market.ApproveDevice(w.userCode(used), market.Seller().ID)).To(Succeed())
	w.Expect(w.get().Status.Handled.SignIn).To(Equal("please"))
	w.pass(time.Minute)
	w.Expect(market.Report().Count(demomarket.GrantDeviceCode, demomarket.OK)).To(Equal(2))
}

func TestALinkOutlivesATroubledRenewal(t *testing.T) {
	w := newWorld(t)
	w.prepareSignIn("allegro", v1alpha1.GrantAuthorizationCode)
	w.start()
	w.signedIn("allegro")
	w.annotate(v1alpha1.AnnotationSignIn, "1")
	link := w.link()
	w.settle()
	refused, end := w.refusingGrant(anyWrite)
	w.clock.SetTime(w.renewalTime())
	w.Eventually(refused.Load).Should(BeNumerically(">=", 1))
	w.settle()
	w.Expect(w.get().Status.SignIn).NotTo(BeNil())
	w.Expect(w.get().Status.SignIn.URL).To(Equal(link))
	end()
	w.pass(time.Minute)
	w.Expect(w.link()).To(Equal(link))
}
