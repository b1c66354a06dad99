package controller_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// kstatus is what tools such as Argo CD, Flux and Helm make of the account.
func (w *world) kstatus() status.Status {
	w.T.Helper()
	account := w.get()
	account.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("MarketplaceAccount"))
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(account)
	w.Expect(err).NotTo(HaveOccurred())
	result, err := status.Compute(&unstructured.Unstructured{Object: object})
	w.Expect(err).NotTo(HaveOccurred())
	return result.Status
}

// stalledFor is the reason of the condition Stalled; empty where it is absent.
func (w *world) stalledFor() string {
	w.T.Helper()
	condition := meta.FindStatusCondition(w.get().Status.Conditions, v1alpha1.ConditionStalled)
	if condition == nil {
		return ""
	}
	w.Expect(condition.Status).To(Equal(metav1.ConditionTrue), "it is present only while True")
	return condition.Reason
}

func TestStalledWhileOnlyAChangeHelps(t *testing.T) {
	t.Parallel()
	for name, story := range map[string]struct {
		grant  v1alpha1.GrantType
		before func(*world)
		spoil  func(*world)
		reason string
		mend   func(*world)
	}{
		"a spec that does not work": {
			spoil: func(w *world) {
				w.edit(func(a *v1alpha1.MarketplaceAccount) {
					a.Spec.Parameters = []v1alpha1.Parameter{{Name: "region", Value: "eu"}}
				})
			},
			reason: v1alpha1.ReasonInvalidSpec,
			mend:   func(w *world) { w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Parameters = nil }) },
		},
		"a Secret that is not there": {
			spoil:  func(w *world) { w.Delete(w.readSecret("app")) },
			reason: v1alpha1.ReasonSecretNotFound,
			mend:   func(w *world) { w.application() },
		},
		"a grant that is dead beside a token that is good": {
			spoil: func(w *world) {
				w.Market.Platform("oidc").RevokeGrants()
				w.annotate(v1alpha1.AnnotationRenew, "now")
			},
			reason: v1alpha1.ReasonGrantRejected,
			mend: func(w *world) {
				w.editSecret("import", map[string]string{"refresh_token": w.Market.Platform("oidc").Grant(w.Market.Platform("oidc").Seller().ID)})
			},
		},
		"a suspended account without a valid token": {
			spoil: func(w *world) {
				w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Renewal.Policy = v1alpha1.RenewalSuspended })
				w.pass(2 * time.Hour)
			},
			reason: v1alpha1.ReasonSuspended,
			mend: func(w *world) {
				w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Renewal.Policy = v1alpha1.RenewalAutomatic })
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.prepare("oidc", v1alpha1.GrantRefreshToken)
			w.start()
			w.expectReady()
			w.Expect(w.stalledFor()).To(BeEmpty())
			w.Expect(w.kstatus()).To(Equal(status.CurrentStatus))
			story.spoil(w)
			w.Eventually(w.stalledFor).Should(Equal(story.reason))
			w.Expect(w.kstatus()).To(Equal(status.FailedStatus))
			story.mend(w)
			w.Eventually(w.stalledFor).Should(BeEmpty())
			w.Eventually(w.kstatus).Should(Equal(status.CurrentStatus))
		})
	}
}

func TestNotStalledWhileSomethingIsTriedByItself(t *testing.T) {
	w := newWorld(t)
	w.Market.Platform("ebay").Inject(demomarket.Maintenance().Times(0))
	w.prepare("ebay", v1alpha1.GrantRefreshToken)
	w.start()
	w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonMarketplaceUnavailable)
	w.Expect(w.stalledFor()).To(BeEmpty())
	w.Expect(w.kstatus()).To(Equal(status.InProgressStatus))
}

func TestStalledUntilAPersonSignsIn(t *testing.T) {
	w := newWorld(t)
	w.prepareSignIn("oidc", v1alpha1.GrantAuthorizationCode)
	w.start()
	w.link()
	w.Expect(w.stalledFor()).To(Equal(v1alpha1.ReasonSignInRequired))
	_, err := w.browser().begin(w.link())
	w.Expect(err).NotTo(HaveOccurred())
	w.Eventually(w.stalledFor).Should(BeEmpty(), "somebody is at it")
}

// TestFactsThatTheRefusalOfAGrantContradicts are withdrawn: what ends, what is left, when it is renewed, and that a test went well.
func TestFactsThatTheRefusalOfAGrantContradicts(t *testing.T) {
	const metric = "tokenkeeper_authorization_expiration_timestamp_seconds"
	w := newWorld(t)
	w.prepare("ebay", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.annotate(v1alpha1.AnnotationVerify, "now")
	w.Eventually(func() *v1alpha1.ConnectionTestStatus { return w.get().Status.ConnectionTest }).ShouldNot(BeNil())
	w.Expect(w.get().Status.Authorization).NotTo(BeNil())
	w.Expect(w.series(metric)).To(Equal(1))

	w.Market.Platform("ebay").RevokeGrants()
	w.pass(time.Minute)
	w.annotate(v1alpha1.AnnotationRenew, "now")
	w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonGrantRejected)
	w.expectReady()
	account := w.get()
	w.Expect(account.Status.Authorization).To(BeNil())
	w.Expect(account.Status.ConnectionTest).To(BeNil())
	w.Expect(account.Status.AccessToken.RenewalTime.IsZero()).To(BeTrue())
	w.Eventually(func() int { return w.series(metric) }).Should(BeZero())
	message := w.expect(v1alpha1.ConditionAuthorizationExpiring, metav1.ConditionUnknown, v1alpha1.ReasonGrantRejected)
	w.Expect(message).To(HavePrefix("There is no authorization whose end is known: "))

	w.editSecret("import", map[string]string{"refresh_token": w.Market.Platform("ebay").Grant(w.Market.Platform("ebay").Seller().ID)})
	w.expectAuthenticated()
	w.Expect(*w.get().Status.Authorization.DaysRemaining).To(Equal(int32(548)))
	w.expect(v1alpha1.ConditionAuthorizationExpiring, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
}

func TestNeverAuthorizedIsNotWithoutEnd(t *testing.T) {
	w := newWorld(t)
	w.prepareSignIn("oidc", v1alpha1.GrantAuthorizationCode)
	w.start()
	w.link()
	message := w.expect(v1alpha1.ConditionAuthorizationExpiring, metav1.ConditionUnknown, v1alpha1.ReasonSignInRequired)
	w.Expect(message).NotTo(ContainSubstring("does not end by itself"))
	w.signedIn("oidc")
	message = w.expect(v1alpha1.ConditionAuthorizationExpiring, metav1.ConditionFalse, v1alpha1.ReasonNotRequired)
	w.Expect(message).To(Equal("The authorization does not end by itself"))
}

// series is how many time series a metric has.
func (w *world) series(name string) int {
	w.T.Helper()
	families, err := w.registry.Gather()
	w.Expect(err).NotTo(HaveOccurred())
	for _, family := range families {
		if family.GetName() == name {
			return len(family.GetMetric())
		}
	}
	return 0
}

func TestScopesThatPlatformsDoNotName(t *testing.T) {
	t.Parallel()
	for name, story := range map[string]struct {
		granted string
		reason  string
	}{
		"openid and offline_access are switches":  {"orders profile", v1alpha1.ReasonTokenValid},
		"the Marketplace says what is unreported": {"openid orders", v1alpha1.ReasonTokenValid},
		"others are missed":                       {"openid offline_access profile", v1alpha1.ReasonScopesReduced},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.marketplace("oidc", func(m *v1alpha1.Marketplace) { m.Spec.Scopes.Unreported = []v1alpha1.Scope{"prof*"} })
			w.application()
			w.imported("oidc")
			w.Market.Platform("oidc").Inject(withMember("scope", story.granted).Times(0))
			w.account("oidc", v1alpha1.GrantRefreshToken, func(a *v1alpha1.MarketplaceAccount) {
				a.Spec.Scopes = []v1alpha1.Scope{"openid", "offline_access", "orders", "profile"}
			})
			w.start()
			w.expectReady()
			w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionTrue, story.reason)
		})
	}
}
