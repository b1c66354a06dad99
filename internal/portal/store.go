package portal

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/portal/cards"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

const accountField = "account"

// storePage lets a person that an app store sent choose an account.
type storePage struct {
	frame
	Marketplace string
	Choices     []choice
	// Path, Form and Store are of the form of each choice.
	Path, Form, Store string
}

// choice is an account that can be connected.
type choice struct {
	Account string
	Facts   []fact
	// Same tells that this is the seller whom the store named.
	Same bool
}

func storePath(marketplace string, query url.Values) string {
	path := signin.LinkPrefix + marketplace
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return path
}

// store is where a marketplace's app store sends people, its "Login URI": they choose the account to connect. The meaning of the
// query, and whether it is to be believed, is not known here; no browser is sent to an address that it names.
func (p *Portal) store(w http.ResponseWriter, r *http.Request) error {
	marketplace, err := marketplaceOf(r)
	if err != nil {
		return err
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	switch {
	case len(r.URL.RawQuery) > maxQuery:
		return &signin.Error{Problem: problemTooLarge}
	case err != nil:
		return &signin.Error{Problem: problemRequest}
	}
	who, err := p.visitor(r)
	if err != nil {
		return err
	}
	leave, err := p.reception.Enter(r.Context(), who)
	if err != nil {
		return err
	}
	defer leave()
	accounts, marketplaces, _, err := p.seen(r.Context(), who, func(account *v1alpha1.MarketplaceAccount) bool {
		return connects(account, marketplace)
	})
	if err != nil {
		return err
	}
	entries := cards.ByUrgency(accounts, p.clock.Now())
	mayAct, err := p.reception.Actable(r.Context(), who, namesOf(entries))
	if err != nil {
		return err
	}
	t := p.texts(r)
	name := marketplaces.of(marketplace)
	path := storePath(marketplace, nil)
	page := storePage{
		frame: p.frameOf(r, who, t.At(name, t.StoreTitle)), Marketplace: name,
		Path: path, Form: who.FormToken(string(p.address), path), Store: query.Encode(),
	}
	sent := sentSeller(marketplaces[marketplace], query)
	for _, e := range entries {
		if mayAct[nameOf(e.Account)] {
			page.Choices = append(page.Choices, choiceOf(t, e.Account, sent))
		}
	}
	slices.SortStableFunc(page.Choices, func(a, b choice) int {
		switch {
		case a.Same == b.Same:
			return 0
		case a.Same:
			return -1
		}
		return 1
	})
	return p.renderList(w, who, "store", page, leave)
}

// choose makes a link for the account that a visitor chose. The store's query goes along with it.
func (p *Portal) choose(w http.ResponseWriter, r *http.Request) error {
	marketplace, err := marketplaceOf(r)
	if err != nil {
		return err
	}
	who, err := p.visitorOfForm(r)
	if err != nil {
		return err
	}
	store, err := storeOf(r.PostForm.Get(storeField))
	if err != nil {
		return err
	}
	namespace, name, _ := strings.Cut(r.PostForm.Get(accountField), "/")
	if !validName(namespace) || !validName(name) {
		return &signin.Error{Problem: problemRequest}
	}
	account, err := p.accountFor(r.Context(), who, types.NamespacedName{Namespace: namespace, Name: name})
	if err != nil {
		return err
	}
	if !connects(account, marketplace) {
		return &signin.Error{Problem: problemRequest}
	}
	ticket, err := p.signIns.Invite(r.Context(), nameOf(account))
	if err != nil {
		return err
	}
	p.tellAction(account, who, cards.ActionSignIn)
	link := p.address.Link(account.Namespace, account.Name, ticket)
	store.Del(ticketField) // the store's own must not take the place of ours
	if len(store) > 0 {
		link += "&" + store.Encode()
	}
	http.Redirect(w, r, link, http.StatusSeeOther) //nolint:gosec // it is a link of the portal, whatever the query
	return nil
}

// marketplaceOf is the Marketplace that a path names; a problem when it cannot be a name.
func marketplaceOf(r *http.Request) (string, error) {
	marketplace := r.PathValue("marketplace")
	if !validName(marketplace) {
		return "", &signin.Error{Problem: problemNotFound}
	}
	return marketplace, nil
}

// connects tells that a browser's visit to this marketplace signs the account in.
func connects(account *v1alpha1.MarketplaceAccount, marketplace string) bool {
	return account.Spec.MarketplaceRef.Name == marketplace && account.Spec.Grant.Type == v1alpha1.GrantAuthorizationCode
}

// sentSeller is the ID of the seller in the store's query, under the name that the callback has for it; empty when the query has
// none.
func sentSeller(marketplace *v1alpha1.Marketplace, query url.Values) string {
	if marketplace == nil || marketplace.Spec.AuthorizationRequest.Callback.AccountID == "" {
		return ""
	}
	return query.Get(marketplace.Spec.AuthorizationRequest.Callback.AccountID)
}

func choiceOf(t cards.Texts, account *v1alpha1.MarketplaceAccount, sent string) choice {
	shown := signin.Account{Namespace: account.Namespace, Name: account.Name, Environment: account.Spec.Environment}
	login, given := cards.SellerOf(account)
	if given {
		shown.Login = login
	}
	id := account.Spec.AccountID
	if seen := account.Status.Account; seen != nil && seen.ID != "" {
		id = seen.ID
	}
	c := choice{
		Account: account.Namespace + "/" + account.Name, Facts: accountFacts(t, shown),
		Same: sent != "" && (sent == id || sent == account.Spec.AccountID),
	}
	if login != "" && !given {
		c.Facts = append(c.Facts, fact{t.Seller, login})
	}
	if id != "" {
		c.Facts = append(c.Facts, fact{t.SellerID, id})
	}
	return c
}
