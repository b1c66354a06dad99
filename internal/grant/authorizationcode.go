package grant

import (
	"context"

	"golang.org/x/oauth2"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
)

// AuthorizationCode exchanges the code that a browser brought back (RFC 6749 section 4.1.3). redirectURI is the one of the
// authorization request, empty if that had none; verifier belongs to its code challenge (RFC 7636 section 4.5), empty if
// that had none.
func (e Endpoint) AuthorizationCode(ctx context.Context, code, redirectURI, verifier string) (answer.Tokens, error) {
	if code == "" {
		return answer.Tokens{}, &answer.Error{Kind: answer.GrantRejected, Message: "there is no authorization code"}
	}
	secrets := []string{code, verifier}
	return e.ask(ctx, wireAuthorizationCode, secrets, func(ctx context.Context, config *oauth2.Config) (*oauth2.Token, error) {
		config.RedirectURL = redirectURI
		var options []oauth2.AuthCodeOption
		if verifier != "" {
			options = append(options, oauth2.VerifierOption(verifier))
		}
		return config.Exchange(ctx, code, options...)
	})
}
