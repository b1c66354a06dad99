// Package leak looks for credentials in the output of a program: its logs, events, metrics and objects.
package leak

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
)

// shortest is the length in bytes of the shortest credential that is looked for; less turns up in any text.
const shortest = 8

// Search finds credentials, their ends, and their usual disguises. It may be used by many goroutines at once.
type Search struct {
	parts int
	// byBeginning holds what gives a credential away under its first bytes, so that a text is read once, however many there are.
	byBeginning map[string][]string
}

// For returns a search for credentials; short ones, of less than 8 bytes, are left out.
func For(secrets ...string) Search {
	s := Search{byBeginning: map[string][]string{}}
	known := map[string]bool{}
	for _, secret := range secrets {
		if len(secret) < shortest {
			continue
		}
		for _, part := range telltales(secret) {
			if !known[part] {
				known[part] = true
				s.parts++
				s.byBeginning[part[:shortest]] = append(s.byBeginning[part[:shortest]], part)
			}
		}
	}
	return s
}

// telltales are the parts that give a credential away. JWTs of one issuer begin alike, so of long ones only the end counts.
func telltales(secret string) []string {
	sum := sha256.Sum256([]byte(secret))
	parts := []string{
		secret, base64.StdEncoding.EncodeToString([]byte(secret)),
		hex.EncodeToString(sum[:])[:16], base64.StdEncoding.EncodeToString(sum[:])[:16], base64.RawURLEncoding.EncodeToString(sum[:])[:16],
	}
	if len(secret) >= 30 {
		parts = append(parts, secret[len(secret)-12:])
	}
	return parts
}

// Parts is how many different texts are looked for.
func (s Search) Parts() int { return s.parts }

// In returns the place of a text where a credential is, with the text around it; empty when there is none.
func (s Search) In(text []byte) string {
	for at := 0; at+shortest <= len(text); at++ {
		for _, part := range s.byBeginning[string(text[at:at+shortest])] {
			if bytes.HasPrefix(text[at:], []byte(part)) {
				return fmt.Sprintf("…%s…", text[max(0, at-200):min(len(text), at+len(part)+50)])
			}
		}
	}
	return ""
}
