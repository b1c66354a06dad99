package platforms

import "time"

// The values of grant_type. A platform serves those of its Grants for which the package has a handler.
const (
	GrantPassword          = "password"
	GrantClientCredentials = "client_credentials"
	GrantRefreshToken      = "refresh_token"
	GrantAuthorizationCode = "authorization_code"
	GrantDeviceCode        = "urn:ietf:params:oauth:grant-type:device_code"
)

// ClientAuthentication is where a platform takes the client's id and secret from (RFC 6749 section 2.3.1).
type ClientAuthentication int

const (
	// BasicOrBody takes them from either, but never from both.
	BasicOrBody ClientAuthentication = iota
	// Basic takes them from the Authorization header only.
	Basic
	// Body takes them from the body only.
	Body
)

// Encoding is the form in which a platform wants the parameters of a token request.
type Encoding int

const (
	// Form is application/x-www-form-urlencoded, as RFC 6749 has it.
	Form Encoding = iota
	// JSON is an object of strings, as application/json.
	JSON
	// FormOrJSON is either.
	FormOrJSON
)

// Rotation says how a refresh changes the refresh token.
type Rotation int

const (
	// Static leaves it in force and does not repeat it in the answer.
	Static Rotation = iota
	// Echo leaves it in force and repeats it in the answer.
	Echo
	// Rotating spends it: the answer holds its only successor.
	Rotating
)

// ScopePolicy says how a scope is treated that was not consented to.
type ScopePolicy int

const (
	// RefuseScope answers invalid_scope.
	RefuseScope ScopePolicy = iota
	// CutScope grants the rest and says so only in the answer's scope.
	CutScope
)

// ScopeAnswer is when an answer names the granted scope.
type ScopeAnswer int

const (
	// ScopeWhenDifferent names it when it is not what was asked for (RFC 6749 section 5.1).
	ScopeWhenDifferent ScopeAnswer = iota
	// ScopeAlways names it in every answer.
	ScopeAlways
	// ScopeNever leaves it out.
	ScopeNever
)

// Signature is the algorithm of a platform's JWTs.
type Signature string

const (
	// RS256 is the algorithm of the real platforms, at about a millisecond a token.
	RS256 Signature = "RS256"
	// ES256 is many times cheaper, for benchmarks that check no signatures.
	ES256 Signature = "ES256"
)

// ExpiresInAbsent as an expires_in leaves the field out of the answer.
const ExpiresInAbsent = "absent"

// Platform is one marketplace as data. The zero value of a field is the plain behaviour of RFC 6749.
type Platform struct {
	// Name is the first segment of the path under which the platform is mounted.
	Name string
	// Paths are below that segment; an empty one is not served.
	Paths Paths
	// IssuerSuffix follows the platform's address in the issuer: Auth0's ends in a slash.
	IssuerSuffix string

	// ClientAuthentication is where the client's credentials are taken from.
	ClientAuthentication ClientAuthentication
	// Encoding is the form in which parameters are read.
	Encoding Encoding
	// Grants are the values of grant_type that are served.
	Grants []string
	// Parameters are rules beyond the grant's own.
	Parameters []ParameterRule

	// Scopes exist, and every seller has consented to them. None means that any scope exists.
	Scopes []string
	// ApplicationScopes are the scopes of tokens for the application itself. None means Scopes.
	ApplicationScopes []string
	// ExcessScope says how other scopes are treated.
	ExcessScope ScopePolicy
	// ScopeAnswer says when an answer names the granted scope.
	ScopeAnswer ScopeAnswer

	// TokenType is the answer's token_type. Empty means Bearer.
	TokenType string
	// ApplicationTokenType is that of client_credentials. Empty means TokenType.
	ApplicationTokenType string
	// ExpiresIn is the raw JSON of expires_in, in which {seconds} stands for the lifetime: `"{seconds}"` sends a
	// string. Empty means {seconds}; ExpiresInAbsent leaves the field out.
	ExpiresIn string
	// Extra returns a new map with fields to add to the answer. It may be nil.
	Extra func(Facts) map[string]any

	// AccessToken, RefreshToken and IDToken say which tokens are issued and for how long.
	AccessToken  AccessToken
	RefreshToken RefreshToken
	IDToken      IDToken

	// Authorization says how a person consents in a browser, Store how he begins at the platform, and Device how he
	// consents away from the application.
	Authorization Authorization
	Store         Store
	Device        Device

	// Identity is the endpoint that names the account of a token.
	Identity Identity
	// Refusals are the errors that the platform words in its own way.
	Refusals map[Outcome]Refusal
	// LockAfter is how many wrong passwords lock a user. Zero means that none does.
	LockAfter int
	// Seller and OtherSeller exist from the start, so that a person can sign in as the wrong one. The second is left out
	// when he has no id.
	Seller, OtherSeller Seller
}

// Paths are the places of a platform's endpoints. Device is the page where a person enters a user code, Store the one where
// he finds an application, and Confirmation, below which applications have a path each, where those send him back.
type Paths struct {
	Authorization, DeviceAuthorization, Device string
	Store, Confirmation                        string
	Token, Revocation, Identity                string
	Discovery, Keys                            string
}

// AccessToken says how a platform's access tokens are made.
type AccessToken struct {
	Lifetime time.Duration
	// Prefix begins every opaque token.
	Prefix string
	// Claims makes the token a JWT with the new map that it returns. Nil makes it opaque.
	Claims func(Facts) map[string]any
	// Signature is the algorithm of JWTs. Empty means RS256.
	Signature Signature
}

// IDToken says when a platform issues ID tokens, which it does only when the scope openid was granted.
type IDToken struct {
	Lifetime time.Duration
	// Grants are the grant types that yield one.
	Grants []string
	// Claims returns a new map, to which those that OpenID Connect Core section 2 requires are added. It may be nil.
	Claims func(Facts) map[string]any
	// Signature is the algorithm. Empty means RS256.
	Signature Signature
}

// RefreshToken says when a platform issues refresh tokens, and how they end.
type RefreshToken struct {
	// Lifetime counts from the consent, or from the last refresh when Sliding. Zero means for ever.
	Lifetime time.Duration
	Sliding  bool
	// Grants are the grant types, other than refresh_token, that yield one.
	Grants []string
	// Scope must be granted too, as offline_access in OpenID Connect Core section 11. Empty means none.
	Scope string
	// Prefix begins every token.
	Prefix string
	// Rotation says how a refresh changes the token.
	Rotation Rotation
	// ReuseGrace is how long a spent token still works.
	ReuseGrace time.Duration
	// ReuseDetection ends every token of the consent when a spent one is presented after the grace (RFC 9700
	// section 4.14.2).
	ReuseDetection bool
	// EndsAccessToken says that a refresh ends the access token before it.
	EndsAccessToken bool
	// ExpiryField names the answer's field with the seconds that remain. Empty means that the platform does not tell.
	ExpiryField string
}

// Facts are the facts of a token, for the functions that make claims and extra fields.
type Facts struct {
	Issuer   string
	ClientID string
	// Seller is zero in a token for the application itself.
	Seller         Seller
	Scopes         []string
	Audience       string
	Grant          string
	Nonce          string
	ID             string
	IssuedTime     time.Time
	ExpirationTime time.Time
}

// Subject is the seller's id, or the client's in a token for the application itself.
func (f Facts) Subject() string {
	if f.Seller.ID == "" {
		return f.ClientID
	}
	return f.Seller.ID
}

// Seller is an account at a platform.
type Seller struct {
	// ID never changes, and stands in tokens.
	ID string
	// Login is the name that people have for the account.
	Login string
}

// Store says how a sign-in begins in a platform's own store, as in Amazon's: the platform sends the seller to the
// application's Login URI, which sends him back to where the platform says, and the callback follows as always.
type Store struct {
	// CallbackParameter names the address to which the application sends the seller back, StateParameter the value that it
	// sends along. It comes back once, in the browser that it was given to.
	CallbackParameter, StateParameter string
}

// The users that every platform starts with.
const (
	DefaultUser = "seller@example.com"
	OtherUser   = "other-seller@example.com"
)
