package controller_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

func TestSignInByLink(t *testing.T) {
	t.Parallel()
	for _, platform := range []string{"allegro", "ebay", "amazon", "oidc"} {
		t.Run(platform, func(t *testing.T) {
			w := newWorld(t)
			market := w.prepareSignIn(platform, v1alpha1.GrantAuthorizationCode)
			w.start()
			message := w.expectSignInRequired()
			link := w.link()
			w.Expect(message).To(ContainSubstring(link))
			w.Expect(link).To(HavePrefix(string(w.portal) + "/sign-in/" + w.Namespace + "/main?ticket="))
			w.Expect(w.calls(platform)).To(BeZero())

			b := w.browser()
			offer, err := w.visits.Offer(t.Context(), mainAccount(w), signin.TicketOf(link))
			w.Expect(err).NotTo(HaveOccurred())
			w.Expect(offer.Namespace + "/" + offer.Name).To(Equal(w.Namespace + "/main"))
			visit, err := b.begin(link)
			w.Expect(err).NotTo(HaveOccurred())
			w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonSignInPending)
			outcome, err := b.comeBack(b.consent(platform, visit, demomarket.Person{}))
			w.Expect(err).NotTo(HaveOccurred())
			w.Expect(outcome.ID).To(Equal(market.Seller().ID))

			w.expectReady()
			w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
			w.Expect(w.get().Status.SignIn).To(BeNil())
			accountID := func() string { return w.token()["account_id"] }
			w.Eventually(accountID).Should(Equal(market.Seller().ID)) // the visit asks for it while the controller publishes the token
			w.Expect(market.AccessTokenValid(w.token()["access_token"])).To(BeTrue())
			w.Eventually(w.events).Should(ContainElement("Normal SignInCompleted"))
			tally := market.Report()
			w.Expect(tally.Count(demomarket.GrantAuthorizationCode, demomarket.OK)).To(Equal(1))
			w.passRenewal()
			w.Expect(market.AccessTokenValid(w.token()["access_token"])).To(BeTrue())
			w.Expect(market.Report().Count(demomarket.GrantAuthorizationCode, "")).To(Equal(1))
		})
	}
}

func TestAPersonIsToldWhoWasSignedInWhateverIsWrittenMeanwhile(t *testing.T) {
	w := newWorld(t)
	address, err := url.Parse(w.Address)
	w.Expect(err).NotTo(HaveOccurred())
	var asked atomic.Int32
	demo := httputil.NewSingleHostReverseProxy(address)
	identities := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		if asked.Add(1) == 1 {
			grant := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "main-grant"}}
			seen := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"example.com/seen":"yes"}}}`))
			if err := kube.Patch(request.Context(), grant, seen); err != nil {
				t.Error(err)
			}
		}
		demo.ServeHTTP(answer, request)
	}))
	t.Cleanup(identities.Close)
	w.marketplace("ebay", func(m *v1alpha1.Marketplace) {
		asks := m.Spec.Identity.Request
		asks.URL = v1alpha1.URLTemplate(strings.Replace(string(asks.URL), w.Address, identities.URL, 1))
	})
	w.signInApplication("ebay")
	w.account("ebay", v1alpha1.GrantAuthorizationCode)
	w.start()
	outcome, err := w.browser().signIn("ebay", w.link(), demomarket.Person{})
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(outcome.ID).To(Equal(w.Market.Platform("ebay").Seller().ID))
	w.Expect(asked.Load()).To(BeNumerically(">=", 2), "what it wrote on top of was outdated")
	w.expectReady()
	w.Eventually(func() *v1alpha1.AccountStatus { return w.get().Status.Account }).Should(HaveField("ID", outcome.ID))
}

func TestLinksEnd(t *testing.T) {
	w := newWorld(t)
	w.prepareSignIn("allegro", v1alpha1.GrantAuthorizationCode)
	w.start()
	first := w.link()
	b := w.browser()
	_, err := b.begin(first)
	w.Expect(err).NotTo(HaveOccurred())
	_, err = w.browser().begin(first)
	w.Expect(problemOf(err)).To(Equal(signin.LinkUsed))
	_, err = w.visits.Offer(t.Context(), mainAccount(w), signin.TicketOf(first))
	w.Expect(problemOf(err)).To(Equal(signin.LinkUsed))

	// Whoever used it has gone: the account shows another one, until that one's time is over as well.
	w.Eventually(w.link).ShouldNot(Equal(first))
	second := w.link()
	w.pass(signin.TicketLife)
	_, err = b.begin(second)
	w.Expect(problemOf(err)).To(Equal(signin.LinkExpired))
	w.Eventually(w.link).ShouldNot(Equal(second))
	w.Expect(w.get().Status.SignIn.ExpirationTime.Time).To(BeTemporally("==", w.clock.Now().Add(signin.TicketLife)))

	_, err = b.begin("?ticket=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	w.Expect(problemOf(err)).To(Equal(signin.LinkInvalid))
	w.signedIn("allegro")
}

func TestAShownLinkStaysTheSame(t *testing.T) {
	w := newWorld(t)
	w.prepareSignIn("allegro", v1alpha1.GrantAuthorizationCode)
	w.start()
	link := w.link()
	w.traffic.reset()
	for range 4 {
		w.pass(12 * time.Hour)
	}
	w.start() // a restart does not change it either
	w.Expect(w.link()).To(Equal(link))
	w.Expect(w.traffic.writes()).To(BeZero(), "%v", w.traffic.counted())
	w.signedIn("allegro")
}

func TestConsentDenied(t *testing.T) {
	t.Parallel()
	for _, platform := range []string{"allegro", "oidc"} {
		t.Run(platform, func(t *testing.T) {
			w := newWorld(t)
			w.prepareSignIn(platform, v1alpha1.GrantAuthorizationCode)
			w.start()
			b := w.browser()
			_, err := b.signIn(platform, w.link(), demomarket.Person{Deny: true})
			w.Expect(problemOf(err)).To(Equal(signin.ConsentDenied))
			w.Expect(w.calls(platform)).To(BeZero())
			w.Eventually(func() string { return w.expectSignInRequired() }).Should(ContainSubstring("declined"))

			// The page offers to try again at once.
			ticket := problemTicket(err)
			w.Expect(ticket).NotTo(BeEmpty())
			_, err = b.signIn(platform, "?ticket="+ticket, demomarket.Person{})
			w.Expect(err).NotTo(HaveOccurred())
			w.expectReady()
			w.expectAuthenticated()
		})
	}
}

func TestSignInOfTheWrongSeller(t *testing.T) {
	t.Parallel()
	for _, platform := range []string{"allegro", "ebay", "amazon", "oidc"} {
		t.Run(platform, func(t *testing.T) {
			w := newWorld(t)
			market := w.prepareSignIn(platform, v1alpha1.GrantAuthorizationCode, withAccountID(w.Market.Platform(platform).Seller().ID))
			w.start()
			b := w.browser()
			wrong := demomarket.Person{SellerID: market.OtherSeller().ID}
			_, err := b.signIn(platform, w.link(), wrong)
			w.Expect(problemOf(err)).To(Equal(signin.WrongAccount))
			message := w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonAccountMismatch)
			w.Expect(message).To(And(ContainSubstring(market.OtherSeller().ID), ContainSubstring(market.Seller().ID), ContainSubstring(w.link())))
			w.Eventually(w.events).Should(ContainElement("Warning AccountMismatch"))
			w.hasNoSecret("main-token")
			if platform != "allegro" && platform != "amazon" { // which cannot revoke
				w.Expect(market.Report().LiveFamilies).To(BeZero())
			}

			b = w.browser()
			_, err = b.signIn(platform, "?ticket="+problemTicket(err), demomarket.Person{})
			w.Expect(err).NotTo(HaveOccurred())
			w.expectReady()
			w.expectAuthenticated()

			// Again, when somebody asks for it: what is in use stays.
			old := w.token()["access_token"]
			w.annotate(v1alpha1.AnnotationSignIn, "again")
			_, err = w.browser().signIn(platform, w.link(), wrong)
			w.Expect(problemOf(err)).To(Equal(signin.WrongAccount))
			message = w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionTrue, v1alpha1.ReasonAccountMismatch)
			w.Expect(message).To(And(ContainSubstring(market.OtherSeller().ID), ContainSubstring(market.Seller().ID)))
			w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
			w.Expect(w.token()["access_token"]).To(Equal(old))
			w.passRenewal()
			w.Expect(w.token()["account_id"]).To(Equal(market.Seller().ID))
			w.Expect(market.Report().DoubleSpends).To(BeZero())
		})
	}
}

func TestSigningInAgainBeforeTheEnd(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("amazon", v1alpha1.GrantAuthorizationCode)
	w.start()
	w.signedIn("amazon")
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Renewal.Policy = v1alpha1.RenewalSuspended }) // which saves the story 8000 renewals
	w.pass(352 * day)
	w.Expect(w.get().Status.SignIn).To(BeNil())
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Renewal.Policy = v1alpha1.RenewalAutomatic })
	link := w.link()
	message := w.expect(v1alpha1.ConditionAuthorizationExpiring, metav1.ConditionTrue, v1alpha1.ReasonAuthorizationExpiring)
	w.Expect(message).To(And(ContainSubstring("expires in 13 days"), ContainSubstring("on 2027-03-02"), ContainSubstring(link)))
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
	w.expectReady()

	_, err := w.browser().signIn("amazon", link, demomarket.Person{})
	w.Expect(err).NotTo(HaveOccurred())
	w.expect(v1alpha1.ConditionAuthorizationExpiring, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
	w.Eventually(func() int32 { return *w.get().Status.Authorization.DaysRemaining }).Should(Equal(int32(365)))
	w.Eventually(func() any { return w.get().Status.SignIn }).Should(BeNil())
	w.Expect(market.AccessTokenValid(w.token()["access_token"])).To(BeTrue())
}

func TestSigningInAgainAfterARejection(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("allegro", v1alpha1.GrantAuthorizationCode)
	w.start()
	w.signedIn("allegro")
	market.RevokeGrants()
	w.passUntil(w.renewalTime())
	message := w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonGrantRejected)
	w.Expect(message).To(ContainSubstring(w.link()))
	calls := w.calls("allegro")
	w.pass(time.Hour)
	w.Expect(w.calls("allegro")).To(Equal(calls))
	w.signedIn("allegro")
	w.expectAuthenticated()
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
}

func TestTwoPeopleAtOnce(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("allegro", v1alpha1.GrantAuthorizationCode)
	w.start()
	one, two := w.browser(), w.browser()
	first := w.link()
	visit, err := one.begin(first)
	w.Expect(err).NotTo(HaveOccurred())
	w.Eventually(w.link).ShouldNot(Equal(first))
	other, err := two.begin(w.link())
	w.Expect(err).NotTo(HaveOccurred())
	backTwo := two.consent("allegro", other, demomarket.Person{})
	backOne := one.consent("allegro", visit, demomarket.Person{})
	done := make(chan error, 2)
	go func() { _, err := two.comeBack(backTwo); done <- err }()
	go func() { _, err := one.comeBack(backOne); done <- err }()
	w.Expect(<-done).NotTo(HaveOccurred())
	w.Expect(<-done).NotTo(HaveOccurred())
	w.expectReady()
	w.Eventually(func() bool { return market.AccessTokenValid(w.token()["access_token"]) }).Should(BeTrue())
	w.passRenewal()
	w.Expect(market.Report().DoubleSpends).To(BeZero())
}

func TestSignInsNeedAPortal(t *testing.T) {
	w := newWorld(t)
	w.portal = ""
	w.marketplace("allegro")
	w.application()
	w.account("allegro", v1alpha1.GrantAuthorizationCode)
	w.start()
	message := w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionTrue, v1alpha1.ReasonPortalNotConfigured)
	w.Expect(message).To(ContainSubstring("--portal-url"))
	w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonPortalNotConfigured)

	w.portal = "https://tokens.example.com"
	w.Market.Platform("allegro").AddRedirectURI(demomarket.DefaultClientID, w.portal.Callback(w.Namespace+"-allegro"))
	w.start()
	w.signedIn("allegro")
}

func TestCallbackWhileNothingCanBeWritten(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("allegro", v1alpha1.GrantAuthorizationCode)
	w.start()
	b := w.browser()
	visit, err := b.begin(w.link())
	w.Expect(err).NotTo(HaveOccurred())
	back := b.consent("allegro", visit, demomarket.Person{})
	w.settle()
	refused := make(chan struct{})
	once := make(chan struct{}, 1)
	once <- struct{}{}
	end := w.traffic.refusing(func(request *http.Request) *http.Response {
		select {
		case <-once:
			close(refused)
		default:
		}
		return refusal(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable)
	})
	done := make(chan error, 1)
	go func() { _, err := b.comeBack(back); done <- err }()
	<-refused
	w.Eventually(func() int { return market.Report().Count(demomarket.GrantAuthorizationCode, demomarket.OK) }).Should(Equal(1))
	end()
	w.Expect(<-done).NotTo(HaveOccurred())
	w.expectReady()
	w.Expect(market.Report().Count(demomarket.GrantAuthorizationCode, "")).To(Equal(1))
}

func TestARenewalDoesNotUndoASignIn(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("allegro", v1alpha1.GrantAuthorizationCode)
	w.start()
	w.signedIn("allegro")
	w.annotate(v1alpha1.AnnotationSignIn, "1")
	w.passUntil(w.renewalTime().Add(-5 * time.Second))
	b := w.browser()
	visit, err := b.begin(w.link())
	w.Expect(err).NotTo(HaveOccurred())
	back := b.consent("allegro", visit, demomarket.Person{})
	w.settle()

	// The renewal has its answer when the sign-in is stored.
	hanging := market.Inject(demomarket.HangAfterCommit().Once())
	w.clock.SetTime(w.renewalTime())
	<-hanging.Reached()
	_, err = b.comeBack(back)
	w.Expect(err).NotTo(HaveOccurred())
	hanging.Release()
	w.settle()
	w.expectReady()
	w.Eventually(func() bool { return market.AccessTokenValid(w.token()["access_token"]) }).Should(BeTrue())
	w.passRenewal()
	w.expectAuthenticated()
	w.Expect(market.Report().DoubleSpends).To(BeZero())
	w.Expect(market.Report().Count(demomarket.GrantAuthorizationCode, demomarket.OK)).To(Equal(2))
}

func TestAnotherApplicationNeedsASignIn(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("allegro", v1alpha1.GrantAuthorizationCode)
	market.AddClient("another-app", "another-secret-of-it")
	market.AddRedirectURI("another-app", w.portal.Callback(w.Namespace+"-allegro"))
	w.start()
	w.signedIn("allegro")
	old := w.token()["access_token"]
	calls := w.calls("allegro")
	w.editSecret("app", map[string]string{"client_id": "another-app", "client_secret": "another-secret-of-it"})
	message := w.expectSignInRequired()
	w.Expect(message).To(ContainSubstring("belongs to the application or the server that was used before"))
	w.passUntil(w.renewalTime())
	w.pass(time.Minute)
	w.Expect(w.calls("allegro")).To(Equal(calls), "sent the grant of one application in the name of another")
	w.Expect(w.token()["access_token"]).To(Equal(old))
	w.signedIn("allegro")
	w.Expect(market.AccessTokenValid(w.token()["access_token"])).To(BeTrue())
}

func TestMoreScopesNeedASignIn(t *testing.T) {
	w := newWorld(t)
	scopes := func(scopes ...v1alpha1.Scope) func(*v1alpha1.MarketplaceAccount) {
		return func(a *v1alpha1.MarketplaceAccount) { a.Spec.Scopes = scopes }
	}
	market := w.prepareSignIn("oidc", v1alpha1.GrantAuthorizationCode, scopes("openid", "offline_access"))
	w.start()
	w.signedIn("oidc")
	w.edit(scopes("openid", "offline_access", "profile"))
	w.Expect(w.expectSignInRequired()).To(And(ContainSubstring("profile"), ContainSubstring(w.link())))
	w.expectReady()
	w.passRenewal() // what was consented to goes on
	w.Expect(market.AccessTokenValid(w.token()["access_token"])).To(BeTrue())
	w.signedIn("oidc")
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)

	// Fewer need nobody.
	w.edit(scopes("openid"))
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
}

func TestSameSellerTwice(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.settle()
	w.T.Log("main is the older one")
	w.clock.Step(2 * time.Second)
	market := w.Market.Platform("oidc")
	w.secret("import-2", map[string]string{"refresh_token": market.Grant(market.Seller().ID)})
	newer := w.get().DeepCopy()
	newer.ObjectMeta = metav1.ObjectMeta{Name: "second", Namespace: w.Namespace}
	newer.Spec.Grant.RefreshToken.SecretRef.Name = "import-2"
	newer.Status = v1alpha1.MarketplaceAccountStatus{}
	w.Create(newer)
	w.Eventually(func() string { return w.conditionOf("second", v1alpha1.ConditionAuthenticated) }).Should(And(
		HavePrefix("True DuplicateAccount"), ContainSubstring(`MarketplaceAccount "main"`)))
	w.Eventually(func() string { return w.conditionOf("second", v1alpha1.ConditionReady) }).Should(HavePrefix("True TokenValid"))
	w.expectAuthenticated()

	w.Delete(w.get())
	w.Eventually(func() string { return w.conditionOf("second", v1alpha1.ConditionAuthenticated) }).Should(HavePrefix("True TokenValid"))
}

func TestClientSecretsThatEnd(t *testing.T) {
	w := newWorld(t)
	w.prepare("amazon", v1alpha1.GrantRefreshToken)
	w.EditMarketplace("amazon", secretsEnd)
	w.start()
	w.expectReady()
	made := w.readSecret("app").CreationTimestamp.UTC()
	w.Expect(w.get().Status.Application.SecretExpirationTime.UTC()).To(BeTemporally("==", made.Add(lifeOfSecrets)))

	ends := w.clock.Now().Add(10 * day)
	w.editSecret("app", map[string]string{"client_secret_expires_at": ends.Format(time.RFC3339)})
	w.Eventually(func() time.Time { return w.get().Status.Application.SecretExpirationTime.UTC() }).Should(BeTemporally("==", ends))
	w.Expect(*w.get().Status.Application.DaysRemaining).To(Equal(int32(10)))
	w.editSecret("app", map[string]string{"client_secret_expires_at": "0"})
	w.Eventually(func() any { return w.get().Status.Application }).Should(BeNil())
}

func TestAPlatformThatDoesNotSayWhoSignedIn(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("amazon", v1alpha1.GrantAuthorizationCode)
	w.start()
	w.signedIn("amazon")
	old := w.token()["access_token"]
	w.annotate(v1alpha1.AnnotationSignIn, "again")
	b := w.browser()
	visit, err := b.begin(w.link())
	w.Expect(err).NotTo(HaveOccurred())
	back := b.consent("amazon", visit, demomarket.Person{SellerID: market.OtherSeller().ID})
	query := back.Query()
	query.Del("selling_partner_id")
	back.RawQuery = query.Encode()
	_, err = b.comeBack(back)
	w.Expect(problemOf(err)).To(Equal(signin.AccountUnnamed))
	w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionTrue, v1alpha1.ReasonAccountMismatch)
	w.Expect(w.token()["access_token"]).To(Equal(old))
}

func TestARequestedSignInCanBeWithdrawn(t *testing.T) {
	w := newWorld(t)
	w.prepareSignIn("allegro", v1alpha1.GrantAuthorizationCode)
	w.start()
	w.signedIn("allegro")
	w.annotate(v1alpha1.AnnotationSignIn, "please")
	w.link()
	w.edit(func(a *v1alpha1.MarketplaceAccount) { delete(a.Annotations, v1alpha1.AnnotationSignIn) })
	w.Eventually(func() any { return w.get().Status.SignIn }).Should(BeNil())
}

func TestThePortalMoves(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("allegro", v1alpha1.GrantAuthorizationCode)
	w.start()
	w.link()
	w.portal = "https://elsewhere.example.com"
	market.AddRedirectURI(demomarket.DefaultClientID, w.portal.Callback(w.Namespace+"-allegro"))
	w.start()
	w.Expect(w.link()).To(HavePrefix("https://elsewhere.example.com/sign-in/"))
	w.signedIn("allegro")
}
