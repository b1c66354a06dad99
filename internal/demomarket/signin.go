package demomarket

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/person"
)

// Person signs in as a person does, without a browser (package person).
type Person = person.Person

// SignIn is [Person.SignIn] at this platform, wherever it is served.
func (m *Market) SignIn(ctx context.Context, browser *http.Client, link string, visitor Person) (*url.URL, error) {
	visitor, err := m.introduce(visitor)
	if err != nil {
		return nil, err
	}
	return visitor.Until(ctx, browser, link, m.sendsBack)
}

// sendsBack tells whether an address is one from which people are sent back to applications.
func (m *Market) sendsBack(address *url.URL) bool {
	platform, paths := "/"+m.platform.Name, m.platform.Paths
	return strings.HasSuffix(address.Path, platform+paths.Authorization) ||
		(paths.Confirmation != "" && strings.Contains(address.Path, platform+paths.Confirmation+"/"))
}

// introduce gives a person the credentials of the seller whom he means, where he has none.
func (m *Market) introduce(visitor Person) (Person, error) {
	if visitor.User != "" {
		return visitor, nil
	}
	if visitor.SellerID == "" {
		visitor.SellerID = m.platform.Seller.ID
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for name, known := range m.users {
		if known.seller == visitor.SellerID {
			visitor.User, visitor.Password = name, known.password
			return visitor, nil
		}
	}
	return visitor, fmt.Errorf("no user logs in on behalf of seller %q", visitor.SellerID)
}
