package controller_test

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// These stories are about what was refused, and is not sent again before it is something else.

// tag sets a label of an object, or an annotation, as a tool does; an empty value removes it.
func (w *world) tag(object client.Object, what, name, value string) {
	w.T.Helper()
	text := "null"
	if value != "" {
		text = fmt.Sprintf("%q", value)
	}
	patch := fmt.Appendf(nil, `{"metadata":{%q:{%q:%s}}}`, what, name, text)
	w.Expect(kube.Patch(w.T.Context(), object, client.RawPatch(types.MergePatchType, patch))).To(Succeed())
	w.settle()
}

// tools label and annotate a Secret as two tools do that both keep the cluster as their repository says.
func (w *world) tools(secret string) {
	w.T.Helper()
	object := w.readSecret(secret)
	for i := range 12 {
		what := []string{"labels", "annotations"}[i%2]
		w.tag(object, what, "argocd.argoproj.io/instance", fmt.Sprintf("shop-%d", i))
	}
}

// retry asks to try again what was refused.
func (w *world) retry(secret, value string) {
	w.T.Helper()
	w.tag(w.readSecret(secret), "annotations", v1alpha1.AnnotationRetry, value)
}

// editMarketplace changes the Marketplace in ways that change no request.
func (w *world) editMarketplace(platform string) {
	w.T.Helper()
	w.tag(w.GetMarketplace(platform), "labels", "team", "tokens")
	w.EditMarketplace(platform, func(m *v1alpha1.Marketplace) {
		m.Spec.DisplayName += " (new)"
		m.Spec.DocumentationURL = "https://example.com/docs"
		m.Spec.Limits.Concurrency++
		m.Spec.AccessToken.Lifetime = "7h"
	})
	w.settle()
}

// refusedLogin is an account whose password is wrong.
func (w *world) refusedLogin() {
	w.T.Helper()
	w.marketplace("xsale")
	w.application()
	w.secret("login", map[string]string{"username": demomarket.DefaultUser, "password": "a-wrong-password"})
	w.account("xsale", v1alpha1.GrantPassword)
	w.start()
	w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonPasswordRejected)
}

func TestALoginThatToolsLabelIsTriedOnce(t *testing.T) {
	w := newWorld(t)
	w.refusedLogin()
	w.tools("login")
	w.start()
	w.tools("login")
	w.tools("app")
	w.editSecret("login", map[string]string{"comment": "written by a person"})
	w.editMarketplace("xsale")
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Renewal.Before, a.Spec.Login = "20m", "my-shop" })
	w.annotate(v1alpha1.AnnotationRenew, "now")
	w.pass(time.Hour)
	w.Expect(w.calls("xsale")).To(Equal(1))
	w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonPasswordRejected)

	w.editSecret("login", map[string]string{"password": demomarket.DefaultPassword})
	w.expectReady()
	w.Expect(w.calls("xsale")).To(Equal(2))
	w.Expect(w.custody().Refused).To(BeNil())
}

// The password is the same in another Secret, and with the line end that an editor adds.
func TestARefusedPasswordIsTheSameElsewhere(t *testing.T) {
	w := newWorld(t)
	w.refusedLogin()
	w.secret("copy", map[string]string{"username": demomarket.DefaultUser + "\n", "password": "a-wrong-password\n"})
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Grant.Password.SecretRef.Name = "copy" })
	w.Expect(kube.Delete(t.Context(), w.readSecret("login"))).To(Succeed())
	w.settle()
	w.Expect(w.calls("xsale")).To(Equal(1))
	w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonPasswordRejected)
}

func TestTwoToolsThatOverwriteEachOthersPassword(t *testing.T) {
	w := newWorld(t)
	w.refusedLogin()
	for range 6 {
		w.editSecret("login", map[string]string{"password": "another-wrong-password"})
		w.settle()
		w.editSecret("login", map[string]string{"password": "a-wrong-password"})
		w.settle()
	}
	w.Expect(w.calls("xsale")).To(Equal(2), "one for each password")

	// A success forgets them: the platform may take the new password later than the Secret does.
	w.editSecret("login", map[string]string{"password": demomarket.DefaultPassword})
	w.expectReady()
	w.editSecret("login", map[string]string{"password": "a-wrong-password"})
	w.annotate(v1alpha1.AnnotationRenew, "now")
	w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonPasswordRejected)
	w.Expect(w.calls("xsale")).To(Equal(4))
}

func TestARequestToTryALoginAgainIsOneAttempt(t *testing.T) {
	w := newWorld(t)
	w.refusedLogin()
	w.retry("login", "1")
	w.Eventually(func() int { return w.calls("xsale") }).Should(Equal(2))
	w.tools("login")
	w.retry("login", "")
	w.retry("login", "1")
	w.start()
	w.retry("login", "")
	w.pass(24 * time.Hour)
	w.Expect(w.calls("xsale")).To(Equal(2), "neither without the annotation nor with a value that it had")
	w.retry("login", "2")
	w.Eventually(func() int { return w.calls("xsale") }).Should(Equal(3))
}

func TestALockedAccountIsTriedAgainOnRequest(t *testing.T) {
	w := newWorld(t)
	locked := w.Market.Platform("xsale").Inject(demomarket.Refuse(demomarket.UserLocked).Times(0))
	w.prepare("xsale", v1alpha1.GrantPassword)
	w.start()
	w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonAccountLocked)
	w.tools("login")
	w.Expect(w.calls("xsale")).To(Equal(1))
	locked.Clear()
	w.retry("login", "unlocked by Anna")
	w.expectReady()
	w.Expect(w.calls("xsale")).To(Equal(2))
}

func TestAnApplicationThatToolsLabelIsTriedOnce(t *testing.T) {
	w := newWorld(t)
	w.marketplace("ebay")
	w.secret("app", map[string]string{"client_id": demomarket.DefaultClientID, "client_secret": "not-the-secret"})
	w.account("ebay", v1alpha1.GrantClientCredentials)
	w.start()
	w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonApplicationRejected)
	w.tools("app")
	w.start()
	w.tools("app")
	w.editSecret("app", map[string]string{"redirect_uri": "https://example.com/cb", "client_secret_expires_at": "2030-01-01T00:00:00Z"})
	w.editMarketplace("ebay")
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Renewal.Before = "20m" })
	w.Expect(w.calls("ebay")).To(Equal(1))

	w.retry("app", "1")
	w.retry("app", "")
	w.Expect(w.calls("ebay")).To(Equal(2), "one attempt on request")

	w.editSecret("app", map[string]string{"client_secret_previous": demomarket.DefaultClientSecret})
	w.expectReady()
	w.Expect(w.calls("ebay")).To(Equal(4), "both secrets")
	w.tools("app")
	w.start()
	w.annotate(v1alpha1.AnnotationRenew, "now")
	w.Eventually(func() int { return w.calls("ebay") }).Should(Equal(5), "the secret that worked goes first")
}

func TestAnApplicationIsTriedWhereItsProofIsSentInAnotherWay(t *testing.T) {
	w := newWorld(t)
	w.marketplace("ebay", func(m *v1alpha1.Marketplace) {
		m.Spec.TokenRequest.ClientAuthentication = v1alpha1.ClientAuthenticationBody
	})
	w.application()
	w.account("ebay", v1alpha1.GrantClientCredentials)
	w.start()
	w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonApplicationRejected)
	w.EditMarketplace("ebay", func(m *v1alpha1.Marketplace) {
		m.Spec.TokenRequest.ClientAuthentication = v1alpha1.ClientAuthenticationBasic
	})
	w.expectReady()
}

// A tenant reads the grant Secret, so it holds nothing by which the client secret of a Marketplace's own application could be guessed.
func TestAMarketplacesApplicationIsKeptByVersion(t *testing.T) {
	w := newWorld(t)
	w.marketplace("ebay", func(m *v1alpha1.Marketplace) {
		m.Spec.Application = &v1alpha1.Application{
			SecretRef: v1alpha1.NamespacedSecretReference{Name: "app", Namespace: w.Namespace}, NamespaceSelector: &metav1.LabelSelector{},
		}
	})
	w.secret("app", map[string]string{"client_id": demomarket.DefaultClientID, "client_secret": "not-the-secret"})
	w.account("ebay", v1alpha1.GrantClientCredentials, func(a *v1alpha1.MarketplaceAccount) { a.Spec.ApplicationSecretRef = v1alpha1.SecretReference{} })
	w.start()
	w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonApplicationRejected)
	recorded := w.custody().Refused.Digests
	w.editSecret("app", map[string]string{"client_secret": "the-second-that-is-wrong"})
	w.Eventually(func() int { return w.calls("ebay") }).Should(Equal(2))
	w.editSecret("app", map[string]string{"client_secret": "not-the-secret"})
	w.Eventually(func() int { return w.calls("ebay") }).Should(Equal(3))
	w.settle()
	w.Expect(w.custody().Refused.Digests).To(And(HaveLen(3), ContainElements(recorded)), "the content is not what is remembered")

	w.tools("app")
	w.Expect(w.calls("ebay")).To(Equal(3))
	w.retry("app", "1")
	w.Eventually(func() int { return w.calls("ebay") }).Should(Equal(4))
}

func TestARefusedImportThatToolsLabel(t *testing.T) {
	w := newWorld(t)
	market := w.Market.Platform("allegro")
	w.marketplace("allegro")
	w.application()
	w.secret("import", map[string]string{"refresh_token": "no-token-of-this-platform"})
	w.account("allegro", v1alpha1.GrantRefreshToken)
	w.start()
	w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonGrantRejected)
	w.tools("import")
	w.tools("app")
	w.start()
	w.editMarketplace("allegro")
	w.editSecret("import", map[string]string{"granted_at": "2026-03-01T00:00:00Z"})
	for range 3 {
		w.editSecret("import", map[string]string{"refresh_token": "another-token-of-no-platform"})
		w.settle()
		w.editSecret("import", map[string]string{"refresh_token": "no-token-of-this-platform"})
		w.settle()
	}
	w.annotate(v1alpha1.AnnotationRenew, "now")
	w.Expect(w.calls("allegro")).To(Equal(2), "one for each token")
	w.editSecret("import", map[string]string{"refresh_token": market.Grant(market.Seller().ID)})
	w.expectReady()
}

func TestADeadGrantWhoseMarketplaceIsEdited(t *testing.T) {
	w := newWorld(t)
	w.prepare("allegro", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.Market.Platform("allegro").RevokeGrants()
	w.annotate(v1alpha1.AnnotationRenew, "now")
	w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonGrantRejected)
	calls := w.calls("allegro")
	w.tools("import")
	w.tools("app")
	w.editMarketplace("allegro")
	w.editSecret("app", map[string]string{"client_secret": "not-the-secret"})
	w.start()
	w.Expect(w.calls("allegro")).To(Equal(calls))
	w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonGrantRejected)
}

func TestRefusedScopesWaitForOtherScopes(t *testing.T) {
	w := newWorld(t)
	w.marketplace("ebay")
	w.application()
	w.account("ebay", v1alpha1.GrantClientCredentials, func(a *v1alpha1.MarketplaceAccount) { a.Spec.Scopes = []v1alpha1.Scope{"nonsense"} })
	w.start()
	w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonScopeRejected)
	w.tools("app")
	w.editMarketplace("ebay")
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Renewal.Before, a.Spec.Login = "20m", "my-shop" })
	w.start()
	w.Expect(w.calls("ebay")).To(Equal(1))
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Scopes = nil })
	w.expectReady()
	w.Expect(w.calls("ebay")).To(Equal(2))
}

// older makes the custody one of the format before digests.
func (w *world) older(record func(custody.Custody) *custody.Refusal) {
	w.T.Helper()
	w.stop()
	w.editCustody(func(c *custody.Custody) {
		record(*c).Digests, c.RefusalKey = nil, nil
	})
}

func TestARefusedLoginOutlivesAnUpgrade(t *testing.T) {
	w := newWorld(t)
	w.refusedLogin()
	w.older(func(c custody.Custody) *custody.Refusal { return c.Refused })
	w.editMarketplace("xsale") // an upgrade brings new manifests
	w.start()
	w.annotate(v1alpha1.AnnotationRenew, "now")
	w.tools("app")
	w.pass(24 * time.Hour)
	w.Expect(w.calls("xsale")).To(Equal(1))

	// A new version of its Secret is tried once, and kept by its content then.
	w.stop()
	w.tools("login")
	w.start()
	w.Eventually(func() int { return w.calls("xsale") }).Should(Equal(2))
	w.tools("login")
	w.start()
	w.tools("login")
	w.Expect(w.calls("xsale")).To(Equal(2))
}

func TestADeadGrantAndARefusedImportOutliveAnUpgrade(t *testing.T) {
	w := newWorld(t)
	w.prepare("allegro", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.Market.Platform("allegro").RevokeGrants()
	w.annotate(v1alpha1.AnnotationRenew, "now")
	w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonGrantRejected)
	w.settle()
	w.older(func(c custody.Custody) *custody.Refusal { return c.Refused })
	calls := w.calls("allegro")
	w.start()
	w.editMarketplace("allegro")
	w.Expect(w.calls("allegro")).To(Equal(calls))

	w.editSecret("import", map[string]string{"refresh_token": "no-token-of-this-platform"})
	w.Eventually(func() *custody.Refusal { return w.custody().RefusedImport }).ShouldNot(BeNil())
	w.settle()
	w.older(func(c custody.Custody) *custody.Refusal { return c.RefusedImport })
	calls = w.calls("allegro")
	w.start()
	w.editMarketplace("allegro")
	w.Expect(w.calls("allegro")).To(Equal(calls))
	w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionFalse, v1alpha1.ReasonGrantRejected)
}
