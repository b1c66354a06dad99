package custody

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"io"
	"slices"
	"time"
)

// Refusal is a refusal that only a change can cure.
type Refusal struct {
	Reason  string    `json:"reason"`
	Message string    `json:"message"`
	At      time.Time `json:"at"`
	// Digests recognize refused content, the latest last: the refusal stands while content with one of them would be sent. They are empty in
	// the format before digests.
	Digests []string `json:"digests,omitempty"`
	// Inputs are the versions of the objects that were used. A refusal without digests stands until the version of the Secret that was refused
	// changes.
	Inputs Inputs `json:"inputs"`
	// Tries counts how often in a row the account has asked again by itself and was refused, of ApplicationRejected.
	Tries int32 `json:"tries,omitempty"`
	// Imported is the refresh token that was refused, of a RefusedImport.
	Imported string `json:"imported,omitempty"`
	// Restored tells that the refresh token may be spent, since it is of a restored Custody; of RenewalOutcomeUnknown. A request
	// makes the operator try all the same.
	Restored bool `json:"restored,omitempty"`
	// AccountID is the account that signed in, where another was expected; empty when the marketplace did not name it.
	AccountID string `json:"accountID,omitempty"`
}

// Inputs are the versions of the objects that a token request is made of.
type Inputs struct {
	Spec        string `json:"spec,omitempty"`
	Marketplace string `json:"marketplace,omitempty"`
	Application string `json:"application,omitempty"`
	Credentials string `json:"credentials,omitempty"`
}

// refusalKeySize is that of the hash, as RFC 2104 section 3 recommends.
const refusalKeySize = sha256.Size

// maxRefusedDigests is how many refused contents are remembered: enough for two tools that overwrite each other's Secret, and
// for the attempts of a day.
const maxRefusedDigests = 16

// NewRefusalKey draws a key of digests. Its error is that of the source of randomness.
func NewRefusalKey(random io.Reader) ([]byte, error) {
	key := make([]byte, refusalKeySize)
	if _, err := io.ReadFull(random, key); err != nil {
		return nil, err
	}
	return key, nil
}

// RefusalDigest is HMAC-SHA256 over the parts of a request, which cannot run into each other; empty while there is no key.
func (c Custody) RefusalDigest(parts []string) string {
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

// Covers tells whether the content with this digest was refused.
func (r *Refusal) Covers(digest string) bool {
	return r != nil && digest != "" && slices.Contains(r.Digests, digest)
}

// NotAfter is a refusal that does not lie ahead of a clock that was set back: it counts as of now, so that what fails from now on is the later.
func (r *Refusal) NotAfter(now time.Time) *Refusal {
	if r == nil || !r.At.After(now) {
		return r
	}
	earlier := *r
	earlier.At = now
	return &earlier
}

// Versioned tells that the refusal is of the format before digests, which knows the versions of its Inputs alone.
func (r Refusal) Versioned() bool { return len(r.Digests) == 0 }

// WithDigest is a refusal that covers a digest, and the digests of an earlier refusal: refused content is not tried again for having
// been replaced in between.
func (r Refusal) WithDigest(digest string, earlier *Refusal) Refusal {
	if digest == "" {
		return r
	}
	var digests []string
	if earlier != nil {
		digests = slices.DeleteFunc(slices.Clone(earlier.Digests), func(known string) bool { return known == digest })
	}
	digests = append(digests, digest)
	r.Digests = digests[max(0, len(digests)-maxRefusedDigests):]
	return r
}
