package conditions

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
)

// isStalled tells that nothing more is tried before an object is changed or a person signs in, which is when tools that wait for the
// account may give up (kstatus).
func (l Look) isStalled() bool {
	if l.Failure == nil || l.Interrupted {
		return false
	}
	switch ending := reasons.Of(l.Failure.Reason).Ending; {
	case ending == reasons.ByItself:
		return false
	case ending == reasons.ByChange, l.Unresolved, l.Suspended():
		return true
	case l.Resting():
		at, _ := l.NextUse()
		return at.IsZero() || l.Custody.Refused != nil && l.StillRefused(l.Custody.Refused)
	}
	return l.CannotRenew()
}

// stalled is the condition that is there only while it is True, with reason and message of the failure.
func (l Look) stalled() metav1.Condition {
	return metav1.Condition{Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue, Reason: l.Failure.Reason, Message: l.Failure.Message}
}
