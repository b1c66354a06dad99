package placeholder

import (
	"crypto/rand"
	"net/url"
	"regexp"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Names that are filled in when a request is made.
const (
	// ClientID is the client_id of the request.
	ClientID = "clientID"
	// AccountID is the account that the tokens belong to, once it is known.
	AccountID = "accountID"
	// Random is another text each time.
	Random = "random"
	// AccessToken is the access token, in the headers of the identity request alone.
	AccessToken = "accessToken"
)

var pattern = regexp.MustCompile(`\{[A-Za-z][A-Za-z0-9_-]*\}`)

// Replace fills in a template; look returns the value of a name, and whether it has one. unknown are
// the names without a value, in their braces.
func Replace(template string, look func(name string) (string, bool)) (filled string, unknown []string) {
	filled = pattern.ReplaceAllStringFunc(template, func(match string) string {
		value, ok := look(match[1 : len(match)-1])
		if !ok {
			unknown = append(unknown, match)
		}
		return value
	})
	return filled, unknown
}

// Known are the values of the names that are filled in when a request is made; empty where a value is not known yet.
type Known struct{ ClientID, AccountID, AccessToken string }

// fill replaces the names in a text. It returns false where the text needs an account that is not known yet.
func (k Known) fill(text string, escape func(string) string) (string, bool) {
	whole := true
	filled, _ := Replace(text, func(name string) (string, bool) {
		switch {
		case name == ClientID:
			return k.ClientID, true
		case name == Random:
			return rand.Text(), true
		case name == AccountID:
			whole = whole && k.AccountID != ""
			return escape(k.AccountID), true
		case name == AccessToken && k.AccessToken != "":
			return k.AccessToken, true
		}
		return "{" + name + "}", true
	})
	return filled, whole
}

// Header fills in the value of a header; false where the header is not sent. The account's identifier comes from an answer or a browser, so
// it is escaped.
func (k Known) Header(value v1alpha1.Text) (string, bool) { return k.fill(string(value), escaped) }

// Parameter fills in the value of a parameter; false where the parameter is not sent. The value is escaped when the form or the query is
// written.
func (k Known) Parameter(value v1alpha1.Text) (string, bool) {
	return k.fill(string(value), func(text string) string { return text })
}

// escaped is a text that is nothing but one word in a header.
func escaped(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }
