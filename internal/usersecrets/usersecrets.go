// Package usersecrets reads the Secrets that users wrote, each version once, and only for a use that its label allows.
package usersecrets

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/singleflight"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// Why a Cache returns no Secret.
var (
	ErrNotFound = errors.New("the Secret does not exist")
	// ErrForbidden is of a Secret in a namespace that is not watched.
	ErrForbidden = errors.New("the Secret may not be read")
	// ErrOfOperator is of a Secret that the operator itself makes: authors of accounts decide about its content.
	ErrOfOperator = errors.New("the Secret is one of the operator's own")
)

// UseError is that a Secret has no label by which it may be used.
type UseError struct {
	// Allowed are the uses that its label allows.
	Allowed tokensecret.Uses
}

// Error implements error.
func (e *UseError) Error() string { return "the Secret's label does not allow this use" }

// Cache remembers the Secrets that users wrote, by version. A Secret is read from the API server once
// for each version that its metadata shows, so that a renewal reads none, and the cache need not hold the
// data of every Secret of the cluster. It may be used by many goroutines at once.
type Cache struct {
	// Metadata reads the metadata of Secrets, Live whole ones from the API server.
	Metadata, Live client.Reader
	// RequireUseLabel refuses Secrets whose label does not allow the use, before they are read.
	RequireUseLabel bool

	// reads are under way.
	reads singleflight.Group

	mu   sync.Mutex // guards held
	held map[client.ObjectKey]*Secret
}

// Secret is a Secret that a user wrote, with the keys that the operator reads alone. It is not to be changed.
type Secret struct {
	*corev1.Secret
	// ContentVersion is the version with which this content was first seen here: tools that set labels make versions, and no content.
	ContentVersion string
	// Invalid is why the Secret cannot be used; nil when it can.
	Invalid error
	// Allowed are the uses that its label allows.
	Allowed tokensecret.Uses
	// Unread tells that nothing of it was read, since the caller knows what this version says.
	Unread bool
	// more are the keys beside keysOfUsers that were read, in order and once each.
	more []string
}

func (s *Secret) sameContent(as *Secret) bool {
	return maps.EqualFunc(s.Data, as.Data, bytes.Equal) && maps.Equal(s.Annotations, as.Annotations)
}

// keysOfUsers are the only keys kept of a Secret that users wrote, beside keys that a Marketplace names; the only annotation is the request to try again.
var keysOfUsers = []string{
	v1alpha1.ApplicationKeyClientID, v1alpha1.ApplicationKeyClientSecret, v1alpha1.ApplicationKeyClientSecretPrevious,
	v1alpha1.ApplicationKeyClientSecretExpiresAt, v1alpha1.ApplicationKeyRedirectURI, v1alpha1.ApplicationKeyApplicationID,
	v1alpha1.PasswordKeyUsername, v1alpha1.PasswordKeyPassword,
	v1alpha1.RefreshTokenKeyRefreshToken, v1alpha1.RefreshTokenKeyGrantedAt,
}

// Get returns a Secret that a user wrote, also one that is Invalid. known is a version of which the caller knows what it says, and that is not
// read for it; empty for none. more are keys that a Marketplace names, beside the keys that always count.
// Its error is ErrNotFound, ErrForbidden, ErrOfOperator, a *UseError, or the API server's.
func (u *Cache) Get(ctx context.Context, key client.ObjectKey, use tokensecret.Uses, known string, more ...string) (*Secret, error) {
	metadata := &metav1.PartialObjectMetadata{}
	metadata.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	switch err := u.Metadata.Get(ctx, key, metadata); {
	case apierrors.IsNotFound(err):
		u.Forget(key)
		return nil, ErrNotFound
	case apierrors.IsForbidden(err):
		return nil, ErrForbidden
	case err != nil:
		return nil, fmt.Errorf("reading the metadata of Secret %q: %w", key, err)
	}
	if err := u.mayUse(metadata, use); err != nil {
		return nil, err
	}
	held, more := u.heldAt(key, metadata.ResourceVersion, more)
	switch {
	case held != nil:
		return held, nil
	case known != "" && known == metadata.ResourceVersion:
		return &Secret{ContentVersion: known, Allowed: tokensecret.UsesOf(metadata.Labels), Unread: true}, nil
	}
	return u.readOnce(ctx, reading{key: key, version: metadata.ResourceVersion, use: use, more: more})
}

// reading is the read of one version of a Secret, for a use and with all keys that are wanted of it.
type reading struct {
	key     client.ObjectKey
	version string
	use     tokensecret.Uses
	more    []string
}

// readOnce reads a Secret. Callers that want the same at the same time share one read: after a start, all accounts of an application.
func (u *Cache) readOnce(ctx context.Context, wanted reading) (*Secret, error) {
	for {
		read, err, shared := u.reads.Do(fmt.Sprintf("%+v", wanted), func() (any, error) { return u.read(ctx, wanted) })
		if err == nil {
			return read.(*Secret), nil
		}
		if gaveUp := errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded); !shared || !gaveUp || ctx.Err() != nil {
			return nil, err
		}
	}
}

func (u *Cache) read(ctx context.Context, wanted reading) (*Secret, error) {
	if held, _ := u.heldAt(wanted.key, wanted.version, wanted.more); held != nil { // the read before this one has just ended
		return held, nil
	}
	secret := &corev1.Secret{}
	switch err := u.Live.Get(ctx, wanted.key, secret); {
	case apierrors.IsNotFound(err):
		return nil, ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("reading Secret %q: %w", wanted.key, err)
	}
	if err := u.mayUse(secret, wanted.use); err != nil { // it may be newer than its metadata
		return nil, err
	}
	return u.hold(wanted.key, secret, wanted.more), nil
}

// mayUse tells whether a Secret, whole or by its metadata alone, may be used so.
func (u *Cache) mayUse(secret metav1.Object, use tokensecret.Uses) error {
	allowed := tokensecret.UsesOf(secret.GetLabels())
	switch {
	case tokensecret.IsMadeByOperator(secret):
		return ErrOfOperator
	case u.RequireUseLabel && !allowed.Allows(use):
		return &UseError{Allowed: allowed}
	}
	return nil
}

// heldAt returns the Secret held for a version, if it has these keys; else nil, and all keys to read.
func (u *Cache) heldAt(key client.ObjectKey, version string, more []string) (*Secret, []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	held := u.held[key]
	if held == nil {
		return nil, more
	}
	all := slices.Compact(slices.Sorted(slices.Values(slices.Concat(held.more, more))))
	if held.ResourceVersion == version && len(all) == len(held.more) {
		return held, all
	}
	return nil, all
}

func (u *Cache) hold(key client.ObjectKey, secret *corev1.Secret, more []string) *Secret {
	used, err := tokensecret.Used(secret, slices.Concat(keysOfUsers, more)...)
	if err != nil {
		used = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: secret.Name, Namespace: secret.Namespace, ResourceVersion: secret.ResourceVersion}}
	}
	kept := &Secret{Secret: used, ContentVersion: secret.ResourceVersion, Invalid: err, Allowed: tokensecret.UsesOf(secret.Labels), more: more}
	if value, ok := secret.Annotations[v1alpha1.AnnotationRetry]; ok {
		kept.Annotations = map[string]string{v1alpha1.AnnotationRetry: strings.Clone(bounds.Cut(value, bounds.Message))}
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.held == nil {
		u.held = map[client.ObjectKey]*Secret{}
	}
	if before := u.held[key]; before != nil && before.sameContent(kept) {
		kept.ContentVersion, kept.CreationTimestamp = before.ContentVersion, before.CreationTimestamp
	}
	u.held[key] = kept
	return kept
}

// Forget drops a Secret from memory.
func (u *Cache) Forget(key client.ObjectKey) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.held, key)
}
