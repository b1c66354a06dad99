package statuses_test

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
	"github.com/tokenkeeper/tokenkeeper/test/statuses"
)

const root = "../.."

// decisive is the reason that decides on the person to act: first the reason of a condition that needs a person, then of one that does not go on, then of one that was found last.
func decisive(account *v1alpha1.MarketplaceAccount) string {
	is := func(kind, status string) (string, bool) {
		condition := meta.FindStatusCondition(account.Status.Conditions, kind)
		if condition == nil || string(condition.Status) != status {
			return "", false
		}
		return condition.Reason, true
	}
	for _, look := range [][2]string{
		{v1alpha1.ConditionReauthRequired, "True"}, {v1alpha1.ConditionStalled, "True"}, {v1alpha1.ConditionAuthenticated, "False"},
		{v1alpha1.ConditionAuthenticated, "Unknown"}, {v1alpha1.ConditionAuthorizationExpiring, "True"}, {v1alpha1.ConditionClockSkewed, "True"}, {v1alpha1.ConditionAuthenticated, "True"},
	} {
		if reason, found := is(look[0], look[1]); found {
			return reason
		}
	}
	return v1alpha1.ReasonRenewing
}

var party = map[reasons.Actor]string{
	reasons.Nobody: "nobody", reasons.Shop: "the shop", reasons.Author: "the author", reasons.Admin: "the cluster admin", reasons.Marketplace: "the marketplace",
}

// TestThePageAgreesWithTheTableOfReasons: the person to act, how soon, and that alerts, portal and ReauthRequired say the same of a person.
func TestThePageAgreesWithTheTableOfReasons(t *testing.T) {
	for name, row := range statuses.Table(t, root) {
		account := statuses.Read(t, root, name)
		who := party[reasons.Of(decisive(account)).Actor]
		switch {
		case who == "nobody" && (account.Status.Application != nil || account.Spec.Renewal.Policy == v1alpha1.RenewalSuspended):
			who = "the author"
		case who == "nobody" && len(row.Alerts) > 0:
			who = "the cluster admin, if it lasts"
		}
		if row.Who != who {
			t.Errorf("%s: the page says that %s acts, the reason %s that it is %s", name, row.Who, decisive(account), who)
		}
		has := func(word string) bool {
			return slices.ContainsFunc(row.Alerts, func(alert string) bool { return strings.Contains(alert, word) })
		}
		soon := []string{"when there is time", "not at all"}
		switch {
		case has(" critical"):
			soon = []string{"now"}
		case has(" warning"):
			soon = []string{"today"}
		case has(" info"):
			soon = []string{"before the date"}
		}
		if !slices.Contains(soon, row.Soon) {
			t.Errorf("%s: the page says %q, its alerts %q", name, row.Soon, soon)
		}
		person := meta.IsStatusConditionTrue(account.Status.Conditions, v1alpha1.ConditionReauthRequired)
		if told := has("PersonRequired") || has("RenewalOutcomeUnknown") || has("AccountMismatch"); person && !told || has("PersonRequired") && !person {
			t.Errorf("%s: ReauthRequired is %t, and the alerts are %v", name, person, row.Alerts)
		}
		if person != (row.Portal == "act") {
			t.Errorf("%s: ReauthRequired is %t, and the portal says %s", name, person, row.Portal)
		}
		if (row.Portal == "fine") != (row.Soon == "not at all") {
			t.Errorf("%s: it is for %q, and the portal says %s", name, row.Soon, row.Portal)
		}
	}
}

// TestRecordedStatusesHaveNoKeys: links and codes are left out of them.
func TestRecordedStatusesHaveNoKeys(t *testing.T) {
	for name := range statuses.Table(t, root) {
		if shown := statuses.Read(t, root, name).Status.SignIn; shown != nil {
			if shown.UserCode != "" && shown.UserCode != "LEFT-OUT" || strings.Contains(shown.URL, "ticket=") && !strings.HasSuffix(shown.URL, "ticket=left-out") {
				t.Errorf("%s shows %s %s", name, shown.URL, shown.UserCode)
			}
		}
	}
}
