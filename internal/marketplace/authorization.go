package marketplace

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/dialect"
	"github.com/tokenkeeper/tokenkeeper/internal/outgoing"
	"github.com/tokenkeeper/tokenkeeper/internal/placeholder"
)

// AuthorizationParameters are the parameters of an authorization request that belong to one sign-in. An empty one is not sent.
type AuthorizationParameters struct {
	// ClientID is the application's. ApplicationID takes its place where ClientIDKey names another key than client_id.
	ClientID, ApplicationID string
	// RedirectURI is the address to which the browser comes back, or the platform's name for it (eBay's RuName).
	RedirectURI string
	// State binds the callback to the visit (RFC 6749 section 10.12). It must be set.
	State string
	// Challenge is the S256 code challenge (RFC 7636 section 4.2), Nonce binds the ID token (OIDC Core section 3.1.2.1).
	Challenge, Nonce string
}

// AuthorizationRequest returns the address to which a browser is sent to sign in (RFC 6749 section 4.1.1). The endpoint is
// AuthorizationURL, or the one that discovery named in its place.
func (p *Platform) AuthorizationRequest(endpoint string, a AuthorizationParameters) (string, error) {
	if err := outgoing.CheckURL(endpoint); err != nil {
		return "", fmt.Errorf("the authorization endpoint: %w", err)
	}
	standard, err := p.visit(a)
	if err != nil {
		return "", err
	}
	clientID := a.ClientID
	if key := p.ClientIDKey(); key != v1alpha1.ApplicationKeyClientID {
		if a.ApplicationID == "" {
			return "", fmt.Errorf("the application Secret must have key %q, which the marketplace wants instead of client_id", key)
		}
		clientID = a.ApplicationID
	}
	standard.Set("response_type", "code")
	standard.Set("client_id", clientID)
	if len(p.Scopes) > 0 {
		standard.Set("scope", strings.Join(p.Scopes, cmp.Or(p.scopeSep, " ")))
	}
	return dialect.WithParameters(endpoint, p.browserParameters(standard, a.ClientID))
}

// ClientIDKey is the key of the application Secret that authorization requests send as client_id. Where the Marketplace names none, it is
// client_id, or application_id where the platform has another name for that parameter.
func (p *Platform) ClientIDKey() string {
	renamed := slices.ContainsFunc(p.authorization.Rename, func(r v1alpha1.Rename) bool { return r.From == "client_id" })
	switch {
	case p.authorization.ClientIDKey != "":
		return p.authorization.ClientIDKey
	case renamed:
		return v1alpha1.ApplicationKeyApplicationID
	}
	return v1alpha1.ApplicationKeyClientID
}

// visit are the standard parameters that belong to one sign-in, whether the operator or the platform's store began it.
func (p *Platform) visit(a AuthorizationParameters) (url.Values, error) {
	if a.State == "" {
		return nil, errors.New("an authorization request must have a state")
	}
	standard := url.Values{"state": {a.State}}
	if a.RedirectURI != "" {
		standard.Set("redirect_uri", a.RedirectURI)
	}
	if a.Challenge != "" {
		standard.Set("code_challenge", a.Challenge)
		standard.Set("code_challenge_method", "S256")
	}
	if a.Nonce != "" {
		standard.Set("nonce", a.Nonce)
	}
	return standard, nil
}

// browserParameters makes the platform's parameters of standard ones.
func (p *Platform) browserParameters(standard url.Values, clientID string) url.Values {
	for _, name := range p.authorization.Omit {
		standard.Del(name)
	}
	known := placeholder.Known{ClientID: clientID, AccountID: p.accountID}
	for _, parameter := range p.authorization.Parameters {
		if parameter.Name == "nonce" && standard.Has("nonce") {
			continue // it binds the ID token, and is as random
		}
		if value, ok := known.Parameter(parameter.Value); ok {
			standard.Set(parameter.Name, value)
		}
	}
	return dialect.Renamed(standard, p.authorization.Rename)
}

const (
	// maxParameter bounds a parameter that a browser brings. Codes of real platforms stay below 2 KiB.
	maxParameter = 4096
	// maxAddress bounds an address that it brings, as the API bounds the addresses of a Marketplace.
	maxAddress = 2048
	// maxWords is the longest error text that is shown.
	maxWords = 200
)

// Callback holds the parameters that a browser brings back (RFC 6749 section 4.1.2). A forged one looks the same: nothing of it is true
// before State is known to be the browser's, and AccountID, for which only the browser vouches, not even then.
type Callback struct {
	// Code is a credential; empty when Error is set.
	Code string
	// AccountID is the account that the consent is for, where the platform names it.
	AccountID string
	State     string
	// Issuer is the authorization server (RFC 9207 section 2); empty when the callback does not name it.
	Issuer string
	// Published are parameters that the Marketplace publishes, by their keys.
	Published map[string]string
	// Error and ErrorDescription tell why there is no code (RFC 6749 section 4.1.2.1).
	Error, ErrorDescription string
}

// Callback reads the query of a callback by the platform's names. It may hold neither code nor error. The text of its
// error holds nothing that the browser brought.
func (p *Platform) Callback(query url.Values) (Callback, error) {
	var callback Callback
	for _, parameter := range []struct {
		name  string
		limit int
		into  *string
	}{
		{cmp.Or(p.authorization.Callback.Code, "code"), maxParameter, &callback.Code},
		{p.authorization.Callback.AccountID, maxParameter, &callback.AccountID},
		{"state", maxParameter, &callback.State},
		{"iss", maxAddress, &callback.Issuer},
		{"error", maxParameter, &callback.Error},
		{"error_description", maxParameter, &callback.ErrorDescription},
	} {
		value, err := only(query, parameter.name, parameter.limit)
		if err != nil {
			return Callback{}, fmt.Errorf("the callback: %w", err)
		}
		*parameter.into = value
	}
	callback.AccountID = bounds.Identifier(callback.AccountID)
	callback.Published = p.publishedOf(query)
	callback.Error, callback.ErrorDescription = words(callback.Error), words(callback.ErrorDescription)
	if callback.Error != "" {
		callback.Code = ""
	}
	return callback, nil
}

// CallbackTellsAccount tells whether callbacks name the account of the consent.
func (p *Platform) CallbackTellsAccount() bool { return p.authorization.Callback.AccountID != "" }

// only returns the one value of a parameter, empty when there is none.
func only(query url.Values, name string, limit int) (string, error) {
	values := query[name]
	switch {
	case name == "" || len(values) == 0:
		return "", nil
	case len(values) > 1:
		return "", fmt.Errorf("parameter %q is there %d times", name, len(values))
	case len(values[0]) > limit:
		return "", fmt.Errorf("parameter %q is longer than %d bytes", name, limit)
	}
	return values[0], nil
}

// words makes a text that a browser brought one short line that can be printed.
func words(text string) string {
	return bounds.CutCharacters(strings.Join(strings.Fields(bounds.Printable(text)), " "), maxWords)
}
