package signin

import (
	"fmt"
	"time"
)

// Account is the MarketplaceAccount that a sign-in is for, in words for the person who signs in. Everything but the
// names comes from people or platforms and must be escaped where it is shown.
type Account struct {
	// Namespace and Name are the object's.
	Namespace, Name string
	// Login is the name under which people know the account, without verification; empty when none was given.
	Login string
	// Marketplace is the platform's name among people, Environment the one of its worlds that is meant.
	Marketplace, Environment string
	// ExpectedID is the only account that is accepted; empty when any is.
	ExpectedID string
}

// Offer is the sign-in behind a link.
type Offer struct {
	Account
	// ExpiresAt is when the link ends.
	ExpiresAt time.Time
}

// Code is the code of a device that a person enters at the marketplace; the zero value is none.
type Code struct {
	// URL is where it is entered, or brought along by the address.
	URL, UserCode string
	// ExpiresAt is when it ends.
	ExpiresAt time.Time
}

// Visit is a sign-in that has begun.
type Visit struct {
	// URL is where to send the browser.
	URL string
	// CookieName and CookieValue bind the visit to the browser until ExpiresAt.
	CookieName, CookieValue string
	ExpiresAt               time.Time
}

// Outcome is a sign-in that succeeded.
type Outcome struct {
	Account
	// ID and SeenLogin name the account that was signed in, as far as the marketplace tells: either may be empty.
	ID, SeenLogin string
	// MissingScopes were asked for and not granted.
	MissingScopes []string
	// Unconfirmed tells that the tokens are stored, and are used once the marketplace has named their account.
	Unconfirmed bool
}

// Problem is why a sign-in did not succeed, and so decides how the person can go on.
type Problem string

// Problems of links.
const (
	// LinkInvalid: there is no such link, or no more.
	LinkInvalid Problem = "LinkInvalid"
	// LinkUsed: the link was used.
	LinkUsed Problem = "LinkUsed"
	// LinkExpired: the link has expired.
	LinkExpired Problem = "LinkExpired"
	// StartRefused: a start that is said to come from the marketplace's app store is not believed, such as one with an address
	// that is none of the marketplace's. No sign-in was begun.
	StartRefused Problem = "StartRefused"
)

// Problems of visits, when the browser comes back.
const (
	// VisitUnknown: the state is not one that this browser was given, or was used before: the callback was forged, replayed, or
	// brought by another browser or from another marketplace.
	VisitUnknown Problem = "VisitUnknown"
	// VisitUsed: this very browser has come back with this state before, and the first time counts.
	VisitUsed Problem = "VisitUsed"
	// VisitExpired: the person took longer than VisitLife.
	VisitExpired Problem = "VisitExpired"
	// IssuerMismatch: another issuer than the one that was asked has answered (RFC 9207).
	IssuerMismatch Problem = "IssuerMismatch"
	// ConsentDenied: the person, or the marketplace in their name, declined.
	ConsentDenied Problem = "ConsentDenied"
	// CodeRefused: the marketplace does not take the code, which may have been too old.
	CodeRefused Problem = "CodeRefused"
	// AccountUnnamed: the marketplace did not name the account, while only one is accepted; the tokens were discarded.
	AccountUnnamed Problem = "AccountUnnamed"
	// WrongAccount: the tokens belong to another account than the expected one, and were discarded.
	WrongAccount Problem = "WrongAccount"
)

// Problems that another person has to solve.
const (
	// ApplicationRefused: the marketplace refuses the application, its scopes or the request; an admin acts.
	ApplicationRefused Problem = "ApplicationRefused"
	// AccountUnready: the account's spec or Secrets are not in order; an admin acts.
	AccountUnready Problem = "AccountUnready"
	// MarketplaceDown: the marketplace cannot be reached or asks for fewer requests; try again later.
	MarketplaceDown Problem = "MarketplaceDown"
	// ClusterDown: the API server cannot be reached; try again later.
	ClusterDown Problem = "ClusterDown"
	// NotStored: the person has signed in, and the result could not be stored yet; it is tried on.
	NotStored Problem = "NotStored"
)

// Error is a sign-in that did not succeed. Its text is safe to log.
type Error struct {
	Problem Problem
	// Account is the account of the sign-in; the zero value where it must not be told.
	Account Account
	// Detail is the message of the marketplace or the API server, without credentials; may be empty.
	Detail string
	// GotID is the account that was signed in instead of Account.ExpectedID, with WrongAccount.
	GotID string
	// Ticket lets the same person try again at once; empty where that is no use, or not allowed.
	Ticket string
}

func (e *Error) Error() string {
	if e.Detail == "" {
		return fmt.Sprintf("sign-in: %s", e.Problem)
	}
	return fmt.Sprintf("sign-in: %s: %s", e.Problem, e.Detail)
}
