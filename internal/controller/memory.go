package controller

import (
	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/driver"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
)

// remember tells of the poll and the approval of an account's device code.
func (r *reconciler) remember(f facts.Facts) driver.Remembered {
	if f.Request.Grant != v1alpha1.GrantDeviceCode || f.Request.Platform == nil {
		return driver.Remembered{}
	}
	known := driver.Remembered{Approved: r.devices.approval(f.Account.UID) != nil, Used: r.codeUnanswered(f)}
	if f.NeedsSignIn() {
		known.PollAt = r.pollState(f).next
	}
	return known
}
