package portal

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
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
	// More tells that there are accounts of which nobody looked whether the visitor may see them.
	More  bool
	Cards []card
}

// list shows the accounts that the visitor may see.
func (p *Portal) list(w http.ResponseWriter, r *http.Request) error {
	who, err := p.visitor(r)
	if err != nil {
		return err
	}
	leave, err := p.enterLists(r.Context(), who)
	if err != nil {
		return err
	}
	defer leave()
	shown := r.URL.Query()
	namespace := shown.Get(namespaceField)
	who.near, _, _ = strings.Cut(shown.Get(accountField), "/")
	accounts, marketplaces, more, err := p.seen(r.Context(), who, func(account *v1alpha1.MarketplaceAccount) bool {
		return namespace == "" || account.Namespace == namespace
	})
	if err != nil {
		return err
	}
	mayPatch, _, err := p.access.which(r.Context(), who, verbPatch, verbPatch, names(accounts))
	if err != nil {
		return err
	}
	t := p.speech.to(r)
	page := listPage{frame: p.frameOf(r, who, t.ListTitle), More: more}
	page.LinkToList = false
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
	if len(accounts) > 0 && counts[settled] == len(accounts) && !more {
		page.Summary = []string{t.ListInOrder}
	}
	leave() // a browser may read slowly
	p.render(w, http.StatusOK, "list", page)
	return nil
}

// namespaceField names the namespace whose accounts are listed; all are where it is empty.
const namespaceField = "namespace"

// enterLists waits until a page of the visitor can be made: one of each visitor at a time, and a few altogether.
func (p *Portal) enterLists(ctx context.Context, who *visitor) (leave func(), err error) {
	own, err := p.access.of(who).pages.enter(ctx)
	if err != nil {
		return nil, err
	}
	place, err := p.lists.enter(ctx)
	if err != nil {
		own()
		return nil, err
	}
	return func() { place(); own() }, nil
}

// seen reads those accounts of some that the visitor may see, and what their marketplaces are called. more tells that it did not look
// at all of them. Neither is changed by anybody:
// they are the cache's own, since copying every account of a cluster for each visitor would cost more than the page.
func (p *Portal) seen(
	ctx context.Context, who *visitor, some func(*v1alpha1.MarketplaceAccount) bool,
) (shown []*v1alpha1.MarketplaceAccount, called marketplaceNames, more bool, err error) {
	var accounts v1alpha1.MarketplaceAccountList
	if err := p.reader.List(ctx, &accounts, client.UnsafeDisableDeepCopy); err != nil {
		return nil, nil, false, &clusterError{"listing accounts", err}
	}
	var marketplaces v1alpha1.MarketplaceList
	if err := p.reader.List(ctx, &marketplaces, client.UnsafeDisableDeepCopy); err != nil {
		return nil, nil, false, &clusterError{"listing Marketplaces", err}
	}
	called = make(marketplaceNames, len(marketplaces.Items))
	for i := range marketplaces.Items {
		called[marketplaces.Items[i].Name] = &marketplaces.Items[i]
	}
	all := make([]types.NamespacedName, 0, len(accounts.Items))
	for i := range accounts.Items {
		if some(&accounts.Items[i]) {
			all = append(all, nameOf(&accounts.Items[i]))
		}
	}
	visible, more, err := p.access.which(ctx, who, verbList, verbGet, all)
	if err != nil {
		return nil, nil, false, err
	}
	shown = make([]*v1alpha1.MarketplaceAccount, 0, len(visible))
	for i := range accounts.Items {
		if account := &accounts.Items[i]; visible[nameOf(account)] {
			shown = append(shown, account.DeepCopy())
		}
	}
	return shown, called, more, nil
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
