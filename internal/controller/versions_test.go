package controller

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// The account of these tests, and its Secrets.
func versionsAccount() *v1alpha1.MarketplaceAccount {
	return &v1alpha1.MarketplaceAccount{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "main", UID: "uid-1"},
		Spec: v1alpha1.MarketplaceAccountSpec{
			MarketplaceRef:       v1alpha1.MarketplaceReference{Name: "allegro"},
			ApplicationSecretRef: v1alpha1.SecretReference{Name: "app"},
		},
	}
}

func sightOf(name, version string, changes ...func(*metav1.ObjectMeta)) *metav1.PartialObjectMetadata {
	secret := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, ResourceVersion: version}}
	for _, change := range changes {
		change(&secret.ObjectMeta)
	}
	return secret
}

func labelledFor(account string) func(*metav1.ObjectMeta) {
	return func(o *metav1.ObjectMeta) {
		metav1.SetMetaDataLabel(o, v1alpha1.LabelManagedBy, v1alpha1.ManagedBy)
		metav1.SetMetaDataLabel(o, v1alpha1.LabelAccount, account)
	}
}

func controlledBy(uid types.UID) func(*metav1.ObjectMeta) {
	account := versionsAccount()
	account.UID = uid
	return func(o *metav1.ObjectMeta) { o.OwnerReferences = []metav1.OwnerReference{owner(account)} }
}

func TestAStoreReportsWhatChanged(t *testing.T) {
	g := NewWithT(t)
	var told []string
	store := newVersionStore(func(c change) {
		told = append(told, fmt.Sprintf("%s: %q to %q", c.key, c.before.resourceVersion, c.after.resourceVersion))
	})
	tells := func(changes ...string) {
		t.Helper()
		g.Expect(told).To(ConsistOf(changes))
		told = nil
	}
	g.Expect(store.Replace([]any{sightOf("a", "1"), sightOf("b", "2"), sightOf("c", "3")}, "3")).To(Succeed())
	tells()
	g.Expect(store.Add(sightOf("d", "4"))).To(Succeed())
	tells(`shop/d: "" to "4"`)
	g.Expect(store.Update(sightOf("a", "5"))).To(Succeed())
	tells(`shop/a: "1" to "5"`)
	g.Expect(store.Update(sightOf("a", "5"))).To(Succeed())
	g.Expect(store.Resync()).To(Succeed())
	tells()
	g.Expect(store.Delete(sightOf("b", "6"))).To(Succeed())
	tells(`shop/b: "2" to ""`)
	g.Expect(store.Delete(sightOf("b", "6"))).To(Succeed())
	tells()

	// The watch was away for a while; the list comes as the reflector holds it when it was streamed.
	var streamed []any
	for _, secret := range []*metav1.PartialObjectMetadata{sightOf("a", "9"), sightOf("c", "3"), sightOf("e", "8")} {
		seen, err := store.Transformer()(secret)
		g.Expect(err).NotTo(HaveOccurred())
		streamed = append(streamed, seen)
	}
	g.Expect(store.Replace(streamed, "9")).To(Succeed())
	tells(`shop/a: "5" to "9"`, `shop/d: "4" to ""`, `shop/e: "" to "8"`)
	g.Expect(store.held).To(HaveLen(3))

	for _, err := range []error{store.Add(1), store.Update(1), store.Delete(1), store.Replace([]any{1}, "")} {
		g.Expect(err).To(MatchError("a watch of Secrets brought a int"))
	}
	g.Expect(store.held).To(HaveLen(3), "a list that cannot be read changes nothing")
}

func TestVersionsOfSecrets(t *testing.T) {
	read := func(v *versions, namespace, name string) (string, error) {
		metadata := sightOf("left over", "0", labelledFor("main"))
		err := metadataCache{labelled: fake.NewClientBuilder().Build(), others: v}.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, asSecret(metadata))
		return metadata.ResourceVersion, err
	}
	t.Run("of all namespaces", func(t *testing.T) {
		g := NewWithT(t)
		v := newVersions(nil, nil)
		_, err := read(v, "shop", "a")
		g.Expect(err).To(MatchError("the versions of Secrets are not known yet"))
		g.Expect(v.stores[""].Replace([]any{sightOf("a", "7")}, "7")).To(Succeed())
		g.Expect(read(v, "shop", "a")).To(Equal("7"))
		for _, key := range []client.ObjectKey{{Namespace: "shop", Name: "b"}, {Namespace: "outlet", Name: "a"}} {
			_, err = read(v, key.Namespace, key.Name)
			g.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
		}
		g.Expect(v.waitFilled(t.Context())).To(Succeed())
	})
	t.Run("of two namespaces", func(t *testing.T) {
		g := NewWithT(t)
		v := newVersions(nil, []string{"shop", "outlet"})
		g.Expect(v.stores["shop"].Replace([]any{sightOf("a", "7")}, "7")).To(Succeed())
		g.Expect(read(v, "shop", "a")).To(Equal("7"))
		_, err := read(v, "outlet", "a")
		g.Expect(err).To(MatchError("the versions of Secrets are not known yet"))
		_, err = read(v, "elsewhere", "a")
		g.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
		waiting := make(chan error, 1)
		go func() { waiting <- versionSource{versions: v}.WaitForSync(t.Context()) }()
		g.Consistently(waiting, "50ms").ShouldNot(Receive())
		g.Expect(v.stores["outlet"].Replace(nil, "7")).To(Succeed())
		g.Eventually(waiting).Should(Receive(BeNil()))
	})
}

// TestWhereASecretIsKnownFrom reads Secrets that two watches show, one after the other.
func TestWhereASecretIsKnownFrom(t *testing.T) {
	for name, test := range map[string]struct {
		labelled, other string
		// want is the version that holds; empty for none.
		want string
	}{
		"with the label":              {"7", "", "7"},
		"without it":                  {"", "7", "7"},
		"which it has just lost":      {"7", "8", "8"},
		"which it has just got":       {"8", "7", "8"},
		"that exists no more":         {"", "", ""},
		"at a version of more digits": {"9", "10", "10"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			labelled := fake.NewClientBuilder()
			if test.labelled != "" {
				labelled.WithObjects(&corev1.Secret{ObjectMeta: sightOf("main-token", test.labelled, labelledFor("main")).ObjectMeta})
			}
			v := newVersions(nil, nil)
			var others []any
			if test.other != "" {
				others = append(others, sightOf("main-token", test.other, controlledBy("uid-1")))
			}
			g.Expect(v.stores[""].Replace(others, "9")).To(Succeed())
			found := asSecret(&metav1.PartialObjectMetadata{})
			err := metadataCache{labelled: labelled.Build(), others: v}.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "main-token"}, found)
			if test.want == "" {
				g.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
				return
			}
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(found.ResourceVersion).To(Equal(test.want))
			g.Expect(tokensecret.Owned(found, versionsAccount())).To(BeTrue())
		})
	}
}

func asSecret(metadata *metav1.PartialObjectMetadata) *metav1.PartialObjectMetadata {
	metadata.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	return metadata
}

// TestWhoseASecretIs compares what is known of a Secret with the whole.
func TestWhoseASecretIs(t *testing.T) {
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
		"made by it, and stripped of labels":    {[]func(*metav1.ObjectMeta){controlledBy("uid-1")}, true, true},
		"left behind by deletionPolicy Keep":    {[]func(*metav1.ObjectMeta){labelledFor("main")}, true, true},
		"of another account":                    {[]func(*metav1.ObjectMeta){labelledFor("other"), controlledBy("uid-2")}, false, true},
		"of a former account of the name":       {[]func(*metav1.ObjectMeta){labelledFor("main"), controlledBy("uid-2")}, false, true},
		"left behind by another":                {[]func(*metav1.ObjectMeta){labelledFor("other")}, false, true},
		"a tenant's":                            {nil, false, false},
		"a tenant's with our label":             {[]func(*metav1.ObjectMeta){managed}, false, false},
		"a tenant's with the other label":       {[]func(*metav1.ObjectMeta){func(o *metav1.ObjectMeta) { metav1.SetMetaDataLabel(o, v1alpha1.LabelAccount, "main") }}, false, false},
		"another operator's with all labels":    {[]func(*metav1.ObjectMeta){labelledFor("main"), controlled("cert-manager.io/v1", "Certificate")}, false, false},
		"another kind's of the group":           {[]func(*metav1.ObjectMeta){labelledFor("main"), controlled("tokenkeeper.dev/v1alpha1", "Marketplace")}, false, false},
		"the kind's of another group":           {[]func(*metav1.ObjectMeta){labelledFor("main"), controlled("example.com/v1", "MarketplaceAccount")}, false, false},
		"an account's of another version":       {[]func(*metav1.ObjectMeta){labelledFor("other"), controlled("tokenkeeper.dev/v2", "MarketplaceAccount")}, false, true},
		"with an owner that is spelled wrongly": {[]func(*metav1.ObjectMeta){labelledFor("main"), controlled("a/b/c", "MarketplaceAccount")}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			secret := &corev1.Secret{
				ObjectMeta: sightOf("main-token", "7", test.changes...).ObjectMeta,
				Type:       "example.com/type", Data: map[string][]byte{"key": []byte("value")},
			}
			secret.Annotations = map[string]string{"theirs": "x"}
			secret.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "x"}}
			metav1.SetMetaDataLabel(&secret.ObjectMeta, "theirs", "x")
			whole := secret.DeepCopy()
			g.Expect(tokensecret.Owned(whole, versionsAccount())).To(Equal(test.owned))
			if whole.Labels[v1alpha1.LabelManagedBy] == "" {
				seen, err := sight(sightOf("main-token", "7", test.changes...))
				g.Expect(err).NotTo(HaveOccurred())
				known := &metav1.PartialObjectMetadata{ObjectMeta: seen.metadata(client.ObjectKeyFromObject(secret))}
				g.Expect(known.Namespace + "/" + known.Name + "@" + known.ResourceVersion).To(Equal("shop/main-token@7"))
				g.Expect(tokensecret.Owned(known, versionsAccount())).To(Equal(test.owned))
				return
			}

			for range 2 { // a list that is streamed passes it twice
				kept, err := keeperOf(t).secret(secret)
				g.Expect(err).NotTo(HaveOccurred())
				secret = kept.(*corev1.Secret)
			}
			g.Expect(secret.ManagedFields).To(BeEmpty())
			g.Expect(secret.Type).To(Equal(whole.Type))
			g.Expect(secret.ResourceVersion).To(Equal("7"))
			g.Expect(tokensecret.Owned(secret, versionsAccount())).To(Equal(test.owned))
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
		for _, transform := range []toolscache.TransformFunc{keeperOf(t).secret, keeperOf(t).account, keeperOf(t).marketplace, keepLabels} {
			g.Expect(transform(toolscache.DeletedFinalStateUnknown{Key: "a"})).To(Equal(toolscache.DeletedFinalStateUnknown{Key: "a"}))
		}
	})
}

// keeperOf keeps what these accounts need.
func keeperOf(t *testing.T) *keeper {
	t.Helper()
	k := &keeper{}
	k.accounts.Store(new(versionsLookup(t).cache))
	return k
}

// versionsLookup knows two accounts of one Marketplace.
func versionsLookup(t *testing.T) lookup {
	t.Helper()
	scheme, err := Scheme()
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	second := versionsAccount()
	second.Namespace, second.Name, second.UID, second.Spec.ApplicationSecretRef.Name = "outlet", "second", "uid-3", ""
	builder := fake.NewClientBuilder().WithScheme(scheme).WithObjects(versionsAccount(), second, &v1alpha1.Marketplace{
		ObjectMeta: metav1.ObjectMeta{Name: "allegro"},
		Spec: v1alpha1.MarketplaceSpec{Application: &v1alpha1.Application{
			SecretRef: v1alpha1.NamespacedSecretReference{Namespace: "outlet", Name: "shared"},
		}},
	})
	for index, extract := range map[string]func(*v1alpha1.MarketplaceAccount) []string{
		indexSecret:      secretsOf,
		indexMarketplace: func(a *v1alpha1.MarketplaceAccount) []string { return []string{a.Spec.MarketplaceRef.Name} },
	} {
		builder.WithIndex(&v1alpha1.MarketplaceAccount{}, index, func(object client.Object) []string {
			return extract(object.(*v1alpha1.MarketplaceAccount))
		})
	}
	return lookup{builder.Build()}
}

// TestWhoHearsOfASecret tells the changes of Secrets to a queue.
func TestWhoHearsOfASecret(t *testing.T) {
	own := controlledBy("uid-1")
	another := func(o *metav1.ObjectMeta) { o.Namespace = "outlet" }
	for name, test := range map[string]struct {
		before, after *metav1.PartialObjectMetadata
		want          []string
	}{
		"the application is written": {sightOf("app", "1"), sightOf("app", "2"), []string{"shop/main"}},
		"the application comes":      {nil, sightOf("app", "1"), []string{"shop/main"}},
		"the application goes":       {sightOf("app", "1"), nil, []string{"shop/main"}},
		"the application of its marketplace": {
			sightOf("shared", "1", another), sightOf("shared", "2", another), []string{"outlet/second", "shop/main"},
		},
		"nobody's":                  {sightOf("x", "1"), sightOf("x", "2"), nil},
		"the same name elsewhere":   {sightOf("app", "1", another), sightOf("app", "2", another), nil},
		"its own loses its labels":  {nil, sightOf("main-token", "2", own), []string{"shop/main"}},
		"and is written after that": {sightOf("main-token", "2", own), sightOf("main-token", "3", own), []string{"shop/main"}},
		"and gets them back":        {sightOf("main-token", "3", own), nil, []string{"shop/main"}},
		"its place is taken":        {nil, sightOf("main-grant", "1"), []string{"shop/main"}},
		"its place becomes free":    {sightOf("main-token", "1"), nil, []string{"shop/main"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			v := newVersions(nil, nil)
			store := v.stores[""]
			var first []any
			if test.before != nil {
				first = append(first, test.before)
			}
			g.Expect(store.Replace(first, "1")).To(Succeed())
			queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
			defer queue.ShutDown()
			g.Expect(versionSource{v, versionsLookup(t)}.Start(t.Context(), queue)).To(Succeed())
			if test.after != nil {
				g.Expect(store.Update(test.after)).To(Succeed())
			} else {
				g.Expect(store.Delete(test.before)).To(Succeed())
			}
			var heard []string
			for queue.Len() > 0 {
				request, _ := queue.Get()
				heard = append(heard, request.String())
			}
			g.Expect(heard).To(ConsistOf(test.want))
		})
	}
}

// TestWhoHearsOfALabelledSecret is the same for the watch of Secrets with our labels.
func TestWhoHearsOfALabelledSecret(t *testing.T) {
	for name, test := range map[string]struct {
		secret *metav1.PartialObjectMetadata
		want   []string
	}{
		"its own":                        {sightOf("main-token", "1", labelledFor("main")), []string{"shop/main"}},
		"another's in its place":         {sightOf("main-grant", "1", labelledFor("other")), []string{"shop/main", "shop/other"}},
		"half labelled, in its place":    {sightOf("main-token", "1"), []string{"shop/main"}},
		"an application with our labels": {sightOf("app", "1", labelledFor("other")), []string{"shop/main", "shop/other"}},
		"a name that nobody uses":        {sightOf("x", "1", labelledFor("other")), []string{"shop/other"}},
		"half labelled":                  {sightOf("x", "1"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			heard := sets.New[string]()
			for _, request := range versionsLookup(t).accountsOfLabelledSecret(t.Context(), test.secret) {
				heard.Insert(request.String())
			}
			g.Expect(heard.UnsortedList()).To(ConsistOf(test.want))
		})
	}
}

// TestMemoryOfForeignSecrets prints what a Secret of others costs.
func TestMemoryOfForeignSecrets(t *testing.T) {
	const secrets = 30_000
	alive := func() uint64 {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	foreign := func(i int) *metav1.PartialObjectMetadata {
		return &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
			Namespace: fmt.Sprintf("team-%03d", i%100), Name: fmt.Sprintf("sh.helm.release.v1.release-%05d.v1", i),
			ResourceVersion: fmt.Sprint(100_000 + i), UID: types.UID(fmt.Sprintf("3f1c7a52-0000-4000-8000-%012d", i)),
			Labels:        map[string]string{"app.kubernetes.io/managed-by": "helm", "name": fmt.Sprintf("release-%05d", i)},
			Annotations:   map[string]string{"kubectl.kubernetes.io/last-applied-configuration": strings.Repeat("x", 500)},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "helm", FieldsV1: metav1.NewFieldsV1(strings.Repeat("x", 300))}},
		}}
	}
	store := newVersionStore(func(change) {})
	before := alive()
	list := make([]any, secrets)
	for i := range list {
		seen, err := store.Transformer()(foreign(i))
		if err != nil {
			t.Fatal(err)
		}
		list[i] = seen
	}
	during := alive()
	if err := store.Replace(list, "1"); err != nil {
		t.Fatal(err)
	}
	clear(list)
	each := float64(alive()-before) / secrets
	t.Logf("%.0f bytes for each of %d foreign Secrets, and %.0f more while they are listed", each, secrets, float64(during-before)/secrets)
	if each > 600 {
		t.Errorf("a foreign Secret takes %.0f bytes, want at most 600", each)
	}
	runtime.KeepAlive(store)
}
