package controller_test

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// What users write on an account is theirs, however much it is and whatever the operator holds of it.
func TestWhatUsersWriteOnAnAccountStays(t *testing.T) {
	w := newWorld(t)
	note := strings.Repeat("x", 200_000)
	w.prepare("oidc", v1alpha1.GrantRefreshToken, func(a *v1alpha1.MarketplaceAccount) {
		a.Spec.DeletionPolicy = v1alpha1.DeletionRevoke
		a.Labels = map[string]string{"theirs": "x"}
		a.Annotations = map[string]string{"example.com/note": note}
		a.Finalizers = []string{"example.com/theirs"}
	})
	w.start()
	w.expectReady()
	theirs := func() {
		account := w.get()
		w.Expect(account.Labels).To(HaveKeyWithValue("theirs", "x"))
		w.Expect(account.Annotations).To(HaveKeyWithValue("example.com/note", note))
		w.Expect(account.Finalizers).To(ContainElement("example.com/theirs"))
	}
	theirs()
	w.Expect(w.get().Finalizers).To(ContainElement(v1alpha1.FinalizerRevoke))
	w.edit(func(a *v1alpha1.MarketplaceAccount) { a.Spec.DeletionPolicy = v1alpha1.DeletionDelete })
	w.Eventually(func() []string { return w.get().Finalizers }).Should(ConsistOf("example.com/theirs"))
	theirs()
	w.edit(func(a *v1alpha1.MarketplaceAccount) { controllerutil.RemoveFinalizer(a, "example.com/theirs") })
}

// A grant Secret that comes before its account, and one that is large, are used as any other.
func TestAGrantSecretThatIsNotHeldIsUsed(t *testing.T) {
	w := newWorld(t)
	w.prepare("allegro", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.settle()
	grant := w.readSecret("main-grant")
	metav1.SetMetaDataAnnotation(&grant.ObjectMeta, "example.com/note", strings.Repeat("x", 2*bounds.HeldMetadata))
	w.Expect(kube.Update(t.Context(), grant)).To(Succeed())
	before := w.token()["access_token"]
	w.annotate(v1alpha1.AnnotationRenew, "now")
	w.Eventually(func() string { return w.token()["access_token"] }).ShouldNot(Equal(before))
	w.Expect(w.readSecret("main-grant").Annotations).To(HaveKey("example.com/note"), "it is the user's")
}

func TestATokenSecretWithALargeAnnotationKeepsIt(t *testing.T) {
	w := newWorld(t)
	w.prepare("allegro", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	w.settle()
	token := w.readSecret("main-token")
	metav1.SetMetaDataAnnotation(&token.ObjectMeta, "example.com/note", strings.Repeat("x", 2*bounds.HeldMetadata))
	w.Expect(kube.Update(t.Context(), token)).To(Succeed())
	before := w.token()["access_token"]
	w.annotate(v1alpha1.AnnotationRenew, "now")
	w.Eventually(func() string { return w.token()["access_token"] }).ShouldNot(Equal(before))
	w.Expect(w.readSecret("main-token").Annotations).To(HaveKey("example.com/note"))
}

func TestAGrantSecretThatIsTooLargeIsTold(t *testing.T) {
	w := newWorld(t)
	w.prepare("allegro", v1alpha1.GrantRefreshToken)
	planted := labelled(secretOf(w.Namespace, "main-grant", nil), "main")
	planted.Type = v1alpha1.SecretTypeGrant
	planted.Data = map[string][]byte{"grant.json": []byte("{" + strings.Repeat(" ", bounds.GrantSecret) + "}")}
	w.Create(planted)
	w.start()
	w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSecretInvalid)
	w.Delete(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: "main-grant"}})
	w.expectReady()
}

func TestACredentialThatIsTooLargeIsTold(t *testing.T) {
	w := newWorld(t)
	w.marketplace("allegro")
	w.Create(secretOf(w.Namespace, "app", map[string]string{
		"client_id": demomarket.DefaultClientID, "client_secret": strings.Repeat("x", bounds.Credential+1),
	}))
	w.account("allegro", v1alpha1.GrantClientCredentials)
	w.start()
	w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSecretInvalid)
	w.settle()
	w.editSecret("app", map[string]string{"client_secret": demomarket.DefaultClientSecret})
	w.expectReady()
}
