package controller

import (
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
)

// stalled tells that nothing more is tried before somebody changes something, which is when tools that wait for the account may give up (kstatus).
func (f *found) stalled() bool {
	if f.Failure == nil || f.Interrupted {
		return false
	}
	switch ending := reasons.Of(f.Failure.Reason).Ending; {
	case ending == reasons.ByItself:
		return false
	case ending == reasons.ByChange, f.Unresolved, f.Suspended():
		return true
	case f.Resting():
		at, _ := f.NextUse()
		return at.IsZero() || f.Custody.Refused != nil && f.StillRefused(f.Custody.Refused)
	}
	return f.CannotRenew()
}

// reportStalled sets the condition Stalled, which is there only while it is True.
func (f *found) reportStalled(account *v1alpha1.MarketplaceAccount) {
	if !f.stalled() {
		meta.RemoveStatusCondition(&account.Status.Conditions, v1alpha1.ConditionStalled)
		return
	}
	meta.SetStatusCondition(&account.Status.Conditions, metav1.Condition{
		Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue, Reason: f.Failure.Reason, Message: bounded(f.Failure.Message),
		ObservedGeneration: account.Generation, LastTransitionTime: metav1.NewTime(f.Now),
	})
}
