package demomarket

import (
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
)

// accessToken is a token as the platform's API knows it.
type accessToken struct {
	clientID string
	seller   platforms.Seller // zero for the application itself
	family   *family          // nil without a refresh token
	scopes   []string
	expires  time.Time
	ended    bool
}

// accessTokens are the tokens of a market that have not run out. The market's lock guards them.
type accessTokens struct {
	tokens map[tokenKey]*accessToken
	queue  []tokenKey // in the order of issue, which but for a change of lifetimes is that of expiry
}

// newAccessTokens returns none yet.
func newAccessTokens() *accessTokens { return &accessTokens{tokens: map[tokenKey]*accessToken{}} }

// add registers a token, and forgets tokens at the head of the queue that have run out. So memory follows the tokens in
// force and not the requests made.
func (s *accessTokens) add(value string, token *accessToken, now time.Time) {
	for len(s.queue) > 0 {
		oldest, ok := s.tokens[s.queue[0]]
		if ok && now.Before(oldest.expires) {
			break
		}
		delete(s.tokens, s.queue[0])
		s.queue = s.queue[1:]
	}
	key := keyOf(value)
	s.tokens[key] = token
	s.queue = append(s.queue, key)
}

// find returns the token of that value if it is good at now, else nil.
func (s *accessTokens) find(value string, now time.Time) *accessToken {
	token := s.tokens[keyOf(value)]
	if token == nil || token.ended || !now.Before(token.expires) {
		return nil
	}
	if token.family != nil && token.family.dead {
		return nil
	}
	return token
}

// ranOut tells whether the token of that value was good, and has run out. One that was forgotten since was none.
func (s *accessTokens) ranOut(value string, now time.Time) bool {
	token := s.tokens[keyOf(value)]
	return token != nil && !token.ended && !now.Before(token.expires)
}

// endSellers ends the tokens of every seller.
func (s *accessTokens) endSellers() {
	for _, token := range s.tokens {
		token.ended = token.ended || token.seller.ID != ""
	}
}
