package lifecycle

import (
	"cmp"
	"slices"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
)

// Outcome holds the findings of one look at an account, and the actions that it took.
type Outcome struct {
	// Failure is the fault of the account; nil when it has none.
	Failure *facts.Failure
	// Attempted tells that an attempt was made now and brought no tokens that may be used; Obtained, that it did.
	Attempted, Obtained bool
	// First tells that the tokens obtained are the first of their grant.
	First bool
	// Planned is when the renewal that was done now should have been done; zero when none was due.
	Planned time.Time
	// ServedUntil is when the token that workloads read expires; zero when there is none.
	ServedUntil time.Time
	// HandledRenew, HandledVerify and HandledSignIn tell that the request annotations were acted on.
	HandledRenew, HandledVerify, HandledSignIn bool
	// Invitation is the link or code by which a person signs in; nil while none is needed.
	Invitation *v1alpha1.SignInStatus
	// Invited tells that this look has decided about the invitation, so that nil is the news that there is none.
	Invited bool
	// NoPortal tells that a person should sign in and there is no place for it; NotShown, why the link or the code is shown nowhere: empty where
	// it is.
	NoPortal bool
	NotShown string
	// Rejected tells that a sign-in brought tokens which are not the expected account's, and SignedInAs is the account that they
	// belong to, as far as it is known.
	Rejected   bool
	SignedInAs string
	// Dropped is why a sign-in that waited was forgotten; nil when none was.
	Dropped *facts.Failure
	// DuplicateOf names an older account of the same seller; empty when there is none.
	DuplicateOf string
	// Waits are the requests for which the account waits at its marketplace's limiter since WaitsSince, and TurnAt is when it may be its turn; zero
	// when that is not known.
	Waits              []Purpose
	WaitsSince, TurnAt time.Time
	// LimiterClosed tells that the account is healthy, and only the limiter or the circuit breaker holds its renewal.
	LimiterClosed bool
	// TestQueued tells that a test of the connection waits for its turn.
	TestQueued bool
	// Postponed is when to see whether another process has renewed; zero when none seems to.
	Postponed time.Time
	// Withheld says why the ID token is not published, as the end of the message of Ready; empty when it is, or when there is none.
	Withheld string
	// KeepsFormer tells that the tokens at hand wait to be published, and workloads read the former ones until then.
	KeepsFormer bool
	// Interrupted tells that this look ended early, since the API server did not do its part, and is repeated.
	Interrupted bool
	// LookAgain is when to look again for keys or tokens that can only be waited for; zero when there are none.
	LookAgain time.Duration
}

// With returns the outcome with that of the next step. The failure of an attempt replaces the one before, and so do tokens, also those that wait to be
// published; any other failure counts unless there was one before. Of two moments to look again the sooner counts.
func (o Outcome) With(next Outcome) Outcome {
	o.LimiterClosed = o.LimiterClosed || next.LimiterClosed && o.Failure == nil
	switch {
	case next.Obtained:
		o.Failure, o.Attempted, o.Obtained, o.First, o.KeepsFormer = nil, false, true, next.First, false
	case next.Attempted:
		o.Failure, o.Attempted = next.Failure, true
	case o.Failure == nil:
		o.Failure = next.Failure
	}
	o.KeepsFormer = o.KeepsFormer || next.KeepsFormer
	o.HandledRenew = o.HandledRenew || next.HandledRenew
	o.HandledVerify = o.HandledVerify || next.HandledVerify
	o.HandledSignIn = o.HandledSignIn || next.HandledSignIn
	o.Invited, o.NoPortal = o.Invited || next.Invited, o.NoPortal || next.NoPortal
	o.Rejected, o.TestQueued = o.Rejected || next.Rejected, o.TestQueued || next.TestQueued
	o.Planned, o.ServedUntil = cmp.Or(next.Planned, o.Planned), cmp.Or(next.ServedUntil, o.ServedUntil)
	o.Postponed = cmp.Or(next.Postponed, o.Postponed)
	o.SignedInAs, o.DuplicateOf = cmp.Or(next.SignedInAs, o.SignedInAs), cmp.Or(next.DuplicateOf, o.DuplicateOf)
	o.Withheld, o.NotShown = cmp.Or(next.Withheld, o.Withheld), cmp.Or(next.NotShown, o.NotShown)
	o.Invitation, o.Dropped = cmp.Or(o.Invitation, next.Invitation), cmp.Or(next.Dropped, o.Dropped)
	o.Waits = slices.Concat(o.Waits, next.Waits)
	o.TurnAt, o.WaitsSince = renewal.Earliest(o.TurnAt, next.TurnAt), renewal.Earliest(o.WaitsSince, next.WaitsSince)
	o.LookAgain = min(cmp.Or(o.LookAgain, next.LookAgain), cmp.Or(next.LookAgain, o.LookAgain))
	return o
}

// Purpose is the aim of a request that an account waits for.
type Purpose int

const (
	// Renewing: a request for tokens.
	Renewing Purpose = iota
	// Polling: whether a person has approved a device code.
	Polling
	// Starting: a device code.
	Starting
	// Revoking: the end of a grant.
	Revoking
	// Identifying: the account of an access token.
	Identifying
)
