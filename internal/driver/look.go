package driver

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/tokenkeeper/tokenkeeper/internal/conditions"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/grantstore"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// Soon is how long to wait before another look where an obstacle is over in a moment.
const Soon = time.Second

// Look is one look at an account, as a value: its facts, the outcome so far, and the Secrets that they come from.
//
// The facts are gathered once. From then on Apply changes them, to what holds once a custody is stored, and so do the methods of a Look, each named for what an
// action has found or done. No other package sets a field of a Look, but the function of the controller that gathers: a test holds them to it. An action takes a
// look and returns another; a renewal, which is the most frequent, changes it in place.
type Look struct {
	facts.Facts
	lifecycle.Outcome
	// Tried are the actions of this look that were done, or are not to be done.
	Tried lifecycle.Actions
	// Grants is where the custody is written: the controller's store, or that of visits.
	Grants *grantstore.Store
	// GrantSecret is where Custody comes from; nil while there is none.
	GrantSecret *corev1.Secret
	// late tells that the grant Secret was found changed since the look began.
	late bool
	// Unauthentic tells that the grant Secret is not proven to be written by the operator.
	Unauthentic bool
	// LeftOut names the parts of the grant Secret that were left out of Custody, since the operator never writes them.
	LeftOut []string
	// TokenSecret and SignInSecret are the digests of these Secrets; nil when there is none.
	TokenSecret, SignInSecret *corev1.Secret
}

// Try marks an action as tried.
func (l *Look) Try(action lifecycle.Action) { l.Tried = l.Tried.With(action) }

// Add adds the outcome of another step.
func (l *Look) Add(outcome lifecycle.Outcome) { l.Outcome = l.Outcome.With(outcome) }

// DueSince notes when the renewal that this look does fell due.
func (l *Look) DueSince(at time.Time) { l.Planned = at }

// Sent notes that a request goes out, so that no edit waits to be sent any more.
func (l *Look) Sent() { l.Edited, l.EditWaits = false, time.Time{} }

// With is the look with the outcome of another step.
func (l Look) With(outcome lifecycle.Outcome) Look {
	l.Outcome = l.Outcome.With(outcome)
	return l
}

// Failing is the look with a failure, which is told unless another is known already; nil stands for none.
func (l Look) Failing(failure *facts.Failure) Look {
	return l.With(lifecycle.Outcome{Failure: failure})
}

// Undecided is the look with a failure that keeps everything about the account from being decided.
func (l Look) Undecided(failure *facts.Failure) Look {
	l.Outcome.Failure, l.Unresolved = failure, true
	return l
}

// Ended is the look in which no action is done any more.
func (l Look) Ended() Look {
	l.Tried = lifecycle.Every
	return l
}

// Anew is the look for another attempt: without the outcome of the one before, and with a custody that counts as read from the cache.
func (l Look) Anew() Look {
	l.Outcome, l.Tried, l.Live = lifecycle.Outcome{}, 0, false
	return l
}

// ForBrowser is the look of a visit: its browser waits for the result, and gets the ticket should the sign-in be rejected.
func (l Look) ForBrowser(retryTicket string) Look {
	l.Visiting, l.RetryTicket = true, retryTicket
	return l
}

// ForAccount is the look with the addresses of the platform that belong to an account which the marketplace has named.
func (l Look) ForAccount(id string) Look {
	l.Request.Platform = l.Request.Platform.ForAccount(l.Request.Application.ClientID, id)
	return l
}

// WithCustody is the look with a custody that was read to tell people of it. It is not to be written.
func (l Look) WithCustody(kept custody.Custody) Look {
	l.Custody = kept
	return l
}

// WithTokenSecret is the look after the token Secret was read or written; nil stands for none.
func (l Look) WithTokenSecret(secret *corev1.Secret) Look {
	l.TokenSecret = nil
	if secret != nil {
		l.TokenSecret = tokensecret.Digest(secret)
	}
	return l
}

// WithSignInSecret is the look after the sign-in Secret was read, written or removed; nil stands for none.
func (l Look) WithSignInSecret(secret *corev1.Secret) Look {
	l.SignInSecret, l.HoldsSignIn = nil, secret != nil
	if secret != nil {
		l.SignInSecret = tokensecret.DigestSignIn(secret)
	}
	return l
}

// WithShownTicket is the look after people were shown another ticket, of which hash is the stored form.
func (l Look) WithShownTicket(hash string) Look {
	l.ShownTicket = hash
	return l
}

// WithPlaceTaken is the look after another Secret was found to have the name of the sign-in Secret; why is for people.
func (l Look) WithPlaceTaken(why string) Look {
	l.PlaceTaken = why
	return l
}

// Report is the look as package conditions reports it to people.
func (l Look) Report() conditions.Look { return conditions.Look{Facts: l.Facts, Outcome: l.Outcome} }
