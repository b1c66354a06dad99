package signin

import (
	"net/url"
	"strings"
	"time"
)

// How long things live.
const (
	// TicketLife is how long a link can be used: over a long weekend.
	TicketLife = 96 * time.Hour
	// VisitLife is how long a person may take at the marketplace.
	VisitLife = 10 * time.Minute
)

// Paths of the portal.
const (
	// LinkPrefix begins the path of a link; namespace and name of the account follow.
	LinkPrefix = "/sign-in/"
	// CallbackPrefix begins the path to which marketplaces send browsers back; a callback's name follows, so that each
	// authorization server has an address of its own (RFC 9700 section 4.4.2.2).
	CallbackPrefix = "/callback/"
	// ticketParameter holds the ticket in a link.
	ticketParameter = "ticket"
)

// Address is the portal's public address without a slash at the end, such as https://tokens.example.com. The zero
// value means that there is no portal.
type Address string

// IsOrigin tells whether an address is scheme and host alone, so that paths can follow.
func (a Address) IsOrigin() bool {
	parsed, err := url.Parse(string(a))
	return err == nil && parsed.Host != "" && string(a) == parsed.Scheme+"://"+parsed.Host
}

// Page is the address of the page where people sign an account in, without the ticket that it wants; empty where there is no portal.
func (a Address) Page(namespace, name string) string {
	if a == "" {
		return ""
	}
	return string(a) + pagePath(namespace, name)
}

// Link is the address for a person to click.
func (a Address) Link(namespace, name, ticket string) string {
	return string(a) + LinkPath(namespace, name, ticket)
}

// CallbackName is the name of a callback: the Marketplace's and, where that leads to more than one authorization server,
// the key of the server.
func CallbackName(marketplace, key string) string {
	if key == "" {
		return marketplace
	}
	return marketplace + "/" + key
}

// Callback is the redirect_uri of the callback of a name.
func (a Address) Callback(name string) string {
	marketplace, key, _ := strings.Cut(name, "/")
	return string(a) + CallbackPrefix + CallbackName(url.PathEscape(marketplace), url.PathEscape(key))
}

func pagePath(namespace, name string) string {
	return LinkPrefix + url.PathEscape(namespace) + "/" + url.PathEscape(name)
}

// LinkPath is the path of a link, with the ticket in its query.
func LinkPath(namespace, name, ticket string) string {
	return WithTicket(pagePath(namespace, name), ticket)
}

// WithTicket makes a link of the address of a page.
func WithTicket(page, ticket string) string {
	return page + "?" + url.Values{ticketParameter: {ticket}}.Encode()
}

// SplitLink returns the address of a link without its ticket, and the ticket; any other address comes back as it is.
func SplitLink(link string) (page, ticket string) {
	page, ticket, _ = strings.Cut(link, "?"+ticketParameter+"=")
	return page, ticket
}

// TicketOf returns the ticket of a link or of its query; empty when it has none.
func TicketOf(link string) string {
	_, query, found := strings.Cut(link, "?")
	if !found {
		query = link
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return ""
	}
	return values.Get(ticketParameter)
}

// CookiePrefix begins the names of the cookies of visits. It makes browsers refuse the cookie unless it is secure, of this
// host alone, and for all its paths.
const CookiePrefix = "__Host-tokenkeeper-visit-"

// CookieName is the name of the cookie that binds a state to a browser. Each visit has its own, so that a browser can have
// several under way.
func CookieName(state string) string {
	return CookiePrefix + Hash(state)[:16]
}
