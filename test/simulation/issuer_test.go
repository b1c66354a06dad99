package simulation_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"encoding/json"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Where an issuer tells of itself.
const (
	discoveryPath = "/.well-known/openid-configuration"
	keysPath      = "/keys"
)

// issuerKey signs ID tokens. It is the same in every history: it keeps nothing secret.
var issuerKey = func() *ecdsa.PrivateKey {
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), append(make([]byte, 31), 47))
	if err != nil {
		panic(err)
	}
	return key
}()

// address is the issuer.
func (m *market) address() string { return "https://" + m.name + ".example" }

// issuerDocument is the document that an issuer has about itself.
func (m *market) issuerDocument(path string) string {
	var document any = map[string]any{
		"issuer": m.address(), "token_endpoint": m.address() + "/token", "authorization_endpoint": m.address() + "/authorize",
		"device_authorization_endpoint": m.address() + "/device", "revocation_endpoint": m.address() + "/revoke", "jwks_uri": m.address() + keysPath,
	}
	if path == keysPath {
		document = jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: issuerKey.Public(), KeyID: "one", Algorithm: string(jose.ES256), Use: "sig"}}}
	}
	text, err := json.Marshal(document)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// idToken is an ID token of a seller.
func (m *market) idToken(seller, nonce string) string {
	claims := map[string]any{
		"iss": m.address(), "aud": clientID, "sub": seller, "iat": time.Now().Unix(), "exp": time.Now().Add(m.life).Unix(), "jti": credential,
	}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: issuerKey, KeyID: "one"}}, nil)
	if err != nil {
		panic(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		panic(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return token
}
