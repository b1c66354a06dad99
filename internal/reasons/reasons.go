// Package reasons holds the one table of the meanings of the reasons of an account's conditions: who must act, the cure, and how the
// operator and its pages go about it. Nothing else tells one reason from another; a test of this package says so.
//
// The table knows reasons alone. Whether a refusal still stands for an account, and the message about it, are for other packages.
package reasons

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Actor is the party that must act.
type Actor int

// The zero value is that of a reason that the table does not know.
const (
	UnknownActor Actor = iota
	// Nobody has to act: the operator goes on by itself, or all is well.
	Nobody
	// Shop is the person who signs in at the marketplace.
	Shop
	// Author is the author of the account, or of a Secret that it names.
	Author
	// Admin is the cluster admin.
	Admin
	// Marketplace is the platform.
	Marketplace
)

// Cure is the event that ends the state that a reason names.
type Cure int

// The zero value is that of a reason that the table does not know.
const (
	UnknownCure Cure = iota
	// NoCure is needed.
	NoCure
	// Time cures it: the operator asks again.
	Time
	// SignIn cures it: a person signs in, or a new refresh token is supplied.
	SignIn
	// Password cures it: another one, or a confirmation that the login is unlocked.
	Password
	// Change of an object cures it: of a Secret, the account or its Marketplace. A sign-in cannot succeed before.
	Change
	// Resume cures it: renewal is switched on again.
	Resume
	// Portal cures it: the operator runs with one.
	Portal
)

// Severity is how bad the state is. The worst is the least.
type Severity int

// The zero value is that of a reason that the table does not know, too.
const (
	// Problem: the account does not work as it should, or will not before long.
	Problem Severity = iota
	// Warning: the account works, and a person should look after it.
	Warning
	// Waiting: there is no token, and that is as it should be.
	Waiting
	// Fine: all is well.
	Fine
	// Absent: the condition has nothing to report.
	Absent
)

// Ending is how a failure ends, which decides whether the account is Stalled meanwhile.
type Ending int

// The zero value is that of a reason that the table does not know, too.
const (
	// WithRefusal: it stands for as long as there is nothing to ask with that was not refused.
	WithRefusal Ending = iota
	// ByItself: it passes, or a person is about to end it.
	ByItself
	// ByChange: only a change ends it, although renewals might go on.
	ByChange
)

// Subject is the part of a request that a refusal speaks of. The refusal stands while that part is the same.
type Subject int

// The zero value is that of a reason that the table does not know, too.
const (
	// Request is the request as a whole.
	Request Subject = iota
	// Login is a user name and its password.
	Login
	// Grant is the refresh token, or the login where that is the grant.
	Grant
	// Outcome: nothing was refused, and it is not known whether a refresh token that was sent is spent.
	Outcome
	// Application is the client ID and the client secret.
	Application
	// Seller: tokens were given, and they are another seller's.
	Seller
	// Consent of a person is missing.
	Consent
	// Authorization: the time of a consent is over.
	Authorization
)

// Alert is the alert that tells on-call of a reason, without the prefix Tokenkeeper of its name.
type Alert string

// The zero value is that of a reason that the table does not know.
const (
	UnknownAlert Alert = ""
	// NoAlert: no alert tells of it. All is well, it is as the author of the account wants it, or it can be looked up when there is time.
	NoAlert Alert = "none"
	// AccountNotReady is for states that pass by themselves and last too long.
	AccountNotReady Alert = "AccountNotReady"
	// PersonRequired is for states that only a person cures, with a sign-in or the password.
	PersonRequired Alert = "PersonRequired"
	// AuthorizationExpiring tells of the end of a consent before it.
	AuthorizationExpiring Alert = "AuthorizationExpiring"
	// RenewalOverdue is for states without renewals until an object is changed.
	RenewalOverdue Alert = "RenewalOverdue"
	// RenewalOutcomeUnknown is for refresh tokens with a lost answer.
	RenewalOutcomeUnknown Alert = "RenewalOutcomeUnknown"
	// ApplicationRejected tells once of all accounts of a Marketplace.
	ApplicationRejected Alert = "ApplicationRejected"
	// AccountMismatch is for tokens of another seller.
	AccountMismatch Alert = "AccountMismatch"
	// MarketplaceDown tells once of all accounts of a Marketplace.
	MarketplaceDown Alert = "MarketplaceDown"
	// MarketplaceThrottling tells once of all accounts of a Marketplace.
	MarketplaceThrottling Alert = "MarketplaceThrottling"
	// SecretConflict is for tokens that cannot be published.
	SecretConflict Alert = "SecretConflict"
)

// Meaning is a row of the table. The zero value, of a reason that a later version wrote, is an ordinary failure.
type Meaning struct {
	Actor Actor
	Cure  Cure
	// Authenticated is the status of that condition with this reason; empty where it never has it.
	Authenticated metav1.ConditionStatus
	Severity      Severity
	Ending        Ending
	Subject       Subject

	// ReauthRequired: the condition of that name is True with this reason.
	ReauthRequired bool
	// AwaitsSignIn: nothing is wrong but that a person has not signed in yet.
	AwaitsSignIn bool
	// EndsGrant: no renewal brings a token any more, so that a person has to sign in.
	EndsGrant bool
	// BacksOff: the operator tries again by itself, with growing waits.
	BacksOff bool
	// IgnoresRequests: a request for a renewal does not make the operator send refused credentials again, since platforms lock logins, and
	// end grants.
	IgnoresRequests bool
	// AllowsCode: a device code may be asked for after a sign-in that ended so, although nothing was changed.
	AllowsCode bool
	// AllowsVisit: where the account asks for a sign-in besides, a person at a browser can sign in. The link alone cannot be shown.
	AllowsVisit bool
	// Warns: with it Authenticated may be True, and a person should know.
	Warns bool

	// Alert tells on-call of the reason.
	Alert Alert

	// BecameEvent is the event when ReauthRequired or AuthorizationExpiring takes this reason; empty for none.
	BecameEvent string
	// FailedEvent is the event of an attempt that failed for this reason; empty for RenewalFailed.
	FailedEvent string
}

// Of returns the meaning of a reason.
func Of(reason string) Meaning { return table[reason] }

// Where returns the reasons with a meaning that fits, in alphabetical order.
func Where(fits func(Meaning) bool) []string {
	var names []string
	for name, meaning := range table {
		if fits(meaning) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
