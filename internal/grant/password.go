package grant

import (
	"context"
	"slices"

	"golang.org/x/oauth2"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
)

// Password asks for tokens with user name and password (RFC 6749 section 4.3). RFC 9700 section 2.4 forbids
// the grant to new designs; it exists for platforms that offer no other.
func (e Endpoint) Password(ctx context.Context, username, password string, scopes []string) (answer.Tokens, error) {
	return e.ask(ctx, wirePassword, []string{password}, func(ctx context.Context, config *oauth2.Config) (*oauth2.Token, error) {
		config.Scopes = slices.Clone(scopes)
		return config.PasswordCredentialsToken(ctx, username, password)
	})
}
