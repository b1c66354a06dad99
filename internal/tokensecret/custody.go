package tokensecret

import (
	"encoding/json"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
)

// custodyKey is the one key of the grant Secret. A single document is read and written whole, so that its
// parts cannot disagree.
const custodyKey = "grant.json"

// macKey is the key of what the document was signed with. It covers the document as it is written, letter by letter.
const macKey = "grant.mac"

// Signed returns the document of a grant Secret and what it was signed with; nil for none.
func Signed(secret *corev1.Secret) (document, mac []byte) {
	return secret.Data[custodyKey], secret.Data[macKey]
}

// Sign puts into a grant Secret what its document was signed with; nil for nothing.
func Sign(secret *corev1.Secret, mac []byte) {
	if mac != nil {
		secret.Data[macKey] = mac
	}
}

// CustodyVersion is the version of the document that this program writes. One without a version is from before versions; one
// with a later version cannot be understood by this program.
const CustodyVersion = 1

// NewerError is a grant Secret that a later version of this program wrote.
type NewerError struct {
	// Secret is its name, and Version that of the document.
	Secret  string
	Version int
}

func (e *NewerError) Error() string {
	return fmt.Sprintf("Secret %q was written by a later version of tokenkeeper (format %d, this one knows %d), and nothing is done with it; "+
		"run that version again, or a later one", e.Secret, e.Version, CustodyVersion)
}

// IsNewer tells whether an error is a NewerError.
func IsNewer(err error) bool {
	_, newer := errors.AsType[*NewerError](err)
	return newer
}

// DecodeCustody reads a grant Secret; an absent one (nil) is the zero Custody. Its error never holds data. With a NewerError
// come the members that could be read all the same, so that an answer in hand can be stored on top of them.
func DecodeCustody(secret *corev1.Secret) (custody.Custody, error) {
	var kept custody.Custody
	if secret == nil {
		return kept, nil
	}
	if secret.Type != v1alpha1.SecretTypeGrant {
		return kept, fmt.Errorf("Secret %q must be of type %s", secret.Name, v1alpha1.SecretTypeGrant)
	}
	document, ok := secret.Data[custodyKey]
	if !ok {
		return kept, nil
	}
	if len(document) > bounds.GrantSecret {
		return kept, fmt.Errorf("Secret %q must have at most %d KiB in %s; restore it, or delete it and supply a new grant: what was single-use in it is spent",
			secret.Name, bounds.GrantSecret>>10, custodyKey)
	}
	err := json.Unmarshal(document, &kept)
	if kept.Version > CustodyVersion || err != nil && versionOf(document) > CustodyVersion {
		return decodeNewer(document), &NewerError{Secret: secret.Name, Version: versionOf(document)}
	}
	if err != nil {
		return custody.Custody{}, errors.New("Secret \"" + secret.Name + "\" must hold a readable " + custodyKey +
			"; restore it, or delete it and supply a new grant: what was single-use in it is spent")
	}
	kept.Version = CustodyVersion
	for _, entry := range []*custody.Journal{kept.Journal, kept.ImportJournal} {
		upgrade(entry)
	}
	return kept, nil
}

// upgrade reads an entry of a Custody from before last resorts.
func upgrade(entry *custody.Journal) {
	if entry != nil && entry.Retried {
		entry.Retried, entry.Lost, entry.LastResorts = false, true, max(entry.LastResorts, 1)
	}
}

// EncodeCustody writes a custody into a new grant Secret of the account, instead of held, the Secret that it was read from, so
// that a write loses against any other since; nil to create the Secret. Of a document that a later version wrote, the members that
// this one does not know stay as they are.
func EncodeCustody(account *v1alpha1.MarketplaceAccount, owner metav1.OwnerReference, kept custody.Custody, held *corev1.Secret) (*corev1.Secret, error) {
	version := ""
	if held != nil {
		version = held.ResourceVersion
	}
	newer := kept.Version > CustodyVersion
	kept.Version = max(kept.Version, CustodyVersion)
	encode := func() ([]byte, error) {
		document, err := json.Marshal(kept)
		if err == nil && newer && held != nil {
			document, err = onTopOf(held.Data[custodyKey], document)
		}
		return document, err
	}
	document, err := encode()
	for err == nil && len(document) > bounds.GrantSecret && len(kept.SpentImports) > 0 { // the oldest matter least
		kept.SpentImports = kept.SpentImports[(len(kept.SpentImports)+1)/2:]
		document, err = encode()
	}
	if err != nil {
		return nil, fmt.Errorf("encoding the grant Secret: %w", err)
	}
	if len(document) > bounds.GrantSecret {
		return nil, fmt.Errorf("the tokens of this grant take %d KiB, and the grant Secret may have %d KiB", len(document)>>10, bounds.GrantSecret>>10)
	}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name:            account.GrantSecretName(),
			Namespace:       account.Namespace,
			ResourceVersion: version,
			Labels:          labels(account, nil),
			OwnerReferences: []metav1.OwnerReference{owner},
		},
		Type: v1alpha1.SecretTypeGrant,
		Data: map[string][]byte{custodyKey: document},
	}, nil
}
