package testworld

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// LabelStory is a label of each Marketplace that a story makes. Its value is the namespace of the story.
const LabelStory = "story"

// World is one story: a namespace, and a demo marketplace behind shipped Marketplaces. Whatever it cannot do fails the test.
type World struct {
	*gomega.WithT
	T    *testing.T
	Kube client.Client // of a cluster admin
	Said *Transcript
	// Namespace is that of the accounts.
	Namespace string
	// Market is the demo marketplace, and Address where it is.
	Market  *demomarket.Server
	Address string
	// Prefix stands before the names of Marketplaces, so that stories told at the same time have their own.
	Prefix string
}

// New begins a story. serve, unless it is nil, stands before the demo marketplace.
func New(t *testing.T, kube client.Client, said *Transcript, options demomarket.Options, serve func(http.Handler) http.Handler) *World {
	t.Helper()
	w := &World{WithT: gomega.NewWithT(t), T: t, Kube: kube, Said: said, Market: demomarket.New(options)}
	said.Market(w.Market)
	var handler http.Handler = w.Market
	if serve != nil {
		handler = serve(handler)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	w.Address = server.URL
	w.Namespace = w.NewNamespace("story-")
	return w
}

// NewNamespace creates a namespace whose name begins so.
func (w *World) NewNamespace(prefix string) string {
	w.T.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: prefix}}
	w.Create(namespace)
	return namespace.Name
}

// Create creates objects.
func (w *World) Create(objects ...client.Object) {
	w.T.Helper()
	for _, object := range objects {
		w.Expect(w.Kube.Create(w.T.Context(), object)).To(gomega.Succeed())
	}
}

// Delete deletes an object.
func (w *World) Delete(object client.Object) {
	w.T.Helper()
	w.Expect(w.Kube.Delete(w.T.Context(), object)).To(gomega.Succeed())
}

// Secret creates a Secret. Its values are credentials, but for user names and times.
func (w *World) Secret(namespace, name string, values map[string]string) *corev1.Secret {
	w.T.Helper()
	w.noteCredentials(values)
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: map[string]string{v1alpha1.LabelUse: "application.login.refresh-token"}},
		StringData: values,
	}
	w.Create(secret)
	return secret
}

// EditSecret replaces values of a Secret.
func (w *World) EditSecret(namespace, name string, values map[string]string) {
	w.T.Helper()
	w.noteCredentials(values)
	secret := w.GetSecret(namespace, name)
	for key, value := range values {
		secret.Data[key] = []byte(value)
	}
	w.Expect(w.Kube.Update(w.T.Context(), secret)).To(gomega.Succeed())
}

func (w *World) noteCredentials(values map[string]string) {
	for key, value := range values {
		if !slices.Contains([]string{"client_id", "username", "redirect_uri", "application_id"}, key) && !strings.HasSuffix(key, "_at") {
			w.Said.Secret(value)
		}
	}
}

// Marketplace creates the shipped Marketplace of a platform until the end of the story, with the demo marketplace in the platform's place.
func (w *World) Marketplace(platform string, changes ...func(*v1alpha1.Marketplace)) *v1alpha1.Marketplace {
	w.T.Helper()
	marketplace, err := Shipped(platform, w.Address)
	w.Expect(err).NotTo(gomega.HaveOccurred())
	marketplace.Name = w.Prefix + platform
	metav1.SetMetaDataLabel(&marketplace.ObjectMeta, LabelStory, w.Namespace)
	for _, change := range changes {
		change(marketplace)
	}
	w.Create(marketplace)
	w.T.Cleanup(func() { _ = w.Kube.Delete(context.WithoutCancel(w.T.Context()), marketplace) })
	return marketplace
}

// GetMarketplace reads the Marketplace of a platform.
func (w *World) GetMarketplace(platform string) *v1alpha1.Marketplace {
	w.T.Helper()
	marketplace := &v1alpha1.Marketplace{}
	w.get(client.ObjectKey{Name: w.Prefix + platform}, marketplace)
	return marketplace
}

// EditMarketplace changes the Marketplace of a platform, whose status the operator may write meanwhile.
func (w *World) EditMarketplace(platform string, change func(*v1alpha1.Marketplace)) {
	w.T.Helper()
	marketplace := w.GetMarketplace(platform)
	before := marketplace.DeepCopy()
	change(marketplace)
	w.Expect(w.Kube.Patch(w.T.Context(), marketplace, client.MergeFrom(before))).To(gomega.Succeed())
}

// Application is the application that the demo marketplace knows at a platform.
func Application(platform string) map[string]string {
	values := map[string]string{"client_id": demomarket.DefaultClientID, "client_secret": demomarket.DefaultClientSecret}
	switch platform {
	case "ebay":
		values["redirect_uri"] = demomarket.DemoRuName
	case "amazon":
		values["application_id"] = demomarket.DefaultApplicationID
	}
	return values
}

// NewAccount returns an account of the shipped Marketplace of a platform, to be created.
func (w *World) NewAccount(name, platform, application string, grant v1alpha1.GrantType) *v1alpha1.MarketplaceAccount {
	account := &v1alpha1.MarketplaceAccount{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.Namespace},
		Spec: v1alpha1.MarketplaceAccountSpec{
			MarketplaceRef:       v1alpha1.MarketplaceReference{Name: w.Prefix + platform},
			ApplicationSecretRef: v1alpha1.SecretReference{Name: application},
			Grant:                v1alpha1.Grant{Type: grant},
		},
	}
	if platform == "amazon" {
		account.Spec.Parameters = []v1alpha1.Parameter{{Name: "country", Value: "pl"}}
	}
	return account
}

// Edit changes an account.
func (w *World) Edit(name string, change func(*v1alpha1.MarketplaceAccount)) {
	w.T.Helper()
	account := w.Get(name)
	before := account.DeepCopy()
	change(account)
	w.Expect(w.Kube.Patch(w.T.Context(), account, client.MergeFrom(before))).To(gomega.Succeed())
}

// Annotate sets an annotation of an account.
func (w *World) Annotate(name, key, value string) {
	w.T.Helper()
	w.Edit(name, func(a *v1alpha1.MarketplaceAccount) { metav1.SetMetaDataAnnotation(&a.ObjectMeta, key, value) })
}

// Get reads an account.
func (w *World) Get(name string) *v1alpha1.MarketplaceAccount {
	w.T.Helper()
	account := &v1alpha1.MarketplaceAccount{}
	w.get(client.ObjectKey{Namespace: w.Namespace, Name: name}, account)
	return account
}

// GetSecret reads a Secret.
func (w *World) GetSecret(namespace, name string) *corev1.Secret {
	w.T.Helper()
	secret := &corev1.Secret{}
	w.get(client.ObjectKey{Namespace: namespace, Name: name}, secret)
	return secret
}

func (w *World) get(key client.ObjectKey, object client.Object) {
	w.T.Helper()
	w.Expect(w.Kube.Get(w.T.Context(), key, object)).To(gomega.Succeed())
}

// FindSecret reads the content of a Secret of the story's namespace; nil where there is none.
func (w *World) FindSecret(name string) map[string]string {
	w.T.Helper()
	secret := &corev1.Secret{}
	err := w.Kube.Get(w.T.Context(), client.ObjectKey{Namespace: w.Namespace, Name: name}, secret)
	w.Expect(client.IgnoreNotFound(err)).To(gomega.Succeed())
	if err != nil {
		return nil
	}
	values := map[string]string{}
	for key, value := range secret.Data {
		values[key] = string(value)
	}
	return values
}

// ExpectCondition waits for a condition of an account to have a status and a reason, and returns its message.
func (w *World) ExpectCondition(name, conditionType string, status metav1.ConditionStatus, reason string) string {
	w.T.Helper()
	var message string
	w.Eventually(func() string {
		condition := meta.FindStatusCondition(w.Get(name).Status.Conditions, conditionType)
		if condition == nil {
			return "absent"
		}
		message = condition.Message
		return fmt.Sprintf("%s %s", condition.Status, condition.Reason)
	}).Should(gomega.Equal(fmt.Sprintf("%s %s", status, reason)), func() string { return name + ": " + conditionType + ": " + message })
	return message
}

// Events are the events of an account.
func (w *World) Events(name string) []eventsv1.Event {
	w.T.Helper()
	list := &eventsv1.EventList{}
	w.Expect(w.Kube.List(w.T.Context(), list, client.InNamespace(w.Namespace))).To(gomega.Succeed())
	return slices.DeleteFunc(list.Items, func(event eventsv1.Event) bool { return event.Regarding.Name != name })
}
