package portal

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/internal/outgoing"
	"github.com/tokenkeeper/tokenkeeper/internal/portal/words"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

const (
	// ticketField is the ticket's name in a link, as signin.LinkPath has it, and in the form.
	ticketField = "ticket"
	storeField  = "store"
)

// offerPage is the page of a link.
type offerPage struct {
	frame
	Offer signin.Offer
	Facts []fact
	Ends  string
	// Path takes the form, which carries Ticket and Store.
	Path, Ticket, Store string
}

// offer shows the sign-in that a link is for. Programs open links before people do, so opening one changes nothing.
func (p *Portal) offer(w http.ResponseWriter, r *http.Request) error {
	account, err := accountOf(r)
	if err != nil {
		return err
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	switch {
	case len(r.URL.RawQuery) > maxQuery+maxTicket:
		return &signin.Error{Problem: problemTooLarge}
	case err != nil:
		return &signin.Error{Problem: problemRequest}
	}
	ticket := query.Get(ticketField)
	offer, err := p.look(r.Context(), account, ticket)
	if err != nil {
		return p.unlessGuessed(r, err)
	}
	query.Del(ticketField)
	t := p.texts(r)
	page := offerPage{
		frame: p.frame(r, t.At(offer.Marketplace, t.OfferTitle)), Offer: offer, Facts: accountFacts(t, offer.Account),
		Path: linkPath(account), Ticket: ticket, Store: query.Encode(),
	}
	expected := t.OfferAnybody
	if offer.ExpectedID != "" {
		expected = words.Fill(t.Quoted, "text", offer.ExpectedID)
	}
	page.Facts = append(page.Facts, fact{t.OfferExpected, expected})
	if !offer.ExpiresAt.IsZero() {
		page.Ends = words.Fill(t.OfferEnds, "moment", t.Moment(offer.ExpiresAt))
	}
	p.render(w, http.StatusOK, "offer", page)
	return nil
}

// look returns the offer of a ticket, if it can be one.
func (p *Portal) look(ctx context.Context, account types.NamespacedName, ticket string) (signin.Offer, error) {
	if ticket == "" || len(ticket) > maxTicket {
		return signin.Offer{}, &signin.Error{Problem: signin.LinkInvalid}
	}
	return p.signIns.Offer(ctx, account, ticket)
}

// leavingPage sends the browser to a marketplace.
type leavingPage struct {
	frame
	Marketplace, URL string
}

// begin uses a link up and sends the browser to the marketplace. Chromium applies form-action of the policy to a redirect
// that answers a form too, and to every redirect of the marketplace's after it, so this is a page that goes on by
// itself, and has a link for browsers that do not.
func (p *Portal) begin(w http.ResponseWriter, r *http.Request) error {
	account, err := accountOf(r)
	if err != nil {
		return err
	}
	if err := r.ParseForm(); err != nil {
		return unreadable(err)
	}
	store, err := storeOf(r.PostForm.Get(storeField))
	if err != nil {
		return err
	}
	ticket := r.PostForm.Get(ticketField)
	// The name of the marketplace is not in a Visit, and a ticket that is of no use must not be asked about twice.
	offer, err := p.look(r.Context(), account, ticket)
	if err != nil {
		return p.unlessGuessed(r, err)
	}
	// A browser that goes away meanwhile must not leave a half of a visit behind.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), timeouts.Page)
	defer cancel()
	visit, err := p.signIns.Begin(ctx, account, ticket, store)
	if err != nil {
		return p.unlessGuessed(r, err)
	}
	if outgoing.CheckURL(visit.URL) != nil { // without the text, which holds the address with its state
		return errors.New("the address of the marketplace is none to which a browser may be sent")
	}
	p.forgetOldest(w, r, signin.CookiePrefix, maxVisitCookies-1)
	p.setCookie(w, visit.CookieName, visit.CookieValue, visit.ExpiresAt.Sub(p.clock.Now()))
	p.log.Info("Sign-in begun", "namespace", account.Namespace, "name", account.Name)
	t := p.texts(r)
	page := leavingPage{frame: p.frame(r, t.At(offer.Marketplace, t.LeavingTitle)), Marketplace: offer.Marketplace, URL: visit.URL}
	page.Onward = visit.URL
	p.render(w, http.StatusOK, "leaving", page)
	return nil
}

// storeOf reads the query of an app store that a form carries; nil when there is none.
func storeOf(encoded string) (url.Values, error) {
	if encoded == "" {
		return nil, nil
	}
	store, err := url.ParseQuery(encoded)
	if err != nil || len(encoded) > maxQuery {
		return nil, &signin.Error{Problem: problemRequest}
	}
	return store, nil
}

// unlessGuessed counts a link that cannot have been given to anybody, and turns away visitors that try too many. A link that is
// right, used or too old is never turned away, not even while strangers guess from the same address, such as behind a proxy: it
// was looked at first. That is safe because tickets have 256 random bits: however many are tried, none is hit.
func (p *Portal) unlessGuessed(r *http.Request, err error) error {
	e, isSignIn := errors.AsType[*signin.Error](err)
	if !isSignIn || e.Problem != signin.LinkInvalid {
		return err
	}
	if tooMany := p.reception.GuessedLink(r); tooMany != nil {
		return tooMany
	}
	return err
}

// linkPath is the path of an account's link without its ticket.
func linkPath(account types.NamespacedName) string {
	return signin.LinkPrefix + account.Namespace + "/" + account.Name
}

// unreadable is a form that cannot be read.
func unreadable(err error) error {
	if _, isTooLarge := errors.AsType[*http.MaxBytesError](err); isTooLarge {
		return err
	}
	return &signin.Error{Problem: problemRequest}
}
