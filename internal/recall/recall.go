package recall

import (
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// Note returns the custody to store with the values that the Secrets of a request hold, but for secrets. The values from before stay where the request is not
// complete.
func Note(f facts.Facts, kept custody.Custody) custody.Custody {
	request := f.Request
	if request.Key == "" || request.Recalled {
		return kept
	}
	application := request.Application
	kept.Seen = custody.Seen{
		Inputs: request.Inputs, ClientID: application.ClientID, RedirectURI: application.RedirectURI,
		SecretExpiresAt: application.SecretExpiresAt, SecretNeverExpires: application.SecretNeverExpires,
		Username: request.Login.Username, GrantedAt: request.Imported.GrantedAt,
	}
	if request.Platform.ApplicationSecretLifetime > 0 {
		kept.Seen.SecretSince = f.ClientSecretSince()
	}
	if request.Imported.RefreshToken != kept.Imported || request.Imported.Misdated != "" {
		kept.Seen.Inputs.Credentials, kept.Seen.GrantedAt = "", time.Time{}
	}
	if application.Misdated != "" { // it is read again, so that people go on to be told
		kept.Seen.Inputs.Application = ""
	}
	if max(len(application.ClientID), len(application.RedirectURI), len(request.Login.Username)) > bounds.Message {
		kept.Seen = custody.Seen{}
	}
	return kept
}

// Of are the values that a custody remembers of the Secrets, for the spec and the Marketplace of these versions: none where more than the grant in use has to be
// decided about, or where the same Secrets might be read in another way.
func Of(kept custody.Custody, now custody.Inputs) custody.Seen {
	was := kept.Seen.Inputs
	if !kept.Settled() || was.Spec != now.Spec || was.Marketplace != now.Marketplace {
		return custody.Seen{}
	}
	return kept.Seen
}

// Application is the application without its secrets.
func Application(seen custody.Seen) tokensecret.Application {
	return tokensecret.Application{
		ClientID: seen.ClientID, RedirectURI: seen.RedirectURI,
		SecretExpiresAt: seen.SecretExpiresAt, SecretNeverExpires: seen.SecretNeverExpires, SecretSince: seen.SecretSince,
	}
}

// Login is the login without its password.
func Login(seen custody.Seen) tokensecret.Login { return tokensecret.Login{Username: seen.Username} }

// Import is the refresh token that the user brought, which the grant in use began with.
func Import(kept custody.Custody) tokensecret.Import {
	return tokensecret.Import{RefreshToken: kept.Imported, GrantedAt: kept.Seen.GrantedAt}
}
