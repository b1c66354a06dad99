package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// GrantType is how the tokens of an account are obtained.
//
// +kubebuilder:validation:Enum=AuthorizationCode;DeviceCode;RefreshToken;Password;ClientCredentials
type GrantType string

const (
	// GrantAuthorizationCode sends a person's browser to the marketplace (RFC 6749 section 4.1).
	GrantAuthorizationCode GrantType = "AuthorizationCode"
	// GrantDeviceCode lets a person type a code at the marketplace (RFC 8628).
	GrantDeviceCode GrantType = "DeviceCode"
	// GrantRefreshToken starts from a refresh token that the user brings (RFC 6749 section 6).
	GrantRefreshToken GrantType = "RefreshToken"
	// GrantPassword logs in with user name and password (RFC 6749 section 4.3).
	GrantPassword GrantType = "Password"
	// GrantClientCredentials needs the application alone (RFC 6749 section 4.4).
	GrantClientCredentials GrantType = "ClientCredentials"
)

// RenewalPolicy tells whether tokens are renewed.
//
// +kubebuilder:validation:Enum=Automatic;Suspended
type RenewalPolicy string

const (
	// RenewalAutomatic renews tokens before they expire.
	RenewalAutomatic RenewalPolicy = "Automatic"
	// RenewalSuspended asks the marketplace for nothing; the stored token is served until it expires.
	RenewalSuspended RenewalPolicy = "Suspended"
)

// DeletionPolicy tells what happens to an account's tokens when the account is deleted.
//
// +kubebuilder:validation:Enum=Delete;Revoke;Keep
type DeletionPolicy string

const (
	// DeletionDelete removes both Secrets with the account.
	DeletionDelete DeletionPolicy = "Delete"
	// DeletionRevoke also revokes the grant at the marketplace, within a bounded time.
	DeletionRevoke DeletionPolicy = "Revoke"
	// DeletionKeep leaves the token Secret behind, valid until its token expires.
	DeletionKeep DeletionPolicy = "Keep"
)

// Scope is one scope token (RFC 6749 section 3.3).
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=256
// +kubebuilder:validation:Pattern=`^[\x21\x23-\x5B\x5D-\x7E]+$`
type Scope string

// SecretReference names a Secret in the namespace of the account.
type SecretReference struct {
	// name is the name of the Secret.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	Name string `json:"name,omitempty"`
}

// MarketplaceReference names a Marketplace.
type MarketplaceReference struct {
	// name is the name of the Marketplace, as "kubectl get marketplaces" lists it.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	Name string `json:"name,omitempty"`
}

// PasswordGrant is where the login of grant Password comes from.
type PasswordGrant struct {
	// secretRef names the Secret with the keys username and password. A refused password is never tried
	// again until it changes, or the annotation tokenkeeper.dev/retry of this Secret does, because platforms lock accounts after a few
	// attempts.
	//
	// +required
	SecretRef SecretReference `json:"secretRef,omitzero"`
}

// RefreshTokenGrant is where the first refresh token of grant RefreshToken comes from.
type RefreshTokenGrant struct {
	// secretRef names the Secret with the key refresh_token and, optionally, granted_at (RFC 3339): when the
	// person consented, from which the days remaining are counted. The Secret is read, never written; once
	// its refresh token has been used on a platform that rotates, the operator's own successor counts.
	//
	// +required
	SecretRef SecretReference `json:"secretRef,omitzero"`
}

// Grant is how the tokens of an account are obtained: a type and what that type needs.
//
// +kubebuilder:validation:XValidation:rule="self.type != 'Password' || has(self.password)",message="password must be set with type Password"
// +kubebuilder:validation:XValidation:rule="self.type == 'Password' || !has(self.password)",message="password must only be set with type Password"
// +kubebuilder:validation:XValidation:rule="self.type != 'RefreshToken' || has(self.refreshToken)",message="refreshToken must be set with type RefreshToken"
// +kubebuilder:validation:XValidation:rule="self.type == 'RefreshToken' || !has(self.refreshToken)",message="refreshToken must only be set with type RefreshToken"
// +union
type Grant struct {
	// type is the grant. AuthorizationCode and DeviceCode ask a person to sign in; RefreshToken starts
	// from a refresh token that was obtained elsewhere; Password and ClientCredentials need nobody.
	//
	// +required
	// +unionDiscriminator
	Type GrantType `json:"type,omitempty"`

	// password is where user name and password come from; only with type Password.
	//
	// +optional
	Password *PasswordGrant `json:"password,omitempty"`

	// refreshToken is where the first refresh token comes from; only with type RefreshToken.
	//
	// +optional
	RefreshToken *RefreshTokenGrant `json:"refreshToken,omitempty"`
}

// Parameter sets one parameter that the Marketplace declares.
type Parameter struct {
	// name is the parameter's name, as spec.parameters of the Marketplace declares it.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z][A-Za-z0-9_-]*$`
	Name string `json:"name,omitempty"`

	// value is the parameter's value; it must match the pattern or be one of the values that the Marketplace declares. Unless the Marketplace
	// says that its usage is Value, it is made of letters, digits and . _ ~ -
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^[ -~]+$`
	Value string `json:"value,omitempty"`
}

// Renewal is when tokens are renewed.
type Renewal struct {
	// policy is Automatic, or Suspended to ask the marketplace for nothing: the stored token is then served
	// until it expires. A refresh token that nobody uses may die of idleness.
	//
	// +optional
	// +kubebuilder:default=Automatic
	Policy RenewalPolicy `json:"policy,omitempty"`

	// before is how long before its expiry a token is renewed, such as 1h. The default and the upper bound
	// come from the Marketplace; it is never more than a quarter of the token's lifetime. A change counts from
	// the next token on.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule=`!self.matches('^[0-9.hms]+$') || duration(self) <= duration('8760h')`,message="must be at most 8760h"
	Before Duration `json:"before,omitempty"`
}

// AuthorizationWarning is when to speak up about an authorization that ends.
type AuthorizationWarning struct {
	// warnBefore is how long before the end of the authorization the condition AuthorizationExpiring turns
	// True, such as 336h.
	//
	// +optional
	// +kubebuilder:default="336h"
	// +kubebuilder:validation:XValidation:rule=`!self.matches('^[0-9.hms]+$') || (duration(self) >= duration('1h') && duration(self) <= duration('8760h'))`,message="must be at least 1h and at most 8760h"
	WarnBefore Duration `json:"warnBefore,omitempty"`
}

// TokenSecretTemplate shapes the token Secret.
type TokenSecretTemplate struct {
	// type is the type of the token Secret: Opaque, kubernetes.io/basic-auth or kubernetes.io/dockerconfigjson. Secrets of other types mean
	// something to other controllers, and are for those alone to write who may write Secrets.
	//
	// +optional
	// +kubebuilder:default=Opaque
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self in ['Opaque', 'kubernetes.io/basic-auth', 'kubernetes.io/dockerconfigjson']",message="must be Opaque, kubernetes.io/basic-auth or kubernetes.io/dockerconfigjson: Secrets of other types mean something to other controllers"
	Type string `json:"type,omitempty"`

	// labels are added to the token Secret, but none under kubernetes.io, k8s.io, helm.sh, argoproj.io, fluxcd.io, tokenkeeper.dev or their
	// subdomains, by which other controllers go.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.matches('^([^/]*[.])?(kubernetes[.]io|k8s[.]io|helm[.]sh|argoproj[.]io|fluxcd[.]io|tokenkeeper[.]dev)/'))",message="must not have labels under kubernetes.io, k8s.io, helm.sh, argoproj.io, fluxcd.io, tokenkeeper.dev or their subdomains: other controllers go by them"
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.indexOf('/') <= 253 && k.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$') && self[k].matches('^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$'))",message="must be valid label keys and values"
	Labels map[string]LabelValue `json:"labels,omitempty"`

	// annotations are added to the token Secret, but none under the domains that labels must not be under. They may be 16 KiB together.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, !k.matches('^([^/]*[.])?(kubernetes[.]io|k8s[.]io|helm[.]sh|argoproj[.]io|fluxcd[.]io|tokenkeeper[.]dev)/'))",message="must not have annotations under kubernetes.io, k8s.io, helm.sh, argoproj.io, fluxcd.io, tokenkeeper.dev or their subdomains: other controllers go by them"
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.indexOf('/') <= 253 && k.matches('^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$'))",message="must have valid annotation keys"
	// +kubebuilder:validation:XValidation:rule="self.map(k, k.size() + self[k].size()).sum() <= 16384",message="must be at most 16 KiB together"
	Annotations map[string]AnnotationValue `json:"annotations,omitempty"`

	// data are extra keys of the token Secret. Each value is a Go template over the published values:
	// .access_token, .id_token, .token_type, .scope, .expires_at, .account_id, .api_hosts and the keys that the Marketplace publishes, which a
	// template of the same key replaces. The templates may be 32 KiB together.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	// +kubebuilder:validation:XValidation:rule="self.all(k, k.size() <= 253 && k.matches('^[-._a-zA-Z0-9]+$') && k != '.' && !k.startsWith('..'))",message="must have keys of letters, digits, '-', '_' and '.' only, and not '.' or '..'"
	// +kubebuilder:validation:XValidation:rule="self.all(k, !(k in ['access_token', 'id_token', 'token_type', 'scope', 'expires_at', 'account_id', 'refresh_token']))",message="must not replace access_token, id_token, token_type, scope, expires_at, account_id or refresh_token"
	// +kubebuilder:validation:XValidation:rule="self.map(k, self[k].size()).sum() <= 32768",message="must be at most 32 KiB together"
	Data map[string]DataTemplate `json:"data,omitempty"`
}

// LabelValue is the value of a label.
//
// +kubebuilder:validation:MaxLength=63
type LabelValue string

// AnnotationValue is the value of an annotation.
//
// +kubebuilder:validation:MaxLength=4096
type AnnotationValue string

// DataTemplate is a Go template for one key of the token Secret.
//
// +kubebuilder:validation:MaxLength=4096
type DataTemplate string

// TokenSecret is the Secret that workloads mount.
type TokenSecret struct {
	// name is the name of the token Secret; default <account>-token. The Secret of a former name is removed.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`
	Name string `json:"name,omitempty"`

	// template shapes the Secret: its type, labels, annotations and extra keys.
	//
	// +optional
	Template *TokenSecretTemplate `json:"template,omitempty"`
}

// MarketplaceAccountSpec is what a user asks for: valid tokens of one account at one marketplace.
//
// +kubebuilder:validation:XValidation:rule="self.environment == oldSelf.environment",message="environment must not be changed; create another MarketplaceAccount"
type MarketplaceAccountSpec struct {
	// marketplaceRef names the Marketplace. It must not be changed.
	//
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="marketplaceRef must not be changed; create another MarketplaceAccount"
	MarketplaceRef MarketplaceReference `json:"marketplaceRef,omitzero"`

	// environment is one of the environments that the Marketplace lists, such as Production or Sandbox. It must not be changed.
	//
	// +optional
	// +kubebuilder:default=Production
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[A-Za-z][A-Za-z0-9_-]*$`
	Environment string `json:"environment,omitempty"`

	// login is the name under which people know this account. It is shown and never sent anywhere.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^[^\x00-\x1f\x7f]+$`
	Login string `json:"login,omitempty"`

	// accountID is the only marketplace account whose tokens are accepted. When it is not set, the first
	// account seen is.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +kubebuilder:validation:Pattern=`^[^\x00-\x1f\x7f]+$`
	AccountID string `json:"accountID,omitempty"`

	// applicationSecretRef names the Secret of the OAuth application: client_id, client_secret, and optionally
	// client_secret_previous, client_secret_expires_at, redirect_uri and application_id. When it is not set,
	// the Marketplace's own application is used, where this namespace may use it.
	//
	// +optional
	ApplicationSecretRef SecretReference `json:"applicationSecretRef,omitzero"`

	// grant is how the tokens are obtained.
	//
	// +required
	Grant Grant `json:"grant,omitzero"`

	// scopes are asked of the marketplace instead of the Marketplace's default scopes.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	Scopes []Scope `json:"scopes,omitempty"`

	// parameters set what the Marketplace declares in its spec.parameters, such as a region or a shop's host.
	//
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	Parameters []Parameter `json:"parameters,omitempty"`

	// renewal is when tokens are renewed.
	//
	// +optional
	// +kubebuilder:default={}
	Renewal Renewal `json:"renewal,omitzero"`

	// authorization is when to speak up about an authorization that ends.
	//
	// +optional
	// +kubebuilder:default={}
	Authorization AuthorizationWarning `json:"authorization,omitzero"`

	// tokenSecret is the Secret that workloads mount.
	//
	// +optional
	// +kubebuilder:default={}
	TokenSecret TokenSecret `json:"tokenSecret,omitzero"`

	// deletionPolicy tells what happens when this object is deleted. Delete removes both Secrets; Revoke
	// also revokes the grant at the marketplace, within a bounded time; Keep leaves the token Secret behind.
	//
	// +optional
	// +kubebuilder:default=Delete
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
}

// AccountStatus is whose tokens these are.
type AccountStatus struct {
	// id is the marketplace's identifier of the account.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	ID string `json:"id,omitempty"`

	// login is the name of the account: what the marketplace says, else spec.login.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	Login string `json:"login,omitempty"`
}

// AccessTokenStatus is the life of the published token. Where an ID token ends before the access token, its end counts.
type AccessTokenStatus struct {
	// serial counts the tokens that the account has had, and the refresh tokens that were given up. A grant Secret that has counted
	// less is older than this status, as after the restore of a backup.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	Serial int64 `json:"serial,omitempty"`

	// issuedTime is when the token was asked for.
	//
	// +optional
	IssuedTime metav1.Time `json:"issuedTime,omitzero"`

	// expirationTime is when the first of the published tokens expires.
	//
	// +optional
	ExpirationTime metav1.Time `json:"expirationTime,omitzero"`

	// renewalTime is when the token will be renewed. It is decided once per token and stored with it. It is absent while the marketplace
	// does not honour the grant.
	//
	// +optional
	RenewalTime metav1.Time `json:"renewalTime,omitzero"`
}

// AuthorizationStatus is what a person must renew by signing in; absent where nothing ends.
type AuthorizationStatus struct {
	// grantedTime is when the person consented, or when the operator first saw the grant.
	//
	// +optional
	GrantedTime metav1.Time `json:"grantedTime,omitzero"`

	// expirationTime is when the authorization ends.
	//
	// +optional
	ExpirationTime metav1.Time `json:"expirationTime,omitzero"`

	// daysRemaining is the number of days until then, a begun day counted as one; 0 after it. It is absent while each renewal
	// prolongs the authorization, and renewals go well and are not suspended.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	DaysRemaining *int32 `json:"daysRemaining,omitempty"`
}

// ApplicationStatus is the life of the client secret, where the platform ends client secrets.
type ApplicationStatus struct {
	// secretExpirationTime is when the client secret ends.
	//
	// +optional
	SecretExpirationTime metav1.Time `json:"secretExpirationTime,omitzero"`

	// daysRemaining is the number of days until then, a begun day counted as one; 0 after it.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	DaysRemaining *int32 `json:"daysRemaining,omitempty"`
}

// SignInStatus is what a person needs for signing in; present only while somebody has to act.
type SignInStatus struct {
	// url is the link to open. Where the operator runs with --sign-in-links=Secret, it is the address alone, and the link is in key
	// sign_in_url of the Secret <account>-sign-in.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	URL string `json:"url,omitempty"`

	// userCode is the code to type at the marketplace, with grant DeviceCode. Where the operator runs with --sign-in-links=Secret, it is in key
	// user_code of the Secret <account>-sign-in instead.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	UserCode string `json:"userCode,omitempty"`

	// redirectURI is the address to register for the application at the marketplace, with grant AuthorizationCode; absent where
	// the application's Secret has a redirect_uri of its own.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	RedirectURI string `json:"redirectURI,omitempty"`

	// expirationTime is when the link or the code ends.
	//
	// +optional
	ExpirationTime metav1.Time `json:"expirationTime,omitzero"`
}

// FailureStatus is the last attempt that obtained no token. Success clears it.
type FailureStatus struct {
	// time is when the last attempt failed.
	//
	// +optional
	Time metav1.Time `json:"time,omitzero"`

	// reason is one of the documented reasons of the conditions.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason,omitempty"`

	// message says what happened and who can mend it.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`

	// count is how many attempts have failed in a row. The wait before the next grows with it.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	Count int32 `json:"count,omitempty"`
}

// ConnectionTestResult is how a test of the connection went.
//
// +kubebuilder:validation:Enum=Passed;Failed;Unsupported
type ConnectionTestResult string

const (
	// ConnectionTestPassed: the marketplace honours the token, for the expected account.
	ConnectionTestPassed ConnectionTestResult = "Passed"
	// ConnectionTestFailed: the marketplace does not answer as it should, or could not be asked.
	ConnectionTestFailed ConnectionTestResult = "Failed"
	// ConnectionTestUnsupported: the Marketplace names no call that tests a token.
	ConnectionTestUnsupported ConnectionTestResult = "Unsupported"
)

// ConnectionTestStatus is the last test of the connection that somebody asked for.
type ConnectionTestStatus struct {
	// time is when it was made.
	//
	// +optional
	Time metav1.Time `json:"time,omitzero"`

	// result is how it went.
	//
	// +optional
	Result ConnectionTestResult `json:"result,omitempty"`

	// message says why it did not pass.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// HandledStatus holds the last value seen of each request annotation.
type HandledStatus struct {
	// renew is the last value of tokenkeeper.dev/renew that was acted on.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Renew string `json:"renew,omitempty"`

	// verify is the last value of tokenkeeper.dev/verify that was acted on.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Verify string `json:"verify,omitempty"`

	// signIn is the last value of tokenkeeper.dev/sign-in that was acted on.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	SignIn string `json:"signIn,omitempty"`
}

// MarketplaceAccountStatus is what the operator found and did.
type MarketplaceAccountStatus struct {
	// observedGeneration is the generation of the spec that this status speaks of.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// conditions are Ready, Authenticated, ReauthRequired and AuthorizationExpiring, and Stalled while only a change helps.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// account is whose tokens these are, when known.
	//
	// +optional
	Account *AccountStatus `json:"account,omitempty"`

	// tokenSecretName is the name of the token Secret that holds the tokens.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	TokenSecretName string `json:"tokenSecretName,omitempty"`

	// accessToken is the life of the published token.
	//
	// +optional
	AccessToken *AccessTokenStatus `json:"accessToken,omitempty"`

	// authorization is what a person must renew by signing in; absent where nothing ends.
	//
	// +optional
	Authorization *AuthorizationStatus `json:"authorization,omitempty"`

	// application is the life of the client secret; absent where nothing ends.
	//
	// +optional
	Application *ApplicationStatus `json:"application,omitempty"`

	// signIn is what a person needs for signing in; present only while somebody has to act.
	//
	// +optional
	SignIn *SignInStatus `json:"signIn,omitempty"`

	// lastFailure is the last attempt that obtained no token; cleared by success.
	//
	// +optional
	LastFailure *FailureStatus `json:"lastFailure,omitempty"`

	// connectionTest is the last test of the connection that somebody asked for, of the tokens at hand.
	//
	// +optional
	ConnectionTest *ConnectionTestStatus `json:"connectionTest,omitempty"`

	// handled holds the last value seen of each request annotation.
	//
	// +optional
	Handled *HandledStatus `json:"handled,omitempty"`
}

// MarketplaceAccount is one account at one marketplace whose tokens are kept valid in a Secret.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=mpa,categories=tokenkeeper
// +kubebuilder:selectablefield:JSONPath=`.spec.marketplaceRef.name`
// +kubebuilder:selectablefield:JSONPath=`.spec.environment`
// +kubebuilder:selectablefield:JSONPath=`.spec.grant.type`
// +kubebuilder:printcolumn:name="Marketplace",type=string,JSONPath=`.spec.marketplaceRef.name`
// +kubebuilder:printcolumn:name="Account",type=string,JSONPath=`.status.account.id`
// +kubebuilder:printcolumn:name="Authenticated",type=string,JSONPath=`.status.conditions[?(@.type=="Authenticated")].status`
// +kubebuilder:printcolumn:name="Days",type=integer,JSONPath=`.status.authorization.daysRemaining`
// +kubebuilder:printcolumn:name="Reauth",type=string,JSONPath=`.status.conditions[?(@.type=="ReauthRequired")].status`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:printcolumn:name="Expires",type=string,priority=1,JSONPath=`.status.accessToken.expirationTime`
// +kubebuilder:printcolumn:name="Renews",type=string,priority=1,JSONPath=`.status.accessToken.renewalTime`
// +kubebuilder:printcolumn:name="Reason",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Authenticated")].reason`
// +kubebuilder:printcolumn:name="Sign-in",type=string,priority=1,JSONPath=`.status.signIn.url`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63",message="metadata.name must be no more than 63 characters: it becomes the value of a label"
// +kubebuilder:validation:XValidation:rule="!has(self.spec.tokenSecret.name) || !(self.spec.tokenSecret.name in [self.metadata.name + '-grant', self.metadata.name + '-sign-in'])",message="spec.tokenSecret.name must not be <account>-grant or <account>-sign-in, which hold the operator's own state"
// +kubebuilder:validation:XValidation:rule=`![has(self.spec.applicationSecretRef) ? self.spec.applicationSecretRef.name : "", has(self.spec.grant.password) ? self.spec.grant.password.secretRef.name : "", has(self.spec.grant.refreshToken) ? self.spec.grant.refreshToken.secretRef.name : ""].exists(n, n in [self.metadata.name + '-grant', self.metadata.name + '-sign-in'])`,message="spec must not refer to the Secrets <account>-grant and <account>-sign-in, which hold the operator's own state"
// +kubebuilder:validation:XValidation:rule=`!((has(self.spec.tokenSecret.name) ? self.spec.tokenSecret.name : self.metadata.name + '-token') in [has(self.spec.applicationSecretRef) ? self.spec.applicationSecretRef.name : "", has(self.spec.grant.password) ? self.spec.grant.password.secretRef.name : "", has(self.spec.grant.refreshToken) ? self.spec.grant.refreshToken.secretRef.name : ""])`,message="spec.tokenSecret.name (default <account>-token) must not be the name of a Secret that this account reads"
// +kubebuilder:validation:XValidation:rule="(has(self.spec.tokenSecret.template) ? self.spec.tokenSecret.template.type : 'Opaque') == (has(oldSelf.spec.tokenSecret.template) ? oldSelf.spec.tokenSecret.template.type : 'Opaque') || (has(self.spec.tokenSecret.name) ? self.spec.tokenSecret.name : self.metadata.name + '-token') != (has(oldSelf.spec.tokenSecret.name) ? oldSelf.spec.tokenSecret.name : oldSelf.metadata.name + '-token')",message="spec.tokenSecret.template.type must not be changed, as Kubernetes does not change the type of a Secret; set another tokenSecret.name together with it"
type MarketplaceAccount struct {
	metav1.TypeMeta `json:",inline"`

	// metadata is the standard object's metadata.
	//
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what the user asks for.
	//
	// +required
	Spec MarketplaceAccountSpec `json:"spec,omitzero"`

	// status is what the operator found and did.
	//
	// +optional
	// +kubebuilder:default={conditions: {{type: "Ready", status: "Unknown", reason: "Renewing", message: "Waiting for the operator", lastTransitionTime: "1970-01-01T00:00:00Z"}, {type: "Authenticated", status: "Unknown", reason: "Renewing", message: "Waiting for the operator", lastTransitionTime: "1970-01-01T00:00:00Z"}}}
	Status MarketplaceAccountStatus `json:"status,omitzero"`
}

// MarketplaceAccountList is a list of MarketplaceAccounts.
//
// +kubebuilder:object:root=true
type MarketplaceAccountList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitzero"`

	Items []MarketplaceAccount `json:"items"`
}
