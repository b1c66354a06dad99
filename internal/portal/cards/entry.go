package cards

import (
	"cmp"
	"slices"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Entry is an account in the list, and how urgent it is.
type Entry struct {
	summary

	Account *v1alpha1.MarketplaceAccount
}

// ByUrgency puts accounts that need a person first.
func ByUrgency(accounts []*v1alpha1.MarketplaceAccount, now time.Time) []Entry {
	entries := make([]Entry, 0, len(accounts))
	for _, account := range accounts {
		entries = append(entries, Entry{summaryOf(account, now), account})
	}
	slices.SortFunc(entries, func(a, b Entry) int {
		return cmp.Or(a.compare(b.summary), cmp.Compare(a.Account.Name, b.Account.Name), cmp.Compare(a.Account.Namespace, b.Account.Namespace))
	})
	return entries
}

// Totals says how many accounts need a person, and how many do not work. inOrder tells that nothing is to be done for any account.
func Totals(t Texts, entries []Entry) (said []string, inOrder bool) {
	counts := map[urgency]int{}
	for _, e := range entries {
		counts[e.urgency]++
	}
	if n := counts[needsPerson] + counts[expiring]; n > 0 {
		said = append(said, t.Count(t.NeedPerson, n))
	}
	if n := counts[broken]; n > 0 {
		said = append(said, t.Count(t.DoNotWork, n))
	}
	return said, counts[settled] == len(entries)
}
