package main

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

func TestTable(t *testing.T) {
	waiting := account("new",
		condition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonRenewing, "No token yet"),
		condition(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonRenewing, "Waiting for the operator"))
	fine := account("main", ready, issued(0),
		condition(v1alpha1.ConditionAuthenticated, metav1.ConditionTrue, v1alpha1.ReasonTokenValid, "Authenticated as my-shop"),
		condition(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired, "No sign-in is needed"))
	fine.Status.Account = &v1alpha1.AccountStatus{ID: "auth0|64f0c1d2e3b4a59687786950"}
	fine.Status.Authorization = &v1alpha1.AuthorizationStatus{DaysRemaining: new(int32(6))}

	b := board{}
	earlier := *fine.DeepCopy()
	issued(time.Minute)(&earlier)
	b.observe([]v1alpha1.MarketplaceAccount{earlier})
	b.observe([]v1alpha1.MarketplaceAccount{waiting, fine})

	want := strings.Join([]string{
		"NAME  MARKETPLACE  ACCOUNT       AUTHENTICATED  DAYS  REAUTH  READY  EXPIRES   RENEWED",
		"main  allegro      auth0|64f0c…  True           6     False   True   14:00:00  1",
		"    Authenticated as my-shop",
		"new   allegro                    Unknown                      False",
		"    Waiting for the operator",
		"",
	}, "\n")
	if got := b.table(time.FixedZone("", 3600)); got != want {
		t.Errorf("the table is\n%s\nwant\n%s", got, want)
	}
}

// TestTableFitsATerminal has the longest values that there are, and says all of the message.
func TestTableFitsATerminal(t *testing.T) {
	said := strings.Repeat("żółć has no token, since the marketplace cannot be reached; ", 15) + strings.Repeat("x", 150)
	long := account(strings.Repeat("a", 63), ready, issued(0),
		condition(v1alpha1.ConditionAuthenticated, metav1.ConditionUnknown, v1alpha1.ReasonTokenValid, said),
		condition(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired, ""))
	long.Spec.MarketplaceRef.Name = strings.Repeat("m", 63)
	long.Status.Account = &v1alpha1.AccountStatus{ID: strings.Repeat("1", 256)}
	long.Status.Authorization = &v1alpha1.AuthorizationStatus{DaysRemaining: new(int32(99999))}
	other := long
	other.Namespace, other.UID = "another", "another"
	b := board{}
	b.observe([]v1alpha1.MarketplaceAccount{long, other})
	b.renewals[long.UID] = renewals{count: 1234567}
	table := b.table(time.UTC)
	for line := range strings.Lines(table) {
		if characters := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); characters > 100 {
			t.Errorf("a line has %d characters: %s", characters, line)
		}
	}
	without := func(text string) string { return strings.Join(strings.Fields(text), "") }
	if !strings.Contains(without(table), without(said)) {
		t.Errorf("the message is not whole:\n%s", table)
	}
}

func TestMessage(t *testing.T) {
	authenticated := func(status metav1.ConditionStatus) func(*v1alpha1.MarketplaceAccount) {
		return condition(v1alpha1.ConditionAuthenticated, status, "", "authenticated")
	}
	readiness := func(status metav1.ConditionStatus) func(*v1alpha1.MarketplaceAccount) {
		return condition(v1alpha1.ConditionReady, status, "", "ready")
	}
	tests := map[string]struct {
		changes []func(*v1alpha1.MarketplaceAccount)
		want    string
	}{
		"nothing is known":            {nil, ""},
		"only Ready":                  {[]func(*v1alpha1.MarketplaceAccount){readiness("False")}, "ready"},
		"only Authenticated":          {[]func(*v1alpha1.MarketplaceAccount){authenticated("True")}, "authenticated"},
		"all is well":                 {[]func(*v1alpha1.MarketplaceAccount){authenticated("True"), readiness("True")}, "authenticated"},
		"a conflict over the Secret":  {[]func(*v1alpha1.MarketplaceAccount){authenticated("True"), readiness("False")}, "ready"},
		"a dead grant, a good token":  {[]func(*v1alpha1.MarketplaceAccount){authenticated("False"), readiness("True")}, "authenticated"},
		"a dead grant and no token":   {[]func(*v1alpha1.MarketplaceAccount){authenticated("False"), readiness("False")}, "authenticated"},
		"a marketplace that is away":  {[]func(*v1alpha1.MarketplaceAccount){authenticated("Unknown"), readiness("True")}, "authenticated"},
		"before the operator's first": {[]func(*v1alpha1.MarketplaceAccount){authenticated("Unknown"), readiness("Unknown")}, "authenticated"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			account := account("a", test.changes...)
			if got := message(&account); got != test.want {
				t.Errorf("message is %q, want %q", got, test.want)
			}
		})
	}
}

func TestShortened(t *testing.T) {
	tests := map[string]struct{ text, want string }{
		"short":          {"Ready", "Ready"},
		"just fits":      {"Readyyyy", "Readyyyy"},
		"too long":       {"Authenticated", "Authent…"},
		"not ASCII":      {"żółćżółćż", "żółćżół…"},
		"a second line":  {"one\ntwo", "one"},
		"a column break": {"a\tb", "a b"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := shortened(test.text, 8); got != test.want {
				t.Errorf("it is %q, want %q", got, test.want)
			}
		})
	}
}
