package kube

import (
	"errors"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// TestACopyOfAHeldSecretIsTheSecret, with every member that the API server sends.
func TestACopyOfAHeldSecretIsTheSecret(t *testing.T) {
	g := NewWithT(t)
	whole := &corev1.Secret{
		ObjectMeta: objectMeta("main-grant", "7", labelledFor("main"), controlledBy("uid-1")), Type: v1alpha1.SecretTypeGrant,
		Data: map[string][]byte{"grant.json": []byte(`{"refreshToken":"x"}`), "grant.mac": {0, 1, 255}}, Immutable: new(false),
	}
	whole.UID, whole.CreationTimestamp = "uid-7", metav1.NewTime(time.Unix(1_800_000_000, 0))
	whole.Annotations, whole.Finalizers = map[string]string{"theirs": "x"}, []string{"example.com/theirs"}
	kept, err := hold(whole, nil)
	g.Expect(err).NotTo(HaveOccurred())
	held, ok := kept.(client.Object)
	g.Expect(ok).To(BeTrue())
	g.Expect(held).NotTo(BeAssignableToTypeOf(whole))
	g.Expect(held.DeepCopyObject()).To(Equal(whole))
	g.Expect(refOf(held)).To(Equal(refOf(whole)), "its events show what was written")
	g.Expect(held.GetResourceVersion()).To(Equal("7"))
	g.Expect(held.GetLabels()).To(Equal(whole.Labels))
	g.Expect(hold(held, nil)).To(BeIdenticalTo(held), "a list that is streamed passes twice")

	changed := held.DeepCopyObject().(*corev1.Secret)
	changed.Labels["a"], changed.Data["grant.json"][0] = "b", 'x'
	g.Expect(held.DeepCopyObject()).To(Equal(whole), "a reader cannot change it")
}

// TestAHeldSecretIsMarkedAsItWas: the part that is kept of a Secret tells whether it is the whole.
func TestAHeldSecretIsMarkedAsItWas(t *testing.T) {
	g := NewWithT(t)
	kept, err := hold(contentsOf(t).secret(&corev1.Secret{ObjectMeta: objectMeta("none-grant", "7", labelledFor("none")), Type: v1alpha1.SecretTypeGrant}))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(isHeld(kept.(client.Object).DeepCopyObject().(*corev1.Secret))).To(BeFalse())
}

// TestOtherThingsAreHeldAsTheyAre, which a watch brings beside Secrets.
func TestOtherThingsAreHeldAsTheyAre(t *testing.T) {
	g := NewWithT(t)
	gone := toolscache.DeletedFinalStateUnknown{Key: "a"}
	g.Expect(hold(gone, nil)).To(Equal(gone))
	failure := errors.New("no")
	_, err := hold(&corev1.Secret{}, failure)
	g.Expect(err).To(MatchError(failure))
}
