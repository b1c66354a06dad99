package visitor

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	authenticationv1 "k8s.io/api/authentication/v1"
)

// Visitor is a person, or a program, with a token that the API server knows.
type Visitor struct {
	// Near is the namespace of the account that they came for; empty for none.
	Near string

	token string
	key   tokenKey
	user  authenticationv1.UserInfo
}

// tokenKey stands for a token in memory.
type tokenKey [sha256.Size]byte

// Username is the name by which the API server knows the visitor.
func (v *Visitor) Username() string { return v.user.Username }

// Token is the visitor's bearer token, for the cookie of the session and nothing else.
func (v *Visitor) Token() string { return v.token }

// FormToken goes with each form of a session at a portal's address. It can be made with the session's token alone, and is good for
// one session and one path.
func (v *Visitor) FormToken(address, path string) string { return formToken(v.token, address, path) }

// OwnsForm tells whether a form brings the token that FormToken gave to this visitor.
func (v *Visitor) OwnsForm(brought, address, path string) bool {
	return IsOwnForm(brought, v.token, address, path)
}

// IsOwnForm tells whether a form brings the token that FormToken gave to the session of a bearer token, which need not have been
// reviewed.
func IsOwnForm(brought, token, address, path string) bool {
	return hmac.Equal([]byte(brought), []byte(formToken(token, address, path)))
}

func formToken(token, address, path string) string {
	mac := hmac.New(sha256.New, []byte(token))
	fmt.Fprintf(mac, "form of the portal %s\n%s", address, path)
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}
