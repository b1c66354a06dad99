package outgoing

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"unicode"
)

// maxLink bounds an address to which people are sent, as the API bounds the addresses of Marketplaces.
const maxLink = 2048

// CheckURL tells whether credentials may be sent to an address: over TLS, or to this machine.
func CheckURL(address string) error {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Hostname() == "" {
		return fmt.Errorf("%.200q is no absolute URL", address)
	}
	if parsed.User != nil || strings.Contains(address, "#") {
		return fmt.Errorf("%.200q must not hold user information or a fragment", address)
	}
	if !isSecure(parsed) {
		return fmt.Errorf("%.200q must be https", address)
	}
	return nil
}

// CheckLink tells whether people may be shown an address to open: one that CheckURL would accept, but that it may have a
// fragment, and that browsers and people read it as it was read here.
func CheckLink(address string) error {
	parsed, err := url.Parse(address)
	switch {
	case err != nil, parsed.Hostname() == "", parsed.User != nil:
		return errors.New("is no absolute URL without user information")
	case len(address) > maxLink:
		return fmt.Errorf("is longer than %d bytes", maxLink)
	case strings.ContainsFunc(address, unreadable):
		return errors.New("holds characters that an address does not")
	case !isSecure(parsed):
		return errors.New("must be https")
	}
	return nil
}

// unreadable tells of a character that browsers leave out, or read as another: they take a backslash for a slash.
func unreadable(r rune) bool { return r == '\\' || unicode.IsSpace(r) || !unicode.IsPrint(r) }

// check is CheckURL for the address of a request. Its text holds the host alone.
func check(address *url.URL) error {
	if address.Hostname() == "" || address.User != nil || !isSecure(address) {
		return fmt.Errorf("a request to %s must be https", address.Host)
	}
	return nil
}

// isSecure tells whether requests to an address cannot be read on their way.
func isSecure(address *url.URL) bool {
	return address.Scheme == "https" || address.Scheme == "http" && isThisMachine(address.Hostname())
}

func isThisMachine(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}
