package v1alpha1

import "slices"

// ClientAuthentication is how the application proves itself at the token endpoint (RFC 6749 section 2.3.1).
//
// +kubebuilder:validation:Enum=Basic;BasicUnescaped;Body;None
type ClientAuthentication string

const (
	// ClientAuthenticationBasic sends client_id and client_secret in the Authorization header, form-encoded first.
	ClientAuthenticationBasic ClientAuthentication = "Basic"
	// ClientAuthenticationBasicUnescaped sends them there as they are, for platforms that do not undo the encoding (Glewlwyd).
	ClientAuthenticationBasicUnescaped ClientAuthentication = "BasicUnescaped"
	// ClientAuthenticationBody sends both among the parameters.
	ClientAuthenticationBody ClientAuthentication = "Body"
	// ClientAuthenticationNone sends client_id alone: a public client.
	ClientAuthenticationNone ClientAuthentication = "None"
)

// Method is the method of a token request.
//
// +kubebuilder:validation:Enum=POST;GET
type Method string

const (
	// MethodPOST sends the parameters in the body (RFC 6749 section 3.2).
	MethodPOST Method = "POST"
	// MethodGET sends them in the query, credentials included, for platforms that take no other.
	MethodGET Method = "GET"
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

	// value is the header's value. {name} is replaced by a variable or parameter, or by what the operator knows: {clientID}, {accountID},
	// {random}, which is another text each time, and {accessToken} in the identity request alone. A header is not sent that names a
	// parameter which the account leaves unset, or {accountID} before the account is known.
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

	// refresh is where tokens are asked for with a refresh token, if not at token.
	//
	// +optional
	Refresh URLTemplate `json:"refresh,omitempty"`

	// revocation is where a grant is revoked (RFC 7009).
	//
	// +optional
	Revocation URLTemplate `json:"revocation,omitempty"`
}

// ScopeOverride is another default for some grants.
type ScopeOverride struct {
	// grants are those whose accounts ask for these scopes.
	//
	// +required
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=8
	Grants []GrantType `json:"grants,omitempty"`

	// default is asked when an account of these grants names no scopes; empty asks for none.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	Default []Scope `json:"default,omitempty"`
}

// Scopes are what is asked of the platform.
type Scopes struct {
	// default is asked when an account names no scopes.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	Default []Scope `json:"default,omitempty"`

	// overrides are other defaults for some grants: an application's own token can seldom have the scopes of a person's.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=8
	// +kubebuilder:validation:XValidation:rule="self.all(o, o.grants.all(g, self.exists_one(other, g in other.grants)))",message="must not name a grant twice"
	Overrides []ScopeOverride `json:"overrides,omitempty"`

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

// For returns the scopes that accounts of a grant ask for where they name none.
func (s *Scopes) For(grant GrantType) []Scope {
	for _, override := range s.Overrides {
		if slices.Contains(override.Grants, grant) {
			return override.Default
		}
	}
	return s.Default
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

	// hmac is the parameter that signs the others, such as Shopify's hmac: HMAC-SHA256 in hexadecimal, with the client secret, over name=value of
	// all others, sorted and joined by &. A callback without it, or with a wrong one, is refused.
	//
	// +optional
	// +kubebuilder:validation:MinLength=0
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_.-]*$`
	HMAC string `json:"hmac,omitempty"`
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
	// +kubebuilder:validation:XValidation:rule="self.all(p, !(p.name in ['state', 'nonce', 'code_challenge', 'code_challenge_method', 'redirect_uri', 'client_secret']) || p.name == 'nonce' && p.value == '{random}')",message="must not set state, nonce, code_challenge, code_challenge_method, redirect_uri or client_secret; nonce may be {random} alone"
	Parameters []NameValue `json:"parameters,omitempty"`

	// clientIDKey is the key of the application Secret that is sent as client_id. Not set, it is client_id, or application_id where rename gives
	// client_id another name.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_.-]+$`
	// +kubebuilder:validation:XValidation:rule="!(self in ['client_secret', 'client_secret_previous', 'private_key'])",message="must not be a key that holds a credential: a browser is sent with its value"
	ClientIDKey string `json:"clientIDKey,omitempty"`

	// rename gives standard parameters the platform's names.
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
//
// +kubebuilder:validation:XValidation:rule="!has(self.method) || self.method != 'GET' || !has(self.encoding) || self.encoding != 'JSON'",message="encoding must not be JSON with method GET, which has no body"
type TokenRequest struct {
	// method is POST, or GET for a platform that takes the parameters in the query alone, where proxies and logs may keep them.
	//
	// +optional
	// +kubebuilder:default=POST
	Method Method `json:"method,omitempty"`

	// clientAuthentication is how the application proves itself. It is never probed. Basic is form-encoded first, as RFC 6749 section 2.3.1
	// demands, BasicUnescaped is not, for platforms that do not undo it.
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

// Identity is how the operator learns whose tokens it holds. Claims and prefixes cost nothing and go first.
//
// +kubebuilder:validation:XValidation:rule=`!(has(self.accessTokenClaim) && self.accessTokenClaim != "" && has(self.idTokenClaim) && self.idTokenClaim != "")`,message="accessTokenClaim and idTokenClaim must not both be set"
// +kubebuilder:validation:XValidation:rule=`!(has(self.accessTokenPrefixEnd) && self.accessTokenPrefixEnd != "" && (has(self.accessTokenClaim) && self.accessTokenClaim != "" || has(self.idTokenClaim) && self.idTokenClaim != ""))`,message="accessTokenPrefixEnd must not be set beside a claim"
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

	// accessTokenPrefixEnd is the sign behind the number that identifies the account, where access tokens begin with that number:
	// a full stop for 12345678.secret (Etsy).
	//
	// +optional
	// +kubebuilder:validation:MinLength=0
	// +kubebuilder:validation:MaxLength=1
	// +kubebuilder:validation:Pattern=`^[.:_|~-]?$`
	AccessTokenPrefixEnd string `json:"accessTokenPrefixEnd,omitempty"`

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
