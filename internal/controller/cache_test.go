package controller_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	clients "github.com/tokenkeeper/tokenkeeper/internal/kube"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// cached returns the cache that an operator of the story's namespace reads from.
func (w *world) cached() client.Reader {
	w.T.Helper()
	options, err := clients.Shard{Namespaces: []string{w.Namespace}}.ManagerOptions(manager.Options{Metrics: metricsserver.Options{BindAddress: "0"}})
	w.Expect(err).NotTo(HaveOccurred())
	mgr, err := manager.New(apiServer.Config, options)
	w.Expect(err).NotTo(HaveOccurred())
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	w.T.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			w.T.Errorf("the manager ended with: %v", err)
		}
	})
	w.Expect(mgr.GetCache().WaitForCacheSync(ctx)).To(BeTrue())
	return mgr.GetCache()
}

func labelled(secret *corev1.Secret, account string) *corev1.Secret {
	metav1.SetMetaDataLabel(&secret.ObjectMeta, v1alpha1.LabelManagedBy, v1alpha1.ManagedBy)
	if account != "" {
		metav1.SetMetaDataLabel(&secret.ObjectMeta, v1alpha1.LabelAccount, account)
	}
	return secret
}

func TestTheDataOfOthersIsNotHeld(t *testing.T) {
	w := newWorld(t)
	w.prepare("allegro", v1alpha1.GrantRefreshToken)
	w.start()
	w.expectReady()
	theirs := func(name string) *corev1.Secret {
		secret := secretOf(w.Namespace, name, map[string]string{"key": "value"})
		metav1.SetMetaDataAnnotation(&secret.ObjectMeta, "example.com/note", "hello")
		return secret
	}
	controlled := labelled(theirs("controlled"), "main")
	controlled.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "ConfigMap", Name: "x", UID: "uid-9", Controller: new(true)}}
	w.Create(theirs("plain"), labelled(theirs("labelled"), ""), controlled)

	cache := w.cached()
	read := func(name string) (*corev1.Secret, error) {
		secret := &corev1.Secret{}
		err := cache.Get(t.Context(), client.ObjectKey{Namespace: w.Namespace, Name: name}, secret)
		return secret, err
	}
	for _, name := range []string{"main-grant", "main-token"} {
		held, err := read(name)
		w.Expect(err).NotTo(HaveOccurred())
		w.Expect(held.ManagedFields).To(BeEmpty())
		want := w.readSecret(name)
		want.ManagedFields = nil
		w.Expect(held.ObjectMeta).To(Equal(want.ObjectMeta))
		if name == "main-token" {
			want = tokensecret.Digest(want)
			w.Expect(fmt.Sprint(held)).NotTo(ContainSubstring(w.token()["access_token"]))
		}
		w.Expect(held.Data).To(Equal(want.Data))
	}
	for _, name := range []string{"labelled", "controlled"} {
		held, err := read(name)
		w.Expect(err).NotTo(HaveOccurred())
		w.Expect(held.Data).To(BeEmpty(), name)
		w.Expect(held.Annotations).To(BeEmpty(), name)
		w.Expect(held.ManagedFields).To(BeEmpty(), name)
	}
	for _, name := range []string{"plain", "app", "import"} {
		_, err := read(name)
		w.Expect(client.IgnoreNotFound(err)).To(Succeed())
		w.Expect(err).To(HaveOccurred(), "%s is held", name)
	}
}

// A Secret that users write has labels of ours, by whatever mistake: it is no credential before they are gone.
func TestAnApplicationsChangeReachesItsAccount(t *testing.T) {
	t.Parallel()
	for name, account := range map[string]string{"plain": "", "with our labels": "main"} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.marketplace("allegro")
			app := secretOf(w.Namespace, "app", map[string]string{"client_id": demomarket.DefaultClientID, "client_secret": "not-this-one"})
			if account != "" {
				labelled(app, account)
			}
			w.Create(app)
			w.account("allegro", v1alpha1.GrantClientCredentials)
			w.start()
			if account != "" {
				w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSecretInvalid)
				app = w.readSecret("app")
				delete(app.Labels, v1alpha1.LabelManagedBy)
				delete(app.Labels, v1alpha1.LabelAccount)
				w.Expect(kube.Update(t.Context(), app)).To(Succeed())
			}
			w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonApplicationRejected)
			w.settle()
			w.editSecret("app", map[string]string{"client_secret": demomarket.DefaultClientSecret})
			w.expectReady()
			w.settle()
			w.Delete(w.readSecret("app"))
			w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonSecretNotFound)
		})
	}
}

// A Secret in the place of an account's own is told to that account, whoever it says to belong to.
func TestAPlaceThatAnotherAccountHas(t *testing.T) {
	w := newWorld(t)
	w.prepare("allegro", v1alpha1.GrantRefreshToken)
	taken := labelled(secretOf(w.Namespace, "main-token", map[string]string{"key": "value"}), "other")
	w.Create(taken)
	w.start()
	w.expect(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSecretConflict)
	w.settle()
	w.Delete(taken)
	w.expectReady()
}

// An API server that does not stream lists, as before Kubernetes 1.34, is asked for pages.
func TestAnAPIServerThatDoesNotStream(t *testing.T) {
	w := newWorld(t)
	w.prepare("allegro", v1alpha1.GrantRefreshToken)
	var refused, pages atomic.Int32
	w.traffic.refusing(func(request *http.Request) *http.Response {
		query := request.URL.Query()
		if query.Get("sendInitialEvents") != "" {
			refused.Add(1)
			return refusal(http.StatusUnprocessableEntity, metav1.StatusReasonInvalid)
		}
		if strings.Contains(request.Header.Get("Accept"), "as=PartialObjectMetadataList") && strings.HasSuffix(request.URL.Path, "/secrets") &&
			query.Get("limit") == fmt.Sprint(bounds.ListPage) && query.Get("resourceVersion") == "" {
			pages.Add(1)
		}
		return nil
	})
	w.start()
	w.expectReady()
	w.Expect(refused.Load()).NotTo(BeZero())
	w.Expect(pages.Load()).To(BeEquivalentTo(1))
	w.Delete(w.readSecret("app"))
	w.expect(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonSecretNotFound)
}
