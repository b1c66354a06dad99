package tokens

import (
	"crypto/sha256"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
)

// Key stands for a token in memory, so that ten thousand long ones cost little.
type Key [sha256.Size]byte

// KeyOf is the key of a token.
func KeyOf(token string) Key { return sha256.Sum256([]byte(token)) }

// Family is a consent, and all refresh tokens that descend from it.
type Family struct {
	ClientID string
	SellerID string
	Scopes   []string
	ends     time.Time // of the consent, where refreshing does not prolong it; zero: never
	Dead     bool
	Live     *RefreshToken // the newest; nil until the first is added
	Access   *AccessToken  // the newest; nil until the first is issued
}

// RefreshToken is one token of a family. It stays in memory when it is spent: that is how a second use is noticed.
type RefreshToken struct {
	Family     *Family
	Expires    time.Time // zero: never
	spent      time.Time // of its first use; zero before
	superseded time.Time // when its predecessor, used again within the grace, brought a newer pair; zero otherwise
}

// Usable tells whether the token works at now.
func (t *RefreshToken) Usable(now time.Time, grace time.Duration) bool {
	return !t.Family.Dead &&
		(t.Expires.IsZero() || now.Before(t.Expires)) &&
		(t.superseded.IsZero() || now.Before(t.superseded.Add(grace))) &&
		(t.spent.IsZero() || now.Before(t.spent.Add(grace)))
}

// RefreshTokens are the refresh tokens of a market. The market's lock guards them.
type RefreshTokens struct {
	Policy   platforms.RefreshToken
	tokens   map[Key]*RefreshToken
	families []*Family
}

// NewRefreshTokens returns none yet.
func NewRefreshTokens(policy platforms.RefreshToken) *RefreshTokens {
	return &RefreshTokens{Policy: policy, tokens: map[Key]*RefreshToken{}}
}

// Find returns the token of that value, spent or not, and nil when there never was one.
func (s *RefreshTokens) Find(value string) *RefreshToken { return s.tokens[KeyOf(value)] }

// Begin starts a family: a person consented.
func (s *RefreshTokens) Begin(clientID, sellerID string, scopes []string, now time.Time, lifetime time.Duration) *Family {
	consent := &Family{ClientID: clientID, SellerID: sellerID, Scopes: scopes}
	if !s.Policy.Sliding {
		consent.ends = After(now, lifetime)
	}
	s.families = append(s.families, consent)
	return consent
}

// Add makes value the newest token of its family. One that is there and unspent is left over from a request within the
// grace: it becomes the older of two successors and has only the grace left, since of several pairs made from one token
// the newest is the one to keep.
func (s *RefreshTokens) Add(f *Family, value string, now time.Time, lifetime time.Duration) {
	if f.Live != nil && f.Live.spent.IsZero() {
		f.Live.superseded = now
	}
	f.Live = &RefreshToken{Family: f, Expires: s.expiry(f, now, lifetime)}
	s.tokens[KeyOf(value)] = f.Live
}

// Spend judges a token that is presented at now. Where tokens rotate it is spent thereby, and elsewhere, if the
// platform's lifetimes slide, prolonged.
func (s *RefreshTokens) Spend(t *RefreshToken, now time.Time, lifetime time.Duration) (bool, Judgement) {
	if !t.spent.IsZero() && !now.Before(t.spent.Add(s.Policy.ReuseGrace)) {
		t.Family.Dead = t.Family.Dead || s.Policy.ReuseDetection
		return false, SpentTwice
	}
	switch {
	case !t.Usable(now, s.Policy.ReuseGrace):
		return false, Ordinary
	case s.Policy.Rotation != platforms.Rotating:
		t.Expires = s.expiry(t.Family, now, lifetime)
		return true, Ordinary
	case !t.spent.IsZero():
		return true, ReusedInGrace
	}
	t.spent = now
	return true, Ordinary
}

// expiry is when a token that is made or used at now ends.
func (s *RefreshTokens) expiry(f *Family, now time.Time, lifetime time.Duration) time.Time {
	if s.Policy.Sliding {
		return After(now, lifetime)
	}
	return f.ends
}

// After is the end of a lifetime, zero when there is none.
func After(now time.Time, lifetime time.Duration) time.Time {
	if lifetime == 0 {
		return time.Time{}
	}
	return now.Add(lifetime)
}

// EndAll ends every family.
func (s *RefreshTokens) EndAll() {
	for _, f := range s.families {
		f.Dead = true
	}
}

// Alive counts the families that a client can go on with.
func (s *RefreshTokens) Alive(now time.Time) int {
	count := 0
	for _, f := range s.families {
		if f.Live != nil && f.Live.Usable(now, s.Policy.ReuseGrace) {
			count++
		}
	}
	return count
}
