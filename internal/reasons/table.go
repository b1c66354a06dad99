package reasons

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// table has a row for each reason of the API, in its order.
var table = map[string]Meaning{
	v1alpha1.ReasonTokenValid: {Actor: Nobody, Cure: NoCure, Authenticated: metav1.ConditionTrue, Severity: Fine, Alert: NoAlert},
	v1alpha1.ReasonRenewing: {
		Actor: Nobody, Cure: Time, Authenticated: metav1.ConditionUnknown, Severity: Waiting, Ending: ByItself, Alert: AccountNotReady,
	},
	v1alpha1.ReasonSignInRequired: {
		Actor: Shop, Cure: SignIn, Authenticated: metav1.ConditionFalse, Subject: Consent, ReauthRequired: true, AwaitsSignIn: true,
		BecameEvent: v1alpha1.EventSignInRequired, Alert: PersonRequired,
	},
	v1alpha1.ReasonSignInPending: {
		Actor: Shop, Cure: SignIn, Authenticated: metav1.ConditionFalse, Ending: ByItself, Subject: Consent, ReauthRequired: true,
		AwaitsSignIn: true, Alert: PersonRequired,
	},
	v1alpha1.ReasonAuthorizationExpired: {
		Actor: Shop, Cure: SignIn, Subject: Authorization, ReauthRequired: true, EndsGrant: true, Alert: PersonRequired,
	},
	v1alpha1.ReasonAuthorizationExpiring: {
		Actor: Shop, Cure: SignIn, Severity: Warning, BecameEvent: v1alpha1.EventAuthorizationExpiring, Alert: AuthorizationExpiring,
	},
	v1alpha1.ReasonGrantRejected: {
		Actor: Shop, Cure: SignIn, Authenticated: metav1.ConditionFalse, Subject: Grant, ReauthRequired: true, EndsGrant: true,
		IgnoresRequests: true, Alert: PersonRequired,
	},
	v1alpha1.ReasonPasswordRejected: {
		Actor: Author, Cure: Password, Authenticated: metav1.ConditionFalse, Subject: Login, ReauthRequired: true, IgnoresRequests: true, Alert: PersonRequired,
	},
	v1alpha1.ReasonAccountLocked: {
		Actor: Shop, Cure: Password, Authenticated: metav1.ConditionFalse, Subject: Login, ReauthRequired: true, IgnoresRequests: true, Alert: PersonRequired,
	},
	v1alpha1.ReasonApplicationRejected: { // it passes where an account of the application asks again, and is served
		Actor: Author, Cure: Change, Authenticated: metav1.ConditionFalse, Ending: ByItself, Subject: Application, Alert: ApplicationRejected,
	},
	v1alpha1.ReasonScopeRejected: {Actor: Author, Cure: Change, Authenticated: metav1.ConditionFalse, Alert: RenewalOverdue},
	v1alpha1.ReasonScopesReduced: {
		Actor: Author, Cure: SignIn, Authenticated: metav1.ConditionTrue, Severity: Warning, Warns: true, Alert: NoAlert,
	},
	v1alpha1.ReasonAccountMismatch: {
		Actor: Shop, Cure: SignIn, Authenticated: metav1.ConditionFalse, Subject: Seller, ReauthRequired: true, IgnoresRequests: true,
		AllowsCode: true, Warns: true, FailedEvent: v1alpha1.EventAccountMismatch, Alert: AccountMismatch,
	},
	v1alpha1.ReasonDuplicateAccount: {
		Actor: Admin, Cure: Change, Authenticated: metav1.ConditionTrue, Severity: Warning, Warns: true, Alert: NoAlert,
	},
	v1alpha1.ReasonRenewalOutcomeUnknown: {
		Actor: Shop, Cure: SignIn, Authenticated: metav1.ConditionUnknown, Subject: Outcome, ReauthRequired: true, EndsGrant: true, Alert: RenewalOutcomeUnknown,
	},
	v1alpha1.ReasonMarketplaceUnavailable: {
		Actor: Marketplace, Cure: Time, Authenticated: metav1.ConditionUnknown, Ending: ByItself, BacksOff: true, AllowsCode: true, Alert: MarketplaceDown,
	},
	v1alpha1.ReasonRateLimited: {
		Actor: Nobody, Cure: Time, Authenticated: metav1.ConditionUnknown, Ending: ByItself, BacksOff: true, AllowsCode: true, Alert: MarketplaceThrottling,
	},
	v1alpha1.ReasonMarketplaceNotFound: {Actor: Author, Cure: Change, Authenticated: metav1.ConditionUnknown, Alert: RenewalOverdue},
	v1alpha1.ReasonSecretNotFound:      {Actor: Author, Cure: Change, Authenticated: metav1.ConditionUnknown, Alert: RenewalOverdue},
	v1alpha1.ReasonSecretInvalid: { // Authenticated is True where a new refresh token cannot be read, and the former one goes on
		Actor: Author, Cure: Change, Authenticated: metav1.ConditionUnknown, Warns: true, Alert: RenewalOverdue,
	},
	v1alpha1.ReasonSecretConflict: {
		Actor: Author, Cure: Change, Authenticated: metav1.ConditionUnknown, Ending: ByChange, AllowsVisit: true, Alert: SecretConflict,
	},
	v1alpha1.ReasonPortalNotConfigured: {Actor: Admin, Cure: Portal, Authenticated: metav1.ConditionFalse, ReauthRequired: true, Alert: PersonRequired},
	v1alpha1.ReasonInvalidSpec: { // Authenticated is Unknown where no request was made
		Actor: Author, Cure: Change, Authenticated: metav1.ConditionFalse, Ending: ByChange, Alert: RenewalOverdue,
	},
	v1alpha1.ReasonSuspended: {
		Actor: Author, Cure: Resume, Authenticated: metav1.ConditionUnknown, Severity: Waiting, Ending: ByChange, Alert: NoAlert,
	},
	v1alpha1.ReasonNotRequired: {Actor: Nobody, Cure: NoCure, Severity: Absent, Alert: NoAlert},
	v1alpha1.ReasonClockSkewed: {Actor: Admin, Cure: Change, Severity: Warning, Alert: NoAlert},
}
