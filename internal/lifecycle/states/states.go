// Package states names the states of an account and the events that may come to it, and has the pairs of them that cannot meet. It decides
// nothing: simulations hold it against their histories.
package states

import (
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
)

// State is how an account is, in a word.
type State string

// The states, in the order in which [Of] looks for them.
const (
	// Empty: nothing was obtained yet.
	Empty State = "Empty"
	// Restored: its single-use refresh token is of a custody that was restored, moved or lost, and may be spent.
	Restored State = "Restored"
	// Resting: its single-use refresh token was sent, and the answer is lost.
	Resting State = "Resting"
	// Sent: its single-use refresh token is on record as sent, and an answer may come, or the grace lasts.
	Sent State = "Sent"
	// Misplaced: a renewal has brought the tokens of another account.
	Misplaced State = "Misplaced"
	// Candidate: a new grant waits to be accepted.
	Candidate State = "Candidate"
	// Refused: the marketplace has refused the grant, the login, the application or the request, and nothing has changed since.
	Refused State = "Refused"
	// Expired: there is a grant, and its access token has ended.
	Expired State = "Expired"
	// Held: there is an access token that counts.
	Held State = "Held"
)

// All are the states.
var All = []State{Empty, Restored, Resting, Sent, Misplaced, Candidate, Refused, Expired, Held}

// Of is the state of an account.
func Of(f *facts.Facts) State {
	refused := f.Custody.Refused
	switch {
	case f.Request.Platform == nil: // its references are not known
		if f.Custody.Tokens == nil {
			return Empty
		}
	case f.Restored():
		return Restored
	case f.Resting():
		return Resting
	case f.Request.Rotates() && f.Journal() != nil:
		return Sent
	case f.MisplacedGrant() != nil:
		return Misplaced
	case f.CandidateGrant() != nil:
		return Candidate
	case refused != nil && f.StillRefused(refused):
		return Refused
	case f.Custody.Tokens == nil:
		return Empty
	}
	if f.Usable() {
		return Held
	}
	return Expired
}

// Event is a kind of change of the custody of an account.
type Event string

// The events.
const (
	// Sending: the refresh token is about to be sent.
	Sending Event = "Sending"
	// Issued: a request of the operator brought tokens.
	Issued Event = "Issued"
	// Failed: it brought none.
	Failed Event = "Failed"
	// Consented: a person's sign-in brought tokens.
	Consented Event = "Consented"
	// IDTokenChecked: the ID token of a candidate grant was held against its issuer's keys.
	IDTokenChecked Event = "IDTokenChecked"
	// Identified: the marketplace was asked for the account of the tokens.
	Identified Event = "Identified"
	// Decided: enough is known of a candidate grant.
	Decided Event = "Decided"
	// AsideUsed: the spec names the account of a grant that was set aside.
	AsideUsed Event = "AsideUsed"
	// RestCounted: the clock was set back while a refresh token rests, or a login waits.
	RestCounted Event = "RestCounted"
	// Offered: a link for a person was made.
	Offered Event = "Offered"
	// CodeGiven: the marketplace gave a device code.
	CodeGiven Event = "CodeGiven"
	// CodeNotGiven: it gave none.
	CodeNotGiven Event = "CodeNotGiven"
	// CodeEnded: a device code will not become tokens.
	CodeEnded Event = "CodeEnded"
	// Tested: the connection was tested.
	Tested Event = "Tested"
	// TokenRefused: the marketplace refused the access token, and no other could be had.
	TokenRefused Event = "TokenRefused"
	// PendingStored: a change that could not be stored before is stored.
	PendingStored Event = "PendingStored"
	// Kept: a change was stored that nothing follows from, such as the state of a visit.
	Kept Event = "Kept"
)

// Events are all of them.
var Events = []Event{
	Sending, Issued, Failed, Consented, IDTokenChecked, Identified, Decided, AsideUsed, RestCounted, Offered, CodeGiven, CodeNotGiven, CodeEnded,
	Tested, TokenRefused, PendingStored, Kept,
}
