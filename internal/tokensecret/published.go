package tokensecret

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
)

// Render writes the token Secret that workloads mount. owner is nil where the Secret outlives the account. published are the further keys of
// its Marketplace, of which empty ones are known to templates alone; one that would replace a key of ours, or hold a refresh token, is left out.
func Render(
	account *v1alpha1.MarketplaceAccount, owner *metav1.OwnerReference, tokens custody.Tokens, accountID string, published ...map[string]string,
) (*corev1.Secret, error) {
	values := map[string]string{
		v1alpha1.TokenKeyAccessToken: tokens.AccessToken,
		v1alpha1.TokenKeyTokenType:   tokens.TokenType,
		v1alpha1.TokenKeyScope:       tokens.Scope,
		v1alpha1.TokenKeyExpiresAt:   tokens.ExpiresAt.UTC().Format(time.RFC3339),
		v1alpha1.TokenKeyIDToken:     tokens.IDToken,
		v1alpha1.TokenKeyAccountID:   accountID,
	}
	optional := []string{v1alpha1.TokenKeyIDToken, v1alpha1.TokenKeyAccountID}
	for _, further := range published {
		for key, value := range further {
			if _, ours := values[key]; !ours && key != v1alpha1.RefreshTokenKeyRefreshToken {
				values[key] = value
				optional = append(optional, key)
			}
		}
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name:      account.TokenSecretName(),
			Namespace: account.Namespace,
			Labels:    labels(account, account.Spec.TokenSecret.Template),
		},
		Type: corev1.SecretTypeOpaque,
		Data: map[string][]byte{},
	}
	if owner != nil {
		secret.OwnerReferences = []metav1.OwnerReference{*owner}
	}
	for key, value := range values {
		if value != "" || !slices.Contains(optional, key) {
			secret.Data[key] = []byte(value)
		}
	}
	shape := account.Spec.TokenSecret.Template
	if err := checkShape(shape); shape == nil || err != nil {
		return secret, err
	}
	if shape.Type != "" {
		secret.Type = corev1.SecretType(shape.Type)
	}
	secret.Annotations = texts(shape.Annotations)
	left := bounds.RenderedSecret
	for _, key := range slices.Sorted(maps.Keys(shape.Data)) { // in order, so that an error is the same each time
		rendered, err := render(key, string(shape.Data[key]), values)
		if left -= len(rendered); err == nil && left < 0 {
			err = fmt.Errorf("and the keys before it must render to at most %d KiB together", bounds.RenderedSecret>>10)
		}
		if err != nil {
			return nil, fmt.Errorf("spec.tokenSecret.template.data[%s]: %w", key, err)
		}
		secret.Data[key] = rendered
	}
	return secret, nil
}

// CheckTemplates tells whether the token Secret may have the shape that the account gives it, and its templates can be rendered, with values that stand for tokens and for the keys that the Marketplace
// publishes.
func CheckTemplates(account *v1alpha1.MarketplaceAccount, published ...string) error {
	if account.Spec.TokenSecret.Template == nil {
		return nil
	}
	const sample = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" // long enough to be sliced
	further := map[string]string{}
	for _, key := range published {
		further[key] = sample
	}
	_, err := Render(account, nil, custody.Tokens{AccessToken: sample, IDToken: sample, TokenType: sample, Scope: sample}, sample, further)
	return err
}

// Matches tells whether the Secret held says all that the Secret wanted says. Labels and annotations that
// other writers have added are no difference, nor is an empty map.
func Matches(held, wanted *corev1.Secret) bool {
	return held.Type == wanted.Type &&
		equality.Semantic.DeepEqual(held.Data, wanted.Data) &&
		equality.Semantic.DeepEqual(held.OwnerReferences, wanted.OwnerReferences) &&
		contains(held.Labels, wanted.Labels) && contains(held.Annotations, wanted.Annotations)
}

// digestKey is where Digest puts the digest of the data: no Secret can have such a key.
const digestKey = "*digest*"

// Digest returns a token Secret without its tokens, for a cache to hold: of its data there is enough left for Matches, HoldsIDToken
// and ExpiresAt to tell it from another digest. The digest of a digest is itself.
func Digest(secret *corev1.Secret) *corev1.Secret {
	if _, ok := secret.Data[digestKey]; ok {
		return secret
	}
	all := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(secret.Data)) {
		value := sha256.Sum256(secret.Data[key])
		fmt.Fprintf(all, "%d %s %x\n", len(key), key, value)
	}
	digest := *secret
	digest.Data = map[string][]byte{digestKey: all.Sum(nil)}
	if at, ok := secret.Data[v1alpha1.TokenKeyExpiresAt]; ok {
		digest.Data[v1alpha1.TokenKeyExpiresAt] = at
	}
	if idToken := secret.Data[v1alpha1.TokenKeyIDToken]; len(idToken) > 0 {
		value := sha256.Sum256(idToken)
		digest.Data[v1alpha1.TokenKeyIDToken] = value[:]
	}
	return &digest
}

// HoldsIDToken tells whether the digest of a token Secret, which may be nil, is of one that holds this ID token.
func HoldsIDToken(digest *corev1.Secret, idToken string) bool {
	value := sha256.Sum256([]byte(idToken))
	return digest != nil && bytes.Equal(digest.Data[v1alpha1.TokenKeyIDToken], value[:])
}

// HasIDToken tells whether the digest of a token Secret, which may be nil, is of one that holds an ID token.
func HasIDToken(digest *corev1.Secret) bool {
	return digest != nil && len(digest.Data[v1alpha1.TokenKeyIDToken]) > 0
}

// UsesIDToken tells whether a template of the account makes a key of the ID token.
func UsesIDToken(account *v1alpha1.MarketplaceAccount) bool {
	shape := account.Spec.TokenSecret.Template
	if shape == nil {
		return false
	}
	for _, text := range shape.Data {
		if strings.Contains(string(text), v1alpha1.TokenKeyIDToken) {
			return true
		}
	}
	return false
}

// ExpiresAt is when the token in a token Secret expires; zero when the Secret does not say.
func ExpiresAt(secret *corev1.Secret) time.Time {
	at, err := time.Parse(time.RFC3339, string(secret.Data[v1alpha1.TokenKeyExpiresAt]))
	if err != nil {
		return time.Time{}
	}
	return at.UTC()
}

// Merge adds to wanted the labels and annotations of held that it does not name, and takes over its version.
func Merge(wanted, held *corev1.Secret) {
	wanted.ResourceVersion = held.ResourceVersion
	wanted.Labels = union(held.Labels, wanted.Labels)
	wanted.Annotations = union(held.Annotations, wanted.Annotations)
}

// OwnerOf is the owner reference of an account's Secrets.
func OwnerOf(account *v1alpha1.MarketplaceAccount) metav1.OwnerReference {
	return *metav1.NewControllerRef(account, v1alpha1.GroupVersion.WithKind("MarketplaceAccount"))
}

// Owned tells whether a Secret, whole or by its metadata alone, was made by the operator for this account. A
// Secret that an owner of the same name left behind (deletionPolicy Keep) is taken over.
func Owned(secret metav1.Object, account *v1alpha1.MarketplaceAccount) bool {
	if controller, controlled := ControllingAccount(secret); controlled {
		return controller != "" && controller == account.UID
	}
	labels := secret.GetLabels()
	return labels[v1alpha1.LabelManagedBy] == v1alpha1.ManagedBy && labels[v1alpha1.LabelAccount] == account.Name
}

// Serves tells whether a token Secret holds a token of this account: the account controls it, or has said so in its status. One that a former account of
// the name left behind holds that one's token until this account has published its own.
func Serves(secret metav1.Object, account *v1alpha1.MarketplaceAccount) bool {
	if controller, controlled := ControllingAccount(secret); controlled {
		return controller == account.UID
	}
	return Owned(secret, account) && account.Status.TokenSecretName == secret.GetName()
}

// ControllingAccount returns the UID of the MarketplaceAccount that controls a Secret, and whether anybody does.
func ControllingAccount(secret metav1.Object) (account types.UID, controlled bool) {
	controller := metav1.GetControllerOfNoCopy(secret)
	if controller == nil {
		return "", false
	}
	group, err := schema.ParseGroupVersion(controller.APIVersion)
	if err != nil || group.Group != v1alpha1.GroupVersion.Group || controller.Kind != "MarketplaceAccount" {
		return "", true
	}
	return controller.UID, true
}

func labels(account *v1alpha1.MarketplaceAccount, shape *v1alpha1.TokenSecretTemplate) map[string]string {
	all := map[string]string{}
	if shape != nil {
		maps.Copy(all, texts(shape.Labels))
	}
	all[v1alpha1.LabelManagedBy] = v1alpha1.ManagedBy
	all[v1alpha1.LabelAccount] = account.Name
	return all
}

func texts[V ~string](in map[string]V) map[string]string {
	if len(in) == 0 {
		return nil
	}
	out := make(map[string]string, len(in))
	for key, value := range in {
		out[key] = string(value)
	}
	return out
}

func contains(held, wanted map[string]string) bool {
	for key, value := range wanted {
		if got, ok := held[key]; !ok || got != value {
			return false
		}
	}
	return true
}

func union(held, wanted map[string]string) map[string]string {
	if len(held) == 0 {
		return wanted
	}
	all := maps.Clone(held)
	maps.Copy(all, wanted)
	return all
}
