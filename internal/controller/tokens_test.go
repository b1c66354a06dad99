package controller_test

import (
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gstruct"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

func TestFirstTokenByPassword(t *testing.T) {
	w := newWorld(t)
	w.marketplace("xsale")
	w.application()
	w.login()
	w.account("xsale", v1alpha1.GrantPassword, func(a *v1alpha1.MarketplaceAccount) { a.Spec.Login = "our shop" })
	w.start()
	w.expectReady()

	// What a workload mounts: both tokens, and the end of the one that ends first.
	token := w.token()
	keys := slices.Sorted(maps.Keys(token))
	w.Expect(cmp.Diff([]string{"access_token", "account_id", "api_hosts", "expires_at", "id_token", "scope", "token_type"}, keys)).To(BeEmpty())
	w.Expect(w.Market.Platform("xsale").AccessTokenValid(token["access_token"])).To(BeTrue())
	w.Expect(token["token_type"]).To(Equal("Bearer"))
	idTokenEnds := w.clock.Now().Add(10 * time.Hour)
	w.Expect(token["expires_at"]).To(Equal(idTokenEnds.Format(time.RFC3339)))
	secret := w.readSecret("main-token")
	w.Expect(secret.Labels).To(HaveKeyWithValue("app.kubernetes.io/managed-by", "tokenkeeper"))
	w.Expect(secret.Labels).To(HaveKeyWithValue("tokenkeeper.dev/account", "main"))
	w.Expect(secret.OwnerReferences).To(ConsistOf(gstruct.MatchFields(gstruct.IgnoreExtras, gstruct.Fields{"Kind": Equal("MarketplaceAccount")})))

	// What people see.
	account := w.get()
	w.Expect(account.Status.TokenSecretName).To(Equal("main-token"))
	w.Expect(account.Status.AccessToken.ExpirationTime.Time).To(BeTemporally("==", idTokenEnds))
	w.Expect(account.Status.AccessToken.RenewalTime.Time).To(And(
		BeTemporally("<", idTokenEnds.Add(-5*time.Minute)), BeTemporally(">", idTokenEnds.Add(-8*time.Minute))))
	w.Expect(account.Status.Authorization).To(BeNil(), "nothing ends that a person must renew")
	w.Expect(account.Status.ObservedGeneration).To(Equal(account.Generation))
	w.Expect(w.expectAuthenticated()).To(Equal("Authenticated as our shop (" + token["account_id"] + ")"))
	w.expect(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
	w.expect(v1alpha1.ConditionAuthorizationExpiring, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
	w.Eventually(w.events).Should(Equal([]string{"Normal TokenIssued"}))

	// What the platform saw: one request, as its documentation has it.
	requests := w.Market.Platform("xsale").Requests()
	w.Expect(requests).To(HaveLen(1))
	w.Expect(requests[0].ContentType).To(Equal("application/json"))
	w.Expect(requests[0].Parameters).To(HaveKeyWithValue("audience", "https://api.xsale.ai"))
	w.Expect(requests[0].Parameters).To(HaveKeyWithValue("scope", "openid profile email xsale production"))
}

func TestRenewal(t *testing.T) {
	t.Parallel()
	for name, story := range map[string]struct {
		platform string
		grant    v1alpha1.GrantType
		writes   int
		reads    int // of the grant Secret, where no journal tells whether the cache shows it as it is
	}{
		"of a password login":           {"xsale", v1alpha1.GrantPassword, 3, 1},
		"of an application's token":     {"ebay", v1alpha1.GrantClientCredentials, 3, 1},
		"with a static refresh token":   {"ebay", v1alpha1.GrantRefreshToken, 3, 1},
		"with an echoed refresh token":  {"amazon", v1alpha1.GrantRefreshToken, 3, 1},
		"with a rotating refresh token": {"allegro", v1alpha1.GrantRefreshToken, 4, 0},
		"with a single-use one":         {"oidc", v1alpha1.GrantRefreshToken, 4, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.prepare(story.platform, story.grant)
			w.start()
			w.expectReady()
			first := w.token()
			w.settle()
			for round := range 3 {
				w.traffic.reset()
				calls := w.calls(story.platform)
				due := w.renewalTime()
				w.passUntil(due.Add(-time.Second))
				w.Expect(w.calls(story.platform)).To(Equal(calls), "asked before it was due")
				w.Expect(w.writesBeside(t)).To(BeZero())
				w.passUntil(due)
				w.Eventually(w.renewalTime).Should(BeTemporally(">", due))
				w.settle()

				w.Expect(w.calls(story.platform)).To(Equal(calls+1), "one token call per renewal")
				w.Expect(w.traffic.writes()).To(BeNumerically("<=", story.writes), "%v", w.traffic.counted())
				w.Expect(w.traffic.reads()).To(Equal(story.reads), "%v", w.traffic.counted())
				t.Logf("round %d: %d token call, %d writes, %d read: %v", round+1, w.calls(story.platform)-calls, w.traffic.writes(), w.traffic.reads(), w.traffic.counted())
			}
			renewed := w.token()
			w.Expect(renewed["access_token"]).NotTo(Equal(first["access_token"]))
			w.Expect(w.Market.Platform(story.platform).AccessTokenValid(renewed["access_token"])).To(BeTrue())
			w.Expect(w.Market.Platform(story.platform).Report().DoubleSpends).To(BeZero())
			w.Eventually(w.events).Should(Equal([]string{"Normal TokenIssued"}), "the routine makes no events")
		})
	}
}

// writesBeside are the writes since the last reset that do not count a day down.
func (w *world) writesBeside(t *testing.T) int {
	t.Helper()
	counted := w.traffic.counted()
	defer w.traffic.reset()
	if w.get().Status.Authorization != nil {
		delete(counted, http.MethodPatch+" marketplaceaccounts/status")
	}
	n := 0
	for call, count := range counted {
		if call[:3] != http.MethodGet {
			n += count
		}
	}
	return n
}

// prepare creates all that an account of a platform needs.
func (w *world) prepare(platform string, grant v1alpha1.GrantType, changes ...func(*v1alpha1.MarketplaceAccount)) {
	w.T.Helper()
	w.marketplace(platform)
	w.application()
	switch grant {
	case v1alpha1.GrantPassword:
		w.login()
	case v1alpha1.GrantRefreshToken:
		w.imported(platform)
	}
	w.account(platform, grant, changes...)
}

// events are types and reasons of the story's events, in order.
func (w *world) events() []string {
	w.T.Helper()
	var list eventsv1.EventList
	w.Expect(kube.List(w.T.Context(), &list, client.InNamespace(w.Namespace))).To(Succeed())
	slices.SortFunc(list.Items, func(a, b eventsv1.Event) int { return a.EventTime.Compare(b.EventTime.Time) })
	reasons := make([]string, len(list.Items))
	for i, event := range list.Items {
		reasons[i] = event.Type + " " + event.Reason
	}
	return reasons
}

func TestRestartAsksNothingAndWritesNothing(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.settle()
	before := w.get()
	calls := w.calls("oidc")
	w.start()
	w.Expect(w.calls("oidc")).To(Equal(calls))
	w.Expect(w.traffic.writes()).To(BeZero(), "%v", w.traffic.counted())
	w.Expect(w.get().ResourceVersion).To(Equal(before.ResourceVersion))
}

func TestTokenSecretIsRestoredWithoutAsking(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	token, calls := w.token(), w.calls("oidc")

	w.Delete(w.readSecret("main-token"))
	w.Eventually(func() error {
		return kube.Get(t.Context(), client.ObjectKey{Namespace: w.Namespace, Name: "main-token"}, &corev1.Secret{})
	}).Should(Succeed())
	w.Expect(w.token()).To(Equal(token))

	edited := w.readSecret("main-token")
	edited.Data["access_token"] = []byte("something else")
	edited.Data["more"] = []byte("data")
	edited.Labels["team"] = "shop"
	w.Expect(kube.Update(t.Context(), edited)).To(Succeed())
	w.Eventually(w.token).Should(Equal(token))
	w.Expect(w.readSecret("main-token").Labels).To(HaveKeyWithValue("team", "shop"), "other people's labels stay")
	w.Expect(w.calls("oidc")).To(Equal(calls))
}

func TestRequestedRenewal(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.pass(time.Minute)
	token, calls := w.token(), w.calls("oidc")
	w.annotate(v1alpha1.AnnotationRenew, "1")
	w.Eventually(w.token).ShouldNot(Equal(token))
	w.settle()
	w.Expect(w.calls("oidc")).To(Equal(calls + 1))
	w.Expect(w.get().Status.Handled.Renew).To(Equal("1"))
	w.start()
	w.Expect(w.calls("oidc")).To(Equal(calls+1), "once for each value")
	w.annotate(v1alpha1.AnnotationRenew, "2")
	w.Eventually(func() int { return w.calls("oidc") }).Should(Equal(calls + 2))
}

func TestVerify(t *testing.T) {
	w := newWorld(t)
	w.prepare("allegro", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	market := w.Market.Platform("allegro")
	asked := func() int { return market.Report().Requests[demomarket.IdentityEndpoint] }
	before := asked()

	w.annotate(v1alpha1.AnnotationVerify, "1")
	w.Eventually(func() *v1alpha1.HandledStatus { return w.get().Status.Handled }).ShouldNot(BeNil())
	w.Expect(asked()).To(Equal(before + 1))
	w.Expect(w.get().Status.Account.Login).To(Equal(market.Seller().Login), "the call tells the login, which the claim does not")
	w.expectAuthenticated()
	w.Expect(w.get().Status.ConnectionTest.Result).To(Equal(v1alpha1.ConnectionTestPassed))

	market.Inject(demomarket.Maintenance().Once().On(demomarket.IdentityEndpoint))
	w.annotate(v1alpha1.AnnotationVerify, "2")
	w.Expect(w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonMarketplaceUnavailable)).To(ContainSubstring("HTTP 503"))
	w.Expect(w.get().Status.ConnectionTest.Result).To(Equal(v1alpha1.ConnectionTestFailed))
	w.Expect(w.get().Status.ConnectionTest.Message).To(ContainSubstring("HTTP 503"))
	w.expectReady()

	calls := w.calls("allegro")
	market.Inject(demomarket.Answer(demomarket.Response{Status: http.StatusUnauthorized}).Once().On(demomarket.IdentityEndpoint))
	w.annotate(v1alpha1.AnnotationVerify, "3")
	w.expectAuthenticated()
	w.Expect(w.calls("allegro")).To(Equal(calls+1), "a token that the platform refuses is renewed")
}

func TestVerifyWhereNothingCanBeTested(t *testing.T) {
	w := newWorld(t)
	w.prepare("xsale", v1alpha1.GrantPassword)
	w.start()
	w.expectReady()
	w.annotate(v1alpha1.AnnotationVerify, "1")
	w.Eventually(func() *v1alpha1.ConnectionTestStatus { return w.get().Status.ConnectionTest }).Should(HaveField("Result", v1alpha1.ConnectionTestUnsupported))
}

func TestRequestsThatNothingCanBeDoneAbout(t *testing.T) {
	w := newWorld(t)
	w.prepareSignIn("allegro", v1alpha1.GrantAuthorizationCode)
	w.start()
	w.expectSignInRequired()
	w.annotate(v1alpha1.AnnotationVerify, "1")
	w.annotate(v1alpha1.AnnotationRenew, "2")
	w.Eventually(func() *v1alpha1.HandledStatus { return w.get().Status.Handled }).Should(And(HaveField("Verify", "1"), HaveField("Renew", "2")))
	w.Expect(w.calls("allegro")).To(BeZero())
}

func TestSuspended(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	calls := w.calls("oidc")
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Renewal.Policy = v1alpha1.RenewalSuspended })
	w.pass(30 * time.Minute)
	w.expectReady()
	w.pass(24 * time.Hour)
	w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSuspended)
	w.Expect(w.calls("oidc")).To(Equal(calls))
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Renewal.Policy = v1alpha1.RenewalAutomatic })
	w.expectReady()
}

func TestTemplateShapesTheTokenSecret(t *testing.T) {
	w := newWorld(t)
	w.prepare("xsale", v1alpha1.GrantPassword, func(a *v1alpha1.MarketplaceAccount) {
		a.Spec.TokenSecret.Name = "xsale-api"
		a.Spec.TokenSecret.Template = &v1alpha1.TokenSecretTemplate{
			Type:        "kubernetes.io/basic-auth",
			Labels:      map[string]v1alpha1.LabelValue{"team": "shop"},
			Annotations: map[string]v1alpha1.AnnotationValue{"example.com/note": "hello"},
			Data:        map[string]v1alpha1.DataTemplate{"authorization": "Bearer {{ .access_token }}", "password": "{{ .access_token }}"},
		}
	})
	w.start()
	w.expectReady()
	secret := w.readSecret("xsale-api")
	w.Expect(string(secret.Data["authorization"])).To(Equal("Bearer " + string(secret.Data["access_token"])))
	w.Expect(secret.Type).To(BeEquivalentTo("kubernetes.io/basic-auth"))
	w.Expect(secret.Labels).To(HaveKeyWithValue("team", "shop"))
	w.Expect(secret.Annotations).To(HaveKeyWithValue("example.com/note", "hello"))

	calls := w.calls("xsale")
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.TokenSecret.Name = "renamed" })
	w.expectReady()
	w.Eventually(func() string { return w.get().Status.TokenSecretName }).Should(Equal("renamed"))
	w.readSecret("renamed")
	w.hasNoSecret("xsale-api")

	w.edit(func(a *v1alpha1.MarketplaceAccount) {
		a.Spec.TokenSecret.Template.Data["broken"] = "{{ .nonsense"
	})
	w.Expect(w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonInvalidSpec)).To(
		ContainSubstring("spec.tokenSecret.template.data[broken]: must be a Go template"))
	w.Expect(w.readSecret("renamed").Data).To(HaveKey("authorization"), "nothing is lost")
	w.Expect(w.calls("xsale")).To(Equal(calls))
}

func TestMarketplaceApplication(t *testing.T) {
	w := newWorld(t)
	w.marketplace("xsale", func(m *v1alpha1.Marketplace) {
		m.Spec.Application = &v1alpha1.Application{
			SecretRef:         v1alpha1.NamespacedSecretReference{Name: "app", Namespace: w.Namespace},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"tokenkeeper.dev/xsale": "allowed"}},
		}
	})
	w.application()
	w.login()
	w.account("xsale", v1alpha1.GrantPassword, func(a *v1alpha1.MarketplaceAccount) { a.Spec.ApplicationSecretRef = v1alpha1.SecretReference{} })
	w.start()
	w.Expect(w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonInvalidSpec)).To(ContainSubstring("applicationSecretRef must be set"))
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.Namespace}}
	w.Expect(kube.Patch(t.Context(), namespace, client.RawPatch("application/merge-patch+json",
		[]byte(`{"metadata":{"labels":{"tokenkeeper.dev/xsale":"allowed"}}}`)))).To(Succeed())
	w.expectReady()
}
