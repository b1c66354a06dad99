package conditions

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
)

// Look is one look at an account: the facts, and the outcome.
type Look struct {
	facts.Facts
	lifecycle.Outcome
}

// Report returns the look with a copy of the account that tells the findings in its status, and with the failure that stands.
func Report(l Look) Look {
	before := &l.Account.Status
	l.Account = l.Account.DeepCopy()
	l.Account.Status.ObservedGeneration = l.Account.Generation
	l.reportFailure()
	l.reportHandled()
	l.reportTokens()
	l.reportTest()
	l.Failure = l.currentFailure()
	ending := l.reportAuthorization()
	l.reportApplication()
	if l.Invited {
		l.Account.Status.SignIn = l.Invitation // where to sign in, while a person has to
	}
	for _, condition := range []metav1.Condition{l.ready(), l.authenticated(ending), l.reauthRequired(ending), l.authorizationExpiring(ending)} {
		l.set(condition)
	}
	if l.isStalled() {
		l.set(l.stalled())
	} else {
		meta.RemoveStatusCondition(&l.Account.Status.Conditions, v1alpha1.ConditionStalled)
	}
	l.reportClock()
	if clockAlone(before, &l.Account.Status) { // that is no reason for a write
		l.Account.Status = *before.DeepCopy()
	}
	return l
}

// set puts a condition into the status.
func (l Look) set(condition metav1.Condition) {
	condition.ObservedGeneration = l.Account.Generation
	condition.LastTransitionTime = metav1.NewTime(l.Now)
	condition.Message = bounds.Shorten(condition.Message, bounds.Message)
	meta.SetStatusCondition(&l.Account.Status.Conditions, condition)
}
