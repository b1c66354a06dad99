package grant

import (
	"context"

	"golang.org/x/oauth2"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
)

// RefreshToken asks for tokens with a refresh token (RFC 6749 section 6). No scope is sent: the scope of the
// consent stays, and Amazon refuses the parameter. An answer without a refresh token leaves the old one in
// force, so the returned Tokens always hold the one to use next.
func (e Endpoint) RefreshToken(ctx context.Context, refreshToken string) (answer.Tokens, error) {
	if refreshToken == "" {
		return answer.Tokens{}, &answer.Error{Kind: answer.GrantRejected, Message: "there is no refresh token"}
	}
	return e.ask(ctx, wireRefreshToken, []string{refreshToken}, func(ctx context.Context, config *oauth2.Config) (*oauth2.Token, error) {
		return config.TokenSource(ctx, &oauth2.Token{RefreshToken: refreshToken}).Token()
	})
}
