package demomarket

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
)

// Person is somebody at a browser that is a mere HTTP client. He looks at the account that he is shown, and allows access.
// He goes by what the pages say, so that he can sign in at a demo marketplace that runs elsewhere.
type Person struct {
	// User and Password are what he logs in with. [Market.SignIn] takes those of the seller when they are empty.
	User, Password string
	// SellerID is the account that he means. Empty means whichever he is shown; to [Market.SignIn] without a User it means
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
// first button he presses. The browser is a client with a cookie jar, and one without a jar is a browser that nobody used
// before; its CheckRedirect is not asked.
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

// SignIn is [Person.SignIn] at this platform, wherever it is served.
func (m *Market) SignIn(ctx context.Context, browser *http.Client, link string, person Person) (*url.URL, error) {
	person, err := m.introduce(person)
	if err != nil {
		return nil, err
	}
	page, err := newTab(browser, person).walk(ctx, link, func(page openPage) bool {
		return page.location != nil && m.sendsBack(page.address)
	})
	return page.location, err
}

// sendsBack tells whether an address is one from which people are sent back to applications.
func (m *Market) sendsBack(address *url.URL) bool {
	platform, paths := "/"+m.platform.Name, m.platform.Paths
	return strings.HasSuffix(address.Path, platform+paths.Authorization) ||
		(paths.Confirmation != "" && strings.Contains(address.Path, platform+paths.Confirmation+"/"))
}

// introduce tells a person what he logs in with.
func (m *Market) introduce(person Person) (Person, error) {
	if person.User != "" {
		return person, nil
	}
	if person.SellerID == "" {
		person.SellerID = m.platform.Seller.ID
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, known := range m.users {
		if known.seller == person.SellerID {
			person.User, person.Password = name, known.password
			return person, nil
		}
	}
	return person, fmt.Errorf("no user logs in on behalf of seller %q", person.SellerID)
}
