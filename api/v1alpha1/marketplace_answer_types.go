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

// AccessToken is what is known of access tokens.
type AccessToken struct {
	// lifetime is assumed when the answer names none; default 1h.
	//
	// +optional
	Lifetime Duration `json:"lifetime,omitempty"`
}

// RefreshToken is what is known of refresh tokens.
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
}
