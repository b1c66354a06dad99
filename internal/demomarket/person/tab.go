package person

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
)

const (
	// tabSteps is more than any way through the pages needs.
	tabSteps = 20
	// bodyLimit is more than any page holds.
	bodyLimit = 64 << 10
)

// The names that the pages of a demo marketplace say.
const (
	loginPage   = "login"
	accountPage = "account"
	consentPage = "consent"
	storePage   = "store"
)

// tab is a browser's tab with a person before it.
type tab struct {
	client *http.Client
	person Person
}

// newTab opens one.
func newTab(browser *http.Client, person Person) *tab {
	client := *browser
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if client.Jar == nil {
		client.Jar, _ = cookiejar.New(nil) // cannot fail
	}
	return &tab{client: &client, person: person}
}

// walk goes where a link leads, and presses the person's buttons on each page, until he has arrived.
func (t *tab) walk(ctx context.Context, link string, arrived func(openPage) bool) (openPage, error) {
	next, err := http.NewRequestWithContext(ctx, http.MethodGet, link, http.NoBody)
	if err != nil {
		return openPage{}, fmt.Errorf("reading the link: %w", err)
	}
	pressed := ""
	for range tabSteps {
		page, err := t.open(next)
		if err != nil {
			return openPage{}, err
		}
		if page.pressed = pressed; arrived(page) {
			return page, nil
		}
		if next, pressed, err = t.answer(ctx, page); err != nil {
			return openPage{}, err
		}
	}
	return openPage{}, errors.New("the pages have no end")
}

// open loads a page.
func (t *tab) open(r *http.Request) (openPage, error) {
	response, err := t.client.Do(r)
	if err != nil {
		return openPage{}, fmt.Errorf("opening a page: %w", err)
	}
	defer response.Body.Close()
	page := openPage{address: r.URL}
	if response.StatusCode >= 300 && response.StatusCode < 400 {
		if page.location, err = response.Location(); err != nil {
			return openPage{}, fmt.Errorf("following a redirect: %w", err)
		}
		return page, nil
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, bodyLimit))
	if err != nil {
		return openPage{}, fmt.Errorf("reading a page: %w", err)
	}
	page.body = string(body)
	if response.StatusCode != http.StatusOK {
		return openPage{}, fmt.Errorf("the page at %s says %d: %s", r.URL.Path, response.StatusCode, page.problem())
	}
	if onward := refreshPattern.FindStringSubmatch(page.body); onward != nil {
		if page.location, err = page.address.Parse(html.UnescapeString(onward[1])); err != nil {
			return openPage{}, fmt.Errorf("following a page that goes on by itself: %w", err)
		}
	}
	return page, nil
}

// answer acts on a page as the person does: it returns the request that follows, and the button that he pressed for it.
func (t *tab) answer(ctx context.Context, page openPage) (next *http.Request, pressed string, err error) {
	if page.location != nil {
		if next, err = http.NewRequestWithContext(ctx, http.MethodGet, page.location.String(), http.NoBody); err != nil {
			return nil, "", fmt.Errorf("following a redirect: %w", err)
		}
		return next, "", nil
	}
	target, filled, found := page.form()
	if !found {
		return nil, "", fmt.Errorf("the page at %s is not one for signing in: %s", page.address.Path, page.problem())
	}
	if pressed = t.press(page, filled); pressed != "" {
		filled.Set("action", pressed)
	}
	if pressed == "login" {
		filled.Set("username", t.person.User)
		filled.Set("password", t.person.Password)
	}
	next, err = http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(filled.Encode()))
	if err != nil {
		return nil, "", fmt.Errorf("filling in a form: %w", err)
	}
	next.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return next, pressed, nil
}

// press is the button that the person presses on a page of the marketplace, empty on a page of an application.
func (t *tab) press(page openPage, filled url.Values) string {
	theirs := t.person.SellerID != "" && !t.person.Careless && filled.Get("account") != t.person.SellerID
	switch shown := page.name(); {
	case shown == loginPage:
		return "login"
	case shown != accountPage && shown != consentPage && shown != storePage:
		return ""
	case theirs:
		return "switch"
	case shown == accountPage:
		return "continue"
	case t.person.Deny:
		return "deny"
	}
	return "allow"
}

// openPage is a page as the person sees it, or one that he does not see, since it leads to the next at once.
type openPage struct {
	address  *url.URL
	location *url.URL // of the next; nil when he sees this one
	body     string
	pressed  string // on the page before it
}

// name is the value of data-page, empty when the page has none.
func (p openPage) name() string { return between(p.body, `data-page="`, `"`) }

// The elements of a page, as html/template writes them: attributes in double quotes.
var (
	refreshPattern = regexp.MustCompile(`<meta http-equiv="refresh" content="0; url=([^"]*)">`)
	formPattern    = regexp.MustCompile(`(?s)<form( [^>]*)>(.*?)</form>`)
	inputPattern   = regexp.MustCompile(`<input( [^>]*)>`)
	buttonPattern  = regexp.MustCompile(`<button( [^>]*)?>`)
)

// form is the first form in the page's main part that is posted: where it goes, and what it sends when its first button is
// pressed and nothing is filled in. A form without an action goes to where the page came from.
func (p openPage) form() (target string, filled url.Values, found bool) {
	_, main, _ := strings.Cut(p.body, "<main>")
	for _, form := range formPattern.FindAllStringSubmatch(main, -1) {
		address, err := p.address.Parse(attribute(form[1], "action"))
		if err == nil && attribute(form[1], "method") == "post" {
			return address.String(), sent(form[2]), true
		}
	}
	return "", nil, false
}

// sent holds the fields that a form sends.
func sent(form string) url.Values {
	filled := url.Values{}
	set := func(attributes string) {
		if name := attribute(attributes, "name"); name != "" {
			filled.Set(name, attribute(attributes, "value"))
		}
	}
	for _, input := range inputPattern.FindAllStringSubmatch(form, -1) {
		set(input[1])
	}
	if button := buttonPattern.FindStringSubmatch(form); button != nil {
		set(button[1])
	}
	return filled
}

// attribute is the value of an element's attribute.
func attribute(attributes, name string) string {
	return html.UnescapeString(between(attributes, " "+name+`="`, `"`))
}

// problem is the complaint on the page.
func (p openPage) problem() string {
	words := between(p.body, `<p role="alert">`, "</p>")
	if words == "" {
		words = between(p.body, "<p>", "</p>")
	}
	return html.UnescapeString(words)
}

// between is the first part of text between two marks, empty when there is none.
func between(text, before, after string) string {
	_, rest, _ := strings.Cut(text, before)
	part, _, found := strings.Cut(rest, after)
	if !found {
		return ""
	}
	return part
}
