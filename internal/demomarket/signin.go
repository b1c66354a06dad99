package demomarket

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
)

// signInSteps is more than any way through the pages needs.
const signInSteps = 12

// Person is somebody at a browser, for [Market.SignIn]. The zero value is the user of the platform's Seller, who looks at
// the account that he is shown, and allows access.
type Person struct {
	// SellerID is the account that he means. Empty means the platform's Seller.
	SellerID string
	// Careless makes him go on with whatever account the browser is logged in with.
	Careless bool
	// Deny makes him deny access.
	Deny bool
}

// SignIn goes where a link leads and through the pages of the platform as a person does, and returns the address to which
// the platform sends him back, without going there. The link is an authorization URL, or one that redirects to such a
// URL. The browser is a client with a cookie jar, and one without a jar is a browser that nobody used before; its
// CheckRedirect is not asked.
func (m *Market) SignIn(ctx context.Context, browser *http.Client, link string, person Person) (*url.URL, error) {
	tab, err := m.newTab(browser, person)
	if err != nil {
		return nil, err
	}
	next, err := http.NewRequestWithContext(ctx, http.MethodGet, link, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("reading the link: %w", err)
	}
	for range signInSteps {
		page, err := tab.open(next)
		if err != nil {
			return nil, err
		}
		if page.location != nil && tab.here(next.URL) {
			return page.location, nil
		}
		if next, err = tab.answer(ctx, page); err != nil {
			return nil, err
		}
	}
	return nil, errors.New("the pages have no end")
}

// tab is a browser's tab with a person before it.
type tab struct {
	client         *http.Client
	path           string // of the authorization endpoint
	person         Person
	user, password string
}

// newTab opens one.
func (m *Market) newTab(browser *http.Client, person Person) (*tab, error) {
	client := *browser
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if client.Jar == nil {
		client.Jar, _ = cookiejar.New(nil) // cannot fail
	}
	if person.SellerID == "" {
		person.SellerID = m.platform.Seller.ID
	}
	t := &tab{client: &client, path: "/" + m.platform.Name + m.platform.Paths.Authorization, person: person}
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, known := range m.users {
		if known.seller == person.SellerID {
			t.user, t.password = name, known.password
			return t, nil
		}
	}
	return nil, fmt.Errorf("no user logs in on behalf of seller %q", person.SellerID)
}

// here tells whether an address is that of the platform's pages.
func (t *tab) here(address *url.URL) bool { return strings.HasSuffix(address.Path, t.path) }

// openPage is a page as the person sees it, or a redirect.
type openPage struct {
	address  *url.URL
	location *url.URL // nil when it is a page
	body     string
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
	return page, nil
}

// answer is what the person does with a page: the request that follows.
func (t *tab) answer(ctx context.Context, page openPage) (*http.Request, error) {
	if page.location != nil {
		next, err := http.NewRequestWithContext(ctx, http.MethodGet, page.location.String(), http.NoBody)
		if err != nil {
			return nil, fmt.Errorf("following a redirect: %w", err)
		}
		return next, nil
	}
	pressed := t.press(page)
	if pressed == "" {
		return nil, fmt.Errorf("the page at %s is not one for signing in: %s", page.address.Path, page.problem())
	}
	form := url.Values{"action": {pressed}, "visit": {page.field("visit")}, "account": {page.field("account")}}
	if pressed == "login" {
		form.Set("username", t.user)
		form.Set("password", t.password)
	}
	target := *page.address
	target.RawQuery = ""
	next, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("filling in a form: %w", err)
	}
	next.Header.Set("Content-Type", formType)
	return next, nil
}

// press is the button that the person presses on a page, empty when it is none that he knows.
func (t *tab) press(page openPage) string {
	theirs := !t.person.Careless && page.field("account") != t.person.SellerID
	switch shown := step(between(page.body, `data-page="`, `"`)); {
	case shown == loginStep:
		return "login"
	case shown != accountStep && shown != consentStep:
		return ""
	case theirs:
		return "switch"
	case shown == accountStep:
		return "continue"
	case t.person.Deny:
		return "deny"
	}
	return "allow"
}

// field is the value of a hidden field.
func (p openPage) field(name string) string {
	return html.UnescapeString(between(p.body, `name="`+name+`" value="`, `"`))
}

// problem is what the page complains of.
func (p openPage) problem() string {
	words := between(p.body, `<p role="alert">`, "</p>")
	if words == "" {
		words = between(p.body, "<p>", "</p>")
	}
	return html.UnescapeString(words)
}

// between is the first part of text that is between two others, empty when there is none.
func between(text, before, after string) string {
	_, rest, _ := strings.Cut(text, before)
	part, _, found := strings.Cut(rest, after)
	if !found {
		return ""
	}
	return part
}
