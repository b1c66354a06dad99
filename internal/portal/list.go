package portal

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// listPage is the list of accounts.
type listPage struct {
	frame
	// Notice says what was just asked for; empty when nothing was.
	Notice string
	// Summary says how many accounts need somebody.
	Summary string
	// Urgent tells that some do.
	Urgent bool
	Cards  []card
}

// list shows the accounts that the visitor may see.
func (p *Portal) list(w http.ResponseWriter, r *http.Request) error {
	who, err := p.visitor(r)
	if err != nil {
		return err
	}
	accounts, marketplaces, err := p.seen(r.Context(), who)
	if err != nil {
		return err
	}
	mayPatch, err := p.access.which(r.Context(), who, verbPatch, verbPatch, names(accounts))
	if err != nil {
		return err
	}
	t := p.speech.to(r)
	page := listPage{frame: p.frameOf(r, who, t.ListTitle), Notice: t.Notices[r.URL.Query().Get(noticeField)]}
	page.Home = true
	now := p.clock.Now()
	urgent, inOrder := 0, len(accounts) > 0
	for _, e := range byUrgency(accounts, now) {
		if e.urgency <= expiring {
			urgent++
		}
		inOrder = inOrder && e.urgency == settled
		card := cardOf(t, e, marketplaces.of(e.account.Spec.MarketplaceRef.Name), now)
		if mayPatch[nameOf(e.account)] {
			p.offerActions(&card, t, who, e, now)
		}
		page.Cards = append(page.Cards, card)
	}
	page.Urgent = urgent > 0
	switch {
	case urgent > 0:
		page.Summary = t.count(t.NeedPerson, urgent)
	case inOrder:
		page.Summary = t.ListInOrder
	}
	p.render(w, http.StatusOK, "list", page)
	return nil
}

// seen reads the accounts that the visitor may see, and what their marketplaces are called.
func (p *Portal) seen(ctx context.Context, who *visitor) ([]v1alpha1.MarketplaceAccount, marketplaceNames, error) {
	var accounts v1alpha1.MarketplaceAccountList
	if err := p.reader.List(ctx, &accounts); err != nil {
		return nil, nil, &clusterError{"listing accounts", err}
	}
	var marketplaces v1alpha1.MarketplaceList
	if err := p.reader.List(ctx, &marketplaces); err != nil {
		return nil, nil, &clusterError{"listing Marketplaces", err}
	}
	called := make(marketplaceNames, len(marketplaces.Items))
	for i := range marketplaces.Items {
		called[marketplaces.Items[i].Name] = &marketplaces.Items[i]
	}
	visible, err := p.access.which(ctx, who, verbList, verbGet, names(accounts.Items))
	if err != nil {
		return nil, nil, err
	}
	return slices.DeleteFunc(accounts.Items, func(account v1alpha1.MarketplaceAccount) bool {
		return !visible[nameOf(&account)]
	}), called, nil
}

func nameOf(account *v1alpha1.MarketplaceAccount) types.NamespacedName {
	return types.NamespacedName{Namespace: account.Namespace, Name: account.Name}
}

func names(accounts []v1alpha1.MarketplaceAccount) []types.NamespacedName {
	named := make([]types.NamespacedName, 0, len(accounts))
	for i := range accounts {
		named = append(named, nameOf(&accounts[i]))
	}
	return named
}

// entry is an account in the list.
type entry struct {
	standing
	account *v1alpha1.MarketplaceAccount
}

// byUrgency puts what needs a person first.
func byUrgency(accounts []v1alpha1.MarketplaceAccount, now time.Time) []entry {
	entries := make([]entry, 0, len(accounts))
	for i := range accounts {
		entries = append(entries, entry{standingOf(&accounts[i], now), &accounts[i]})
	}
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(a.compare(b.standing), cmp.Compare(a.account.Name, b.account.Name), cmp.Compare(a.account.Namespace, b.account.Namespace))
	})
	return entries
}
