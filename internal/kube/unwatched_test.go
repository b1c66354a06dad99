package kube

import (
	"context"
	"errors"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	testingclock "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
	"github.com/tokenkeeper/tokenkeeper/internal/usersecrets"
)

// apart is a cluster of which "shop" is watched, with an application that lies in "apps".
type apart struct {
	*WithT
	*unwatchedMetadata
	t      *testing.T
	clock  *testingclock.FakeClock
	server client.Client
	reads  int
	fails  error
}

var sharedApp = client.ObjectKey{Namespace: "apps", Name: "app"}

func newApart(t *testing.T) *apart {
	t.Helper()
	a := &apart{WithT: NewWithT(t), t: t, clock: testingclock.NewFakeClock(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC))}
	scheme, err := Scheme()
	a.Expect(err).NotTo(HaveOccurred())
	a.server = fake.NewClientBuilder().WithScheme(scheme).WithObjects(&v1alpha1.Marketplace{
		ObjectMeta: metav1.ObjectMeta{Name: "allegro"},
		Spec: v1alpha1.MarketplaceSpec{Application: &v1alpha1.Application{
			SecretRef: v1alpha1.NamespacedSecretReference{Namespace: sharedApp.Namespace, Name: sharedApp.Name},
		}},
	}).Build()
	cached := namespacedReader{a.server, []string{"shop"}}
	a.unwatchedMetadata = newUnwatchedMetadata(cached, cached, a, a.clock)
	return a
}

// Get implements client.Reader for what is read from the API server.
func (a *apart) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	a.reads++
	if a.fails != nil {
		return a.fails
	}
	return a.server.Get(ctx, key, object, options...)
}

// List implements client.Reader.
func (a *apart) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return errors.New("only Secrets are read here, by their name")
}

// version is what a reconcile sees of the application.
func (a *apart) version() (string, error) {
	metadata := SecretMetadata()
	err := a.unwatchedMetadata.Get(a.t.Context(), sharedApp, metadata)
	return metadata.ResourceVersion, err
}

func (a *apart) write() {
	a.t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: sharedApp.Namespace, Name: sharedApp.Name}}
	err := a.server.Create(a.t.Context(), secret)
	if apierrors.IsAlreadyExists(err) {
		secret.Data = map[string][]byte{"client_secret": []byte(a.clock.Now().String())}
		err = a.server.Update(a.t.Context(), secret)
	}
	a.Expect(err).NotTo(HaveOccurred())
}

func TestAnApplicationElsewhere(t *testing.T) {
	t.Run("is read once a minute, whatever many accounts ask", func(t *testing.T) {
		a := newApart(t)
		a.write()
		first, err := a.version()
		a.Expect(err).NotTo(HaveOccurred())
		a.write()
		a.clock.Step(entryLife - time.Second)
		a.Expect(a.version()).To(Equal(first))
		a.Expect(a.reads).To(Equal(1))
		a.clock.Step(time.Second)
		a.Expect(a.version()).NotTo(Equal(first))
		a.Expect(a.reads).To(Equal(2))
	})
	t.Run("its absence and its refusal are answers too", func(t *testing.T) {
		a := newApart(t)
		a.fails = apierrors.NewForbidden(corev1.Resource("secrets"), "app", nil)
		for range 3 {
			_, err := a.version()
			a.Expect(apierrors.IsForbidden(err)).To(BeTrue(), "%v", err)
		}
		a.Expect(a.reads).To(Equal(1))
		_, err := (&usersecrets.Cache{Metadata: a.unwatchedMetadata, Live: a}).Get(t.Context(), sharedApp, tokensecret.UseOfMarketplace, "")
		a.Expect(err).To(MatchError(usersecrets.ErrForbidden))
	})
	t.Run("an API server that is away is asked again", func(t *testing.T) {
		a := newApart(t)
		a.write()
		a.fails = errors.New("connection refused")
		_, err := a.version()
		a.Expect(err).To(MatchError(a.fails))
		a.fails = nil
		_, err = a.version()
		a.Expect(err).NotTo(HaveOccurred())
	})
	t.Run("its accounts hear of a change once", func(t *testing.T) {
		a := newApart(t)
		_, err := a.version()
		a.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
		a.Expect(a.readAll(t.Context())).To(BeEmpty())
		a.write()
		a.Expect(a.readAll(t.Context())).To(ConsistOf(sharedApp))
		a.Expect(a.readAll(t.Context())).To(BeEmpty())
		_, err = a.version()
		a.Expect(err).NotTo(HaveOccurred())
	})
	t.Run("also when a reconcile has found it first", func(t *testing.T) {
		a := newApart(t)
		_, _ = a.version()
		a.write()
		a.clock.Step(entryLife)
		_, err := a.version()
		a.Expect(err).NotTo(HaveOccurred())
		a.Expect(a.readAll(t.Context())).To(ConsistOf(sharedApp), "the others do not know yet")
	})
	t.Run("is forgotten with its Marketplace", func(t *testing.T) {
		a := newApart(t)
		_, _ = a.version()
		a.Expect(a.server.Delete(t.Context(), &v1alpha1.Marketplace{ObjectMeta: metav1.ObjectMeta{Name: "allegro"}})).To(Succeed())
		a.Expect(a.readAll(t.Context())).To(BeEmpty())
		a.Expect(a.entries).To(BeEmpty())
	})
	t.Run("a watched namespace costs no request", func(t *testing.T) {
		a := newApart(t)
		err := a.unwatchedMetadata.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "app"}, SecretMetadata())
		a.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
		a.Expect(a.reads).To(BeZero())
	})
}
