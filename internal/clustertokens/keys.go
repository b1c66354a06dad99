// Package clustertokens recognises the bearer tokens that the cluster itself has signed, without a question to the API server: strangers cannot
// make such a token, so their guesses need not stand in the way of one.
package clustertokens

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/go-logr/logr"
	"golang.org/x/sync/singleflight"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"

	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

const (
	// issuerDocument and keysDocument are the paths at which the API server publishes the issuer and the keys of the tokens of
	// ServiceAccounts (OpenID Connect Discovery 1.0 section 3). Every ServiceAccount may read them, by the ClusterRole
	// system:service-account-issuer-discovery.
	issuerDocument = "/.well-known/openid-configuration"
	keysDocument   = "/openid/v1/jwks"
	// legacyIssuer is that of tokens from Secrets, signed with the same keys.
	legacyIssuer = "kubernetes/serviceaccount"

	// keysLife is how long keys are used, and keysAgain after how long they are read again for a token of a key that is not
	// among them, or after a failure.
	keysLife  = 10 * time.Minute
	keysAgain = 10 * time.Second
	// expiryLeeway is for clocks that differ.
	expiryLeeway = time.Minute
	// maxDocument bounds a document, in bytes: it holds a few keys, of a few KiB.
	maxDocument = 256 << 10
)

// signatureAlgorithms are the algorithms with which the API server signs its tokens, and issuers of OpenID Connect theirs.
var signatureAlgorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// Verdict is the judgement of a token without asking the API server.
type Verdict int

const (
	// Unknown: another authenticator may know it.
	Unknown Verdict = iota
	// Forged: it has expired, or bears the cluster's name without its signature.
	Forged
	// Signed: the cluster has issued it, and may have revoked it since.
	Signed
)

// Keys are the keys with which the cluster signs the tokens of ServiceAccounts, as far as the API server tells them. They may be used by many
// goroutines at once.
type Keys struct {
	// Read reads a document that the API server publishes, by its path; nil where every token is to be Unknown.
	Read func(ctx context.Context, path string) ([]byte, error)
	// Clock tells the time.
	Clock clock.PassiveClock
	// Log takes failures, and never a credential.
	Log logr.Logger

	loading singleflight.Group
	mu      sync.Mutex // guards issuer, keys and readAt
	issuer  string
	keys    jose.JSONWebKeySet
	readAt  time.Time // of the last attempt
}

// Judge sorts a token, and names the subject of one that is signed.
func (k *Keys) Judge(ctx context.Context, token string) (judged Verdict, subject string) {
	parsed, err := jwt.ParseSigned(token, signatureAlgorithms)
	if err != nil {
		return Unknown, "" // perhaps no JWT at all
	}
	var claims jwt.Claims
	if err := parsed.UnsafeClaimsWithoutVerification(&claims); err != nil {
		return Unknown, ""
	}
	if claims.Expiry != nil && k.Clock.Now().After(claims.Expiry.Time().Add(expiryLeeway)) {
		return Forged, ""
	}
	issuer, keys := k.current(ctx, keysLife)
	if issuer == "" || claims.Issuer != issuer && claims.Issuer != legacyIssuer {
		return Unknown, ""
	}
	kid := parsed.Headers[0].KeyID
	if kid != "" && len(keys.Key(kid)) == 0 {
		_, keys = k.current(ctx, keysAgain)
	}
	if slices.ContainsFunc(keys.Keys, func(key jose.JSONWebKey) bool {
		return (kid == "" || kid == key.KeyID) && parsed.Claims(key, &claims) == nil
	}) {
		return Signed, claims.Subject
	}
	return Forged, ""
}

// current returns the issuer and the keys, read within the last life; empty where the API server does not tell them.
func (k *Keys) current(ctx context.Context, life time.Duration) (string, jose.JSONWebKeySet) {
	if k.Read == nil {
		return "", jose.JSONWebKeySet{}
	}
	k.mu.Lock()
	age, never := k.Clock.Now().Sub(k.readAt), k.readAt.IsZero()
	if k.issuer == "" {
		life = keysAgain // the API server may tell now
	}
	k.mu.Unlock()
	if never || age < 0 || age >= life {
		loaded := k.loading.DoChan("", func() (any, error) {
			reading, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeouts.ReadKeys)
			defer cancel()
			k.load(reading)
			return nil, nil
		})
		select {
		case <-loaded:
		case <-ctx.Done():
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.issuer, k.keys
}

// load reads issuer and keys. After a failure the earlier ones stay.
func (k *Keys) load(ctx context.Context) {
	var issuer struct {
		Issuer string `json:"issuer"`
	}
	var keys jose.JSONWebKeySet
	err := k.document(ctx, issuerDocument, &issuer)
	if err == nil {
		err = k.document(ctx, keysDocument, &keys)
	}
	if err == nil && (issuer.Issuer == "" || len(keys.Keys) == 0) {
		err = errors.New("it names no issuer or no keys")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.readAt = k.Clock.Now()
	if err != nil {
		k.Log.V(1).Info("The API server does not tell the keys of its tokens, so each token is reviewed", "reason", err.Error())
		return
	}
	k.issuer, k.keys = issuer.Issuer, keys
}

func (k *Keys) document(ctx context.Context, path string, into any) error {
	text, err := k.Read(ctx, path)
	switch {
	case err != nil:
		return fmt.Errorf("reading %s: %s", path, cmp.Or(string(apierrors.ReasonForError(err)), "no answer"))
	case len(text) > maxDocument:
		return fmt.Errorf("reading %s: it is too large", path)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("reading %s: it is no JSON of that kind", path)
	}
	return nil
}
