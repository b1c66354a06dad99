package demomarket

import (
	"crypto/sha256"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
)

// tokenKey stands for a token in memory, so that ten thousand long ones cost little.
type tokenKey [sha256.Size]byte

// keyOf is the key of a token.
func keyOf(token string) tokenKey { return sha256.Sum256([]byte(token)) }

// family is a consent, and all refresh tokens that descend from it.
type family struct {
	clientID string
	sellerID string
	scopes   []string
	ends     time.Time // of the consent, where refreshing does not prolong it; zero: never
	dead     bool
	live     *refreshToken // the newest; nil until the first is added
	access   *accessToken  // the newest; nil until the first is issued
}

// refreshToken is one token of a family. It stays in memory when it is spent: that is how a second use is noticed.
type refreshToken struct {
	family     *family
	expires    time.Time // zero: never
	spent      time.Time // of its first use; zero before
	superseded time.Time // when its predecessor, used again within the grace, brought a newer pair; zero otherwise
}

// usable tells whether the token works at now.
func (t *refreshToken) usable(now time.Time, grace time.Duration) bool {
	return !t.family.dead &&
		(t.expires.IsZero() || now.Before(t.expires)) &&
		(t.superseded.IsZero() || now.Before(t.superseded.Add(grace))) &&
		(t.spent.IsZero() || now.Before(t.spent.Add(grace)))
}

// refreshTokens are the refresh tokens of a market. The market's lock guards them.
type refreshTokens struct {
	policy   platforms.RefreshToken
	tokens   map[tokenKey]*refreshToken
	families []*family
}

// newRefreshTokens returns none yet.
func newRefreshTokens(policy platforms.RefreshToken) *refreshTokens {
	return &refreshTokens{policy: policy, tokens: map[tokenKey]*refreshToken{}}
}

// find returns the token of that value, spent or not, and nil when there never was one.
func (s *refreshTokens) find(value string) *refreshToken { return s.tokens[keyOf(value)] }

// begin starts a family: a person consented.
func (s *refreshTokens) begin(clientID, sellerID string, scopes []string, now time.Time, lifetime time.Duration) *family {
	consent := &family{clientID: clientID, sellerID: sellerID, scopes: scopes}
	if !s.policy.Sliding {
		consent.ends = after(now, lifetime)
	}
	s.families = append(s.families, consent)
	return consent
}

// add makes value the newest token of its family. One that is there and unspent is left over from a request within the
// grace: it becomes the older of two successors and has only the grace left, since of several pairs made from one token
// the newest is the one to keep.
func (s *refreshTokens) add(f *family, value string, now time.Time, lifetime time.Duration) {
	if f.live != nil && f.live.spent.IsZero() {
		f.live.superseded = now
	}
	f.live = &refreshToken{family: f, expires: s.expiry(f, now, lifetime)}
	s.tokens[keyOf(value)] = f.live
}

// spend judges a token that is presented at now. Where tokens rotate it is spent thereby, and elsewhere, if the
// platform's lifetimes slide, prolonged.
func (s *refreshTokens) spend(t *refreshToken, now time.Time, lifetime time.Duration) (bool, judgement) {
	if !t.spent.IsZero() && !now.Before(t.spent.Add(s.policy.ReuseGrace)) {
		t.family.dead = t.family.dead || s.policy.ReuseDetection
		return false, spentTwice
	}
	switch {
	case !t.usable(now, s.policy.ReuseGrace):
		return false, ordinary
	case s.policy.Rotation != platforms.Rotating:
		t.expires = s.expiry(t.family, now, lifetime)
		return true, ordinary
	case !t.spent.IsZero():
		return true, reusedInGrace
	}
	t.spent = now
	return true, ordinary
}

// expiry is when a token that is made or used at now ends.
func (s *refreshTokens) expiry(f *family, now time.Time, lifetime time.Duration) time.Time {
	if s.policy.Sliding {
		return after(now, lifetime)
	}
	return f.ends
}

// after is the end of a lifetime, zero when there is none.
func after(now time.Time, lifetime time.Duration) time.Time {
	if lifetime == 0 {
		return time.Time{}
	}
	return now.Add(lifetime)
}

// endAll ends every family.
func (s *refreshTokens) endAll() {
	for _, f := range s.families {
		f.dead = true
	}
}

// alive counts the families that a client can go on with.
func (s *refreshTokens) alive(now time.Time) int {
	count := 0
	for _, f := range s.families {
		if f.live != nil && f.live.usable(now, s.policy.ReuseGrace) {
			count++
		}
	}
	return count
}
