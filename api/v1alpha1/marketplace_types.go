package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// URLTemplate is an absolute URL in which {name} is replaced by a variable of the environment or by a
// parameter of the account. Plain http is allowed only to a loopback address.
//
// +kubebuilder:validation:MaxLength=2048
// +kubebuilder:validation:XValidation:rule=`self == "" || self.startsWith('https://') || self.matches(r'^http://(localhost|127[.]0[.]0[.]1|\[::1\])(:[0-9]{1,5})?([/?]|$)')`,message="must start with https:// (http:// only to a loopback address)"
// +kubebuilder:validation:XValidation:rule=`!self.startsWith('https://') || self.matches(r'^https://(([A-Za-z0-9._-]|\{[A-Za-z0-9_-]+\})+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?([/?]|$)')`,message="must name a host, and must not hold a user name or password"
// +kubebuilder:validation:XValidation:rule=`self.matches(r"^([A-Za-z0-9._~:/?@!$&'()*+,;=\[\]-]|%[0-9A-Fa-f]{2}|\{[A-Za-z][A-Za-z0-9_-]*\})*$")`,message="must be made of characters that a URL may have and of {name} for a variable or parameter, and must not have a fragment"
type URLTemplate string

// Text is a header's or parameter's value, in which {name} is replaced as in a URL.
//
// +kubebuilder:validation:MaxLength=1024
// +kubebuilder:validation:Pattern=`^[^\x00-\x1f\x7f]*$`
type Text string

// ClientAuthentication is how the application proves itself at the token endpoint (RFC 6749 section 2.3.1).
//
// +kubebuilder:validation:Enum=Basic;Body;None
type ClientAuthentication string

const (
	// ClientAuthenticationBasic sends client_id and client_secret in the Authorization header, form-encoded first.
	ClientAuthenticationBasic ClientAuthentication = "Basic"
	// ClientAuthenticationBody sends both among the parameters.
	ClientAuthenticationBody ClientAuthentication = "Body"
	// ClientAuthenticationNone sends client_id alone: a public client.
	ClientAuthenticationNone ClientAuthentication = "None"
)

// Encoding is how the parameters of a token request are written.
//
// +kubebuilder:validation:Enum=Form;JSON
type Encoding string

const (
	// EncodingForm is application/x-www-form-urlencoded, as RFC 6749 has it.
	EncodingForm Encoding = "Form"
	// EncodingJSON is a JSON object of strings.
	EncodingJSON Encoding = "JSON"
)

// PKCE is the code challenge method of the authorization request (RFC 7636).
//
// +kubebuilder:validation:Enum=S256;Disabled
type PKCE string

const (
	// PKCES256 sends the SHA-256 of the code verifier.
	PKCES256 PKCE = "S256"
	// PKCEDisabled sends none, for platforms that refuse unknown parameters.
	PKCEDisabled PKCE = "Disabled"
)

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

// NameValue is a named value.
type NameValue struct {
	// name is the name; a letter, then letters, digits, '-' and '_'.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z][A-Za-z0-9_-]*$`
	Name string `json:"name,omitempty"`

	// value is the value.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	Value Text `json:"value,omitempty"`
}

// HTTPHeader is a header of a request.
type HTTPHeader struct {
	// name is the header's name, such as Accept. It must not be Authorization or Content-Type, which the
	// request itself sets.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern="^[A-Za-z0-9!#$%&'*+.^_|~-]+$"
	// +kubebuilder:validation:XValidation:rule="!(self.lowerAscii() in ['authorization', 'content-type', 'content-length', 'host', 'cookie', 'transfer-encoding'])",message="must not be Authorization, Content-Type, Content-Length, Host, Cookie or Transfer-Encoding"
	Name string `json:"name,omitempty"`

	// value is the header's value. {name} is replaced by a variable or parameter, {accessToken} in the
	// identity request by the access token.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	Value Text `json:"value,omitempty"`
}

// Rename gives a standard parameter the name that the platform wants.
type Rename struct {
	// from is the standard name, such as client_id.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_.-]+$`
	From string `json:"from,omitempty"`

	// to is the platform's name, such as application_id.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_.\[\]-]+$`
	To string `json:"to,omitempty"`
}

// Environment is one of the platform's worlds, such as Production or Sandbox.
type Environment struct {
	// name is what an account's spec.environment says.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z][A-Za-z0-9_-]*$`
	Name string `json:"name,omitempty"`

	// variables replace {name} in every URL, header and parameter below.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Variables []NameValue `json:"variables,omitempty"`
}

// ParameterDeclaration is what an account may or must set.
//
// +kubebuilder:validation:XValidation:rule="has(self.pattern) || has(self.enum)",message="pattern or enum must be set: an account's value becomes part of a URL"
// +kubebuilder:validation:XValidation:rule="!has(self.enum) || !has(self.default) || self.default in self.enum",message="default must be one of enum"
// +kubebuilder:validation:XValidation:rule="!has(self.pattern) || !has(self.default) || self.default.matches('^(?:' + self.pattern + ')$')",message="default must match pattern"
type ParameterDeclaration struct {
	// name is the parameter's name; {name} in a URL, header or parameter below is replaced by its value.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z][A-Za-z0-9_-]*$`
	// +kubebuilder:validation:XValidation:rule="self != 'accessToken'",message="must not be accessToken, which stands for the access token in the identity request"
	Name string `json:"name,omitempty"`

	// description says to the author of an account what to put here.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Description string `json:"description,omitempty"`

	// pattern is a regular expression (RE2) that the whole value must match.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:XValidation:rule="'a'.matches(self) in [true, false]",message="must be a regular expression (RE2)"
	Pattern string `json:"pattern,omitempty"`

	// enum lists the values allowed.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:Pattern=`^[A-Za-z0-9._~-]+$`
	Enum []string `json:"enum,omitempty"`

	// default is used when an account sets none.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9._~-]+$`
	Default string `json:"default,omitempty"`

	// required says that an account must set the parameter; it need not where there is a default.
	//
	// +optional
	Required bool `json:"required,omitempty"`
}

// Endpoints are the platform's URLs.
//
// +kubebuilder:validation:MinProperties=1
// +kubebuilder:validation:XValidation:rule=`(has(self.token) && self.token != "") || (has(self.issuer) && self.issuer != "")`,message="token or issuer must be set"
type Endpoints struct {
	// issuer is the OpenID Connect issuer. When set, discovery fills in the endpoints that are not set here,
	// and ID tokens are verified against the issuer's keys.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="!self.contains('?')",message="must not have a query"
	Issuer URLTemplate `json:"issuer,omitempty"`

	// authorization is where a browser is sent to sign in.
	//
	// +optional
	Authorization URLTemplate `json:"authorization,omitempty"`

	// deviceAuthorization is where a device code is asked for (RFC 8628).
	//
	// +optional
	DeviceAuthorization URLTemplate `json:"deviceAuthorization,omitempty"`

	// token is where tokens are asked for.
	//
	// +optional
	Token URLTemplate `json:"token,omitempty"`

	// revocation is where a grant is revoked (RFC 7009).
	//
	// +optional
	Revocation URLTemplate `json:"revocation,omitempty"`
}

// Scopes are what is asked of the platform.
type Scopes struct {
	// default is asked when an account names no scopes.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	Default []Scope `json:"default,omitempty"`

	// separator stands between scopes, in requests and answers; default a space.
	//
	// +optional
	// +kubebuilder:default=" "
	// +kubebuilder:validation:Enum=" ";",";"+"
	Separator string `json:"separator,omitempty"`

	// unreported are scopes that the platform grants without naming them in its answer, so that an account is not taken to lack them. A star
	// at the end stands for anything. openid and offline_access are never missed.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:XValidation:rule="self.all(s, !s.contains('*') || s.indexOf('*') == s.size() - 1)",message="must not have a star (*) but at the end, where it stands for anything"
	Unreported []Scope `json:"unreported,omitempty"`
}

// CallbackParameters are the names of the callback's parameters.
type CallbackParameters struct {
	// code is the parameter that holds the authorization code.
	//
	// +optional
	// +kubebuilder:default=code
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_.-]+$`
	Code string `json:"code,omitempty"`

	// accountID is the parameter that holds the account's identifier, where the platform sends one.
	//
	// +optional
	// +kubebuilder:validation:MinLength=0
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_.-]*$`
	AccountID string `json:"accountID,omitempty"`
}

// StoreStart is how the platform's own store begins a sign-in: it opens the portal with the address at which it goes on.
//
// +kubebuilder:validation:XValidation:rule="self.callbackURI != self.state",message="callbackURI and state must not be the same parameter"
type StoreStart struct {
	// callbackURI is the parameter that holds the address to which the browser is sent next, such as amazon_callback_uri.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_.-]+$`
	CallbackURI string `json:"callbackURI,omitempty"`

	// state is the parameter that holds the platform's own state, which that address gets back, such as amazon_state.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_.-]+$`
	// +kubebuilder:validation:XValidation:rule="!(self in ['state', 'nonce', 'code_challenge', 'code_challenge_method', 'redirect_uri'])",message="must not be state, nonce, code_challenge, code_challenge_method or redirect_uri, which the operator sends as well"
	State string `json:"state,omitempty"`

	// hosts are exactly the platform's. A browser is sent to no other: the address comes from the person who opens the
	// portal.
	//
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=128
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$`
	Hosts []string `json:"hosts,omitempty"`
}

// AuthorizationRequest is how a browser is sent to sign in (RFC 6749 section 4.1.1).
type AuthorizationRequest struct {
	// pkce is S256, or Disabled for platforms that do not know it.
	//
	// +optional
	// +kubebuilder:default=S256
	PKCE PKCE `json:"pkce,omitempty"`

	// parameters are added, such as prompt=confirm.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:XValidation:rule="self.all(p, !(p.name in ['state', 'nonce', 'code_challenge', 'code_challenge_method', 'redirect_uri', 'client_secret']))",message="must not set state, nonce, code_challenge, code_challenge_method, redirect_uri or client_secret"
	Parameters []NameValue `json:"parameters,omitempty"`

	// rename gives standard parameters the platform's names. The value of a client_id that is renamed is key application_id
	// of the application Secret.
	//
	// +optional
	// +listType=map
	// +listMapKey=from
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.all(r, self.exists_one(other, other.to == r.to))",message="must not give two parameters the same name"
	// +kubebuilder:validation:XValidation:rule="self.all(r, r.from != 'state' && r.to != 'state')",message="must not rename state, nor give its name to another parameter"
	Rename []Rename `json:"rename,omitempty"`

	// omit leaves standard parameters out, such as response_type.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^[A-Za-z0-9_.-]+$`
	// +kubebuilder:validation:XValidation:rule="!('state' in self)",message="must not omit state"
	Omit []string `json:"omit,omitempty"`

	// callback are the names of the callback's parameters.
	//
	// +optional
	// +kubebuilder:default={}
	Callback CallbackParameters `json:"callback,omitzero"`

	// storeStart is for platforms whose own store begins sign-ins.
	//
	// +optional
	StoreStart StoreStart `json:"storeStart,omitzero"`
}

// TokenParameter is an extra parameter of token requests.
type TokenParameter struct {
	// name is the parameter's name. Setting grant_type replaces the standard value.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_.\[\]-]+$`
	// +kubebuilder:validation:XValidation:rule="!(self in ['client_id', 'client_secret', 'code', 'code_verifier', 'device_code', 'password', 'refresh_token', 'username'])",message="must not be a parameter that carries a credential"
	Name string `json:"name,omitempty"`

	// value is the parameter's value; {name} is replaced as in a URL.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	Value Text `json:"value,omitempty"`

	// grants limits the parameter to requests of these grants; RefreshToken means every renewal with a
	// refresh token. Empty means all.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=8
	Grants []GrantType `json:"grants,omitempty"`
}

// TokenRequest is how the token endpoint is asked.
type TokenRequest struct {
	// clientAuthentication is how the application proves itself. It is never probed.
	//
	// +optional
	// +kubebuilder:default=Basic
	ClientAuthentication ClientAuthentication `json:"clientAuthentication,omitempty"`

	// encoding is how the parameters are written.
	//
	// +optional
	// +kubebuilder:default=Form
	Encoding Encoding `json:"encoding,omitempty"`

	// parameters are added, such as audience.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Parameters []TokenParameter `json:"parameters,omitempty"`

	// rename gives standard parameters the platform's names.
	//
	// +optional
	// +listType=map
	// +listMapKey=from
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:XValidation:rule="self.all(r, self.exists_one(other, other.to == r.to))",message="must not give two parameters the same name"
	Rename []Rename `json:"rename,omitempty"`

	// headers are added.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Headers []HTTPHeader `json:"headers,omitempty"`
}

// AnswerField is the name of a member of the answer.
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

// ApplicationSecret is what is known of client secrets.
type ApplicationSecret struct {
	// lifetime is how long the platform lets a client secret live.
	//
	// +optional
	Lifetime Duration `json:"lifetime,omitempty"`
}

// NamespacedSecretReference names a Secret in a namespace.
type NamespacedSecretReference struct {
	// name is the name of the Secret.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	Name string `json:"name,omitempty"`

	// namespace is the namespace of the Secret.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Namespace string `json:"namespace,omitempty"`
}

// Application is one registered application for many tenants, whose secret no tenant sees.
type Application struct {
	// secretRef names the Secret of the application.
	//
	// +required
	SecretRef NamespacedSecretReference `json:"secretRef,omitzero"`

	// namespaceSelector selects the namespaces whose accounts may use the application; {} selects all.
	//
	// +required
	// +kubebuilder:validation:XValidation:rule="!has(self.matchExpressions) || self.matchExpressions.all(e, e.operator in ['In', 'NotIn'] ? has(e.values) && e.values.size() > 0 : e.operator in ['Exists', 'DoesNotExist'] && (!has(e.values) || e.values.size() == 0))",message="must have the operators In or NotIn with values, or Exists or DoesNotExist without"
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`
}

// MarketplaceRenewal is when tokens are renewed at this platform.
//
// +kubebuilder:validation:XValidation:rule=`!has(self.before) || !self.before.matches('^[0-9.hms]+$') || !has(self.maxBefore) || !self.maxBefore.matches('^[0-9.hms]+$') || duration(self.before) <= duration(self.maxBefore)`,message="before must not be longer than maxBefore"
type MarketplaceRenewal struct {
	// before is how long before its expiry a token is renewed, where an account does not say.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule=`!self.matches('^[0-9.hms]+$') || duration(self) <= duration('8760h')`,message="must be at most 8760h"
	Before Duration `json:"before,omitempty"`

	// maxBefore is for a platform that refuses to renew earlier than this before expiry.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule=`!self.matches('^[0-9.hms]+$') || duration(self) <= duration('8760h')`,message="must be at most 8760h"
	MaxBefore Duration `json:"maxBefore,omitempty"`
}

// IdentityRequest is one call that tells whose token it is.
type IdentityRequest struct {
	// url is asked with GET and the access token as Bearer, unless a header carries {accessToken}.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	URL URLTemplate `json:"url,omitempty"`

	// headers are added.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Headers []HTTPHeader `json:"headers,omitempty"`

	// idPath is the JSONPath of the account's identifier in the answer, such as {.id}.
	//
	// +optional
	// +kubebuilder:validation:MinLength=0
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^(\{.+\})?$`
	IDPath string `json:"idPath,omitempty"`

	// loginPath is the JSONPath of the account's name in the answer, such as {.login}.
	//
	// +optional
	// +kubebuilder:validation:MinLength=0
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^(\{.+\})?$`
	LoginPath string `json:"loginPath,omitempty"`
}

// Identity is how the operator learns whose tokens it holds. Claims cost nothing and go first.
//
// +kubebuilder:validation:XValidation:rule=`!(has(self.accessTokenClaim) && self.accessTokenClaim != "" && has(self.idTokenClaim) && self.idTokenClaim != "")`,message="accessTokenClaim and idTokenClaim must not both be set"
type Identity struct {
	// accessTokenClaim is the claim of the access token (a JWT) that identifies the account.
	//
	// +optional
	// +kubebuilder:validation:MinLength=0
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^[^\x00-\x1f\x7f]*$`
	AccessTokenClaim string `json:"accessTokenClaim,omitempty"`

	// idTokenClaim is the claim of the ID token that identifies the account.
	//
	// +optional
	// +kubebuilder:validation:MinLength=0
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^[^\x00-\x1f\x7f]*$`
	IDTokenClaim string `json:"idTokenClaim,omitempty"`

	// request is the call that tests the connection, and identifies the account where no claim does.
	//
	// +optional
	Request *IdentityRequest `json:"request,omitempty"`
}

// Limits bound what is asked of one token host with one client. Accounts that cannot be served at once wait for their turn:
// new and edited ones first, then the others in the order in which they fell due.
type Limits struct {
	// requestsPerSecond is how many token requests begin in a second.
	//
	// +optional
	// +kubebuilder:default=5
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	RequestsPerSecond int32 `json:"requestsPerSecond,omitempty"`

	// concurrency is how many token requests are under way at once.
	//
	// +optional
	// +kubebuilder:default=4
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	Concurrency int32 `json:"concurrency,omitempty"`
}

// MarketplaceSpec describes a platform that speaks OAuth 2, as data.
//
// +kubebuilder:validation:XValidation:rule="!has(self.parameters) || self.parameters.all(p, self.environments.all(e, !has(e.variables) || !e.variables.exists(v, v.name == p.name)))",message="parameters must not have the name of an environment's variable: {name} would mean both"
// +kubebuilder:validation:XValidation:rule=`!('AuthorizationCode' in self.grants) || (has(self.endpoints.authorization) && self.endpoints.authorization != "") || (has(self.endpoints.issuer) && self.endpoints.issuer != "")`,message="endpoints.authorization or endpoints.issuer must be set with grant AuthorizationCode"
// +kubebuilder:validation:XValidation:rule=`!('DeviceCode' in self.grants) || (has(self.endpoints.deviceAuthorization) && self.endpoints.deviceAuthorization != "") || (has(self.endpoints.issuer) && self.endpoints.issuer != "")`,message="endpoints.deviceAuthorization or endpoints.issuer must be set with grant DeviceCode"
type MarketplaceSpec struct {
	// displayName is the platform's name as people know it.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:Pattern=`^[^\x00-\x1f\x7f]+$`
	DisplayName string `json:"displayName,omitempty"`

	// documentationURL is where the platform documents its OAuth endpoints.
	//
	// +optional
	// +kubebuilder:validation:MinLength=0
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^(https://[!-~]+)?$`
	DocumentationURL string `json:"documentationURL,omitempty"`

	// environments are the platform's worlds, such as Production and Sandbox.
	//
	// +required
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	Environments []Environment `json:"environments,omitempty"`

	// parameters are what an account may or must set.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=16
	Parameters []ParameterDeclaration `json:"parameters,omitempty"`

	// grants are the grants that accounts may use here.
	//
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Grants []GrantType `json:"grants,omitempty"`

	// endpoints are the platform's URLs. {name} is replaced by a variable or parameter.
	//
	// +required
	Endpoints Endpoints `json:"endpoints,omitzero"`

	// scopes are what is asked of the platform.
	//
	// +optional
	// +kubebuilder:default={}
	Scopes Scopes `json:"scopes,omitzero"`

	// authorizationRequest is how a browser is sent to sign in.
	//
	// +optional
	// +kubebuilder:default={}
	AuthorizationRequest AuthorizationRequest `json:"authorizationRequest,omitzero"`

	// tokenRequest is how the token endpoint is asked.
	//
	// +optional
	// +kubebuilder:default={}
	TokenRequest TokenRequest `json:"tokenRequest,omitzero"`

	// tokenResponse is how the token endpoint answers: only what differs from RFC 6749.
	//
	// +optional
	// +kubebuilder:default={}
	TokenResponse TokenResponse `json:"tokenResponse,omitzero"`

	// accessToken is what is known of access tokens.
	//
	// +optional
	AccessToken AccessToken `json:"accessToken,omitzero"`

	// refreshToken is what is known of refresh tokens.
	//
	// +optional
	// +kubebuilder:default={}
	RefreshToken RefreshToken `json:"refreshToken,omitzero"`

	// applicationSecret is what is known of client secrets.
	//
	// +optional
	ApplicationSecret ApplicationSecret `json:"applicationSecret,omitzero"`

	// application is one registered application for many tenants, whose secret no tenant sees.
	//
	// +optional
	Application *Application `json:"application,omitempty"`

	// renewal is when tokens are renewed at this platform.
	//
	// +optional
	Renewal MarketplaceRenewal `json:"renewal,omitzero"`

	// identity is how the operator learns whose tokens it holds.
	//
	// +optional
	Identity Identity `json:"identity,omitzero"`

	// limits bound what is asked of one token host with one client.
	//
	// +optional
	// +kubebuilder:default={}
	Limits Limits `json:"limits,omitzero"`
}

// Marketplace is a platform that speaks OAuth 2, as data. Only cluster admins should write it: it says
// where credentials are sent.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,categories=tokenkeeper
// +kubebuilder:printcolumn:name="Platform",type=string,JSONPath=`.spec.displayName`
// +kubebuilder:printcolumn:name="Grants",type=string,JSONPath=`.spec.grants`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Documentation",type=string,priority=1,JSONPath=`.spec.documentationURL`
type Marketplace struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object's metadata.
	//
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec describes the platform.
	//
	// +required
	Spec MarketplaceSpec `json:"spec,omitzero"`
}

// MarketplaceList is a list of Marketplaces.
//
// +kubebuilder:object:root=true
type MarketplaceList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`

	Items []Marketplace `json:"items"`
}
