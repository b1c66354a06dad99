package kube

import (
	"fmt"
	"unique"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// heldSecret is a Secret in the manager's cache: the names by which it is found, and the whole in the encoding of the API server. A Secret as
// an object is more than a dozen pieces of memory of a kilobyte and a half, its data apart, and each of them is looked at in each garbage
// collection. Every read of the cache makes a copy, and the copy of this is the Secret.
type heldSecret struct {
	metav1.Object // nil: no other member is asked for in a cache, and none is set

	namespace     unique.Handle[string] // shared with the other Secrets there
	name, version string
	encoded       []byte
}

var _ client.Object = (*heldSecret)(nil)

// hold puts a Secret, as far as it is kept, into the form in which the cache holds it.
func hold(kept any, err error) (any, error) {
	secret, ok := kept.(*corev1.Secret)
	if !ok || err != nil {
		return kept, err
	}
	encoded, err := secret.Marshal()
	if err != nil {
		return nil, fmt.Errorf("encoding a Secret for the cache: %w", err)
	}
	return &heldSecret{
		namespace: unique.Make(secret.Namespace), name: secret.Name, version: secret.ResourceVersion, encoded: encoded,
	}, nil
}

// DeepCopyObject implements runtime.Object: it returns the Secret.
func (h *heldSecret) DeepCopyObject() runtime.Object { return h.secret() }

func (h *heldSecret) secret() *corev1.Secret {
	secret := &corev1.Secret{}
	_ = secret.Unmarshal(h.encoded) // it was encoded here
	return secret
}

// GetObjectKind implements runtime.Object.
func (h *heldSecret) GetObjectKind() schema.ObjectKind { return schema.EmptyObjectKind }

// GetNamespace implements metav1.Object, as far as a cache and its handlers ask for it.
func (h *heldSecret) GetNamespace() string { return h.namespace.Value() }

// GetName implements metav1.Object.
func (h *heldSecret) GetName() string { return h.name }

// GetResourceVersion implements metav1.Object.
func (h *heldSecret) GetResourceVersion() string { return h.version }

// GetLabels implements metav1.Object.
func (h *heldSecret) GetLabels() map[string]string { return h.secret().Labels }

// uncopied are the options of a read that changes nothing of the object which it reads. A Secret has to be a copy.
func uncopied(object client.Object) []client.GetOption {
	if _, ok := object.(*corev1.Secret); ok {
		return nil
	}
	return []client.GetOption{client.UnsafeDisableDeepCopy}
}
