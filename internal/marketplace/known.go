package marketplace

import (
	"crypto/rand"
	"net/url"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// known are what the names stand for that are filled in when a request is made.
type known struct{ clientID, accountID, accessToken string }

// fill replaces them in a text. It returns false where the text needs an account that is not known yet.
func (k known) fill(text string, escape func(string) string) (string, bool) {
	whole := true
	filled, _ := replaced(text, func(name string) (string, bool) {
		switch {
		case name == clientIDName:
			return k.clientID, true
		case name == randomName:
			return rand.Text(), true
		case name == accountIDName:
			whole = whole && k.accountID != ""
			return escape(k.accountID), true
		case name == accessTokenName && k.accessToken != "":
			return k.accessToken, true
		}
		return "{" + name + "}", true
	})
	return filled, whole
}

// header is the value of a header. The account's identifier comes from an answer or a browser, so it is escaped.
func (k known) header(value v1alpha1.Text) (string, bool) { return k.fill(string(value), escaped) }

// parameter is the value of a parameter, which is escaped when the form or the query is written.
func (k known) parameter(value v1alpha1.Text) (string, bool) {
	return k.fill(string(value), func(text string) string { return text })
}

// escaped is a text that is nothing but one word in a header.
func escaped(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }
