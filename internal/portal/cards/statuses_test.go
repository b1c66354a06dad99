package cards

import (
	"testing"
	"time"

	recorded "github.com/tokenkeeper/tokenkeeper/test/statuses"
)

// TestPortalSaysOfEveryRecordedStatusWhatThePageSays: docs/who-acts.md, which alerts and health checks are held against as well.
func TestPortalSaysOfEveryRecordedStatusWhatThePageSays(t *testing.T) {
	for name, row := range recorded.Table(t, "../../..") {
		account := recorded.Read(t, "../../..", name)
		var now time.Time
		for _, condition := range account.Status.Conditions {
			if condition.LastTransitionTime.After(now) {
				now = condition.LastTransitionTime.Time
			}
		}
		if got := summaryOf(account, now).kind(); got != row.Portal {
			t.Errorf("%s: the portal says %s (%s), the page %s", name, got, summaryOf(account, now).reason, row.Portal)
		}
	}
}
