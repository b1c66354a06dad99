package demomarket

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
)

// unreserved are the characters of verifiers and challenges (RFC 7636 sections 4.1 and 4.2).
const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

// checkChallenge refuses a faulty challenge of an authorization request.
func checkChallenge(p platforms.PKCE, challenge, method string, c *client) *denial {
	switch {
	case p == platforms.NoPKCE:
		return nil
	case challenge == "" && method != "":
		return deny(platforms.InvalidRequest, "code_challenge_method without code_challenge")
	case challenge == "" && requires(p, c):
		return deny(platforms.InvalidRequest, "code_challenge is missing")
	case challenge == "":
		return nil
	case method != "S256":
		return deny(platforms.InvalidRequest, "code_challenge_method must be S256")
	case len(challenge) != base64.RawURLEncoding.EncodedLen(sha256.Size) || !isUnreserved(challenge):
		return deny(platforms.InvalidRequest, "code_challenge is no S256 challenge")
	}
	return nil
}

// checkVerifier tells whether a verifier fits the challenge that the code was asked for with. A verifier where there was
// no challenge is refused: the challenge was taken away on its way (RFC 9700 section 4.8.2).
func checkVerifier(p platforms.PKCE, verifier, challenge string) *denial {
	switch {
	case p == platforms.NoPKCE:
		return nil
	case challenge == "" && verifier != "":
		return deny(platforms.InvalidCode, "code_verifier without code_challenge")
	case challenge == "":
		return nil
	case len(verifier) < 43 || len(verifier) > 128 || !isUnreserved(verifier):
		return deny(platforms.InvalidCode, "code_verifier is missing or malformed")
	}
	hashed := sha256.Sum256([]byte(verifier))
	if base64.RawURLEncoding.EncodeToString(hashed[:]) != challenge {
		return deny(platforms.InvalidCode, "code_verifier does not fit code_challenge")
	}
	return nil
}

// isUnreserved tells whether text holds unreserved characters alone.
func isUnreserved(text string) bool { return strings.Trim(text, unreserved) == "" }

// requires tells whether an application must send a challenge.
func requires(p platforms.PKCE, c *client) bool {
	return p == platforms.RequiredPKCE || (p == platforms.OptionalPKCE && c.public())
}
