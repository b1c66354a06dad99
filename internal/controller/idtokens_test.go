package controller_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

const withheld = "its ID token is withheld"

// badIDTokens makes a platform issue ID tokens that ended some time ago.
func badIDTokens(market *demomarket.Market, ago time.Duration) {
	market.SetLifetimes(demomarket.Lifetimes{ID: -ago})
}

func TestExpiredIDTokenDoesNotTakeTheAccessTokenAlong(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	first := w.token()
	w.Expect(first).To(HaveKey("id_token"))
	market := w.Market.Platform("oidc")
	badIDTokens(market, time.Hour)
	w.passRenewal()
	renewed := w.token()
	w.Expect(renewed["access_token"]).NotTo(Equal(first["access_token"]))
	w.Expect(renewed).NotTo(HaveKey("id_token"))
	w.Expect(renewed["expires_at"]).To(Equal(w.get().Status.AccessToken.IssuedTime.Add(time.Hour).UTC().Format(time.RFC3339)), "the access token's own end counts")
	w.Expect(w.expect(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)).To(
		HaveSuffix("; its ID token is withheld: it had expired when it came"))
	w.expectAuthenticated()
	w.Eventually(w.events).Should(Equal([]string{"Normal TokenIssued", "Warning IDTokenWithheld"}))

	w.Delete(w.readSecret("main-token"))
	restored := &corev1.Secret{}
	w.Eventually(func() error {
		return kube.Get(t.Context(), client.ObjectKey{Namespace: w.Namespace, Name: "main-token"}, restored)
	}).Should(Succeed(), "a deleted token Secret is restored")
	w.Expect(w.token()).To(Equal(renewed))
	w.settle()
	w.passRenewal()
	w.Expect(w.token()).NotTo(HaveKey("id_token"))
	w.Eventually(w.events).Should(Equal([]string{"Normal TokenIssued", "Warning IDTokenWithheld"}), "the same again is no news")

	market.SetLifetimes(demomarket.Lifetimes{ID: time.Hour})
	w.passRenewal()
	w.Expect(w.token()).To(HaveKey("id_token"))
	w.Expect(w.expect(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)).NotTo(ContainSubstring("withheld"))
	w.Expect(market.Report().DoubleSpends).To(BeZero())
}

func TestIDTokenThatIsAFewSecondsTooOldIsAMatterOfClocks(t *testing.T) {
	t.Parallel()
	for ago, whole := range map[time.Duration]bool{30 * time.Second: true, 61 * time.Second: false} {
		t.Run(ago.String(), func(t *testing.T) {
			w := newWorld(t)
			w.prepare("oidc", v1alpha1.GrantRefreshToken)
			w.start()
			w.expectReady()
			first := w.token()
			badIDTokens(w.Market.Platform("oidc"), ago)
			w.passRenewal()
			w.Expect(w.token()["access_token"]).NotTo(Equal(first["access_token"]))
			if whole {
				w.Expect(w.token()).To(HaveKey("id_token"))
			} else {
				w.Expect(w.token()).NotTo(HaveKey("id_token"))
			}
			w.expectReady()
		})
	}
}

func TestFirstTokenWithAnExpiredIDToken(t *testing.T) {
	w := newWorld(t)
	badIDTokens(w.Market.Platform("oidc"), time.Hour)
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	w.start()
	w.Expect(w.expect(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)).To(ContainSubstring(withheld))
	w.Expect(w.token()).NotTo(HaveKey("id_token"))
}

// TestPairStaysWhereTheIDTokenIsReliedUpon is for workloads that need both tokens: they keep the former ones for as long as these are good.
func TestPairStaysWhereTheIDTokenIsReliedUpon(t *testing.T) {
	t.Parallel()
	for name, story := range map[string]struct {
		platform string
		grant    v1alpha1.GrantType
		template bool
	}{
		"by a template":             {"oidc", v1alpha1.GrantRefreshToken, true},
		"by a platform with logins": {"xsale", v1alpha1.GrantPassword, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.prepare(story.platform, story.grant, func(a *v1alpha1.MarketplaceAccount) {
				if story.template {
					a.Spec.TokenSecret.Template = &v1alpha1.TokenSecretTemplate{Data: map[string]v1alpha1.DataTemplate{"identity": "{{ .id_token }}"}}
				}
			})
			w.start()
			w.expectReady()
			pair := w.token()
			end := w.get().Status.AccessToken.ExpirationTime.Time
			market := w.Market.Platform(story.platform)
			badIDTokens(market, time.Hour)
			w.passRenewal()
			w.Expect(w.token()).To(Equal(pair))
			message := w.expect(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)
			w.Expect(message).To(And(ContainSubstring("a newer access token waits until then"), ContainSubstring(withheld)))
			w.expectAuthenticated()
			w.Eventually(w.events).Should(ContainElement("Warning IDTokenWithheld"))

			w.passUntil(end)
			w.Eventually(w.token).ShouldNot(HaveKey("id_token"))
			alone := w.token()
			w.Expect(market.AccessTokenValid(alone["access_token"])).To(BeTrue())
			w.Expect(alone["identity"]).To(BeEmpty())
			w.Expect(w.expect(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)).To(ContainSubstring(withheld))
		})
	}
}

// TestPairStaysWhileTheIssuersKeysCannotBeHad waits for them until the former tokens end, and no longer.
func TestPairStaysWhileTheIssuersKeysCannotBeHad(t *testing.T) {
	w := newWorld(t)
	w.prepare("oidc", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	pair := w.token()
	end := w.get().Status.AccessToken.ExpirationTime.Time
	market := w.Market.Platform("oidc")
	market.Inject(demomarket.Maintenance().Times(0).On(demomarket.KeysEndpoint))
	w.start() // without the keys that the last process had fetched
	w.passRenewal()
	w.Expect(w.token()).To(Equal(pair))
	w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonMarketplaceUnavailable)
	w.Expect(w.expect(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)).To(ContainSubstring(withheld))

	w.passUntil(end)
	w.Eventually(w.token).ShouldNot(HaveKey("id_token"))
	w.Expect(w.expect(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)).To(ContainSubstring(withheld))
	w.expectAuthenticated()

	market.ClearFaults()
	w.pass(6 * time.Minute)
	w.Eventually(w.token).Should(HaveKey("id_token"))
	w.Expect(w.expect(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)).NotTo(ContainSubstring("withheld"))
}

// TestSignInWithoutTheIDTokenThatWasAskedFor is an answer that OpenID Connect does not allow (Core section 3.1.3.3).
func TestSignInWithoutTheIDTokenThatWasAskedFor(t *testing.T) {
	w := newWorld(t)
	market := w.prepareSignIn("oidc", v1alpha1.GrantAuthorizationCode)
	market.Inject(withMember("id_token", "").Once())
	w.start()
	_, err := w.browser().signIn("oidc", w.link(), demomarket.Person{})
	w.Expect(problemOf(err)).To(Equal(signin.CodeRefused))
	w.settle()
	w.hasNoSecret("main-token")
	w.Expect(w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonSignInRequired)).To(ContainSubstring("no ID token"))
	w.signedIn("oidc")
}

// withMember lets a platform answer with another value of one member, and without it where that is empty.
func withMember(name, value string) demomarket.Fault {
	return demomarket.HookFault(func(answer http.ResponseWriter, request *http.Request, next http.Handler) {
		recorder := httptest.NewRecorder()
		next.ServeHTTP(recorder, request)
		members := map[string]any{}
		_ = json.Unmarshal(recorder.Body.Bytes(), &members)
		delete(members, name)
		if value != "" {
			members[name] = value
		}
		answer.Header().Set("Content-Type", "application/json")
		answer.WriteHeader(recorder.Code)
		_ = json.NewEncoder(answer).Encode(members)
	})
}
