package kube

import (
	"context"
	"strings"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/sharedtexts"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// notHeld marks, as a key of data or an annotation, an object of which the cache holds less than the operator uses. No object of the
// API server can have such a key.
const notHeld = "*not held*"

// contents cuts an object down to the part that the cache holds: fields that the operator uses, and never more than is bounded. Tenants
// write these objects, and a large one must not take the memory of all.
type contents struct {
	accounts atomic.Pointer[client.Reader]   // the manager's cache
	ctx      atomic.Pointer[context.Context] // ends with the manager; nil before Connect
	texts    sharedtexts.Texts
}

// newCache makes the manager's cache.
func (c *contents) newCache(config *rest.Config, options cache.Options) (cache.Cache, error) {
	made, err := cache.New(config, options)
	if err == nil {
		c.accounts.Store(new(client.Reader(made)))
	}
	return made, err
}

// account keeps the fields of an account that the operator uses: no labels, no annotations but its requests, no finalizer but its own.
// Accounts are written by patches that name the changed fields alone, so that the rest stays.
func (c *contents) account(object any) (any, error) {
	account, ok := object.(*v1alpha1.MarketplaceAccount)
	if !ok {
		return object, nil
	}
	used := metav1.ObjectMeta{
		Name: account.Name, Namespace: account.Namespace, UID: account.UID, ResourceVersion: account.ResourceVersion,
		Generation: account.Generation, CreationTimestamp: account.CreationTimestamp, DeletionTimestamp: account.DeletionTimestamp,
	}
	annotate := func(name, value string) {
		if used.Annotations == nil {
			used.Annotations = map[string]string{}
		}
		used.Annotations[name] = value
	}
	for _, request := range []string{v1alpha1.AnnotationRenew, v1alpha1.AnnotationVerify, v1alpha1.AnnotationSignIn} {
		if value, asked := account.Annotations[request]; asked {
			annotate(request, strings.Clone(bounds.Cut(value, bounds.Message))) // a part would hold the whole
		}
	}
	for _, finalizer := range account.Finalizers {
		if finalizer == v1alpha1.FinalizerRevoke {
			used.Finalizers = []string{v1alpha1.FinalizerRevoke}
		}
	}
	if !isHeld(account) || sizeOfMetadata(account) > bounds.HeldMetadata {
		annotate(notHeld, "")
	}
	account.ObjectMeta = used
	c.texts.Share(account)
	return account, nil
}

// marketplace drops the metadata of a Marketplace that the operator does not use.
func (c *contents) marketplace(object any) (any, error) {
	if marketplace, ok := object.(*v1alpha1.Marketplace); ok {
		value, said := marketplace.Annotations[v1alpha1.AnnotationAdoptCustody]
		marketplace.ManagedFields, marketplace.Annotations = nil, nil
		if said {
			marketplace.Annotations = map[string]string{v1alpha1.AnnotationAdoptCustody: strings.Clone(bounds.Cut(value, bounds.Name))}
		}
	}
	return object, nil
}

// secret keeps the data of the operator's own Secrets alone, and of the rest that carry its label only which account they belong
// to. Nothing of these is written back, because tokensecret.Owned takes them for no account's.
//
// An own Secret is one in the place of an account that exists: every tenant that may write Secrets can copy an owner reference and all
// labels of ours. One that comes before its account, or holds more than accounts need, is marked, and read past the cache when its turn comes.
func (c *contents) secret(object any) (any, error) {
	secret, ok := object.(*corev1.Secret)
	if !ok || !isHeld(secret) {
		return object, nil
	}
	uid, controlled := tokensecret.ControllingAccount(secret)
	if uid == "" && (controlled || secret.Labels[v1alpha1.LabelAccount] == "") {
		return ownership(secret), nil
	}
	switch account := c.accountOf(secret); {
	case account == nil, sizeOfMetadata(secret) > bounds.HeldMetadata:
	case secret.Name == account.GrantSecretName():
		if sizeOfData(secret) <= bounds.HeldGrant {
			secret.ManagedFields = nil
			return secret, nil
		}
	case secret.Name == account.SignInSecretName() && secret.Type == v1alpha1.SecretTypeSignIn:
		secret.ManagedFields = nil
		return tokensecret.DigestSignIn(secret), nil // people read it, and the operator knows its ticket by the hash
	default:
		secret.ManagedFields = nil
		return tokensecret.Digest(secret), nil // the grant Secret holds the same tokens
	}
	marked := ownership(secret)
	marked.Data = map[string][]byte{notHeld: nil}
	return marked, nil
}

// accountOf is the account that a Secret belongs to, as one of its own; nil when there is none yet.
func (c *contents) accountOf(secret *corev1.Secret) *v1alpha1.MarketplaceAccount {
	name := secret.Labels[v1alpha1.LabelAccount]
	if controller := metav1.GetControllerOfNoCopy(secret); controller != nil {
		name = controller.Name
	}
	held := c.accounts.Load()
	if held == nil {
		return nil
	}
	ctx := context.Background() //nolint:forbidigo // a cache's transform is given no context
	if running := c.ctx.Load(); running != nil {
		ctx = *running
	}
	account := &v1alpha1.MarketplaceAccount{}
	// It waits until the accounts are known, so that a start need not read every grant Secret by itself.
	err := (*held).Get(ctx, types.NamespacedName{Namespace: secret.Namespace, Name: name}, account, client.UnsafeDisableDeepCopy)
	if err != nil || !tokensecret.Owned(secret, account) || !account.HasSecretName(secret.Name) {
		return nil
	}
	return account
}

// ownership is the part of a Secret that names its account.
func ownership(secret *corev1.Secret) *corev1.Secret {
	kept := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name: secret.Name, Namespace: secret.Namespace, UID: secret.UID, ResourceVersion: secret.ResourceVersion,
			Labels: map[string]string{},
		},
		Type: corev1.SecretType(strings.Clone(bounds.Cut(string(secret.Type), bounds.Message))),
	}
	if controller := metav1.GetControllerOfNoCopy(secret); controller != nil {
		kept.OwnerReferences = []metav1.OwnerReference{*controller}
	}
	for _, name := range []string{v1alpha1.LabelManagedBy, v1alpha1.LabelAccount, v1alpha1.LabelUse} {
		if value, ok := secret.Labels[name]; ok {
			kept.Labels[name] = value
		}
	}
	return kept
}

// isHeld tells whether the cache holds all that the operator uses of an object.
func isHeld(object client.Object) bool {
	if secret, ok := object.(*corev1.Secret); ok {
		_, marked := secret.Data[notHeld]
		return !marked
	}
	_, marked := object.GetAnnotations()[notHeld]
	return !marked
}

// sizeOfMetadata is how much of an object its writer chooses, in bytes.
func sizeOfMetadata(object client.Object) int {
	size := 0
	for _, texts := range []map[string]string{object.GetLabels(), object.GetAnnotations()} {
		for key, value := range texts {
			size += len(key) + len(value)
		}
	}
	for _, owner := range object.GetOwnerReferences() {
		size += len(owner.APIVersion) + len(owner.Kind) + len(owner.Name) + len(owner.UID)
	}
	for _, finalizer := range object.GetFinalizers() {
		size += len(finalizer)
	}
	for _, entry := range object.GetManagedFields() {
		size += len(entry.Manager)
		if entry.FieldsV1 != nil {
			size += len(entry.FieldsV1.GetRawString())
		}
	}
	return size
}

func sizeOfData(secret *corev1.Secret) int {
	size := 0
	for key, value := range secret.Data {
		size += len(key) + len(value)
	}
	return size
}
