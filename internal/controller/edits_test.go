package controller_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// These stories are about edits: those that change what is sent, which are tried at once and within bounds, and others.

func TestEditsThatChangeNoRequestShortenNoWait(t *testing.T) {
	w := newWorld(t)
	w.prepare("amazon", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.Market.Platform("amazon").Inject(demomarket.Maintenance().Times(0))
	w.passUntil(w.renewalTime())
	w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonMarketplaceUnavailable)
	calls := w.calls("amazon")
	edits := func(round string) {
		for i := range 4 {
			w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Login = fmt.Sprint("shop-", round, i) })
			w.edit(func(a *v1alpha1.MarketplaceAccount) {
				labels := map[string]v1alpha1.LabelValue{"round": v1alpha1.LabelValue(fmt.Sprint(round, i))}
				a.Spec.TokenSecret.Template = &v1alpha1.TokenSecretTemplate{Labels: labels}
			})
			w.edit(func(a *v1alpha1.MarketplaceAccount) {
				a.Spec.Authorization.WarnBefore = v1alpha1.Duration(fmt.Sprint(300+i, "h"))
			})
		}
		w.editMarketplace("amazon")
	}
	edits("a")
	w.Expect(w.calls("amazon")).To(Equal(calls))
	w.start()
	edits("b")
	w.Expect(w.calls("amazon")).To(Equal(calls), "nor after a restart")
	w.pass(13 * time.Second)
	w.Eventually(func() int { return w.calls("amazon") }).Should(Equal(calls + 1))
	w.editSecret("app", map[string]string{"client_secret": "another-client-secret"})
	w.Eventually(func() int { return w.calls("amazon") }).Should(Equal(calls+2), "another request is tried at once")
}

func TestALoopOfEditsMakesThreeCallsAtOnceAndOneAMinute(t *testing.T) {
	t.Parallel()
	amazonScopes := func(i int) func(*v1alpha1.MarketplaceAccount) {
		return withScopes([]v1alpha1.Scope{"sellingpartnerapi::notifications", "sellingpartnerapi::migration"}[i%2])
	}
	for name, story := range map[string]struct {
		prepare func(*world)
		edit    func(w *world, i int)
		calls   func(*world) int
	}{
		"of a client secret that is refused": {
			(*world).refusedApplication,
			func(w *world, i int) {
				w.editSecret("app", map[string]string{"client_secret": fmt.Sprint("wrong-secret-", i)})
			},
			func(w *world) int { return w.calls("ebay") },
		},
		"of scopes that are granted": {
			func(w *world) {
				w.marketplace("amazon")
				w.application()
				w.account("amazon", v1alpha1.GrantClientCredentials, amazonScopes(1))
			},
			func(w *world, i int) { w.edit(amazonScopes(i)) },
			func(w *world) int { return w.calls("amazon") },
		},
		"of a password": {
			(*world).refusedLoginPrepared,
			func(w *world, i int) {
				w.editSecret("login", map[string]string{"password": fmt.Sprint("wrong-password-", i)})
			},
			func(w *world) int { return w.calls("xsale") },
		},
		"of the annotation to try again": {
			(*world).refusedLoginPrepared,
			func(w *world, i int) { w.retry("login", fmt.Sprint(i)) },
			func(w *world) int { return w.calls("xsale") },
		},
		"of a refresh token": {
			func(w *world) { w.prepare("amazon", v1alpha1.GrantRefreshToken) },
			func(w *world, i int) {
				w.editSecret("import", map[string]string{"refresh_token": fmt.Sprint("no-refresh-token-", i)})
			},
			func(w *world) int { return w.calls("amazon") },
		},
		"of scopes for which a person has to sign in": {
			func(w *world) { w.prepareSignIn("allegro", v1alpha1.GrantDeviceCode) },
			func(w *world, i int) { w.edit(withScopes(v1alpha1.Scope("allegro:api:" + strings.Repeat("x", i+1)))) },
			func(w *world) int { return w.Market.Platform("allegro").Report().DeviceCodes.Issued },
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			story.prepare(w)
			w.start()
			calls := func() int { return story.calls(w) }
			w.Eventually(calls).Should(Equal(1))
			for i := range 8 {
				w.settle()
				story.edit(w, i)
			}
			w.Eventually(calls).Should(Equal(1 + 3))
			for i := range 2 {
				w.pass(time.Minute)
				w.Eventually(calls).Should(Equal(1+3+i+1), "the last edit waits")
				for j := range 3 {
					story.edit(w, 10*i+j+20)
					w.settle()
				}
				w.Expect(calls()).To(Equal(1 + 3 + i + 1))
			}
		})
	}
}

// refusedApplication prepares an account whose client secret is wrong.
func (w *world) refusedApplication() {
	w.prepare("ebay", v1alpha1.GrantClientCredentials)
	w.editSecret("app", map[string]string{"client_secret": "wrong-from-the-beginning"})
}

// refusedLoginPrepared prepares an account whose password is wrong.
func (w *world) refusedLoginPrepared() {
	w.marketplace("xsale")
	w.application()
	w.secret("login", map[string]string{"username": demomarket.DefaultUser, "password": "a-wrong-password"})
	w.account("xsale", v1alpha1.GrantPassword)
}

// appliedLater labels a Secret, of which the API server then tells that it was written at a later time: so it does where a GitOps tool
// applies all of it.
func (w *world) appliedLater(name, label string, after time.Duration) {
	w.T.Helper()
	secret := w.readSecret(name)
	metav1.SetMetaDataLabel(&secret.ObjectMeta, "release", label)
	for i := range secret.ManagedFields {
		secret.ManagedFields[i].Time = new(metav1.NewTime(secret.CreationTimestamp.Add(after)))
	}
	w.Expect(kube.Update(w.T.Context(), secret, client.FieldOwner("release"))).To(Succeed())
}

func TestALabelDoesNotProlongAClientSecret(t *testing.T) {
	w := newWorld(t)
	w.prepare("amazon", v1alpha1.GrantRefreshToken)
	w.EditMarketplace("amazon", secretsEnd)
	w.start()
	w.expectReady()
	end := func() time.Time { return w.get().Status.Application.SecretExpirationTime.UTC() }
	made := w.readSecret("app").CreationTimestamp.UTC()
	w.Expect(end()).To(BeTemporally("==", made.Add(lifeOfSecrets)))
	for i := range 12 {
		w.appliedLater("app", fmt.Sprint(i), time.Duration(i+1)*24*time.Hour)
		w.settle()
	}
	w.Expect(end()).To(BeTemporally("==", made.Add(lifeOfSecrets)))
	w.start()
	w.appliedLater("app", "restarted", 20*24*time.Hour)
	w.settle()
	w.passRenewal()
	w.Expect(end()).To(BeTemporally("==", made.Add(lifeOfSecrets)), "after a restart and a renewal")

	w.stop()
	w.Market.Platform("amazon").SetClientSecret("a-new-client-secret", true)
	w.editSecret("app", map[string]string{"client_secret": "a-new-client-secret"})
	w.appliedLater("app", "rotated", 30*24*time.Hour)
	w.start()
	w.Eventually(end).Should(BeTemporally("==", made.Add(lifeOfSecrets+30*24*time.Hour)), "another client secret")
	w.passRenewal()
	w.start()
	w.appliedLater("app", "labelled", 40*24*time.Hour)
	w.settle()
	w.passRenewal()
	w.Expect(end()).To(BeTemporally("==", made.Add(lifeOfSecrets+30*24*time.Hour)))
}
