package controller

import (
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// passing are the reasons of troubles that pass by themselves, or that somebody is about to end. ApplicationRejected is one of them, since an
// account of the application asks again now and then.
var passing = []string{
	v1alpha1.ReasonRenewing, v1alpha1.ReasonMarketplaceUnavailable, v1alpha1.ReasonRateLimited, v1alpha1.ReasonSignInPending,
	v1alpha1.ReasonApplicationRejected,
}

// inTheWay are the reasons of troubles that only a change ends, although renewals might go on.
var inTheWay = []string{v1alpha1.ReasonInvalidSpec, v1alpha1.ReasonSecretConflict, v1alpha1.ReasonSuspended}

// stalled tells that nothing more is tried before somebody changes something, which is when tools that wait for the account may give up (kstatus).
func (f *found) stalled() bool {
	switch {
	case f.Failure == nil, f.Interrupted, slices.Contains(passing, f.Failure.Reason):
		return false
	case f.Unresolved, slices.Contains(inTheWay, f.Failure.Reason), f.Suspended():
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
