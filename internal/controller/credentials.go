package controller

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// credentials remembers the Secrets that users wrote, by version. A Secret is read from the API server once
// for each version that its metadata shows, so that a renewal reads none, and the cache need not hold the
// data of every Secret of the cluster. It may be used by many goroutines at once.
type credentials struct {
	mu   sync.Mutex
	held map[client.ObjectKey]*heldSecret
}

// heldSecret is a Secret that a user wrote, with what the operator reads of it alone.
type heldSecret struct {
	*corev1.Secret
	// contentVersion is the version with which this content was first seen here: tools that set labels make versions, and no content.
	contentVersion string
	// invalid is why the Secret cannot be used; nil when it can.
	invalid error
}

func (s *heldSecret) sameContent(as *heldSecret) bool {
	return maps.EqualFunc(s.Data, as.Data, bytes.Equal) && maps.Equal(s.Annotations, as.Annotations)
}

// keysOfUsers are the only keys kept of a Secret that users wrote; of its annotations only the request to try again is.
var keysOfUsers = []string{
	v1alpha1.ApplicationKeyClientID, v1alpha1.ApplicationKeyClientSecret, v1alpha1.ApplicationKeyClientSecretPrevious,
	v1alpha1.ApplicationKeyClientSecretExpiresAt, v1alpha1.ApplicationKeyRedirectURI, v1alpha1.ApplicationKeyApplicationID,
	v1alpha1.PasswordKeyUsername, v1alpha1.PasswordKeyPassword,
	v1alpha1.RefreshTokenKeyRefreshToken, v1alpha1.RefreshTokenKeyGrantedAt,
}

// secretMetadata is the type under which the metadata of Secrets is cached.
func secretMetadata() *metav1.PartialObjectMetadata {
	metadata := &metav1.PartialObjectMetadata{}
	metadata.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	return metadata
}

// userSecret returns a Secret that a user wrote, or the trouble with it.
func (r *Reconciler) userSecret(ctx context.Context, key client.ObjectKey, field string) (*heldSecret, *trouble, error) {
	metadata := secretMetadata()
	err := r.Metadata.Get(ctx, key, metadata)
	if apierrors.IsNotFound(err) {
		r.credentials.forget(key)
		return nil, &trouble{v1alpha1.ReasonSecretNotFound,
			fmt.Sprintf("%s: Secret %q does not exist in namespace %q; create it", field, key.Name, key.Namespace)}, nil
	}
	if apierrors.IsForbidden(err) { // in a namespace that is not watched
		return nil, &trouble{v1alpha1.ReasonSecretNotFound, fmt.Sprintf("%s: the operator may not read Secret %q in namespace %q, "+
			"which it does not watch; give it a Role to get this Secret", field, key.Name, key.Namespace)}, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reading the metadata of Secret %q: %w", key, err)
	}
	invalid := func(held *heldSecret) *trouble {
		if held.invalid == nil {
			return nil
		}
		return invalidSecret(field, held.invalid)
	}
	held := r.credentials.get(key, metadata.ResourceVersion)
	if held != nil {
		return held, invalid(held), nil
	}
	secret := &corev1.Secret{}
	if err := r.Live.Get(ctx, key, secret); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, &trouble{v1alpha1.ReasonSecretNotFound,
				fmt.Sprintf("%s: Secret %q does not exist in namespace %q; create it", field, key.Name, key.Namespace)}, nil
		}
		return nil, nil, fmt.Errorf("reading Secret %q: %w", key, err)
	}
	held = r.credentials.put(key, secret)
	return held, invalid(held), nil
}

func (c *credentials) get(key client.ObjectKey, version string) *heldSecret {
	c.mu.Lock()
	defer c.mu.Unlock()
	if held := c.held[key]; held != nil && held.ResourceVersion == version {
		return held
	}
	return nil
}

func (c *credentials) put(key client.ObjectKey, secret *corev1.Secret) *heldSecret {
	used, err := tokensecret.Used(secret, keysOfUsers...)
	if err != nil {
		used = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: secret.Name, Namespace: secret.Namespace, ResourceVersion: secret.ResourceVersion}}
	}
	kept := &heldSecret{Secret: used, contentVersion: secret.ResourceVersion, invalid: err}
	if value, ok := secret.Annotations[v1alpha1.AnnotationRetry]; ok {
		kept.Annotations = map[string]string{v1alpha1.AnnotationRetry: strings.Clone(cut(value, maxMessage))}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held == nil {
		c.held = map[client.ObjectKey]*heldSecret{}
	}
	if before := c.held[key]; before != nil && before.sameContent(kept) {
		kept.contentVersion, kept.CreationTimestamp = before.contentVersion, before.CreationTimestamp
	}
	c.held[key] = kept
	return kept
}

func (c *credentials) forget(key client.ObjectKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.held, key)
}
