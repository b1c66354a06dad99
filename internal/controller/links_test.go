package controller_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// These stories are about links and codes that stand in Secrets, and their addresses alone in the status. The search for leaked credentials at the
// end of the suite goes through every state of every account, and through the logs and events, for the tickets of these links.

// signInSecret is the Secret of the link.
const signInSecret = "main-sign-in"

// linksApart starts an operator that shows links in Secrets, for an account that nobody has signed in yet.
func linksApart(t *testing.T, platform string, grant v1alpha1.GrantType, changes ...func(*v1alpha1.MarketplaceAccount)) *world {
	t.Helper()
	w := newWorld(t)
	w.linksInSecret = true
	w.prepareSignIn(platform, grant, changes...)
	w.start()
	return w
}

// address is the link to the account's page, without a ticket.
func (w *world) address() string { return w.portal.Page(w.Namespace, "main") }

// expectAddressAlone waits until the status shows where to sign in, and neither a ticket nor a code.
func (w *world) expectAddressAlone(address string) *v1alpha1.SignInStatus {
	w.T.Helper()
	w.Eventually(func() *v1alpha1.SignInStatus { return w.get().Status.SignIn }).Should(HaveField("URL", address))
	shown := w.get().Status.SignIn
	w.Expect(shown.UserCode).To(BeEmpty())
	text, err := json.Marshal(w.get())
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(string(text)).NotTo(ContainSubstring("ticket="))
	return shown
}

// withdrawn waits until nothing shows how to sign in.
func (w *world) withdrawn() {
	w.T.Helper()
	w.Eventually(func() map[string]string { return w.FindSecret(signInSecret) }).Should(BeNil())
	w.Eventually(func() any { return w.get().Status.SignIn }).Should(BeNil())
}

func TestALinkInASecret(t *testing.T) {
	t.Parallel()
	for _, platform := range []string{"allegro", "ebay"} {
		t.Run(platform, func(t *testing.T) {
			w := linksApart(t, platform, v1alpha1.GrantAuthorizationCode)
			link := w.link()
			w.Expect(link).To(HavePrefix(w.address() + "?ticket="))
			w.Expect(w.expectSignInRequired()).To(And(
				ContainSubstring("sign in at "+w.address()+" by the link in Secret \"main-sign-in\" before"), Not(ContainSubstring("ticket"))))
			shown := w.expectAddressAlone(w.address())
			w.Expect(shown.ExpirationTime.Time).To(BeTemporally("==", w.clock.Now().Add(signin.TicketLife)))
			w.Eventually(w.events).Should(ContainElement("Warning SignInRequired"))

			secret := w.readSecret(signInSecret)
			w.Expect(secret.Data).To(HaveLen(1))
			w.Expect(secret.Type).To(BeEquivalentTo("tokenkeeper.dev/sign-in"))
			w.Expect(secret.Labels).To(Equal(w.readSecret("main-grant").Labels))
			w.Expect(secret.OwnerReferences).To(Equal(w.readSecret("main-grant").OwnerReferences))
			for _, data := range w.readSecret("main-grant").Data {
				w.Expect(string(data)).NotTo(ContainSubstring(signin.TicketOf(link)))
			}

			// Somebody goes on with it: as long as they are not back, another one works.
			b := w.browser()
			visit, err := b.begin(link)
			w.Expect(err).NotTo(HaveOccurred())
			w.Eventually(w.link).ShouldNot(Equal(link))
			_, err = b.comeBack(b.consent(platform, visit, demomarket.Person{}))
			w.Expect(err).NotTo(HaveOccurred())
			w.expectReady()
			w.withdrawn()

			w.settle()
			w.traffic.reset()
			w.passRenewal()
			w.Expect(w.traffic.counted()).NotTo(HaveKey("DELETE secrets"))
			w.Expect(w.traffic.writes()).To(Equal(w.writesOfARenewal()), "%v", w.traffic.counted())
		})
	}
}

// writesOfARenewal of a platform with single-use refresh tokens are journal, grant, token and status; of another they are one less.
func (w *world) writesOfARenewal() int {
	if w.Market.Platform("allegro").Report().Count(demomarket.GrantRefreshToken, "") > 0 {
		return 4
	}
	return 3
}

func TestACodeInASecret(t *testing.T) {
	w := linksApart(t, "allegro", v1alpha1.GrantDeviceCode)
	market := w.Market.Platform("allegro")
	code := w.userCode("")
	link := w.shown().URL
	w.Expect(link).To(ContainSubstring(code))
	page, _, _ := strings.Cut(link, "?")
	w.expectAddressAlone(page)
	w.Expect(w.expectSignInRequired()).To(ContainSubstring("sign in at " + page + " by the link and the code in Secret \"main-sign-in\" before"))

	w.settle()
	w.traffic.reset()
	for range 6 {
		w.pass(5 * time.Second)
	}
	w.Expect(market.Report().DevicePolls).To(Equal(6))
	w.Expect(w.traffic.writes()+w.traffic.reads()).To(BeZero(), "%v", w.traffic.counted())

	// The pages have it from the custody, for people who may use it.
	told, err := w.visits.Code(t.Context(), mainAccount(w))
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(told.UserCode + " " + told.URL).To(Equal(code + " " + link))
	none, err := w.visits.Code(t.Context(), types.NamespacedName{Namespace: w.Namespace, Name: "nobody"})
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(none).To(BeZero())

	w.pass(time.Hour) // the code ends, and another follows
	next := w.userCode(code)
	w.settle()
	text, err := json.Marshal(w.get())
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(string(text)).NotTo(Or(ContainSubstring(code), ContainSubstring(next)))
	w.Expect(market.ApproveDevice(next, market.Seller().ID)).To(Succeed())
	w.pass(5 * time.Second)
	w.expectReady()
	w.withdrawn()
	w.Expect(w.visits.Code(t.Context(), mainAccount(w))).To(BeZero())
}

// TestALinkInASecretComesBack: whatever becomes of the Secret, it shows a link that works, and one that somebody else has written is never
// believed. Nothing more is written than the custody, the Secret, and the status where it changes.
func TestALinkInASecretComesBack(t *testing.T) {
	t.Parallel()
	edited := func(value func(link string) string) func(*world, *corev1.Secret) {
		return func(w *world, secret *corev1.Secret) {
			secret.Data["sign_in_url"] = []byte(value(string(secret.Data["sign_in_url"])))
			w.Expect(kube.Update(w.T.Context(), secret)).To(Succeed())
		}
	}
	for name, happens := range map[string]func(w *world, secret *corev1.Secret){
		"deleted":              func(w *world, secret *corev1.Secret) { w.Delete(secret) },
		"emptied":              edited(func(string) string { return "" }),
		"led elsewhere":        edited(func(link string) string { return strings.Replace(link, "tokens.example.com", "evil.example.com", 1) }),
		"given another ticket": edited(func(link string) string { return link[:len(link)-4] + "AAAA" }),
		"given a further key": func(w *world, secret *corev1.Secret) {
			secret.Data["user_code"] = []byte("EV-IL")
			w.Expect(kube.Update(w.T.Context(), secret)).To(Succeed())
		},
		"given to nobody": func(w *world, secret *corev1.Secret) {
			secret.Labels = nil
			w.Expect(kube.Update(w.T.Context(), secret)).To(Succeed())
		},
		"restored from before": func(w *world, secret *corev1.Secret) {
			_, err := w.browser().begin(string(secret.Data["sign_in_url"]))
			w.Expect(err).NotTo(HaveOccurred())
			w.pass(signin.VisitLife)
			w.link()
			w.settle()
			w.traffic.reset()
			now := w.readSecret(signInSecret)
			now.Data = secret.Data
			w.Expect(kube.Update(w.T.Context(), now)).To(Succeed())
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := linksApart(t, "allegro", v1alpha1.GrantAuthorizationCode)
			link := w.link()
			w.settle()
			w.pass(time.Hour)
			w.traffic.reset()
			happens(w, w.readSecret(signInSecret))
			w.Eventually(w.link).Should(And(HavePrefix(w.address()+"?ticket="), Not(Equal(link))))
			w.settle()
			w.Expect(w.traffic.writes()).To(BeNumerically("<=", 4), "%v", w.traffic.counted())
			w.Expect(w.readSecret(signInSecret).Data).To(HaveLen(1))
			w.Expect(w.readSecret(signInSecret).Labels).To(HaveKeyWithValue(v1alpha1.LabelAccount, "main"))
			w.expectAddressAlone(w.address())
			w.settle()
			w.traffic.reset()
			w.pass(time.Hour)
			w.Expect(w.traffic.writes()).To(BeZero(), "%v", w.traffic.counted())
			w.signedIn("allegro")
			w.withdrawn()
		})
	}
}

func TestALinkInASecretStaysTheSame(t *testing.T) {
	w := linksApart(t, "allegro", v1alpha1.GrantAuthorizationCode)
	link := w.link()
	w.settle()
	w.traffic.reset()
	for range 4 {
		w.pass(12 * time.Hour)
	}
	w.Expect(w.traffic.reads()+w.traffic.writes()).To(BeZero(), "%v", w.traffic.counted())
	w.start()
	w.Expect(w.link()).To(Equal(link))
	w.Expect(w.traffic.writes()).To(BeZero(), "%v", w.traffic.counted())
	w.Expect(w.traffic.counted()["GET secrets"]).To(BeNumerically("<=", 1), "the application alone is read")

	// Its time is over: another takes its place.
	w.pass(2 * 24 * time.Hour)
	w.Eventually(w.link).ShouldNot(Equal(link))
	w.signedIn("allegro")
}

func TestALinkInASecretIsWithdrawn(t *testing.T) {
	w := linksApart(t, "allegro", v1alpha1.GrantAuthorizationCode, func(a *v1alpha1.MarketplaceAccount) { a.Spec.DeletionPolicy = v1alpha1.DeletionKeep })
	w.link()
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Renewal.Policy = v1alpha1.RenewalSuspended })
	w.withdrawn()
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Renewal.Policy = v1alpha1.RenewalAutomatic })
	w.link()
	w.Expect(w.readSecret(signInSecret).OwnerReferences).To(HaveLen(1), "it goes with the account, whatever becomes of the token")
	w.signedIn("allegro")
	w.withdrawn()
	w.annotate(v1alpha1.AnnotationSignIn, "once more")
	first := w.link()
	w.annotate(v1alpha1.AnnotationSignIn, "and once more")
	w.Eventually(w.link).ShouldNot(Equal(first))
	w.edit(func(a *v1alpha1.MarketplaceAccount) { delete(a.Annotations, v1alpha1.AnnotationSignIn) })
	w.withdrawn()
	w.expectReady()
}

// TestThePlaceOfALinkIsTaken: another's Secret is left alone, and told of once. No link is made that nobody could be shown.
func TestThePlaceOfALinkIsTaken(t *testing.T) {
	t.Parallel()
	for name, taken := range map[string]func(w *world) *corev1.Secret{
		"by a user's Secret": func(w *world) *corev1.Secret {
			return secretOf(w.Namespace, signInSecret, map[string]string{"sign_in_url": "https://shop.example.com"})
		},
		"by one with the operator's labels": func(w *world) *corev1.Secret {
			return labelled(secretOf(w.Namespace, signInSecret, map[string]string{"sign_in_url": "https://shop.example.com"}), "main")
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.linksInSecret = true
			w.prepareSignIn("allegro", v1alpha1.GrantAuthorizationCode)
			theirs := taken(w)
			w.Create(theirs)
			w.start()
			w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSecretConflict)
			w.Expect(w.expectSignInRequired()).To(ContainSubstring("Secret \"main-sign-in\" exists and does not belong to this account; remove it"))
			w.Expect(w.get().Status.SignIn).To(BeNil())
			w.settle()
			w.traffic.reset()
			for range 3 {
				w.pass(time.Hour)
			}
			w.Expect(w.traffic.writes()).To(BeZero(), "%v", w.traffic.counted())
			w.Expect(w.readSecret(signInSecret).Data).To(Equal(map[string][]byte{"sign_in_url": []byte("https://shop.example.com")}))
			w.Delete(theirs)
			w.Expect(w.expectSignInRequired()).NotTo(ContainSubstring("conflict"))
			w.signedIn("allegro")
			w.withdrawn()
		})
	}
}

// TestThePlaceOfACodeIsTaken: no code is asked for that nobody could be shown.
func TestThePlaceOfACodeIsTaken(t *testing.T) {
	w := newWorld(t)
	w.linksInSecret = true
	market := w.prepareSignIn("allegro", v1alpha1.GrantDeviceCode)
	theirs := secretOf(w.Namespace, signInSecret, map[string]string{"mine": "yes"})
	w.Create(theirs)
	w.start()
	w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSecretConflict)
	w.pass(time.Hour)
	w.Expect(market.Report().DeviceCodes.Issued).To(BeZero())
	w.Delete(theirs)
	code := w.userCode("")
	w.Expect(market.ApproveDevice(code, market.Seller().ID)).To(Succeed())
	w.pass(5 * time.Second)
	w.expectReady()
	w.withdrawn()
}

// TestTokensDoNotWaitForALink: an account that works goes on while its link cannot be shown, and says so where the link would be.
func TestTokensDoNotWaitForALink(t *testing.T) {
	w := linksApart(t, "allegro", v1alpha1.GrantAuthorizationCode)
	w.signedIn("allegro")
	w.withdrawn()
	theirs := secretOf(w.Namespace, signInSecret, map[string]string{"mine": "yes"})
	w.Create(theirs)
	w.edit(func(a *v1alpha1.MarketplaceAccount) {
		a.Spec.Scopes = []v1alpha1.Scope{"allegro:api:orders:read", "allegro:api:sale:offers:read"}
	})
	message := w.expectSignInRequired()
	w.Expect(message).To(ContainSubstring("no link or code can be shown: Secret \"main-sign-in\" exists and does not belong to this account"))
	w.expectReady()
	w.passRenewal()
	w.expectReady()
	w.Delete(theirs)
	w.Eventually(func() string { return w.expectSignInRequired() }).Should(ContainSubstring("by the link in Secret"))

	// A quota does not let the operator write it, while it renews.
	w.Delete(w.readSecret(signInSecret))
	end := w.traffic.refusing(func(request *http.Request) *http.Response {
		if request.Method == http.MethodPost && strings.HasSuffix(request.URL.Path, "/secrets") {
			return refusal(http.StatusForbidden, metav1.StatusReasonForbidden)
		}
		return nil
	})
	w.passRenewal()
	w.expectReady()
	w.Eventually(func() string { return w.expectSignInRequired() }).Should(ContainSubstring("look for a quota"))
	end()
	w.pass(time.Minute)
	w.Eventually(func() string { return w.expectSignInRequired() }).Should(ContainSubstring("by the link in Secret"))
	_, err := w.browser().signIn("allegro", w.link(), demomarket.Person{})
	w.Expect(err).NotTo(HaveOccurred())
	w.withdrawn()
}

// TestALinkThatIsStoredAndNotShown: the process that has stored its ticket shows it, however often the Secret cannot be written, and
// another makes one anew.
func TestALinkThatIsStoredAndNotShown(t *testing.T) {
	w := newWorld(t)
	w.linksInSecret = true
	w.prepareSignIn("allegro", v1alpha1.GrantAuthorizationCode)
	var refused atomic.Int32
	refuse := func(request *http.Request) *http.Response {
		if request.Method == http.MethodPost && strings.HasSuffix(request.URL.Path, "/secrets") && w.FindSecret("main-grant") != nil {
			refused.Add(1)
			return refusal(http.StatusInternalServerError, metav1.StatusReasonInternalError)
		}
		return nil
	}
	end := w.traffic.refusing(refuse)
	w.start()
	w.Eventually(refused.Load).Should(BeNumerically(">=", 1))
	for range 3 {
		w.pass(time.Minute)
	}
	w.Expect(refused.Load()).To(BeNumerically(">=", 4))
	w.Expect(w.custody().SignIn.Tickets).To(HaveLen(1), "each attempt to show it makes no other")
	w.Expect(w.get().Status.SignIn).To(BeNil())
	end()
	w.pass(time.Minute)
	link := w.link()
	w.Expect(w.custody().SignIn.Tickets).To(HaveLen(1))

	w.Delete(w.readSecret(signInSecret))
	end = w.traffic.refusing(refuse)
	w.annotate(v1alpha1.AnnotationSignIn, "once more")
	w.Eventually(func() int { return len(w.custody().SignIn.Tickets) }).Should(BeNumerically(">=", 2))
	w.kill()
	end()
	w.start()
	w.Expect(w.link()).NotTo(Equal(link))
	w.expectAddressAlone(w.address())
	w.signedIn("allegro")
	w.withdrawn()
}

// TestWhereLinksStandMayChange while a sign-in waits: nothing stays behind in the place of before, and a link that a status has shown
// works no more.
func TestWhereLinksStandMayChange(t *testing.T) {
	w := newWorld(t)
	w.prepareSignIn("allegro", v1alpha1.GrantAuthorizationCode)
	w.start()
	inStatus := w.link()
	w.linksInSecret = true
	w.start()
	w.expectAddress()
	_, err := w.visits.Offer(t.Context(), mainAccount(w), signin.TicketOf(inStatus))
	w.Expect(problemOf(err)).To(Equal(signin.LinkUsed))
	inSecret := w.link()
	w.Expect(w.expectSignInRequired()).NotTo(ContainSubstring("ticket"))

	w.linksInSecret = false
	w.start()
	w.hasNoSecret(signInSecret)
	w.Expect(w.link()).NotTo(Equal(inSecret))
	w.signedIn("allegro")
	w.hasNoSecret(signInSecret)
}

// expectAddress waits until the status shows the address of the account's page.
func (w *world) expectAddress() {
	w.T.Helper()
	w.Eventually(func() *v1alpha1.SignInStatus { return w.get().Status.SignIn }).Should(HaveField("URL", w.address()))
}

func TestWhereCodesStandMayChange(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("allegro", v1alpha1.GrantDeviceCode)
	w.start()
	code := w.userCode("")
	w.linksInSecret = true
	w.start()
	w.Expect(w.userCode("")).To(Equal(code))
	w.Eventually(func() *v1alpha1.SignInStatus { return w.get().Status.SignIn }).Should(HaveField("UserCode", ""))
	w.Expect(w.expectSignInRequired()).NotTo(ContainSubstring(code))
	w.linksInSecret = false
	w.start()
	w.Expect(w.userCode("")).To(Equal(code))
	w.hasNoSecret(signInSecret)
	w.Expect(market.Report().DeviceCodes.Issued).To(Equal(1))
	w.Expect(market.ApproveDevice(code, market.Seller().ID)).To(Succeed())
	w.pass(5 * time.Second)
	w.expectReady()
}
