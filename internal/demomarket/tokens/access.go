package tokens

import (
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
)

// AccessToken is a token as the platform's API knows it.
type AccessToken struct {
	ClientID string
	Seller   platforms.Seller // zero for the application itself
	Family   *Family          // nil without a refresh token
	Scopes   []string
	Expires  time.Time
	Ended    bool
}

// AccessTokens are the tokens of a market that have not run out. The market's lock guards them.
type AccessTokens struct {
	tokens map[Key]*AccessToken
	queue  []Key // in the order of issue, which but for a change of lifetimes is that of expiry
}

// NewAccessTokens returns none yet.
func NewAccessTokens() *AccessTokens { return &AccessTokens{tokens: map[Key]*AccessToken{}} }

// Add registers a token, and forgets tokens at the head of the queue that have run out. So memory follows the tokens in
// force and not the requests made.
func (s *AccessTokens) Add(value string, token *AccessToken, now time.Time) {
	for len(s.queue) > 0 {
		oldest, ok := s.tokens[s.queue[0]]
		if ok && now.Before(oldest.Expires) {
			break
		}
		delete(s.tokens, s.queue[0])
		s.queue = s.queue[1:]
	}
	key := KeyOf(value)
	s.tokens[key] = token
	s.queue = append(s.queue, key)
}

// Find returns the token of that value if it is good at now, else nil.
func (s *AccessTokens) Find(value string, now time.Time) *AccessToken {
	token := s.tokens[KeyOf(value)]
	if token == nil || token.Ended || !now.Before(token.Expires) {
		return nil
	}
	if token.Family != nil && token.Family.Dead {
		return nil
	}
	return token
}

// RanOut tells whether the token of that value was good, and has run out. One that was forgotten since was none.
func (s *AccessTokens) RanOut(value string, now time.Time) bool {
	token := s.tokens[KeyOf(value)]
	return token != nil && !token.Ended && !now.Before(token.Expires)
}

// EndSellers ends the tokens of every seller.
func (s *AccessTokens) EndSellers() {
	for _, token := range s.tokens {
		token.Ended = token.Ended || token.Seller.ID != ""
	}
}
