package demomarket

import (
	"errors"
	"net/http"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/pages"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/tokens"
)

// serveDevice is the page where a person enters a user code and decides about it (RFC 8628 section 3.3). Whoever is
// logged in already is still asked, since anybody may have sent him the link (section 5.4).
func (m *Market) serveDevice(w http.ResponseWriter, r *http.Request) {
	m.servePages(w, r, m.beginDevice)
}

// beginDevice answers a visitor with or without a code.
func (m *Market) beginDevice(x *exchange) reply {
	parameter := m.platform.Device.UserCodeParameter()
	typed := x.parameters[parameter]
	blank := pages.Screen{Page: "code", Title: "Connect an application", Action: x.request.URL.Path, CodeName: parameter, UserCode: typed}
	if typed == "" {
		return reply{screen: blank}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	held := m.devices.Open(typed, m.now())
	if held == nil {
		blank.Message = "This code is not known, or its time is over. Please check it, or let the application show a new one."
		return reply{status: http.StatusBadRequest, screen: blank}
	}
	v := &visit{
		errand: decision{held}, clientID: held.ClientID, scopes: held.Granted, prompts: []string{"consent"}, userCode: held.UserCode,
	}
	return m.goOn(x, v, m.session(x))
}

// decision is the errand of a person who decides about a device code.
type decision struct{ code *tokens.DeviceCode }

// allowed is the answer to a person's yes.
func (d decision) allowed(m *Market, _ *exchange, seller platforms.Seller) reply {
	if err := d.code.Decide(tokens.Approved, seller, m.now()); err != nil {
		return stopped(http.StatusBadRequest, "Too late", "The code is no longer valid. Let the application show a new one.")
	}
	return stopped(http.StatusOK, "Access is allowed", "You can close this page and go back to the application.")
}

// denied is the answer to his no.
func (d decision) denied(m *Market, _ *exchange) reply {
	if err := d.code.Decide(tokens.Rejected, platforms.Seller{}, m.now()); err != nil {
		return stopped(http.StatusBadRequest, "Too late", "The code is no longer valid.")
	}
	return stopped(http.StatusOK, "Access is denied", "You can close this page. The application gets no access.")
}

// ApproveDevice acts as a seller who enters a user code, logs in and allows access. A seller that is not known yet
// is added with his id as login.
func (m *Market) ApproveDevice(userCode, sellerID string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.decideDevice(userCode, tokens.Approved, m.knownSeller(sellerID))
}

// DenyDevice acts as a person who enters a user code and denies access.
func (m *Market) DenyDevice(userCode string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.decideDevice(userCode, tokens.Rejected, platforms.Seller{})
}

// decideDevice decides about a user code. The market's lock is held.
func (m *Market) decideDevice(userCode string, said tokens.Verdict, seller platforms.Seller) error {
	held := m.devices.Open(userCode, m.now())
	if held == nil {
		return errors.New("no such user code waits for a decision")
	}
	return held.Decide(said, seller, m.now())
}
