package kube

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// large is as much as somebody likes to write.
var large = strings.Repeat("x", 250_000)

// mainAccount is an account whose own Secrets the cache holds.
func mainAccount() *v1alpha1.MarketplaceAccount {
	return &v1alpha1.MarketplaceAccount{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "main", UID: "uid-1"},
		Spec: v1alpha1.MarketplaceAccountSpec{
			MarketplaceRef:       v1alpha1.MarketplaceReference{Name: "allegro"},
			ApplicationSecretRef: v1alpha1.SecretReference{Name: "app"},
		},
	}
}

// contentsOf decides what is held where that account exists.
func contentsOf(t *testing.T) *contents {
	t.Helper()
	scheme, err := Scheme()
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	c := &contents{}
	c.accounts.Store(new(client.Reader(fake.NewClientBuilder().WithScheme(scheme).WithObjects(mainAccount()).Build())))
	return c
}

func objectMeta(name, version string, changes ...func(*metav1.ObjectMeta)) metav1.ObjectMeta {
	made := metav1.ObjectMeta{Namespace: "shop", Name: name, ResourceVersion: version}
	for _, change := range changes {
		change(&made)
	}
	return made
}

func labelledFor(account string) func(*metav1.ObjectMeta) {
	return func(o *metav1.ObjectMeta) {
		metav1.SetMetaDataLabel(o, v1alpha1.LabelManagedBy, v1alpha1.ManagedBy)
		metav1.SetMetaDataLabel(o, v1alpha1.LabelAccount, account)
	}
}

func controlledBy(uid types.UID) func(*metav1.ObjectMeta) {
	account := mainAccount()
	account.UID = uid
	return func(o *metav1.ObjectMeta) {
		o.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(account, v1alpha1.GroupVersion.WithKind(kindAccount))}
	}
}

func TestWhatIsHeldOfAnAccount(t *testing.T) {
	g := NewWithT(t)
	account := mainAccount()
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
		kept, err := contentsOf(t).account(account)
		g.Expect(err).NotTo(HaveOccurred())
		account = kept.(*v1alpha1.MarketplaceAccount)
	}
	g.Expect(account.Name + "/" + string(account.UID)).To(Equal("main/uid-1"))
	g.Expect(account.Generation).To(BeEquivalentTo(3))
	g.Expect(account.Spec).To(Equal(mainAccount().Spec))
	g.Expect(account.Finalizers).To(Equal([]string{v1alpha1.FinalizerRevoke}))
	g.Expect(account.Annotations).To(HaveKeyWithValue(v1alpha1.AnnotationVerify, "again"))
	g.Expect(account.Annotations[v1alpha1.AnnotationRenew]).To(Equal(large[:bounds.Message]))
	g.Expect(isHeld(account)).To(BeFalse(), "it is read and written as the large object that it is")
	g.Expect(sizeOfMetadata(account)).To(BeNumerically("<", 2*bounds.Message))
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
		"a link of a sign-in":             {secret("main-sign-in", v1alpha1.SecretTypeSignIn, 700_000), true, false},
		"a link without an account":       {secret("none-sign-in", v1alpha1.SecretTypeSignIn, 9, of("none")), false, true},
		"a token in the place of a link":  {secret("main-sign-in", corev1.SecretTypeOpaque, 9), true, false},
		"another's with the label":        {secret("main-token", corev1.SecretTypeOpaque, 700_000, func(s *corev1.Secret) { delete(s.Labels, v1alpha1.LabelAccount) }), false, false},
		"a type that is a novel":          {secret("none-token", corev1.SecretType(large), 9, of("none")), false, true},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			whole := test.secret.DeepCopy()
			var held *corev1.Secret
			for range 2 {
				kept, err := contentsOf(t).secret(test.secret)
				g.Expect(err).NotTo(HaveOccurred())
				held = kept.(*corev1.Secret)
			}
			g.Expect(isHeld(held)).To(Equal(!test.marked))
			switch {
			case !test.whole:
				g.Expect(sizeOfData(held) + sizeOfMetadata(held) + len(held.Type)).To(BeNumerically("<", 2*bounds.Message))
				g.Expect(held.Labels[v1alpha1.LabelAccount]).To(Equal(whole.Labels[v1alpha1.LabelAccount]))
			case whole.Type == v1alpha1.SecretTypeGrant:
				g.Expect(held).To(Equal(whole))
			case whole.Type == v1alpha1.SecretTypeSignIn:
				g.Expect(held).To(Equal(tokensecret.DigestSignIn(whole)))
				g.Expect(sizeOfData(held)).To(BeNumerically("<", 200))
			default:
				g.Expect(held).To(Equal(tokensecret.Digest(whole)))
			}
		})
	}
}

// TestWhoseALabelledSecretIs compares what is kept of a Secret with the whole.
func TestWhoseALabelledSecretIs(t *testing.T) {
	managed := func(o *metav1.ObjectMeta) { metav1.SetMetaDataLabel(o, v1alpha1.LabelManagedBy, v1alpha1.ManagedBy) }
	controlled := func(apiVersion, kind string) func(*metav1.ObjectMeta) {
		return func(o *metav1.ObjectMeta) {
			o.OwnerReferences = []metav1.OwnerReference{{APIVersion: apiVersion, Kind: kind, Name: "x", UID: "uid-9", Controller: new(true)}}
		}
	}
	for name, test := range map[string]struct {
		changes []func(*metav1.ObjectMeta)
		// owned tells that it is the account's, kept that its data is.
		owned, kept bool
	}{
		"made by the operator":                  {[]func(*metav1.ObjectMeta){labelledFor("main"), controlledBy("uid-1")}, true, true},
		"left behind by deletionPolicy Keep":    {[]func(*metav1.ObjectMeta){labelledFor("main")}, true, true},
		"of another account":                    {[]func(*metav1.ObjectMeta){labelledFor("other"), controlledBy("uid-2")}, false, true},
		"of a former account of the name":       {[]func(*metav1.ObjectMeta){labelledFor("main"), controlledBy("uid-2")}, false, true},
		"left behind by another":                {[]func(*metav1.ObjectMeta){labelledFor("other")}, false, true},
		"a tenant's with our label":             {[]func(*metav1.ObjectMeta){managed}, false, false},
		"another operator's with all labels":    {[]func(*metav1.ObjectMeta){labelledFor("main"), controlled("cert-manager.io/v1", "Certificate")}, false, false},
		"another kind's of the group":           {[]func(*metav1.ObjectMeta){labelledFor("main"), controlled("tokenkeeper.dev/v1alpha1", "Marketplace")}, false, false},
		"the kind's of another group":           {[]func(*metav1.ObjectMeta){labelledFor("main"), controlled("example.com/v1", "MarketplaceAccount")}, false, false},
		"an account's of another version":       {[]func(*metav1.ObjectMeta){labelledFor("other"), controlled("tokenkeeper.dev/v2", "MarketplaceAccount")}, false, true},
		"with an owner that is spelled wrongly": {[]func(*metav1.ObjectMeta){labelledFor("main"), controlled("a/b/c", "MarketplaceAccount")}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			secret := &corev1.Secret{
				ObjectMeta: objectMeta("main-token", "7", test.changes...),
				Type:       "example.com/type", Data: map[string][]byte{"key": []byte("value")},
			}
			secret.Annotations = map[string]string{"theirs": "x"}
			secret.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "x"}}
			metav1.SetMetaDataLabel(&secret.ObjectMeta, "theirs", "x")
			whole := secret.DeepCopy()
			g.Expect(tokensecret.Owned(whole, mainAccount())).To(Equal(test.owned))
			for range 2 { // a list that is streamed passes it twice
				kept, err := contentsOf(t).secret(secret)
				g.Expect(err).NotTo(HaveOccurred())
				secret = kept.(*corev1.Secret)
			}
			g.Expect(secret.ManagedFields).To(BeEmpty())
			g.Expect(secret.Type).To(Equal(whole.Type))
			g.Expect(secret.ResourceVersion).To(Equal("7"))
			g.Expect(tokensecret.Owned(secret, mainAccount())).To(Equal(test.owned))
			if !test.kept {
				g.Expect(secret.Data).To(BeEmpty())
				g.Expect(secret.Annotations).To(BeEmpty())
				g.Expect(secret.Labels).NotTo(HaveKey("theirs"))
				g.Expect(secret.Labels[v1alpha1.LabelAccount]).To(Equal(whole.Labels[v1alpha1.LabelAccount]))
				return
			}
			if !test.owned { // its account may come
				g.Expect(isHeld(secret)).To(BeFalse())
				g.Expect(secret.Annotations).To(BeEmpty())
				return
			}
			whole.ManagedFields = nil
			g.Expect(secret).To(Equal(tokensecret.Digest(whole)))
		})
	}
	t.Run("what a watch says besides", func(t *testing.T) {
		g := NewWithT(t)
		for _, transform := range []toolscache.TransformFunc{contentsOf(t).secret, contentsOf(t).account, contentsOf(t).marketplace, keepLabels} {
			g.Expect(transform(toolscache.DeletedFinalStateUnknown{Key: "a"})).To(Equal(toolscache.DeletedFinalStateUnknown{Key: "a"}))
		}
	})
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
	namespace := NamespaceMetadata()
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
	marked := ownership(whole)
	marked.Data = map[string][]byte{notHeld: nil}
	cached := fake.NewClientBuilder().WithScheme(scheme).WithObjects(marked).Build()
	live := &counted{Reader: fake.NewClientBuilder().WithScheme(scheme).WithObjects(whole).Build()}
	read := &corev1.Secret{}
	g.Expect(newReadYourWrites(cached, live, Shard{}, &contents{}).Get(t.Context(), client.ObjectKeyFromObject(whole), read)).To(Succeed())
	g.Expect(read.Data).To(Equal(whole.Data))
	g.Expect(live.reads).To(Equal(1))
}
