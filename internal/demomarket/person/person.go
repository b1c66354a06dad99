package person

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
)

// Person sits before a browser that is a mere HTTP client. He looks at the account that he is shown, and allows access.
type Person struct {
	// User and Password are his credentials. SignIn of a market takes the seller's credentials when they are empty.
	User, Password string
	// SellerID is the account that he means. Empty means any account that he is shown; to SignIn of a market without a User it means
	// the platform's Seller.
	SellerID string
	// Careless makes him go on with whatever account the browser is logged in with.
	Careless bool
	// Deny makes him deny access.
	Deny bool
}

// SignIn goes where a link leads and through the pages as a person does, and returns the address to which the marketplace
// at this base address sends him back, without going there. The link is one to the marketplace, also to its store, or
// one of an application that leads there: by redirects, by pages that go on by themselves, and by pages with a form, whose
// first button he presses. The browser is a client with a cookie jar, and one without a jar is a new browser; its CheckRedirect is not asked.
func (p Person) SignIn(ctx context.Context, browser *http.Client, market, link string) (*url.URL, error) {
	base := strings.TrimSuffix(market, "/") + "/"
	within := func(address *url.URL) bool { return strings.HasPrefix(address.String(), base) }
	page, err := newTab(browser, p).walk(ctx, link, func(page openPage) bool {
		return page.location != nil && within(page.address) && !within(page.location) && !fromStore(page.location)
	})
	return page.location, err
}

// fromStore tells whether an address is a Login URI, from where people come back to the marketplace.
func fromStore(address *url.URL) bool {
	return address.Query().Has(platforms.Amazon().Store.CallbackParameter)
}

// DecideDevice goes where the verification_uri_complete of a device code leads, and allows access, or denies it. The browser
// is one as for SignIn.
func (p Person) DecideDevice(ctx context.Context, browser *http.Client, link string) error {
	page, err := newTab(browser, p).walk(ctx, link, func(page openPage) bool { return page.name() == "message" })
	if err != nil {
		return err
	}
	if page.pressed != "allow" && page.pressed != "deny" {
		return fmt.Errorf("the page at %s is not one for devices: %s", page.address.Path, page.problem())
	}
	return nil
}

// Until goes where a link leads and through the pages, until a page whose address satisfies last sends him on, and returns the address to which
// it does. The browser is one as for SignIn.
func (p Person) Until(ctx context.Context, browser *http.Client, link string, last func(*url.URL) bool) (*url.URL, error) {
	page, err := newTab(browser, p).walk(ctx, link, func(page openPage) bool { return page.location != nil && last(page.address) })
	return page.location, err
}
