package main

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

var noon = time.Date(2026, time.November, 2, 12, 0, 0, 0, time.UTC)

// account makes an account that the operator has not looked at, and changes it.
func account(name string, changes ...func(*v1alpha1.MarketplaceAccount)) v1alpha1.MarketplaceAccount {
	made := v1alpha1.MarketplaceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("uid-" + name)}}
	made.Spec.MarketplaceRef.Name = "allegro"
	for _, change := range changes {
		change(&made)
	}
	return made
}

func condition(kind string, status metav1.ConditionStatus, reason, message string) func(*v1alpha1.MarketplaceAccount) {
	return func(account *v1alpha1.MarketplaceAccount) {
		account.Status.Conditions = append(account.Status.Conditions, metav1.Condition{
			Type: kind, Status: status, Reason: reason, Message: message,
		})
	}
}

func ready(account *v1alpha1.MarketplaceAccount) {
	condition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonTokenValid, "The token is valid")(account)
}

// issued gives the account a token of that age at noon.
func issued(age time.Duration) func(*v1alpha1.MarketplaceAccount) {
	return func(account *v1alpha1.MarketplaceAccount) {
		begin := noon.Add(-age)
		account.Status.AccessToken = &v1alpha1.AccessTokenStatus{
			IssuedTime: metav1.NewTime(begin), ExpirationTime: metav1.NewTime(begin.Add(time.Hour)),
		}
	}
}

func TestBoardCountsRenewals(t *testing.T) {
	type accounts = []v1alpha1.MarketplaceAccount
	other := func(account *v1alpha1.MarketplaceAccount) { account.UID = "another" }
	tests := map[string]struct {
		seen []accounts
		want int
	}{
		"nothing":                           {nil, 0},
		"no token":                          {[]accounts{{account("a")}, {account("a")}}, 0},
		"the first token":                   {[]accounts{{account("a")}, {account("a", issued(time.Minute))}}, 0},
		"the same token":                    {[]accounts{{account("a", issued(time.Minute))}, {account("a", issued(time.Minute))}}, 0},
		"a later token":                     {[]accounts{{account("a", issued(time.Minute))}, {account("a", issued(0))}}, 1},
		"two later tokens":                  {[]accounts{{account("a", issued(2*time.Minute))}, {account("a", issued(time.Minute))}, {account("a", issued(0))}}, 2},
		"a token that comes back":           {[]accounts{{account("a", issued(time.Minute))}, {account("a")}, {account("a", issued(time.Minute))}}, 0},
		"a later one after a time of none":  {[]accounts{{account("a", issued(time.Minute))}, {account("a")}, {account("a", issued(0))}}, 1},
		"an older token":                    {[]accounts{{account("a", issued(0))}, {account("a", issued(time.Minute))}}, 0},
		"one of two accounts":               {[]accounts{{account("a", issued(9)), account("b", issued(time.Minute))}, {account("a", issued(9)), account("b", issued(0))}}, 1},
		"a new account of the same name":    {[]accounts{{account("a", issued(time.Minute))}, {account("a", other, issued(0))}}, 0},
		"a renewed account that is deleted": {[]accounts{{account("a", issued(time.Minute))}, {account("a", issued(0))}, {}}, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var b board
			for _, accounts := range test.seen {
				b.observe(accounts)
			}
			if got := b.renewed(); got != test.want {
				t.Errorf("%d renewals, want %d", got, test.want)
			}
		})
	}
}

// grant makes it an account with that grant.
func grant(kind v1alpha1.GrantType) func(*v1alpha1.MarketplaceAccount) {
	return func(account *v1alpha1.MarketplaceAccount) { account.Spec.Grant.Type = kind }
}

func TestBoardIsSettledWhenOnlyPeopleAreMissing(t *testing.T) {
	type accounts = []v1alpha1.MarketplaceAccount
	password := grant(v1alpha1.GrantPassword)
	tests := map[string]struct {
		seen accounts
		want bool
	}{
		"nothing at all":                      {nil, false},
		"one that is not there":               {accounts{account("a", ready)}, false},
		"one that needs no person":            {accounts{account("a", ready), account("b", password)}, false},
		"one that waits for a code's person":  {accounts{account("a", password, ready), account("b", grant(v1alpha1.GrantDeviceCode))}, true},
		"one that waits for a link's person":  {accounts{account("a", password, ready), account("b", grant(v1alpha1.GrantAuthorizationCode))}, true},
		"all are Ready":                       {accounts{account("a", password, ready), account("b", ready)}, true},
		"one beside that nobody asked for":    {accounts{account("a", ready), account("b", ready), account("c", password)}, true},
		"only people, and nobody has come":    {accounts{account("a", grant(v1alpha1.GrantDeviceCode)), account("b", grant(v1alpha1.GrantDeviceCode))}, true},
		"a person has come, and one is there": {accounts{account("a", grant(v1alpha1.GrantDeviceCode), ready), account("b", password)}, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := board{expected: []types.NamespacedName{{Namespace: "shop", Name: "a"}, {Namespace: "shop", Name: "b"}}}
			b.observe(test.seen)
			if got := b.settled(); got != test.want {
				t.Errorf("settled is %t, want %t", got, test.want)
			}
		})
	}
}

func TestBoardSaysWhatIsMissing(t *testing.T) {
	expected := []types.NamespacedName{{Namespace: "shop", Name: "a"}, {Namespace: "shop", Name: "b"}}
	unready := condition(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonSecretNotFound, `Secret "b-app" does not exist`)
	tests := map[string]struct {
		before, now []v1alpha1.MarketplaceAccount
		ready       bool
		missing     []string
	}{
		"nothing at all": {missing: []string{"shop/a does not exist", "shop/b does not exist", "no token was renewed"}},
		"not looked at yet": {
			now:     []v1alpha1.MarketplaceAccount{account("a"), account("b", ready)},
			missing: []string{"shop/a is not Ready", "no token was renewed"},
		},
		"one that is not Ready": {
			now: []v1alpha1.MarketplaceAccount{account("a", ready), account("b", unready)},
			missing: []string{
				"shop/b is not Ready", `  Ready is False (SecretNotFound): Secret "b-app" does not exist`, "no token was renewed",
			},
		},
		"no renewal": {
			now:     []v1alpha1.MarketplaceAccount{account("a", ready, issued(0)), account("b", ready, issued(0))},
			ready:   true,
			missing: []string{"no token was renewed"},
		},
		"a renewal, and one that is not Ready": {
			before:  []v1alpha1.MarketplaceAccount{account("a", ready, issued(time.Minute)), account("b", ready)},
			now:     []v1alpha1.MarketplaceAccount{account("a", ready, issued(0)), account("b", unready)},
			missing: []string{"shop/b is not Ready", `  Ready is False (SecretNotFound): Secret "b-app" does not exist`},
		},
		"everything": {
			before: []v1alpha1.MarketplaceAccount{account("a", ready, issued(time.Minute)), account("b", ready)},
			now:    []v1alpha1.MarketplaceAccount{account("a", ready, issued(0)), account("b", ready), account("c", unready)},
			ready:  true,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b := board{expected: expected}
			b.observe(test.before)
			b.observe(test.now)
			if got := b.missing(); !slices.Equal(got, test.missing) {
				t.Errorf("missing is %q, want %q", got, test.missing)
			}
			if b.ready() != test.ready || b.done() != (len(test.missing) == 0) {
				t.Errorf("ready is %t, done is %t", b.ready(), b.done())
			}
		})
	}
}
