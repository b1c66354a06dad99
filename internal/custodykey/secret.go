package custodykey

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/kube"
)

// The keys of the Secret. People write the first two, to rotate or to share the key.
const (
	currentKey  = "current"
	previousKey = "previous"
	// adoptedKey holds the operator's record of the documents that it adopted, as JSON.
	adoptedKey = "adopted"
)

// never is a boundary below every document.
const never = "1"

// adopted bounds the documents that are taken for authentic without a MAC. A boundary is a resourceVersion: the documents below it existed. An
// empty one has still to be set to the version that the Secret had when the rest was written.
type adopted struct {
	// UID is that of the Secret: another one was restored, or copied from another installation.
	UID types.UID `json:"uid,omitempty"`
	// Key identifies the key that the record belongs to.
	Key string `json:"key,omitempty"`
	// Before is the boundary of the key.
	Before string `json:"before,omitempty"`
	// Marketplaces hold the last word of an admin about each of them.
	Marketplaces map[string]adoption `json:"marketplaces,omitempty"`
}

// adoption is the last word of an admin about the documents of one Marketplace.
type adoption struct {
	Value  string `json:"value"`
	Before string `json:"before,omitempty"`
}

// state is the content of the Secret.
type state struct {
	current, previous Key
	adopted           adopted
	// settled tells that nothing has to be written: key and boundaries are known.
	settled bool
}

func stateOf(secret *corev1.Secret) state {
	s := state{current: keyOf(secret.Data[currentKey]), previous: keyOf(secret.Data[previousKey])}
	if json.Unmarshal(secret.Data[adoptedKey], &s.adopted) != nil {
		s.adopted = adopted{}
	}
	s.settled = s.current != nil && s.adopted.UID == secret.UID && s.adopted.Key == s.current.id() && s.adopted.whole() && isOwnRecord(secret)
	return s
}

// isOwnRecord tells that the operator was the last to change its record, which a backup that was restored over it did otherwise. The API server
// notes whose each key is. Where it notes nothing the record counts as the operator's.
func isOwnRecord(secret *corev1.Secret) bool {
	return len(secret.ManagedFields) == 0 || slices.ContainsFunc(secret.ManagedFields, func(entry metav1.ManagedFieldsEntry) bool {
		return entry.Manager == v1alpha1.ManagedBy && entry.FieldsV1 != nil && strings.Contains(entry.FieldsV1.GetRawString(), `"f:`+adoptedKey+`"`)
	})
}

// whole tells that every boundary is set.
func (a adopted) whole() bool {
	for _, marketplace := range a.Marketplaces {
		if marketplace.Before == "" {
			return false
		}
	}
	return a.Before != ""
}

// bounded sets the boundaries that have still to be set.
func (a adopted) bounded(version string) adopted {
	if a.Before == "" {
		a.Before = version
	}
	a.Marketplaces = maps.Clone(a.Marketplaces)
	for name, marketplace := range a.Marketplaces {
		if marketplace.Before == "" {
			marketplace.Before = version
			a.Marketplaces[name] = marketplace
		}
	}
	return a
}

// covers tells whether the document of a Secret of this version existed when its key was made, or when an admin spoke of its Marketplace.
func (a adopted) covers(version, marketplace string) bool {
	said := a.Marketplaces[marketplace].Before
	return kube.IsNewer(a.Before, version) || said != "" && kube.IsNewer(said, version)
}

// data is the state as the Secret holds it.
func (s state) data() (map[string][]byte, error) {
	text, err := json.Marshal(s.adopted)
	if err != nil {
		return nil, fmt.Errorf("encoding what is adopted: %w", err)
	}
	data := map[string][]byte{currentKey: s.current, adoptedKey: text}
	if s.previous != nil {
		data[previousKey] = s.previous
	}
	return data, nil
}
