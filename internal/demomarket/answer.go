package demomarket

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
)

// answer is a token answer as the platform writes it (RFC 6749 section 5.1).
func (m *Market) answer(x *exchange, set tokenSet) map[string]any {
	answer := map[string]any{}
	if m.platform.Extra != nil {
		answer = m.platform.Extra(set.facts)
	}
	answer["access_token"] = set.access
	answer["token_type"] = m.tokenType(set.grant)
	raw := cmp.Or(x.strike.ExpiresIn, m.platform.ExpiresIn, "{seconds}")
	if raw != platforms.ExpiresInAbsent {
		answer["expires_in"] = json.RawMessage(strings.ReplaceAll(raw, "{seconds}", seconds(set.lifetime)))
	}
	if m.namesScope(set.issuance) {
		answer["scope"] = strings.Join(set.granted, " ")
	}
	if set.id != "" {
		answer["id_token"] = set.id
	}
	if set.refresh == "" {
		return answer
	}
	answer["refresh_token"] = set.refresh
	if field := m.platform.RefreshToken.ExpiryField; field != "" && !set.refreshExpires.IsZero() {
		answer[field] = int64(set.refreshExpires.Sub(set.facts.IssuedTime) / time.Second)
	}
	return answer
}

// tokenType is the platform's word for the type of token that a grant yields.
func (m *Market) tokenType(grant string) string {
	if grant == platforms.GrantClientCredentials {
		return cmp.Or(m.platform.ApplicationTokenType, m.platform.TokenType, "Bearer")
	}
	return cmp.Or(m.platform.TokenType, "Bearer")
}

// namesScope tells whether the answer has a scope.
func (m *Market) namesScope(decided issuance) bool {
	switch m.platform.ScopeAnswer {
	case platforms.ScopeAlways:
		return true
	case platforms.ScopeNever:
		return false
	}
	return !slices.Equal(decided.asked, decided.granted)
}

// seconds is a duration as a JSON number.
func seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }
