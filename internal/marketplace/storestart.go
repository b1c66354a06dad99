package marketplace

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/dialect"
)

// StoreStart is a sign-in that a person began in the platform's own store, and not here: the platform sends the browser
// with an address at which it goes on.
type StoreStart struct {
	// AccountID is the account that the consent will be for, where the platform names it; only the browser vouches for it.
	AccountID string

	callback *url.URL // of one of the platform's hosts
	state    string   // the platform's own
}

// StoreStart reads the query with which the platform's store sends a browser; nil when it is no such query. The text of its
// error holds nothing that the browser brought.
func (p *Platform) StoreStart(query url.Values) (*StoreStart, error) {
	spec := p.authorization.StoreStart
	if spec.CallbackURI == "" || !query.Has(spec.CallbackURI) {
		return nil, nil
	}
	address, err := only(query, spec.CallbackURI, maxAddress)
	if err != nil {
		return nil, fmt.Errorf("the start from the store: %w", err)
	}
	state, err := only(query, spec.State, maxParameter)
	if err != nil {
		return nil, fmt.Errorf("the start from the store: %w", err)
	}
	accountID, err := only(query, p.authorization.Callback.AccountID, maxParameter)
	if err != nil {
		return nil, fmt.Errorf("the start from the store: %w", err)
	}
	callback, err := p.ofThePlatform(address)
	if err != nil {
		return nil, fmt.Errorf("the start from the store: parameter %q %w", spec.CallbackURI, err)
	}
	return &StoreStart{AccountID: bounds.Identifier(accountID), callback: callback, state: state}, nil
}

// Request returns the address to which the browser is sent: the platform's callback address with its own state, and with
// ours for the callback that follows.
func (s *StoreStart) Request(p *Platform, a AuthorizationParameters) (string, error) {
	standard, err := p.visit(a)
	if err != nil {
		return "", err
	}
	parameters := p.browserParameters(standard, a.ClientID)
	if s.state != "" {
		parameters.Set(p.authorization.StoreStart.State, s.state)
	}
	return dialect.WithParameters(s.callback.String(), parameters)
}

// ofThePlatform reads an address at which browsers may be sent: an https one of a listed host, or one of the same origin as
// the authorization endpoint, where they are sent anyway. It is made anew of the parts that were understood, since browsers
// read some addresses otherwise than this program does.
func (p *Platform) ofThePlatform(address string) (*url.URL, error) {
	for _, r := range address {
		// Browsers take a backslash for a slash, leave some characters out and split others off.
		if r <= ' ' || r >= 0x7f || r == '\\' {
			return nil, errors.New("holds characters that an address does not")
		}
	}
	parsed, err := url.Parse(address)
	if err != nil || parsed.Opaque != "" || parsed.User != nil || strings.Contains(address, "#") {
		return nil, errors.New("is no address without user information and fragment")
	}
	host := serverOf(parsed)
	listed := parsed.Scheme == "https" && slices.ContainsFunc(p.authorization.StoreStart.Hosts, func(allowed string) bool {
		return strings.ToLower(allowed) == host
	})
	if !listed && (host == "" || originOf(address) != originOf(p.AuthorizationURL)) {
		return nil, errors.New("is no https address of a host that authorizationRequest.storeStart.hosts lists")
	}
	return &url.URL{Scheme: parsed.Scheme, Host: host, Path: parsed.Path, RawPath: parsed.RawPath, RawQuery: parsed.RawQuery}, nil
}
