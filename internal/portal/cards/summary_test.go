package cards

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
)

var noon = time.Date(2026, time.December, 1, 12, 0, 0, 0, time.UTC)

type conditions map[string]string // "True", or "False Reason"

// found is an account with these conditions; Ready and Authenticated are True unless they are among them.
func found(said conditions, changes ...func(*v1alpha1.MarketplaceAccountStatus)) *v1alpha1.MarketplaceAccount {
	account := &v1alpha1.MarketplaceAccount{}
	all := conditions{v1alpha1.ConditionReady: "True TokenValid", v1alpha1.ConditionAuthenticated: "True TokenValid"}
	maps.Copy(all, said)
	for name, condition := range all {
		var made metav1.Condition
		made.Type = name
		for i := range condition {
			if condition[i] == ' ' {
				made.Status, made.Reason = metav1.ConditionStatus(condition[:i]), condition[i+1:]
			}
		}
		if made.Status != "" {
			account.Status.Conditions = append(account.Status.Conditions, made)
		}
	}
	for _, change := range changes {
		change(&account.Status)
	}
	return account
}

func ends(after time.Duration) func(*v1alpha1.MarketplaceAccountStatus) {
	return func(status *v1alpha1.MarketplaceAccountStatus) {
		end := noon.Add(after)
		status.Authorization = &v1alpha1.AuthorizationStatus{ExpirationTime: metav1.NewTime(end), DaysRemaining: new(renewal.Days(end, noon))}
	}
}

// prolonged is an authorization that each renewal prolongs.
func prolonged(after time.Duration) func(*v1alpha1.MarketplaceAccountStatus) {
	return func(status *v1alpha1.MarketplaceAccountStatus) {
		status.Authorization = &v1alpha1.AuthorizationStatus{ExpirationTime: metav1.NewTime(noon.Add(after))}
	}
}

func usable(after time.Duration) func(*v1alpha1.MarketplaceAccountStatus) {
	return func(status *v1alpha1.MarketplaceAccountStatus) {
		status.AccessToken = &v1alpha1.AccessTokenStatus{ExpirationTime: metav1.NewTime(noon.Add(after))}
	}
}

func secretEnds(after time.Duration) func(*v1alpha1.MarketplaceAccountStatus) {
	return func(status *v1alpha1.MarketplaceAccountStatus) {
		status.Application = &v1alpha1.ApplicationStatus{SecretExpirationTime: metav1.NewTime(noon.Add(after))}
	}
}

func tested(result v1alpha1.ConnectionTestResult) func(*v1alpha1.MarketplaceAccountStatus) {
	return func(status *v1alpha1.MarketplaceAccountStatus) {
		status.ConnectionTest = &v1alpha1.ConnectionTestStatus{Time: metav1.NewTime(noon), Result: result}
	}
}

func suspend(account *v1alpha1.MarketplaceAccount) *v1alpha1.MarketplaceAccount {
	account.Spec.Renewal.Policy = v1alpha1.RenewalSuspended
	return account
}

func TestSummary(t *testing.T) {
	for sentence, test := range map[string]struct {
		account *v1alpha1.MarketplaceAccount
		want    summary
	}{
		"an account that works": {
			found(nil),
			summary{urgency: settled, reason: "TokenValid"},
		},
		"a warning is not in order": {
			found(conditions{"Authenticated": "True ScopesReduced"}),
			summary{urgency: warned, reason: "ScopesReduced"},
		},
		"a seller who is connected twice": {
			found(conditions{"Authenticated": "True DuplicateAccount"}),
			summary{urgency: warned, reason: "DuplicateAccount"},
		},
		"somebody else has signed in, and the former grant goes on": {
			found(conditions{"Authenticated": "True AccountMismatch"}),
			summary{urgency: warned, reason: "AccountMismatch"},
		},
		"an application whose secret has ended": {
			found(nil, secretEnds(-time.Hour)),
			summary{urgency: warned, reason: "TokenValid"},
		},
		"an application whose secret ends soon": {
			found(nil, secretEnds(30*day)),
			summary{urgency: warned, reason: "TokenValid"},
		},
		"an application whose secret ends some day": {
			found(nil, secretEnds(31*day)),
			summary{urgency: settled, reason: "TokenValid"},
		},
		"a test that failed": {
			found(nil, tested(v1alpha1.ConnectionTestFailed)),
			summary{urgency: warned, reason: "TokenValid"},
		},
		"a test that passed": {
			found(nil, tested(v1alpha1.ConnectionTestPassed)),
			summary{urgency: settled, reason: "TokenValid"},
		},
		"renewal is suspended": {
			suspend(found(nil)),
			summary{urgency: warned, reason: "TokenValid"},
		},
		"an authorization of which the marketplace says that it never ends": {
			found(nil, ends(renewal.Never.Sub(noon))),
			summary{urgency: settled, reason: "TokenValid", ends: true, days: renewal.MaxDays},
		},
		"an application whose secret is said never to end": {
			found(nil, secretEnds(renewal.Never.Sub(noon))),
			summary{urgency: settled, reason: "TokenValid"},
		},
		"a begun day counts as one": {
			found(nil, ends(5*day+time.Second)),
			summary{urgency: settled, reason: "TokenValid", ends: true, days: 6},
		},
		"an authorization that ends soon": {
			found(conditions{"AuthorizationExpiring": "True AuthorizationExpiring"}, ends(6*day)),
			summary{urgency: expiring, reason: "TokenValid", ends: true, days: 6, soon: true},
		},
		"one that ends soon and does not work": {
			found(conditions{"AuthorizationExpiring": "True AuthorizationExpiring", "Authenticated": "Unknown MarketplaceUnavailable"}, ends(6*day)),
			summary{urgency: expiring, reason: "MarketplaceUnavailable", troubled: true, ends: true, days: 6, soon: true},
		},
		"one that has ended, though the operator has not looked since": {
			found(nil, ends(0)),
			summary{urgency: needsPerson, reason: "AuthorizationExpired", ends: true},
		},
		"a person must sign in, and the token at hand still works": {
			found(conditions{"ReauthRequired": "True GrantRejected", "Authenticated": "False GrantRejected"}, usable(time.Hour)),
			summary{urgency: needsPerson, reason: "GrantRejected", troubled: true, usableUntil: noon.Add(time.Hour)},
		},
		"a token that has expired does not work, whatever Ready says": {
			found(conditions{"ReauthRequired": "True GrantRejected", "Authenticated": "False GrantRejected"}, usable(0)),
			summary{urgency: needsPerson, reason: "GrantRejected", troubled: true},
		},
		"something that no sign-in cures": {
			found(conditions{"Authenticated": "False ApplicationRejected", "Ready": "False ApplicationRejected"}),
			summary{urgency: broken, reason: "ApplicationRejected", troubled: true},
		},
		"the same, and the token at hand still works": {
			found(conditions{"Authenticated": "False ApplicationRejected"}, usable(time.Hour)),
			summary{urgency: failing, reason: "ApplicationRejected", troubled: true, usableUntil: noon.Add(time.Hour)},
		},
		"one that does not work and ends soon": {
			found(conditions{
				"Authenticated": "Unknown MarketplaceUnavailable", "Ready": "False InvalidSpec", "AuthorizationExpiring": "True AuthorizationExpiring",
			}),
			summary{urgency: broken, reason: "InvalidSpec", troubled: true, soon: true},
		},
		"authenticated without a token": {
			found(conditions{"Ready": "False SecretConflict"}),
			summary{urgency: broken, reason: "SecretConflict", troubled: true},
		},
		"nobody has looked yet": {
			found(conditions{"Ready": "", "Authenticated": ""}),
			summary{urgency: failing, reason: "Renewing", troubled: true},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			if diff := cmp.Diff(test.want, summaryOf(test.account, noon), cmp.AllowUnexported(summary{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatNeedsAPersonComesFirst(t *testing.T) {
	named := func(name string, account *v1alpha1.MarketplaceAccount) *v1alpha1.MarketplaceAccount {
		account.Name = name
		return account
	}
	soon := conditions{"AuthorizationExpiring": "True AuthorizationExpiring"}
	want := []string{
		"stuck-c", "stuck-a", "stuck-b", // what works no more, then what ends first
		"works-for-an-hour", "works-for-a-day",
		"broken",
		"in-2-days", "in-6-days",
		"failing",
		"warned",
		"in-90-days", "in-300-days", "endless-a", "endless-b",
	}
	accounts := []*v1alpha1.MarketplaceAccount{
		named("works-for-a-day", found(conditions{"ReauthRequired": "True GrantRejected"}, usable(day))),
		named("works-for-an-hour", found(conditions{"ReauthRequired": "True GrantRejected"}, usable(time.Hour))),
		named("broken", found(conditions{"Authenticated": "False ApplicationRejected", "Ready": "False ApplicationRejected"})),
		named("warned", found(conditions{"Authenticated": "True DuplicateAccount"})),
		named("endless-b", found(nil)),
		named("in-300-days", found(nil, ends(300*day))),
		named("failing", found(conditions{"Authenticated": "Unknown MarketplaceUnavailable"})),
		named("in-6-days", found(soon, ends(6*day))),
		named("stuck-b", found(conditions{"ReauthRequired": "True SignInRequired"})),
		named("stuck-c", found(conditions{"ReauthRequired": "True SignInRequired"}, ends(9*day))),
		named("endless-a", found(nil)),
		named("in-2-days", found(soon, ends(2*day))),
		named("stuck-a", found(conditions{"ReauthRequired": "True PasswordRejected"})),
		named("in-90-days", found(nil, ends(90*day))),
	}
	for range 3 {
		var got []string
		for _, e := range ByUrgency(accounts, noon) {
			got = append(got, e.Account.Name)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		slices.Reverse(accounts)
	}
}
