package demomarket

import (
	"errors"
	"net/http"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
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
	blank := screen{Page: "code", Title: "Connect an application", Action: x.request.URL.Path, CodeName: parameter, UserCode: typed}
	if typed == "" {
		return reply{screen: blank}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	held := m.devices.open(typed, m.now())
	if held == nil {
		blank.Message = "This code is not known, or its time is over. Please check it, or let the application show a new one."
		return reply{status: http.StatusBadRequest, screen: blank}
	}
	v := &visit{
		errand: held, clientID: held.clientID, scopes: held.granted, prompts: []string{"consent"}, userCode: held.userCode,
	}
	return m.goOn(x, v, m.session(x))
}

// allowed is the answer to a person's yes.
func (d *deviceCode) allowed(m *Market, _ *exchange, seller platforms.Seller) reply {
	if err := d.decide(m, approved, seller); err != nil {
		return stopped(http.StatusBadRequest, "Too late", "The code is no longer valid. Let the application show a new one.")
	}
	return stopped(http.StatusOK, "Access is allowed", "You can close this page and go back to the application.")
}

// denied is the answer to his no.
func (d *deviceCode) denied(m *Market, _ *exchange) reply {
	if err := d.decide(m, rejected, platforms.Seller{}); err != nil {
		return stopped(http.StatusBadRequest, "Too late", "The code is no longer valid.")
	}
	return stopped(http.StatusOK, "Access is denied", "You can close this page. The application gets no access.")
}

// decide lets a person decide, once and in time. The market's lock is held.
func (d *deviceCode) decide(m *Market, said verdict, seller platforms.Seller) error {
	if d.verdict != undecided || !m.now().Before(d.expires) {
		return errors.New("nobody can decide about this user code any more")
	}
	d.verdict, d.seller = said, seller
	return nil
}

// ApproveDevice acts as a seller who enters a user code, logs in and allows access. A seller that is not known yet
// is added with his id as login.
func (m *Market) ApproveDevice(userCode, sellerID string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.decideDevice(userCode, approved, m.knownSeller(sellerID))
}

// DenyDevice acts as a person who enters a user code and denies access.
func (m *Market) DenyDevice(userCode string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.decideDevice(userCode, rejected, platforms.Seller{})
}

// decideDevice decides about a user code. The market's lock is held.
func (m *Market) decideDevice(userCode string, said verdict, seller platforms.Seller) error {
	held := m.devices.open(userCode, m.now())
	if held == nil {
		return errors.New("no such user code waits for a decision")
	}
	return held.decide(m, said, seller)
}
