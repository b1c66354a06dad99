package controller

import (
	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/driver"
)

// remember adds the poll and the approval of the account's device code to a look.
func (r *reconciler) remember(l driver.Look) driver.Look {
	if l.Request.Grant != v1alpha1.GrantDeviceCode || l.Request.Platform == nil {
		return l
	}
	l.Approved = r.devices.approval(l.Account.UID) != nil
	l.CodeUsed = r.codeUnanswered(l.Facts)
	if l.NeedsSignIn() {
		l.PollAt = r.pollState(l.Facts).next
	}
	return l
}
