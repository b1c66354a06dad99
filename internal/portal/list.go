package portal

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// listPage is the list of accounts.
type listPage struct {
	frame
	// Summary says how many accounts need somebody, and how many do not work.
	Summary []string
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
	leave, err := p.lists.enter(r.Context())
	if err != nil {
		return err
	}
	defer leave()
	accounts, marketplaces, err := p.seen(r.Context(), who)
	if err != nil {
		return err
	}
	mayPatch, err := p.access.which(r.Context(), who, verbPatch, verbPatch, names(accounts))
	if err != nil {
		return err
	}
	t := p.speech.to(r)
	page := listPage{frame: p.frameOf(r, who, t.ListTitle)}
	page.Home = true
	shown := r.URL.Query()
	now := p.clock.Now()
	counts := map[urgency]int{}
	for _, e := range byUrgency(accounts, now) {
		counts[e.urgency]++
		may := mayPatch[nameOf(e.account)]
		card := cardOf(t, e, marketplaces.of(e.account.Spec.MarketplaceRef.Name), may, now)
		if may {
			p.offerActions(&card, t, who, e, now)
		}
		if shown.Get(accountField) == nameOf(e.account).String() {
			card.focus(actionPath(nameOf(e.account), shown.Get(noticeField)))
		}
		page.Cards = append(page.Cards, card)
	}
	if n := counts[needsPerson] + counts[expiring]; n > 0 {
		page.Summary = append(page.Summary, t.count(t.NeedPerson, n))
	}
	if n := counts[broken]; n > 0 {
		page.Summary = append(page.Summary, t.count(t.DoNotWork, n))
	}
	page.Urgent = len(page.Summary) > 0
	if len(accounts) > 0 && counts[settled] == len(accounts) {
		page.Summary = []string{t.ListInOrder}
	}
	leave() // a browser may read slowly
	p.render(w, http.StatusOK, "list", page)
	return nil
}

// seen reads the accounts that the visitor may see, and what their marketplaces are called. Neither is changed by anybody:
// they are the cache's own, since copying every account of a cluster for whoever has a token would cost more than the page.
func (p *Portal) seen(ctx context.Context, who *visitor) ([]*v1alpha1.MarketplaceAccount, marketplaceNames, error) {
	var accounts v1alpha1.MarketplaceAccountList
	if err := p.reader.List(ctx, &accounts, client.UnsafeDisableDeepCopy); err != nil {
		return nil, nil, &clusterError{"listing accounts", err}
	}
	var marketplaces v1alpha1.MarketplaceList
	if err := p.reader.List(ctx, &marketplaces, client.UnsafeDisableDeepCopy); err != nil {
		return nil, nil, &clusterError{"listing Marketplaces", err}
	}
	called := make(marketplaceNames, len(marketplaces.Items))
	for i := range marketplaces.Items {
		called[marketplaces.Items[i].Name] = &marketplaces.Items[i]
	}
	all := make([]types.NamespacedName, 0, len(accounts.Items))
	for i := range accounts.Items {
		all = append(all, nameOf(&accounts.Items[i]))
	}
	visible, err := p.access.which(ctx, who, verbList, verbGet, all)
	if err != nil {
		return nil, nil, err
	}
	shown := make([]*v1alpha1.MarketplaceAccount, 0, len(visible))
	for i := range accounts.Items {
		if account := &accounts.Items[i]; visible[nameOf(account)] {
			shown = append(shown, account.DeepCopy())
		}
	}
	return shown, called, nil
}

func nameOf(account *v1alpha1.MarketplaceAccount) types.NamespacedName {
	return types.NamespacedName{Namespace: account.Namespace, Name: account.Name}
}

func names(accounts []*v1alpha1.MarketplaceAccount) []types.NamespacedName {
	named := make([]types.NamespacedName, 0, len(accounts))
	for _, account := range accounts {
		named = append(named, nameOf(account))
	}
	return named
}

// entry is an account in the list.
type entry struct {
	standing
	account *v1alpha1.MarketplaceAccount
}

// byUrgency puts what needs a person first.
func byUrgency(accounts []*v1alpha1.MarketplaceAccount, now time.Time) []entry {
	entries := make([]entry, 0, len(accounts))
	for _, account := range accounts {
		entries = append(entries, entry{standingOf(account, now), account})
	}
	slices.SortFunc(entries, func(a, b entry) int {
		return cmp.Or(a.compare(b.standing), cmp.Compare(a.account.Name, b.account.Name), cmp.Compare(a.account.Namespace, b.account.Namespace))
	})
	return entries
}
