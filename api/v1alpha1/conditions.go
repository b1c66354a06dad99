package v1alpha1

// Condition types of a MarketplaceAccount. An absent condition means Unknown.
const (
	// ConditionReady summarises the account: True means that the token Secret holds an unexpired token
	// for this spec. It is what "kubectl wait --for=condition=Ready" waits for.
	//
	// True:    TokenValid.
	// False:   every reason that names why there is no valid token, and Renewing while one is being obtained.
	// Unknown: Renewing, before the operator has looked at the account for the first time.
	ConditionReady = "Ready"

	// ConditionAuthenticated is True while the marketplace honours the grant, False once it has refused it
	// or a person has to give it first, and Unknown while the marketplace cannot be asked. A token that is
	// still good stays published either way.
	//
	// True:    TokenValid, ScopesReduced, DuplicateAccount, and where the grant in use goes on: AccountMismatch, where the last
	//          sign-in was of another account, and SecretInvalid, where a new refresh token cannot be read.
	// False:   GrantRejected, PasswordRejected, AccountLocked, ApplicationRejected, ScopeRejected,
	//          AccountMismatch, SignInRequired, SignInPending, PortalNotConfigured, and InvalidSpec where the
	//          marketplace does not accept the request.
	// Unknown: Renewing, MarketplaceUnavailable, RateLimited, RenewalOutcomeUnknown, Suspended,
	//          MarketplaceNotFound, SecretNotFound, SecretInvalid, SecretConflict, and InvalidSpec where account
	//          and Marketplace do not fit together.
	ConditionAuthenticated = "Authenticated"

	// ConditionReauthRequired is True when nothing more happens until a person acts: signs in, or mends
	// the password. Its message holds the sign-in link, where there is one. It is True as well, with SignInRequired,
	// where scopes are asked for that nobody has consented to; the former consent goes on then.
	//
	// True:  SignInRequired, SignInPending, AuthorizationExpired, GrantRejected, PasswordRejected,
	//        AccountLocked, AccountMismatch, RenewalOutcomeUnknown, PortalNotConfigured.
	// False: NotRequired.
	ConditionReauthRequired = "ReauthRequired"

	// ConditionAuthorizationExpiring is True when the authorization ends within spec.authorization.warnBefore.
	// Its message names the days, the date and, where there is one, the sign-in link.
	//
	// True:    AuthorizationExpiring, AuthorizationExpired.
	// False:   NotRequired: it ends later, or does not end by itself.
	// Unknown: there is no authorization, or none that the marketplace honours; the reason says why.
	ConditionAuthorizationExpiring = "AuthorizationExpiring"

	// ConditionStalled is True while nothing more is tried before somebody changes something: kstatus, which Argo CD, Flux and Helm follow,
	// calls the account failed then. It is absent otherwise, also while a failure passes or something will be tried by itself.
	//
	// True: the reason of the condition that it follows, such as InvalidSpec, SecretNotFound, GrantRejected, SignInRequired or Suspended.
	ConditionStalled = "Stalled"

	// ConditionClockSkewed is True while the clock of the token host differs from the operator's by more than 30 seconds, by the Date of three
	// answers in a row. It is absent otherwise, and is written with the next other change of the status.
	//
	// True: ClockSkewed.
	ConditionClockSkewed = "ClockSkewed"
)

// ConditionValid is the one condition of a Marketplace: True when it can be filled in for every environment and choice, so that accounts can use
// all of it. Its message says what is wrong with it. Accounts that need what is wrong have the reason InvalidSpec, and others go on.
//
// True:  Valid.
// False: InvalidSpec.
const ConditionValid = "Valid"

// MarketplaceValid is the reason of Valid where nothing is wrong.
const MarketplaceValid = "Valid"

// Reasons of the conditions. Each comment ends with who must act.
const (
	// ReasonTokenValid: the tokens are valid and the marketplace honours the grant. Nobody acts.
	ReasonTokenValid = "TokenValid"
	// ReasonRenewing: the operator is about to obtain a token. Nobody acts.
	ReasonRenewing = "Renewing"
	// ReasonSignInRequired: a person must sign in at the marketplace, since there is no grant, it is of another application,
	// or scopes are asked for that nobody has consented to. The shop acts, with the link in status.signIn, or supplies
	// another refresh token.
	ReasonSignInRequired = "SignInRequired"
	// ReasonSignInPending: somebody went to the marketplace with a link and has not come back yet. The shop finishes it.
	ReasonSignInPending = "SignInPending"
	// ReasonAuthorizationExpired: the authorization has expired. The shop signs in again.
	ReasonAuthorizationExpired = "AuthorizationExpired"
	// ReasonAuthorizationExpiring: the authorization ends soon. The shop signs in again before that.
	ReasonAuthorizationExpiring = "AuthorizationExpiring"
	// ReasonGrantRejected: the marketplace refuses the refresh token: expired, revoked or of another
	// application. The shop signs in again, or the author of the imported refresh token supplies a new one.
	ReasonGrantRejected = "GrantRejected"
	// ReasonPasswordRejected: the marketplace refuses user name or password; they are not tried again until
	// they change, or their Secret gets another value of AnnotationRetry. The owner of that Secret acts.
	ReasonPasswordRejected = "PasswordRejected"
	// ReasonAccountLocked: the marketplace locked the login, or demands a step that no program can take.
	// The shop unlocks it at the marketplace, then sets AnnotationRetry on the password Secret, or changes the password.
	ReasonAccountLocked = "AccountLocked"
	// ReasonApplicationRejected: the marketplace refuses client_id or client_secret, for every account of that
	// application. The owner of the application Secret acts. One account of the application asks again now and then, and all go on when it
	// is served.
	ReasonApplicationRejected = "ApplicationRejected"
	// ReasonScopeRejected: the marketplace refuses the scopes. The author of the account (spec.scopes) or of the
	// application at the marketplace acts.
	ReasonScopeRejected = "ScopeRejected"
	// ReasonScopesReduced: the marketplace granted fewer scopes than were asked. A warning for the author of the account.
	ReasonScopesReduced = "ScopesReduced"
	// ReasonAccountMismatch: new tokens belong to another marketplace account than the expected one and are not
	// used; those of a sign-in were discarded. The shop signs in as the right seller, or the author corrects spec.accountID.
	ReasonAccountMismatch = "AccountMismatch"
	// ReasonDuplicateAccount: an older MarketplaceAccount holds tokens of the same seller. A warning for the cluster admin.
	ReasonDuplicateAccount = "DuplicateAccount"
	// ReasonRenewalOutcomeUnknown: the operator was interrupted after it had spent a single-use refresh token and
	// before it could store the successor. The shop signs in again where trying again would do harm.
	ReasonRenewalOutcomeUnknown = "RenewalOutcomeUnknown"
	// ReasonMarketplaceUnavailable: the marketplace cannot be reached or answers with nonsense; it is asked again
	// later. The marketplace acts; on-call if it lasts.
	ReasonMarketplaceUnavailable = "MarketplaceUnavailable"
	// ReasonRateLimited: the marketplace asked for fewer requests; it is asked again when it said. Nobody acts.
	ReasonRateLimited = "RateLimited"
	// ReasonMarketplaceNotFound: there is no Marketplace of that name. The author of the account or the cluster admin acts.
	ReasonMarketplaceNotFound = "MarketplaceNotFound"
	// ReasonSecretNotFound: a referenced Secret does not exist. Its author acts. Or a Marketplace's application Secret lies in a
	// namespace that is not watched, and may not be read there. The cluster admin acts.
	ReasonSecretNotFound = "SecretNotFound"
	// ReasonSecretInvalid: a referenced Secret lacks a key, or a value cannot be read. Its author acts.
	ReasonSecretInvalid = "SecretInvalid"
	// ReasonSecretConflict: a Secret of the token Secret's name exists and is not this account's. It is left alone; the
	// author of the account chooses another tokenSecret.name, or removes the other Secret.
	ReasonSecretConflict = "SecretConflict"
	// ReasonPortalNotConfigured: a person must sign in with grant AuthorizationCode, and the operator runs without --portal-url.
	// The cluster admin acts.
	ReasonPortalNotConfigured = "PortalNotConfigured"
	// ReasonInvalidSpec: the account and its Marketplace do not fit together, or a template does not parse. The
	// message says which of the two authors acts.
	ReasonInvalidSpec = "InvalidSpec"
	// ReasonSuspended: spec.renewal.policy is Suspended and the last token has expired. The author of the account acts.
	ReasonSuspended = "Suspended"
	// ReasonNotRequired: the False side of ReauthRequired and AuthorizationExpiring. Nobody acts.
	ReasonNotRequired = "NotRequired"
	// ReasonClockSkewed: the clock of the token host, or of the operator's node, is wrong, so that tokens are renewed too early or too late. The
	// cluster admin acts.
	ReasonClockSkewed = "ClockSkewed"
)

// Reasons of events, emitted on change only.
const (
	// EventTokenIssued: the first token of an account was stored.
	EventTokenIssued = "TokenIssued"
	// EventTokenRenewed: a successor was stored.
	EventTokenRenewed = "TokenRenewed"
	// EventRenewalFailed: a token could not be obtained; the note says why and what happens next.
	EventRenewalFailed = "RenewalFailed"
	// EventSignInRequired: a person must sign in. The note does not hold the link.
	EventSignInRequired = "SignInRequired"
	// EventSignInCompleted: a person has signed in, and what that brought is stored and in use.
	EventSignInCompleted = "SignInCompleted"
	// EventActionRequested: a user pressed a button of the portal. The note names the user as the cluster does, cut to 128 characters.
	EventActionRequested = "ActionRequested"
	// EventAuthorizationExpiring: the authorization ends within spec.authorization.warnBefore.
	EventAuthorizationExpiring = "AuthorizationExpiring"
	// EventAccountMismatch: tokens of another marketplace account were not used.
	EventAccountMismatch = "AccountMismatch"
	// EventIDTokenWithheld: an access token is published without the ID token that came with it, or waits because of it; Ready says why.
	EventIDTokenWithheld = "IDTokenWithheld"
	// EventGrantRevoked: the grant was revoked at the marketplace, or could not be in the time allowed.
	EventGrantRevoked = "GrantRevoked"
	// EventUseLabelMissing: a Secret that the account names lacks the label tokenkeeper.dev/use, or does not allow this use by it. Told once
	// for each account and Secret.
	EventUseLabelMissing = "UseLabelMissing"
	// EventCustodyUnauthenticated: the grant Secret was written by somebody else than the operator, or holds what no operator writes; the note
	// says what follows from that.
	EventCustodyUnauthenticated = "CustodyUnauthenticated"
)
