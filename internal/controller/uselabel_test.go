package controller_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// These stories are S8b: a Secret is a credential if its label says so.

// allow sets what a Secret may be used as; empty takes the label away.
func (w *world) allow(secret, uses string) {
	w.T.Helper()
	held := w.readSecret(secret)
	before := held.DeepCopy()
	held.Labels = maps.Clone(held.Labels)
	delete(held.Labels, v1alpha1.LabelUse)
	if uses != "" {
		metav1.SetMetaDataLabel(&held.ObjectMeta, v1alpha1.LabelUse, uses)
	}
	w.Expect(w.Kube.Patch(w.T.Context(), held, client.MergeFrom(before))).To(Succeed())
}

func TestSecretsThatDidNotOptInAreNotSent(t *testing.T) {
	w := newWorld(t)
	w.prepare("xsale", v1alpha1.GrantPassword)
	w.allow("app", "")
	w.allow("login", "application")
	w.start()
	const prefix = "spec.applicationSecretRef: Secret \"app\" is not used before its label allows it: "
	w.Expect(w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonSecretInvalid)).To(
		ContainSubstring(prefix + "kubectl -n " + w.Namespace + " label secret app tokenkeeper.dev/use=application"))
	w.Expect(w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSecretInvalid)).NotTo(ContainSubstring("--overwrite"))
	w.Expect(w.calls("xsale")).To(BeZero())

	w.allow("app", "application")
	w.Eventually(func() string {
		return w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonSecretInvalid)
	}).Should(ContainSubstring("label secret login tokenkeeper.dev/use=application.login --overwrite"), "what it is allowed already stays so")
	w.Expect(w.calls("xsale")).To(BeZero())

	w.allow("login", "application.login") // no time passes
	w.expectReady()
	w.Expect(w.events()).NotTo(ContainElement(ContainSubstring(v1alpha1.EventUseLabelMissing)))
}

func TestASecretThatLosesItsLabelIsNotSentAgain(t *testing.T) {
	w := newWorld(t)
	w.prepare("xsale", v1alpha1.GrantPassword)
	w.start()
	w.expectReady()
	token, calls := w.readSecret("main-token").Data, w.calls("xsale")
	w.allow("login", "")
	w.Expect(w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonSecretInvalid)).To(
		ContainSubstring("label secret login tokenkeeper.dev/use=login"))
	w.expectReady()
	w.passUntil(w.clock.Now().Add(20 * time.Hour)) // it is renewed after some hours
	w.Expect(w.calls("xsale")).To(Equal(calls), "the renewal was due")
	w.Expect(w.readSecret("main-token").Data).To(Equal(token))
	w.allow("login", "login")
	w.Eventually(func() int { return w.calls("xsale") }).Should(BeNumerically(">", calls))
	w.expectReady()
}

func TestAnImportInCustodyGoesOnWithoutTheLabel(t *testing.T) {
	w := newWorld(t)
	w.prepare("allegro", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.allow("import", "")
	w.Eventually(func() string {
		return w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionTrue, v1alpha1.ReasonSecretInvalid)
	}).Should(ContainSubstring("label secret import tokenkeeper.dev/use=refresh-token"))
	w.passRenewal()
	w.expect(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonTokenValid)
	w.allow("import", "refresh-token")
	w.expectAuthenticated()
}

func TestWithoutTheFlagAMissingLabelIsAnEvent(t *testing.T) {
	w := newWorld(t)
	w.labelsOptional = true
	w.prepare("xsale", v1alpha1.GrantPassword)
	w.allow("app", "")
	w.allow("login", "")
	w.start()
	w.expectReady()
	w.passRenewal()
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.Login = "another" })
	told := func() []string {
		var list eventsv1.EventList
		w.Expect(w.Kube.List(t.Context(), &list, client.InNamespace(w.Namespace))).To(Succeed())
		var notes []string
		for _, event := range list.Items {
			if event.Reason == v1alpha1.EventUseLabelMissing {
				w.Expect(event.Type).To(Equal("Warning"))
				w.Expect(event.Series).To(BeNil(), "it is told once")
				notes = append(notes, event.Note)
			}
		}
		slices.Sort(notes)
		return notes
	}
	w.Eventually(told).Should(HaveLen(2))
	w.Consistently(told, "300ms").Should(HaveExactElements(
		"spec.applicationSecretRef: Secret \"app\" is used although its label does not allow it, which --require-use-label would refuse: "+
			"kubectl -n "+w.Namespace+" label secret app tokenkeeper.dev/use=application",
		HavePrefix("spec.grant.password.secretRef: Secret \"login\" is used although"),
	))
}

// TestATokenSecretIsNoCredential is S8a: with the label on it, too.
func TestATokenSecretIsNoCredential(t *testing.T) {
	t.Parallel()
	for name, optional := range map[string]bool{"labels are required": false, "labels are optional": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.labelsOptional = optional
			w.prepare("xsale", v1alpha1.GrantPassword, func(a *v1alpha1.MarketplaceAccount) {
				a.Spec.TokenSecret.Template = &v1alpha1.TokenSecretTemplate{Data: map[string]v1alpha1.DataTemplate{
					"client_id": "planted", "client_secret": "{{ .access_token }}",
				}}
			})
			w.start()
			w.expectReady()
			calls := w.calls("xsale")
			w.allow("main-token", "application")
			other := w.get().DeepCopy()
			other.ObjectMeta = metav1.ObjectMeta{Namespace: w.Namespace, Name: "other"}
			other.Status = v1alpha1.MarketplaceAccountStatus{}
			other.Spec.TokenSecret = v1alpha1.TokenSecret{}
			other.Spec.ApplicationSecretRef.Name = "main-token"
			w.Create(other)
			w.Eventually(func() string {
				account := &v1alpha1.MarketplaceAccount{}
				w.Expect(w.Kube.Get(t.Context(), client.ObjectKeyFromObject(other), account)).To(Succeed())
				var said []string
				for _, condition := range account.Status.Conditions {
					said = append(said, condition.Reason+" "+condition.Message)
				}
				return strings.Join(said, "\n")
			}).Should(ContainSubstring(`SecretInvalid spec.applicationSecretRef: Secret "main-token" is made by tokenkeeper for an account, and is no credential`))
			w.Expect(w.calls("xsale")).To(Equal(calls))
		})
	}
}
