package usersecrets

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// reads counts the Secrets that are read whole.
type reads struct {
	client.Reader
	whole int
}

func (r *reads) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	r.whole++
	return r.Reader.Get(ctx, key, object, options...)
}

// TestSecretsAreReadOnceTheirLabelAllowsIt is S8b: without the label nothing of a Secret gets into the process, with it the Secret is read once, and
// what was read is not handed out any more when the label is gone.
func TestSecretsAreReadOnceTheirLabelAllowsIt(t *testing.T) {
	g := NewWithT(t)
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app"},
		Data:       map[string][]byte{"client_id": []byte("id"), "client_secret": []byte("s3cret")},
	}
	key := client.ObjectKeyFromObject(secret)
	cluster := fake.NewClientBuilder().WithObjects(secret).Build()
	live := &reads{Reader: cluster}
	users := &Cache{Metadata: cluster, Live: live, RequireUseLabel: true}
	get := func(use tokensecret.Uses) (*Secret, error) { return users.Get(t.Context(), key, use, "") }
	label := func(value string) {
		g.Expect(cluster.Get(t.Context(), key, secret)).To(Succeed())
		secret.Labels = nil
		if value != "" {
			secret.Labels = map[string]string{v1alpha1.LabelUse: value}
		}
		g.Expect(cluster.Update(t.Context(), secret)).To(Succeed())
	}
	refused := func(use tokensecret.Uses, allowed string) {
		t.Helper()
		got, err := get(use)
		why, ok := errors.AsType[*UseError](err)
		g.Expect(ok).To(BeTrue(), "%v", err)
		g.Expect(got).To(BeNil())
		g.Expect(why.Allowed.String()).To(Equal(allowed))
	}

	refused(tokensecret.UseApplication, "")
	label("login")
	refused(tokensecret.UseApplication, "login")
	label("applications")
	refused(tokensecret.UseApplication, "")
	g.Expect(live.whole).To(BeZero(), "nothing of it was read")

	label("login.application")
	for range 2 {
		got, err := get(tokensecret.UseApplication)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(got.Data).To(HaveKeyWithValue("client_secret", []byte("s3cret")))
	}
	g.Expect(live.whole).To(Equal(1))
	refused(tokensecret.UseRefreshToken, "application.login")

	label("")
	refused(tokensecret.UseApplication, "")
	g.Expect(live.whole).To(Equal(1))

	_, err := get(tokensecret.UseOfMarketplace)
	g.Expect(err).NotTo(HaveOccurred(), "a Marketplace's own application needs none")

	users = &Cache{Metadata: cluster, Live: live}
	got, err := get(tokensecret.UseApplication)
	g.Expect(err).NotTo(HaveOccurred(), "nor does any where labels are not required")
	g.Expect(got.Allowed.Allows(tokensecret.UseApplication)).To(BeFalse())
}

// TestALabelThatIsGoneBeforeTheSecretIsRead is S8b where the metadata at hand is older than the Secret.
func TestALabelThatIsGoneBeforeTheSecretIsRead(t *testing.T) {
	g := NewWithT(t)
	secret := func(labels map[string]string) client.Client {
		return fake.NewClientBuilder().WithObjects(&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app", Labels: labels}, Data: map[string][]byte{"client_id": []byte("id")},
		}).Build()
	}
	users := &Cache{Metadata: secret(map[string]string{v1alpha1.LabelUse: v1alpha1.UseApplication}), Live: secret(nil), RequireUseLabel: true}
	_, err := users.Get(t.Context(), client.ObjectKey{Namespace: "shop", Name: "app"}, tokensecret.UseApplication, "")
	_, refused := errors.AsType[*UseError](err)
	g.Expect(refused).To(BeTrue(), "%v", err)
	g.Expect(users.held).To(BeEmpty())
}

// TestSecretsOfTheOperatorAreNoCredentials is S8a: authors of accounts decide what a token Secret holds, and may not have it sent to a marketplace.
func TestSecretsOfTheOperatorAreNoCredentials(t *testing.T) {
	for name, change := range map[string]func(*corev1.Secret){
		"in use": func(s *corev1.Secret) {
			s.OwnerReferences = []metav1.OwnerReference{{APIVersion: "tokenkeeper.dev/v1alpha1", Kind: "MarketplaceAccount", Name: "other", UID: "uid", Controller: new(true)}}
		},
		"kept": func(s *corev1.Secret) {
			s.Labels[v1alpha1.LabelManagedBy], s.Labels[v1alpha1.LabelAccount] = v1alpha1.ManagedBy, "other"
		},
	} {
		for _, required := range []bool{false, true} {
			for _, use := range []tokensecret.Uses{tokensecret.UseApplication, tokensecret.UseOfMarketplace} {
				g := NewWithT(t)
				secret := &corev1.Secret{
					ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "other-token", Labels: map[string]string{v1alpha1.LabelUse: "application"}},
					Data:       map[string][]byte{"client_id": []byte("id")},
				}
				change(secret)
				cluster := fake.NewClientBuilder().WithObjects(secret).Build()
				live := &reads{Reader: cluster}
				_, err := (&Cache{Metadata: cluster, Live: live, RequireUseLabel: required}).Get(t.Context(), client.ObjectKeyFromObject(secret), use, "")
				g.Expect(err).To(MatchError(ErrOfOperator), name)
				g.Expect(live.whole).To(BeZero())
			}
		}
	}
}

// TestAVersionThatIsKnownIsNotRead unless it is another one by now, and what was read is handed out all the same.
func TestAVersionThatIsKnownIsNotRead(t *testing.T) {
	g := NewWithT(t)
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app", Labels: map[string]string{v1alpha1.LabelUse: "application"}},
		Data:       map[string][]byte{"client_id": []byte("id")},
	}
	key := client.ObjectKeyFromObject(secret)
	cluster := fake.NewClientBuilder().WithObjects(secret).Build()
	live := &reads{Reader: cluster}
	users := &Cache{Metadata: cluster, Live: live, RequireUseLabel: true}
	g.Expect(cluster.Get(t.Context(), key, secret)).To(Succeed())
	known := secret.ResourceVersion
	get := func() *Secret {
		t.Helper()
		got, err := users.Get(t.Context(), key, tokensecret.UseApplication, known)
		g.Expect(err).NotTo(HaveOccurred())
		return got
	}

	got := get()
	g.Expect(got.Unread).To(BeTrue())
	g.Expect(got.ContentVersion).To(Equal(known))
	g.Expect(got.Allowed.Allows(tokensecret.UseApplication)).To(BeTrue())
	_, err := users.Get(t.Context(), key, tokensecret.UseLogin, known)
	_, refused := errors.AsType[*UseError](err)
	g.Expect(refused).To(BeTrue(), "its label counts all the same: %v", err)
	g.Expect(live.whole).To(BeZero())

	secret.Data["client_id"] = []byte("another")
	g.Expect(cluster.Update(t.Context(), secret)).To(Succeed())
	g.Expect(get().Unread).To(BeFalse())
	known = secret.ResourceVersion
	g.Expect(get().Data).To(HaveKeyWithValue("client_id", []byte("another")))
	g.Expect(live.whole).To(Equal(1))
}

// waiting holds reads of whole Secrets up until they are let go.
type waiting struct {
	client.Reader
	begun, release chan struct{}
	reads          atomic.Int32
}

func (w *waiting) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	w.reads.Add(1)
	w.begun <- struct{}{}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-w.release:
	}
	return w.Reader.Get(ctx, key, object, options...)
}

// TestManyAccountsOfOneApplicationReadItsSecretOnce also where the first of them gives up.
func TestManyAccountsOfOneApplicationReadItsSecretOnce(t *testing.T) {
	g := NewWithT(t)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "app"}, Data: map[string][]byte{"client_id": []byte("id")}}
	cluster := fake.NewClientBuilder().WithObjects(secret).Build()
	live := &waiting{Reader: cluster, begun: make(chan struct{}, 32), release: make(chan struct{})}
	users := &Cache{Metadata: cluster, Live: live}
	got := make(chan error, 32)
	get := func(ctx context.Context) {
		read, err := users.Get(ctx, client.ObjectKeyFromObject(secret), tokensecret.UseApplication, "")
		if err == nil && string(read.Data["client_id"]) != "id" {
			err = fmt.Errorf("the Secret holds %q", read.Data["client_id"])
		}
		got <- err
	}
	first, cancelFirst := context.WithCancel(t.Context())
	go get(first)
	<-live.begun
	for range 31 {
		go get(t.Context())
	}
	cancelFirst()
	g.Eventually(got).Should(Receive(MatchError(context.Canceled)))
	<-live.begun
	close(live.release)
	for range 31 {
		g.Eventually(got).Should(Receive(BeNil()))
	}
	g.Expect(live.reads.Load()).To(BeEquivalentTo(2), "the one that was given up, and the one in its place")
}
