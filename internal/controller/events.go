package controller

import (
	"cmp"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
)

// announce emits the events of this look: on change only, and after the status says the same.
//
// A renewal is told where it is news: one that somebody asked for, and one that ends a series of failures. The
// routine of every few hours is in the status and the metrics; as events it would be a write to the API server
// for each renewal.
func (r *Reconciler) announce(before, after *v1alpha1.MarketplaceAccount, f *found) {
	recovered := before.Status.LastFailure != nil && after.Status.LastFailure == nil
	switch {
	case f.Obtained && f.First:
		r.event(after, corev1.EventTypeNormal, v1alpha1.EventTokenIssued, "Issue", firstToken(after, f.Custody.Serial))
	case f.Obtained && (heard(after) != heard(before) || recovered):
		r.event(after, corev1.EventTypeNormal, v1alpha1.EventTokenRenewed, "Renew", "Stored a new token in Secret "+after.TokenSecretName())
	}
	if becameReason(before, after, v1alpha1.ConditionReauthRequired, v1alpha1.EventSignInRequired) {
		note := "A person must sign in; status.signIn says where"
		if f.Failure != nil { // without the link, which is good for one use by whoever has it
			note = bounded(f.Failure.Message)
		}
		r.event(after, corev1.EventTypeWarning, v1alpha1.EventSignInRequired, "SignIn", note)
	}
	if becameReason(before, after, v1alpha1.ConditionAuthorizationExpiring, v1alpha1.EventAuthorizationExpiring) {
		end := after.Status.Authorization.ExpirationTime.UTC()
		r.event(after, corev1.EventTypeWarning, v1alpha1.EventAuthorizationExpiring, "Renew",
			fmt.Sprintf("The authorization %s, on %s", inDays(end, f.Now), lifecycle.Date(end)))
	}
	if tells(after, withoutIDToken) && !tells(before, withoutIDToken) {
		r.event(after, corev1.EventTypeWarning, v1alpha1.EventIDTokenWithheld, "Publish", meta.FindStatusCondition(after.Status.Conditions, v1alpha1.ConditionReady).Message)
	}
	if f.Attempted && newFailure(before.Status.LastFailure, after.Status.LastFailure) {
		reason := cmp.Or(reasons.Of(f.Failure.Reason).FailedEvent, v1alpha1.EventRenewalFailed)
		r.event(after, corev1.EventTypeWarning, reason, "Renew", after.Status.LastFailure.Message)
	}
}

// heard is the last request for a renewal that was acted on; empty when there was none.
func heard(account *v1alpha1.MarketplaceAccount) string {
	if account.Status.Handled == nil {
		return ""
	}
	return account.Status.Handled.Renew
}

// tells is whether the condition Ready says something.
func tells(account *v1alpha1.MarketplaceAccount, something string) bool {
	ready := meta.FindStatusCondition(account.Status.Conditions, v1alpha1.ConditionReady)
	return ready != nil && strings.Contains(ready.Message, something)
}

// firstToken says that a grant has brought its first token; that of a later grant is not the account's first.
func firstToken(account *v1alpha1.MarketplaceAccount, serial int64) string {
	if serial > 1 {
		return "Stored the token of a new grant in Secret " + account.TokenSecretName()
	}
	return "Stored the first token in Secret " + account.TokenSecretName()
}

// newFailure tells a new trouble from another failure of the same kind.
func newFailure(before, after *v1alpha1.FailureStatus) bool {
	return before == nil || before.Reason != after.Reason
}

// becameReason tells whether a condition took a reason just now that is told by this event. A sign-in that was missing before, and given up on
// the way, is no news.
func becameReason(before, after *v1alpha1.MarketplaceAccount, conditionType, event string) bool {
	was := meta.FindStatusCondition(before.Status.Conditions, conditionType)
	is := meta.FindStatusCondition(after.Status.Conditions, conditionType)
	if is == nil || reasons.Of(is.Reason).BecameEvent != event {
		return false
	}
	return was == nil || was.Reason != is.Reason && !(reasons.Of(was.Reason).AwaitsSignIn && reasons.Of(is.Reason).AwaitsSignIn)
}

func (r *Reconciler) event(account *v1alpha1.MarketplaceAccount, eventType, reason, action, note string) {
	r.Recorder.Eventf(account, nil, eventType, reason, action, "%s", note)
}
