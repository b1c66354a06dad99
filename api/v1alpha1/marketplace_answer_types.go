package v1alpha1

// Rotation tells whether a refresh token is replaced when it is used.
//
// +kubebuilder:validation:Enum=Rotating;Static
type Rotation string

const (
	// RotationRotating: using a refresh token spends it; its successor is in the answer.
	RotationRotating Rotation = "Rotating"
	// RotationStatic: the refresh token stays the same, whether the answer repeats it or not.
	RotationStatic Rotation = "Static"
)

// LostAnswer tells what to do with a single-use refresh token whose answer was lost.
//
// +kubebuilder:validation:Enum=RetryAtEnd;Never
type LostAnswer string

const (
	// LostAnswerRetryAtEnd: it rests until shortly before the access token ends, and is sent again from then on.
	LostAnswerRetryAtEnd LostAnswer = "RetryAtEnd"
	// LostAnswerNever: it is kept, and never sent again by itself.
	LostAnswerNever LostAnswer = "Never"
)

// Expiry tells from when the lifetime of an authorization counts.
//
// +kubebuilder:validation:Enum=Sliding;Fixed;None
type Expiry string

const (
	// ExpirySliding counts from the last successful renewal.
	ExpirySliding Expiry = "Sliding"
	// ExpiryFixed counts from the person's consent; renewals do not move it.
	ExpiryFixed Expiry = "Fixed"
	// ExpiryNone: the authorization does not end by itself.
	ExpiryNone Expiry = "None"
)

// ExpiryUnit is how an answer writes an expiry.
//
// +kubebuilder:validation:Enum=Seconds;Milliseconds;UnixSeconds;UnixMilliseconds;RFC3339
type ExpiryUnit string

const (
	// ExpiryUnitSeconds is a number of seconds from now (RFC 6749 section 5.1).
	ExpiryUnitSeconds ExpiryUnit = "Seconds"
	// ExpiryUnitMilliseconds is a number of milliseconds from now.
	ExpiryUnitMilliseconds ExpiryUnit = "Milliseconds"
	// ExpiryUnitUnixSeconds is a moment in seconds since 1970.
	ExpiryUnitUnixSeconds ExpiryUnit = "UnixSeconds"
	// ExpiryUnitUnixMilliseconds is a moment in milliseconds since 1970.
	ExpiryUnitUnixMilliseconds ExpiryUnit = "UnixMilliseconds"
	// ExpiryUnitRFC3339 is a moment as text.
	ExpiryUnitRFC3339 ExpiryUnit = "RFC3339"
)

// AnswerField is the name of a member of the answer. Dots go deeper, and a number is a place in a list: errors.0.code
//
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_.-]*$`
type AnswerField string

// TokenResponseFields are the names of the answer's members where they differ from RFC 6749.
type TokenResponseFields struct {
	// accessToken is access_token.
	//
	// +optional
	AccessToken AnswerField `json:"accessToken,omitempty"`

	// refreshToken is refresh_token.
	//
	// +optional
	RefreshToken AnswerField `json:"refreshToken,omitempty"`

	// idToken is id_token.
	//
	// +optional
	IDToken AnswerField `json:"idToken,omitempty"`

	// tokenType is token_type.
	//
	// +optional
	TokenType AnswerField `json:"tokenType,omitempty"`

	// scope is scope.
	//
	// +optional
	Scope AnswerField `json:"scope,omitempty"`

	// expiresIn is expires_in.
	//
	// +optional
	ExpiresIn AnswerField `json:"expiresIn,omitempty"`

	// refreshTokenExpiresIn is refresh_token_expires_in, which no RFC names: eBay's and Shopify's word for it.
	//
	// +optional
	RefreshTokenExpiresIn AnswerField `json:"refreshTokenExpiresIn,omitempty"`

	// refreshTokenMaxExpiresIn is the member that tells the end of the authorization which no renewal moves (QuickBooks'
	// x_refresh_token_hard_expires_in), where the answer has one.
	//
	// +optional
	RefreshTokenMaxExpiresIn AnswerField `json:"refreshTokenMaxExpiresIn,omitempty"`

	// accountID is the member that names the account, where the answer has one.
	//
	// +optional
	AccountID AnswerField `json:"accountID,omitempty"`

	// login is the member with the name of the account that people know, where the answer has one.
	//
	// +optional
	Login AnswerField `json:"login,omitempty"`

	// error is error.
	//
	// +optional
	Error AnswerField `json:"error,omitempty"`

	// errorDescription is error_description.
	//
	// +optional
	ErrorDescription AnswerField `json:"errorDescription,omitempty"`
}

// ErrorMeaning says what one of the platform's own error codes means.
//
// +kubebuilder:validation:XValidation:rule="has(self.code) || has(self.status)",message="code or status must be set"
type ErrorMeaning struct {
	// code is the answer's error code; when not set, every answer of that status without a code is meant.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	Code string `json:"code,omitempty"`

	// status limits the meaning to answers of this HTTP status.
	//
	// +optional
	// +kubebuilder:validation:Minimum=200
	// +kubebuilder:validation:Maximum=599
	Status int32 `json:"status,omitempty"`

	// grants limits the meaning to requests of these grants. Empty means all.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	Grants []GrantType `json:"grants,omitempty"`

	// reason is the condition's reason, which says who must act.
	//
	// +required
	// +kubebuilder:validation:Enum=GrantRejected;PasswordRejected;AccountLocked;ApplicationRejected;ScopeRejected;RateLimited;MarketplaceUnavailable;InvalidSpec
	Reason string `json:"reason,omitempty"`
}

// TokenResponse is how the token endpoint answers, where it differs from RFC 6749 section 5.
type TokenResponse struct {
	// envelope is the member that holds the answer, for platforms that wrap it; dots go deeper.
	//
	// +optional
	Envelope AnswerField `json:"envelope,omitempty"`

	// fields are the names of the answer's members.
	//
	// +optional
	Fields TokenResponseFields `json:"fields,omitzero"`

	// expiryUnit is how the answer writes an expiry; default Seconds.
	//
	// +optional
	// +kubebuilder:default=Seconds
	ExpiryUnit ExpiryUnit `json:"expiryUnit,omitempty"`

	// tokenType replaces the answer's token_type, for platforms whose word is not one that their API takes.
	//
	// +optional
	// +kubebuilder:validation:MinLength=0
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[!-~]*$`
	TokenType string `json:"tokenType,omitempty"`

	// successCodes are values of the error member that mean success, for platforms that send a code with every answer, such as "0".
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	SuccessCodes []string `json:"successCodes,omitempty"`

	// errors are the platform's own error codes. The codes of RFC 6749 section 5.2 need no entry.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	Errors []ErrorMeaning `json:"errors,omitempty"`
}

// AccessTokenExpiry tells what it means that an answer names no end of the access token.
//
// +kubebuilder:validation:Enum=Lifetime;None
type AccessTokenExpiry string

const (
	// AccessTokenExpiryLifetime: it lives as long as lifetime says.
	AccessTokenExpiryLifetime AccessTokenExpiry = "Lifetime"
	// AccessTokenExpiryNone: it does not end by itself.
	AccessTokenExpiryNone AccessTokenExpiry = "None"
)

// AccessToken is what is known of access tokens.
//
// +kubebuilder:validation:XValidation:rule="!has(self.expiry) || self.expiry != 'None' || !has(self.lifetime)",message="lifetime must not be set with expiry None, by which a token whose answer names no end has none"
type AccessToken struct {
	// lifetime is assumed when the answer names none; default 1h.
	//
	// +optional
	Lifetime Duration `json:"lifetime,omitempty"`

	// expiry is None where an answer that names no end means that there is none (Shopify's custom applications, Slack, GitHub). Such a token is
	// tested once a day by the identity request, since nothing else would notice that it was revoked. Default Lifetime.
	//
	// +optional
	// +kubebuilder:default=Lifetime
	Expiry AccessTokenExpiry `json:"expiry,omitempty"`
}

// RefreshToken is what is known of refresh tokens.
//
// +kubebuilder:validation:XValidation:rule="!has(self.maxLifetime) || has(self.expiry) && self.expiry == 'Sliding'",message="maxLifetime must only be set with expiry Sliding; with Fixed, lifetime is the end that no renewal moves"
type RefreshToken struct {
	// rotation is Rotating where using a refresh token spends it, else Static.
	//
	// +optional
	// +kubebuilder:default=Rotating
	Rotation Rotation `json:"rotation,omitempty"`

	// reuseGrace is how long a spent refresh token still works, for a lost answer. Empty means that it does not.
	//
	// +optional
	ReuseGrace Duration `json:"reuseGrace,omitempty"`

	// lostAnswer is what to do with a single-use refresh token whose answer was lost, so that it may be spent or not.
	// RetryAtEnd, the default, leaves it alone until shortly before the access token ends, and sends it again from then on.
	// Never leaves it alone for good; changing it back resumes the wait. A person may sign in meanwhile, either way.
	//
	// +optional
	// +kubebuilder:default=RetryAtEnd
	LostAnswer LostAnswer `json:"lostAnswer,omitempty"`

	// expiry is Sliding where each renewal prolongs the authorization, Fixed where it ends a lifetime after
	// the person's consent, None where it does not end.
	//
	// +optional
	// +kubebuilder:default=None
	Expiry Expiry `json:"expiry,omitempty"`

	// lifetime is assumed when the answer names none.
	//
	// +optional
	Lifetime Duration `json:"lifetime,omitempty"`

	// maxLifetime is how long after the person's consent the authorization ends although renewals prolong it (QuickBooks: 43800h; Auth0, Okta
	// and Keycloak: what your tenant or realm says).
	//
	// +optional
	MaxLifetime Duration `json:"maxLifetime,omitempty"`
}

// HostTemplate is a host in which {name} is replaced by a variable of the environment or by a parameter of the account.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:XValidation:rule=`self.matches(r'^([A-Za-z0-9._-]|\{[A-Za-z][A-Za-z0-9_-]*\})+(:[0-9]{1,5})?$')`,message="must be a host such as api.example.com or api.{host}, without https:// and path"
type HostTemplate string

// PublishedKey is a further key of the token Secret.
//
// +kubebuilder:validation:XValidation:rule="[has(self.value), has(self.answer), has(self.callback)].filter(set, set).size() == 1",message="exactly one of value, answer and callback must be set: they say where the key comes from"
type PublishedKey struct {
	// key is the key, which templates of the token Secret know as well.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-zA-Z][a-zA-Z0-9_]*$`
	// +kubebuilder:validation:XValidation:rule="!(self in ['access_token', 'id_token', 'token_type', 'scope', 'expires_at', 'account_id', 'api_hosts', 'refresh_token'])",message="must not be a key that the token Secret has anyway, nor refresh_token"
	Key string `json:"key,omitempty"`

	// value is what the key holds. {name} is replaced by a variable or parameter, {clientID} and {accountID} by what they stand for. The key is
	// not there where the value names a parameter that the account leaves unset, or {accountID} while the account is not known.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:XValidation:rule="!self.contains('{random}') && !self.contains('{accessToken}')",message="must not hold {random} or {accessToken}: use spec.tokenSecret.template of the account for texts with the token"
	Value Text `json:"value,omitempty"`

	// answer is the member of the token answer that the key holds, such as Salesforce's instance_url. Where a later answer does not have it, the
	// key stays as it is.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:XValidation:rule="!self.matches('(^|[.])(access_token|refresh_token|id_token)$')",message="must not be a token"
	Answer AnswerField `json:"answer,omitempty"`

	// callback is the parameter of the callback that the key holds, such as QuickBooks' realmId. The browser brings it, so nobody vouches for it.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_.-]+$`
	// +kubebuilder:validation:XValidation:rule="!(self in ['code', 'state'])",message="must not be code or state, which are credentials of the sign-in"
	Callback string `json:"callback,omitempty"`
}
