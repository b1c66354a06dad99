package portal

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

const (
	donePath = "/done/"
	// resultCookie and an ID hold the result of one sign-in, so that any replica can show it and two that end at once
	// are not mixed up.
	resultCookie = "__Host-tokenkeeper-result-"
	// resultID is the length of the ID.
	resultID = 16
	// resultLife is how long a browser may take from one page to the next.
	resultLife = 2 * time.Minute
	// maxShown and maxTold bound names and longer texts in a result.
	maxShown = 128
	maxTold  = 300
)

// result is how a sign-in ended: with an Outcome or with an Error. It travels in a cookie, which a visitor can write as they
// like, so it is shown and not believed: nothing but the page of that browser comes from it.
type result struct {
	Outcome *signin.Outcome `json:",omitempty"`
	Error   *signin.Error   `json:",omitempty"`
}

// encode returns the value of a cookie. Texts that do not fit are cut: the ones that people have to read are short.
func (r result) encode() (string, error) {
	if r.Outcome != nil {
		outcome := *r.Outcome
		outcome.Account = cutAccount(outcome.Account)
		outcome.ID, outcome.SeenLogin = cut(outcome.ID, maxShown), cut(outcome.SeenLogin, maxShown)
		outcome.MissingScopes = cutAll(outcome.MissingScopes, maxTold)
		r.Outcome = &outcome
	}
	if r.Error != nil {
		e := *r.Error
		e.Account = cutAccount(e.Account)
		e.Detail, e.GotID = cut(e.Detail, maxTold), cut(e.GotID, maxShown)
		r.Error = &e
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false) // the page does; here it would only be longer
	if err := encoder.Encode(r); err != nil {
		return "", fmt.Errorf("writing the result of a sign-in: %w", err)
	}
	value := base64.RawURLEncoding.EncodeToString(bytes.TrimSpace(text.Bytes()))
	if len(value) > maxResult {
		return "", fmt.Errorf("the result of a sign-in takes %d bytes", len(value))
	}
	return value, nil
}

// decodeResult reads the value of a cookie, which may be anything.
func decodeResult(value string) (result, error) {
	var read result
	if len(value) > maxResult {
		return read, errResult
	}
	text, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil {
		return read, errResult
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&read); err != nil {
		return read, errResult
	}
	switch {
	case (read.Outcome == nil) == (read.Error == nil),
		read.Outcome != nil && !validAccount(read.Outcome.Account),
		read.Error != nil && statuses[read.Error.Problem] == 0,
		read.Error != nil && read.Error.Account.Namespace+read.Error.Account.Name != "" && !validAccount(read.Error.Account),
		read.Error != nil && len(read.Error.Ticket) > maxTicket:
		return read, errResult
	}
	return read, nil
}

func validAccount(account signin.Account) bool {
	return len(validation.IsDNS1123Label(account.Namespace)) == 0 && validName(account.Name)
}

func cutAccount(account signin.Account) signin.Account {
	account.Login, account.ExpectedID = cut(account.Login, maxShown), cut(account.ExpectedID, maxShown)
	account.Marketplace, account.Environment = cut(account.Marketplace, maxShown), cut(account.Environment, maxShown)
	return account
}

// cutAll returns as many texts as fit into a number of bytes, and an ellipsis for the rest.
func cutAll(texts []string, limit int) []string {
	var fitting []string
	for _, text := range texts {
		text = visibleText(text)
		if limit -= len(text); limit < 0 {
			return append(fitting, "…")
		}
		fitting = append(fitting, text)
	}
	return fitting
}

// cut returns a text of at most limit bytes without characters that cannot be seen.
func cut(text string, limit int) string { return bounds.Shorten(visibleText(text), limit) }

// visibleText returns a text with spaces for the characters that cannot be seen.
func visibleText(text string) string {
	return strings.Map(func(char rune) rune {
		if !unicode.IsPrint(char) {
			return ' '
		}
		return char
	}, strings.ToValidUTF8(text, "�"))
}
