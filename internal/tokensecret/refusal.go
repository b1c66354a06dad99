package tokensecret

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"io"
	"slices"
)

// refusalKeySize is that of the hash, as RFC 2104 section 3 recommends.
const refusalKeySize = sha256.Size

// maxRefusedDigests bounds what is remembered of refused contents: enough for two tools that overwrite each other's Secret, and
// for the attempts of a day.
const maxRefusedDigests = 16

// KeyRefusals draws the key of the digests, where there is none yet.
func (c *Custody) KeyRefusals(random io.Reader) error {
	if len(c.RefusalKey) > 0 {
		return nil
	}
	key := make([]byte, refusalKeySize)
	if _, err := io.ReadFull(random, key); err != nil {
		return err
	}
	c.RefusalKey = key
	return nil
}

// RefusalDigest is HMAC-SHA256 over the parts of what was refused, which cannot run into each other; empty while there is no key.
func (c *Custody) RefusalDigest(parts []string) string {
	if len(c.RefusalKey) == 0 {
		return ""
	}
	mac := hmac.New(sha256.New, c.RefusalKey)
	for _, part := range parts {
		_ = binary.Write(mac, binary.BigEndian, uint64(len(part))) // a hash takes everything
		_, _ = io.WriteString(mac, part)
	}
	return base64.RawStdEncoding.EncodeToString(mac.Sum(nil))
}

// Covers tells whether what has this digest was refused.
func (r *Refused) Covers(digest string) bool {
	return r != nil && digest != "" && slices.Contains(r.Digests, digest)
}

// Versioned tells that the refusal is of the format before digests, which knows the versions of its Inputs alone.
func (r *Refused) Versioned() bool { return len(r.Digests) == 0 }

// Remember makes the refusal cover a digest, and those of an earlier refusal: what was refused before is not tried again for having
// been something else in between.
func (r *Refused) Remember(digest string, earlier *Refused) {
	if digest == "" {
		return
	}
	var digests []string
	if earlier != nil {
		digests = slices.DeleteFunc(slices.Clone(earlier.Digests), func(known string) bool { return known == digest })
	}
	digests = append(digests, digest)
	r.Digests = digests[max(0, len(digests)-maxRefusedDigests):]
}
