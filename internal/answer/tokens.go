package answer

import (
	"encoding/json"
	"time"
)

// DeviceCode is a sign-in that waits for a person (RFC 8628 section 3.2).
type DeviceCode struct {
	// Code is polled with: a credential.
	Code string
	// UserCode is typed by the person at URL.
	UserCode, URL string
	// CompleteURL holds the user code already; empty where the platform has no such link.
	CompleteURL string
	// ExpiresAt is when the codes end.
	ExpiresAt time.Time
	// Interval is how long to wait between two polls.
	Interval time.Duration
	// ByPreviousSecret tells that client_secret_previous was accepted.
	ByPreviousSecret bool
}

// Tokens holds one answer of a token endpoint.
type Tokens struct {
	AccessToken string
	// IDToken is empty where there is none. It is not verified here; see Providers.
	IDToken string
	// RefreshToken is the one to use next; empty where the grant has none.
	RefreshToken string
	TokenType    string
	// Scope is the granted scope, separated by spaces; empty when the answer names none: then all that was asked is granted.
	Scope string
	// AccountID is the answer's own word for the account of the tokens; usually empty.
	AccountID string
	// Login is the name of the account that people know, by the answer's own word; usually empty.
	Login string
	// AccessClaims and IDClaims are the claims of both tokens, as far as they are JWTs; nothing has verified them.
	AccessClaims, IDClaims map[string]json.RawMessage
	// IssuedAt is when the request was sent.
	IssuedAt time.Time
	// ExpiresAt is when the first of access and ID token ends; zero when nothing says so.
	ExpiresAt time.Time
	// AccessTokenExpiresAt is when the access token does; zero when nothing says so.
	AccessTokenExpiresAt time.Time
	// IDTokenExpiresAt is when the ID token ends by its own word; zero when it does not say.
	IDTokenExpiresAt time.Time
	// EndUnreadable tells that the answer names the end of the access token in a way that cannot be read.
	EndUnreadable bool
	// AuthorizationExpiresAt is when the refresh token ends; zero when the answer does not say.
	AuthorizationExpiresAt time.Time
	// AuthorizationMaxExpiresAt is the end that no renewal moves; zero when the answer does not say.
	AuthorizationMaxExpiresAt time.Time
	// Published are members that the Marketplace publishes, by their keys.
	Published map[string]string
	// AuthorizationEndUnreadable tells that it says so in a way that cannot be read.
	AuthorizationEndUnreadable bool
}
