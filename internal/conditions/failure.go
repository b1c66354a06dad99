package conditions

import (
	"fmt"
	"math"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
)

// reportFailure counts an attempt that failed, and forgets it after one that did not.
func (l Look) reportFailure() {
	status := &l.Account.Status
	switch last := status.LastFailure; {
	case l.Attempted:
		count := int32(1)
		if last != nil && !l.FailureOutdated(last) {
			count = min(last.Count, math.MaxInt32-1) + 1
		}
		status.LastFailure = &v1alpha1.FailureStatus{
			Time: metav1.NewTime(l.Now), Reason: l.Failure.Reason, Message: bounds.Shorten(l.Failure.Message, bounds.Message), Count: count,
		}
	case l.Obtained, last != nil && l.FailureOutdated(last):
		status.LastFailure = nil
	}
}

// currentFailure is the failure that this look has brought to light, or else the one that stands; nil when nothing is wrong.
func (l Look) currentFailure() *facts.Failure {
	if l.Failure != nil || l.Unresolved {
		return l.Failure
	}
	permanent, last := l.PermanentFailure(), l.Account.Status.LastFailure
	switch {
	case l.Suspended() && l.NeedsNewGrant():
		return &facts.Failure{Reason: v1alpha1.ReasonSuspended, Message: "A person must sign in, and spec.renewal.policy is Suspended; set it to Automatic for a link"}
	case permanent != nil && reasons.Of(permanent.Reason).AwaitsSignIn && !l.VisitUntil().IsZero():
		return &facts.Failure{Reason: v1alpha1.ReasonSignInPending, Message: fmt.Sprintf("A person is signing in at %s, until %s at the latest",
			l.Request.Platform.DisplayName, renewal.ClockTime(l.VisitUntil()))}
	case permanent != nil:
		return permanent
	case l.Suspended() && (!l.Usable() || l.Changed()):
		return &facts.Failure{Reason: v1alpha1.ReasonSuspended, Message: "There is no valid token for this spec and spec.renewal.policy is Suspended; set it to Automatic"}
	case last != nil && (l.Failing() || l.Custody.Refused != nil):
		return &facts.Failure{Reason: last.Reason, Message: last.Message}
	case !l.NextTest().IsZero():
		return &facts.Failure{Reason: v1alpha1.ReasonMarketplaceUnavailable,
			Message: fmt.Sprintf("%s: %s", l.Request.Platform.DisplayName, l.Custody.Verified.Failure)}
	}
	return nil
}
