package portal

import (
	"context"
	"net/http"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/portal/cards"
	"github.com/tokenkeeper/tokenkeeper/internal/portal/visitor"
)

// listPage is the list of accounts.
type listPage struct {
	frame
	// Summary says how many accounts need a person, and how many do not work.
	Summary []string
	// Urgent tells that some do.
	Urgent bool
	// More tells that there are further accounts: too many for a page, or such that the API server was not asked about.
	More  bool
	Cards []cards.Card
}

// list shows the accounts that the visitor may see.
func (p *Portal) list(w http.ResponseWriter, r *http.Request) error {
	who, err := p.visitor(r)
	if err != nil {
		return err
	}
	leave, err := p.reception.Enter(r.Context(), who)
	if err != nil {
		return err
	}
	defer leave()
	shown := r.URL.Query()
	namespace := shown.Get(namespaceField)
	who.Near, _, _ = strings.Cut(shown.Get(accountField), "/")
	accounts, marketplaces, more, err := p.seen(r.Context(), who, func(account *v1alpha1.MarketplaceAccount) bool {
		return namespace == "" || account.Namespace == namespace
	})
	if err != nil {
		return err
	}
	t := p.texts(r)
	now := p.clock.Now()
	entries := cards.ByUrgency(accounts, now)
	said, inOrder := cards.Totals(t, entries)
	onPage := firstOf(entries)
	mayAct, err := p.reception.Actable(r.Context(), who, namesOf(onPage))
	if err != nil {
		return err
	}
	page := listPage{frame: p.frameOf(r, who, t.ListTitle), More: more || len(onPage) < len(entries)}
	page.LinkToList = false
	for _, e := range onPage {
		name := nameOf(e.Account)
		card := cards.Of(t, e, marketplaces.of(e.Account.Spec.MarketplaceRef.Name), mayAct[name], now)
		if mayAct[name] {
			p.showCode(r.Context(), e.Account)
			card.Offer(t, e, p.address != "", p.formsFor(who, name), now)
		}
		if shown.Get(accountField) == name.String() {
			card.Focus(actionPath(name, shown.Get(noticeField)))
		}
		page.Cards = append(page.Cards, card)
	}
	page.Summary, page.Urgent = said, len(said) > 0
	if len(accounts) > 0 && inOrder && !more {
		page.Summary = []string{t.ListInOrder}
	}
	return p.renderList(w, who, "list", page, leave)
}

// showCode puts the device code that waits into the status of an account, where a Secret holds it and the status its address alone: for a card of a
// visitor who may use it. The account is the page's own copy.
func (p *Portal) showCode(ctx context.Context, account *v1alpha1.MarketplaceAccount) {
	shown := account.Status.SignIn
	if account.Spec.Grant.Type != v1alpha1.GrantDeviceCode || shown == nil || shown.UserCode != "" {
		return
	}
	code, err := p.signIns.Code(ctx, nameOf(account))
	if err != nil { // the button makes another
		p.log.Info("Reading a device code", "namespace", account.Namespace, "name", account.Name, "reason", err.Error())
		return
	}
	account.Status.SignIn = &v1alpha1.SignInStatus{URL: code.URL, UserCode: code.UserCode, ExpirationTime: metav1.NewTime(code.ExpiresAt)}
}

// namespaceField names the namespace of the accounts to list; the list is of all namespaces where it is empty.
const namespaceField = "namespace"

// seen reads the accounts that some takes and the visitor may see, and the names of the marketplaces. more tells that not all of
// these accounts were asked about. Nobody must change an account or a Marketplace: they are the cache's own, since copying every account of a
// cluster for each visitor would cost more than the page.
func (p *Portal) seen(
	ctx context.Context, who *visitor.Visitor, some func(*v1alpha1.MarketplaceAccount) bool,
) (shown []*v1alpha1.MarketplaceAccount, called marketplaceNames, more bool, err error) {
	var accounts v1alpha1.MarketplaceAccountList
	if err := p.reader.List(ctx, &accounts, client.UnsafeDisableDeepCopy); err != nil {
		return nil, nil, false, &visitor.ClusterError{Doing: "listing accounts", Err: err}
	}
	var marketplaces v1alpha1.MarketplaceList
	if err := p.reader.List(ctx, &marketplaces, client.UnsafeDisableDeepCopy); err != nil {
		return nil, nil, false, &visitor.ClusterError{Doing: "listing Marketplaces", Err: err}
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
	visible, more, err := p.reception.Visible(ctx, who, all)
	if err != nil {
		return nil, nil, false, err
	}
	shown = make([]*v1alpha1.MarketplaceAccount, 0, len(visible))
	for i := range accounts.Items {
		if account := &accounts.Items[i]; visible[nameOf(account)] {
			shown = append(shown, account)
		}
	}
	return shown, called, more, nil
}

func nameOf(account *v1alpha1.MarketplaceAccount) types.NamespacedName {
	return types.NamespacedName{Namespace: account.Namespace, Name: account.Name}
}

// firstOf returns the entries that fit on a page, with copies of their accounts.
func firstOf(entries []cards.Entry) []cards.Entry {
	first := slices.Clone(entries[:min(len(entries), maxCards)])
	for i := range first {
		first[i].Account = first[i].Account.DeepCopy()
	}
	return first
}

func namesOf(entries []cards.Entry) []types.NamespacedName {
	named := make([]types.NamespacedName, 0, len(entries))
	for _, e := range entries {
		named = append(named, nameOf(e.Account))
	}
	return named
}
