package signin

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
)

// secretSize is the size of tickets, states, verifiers and the like in bytes: 256 bits, of which RFC 6749 section 10.10
// asks for 128.
const secretSize = 32

// NewSecret draws a ticket, a state, a nonce, a code verifier (RFC 7636 section 4.1) or the secret of a cookie: 43
// characters that need no escape in a URL, and that no platform encodes anew.
func NewSecret(random io.Reader) (string, error) {
	var bits [secretSize]byte
	if _, err := io.ReadFull(random, bits[:]); err != nil {
		return "", fmt.Errorf("drawing a secret: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(bits[:]), nil
}

// Hash is the stored form of a secret. It needs no salt, since a drawn secret cannot be guessed. As a code challenge it
// is that of RFC 7636 section 4.2.
func Hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// Matches tells in constant time whether a secret is the one of which the hash was stored. Nothing matches an empty hash.
func Matches(hash, secret string) bool {
	return hash != "" && subtle.ConstantTimeCompare([]byte(hash), []byte(Hash(secret))) == 1
}

// Again is the ticket with which the browser of a visit may begin another after one that brought nothing. It follows from the
// secret in the visit's cookie, so only the replicas and that browser can name it.
func Again(cookie string) string { return Hash("begin again after the visit of " + cookie) }
