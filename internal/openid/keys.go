package openid

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/tokenkeeper/tokenkeeper/internal/outgoing"
	"github.com/tokenkeeper/tokenkeeper/internal/redact"
)

const (
	// keysFresh is how long keys are used before they are fetched again, so that a key that was withdrawn is not believed for
	// long, and keysLife how long they are used while that fails.
	keysFresh = time.Hour
	keysLife  = 24 * time.Hour
	// keysRest is how long after a fetch a token with an unknown key causes no other fetch: the maker of tokens could otherwise make
	// the operator ask without end.
	keysRest = 10 * time.Second
	// maxRSABits and maxTries bound the work on one token.
	maxRSABits = 8192
	maxTries   = 100
	// maxKeys and maxKeyTexts bound the keys of an issuer that are kept, the latter in bytes. Large issuers publish some twenty, of 500 bytes each.
	maxKeys     = 100
	maxKeyTexts = 32 << 10
)

// publishedKey is a member of a key set (RFC 7517 section 4), decoded when a token needs it. A key that cannot be decoded
// leaves the other keys as they are.
type publishedKey struct {
	id, kind, algorithm, use string
	// public holds the members that make up a public key, as JSON.
	public []byte
}

// keySet are the keys of an issuer. It may be used by many goroutines at once.
type keySet struct {
	address string
	fetch   func(ctx context.Context, address string) ([]publishedKey, error)
	now     func() time.Time

	mu          sync.Mutex
	keys        []publishedKey
	fetched, at time.Time // the last time that it succeeded, and that it was tried
}

// errKeysAddress is why keys are not asked for.
var errKeysAddress = errors.New("the discovery document names no usable jwks_uri")

// fetchKeys gets the keys at an address; calls at the same time share one request.
func (p *Providers) fetchKeys(ctx context.Context, address string) ([]publishedKey, error) {
	if err := outgoing.CheckURL(address); err != nil {
		return nil, fmt.Errorf("%w: %s", errKeysAddress, redact.Line(err.Error()))
	}
	keys, err, _ := p.fetches.Do("keys "+address, func() (any, error) {
		members, err := p.fetchObject(context.WithoutCancel(ctx), address)
		if err != nil {
			return nil, err
		}
		var listed []json.RawMessage
		if json.Unmarshal(members["keys"], &listed) != nil {
			return nil, errors.New("the answer is no set of keys")
		}
		return publishedKeys(listed), nil
	})
	if err != nil {
		return nil, err
	}
	return keys.([]publishedKey), nil
}

func publishedKeys(listed []json.RawMessage) []publishedKey {
	keys := make([]publishedKey, 0, min(len(listed), maxKeys))
	texts := 0
	for _, one := range listed {
		var members map[string]json.RawMessage
		if json.Unmarshal(one, &members) != nil {
			continue
		}
		key := publishedKey{
			id: textOf(members["kid"]), kind: textOf(members["kty"]), algorithm: textOf(members["alg"]), use: textOf(members["use"]),
			public: publicMembers(members),
		}
		texts += len(key.id) + len(key.kind) + len(key.algorithm) + len(key.use) + len(key.public)
		if len(keys) == maxKeys || texts > maxKeyTexts {
			break
		}
		keys = append(keys, key)
	}
	return keys
}

// publicMembers are the members that make up a public key: a bad certificate beside them, say, is not the key's fault.
func publicMembers(members map[string]json.RawMessage) []byte {
	needed := map[string]string{}
	for _, name := range []string{"kty", "n", "e", "crv", "x", "y"} {
		if text := textOf(members[name]); text != "" {
			needed[name] = text
		}
	}
	text, _ := json.Marshal(needed) // texts can be written
	return text
}

// known returns the keys at hand, fetched anew where they are old, and whether they were fetched by this call.
func (s *keySet) known(ctx context.Context) (keys []publishedKey, anew bool, err error) {
	s.mu.Lock()
	keys, fetched, at := s.keys, s.fetched, s.at
	s.mu.Unlock()
	now := s.now()
	usable := keys != nil && !hasPassed(keysLife, fetched, now)
	if usable && (!hasPassed(keysFresh, fetched, now) || !hasPassed(rediscoverAfter, at, now)) {
		return keys, false, nil
	}
	fresh, err := s.refetch(ctx)
	if err != nil && usable {
		return keys, false, nil
	}
	return fresh, true, err
}

// refetch fetches the keys.
func (s *keySet) refetch(ctx context.Context) ([]publishedKey, error) {
	keys, err := s.fetch(ctx, s.address)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = s.now()
	if err == nil {
		s.keys, s.fetched = keys, s.at
	}
	return keys, err
}

// rests tells that the keys were fetched a moment ago.
func (s *keySet) rests() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !hasPassed(keysRest, s.at, s.now())
}

// signature verifies one token's signature by the keys of its issuer.
type signature struct {
	keys *keySet
	// unfetched is why the keys could not be had; nil when they could.
	unfetched error
}

var errNoKey = errors.New("none of the issuer's keys has signed it")

// VerifySignature implements oidc.KeySet.
func (v *signature) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	parsed, err := jose.ParseSignedCompact(token, publicAlgorithms)
	if err != nil || len(parsed.Signatures) != 1 {
		return nil, errors.New("malformed jwt")
	}
	keys, anew, err := v.keys.known(ctx)
	if err != nil {
		v.unfetched = err
		return nil, err
	}
	payload, known := verifyBy(keys, parsed)
	if payload != nil || anew {
		return payload, noKey(payload)
	}
	// The key may be a new one, or have a new value under its old name.
	if v.keys.rests() {
		if !known {
			v.unfetched = errors.New("they were fetched a moment ago, and the token's is not among them yet")
		}
		return nil, errNoKey
	}
	if keys, err = v.keys.refetch(ctx); err != nil {
		v.unfetched = err
		return nil, err
	}
	payload, _ = verifyBy(keys, parsed)
	return payload, noKey(payload)
}

func noKey(payload []byte) error {
	if payload == nil {
		return errNoKey
	}
	return nil
}

// verifyBy returns the payload of a token that one of the keys has signed, else nil, and whether there was one to try.
func verifyBy(keys []publishedKey, token *jose.JSONWebSignature) (payload []byte, known bool) {
	header := token.Signatures[0].Header
	tries := 0
	for _, key := range candidates(keys, header) {
		public := key.decode()
		if public == nil {
			continue
		}
		if tries++; tries > maxTries {
			break
		}
		if payload, err := token.Verify(public); err == nil {
			return payload, true
		}
	}
	return nil, tries > 0
}

// candidates are the keys that may have signed a token, those of its key's name first. Several may share a name, and where
// token or key has none every key of the right kind may be meant.
func candidates(keys []publishedKey, header jose.Header) []publishedKey {
	var named, unnamed []publishedKey
	for _, key := range keys {
		switch {
		case key.kind != kindFor(header.Algorithm), key.use == "enc", key.algorithm != "" && key.algorithm != header.Algorithm:
		case key.id == header.KeyID:
			named = append(named, key)
		case key.id == "" || header.KeyID == "":
			unnamed = append(unnamed, key)
		}
	}
	return slices.Concat(named, unnamed)
}

// kindFor is the kind of key (RFC 7518 section 6.1) that an algorithm uses.
func kindFor(algorithm string) string {
	switch {
	case strings.HasPrefix(algorithm, "RS"), strings.HasPrefix(algorithm, "PS"):
		return "RSA"
	case strings.HasPrefix(algorithm, "ES"):
		return "EC"
	}
	return "OKP"
}

// decode returns the key; nil when it is none.
func (k publishedKey) decode() any {
	var decoded jose.JSONWebKey
	if decoded.UnmarshalJSON(k.public) != nil || !decoded.Valid() {
		return nil
	}
	switch public := decoded.Key.(type) {
	case *rsa.PublicKey:
		if public.N.BitLen() <= maxRSABits {
			return public
		}
	case *ecdsa.PublicKey, ed25519.PublicKey:
		return public
	}
	return nil
}
