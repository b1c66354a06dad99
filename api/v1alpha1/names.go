package v1alpha1

// Labels and annotations.
const (
	// LabelManagedBy marks the Secrets of an account; its value is ManagedBy.
	LabelManagedBy = "app.kubernetes.io/managed-by"
	// ManagedBy is the value of LabelManagedBy and the field owner of every write.
	ManagedBy = "tokenkeeper"
	// LabelAccount names the MarketplaceAccount that a Secret belongs to.
	LabelAccount = "tokenkeeper.dev/account"
	// LabelUse, on a Secret that accounts name, says what they may use it as: UseApplication, UseLogin or UseRefreshToken, or several of
	// these, joined by UseSeparator.
	LabelUse = "tokenkeeper.dev/use"
	// UseApplication is the use of spec.applicationSecretRef.
	UseApplication = "application"
	// UseLogin is the use of spec.grant.password.secretRef.
	UseLogin = "login"
	// UseRefreshToken is the use of spec.grant.refreshToken.secretRef.
	UseRefreshToken = "refresh-token"
	// UseSeparator stands between the uses of a Secret with several.
	UseSeparator = "."

	// AnnotationRenew asks for a renewal now, whatever the schedule: once for each new value.
	AnnotationRenew = "tokenkeeper.dev/renew"
	// AnnotationVerify asks for a test of the connection: once for each new value.
	AnnotationVerify = "tokenkeeper.dev/verify"
	// AnnotationSignIn asks for a new sign-in while the old grant stays in use: once for each new value.
	AnnotationSignIn = "tokenkeeper.dev/sign-in"
	// AnnotationRetry, on the Secret of a login or an application, asks to try again what was refused although nothing else about
	// it has changed: one attempt for each new value.
	AnnotationRetry = "tokenkeeper.dev/retry"

	// AnnotationAdoptCustody, on a Marketplace, tells that the grant Secrets which its accounts have now may be taken for the operator's: once for
	// each new value.
	AnnotationAdoptCustody = "tokenkeeper.dev/adopt-custody"

	// FinalizerRevoke holds back the deletion of an account with deletionPolicy Revoke until its grant
	// was revoked at the marketplace.
	FinalizerRevoke = "tokenkeeper.dev/revoke"
)

// Names and types of the Secrets that the operator writes.
const (
	// SecretTypeGrant is the type of the grant Secret, the operator's custody of an account.
	SecretTypeGrant = "tokenkeeper.dev/grant"
	// GrantSecretSuffix follows the account's name in the name of its grant Secret.
	GrantSecretSuffix = "-grant"
	// TokenSecretSuffix follows the account's name in the default name of its token Secret.
	TokenSecretSuffix = "-token"
	// SecretTypeSignIn is the type of the sign-in Secret, which holds the link or the code by which a person signs in, where the status must not.
	SecretTypeSignIn = "tokenkeeper.dev/sign-in"
	// SignInSecretSuffix follows the account's name in the name of its sign-in Secret.
	SignInSecretSuffix = "-sign-in"
)

// Keys of the sign-in Secret.
const (
	// SignInKeyURL is the link to open.
	SignInKeyURL = "sign_in_url"
	// SignInKeyUserCode is the code to enter there, with grant DeviceCode.
	SignInKeyUserCode = "user_code"
)

// Keys of the token Secret, which workloads mount.
const (
	// TokenKeyAccessToken is the access token as the marketplace issued it.
	TokenKeyAccessToken = "access_token"
	// TokenKeyIDToken is the OpenID Connect ID token, where there is one.
	TokenKeyIDToken = "id_token"
	// TokenKeyTokenType is the word before the token in an Authorization header, usually "Bearer".
	TokenKeyTokenType = "token_type"
	// TokenKeyScope is the granted scope, separated by spaces.
	TokenKeyScope = "scope"
	// TokenKeyExpiresAt is when the first of the published tokens expires, RFC 3339 in UTC.
	TokenKeyExpiresAt = "expires_at"
	// TokenKeyAccountID is the marketplace's identifier of the account, when known.
	TokenKeyAccountID = "account_id"
	// TokenKeyAPIHosts are the hosts of the platform's API, separated by spaces, where the Marketplace names them.
	TokenKeyAPIHosts = "api_hosts"
)

// Keys of the Secrets that users write and the operator only reads.
const (
	// ApplicationKeyClientID is the OAuth client identifier of the registered application.
	ApplicationKeyClientID = "client_id"
	// ApplicationKeyClientSecret is its secret.
	ApplicationKeyClientSecret = "client_secret"
	// ApplicationKeyClientSecretPrevious is the secret before a rotation; it is tried when the current one is refused.
	ApplicationKeyClientSecretPrevious = "client_secret_previous"
	// ApplicationKeyClientSecretExpiresAt is when the client secret ends, RFC 3339.
	ApplicationKeyClientSecretExpiresAt = "client_secret_expires_at"
	// ApplicationKeyRedirectURI replaces the portal's callback address; eBay's RuName goes here.
	ApplicationKeyRedirectURI = "redirect_uri"
	// ApplicationKeyApplicationID is what Amazon wants instead of the client identifier at sign-in.
	ApplicationKeyApplicationID = "application_id"

	// PasswordKeyUsername and PasswordKeyPassword are the keys of the Secret of grant Password.
	PasswordKeyUsername = "username"
	PasswordKeyPassword = "password"

	// RefreshTokenKeyRefreshToken is the key of the Secret of grant RefreshToken.
	RefreshTokenKeyRefreshToken = "refresh_token"
	// RefreshTokenKeyGrantedAt is when the person consented, RFC 3339; optional.
	RefreshTokenKeyGrantedAt = "granted_at"
)

// GrantSecretName returns the name of the account's grant Secret.
func (a *MarketplaceAccount) GrantSecretName() string {
	return a.Name + GrantSecretSuffix
}

// TokenSecretName returns the name of the account's token Secret, defaulted.
func (a *MarketplaceAccount) TokenSecretName() string {
	if a.Spec.TokenSecret.Name != "" {
		return a.Spec.TokenSecret.Name
	}
	return a.Name + TokenSecretSuffix
}

// SignInSecretName returns the name of the account's sign-in Secret.
func (a *MarketplaceAccount) SignInSecretName() string {
	return a.Name + SignInSecretSuffix
}

// HasSecretName tells whether a Secret of this name is the place of one of the account's own.
func (a *MarketplaceAccount) HasSecretName(name string) bool {
	return name == a.GrantSecretName() || name == a.TokenSecretName() || name == a.SignInSecretName()
}
