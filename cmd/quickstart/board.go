package main

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// board holds the state of the accounts, and how often their tokens were renewed. The zero value knows nothing and
// expects nobody.
type board struct {
	expected []types.NamespacedName // the accounts that must become Ready
	accounts []v1alpha1.MarketplaceAccount
	renewals map[types.UID]renewals
}

// renewals counts the renewals of one account.
type renewals struct {
	issued metav1.Time // of the last token that was seen
	count  int
}

// observe takes all the accounts as they are now. A token that was issued later than the one before is a renewal.
func (b *board) observe(accounts []v1alpha1.MarketplaceAccount) {
	seen := make(map[types.UID]renewals, len(accounts))
	for _, account := range accounts {
		r := b.renewals[account.UID]
		if token := account.Status.AccessToken; token != nil && r.issued.Before(&token.IssuedTime) {
			if !r.issued.IsZero() {
				r.count++
			}
			r.issued = token.IssuedTime
		}
		seen[account.UID] = r
	}
	b.renewals = seen
	b.accounts = slices.SortedFunc(slices.Values(accounts), func(one, other v1alpha1.MarketplaceAccount) int {
		return strings.Compare(one.Namespace+"/"+one.Name, other.Namespace+"/"+other.Name)
	})
}

// ready tells whether every expected account is Ready.
func (b *board) ready() bool { return len(b.unready()) == 0 }

// settled tells whether every expected account is Ready that needs no person for it.
func (b *board) settled() bool {
	return !slices.ContainsFunc(b.expected, func(name types.NamespacedName) bool {
		account := b.find(name)
		return account == nil || !isReady(account) && !signsIn(account)
	})
}

// done tells whether everything was seen that --once waits for.
func (b *board) done() bool { return b.ready() && b.renewed() > 0 }

// renewed is the number of renewals of all accounts.
func (b *board) renewed() int {
	total := 0
	for _, r := range b.renewals {
		total += r.count
	}
	return total
}

// missing lists, a line each, the reasons why done is not true.
func (b *board) missing() []string {
	lines := b.unready()
	if b.renewed() == 0 {
		lines = append(lines, "no token was renewed")
	}
	return lines
}

// unready says of each expected account that is not Ready how it stands.
func (b *board) unready() []string {
	var lines []string
	for _, name := range b.expected {
		account := b.find(name)
		switch {
		case account == nil:
			lines = append(lines, fmt.Sprintf("%s does not exist", name))
		case !isReady(account):
			lines = append(lines, fmt.Sprintf("%s is not Ready", name))
			for _, condition := range account.Status.Conditions {
				lines = append(lines, fmt.Sprintf("  %s is %s (%s): %s", condition.Type, condition.Status, condition.Reason, condition.Message))
			}
		}
	}
	return lines
}

func isReady(account *v1alpha1.MarketplaceAccount) bool {
	return meta.IsStatusConditionTrue(account.Status.Conditions, v1alpha1.ConditionReady)
}

// signsIn tells whether an account gets its tokens from the sign-in of a person.
func signsIn(account *v1alpha1.MarketplaceAccount) bool {
	grant := account.Spec.Grant.Type
	return grant == v1alpha1.GrantDeviceCode || grant == v1alpha1.GrantAuthorizationCode
}

// find returns the account of that name, nil when there is none.
func (b *board) find(name types.NamespacedName) *v1alpha1.MarketplaceAccount {
	for i := range b.accounts {
		if account := &b.accounts[i]; account.Namespace == name.Namespace && account.Name == name.Name {
			return account
		}
	}
	return nil
}
