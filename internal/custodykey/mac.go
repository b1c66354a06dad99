package custodykey

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"k8s.io/apimachinery/pkg/types"
)

// keySize is the least length of a key, in bytes (RFC 2104 section 3).
const keySize = sha256.Size

// Key is a secret of keySize bytes at least.
type Key []byte

// newKey draws a key of 256 bits, in characters that an editor shows. Its error is that of the source of randomness.
func newKey(random io.Reader) (Key, error) {
	secret := make([]byte, keySize)
	if _, err := io.ReadFull(random, secret); err != nil {
		return nil, fmt.Errorf("drawing the key of custody: %w", err)
	}
	return []byte(base64.RawURLEncoding.EncodeToString(secret)), nil
}

// keyOf reads a key, without the line end that an editor adds; nil where there is none that will do.
func keyOf(data []byte) Key {
	if data = bytes.TrimSpace(data); len(data) >= keySize {
		return slices.Clone(data)
	}
	return nil
}

// mac authenticates a document as that of one account. The UID of the account and the cluster stand in the document: a document that was
// moved or restored with its account is authentic, and package facts deals with it.
func (k Key) mac(account types.NamespacedName, document []byte) []byte {
	return k.sum([]byte("tokenkeeper custody 1"), []byte(account.Namespace), []byte(account.Name), document)
}

// id tells two keys apart, and gives nothing else of them away.
func (k Key) id() string {
	if k == nil {
		return ""
	}
	return base64.RawStdEncoding.EncodeToString(k.sum([]byte("tokenkeeper custody key id"))[:12])
}

// sum is HMAC-SHA256 over parts, which cannot run into each other.
func (k Key) sum(parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, k)
	for _, part := range parts {
		_ = binary.Write(mac, binary.BigEndian, uint64(len(part))) // a hash takes everything
		_, _ = mac.Write(part)
	}
	return mac.Sum(nil)
}
