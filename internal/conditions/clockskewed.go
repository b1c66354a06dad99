package conditions

import (
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// reportClock sets or removes the condition that is there only while the clocks differ. While nothing is known, it stays as it is.
func (l Look) reportClock() {
	switch {
	case l.Unresolved || !l.ClockSkewKnown:
	case l.ClockSkew == 0:
		meta.RemoveStatusCondition(&l.Account.Status.Conditions, v1alpha1.ConditionClockSkewed)
	default:
		l.set(l.clockSkewed())
	}
}

func (l Look) clockSkewed() metav1.Condition {
	side := "ahead of"
	if l.ClockSkew < 0 {
		side = "behind"
	}
	return metav1.Condition{
		Type: v1alpha1.ConditionClockSkewed, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonClockSkewed,
		Message: fmt.Sprintf("The clock of %s is %s %s the operator's; check the time of the operator's node, by which tokens are renewed",
			l.Request.TokenHost(), l.ClockSkew.Abs().Round(time.Second), side),
	}
}

// clockAlone tells that two statuses differ by the condition of the clocks, and by nothing else.
func clockAlone(before, after *v1alpha1.MarketplaceAccountStatus) bool {
	if equality.Semantic.DeepEqual(meta.FindStatusCondition(before.Conditions, v1alpha1.ConditionClockSkewed),
		meta.FindStatusCondition(after.Conditions, v1alpha1.ConditionClockSkewed)) {
		return false
	}
	was, is := before.DeepCopy(), after.DeepCopy()
	for _, status := range []*v1alpha1.MarketplaceAccountStatus{was, is} {
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionClockSkewed)
	}
	return equality.Semantic.DeepEqual(was, is)
}
