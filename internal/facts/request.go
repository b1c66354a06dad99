package facts

import (
	"net/url"
	"slices"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// Request is everything that a token request is made of.
type Request struct {
	Grant       v1alpha1.GrantType
	Platform    *marketplace.Platform
	Application tokensecret.Application
	// Shared tells that the application is the Marketplace's own, with a secret that no tenant sees.
	Shared   bool
	Login    tokensecret.Login
	Imported tokensecret.Import
	Inputs   custody.Inputs
	// Recalled tells that a user's Secret was not read, and is as the custody remembers it: without secrets.
	Recalled bool
	// Unreadable is the failure of the Secret with the user's refresh token while another grant is in use; nil when there is none.
	Unreadable *Failure
	// Unlabelled are the Secrets that are used although their label does not allow it.
	Unlabelled []UnlabelledSecret
	// Key identifies the spec that the tokens are for. Tokens with another key were obtained for another spec.
	Key string
}

// Origin is where grants are given.
func (r *Request) Origin() custody.Origin {
	return custody.Origin{Marketplace: r.Platform.Name + "/" + r.Platform.Environment, Server: r.Platform.TokenServer(), Chosen: r.Platform.ChosenHosts}
}

// MayUse tells whether a grant or code of an application and an origin may be sent: not while the Marketplace is not resolved.
func (r *Request) MayUse(clientID string, from custody.Origin) bool {
	return r.Platform != nil && clientID == r.Application.ClientID && from.Allows(r.Origin())
}

// RenewsByRefreshToken tells whether the grant lives on a refresh token.
func (r *Request) RenewsByRefreshToken() bool {
	return r.Grant != v1alpha1.GrantPassword && r.Grant != v1alpha1.GrantClientCredentials
}

// Rotates tells whether asking spends a refresh token.
func (r *Request) Rotates() bool {
	return r.RenewsByRefreshToken() && r.Platform.Rotating
}

// UserParts are the parts of a login that a platform locks.
func (r *Request) UserParts() []string { return []string{"user", r.TokenHost(), r.Login.Username} }

// PasswordParts are a login without the request to try it again.
func (r *Request) PasswordParts() []string {
	return []string{"password", r.TokenHost(), r.Login.Username, r.Login.Password}
}

// LogsIn tells whether tokens come from a login.
func (r *Request) LogsIn() bool { return r.Grant == v1alpha1.GrantPassword && r.Login.Password != "" }

// LoginParts are the parts of a login that a refusal covers. Nothing else counts, not even a request for a renewal: platforms lock accounts
// after a few attempts.
func (r *Request) LoginParts() []string {
	return []string{"login", r.TokenHost(), r.Login.Username, r.Login.Password, r.Login.Retry}
}

// TokenParts are the parts that a refusal of a refresh token covers.
func (r *Request) TokenParts(refreshToken string) []string {
	return []string{"refresh token", r.TokenHost(), refreshToken, r.Application.ClientID}
}

// ClientParts are the parts that a refusal of an application covers. Of a Marketplace's own the version of the Secret stands for the client
// secret, which tenants could otherwise guess at by their grant Secret.
func (r *Request) ClientParts() []string {
	parts := []string{"application", r.TokenHost(), string(r.Platform.ClientAuthentication()), r.Application.ClientID}
	if r.Shared {
		return append(parts, "shared", r.Inputs.Application)
	}
	return slices.Concat(parts, r.SecretParts(), []string{r.Application.Retry})
}

// SecretParts are the client secrets.
func (r *Request) SecretParts() []string {
	return []string{"client secrets", r.Application.ClientSecret, r.Application.PreviousSecret}
}

// ClientSecretParts are the client secret alone.
func (r *Request) ClientSecretParts() []string {
	return []string{"client secret", r.Application.ClientID, r.Application.ClientSecret}
}

// TokenHost is the host that is sent the credentials: another one has not refused them.
func (r *Request) TokenHost() string {
	if r.Platform.TokenURL == "" {
		return HostOf(r.Platform.Issuer)
	}
	return HostOf(r.Platform.TokenURL)
}

// HostOf is the host of an address, with its port where it names one; empty where it is no address.
func HostOf(address string) string {
	parsed, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return parsed.Host
}

// UnlabelledSecret is a Secret that is used although its label does not allow it.
type UnlabelledSecret struct {
	Name string
	// Message says what comes of it, and how the label is set.
	Message string
}
