package departures

import (
	"context"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/accountindex"
	"github.com/tokenkeeper/tokenkeeper/internal/kube"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
	"github.com/tokenkeeper/tokenkeeper/internal/usersecrets"
)

// countingReader counts reads of the API server.
type countingReader struct {
	client.Reader
	reads int
}

func (c *countingReader) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	c.reads++
	return c.Reader.Get(ctx, key, object, options...)
}

// nothingPending is a memory in which no tokens wait.
type nothingPending struct{}

func (nothingPending) HasPending(*v1alpha1.MarketplaceAccount) bool              { return false }
func (nothingPending) Flush(context.Context, *v1alpha1.MarketplaceAccount) error { return nil }
func (nothingPending) Forget(*v1alpha1.MarketplaceAccount)                       {}

// What is kept of users' Secrets in memory goes with the last account that refers to it.
func TestSecretsOfUsersAreForgotten(t *testing.T) {
	account := func(name, application string) *v1alpha1.MarketplaceAccount {
		return &v1alpha1.MarketplaceAccount{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID(name)},
			Spec:       v1alpha1.MarketplaceAccountSpec{ApplicationSecretRef: v1alpha1.SecretReference{Name: application}},
		}
	}
	for name, test := range map[string]struct {
		before, after *v1alpha1.MarketplaceAccount
		others        []client.Object
		held          bool
	}{
		"the account is deleted":            {before: account("main", "app")},
		"another account still refers":      {before: account("main", "app"), others: []client.Object{account("second", "app")}, held: true},
		"the account refers to another one": {before: account("main", "app"), after: account("main", "new-app")},
		"the account changes otherwise":     {before: account("main", "app"), after: account("main", "app"), held: true},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			scheme, err := kube.Scheme()
			g.Expect(err).NotTo(HaveOccurred())
			secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app"}}
			objects := append([]client.Object{secret}, test.others...)
			if test.after != nil {
				objects = append(objects, test.after)
			}
			server := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
				WithIndex(&v1alpha1.MarketplaceAccount{}, accountindex.BySecret.Name(), accountindex.BySecret.Buckets).Build()
			live := &countingReader{Reader: server}
			users := &usersecrets.Cache{Metadata: server, Live: live}
			staying := reconcile.Func(func(context.Context, reconcile.Request) (reconcile.Result, error) { return reconcile.Result{}, nil })
			d := New(&kube.Clients{Cached: server, Live: live, UserSecrets: users}, nothingPending{}, staying)
			key := client.ObjectKeyFromObject(secret)
			_, err = users.Get(t.Context(), key, tokensecret.UseApplication, "")
			g.Expect(err).NotTo(HaveOccurred())

			queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
			defer queue.ShutDown()
			if test.after == nil {
				d.Notices().Delete(t.Context(), event.DeleteEvent{Object: test.before}, queue)
			} else {
				d.Notices().Update(t.Context(), event.UpdateEvent{ObjectOld: test.before, ObjectNew: test.after}, queue)
			}
			for queue.Len() > 0 {
				request, _ := queue.Get()
				_, err := d.Reconcile(t.Context(), request)
				g.Expect(err).NotTo(HaveOccurred())
				queue.Done(request)
			}
			_, err = users.Get(t.Context(), key, tokensecret.UseApplication, "")
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(live.reads == 1).To(Equal(test.held), "a Secret that is held is read once")
			g.Expect(d.departed).To(BeEmpty())
		})
	}
}
