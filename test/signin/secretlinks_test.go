package signin_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// These stories are about links and codes that stand in a Secret. The search for credentials at the end of the suite looks for their tickets in
// every state of the accounts, in the logs, in the events and in the metrics.

func linksInSecret(w *world) { w.linksInSecret = true }

// secretLink waits until the sign-in Secret of main shows a link that is not this one.
func (w *world) secretLink(but string) string {
	w.T.Helper()
	var link string
	w.Eventually(func() string { link = w.FindSecret("main-sign-in")["sign_in_url"]; return link }).ShouldNot(Or(BeEmpty(), Equal(but)))
	w.Expect(link).To(HavePrefix(w.front.url + "/sign-in/" + w.Namespace + "/main?ticket="))
	said.Secret(signin.TicketOf(link))
	return link
}

// standsOnlyInItsSecret looks for the link that only the sign-in Secret of main may hold: in the other Secrets of the namespace, and in the account.
func (w *world) standsOnlyInItsSecret(text string) {
	w.T.Helper()
	var secrets corev1.SecretList
	w.Expect(kube.List(w.T.Context(), &secrets, client.InNamespace(w.Namespace))).To(Succeed())
	places := []string{}
	for _, secret := range secrets.Items {
		for _, data := range secret.Data {
			if strings.Contains(string(data), text) {
				places = append(places, secret.Name)
			}
		}
	}
	w.Expect(places).To(ConsistOf("main-sign-in"))
	account, err := json.Marshal(w.Get("main"))
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(string(account)).NotTo(ContainSubstring(text))
}

// expectWithdrawn waits until no Secret shows a link any more.
func (w *world) expectWithdrawn() {
	w.T.Helper()
	w.Eventually(func() map[string]string { return w.FindSecret("main-sign-in") }).Should(BeNil())
}

func TestALinkInASecret(t *testing.T) { inBothForms(t, testALinkInASecret) }

func testALinkInASecret(t *testing.T) {
	w, first := newWorld(t, linksInSecret)
	market := w.marketplace("allegro")
	w.account("allegro", v1alpha1.GrantAuthorizationCode, of(market.Seller()))
	link := w.secretLink("")
	message := w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonSignInRequired)
	w.Expect(message).To(ContainSubstring("by the link in Secret \"main-sign-in\""))
	w.Eventually(func() *v1alpha1.SignInStatus { return w.Get("main").Status.SignIn }).Should(HaveField("URL", strings.Split(link, "?")[0]))
	w.standsOnlyInItsSecret(signin.TicketOf(link))

	// The address alone lets no person in.
	anna := w.window()
	anna.Open(w.Get("main").Status.SignIn.URL)
	anna.WantText("This link does not work")

	first.stop()
	next := w.replica() // a replica that has written no link itself
	w.front.answers(next)
	w.Expect(w.secretLink("")).To(Equal(link))
	w.follow(anna, link, "Allegro")
	w.Expect(w.secretLink(link)).NotTo(Equal(link), "it was used")
	anna.LogIn(user, password)
	anna.Allow()
	anna.WantText("Signed in at Allegro")
	w.expectSignedIn(market, market.Seller())
	w.expectWithdrawn()

	// A person that may press the button needs no link.
	clerk := w.window()
	w.enter(clerk, w.clerk("clerk", w.Namespace))
	clerk.Press("Sign in again")
	clerk.Press("Continue to Allegro")
	clerk.LogIn(user, password)
	clerk.Allow()
	clerk.WantText("Signed in at Allegro")
	w.expectSignedIn(market, market.Seller())
	w.expectWithdrawn()
}

func TestACodeInASecret(t *testing.T) { inBothForms(t, testACodeInASecret) }

func testACodeInASecret(t *testing.T) {
	inLongForm(t)
	w, _ := newWorld(t, linksInSecret)
	market := w.marketplace("allegro")
	w.account("allegro", v1alpha1.GrantDeviceCode, of(market.Seller()))
	w.Eventually(func() *v1alpha1.SignInStatus { return w.Get("main").Status.SignIn }).ShouldNot(BeNil())
	shown := w.FindSecret("main-sign-in")
	w.Expect(w.Get("main").Status.SignIn.URL).To(Equal(strings.Split(shown["sign_in_url"], "?")[0]))
	account, err := json.Marshal(w.Get("main"))
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(string(account)).NotTo(ContainSubstring(shown["user_code"]))

	clerk, anna := w.window(), w.window()
	w.enter(clerk, w.clerk("clerk", w.Namespace))
	clerk.WantText("Open Allegro, and check that it shows this code")
	clerk.WantText(shown["user_code"])
	w.Expect(clerk.Link("Open Allegro")).To(Equal(shown["sign_in_url"]))

	anna.Open(shown["sign_in_url"])
	anna.LogIn(user, password)
	anna.WantText(shown["user_code"])
	anna.Allow()
	anna.WantText("Access is allowed")
	w.clock.Step(6 * time.Second)
	w.expectSignedIn(market, market.Seller())
	w.expectWithdrawn()
}
