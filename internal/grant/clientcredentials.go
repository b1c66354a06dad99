package grant

import (
	"context"
	"slices"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
)

// ClientCredentials asks for a token of the application itself (RFC 6749 section 4.4).
func (e Endpoint) ClientCredentials(ctx context.Context, scopes []string) (answer.Tokens, error) {
	return e.ask(ctx, wireClientCredentials, nil, func(ctx context.Context, config *oauth2.Config) (*oauth2.Token, error) {
		return (&clientcredentials.Config{
			ClientID:     config.ClientID,
			ClientSecret: config.ClientSecret,
			TokenURL:     config.Endpoint.TokenURL,
			AuthStyle:    config.Endpoint.AuthStyle,
			Scopes:       slices.Clone(scopes),
		}).Token(ctx)
	})
}
