package lifecycle

import (
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle/states"
)

// Change is the effect of an event on an account: the custody to store before the next request goes out and before people are told, and the
// news and effects that follow once it is stored. The latter comes out of [Change.Stored] alone, which asks for the custody as it was written.
type Change struct {
	// Event is what has happened.
	Event states.Event
	// Store is the custody to write; nil where the event changes nothing that has to be remembered.
	Store *custody.Custody
	// OnlyCopy tells that Store holds tokens that cannot be had again, so that it waits in memory while it cannot be written.
	OnlyCopy bool
	// attempt holds whether or not the custody can be written: that the marketplace was asked in vain, and why.
	attempt Outcome
	// result holds once the custody is written.
	result  Outcome
	effects Effects
	// fresh tells that the custody holds tokens that have just come, and verified that the ID token of the candidate grant holds.
	fresh, verified bool
	// refused tells that the marketplace was seen to refuse the token at hand, and settled that nothing is left to do about that.
	refused, settled bool
}

// Effects are left to a driver after it has stored a change, besides telling people of the outcome.
type Effects struct {
	// Revoke is a grant that a person gave for another account than the expected one; nil for none.
	Revoke *custody.Grant
	// SignInCompleted tells that the grant of a sign-in was put into use.
	SignInCompleted bool
	// SignInRejected is why a sign-in was rejected, where the account's conditions do not say so; nil where none was.
	SignInRejected *facts.Failure
	// Refused tells that a refusal was recorded, which may be one of the application.
	Refused bool
}

// Stored returns the facts after the custody was written, the outcome to tell people, and the effects that are left. Of a change without Store,
// written is the custody as it is.
func (c Change) Stored(f facts.Facts, written custody.Custody) (facts.Facts, Outcome, Effects) {
	f.Custody = written
	f.Live, f.Fresh, f.Verified = f.Live || c.Store != nil, f.Fresh || c.fresh, f.Verified || c.verified
	f.TokenRefused = c.refused || f.TokenRefused && !c.fresh && !c.settled
	return f, c.attempt.With(c.result), c.effects
}

// NotStored is the outcome where the custody could not be written: no more than that an attempt was made in vain.
func (c Change) NotStored() Outcome { return c.attempt }

// Keep is a change that does no more than to store a custody, such as the state of a visit.
func Keep(kept custody.Custody) Change { return storeOnce(kept, Outcome{}).by(states.Kept) }

// by is the change as that of an event.
func (c Change) by(event states.Event) Change {
	c.Event = event
	return c
}

// storeOnce is a change whose event is repeated where it cannot be written.
func storeOnce(kept custody.Custody, result Outcome) Change {
	return Change{Store: &kept, result: result}
}

// StoredBefore is the change of an event whose tokens are in the custody already, since the answer to their write got lost.
func StoredBefore() Change { return Change{fresh: true} }

// failed is the outcome of an attempt that brought nothing; why is nil where the attempt says no more than was known.
func failed(why *facts.Failure) Outcome { return Outcome{Attempted: true, Failure: why} }

// obtained is the outcome of tokens that were put into use; first tells that they are the first of their grant.
func obtained(first bool) Outcome { return Outcome{Obtained: true, First: first} }
