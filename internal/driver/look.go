package driver

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/tokenkeeper/tokenkeeper/internal/conditions"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/grantstore"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// Soon is how long to wait before another look where an obstacle is over in a moment.
const Soon = time.Second

// Look is one look at an account, as a value: its facts, the outcome so far, and the Secrets that they come from. A step takes
// one and returns another; steps of a renewal, which is the most frequent, change it in place.
type Look struct {
	facts.Facts
	lifecycle.Outcome
	// Tried are the actions of this look that were done, or are not to be done.
	Tried lifecycle.Actions
	// Grants is where the custody is written: the controller's store, or that of visits.
	Grants *grantstore.Store
	// GrantSecret is where Custody comes from; nil while there is none.
	GrantSecret *corev1.Secret
	// late tells that the look had begun with another state of the grant Secret.
	late bool
	// Unauthentic tells that nobody can say that the operator wrote the grant Secret.
	Unauthentic bool
	// LeftOut names the parts of the grant Secret that were left out, since no operator writes them.
	LeftOut []string
	// TokenSecret and SignInSecret are the digests of these Secrets; nil when there is none.
	TokenSecret, SignInSecret *corev1.Secret
}

// With is the look with the outcome of another step.
func (l Look) With(outcome lifecycle.Outcome) Look {
	l.Outcome = l.Outcome.With(outcome)
	return l
}

// Failing is the look with a failure, which is told unless another is known already; nil is none.
func (l Look) Failing(failure *facts.Failure) Look {
	return l.With(lifecycle.Outcome{Failure: failure})
}

// Undecided is the look with a failure that is in the way of deciding anything.
func (l Look) Undecided(failure *facts.Failure) Look {
	l.Outcome.Failure, l.Unresolved = failure, true
	return l
}

// Ended is the look in which nothing is done any more.
func (l Look) Ended() Look {
	l.Tried = lifecycle.Every
	return l
}

// Trying is the look in which an action is done.
func (l Look) Trying(action lifecycle.Action) Look {
	l.Tried = l.Tried.With(action)
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

// Report is the look as package conditions reports it to people.
func (l Look) Report() conditions.Look { return conditions.Look{Facts: l.Facts, Outcome: l.Outcome} }
