package secretversions

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

var account = &v1alpha1.MarketplaceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "main", UID: "uid-1"}}

func metadataOf(name, version string, changes ...func(*metav1.ObjectMeta)) *metav1.PartialObjectMetadata {
	secret := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, ResourceVersion: version}}
	for _, change := range changes {
		change(&secret.ObjectMeta)
	}
	return secret
}

func controlledBy(apiVersion, kind string, uid types.UID) func(*metav1.ObjectMeta) {
	return func(o *metav1.ObjectMeta) {
		o.OwnerReferences = []metav1.OwnerReference{{APIVersion: apiVersion, Kind: kind, Name: "x", UID: uid, Controller: new(true)}}
	}
}

func TestAStoreReportsWhatChanged(t *testing.T) {
	g := NewWithT(t)
	var told []string
	store := newVersionStore(func(c change) {
		told = append(told, fmt.Sprintf("%s: %q to %q", c.key, c.before.ResourceVersion, c.after.ResourceVersion))
	})
	tells := func(changes ...string) {
		t.Helper()
		g.Expect(told).To(ConsistOf(changes))
		told = nil
	}
	g.Expect(store.Replace([]any{metadataOf("a", "1"), metadataOf("b", "2"), metadataOf("c", "3")}, "3")).To(Succeed())
	tells()
	g.Expect(store.Add(metadataOf("d", "4"))).To(Succeed())
	tells(`shop/d: "" to "4"`)
	g.Expect(store.Update(metadataOf("a", "5"))).To(Succeed())
	tells(`shop/a: "1" to "5"`)
	g.Expect(store.Update(metadataOf("a", "5"))).To(Succeed())
	g.Expect(store.Resync()).To(Succeed())
	tells()
	g.Expect(store.Delete(metadataOf("b", "6"))).To(Succeed())
	tells(`shop/b: "2" to ""`)
	g.Expect(store.Delete(metadataOf("b", "6"))).To(Succeed())
	tells()

	// The watch was away for a while; the list comes as the reflector holds it when it was streamed.
	var streamed []any
	for _, secret := range []*metav1.PartialObjectMetadata{metadataOf("a", "9"), metadataOf("c", "3"), metadataOf("e", "8")} {
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
	read := func(v *Versions, namespace, name string) (string, error) {
		version, err := v.Get(client.ObjectKey{Namespace: namespace, Name: name})
		return version.ResourceVersion, err
	}
	t.Run("of all namespaces", func(t *testing.T) {
		g := NewWithT(t)
		v := New(nil, nil)
		_, err := read(v, "shop", "a")
		g.Expect(err).To(MatchError("the versions of Secrets are not known yet"))
		g.Expect(v.stores[""].Replace([]any{metadataOf("a", "7")}, "7")).To(Succeed())
		g.Expect(read(v, "shop", "a")).To(Equal("7"))
		g.Expect(read(v, "shop", "b")).To(BeEmpty())
		g.Expect(read(v, "outlet", "a")).To(BeEmpty())
		g.Expect(v.WaitFilled(t.Context())).To(Succeed())
	})
	t.Run("of two namespaces", func(t *testing.T) {
		g := NewWithT(t)
		v := New(nil, []string{"shop", "outlet"})
		g.Expect(v.stores["shop"].Replace([]any{metadataOf("a", "7")}, "7")).To(Succeed())
		g.Expect(read(v, "shop", "a")).To(Equal("7"))
		_, err := read(v, "outlet", "a")
		g.Expect(err).To(MatchError("the versions of Secrets are not known yet"))
		g.Expect(read(v, "elsewhere", "a")).To(BeEmpty())
		waiting := make(chan error, 1)
		go func() { waiting <- v.Source(nil).WaitForSync(t.Context()) }()
		g.Consistently(waiting, "50ms").ShouldNot(Receive())
		g.Expect(v.stores["outlet"].Replace(nil, "7")).To(Succeed())
		g.Eventually(waiting).Should(Receive(BeNil()))
	})
}

// TestWhoseASecretIs compares what is known of a Secret, and of its use, with the whole.
func TestWhoseASecretIs(t *testing.T) {
	const ours = "tokenkeeper.dev/v1alpha1"
	for name, test := range map[string]struct {
		changes []func(*metav1.ObjectMeta)
		owned   bool
	}{
		"made by the operator, and stripped of labels": {[]func(*metav1.ObjectMeta){controlledBy(ours, "MarketplaceAccount", "uid-1")}, true},
		"of a former account of the name":              {[]func(*metav1.ObjectMeta){controlledBy(ours, "MarketplaceAccount", "uid-2")}, false},
		"another kind's of the group":                  {[]func(*metav1.ObjectMeta){controlledBy(ours, "Marketplace", "uid-1")}, false},
		"the kind's of another group":                  {[]func(*metav1.ObjectMeta){controlledBy("example.com/v1", "MarketplaceAccount", "uid-1")}, false},
		"a tenant's":                                   {nil, false},
		"a tenant's with a label of ours": {[]func(*metav1.ObjectMeta){func(o *metav1.ObjectMeta) {
			metav1.SetMetaDataLabel(o, v1alpha1.LabelAccount, "main")
		}}, false},
		"a credential": {[]func(*metav1.ObjectMeta){func(o *metav1.ObjectMeta) {
			metav1.SetMetaDataLabel(o, v1alpha1.LabelUse, "login.application")
		}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			whole := metadataOf("main-token", "7", test.changes...)
			g.Expect(tokensecret.Owned(whole, account)).To(Equal(test.owned))
			seen, err := versionOf(whole)
			g.Expect(err).NotTo(HaveOccurred())
			known := &metav1.PartialObjectMetadata{ObjectMeta: seen.Metadata(client.ObjectKeyFromObject(whole))}
			g.Expect(known.Namespace + "/" + known.Name + "@" + known.ResourceVersion).To(Equal("shop/main-token@7"))
			g.Expect(tokensecret.Owned(known, account)).To(Equal(test.owned))
			g.Expect(tokensecret.UsesOf(known.Labels)).To(Equal(tokensecret.UsesOf(whole.Labels)))
		})
	}
}

// Each change of a Secret enqueues the accounts that it concerns, and none does before the first list.
func TestChangesAreEnqueued(t *testing.T) {
	for name, test := range map[string]struct {
		before, after *metav1.PartialObjectMetadata
		want          []string
	}{
		"it is written":   {metadataOf("app", "1"), metadataOf("app", "2"), []string{"shop/app"}},
		"it comes":        {nil, metadataOf("app", "1"), []string{"shop/app"}},
		"it goes":         {metadataOf("app", "1"), nil, []string{"shop/app"}},
		"it is no change": {metadataOf("app", "1"), metadataOf("app", "1"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			v := New(nil, nil)
			queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
			defer queue.ShutDown()
			concerned := func(_ context.Context, secret client.ObjectKey) []reconcile.Request {
				return []reconcile.Request{{NamespacedName: secret}}
			}
			g.Expect(v.Source(concerned).Start(t.Context(), queue)).To(Succeed())
			store := v.stores[""]
			var first []any
			if test.before != nil {
				first = append(first, test.before)
			}
			g.Expect(store.Replace(first, "1")).To(Succeed())
			g.Expect(queue.Len()).To(BeZero())
			if test.after != nil {
				g.Expect(store.Update(test.after)).To(Succeed())
			} else {
				g.Expect(store.Delete(test.before)).To(Succeed())
			}
			var enqueued []string
			for queue.Len() > 0 {
				request, _ := queue.Get()
				enqueued = append(enqueued, request.String())
			}
			g.Expect(enqueued).To(Equal(test.want))
		})
	}
}

// TestMemoryOfForeignSecrets bounds the memory that a foreign Secret takes.
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
