package tokensecret

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// maxRendered bounds what one template key may grow to.
const maxRendered = 64 << 10

// Render writes the token Secret that workloads mount. owner is nil where the Secret outlives the account.
func Render(account *v1alpha1.MarketplaceAccount, owner *metav1.OwnerReference, tokens Tokens, accountID string) (*corev1.Secret, error) {
	values := map[string]string{
		v1alpha1.TokenKeyAccessToken: tokens.AccessToken,
		v1alpha1.TokenKeyTokenType:   tokens.TokenType,
		v1alpha1.TokenKeyScope:       tokens.Scope,
		v1alpha1.TokenKeyExpiresAt:   tokens.ExpiresAt.UTC().Format(time.RFC3339),
		v1alpha1.TokenKeyIDToken:     tokens.IDToken,
		v1alpha1.TokenKeyAccountID:   accountID,
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
		if value != "" || key != v1alpha1.TokenKeyIDToken && key != v1alpha1.TokenKeyAccountID {
			secret.Data[key] = []byte(value)
		}
	}
	shape := account.Spec.TokenSecret.Template
	if shape == nil {
		return secret, nil
	}
	if shape.Type != "" {
		secret.Type = corev1.SecretType(shape.Type)
	}
	secret.Annotations = texts(shape.Annotations)
	for _, key := range slices.Sorted(maps.Keys(shape.Data)) { // in order, so that an error is the same each time
		rendered, err := render(key, string(shape.Data[key]), values)
		if err != nil {
			return nil, fmt.Errorf("spec.tokenSecret.template.data[%s]: %w", key, err)
		}
		secret.Data[key] = rendered
	}
	return secret, nil
}

// CheckTemplates tells whether the account's templates can be rendered, with values that stand for tokens.
func CheckTemplates(account *v1alpha1.MarketplaceAccount) error {
	const sample = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" // long enough to be sliced
	_, err := Render(account, nil, Tokens{AccessToken: sample, IDToken: sample, TokenType: sample, Scope: sample}, sample)
	return err
}

// Matches tells whether the Secret held says all that the Secret wanted says. Labels and annotations that
// others have added are no difference, nor is an empty map.
func Matches(held, wanted *corev1.Secret) bool {
	return held.Type == wanted.Type &&
		equality.Semantic.DeepEqual(held.Data, wanted.Data) &&
		equality.Semantic.DeepEqual(held.OwnerReferences, wanted.OwnerReferences) &&
		contains(held.Labels, wanted.Labels) && contains(held.Annotations, wanted.Annotations)
}

// digestKey is where Digest puts what it keeps of the data: no Secret can have such a key.
const digestKey = "*digest*"

// Digest returns a token Secret without its tokens, for a cache to hold: of its data there is enough left for Matches, SameIDToken
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

// SameIDToken tells whether a token Secret, which may be nil, holds the ID token of another.
func SameIDToken(held, wanted *corev1.Secret) bool {
	return held != nil && bytes.Equal(held.Data[v1alpha1.TokenKeyIDToken], wanted.Data[v1alpha1.TokenKeyIDToken])
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

// Owned tells whether a Secret, whole or by its metadata alone, was made by the operator for this account. A
// Secret that an owner of the same name left behind (deletionPolicy Keep) is taken over.
func Owned(secret metav1.Object, account *v1alpha1.MarketplaceAccount) bool {
	if controller, controlled := ControllingAccount(secret); controlled {
		return controller != "" && controller == account.UID
	}
	labels := secret.GetLabels()
	return labels[v1alpha1.LabelManagedBy] == v1alpha1.ManagedBy && labels[v1alpha1.LabelAccount] == account.Name
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

func render(key, text string, values map[string]string) ([]byte, error) {
	parsed, err := template.New(key).Option("missingkey=error").Funcs(functions).Parse(text)
	if err != nil {
		return nil, errors.New("must be a Go " + err.Error()) // which begins with "template: " and the key
	}
	if len(parsed.Templates()) > 1 || loops(parsed.Root) {
		// Nested loops would let a template of a few lines run for years.
		return nil, errors.New("must not use range, define, block or template")
	}
	var out limited
	if err := parsed.Execute(&out, values); err != nil {
		// The error of a template may quote the values it was working on, so it is not passed on.
		return nil, fmt.Errorf("must only use .access_token, .id_token, .token_type, .scope, .expires_at and .account_id, "+
			"and render to at most %d KiB", maxRendered>>10)
	}
	return out.Bytes(), nil
}

// functions take the place of those built in that make text, and refuse to make more than a key may hold. Nested, or
// through variables, each can double what it is given, so that a line of them would exhaust the memory.
var functions = template.FuncMap{
	"html":     short(template.HTMLEscaper),
	"js":       short(template.JSEscaper),
	"print":    short(fmt.Sprint),
	"println":  short(fmt.Sprintln),
	"urlquery": short(template.URLQueryEscaper),
	"printf": func(format string, values ...any) (string, error) {
		if wide.MatchString(format) || len(format) > maxFormat || size(values)*strings.Count(format, "%") > maxArguments {
			return "", errTooLarge
		}
		return short(func(values ...any) string { return fmt.Sprintf(format, values...) })(values...)
	},
}

// wide matches formats that make much text of nothing: with a width or precision of three digits, or one that is
// an argument. Together with maxFormat it bounds what a format can make by itself to some 25 KiB.
var wide = regexp.MustCompile(`%[^A-Za-z%]*([0-9]{3}|\*)`)

const maxFormat = 1 << 10

// maxArguments bounds what is put together before the result is measured.
const maxArguments = 8 * maxRendered

var errTooLarge = fmt.Errorf("larger than %d KiB", maxRendered>>10)

// short keeps what a function takes and makes within bounds.
func short(function func(...any) string) func(...any) (string, error) {
	return func(values ...any) (string, error) {
		if size(values) > maxArguments {
			return "", errTooLarge
		}
		text := function(values...)
		if len(text) > maxRendered {
			return "", errTooLarge
		}
		return text, nil
	}
}

// size is the length of the text among values.
func size(values []any) int {
	total := 0
	for _, value := range values {
		if text, ok := value.(string); ok {
			total += len(text)
		}
	}
	return total
}

// loops tells whether a template can run for longer than its text is long.
func loops(node parse.Node) bool {
	switch node := node.(type) {
	case *parse.ListNode:
		return node != nil && slices.ContainsFunc(node.Nodes, loops)
	case *parse.IfNode:
		return loops(node.List) || loops(node.ElseList)
	case *parse.WithNode:
		return loops(node.List) || loops(node.ElseList)
	case *parse.RangeNode, *parse.TemplateNode:
		return true
	}
	return false
}

// limited is a buffer that refuses to grow past maxRendered.
type limited struct{ bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > maxRendered {
		return 0, errTooLarge
	}
	return l.Buffer.Write(p)
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
