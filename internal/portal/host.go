package portal

import (
	"net/mail"
	"net/url"
)

// host is the organisation that runs the portal, and where people may ask; each is empty where it is not set.
type host struct {
	Organisation, Contact string
	// Link is where Contact leads; empty where it is mere words.
	Link string
}

// hostOf finds out whether a contact is an address.
func hostOf(organisation, contact string) host {
	h := host{Organisation: organisation, Contact: contact}
	if address, err := mail.ParseAddress(contact); err == nil && address.Address == contact {
		h.Link = "mailto:" + url.PathEscape(contact)
	}
	if page, err := url.Parse(contact); err == nil && page.Scheme == "https" && page.Host != "" {
		h.Link = contact
	}
	return h
}

// Known tells whether there is anything to say.
func (h host) Known() bool { return h.Organisation+h.Contact != "" }
