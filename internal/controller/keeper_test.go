package controller

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// large is as much as somebody likes to write.
var large = strings.Repeat("x", 250_000)

func TestWhatIsHeldOfAnAccount(t *testing.T) {
	g := NewWithT(t)
	account := versionsAccount()
	account.Annotations = map[string]string{
		"example.com/large":            large,
		v1alpha1.AnnotationRenew:       large,
		v1alpha1.AnnotationVerify:      "again",
		"tokenkeeper.dev/none-of-ours": large,
	}
	account.Labels = map[string]string{"shard": "a"}
	account.Finalizers = []string{"example.com/theirs", v1alpha1.FinalizerRevoke}
	account.OwnerReferences = []metav1.OwnerReference{{Name: large}}
	account.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: large}}
	account.Generation = 3
	for range 2 { // as a cache may
		kept, err := keeperOf(t).account(account)
		g.Expect(err).NotTo(HaveOccurred())
		account = kept.(*v1alpha1.MarketplaceAccount)
	}
	g.Expect(account.Name + "/" + string(account.UID)).To(Equal("main/uid-1"))
	g.Expect(account.Generation).To(BeEquivalentTo(3))
	g.Expect(account.Spec).To(Equal(versionsAccount().Spec))
	g.Expect(account.Finalizers).To(Equal([]string{v1alpha1.FinalizerRevoke}))
	g.Expect(account.Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationVerify, "again"))
	g.Expect(requestOf(account, v1alpha1.AnnotationRenew)).To(Equal(large[:maxMessage]))
	g.Expect(isHeld(account)).To(BeFalse(), "it is read and written as the large object that it is")
	g.Expect(sizeOfMetadata(account)).To(BeNumerically("<", 2*maxMessage))
}

func TestWhatIsHeldOfASecret(t *testing.T) {
	secret := func(name string, kind corev1.SecretType, data int, changes ...func(*corev1.Secret)) *corev1.Secret {
		made := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, ResourceVersion: "1", Labels: map[string]string{
				v1alpha1.LabelManagedBy: v1alpha1.ManagedBy, v1alpha1.LabelAccount: "main",
			}},
			Type: kind, Data: map[string][]byte{"grant.json": []byte(strings.Repeat("x", data))},
		}
		for _, change := range changes {
			change(made)
		}
		return made
	}
	of := func(account string) func(*corev1.Secret) {
		return func(s *corev1.Secret) { s.Labels[v1alpha1.LabelAccount] = account }
	}
	for name, test := range map[string]struct {
		secret *corev1.Secret
		whole  bool // with its data, or its digest
		marked bool // to be read past the cache
	}{
		"the grant of an account":         {secret("main-grant", v1alpha1.SecretTypeGrant, 9_000), true, false},
		"the largest that is held":        {secret("main-grant", v1alpha1.SecretTypeGrant, bounds.HeldGrant-len("grant.json")), true, false},
		"a larger grant":                  {secret("main-grant", v1alpha1.SecretTypeGrant, bounds.HeldGrant), false, true},
		"one of 0.7 MB":                   {secret("main-grant", v1alpha1.SecretTypeGrant, 700_000), false, true},
		"a grant without an account":      {secret("none-grant", v1alpha1.SecretTypeGrant, 700_000, of("none")), false, true},
		"a grant in another place":        {secret("main-2-grant", v1alpha1.SecretTypeGrant, 9_000), false, true},
		"a grant with a large annotation": {secret("main-grant", v1alpha1.SecretTypeGrant, 9, func(s *corev1.Secret) { s.Annotations = map[string]string{"a": large} }), false, true},
		"a grant with many owners":        {secret("main-grant", v1alpha1.SecretTypeGrant, 9, func(s *corev1.Secret) { s.OwnerReferences = manyOwners() }), false, true},
		"a token":                         {secret("main-token", corev1.SecretTypeOpaque, 700_000), true, false},
		"a token with a large annotation": {secret("main-token", corev1.SecretTypeOpaque, 9, func(s *corev1.Secret) { s.Annotations = map[string]string{"a": large} }), false, true},
		"a token without an account":      {secret("none-token", corev1.SecretTypeOpaque, 9, of("none")), false, true},
		"another's with the label":        {secret("main-token", corev1.SecretTypeOpaque, 700_000, func(s *corev1.Secret) { delete(s.Labels, v1alpha1.LabelAccount) }), false, false},
		"a type that is a novel":          {secret("none-token", corev1.SecretType(large), 9, of("none")), false, true},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			whole := test.secret.DeepCopy()
			var held *corev1.Secret
			for range 2 {
				kept, err := keeperOf(t).secret(test.secret)
				g.Expect(err).NotTo(HaveOccurred())
				held = kept.(*corev1.Secret)
			}
			g.Expect(isHeld(held)).To(Equal(!test.marked))
			switch {
			case !test.whole:
				g.Expect(sizeOfData(held) + sizeOfMetadata(held) + len(held.Type)).To(BeNumerically("<", 2*maxMessage))
				g.Expect(held.Labels[v1alpha1.LabelAccount]).To(Equal(whole.Labels[v1alpha1.LabelAccount]))
			case whole.Type == v1alpha1.SecretTypeGrant:
				g.Expect(held).To(Equal(whole))
			default:
				g.Expect(held).To(Equal(tokensecret.Digest(whole)))
			}
		})
	}
}

func manyOwners() []metav1.OwnerReference {
	owners := make([]metav1.OwnerReference, 1000)
	for i := range owners {
		owners[i] = metav1.OwnerReference{APIVersion: "v1", Kind: "ConfigMap", Name: strings.Repeat("x", 200), UID: "uid"}
	}
	return owners
}

func TestWhatIsHeldOfANamespace(t *testing.T) {
	g := NewWithT(t)
	namespace := namespaceMetadata()
	namespace.Name, namespace.Labels = "shop", map[string]string{"a": "b"}
	namespace.Annotations = map[string]string{"a": large}
	kept, err := keepLabels(namespace)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(kept.(*metav1.PartialObjectMetadata).Annotations).To(BeEmpty())
	g.Expect(kept.(*metav1.PartialObjectMetadata).Labels).To(HaveKeyWithValue("a", "b"))
	for range 1000 {
		namespace.Labels[strings.Repeat("l", len(namespace.Labels))] = "x"
	}
	for range 2 {
		kept, err = keepLabels(kept)
		g.Expect(err).NotTo(HaveOccurred())
	}
	g.Expect(isHeld(kept.(client.Object))).To(BeFalse())
	g.Expect(kept.(*metav1.PartialObjectMetadata).Labels).To(BeEmpty())
}

// A Secret that the cache does not hold is read from the API server whole.
func TestWhatIsNotHeldIsRead(t *testing.T) {
	g := NewWithT(t)
	scheme, err := Scheme()
	g.Expect(err).NotTo(HaveOccurred())
	whole := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "main-grant"}, Data: map[string][]byte{"grant.json": []byte(large)},
	}
	marked := remains(whole)
	marked.Data = map[string][]byte{notHeld: nil}
	cached := fake.NewClientBuilder().WithScheme(scheme).WithObjects(marked).Build()
	live := &counted{Reader: fake.NewClientBuilder().WithScheme(scheme).WithObjects(whole).Build()}
	read := &corev1.Secret{}
	g.Expect(newFresh(cached, live, Shard{}, &keeper{}).Get(t.Context(), client.ObjectKeyFromObject(whole), read)).To(Succeed())
	g.Expect(read.Data).To(Equal(whole.Data))
	g.Expect(live.reads).To(Equal(1))
}

// held is an API server that answers when the test lets it, and counts how many wait for it.
type held struct {
	client.Reader
	let           chan struct{}
	now, mostHeld atomic.Int32
}

func (h *held) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	now := h.now.Add(1)
	for most := h.mostHeld.Load(); now > most && !h.mostHeld.CompareAndSwap(most, now); most = h.mostHeld.Load() {
	}
	<-h.let
	h.now.Add(-1)
	return nil
}

// However many workers read large Secrets, few are in memory, and small ones do not wait for them.
func TestLargeObjectsTakeTurns(t *testing.T) {
	g := NewWithT(t)
	scheme, err := Scheme()
	g.Expect(err).NotTo(HaveOccurred())
	small := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "small"}}
	server := &held{let: make(chan struct{})}
	lanes := newLanes(fake.NewClientBuilder().WithScheme(scheme).WithObjects(small).Build())
	live := throughLanes{server, lanes}
	var reads sync.WaitGroup
	for range 10 * bounds.LargeObjects {
		reads.Go(func() {
			if err := live.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "unknown"}, &corev1.Secret{}); err != nil {
				t.Error(err)
			}
		})
	}
	g.Eventually(server.now.Load).Should(BeEquivalentTo(bounds.LargeObjects))
	leave, err := lanes.enter(t.Context(), client.ObjectKeyFromObject(small), &corev1.Secret{})
	g.Expect(err).NotTo(HaveOccurred())
	leave()
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	written := &corev1.Secret{Data: map[string][]byte{"a": []byte(large)}}
	_, err = lanes.enter(impatient, client.ObjectKeyFromObject(small), written)
	g.Expect(err).To(MatchError(context.Canceled), "a write of a large one waits as well")
	close(server.let)
	reads.Wait()
	g.Expect(server.mostHeld.Load()).To(BeEquivalentTo(bounds.LargeObjects))
}
