package demomarket

import (
	"net/http"
	"net/url"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/judge"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/tokens"
)

// storePage is the last page of a visit to the store.
const storePage = "store"

// offer is an application in the store, the errand of a seller who looks at it.
type offer struct{ client *client }

// serveStore is the page of an application in the platform's store.
func (m *Market) serveStore(w http.ResponseWriter, r *http.Request) { m.servePages(w, r, m.beginStart) }

// beginStart answers a visitor of the store. He is always asked, since he did not come from the application.
func (m *Market) beginStart(x *exchange) reply {
	m.mu.Lock()
	defer m.mu.Unlock()
	if x.unreadable != nil {
		return m.undeliverable(x, x.unreadable)
	}
	offered := m.application(x)
	if offered == nil || offered.loginURI == "" {
		x.outcome = platforms.UnknownClient
		return stopped(http.StatusNotFound, "Nothing found", "There is no such application in the store.")
	}
	v := &visit{
		errand: offer{offered}, clientID: offered.id, scopes: m.platform.Scopes, prompts: []string{"consent"},
	}
	return m.goOn(x, v, m.session(x))
}

// allowed sends the seller to the application's Login URI.
func (o offer) allowed(m *Market, x *exchange, seller platforms.Seller) reply {
	value, err := m.server.random()
	if err != nil {
		return broken(err)
	}
	m.starts[tokens.KeyOf(value)] = &start{client: o.client, session: m.session(x), expires: m.now().Add(visitLifetime)}
	m.judge.Note(func(t *judge.Tally) { t.Starts.Issued++ })
	policy := m.platform
	parameters := url.Values{
		policy.Store.CallbackParameter: {
			m.Address(x.request) + policy.Paths.Confirmation + "/" + url.PathEscape(o.client.applicationID),
		},
		policy.Store.StateParameter:          {value},
		policy.Authorization.SellerParameter: {seller.ID},
	}
	if draft := policy.Authorization.Draft; o.client.draft {
		parameters.Set(draft.Name, draft.Value)
	}
	return reply{location: o.client.loginURI, parameters: parameters}
}

// denied is the answer to a no that the page does not offer.
func (o offer) denied(*Market, *exchange) reply {
	return stopped(http.StatusOK, "Nothing is authorized", "The application gets no access.")
}

// serveConfirmation is where an application sends a seller back who began in the store.
func (m *Market) serveConfirmation(w http.ResponseWriter, r *http.Request) {
	m.servePages(w, r, m.endStart)
}

// endStart sends a seller on to the application's callback, if it is he who began in the store. The application is the one
// in the path.
func (m *Market) endStart(x *exchange) reply {
	m.mu.Lock()
	defer m.mu.Unlock()
	x.parameters[m.platform.Authorization.ClientParameter] = x.request.PathValue("application")
	request, denied := m.addressed(x)
	if denied == nil && x.parameters["state"] == "" {
		denied = deny(platforms.InvalidRequest, "The parameter state is missing.")
	}
	if denied != nil {
		return m.undeliverable(x, denied)
	}
	if denied := request.read(m, x); denied != nil {
		return request.refused(m, x, denied)
	}
	begun, denied := m.useStart(x, request.client)
	if denied != nil {
		return m.undeliverable(x, denied)
	}
	return request.allowed(m, x, begun.session.seller)
}

// useStart uses up the start that a request belongs to. One that comes from another browser is not used up.
func (m *Market) useStart(x *exchange, by *client) (*start, *denial) {
	name := m.platform.Store.StateParameter
	begun := m.starts[tokens.KeyOf(x.parameters[name])]
	switch {
	case begun == nil || begun.client != by:
		return nil, deny(platforms.InvalidStart, "The "+name+" is not known.")
	case begun.used:
		m.judge.Note(func(t *judge.Tally) { t.Starts.Reused++ })
		return nil, deny(platforms.InvalidStart, "The "+name+" was used before.")
	case !m.now().Before(begun.expires):
		m.judge.Note(func(t *judge.Tally) { t.Starts.Expired++ })
		return nil, deny(platforms.InvalidStart, "The time of the "+name+" is over.")
	case begun.session != m.session(x):
		return nil, deny(platforms.InvalidStart, "The "+name+" was given to another browser, or to somebody who is no longer logged in.")
	}
	begun.used = true
	m.judge.Note(func(t *judge.Tally) { t.Starts.Used++ })
	return begun, nil
}

// confirmations is the pattern of the paths to which applications send sellers back.
func confirmations(p platforms.Paths) string {
	if p.Confirmation == "" {
		return ""
	}
	return p.Confirmation + "/{application}"
}
