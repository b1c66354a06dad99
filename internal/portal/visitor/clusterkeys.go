package visitor

import (
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
	"k8s.io/utils/clock"
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
	keysWait  = 5 * time.Second
	// expiryLeeway is for clocks that differ.
	expiryLeeway = time.Minute
)

// signatureAlgorithms are the algorithms with which the API server signs its tokens, and issuers of OpenID Connect theirs.
var signatureAlgorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// verdict is the judgement of a token without asking the API server.
type verdict int

const (
	unknown verdict = iota // another authenticator may know it
	forged                 // it has expired, or bears the cluster's name without its signature
	signed                 // the cluster has issued it
)

// clusterKeys are the keys with which the cluster signs the tokens of ServiceAccounts, as far as the API server tells them.
type clusterKeys struct {
	read  func(ctx context.Context, path string) ([]byte, error) // nil where every token is reviewed
	clock clock.PassiveClock
	log   logr.Logger

	loading singleflight.Group
	mu      sync.Mutex // guards issuer, keys and readAt
	issuer  string
	keys    jose.JSONWebKeySet
	readAt  time.Time // of the last attempt
}

// judge sorts a token, and names the subject of one that is signed.
func (k *clusterKeys) judge(ctx context.Context, token string) (judged verdict, subject string) {
	parsed, err := jwt.ParseSigned(token, signatureAlgorithms)
	if err != nil {
		return unknown, "" // perhaps no JWT at all
	}
	var claims jwt.Claims
	if err := parsed.UnsafeClaimsWithoutVerification(&claims); err != nil {
		return unknown, ""
	}
	if claims.Expiry != nil && k.clock.Now().After(claims.Expiry.Time().Add(expiryLeeway)) {
		return forged, ""
	}
	issuer, keys := k.current(ctx, keysLife)
	if issuer == "" || claims.Issuer != issuer && claims.Issuer != legacyIssuer {
		return unknown, ""
	}
	kid := parsed.Headers[0].KeyID
	if kid != "" && len(keys.Key(kid)) == 0 {
		_, keys = k.current(ctx, keysAgain)
	}
	if slices.ContainsFunc(keys.Keys, func(key jose.JSONWebKey) bool {
		return (kid == "" || kid == key.KeyID) && parsed.Claims(key, &claims) == nil
	}) {
		return signed, claims.Subject
	}
	return forged, ""
}

// current returns the issuer and the keys, read within the last life; empty where the API server does not tell them.
func (k *clusterKeys) current(ctx context.Context, life time.Duration) (string, jose.JSONWebKeySet) {
	if k.read == nil {
		return "", jose.JSONWebKeySet{}
	}
	k.mu.Lock()
	age, never := k.clock.Now().Sub(k.readAt), k.readAt.IsZero()
	if k.issuer == "" {
		life = keysAgain // the API server may tell now
	}
	k.mu.Unlock()
	if never || age < 0 || age >= life {
		loaded := k.loading.DoChan("", func() (any, error) {
			reading, cancel := context.WithTimeout(context.WithoutCancel(ctx), keysWait)
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
func (k *clusterKeys) load(ctx context.Context) {
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
	k.readAt = k.clock.Now()
	if err != nil {
		k.log.V(1).Info("The API server does not tell the keys of its tokens, so each token is reviewed", "reason", err.Error())
		return
	}
	k.issuer, k.keys = issuer.Issuer, keys
}

func (k *clusterKeys) document(ctx context.Context, path string, into any) error {
	text, err := k.read(ctx, path)
	switch {
	case err != nil:
		return fmt.Errorf("reading %s: %s", path, KindOf(err))
	case len(text) > maxClusterDocument:
		return fmt.Errorf("reading %s: it is too large", path)
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("reading %s: it is no JSON of that kind", path)
	}
	return nil
}
