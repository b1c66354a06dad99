package wire

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"fmt"
	"sync"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
)

// sharedKey is made when first asked for and never changes.
var sharedKey = sync.OnceValue(newRSAKey)

// SharedKey returns an RSA key that is made once in a process, for tests that start many servers.
func SharedKey() *rsa.PrivateKey { return sharedKey() }

// newRSAKey makes a key of the size that the platforms use.
func newRSAKey() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return key
}

// Keys sign a server's JWTs. They are made when first needed and are safe for concurrent use.
type Keys struct {
	rs256, es256 func() (*SigningKey, error)
}

// SigningKey is a key with its signer of go-jose.
type SigningKey struct {
	Public jose.JSONWebKey
	signer jose.Signer
}

// NewKeys returns keys of which the RSA one is given, or made when it is nil.
func NewKeys(given *rsa.PrivateKey) *Keys {
	return &Keys{
		rs256: sync.OnceValues(func() (*SigningKey, error) {
			if given == nil {
				given = newRSAKey()
			}
			return newSigningKey(jose.RS256, given)
		}),
		es256: sync.OnceValues(func() (*SigningKey, error) {
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				return nil, fmt.Errorf("making an ECDSA key: %w", err)
			}
			return newSigningKey(jose.ES256, key)
		}),
	}
}

// newSigningKey names the key by its thumbprint (RFC 7638), so that keys of two servers are never taken for one.
func newSigningKey(algorithm jose.SignatureAlgorithm, private crypto.Signer) (*SigningKey, error) {
	public := jose.JSONWebKey{Key: private.Public(), Algorithm: string(algorithm), Use: "sig"}
	thumbprint, err := public.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("naming the key: %w", err)
	}
	public.KeyID = base64.RawURLEncoding.EncodeToString(thumbprint)
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: private, KeyID: public.KeyID}},
		new(jose.SignerOptions).WithType("JWT"),
	)
	if err != nil {
		return nil, fmt.Errorf("making a signer: %w", err)
	}
	return &SigningKey{Public: public, signer: signer}, nil
}

// Key is the one for an algorithm, RS256 unless told otherwise.
func (k *Keys) Key(algorithm platforms.Signature) (*SigningKey, error) {
	if algorithm == platforms.ES256 {
		return k.es256()
	}
	return k.rs256()
}

// Sign makes a JWT.
func (k *Keys) Sign(algorithm platforms.Signature, claims map[string]any) (string, error) {
	key, err := k.Key(algorithm)
	if err != nil {
		return "", err
	}
	token, err := jwt.Signed(key.signer).Claims(claims).Serialize()
	if err != nil {
		return "", fmt.Errorf("signing a JWT: %w", err)
	}
	return token, nil
}
