package demomarket

import (
	"net/http"
	"net/url"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/judge"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/tokens"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/wire"
)

// serveDeviceAuthorization is the device authorization endpoint (RFC 8628 section 3.1).
func (m *Market) serveDeviceAuthorization(w http.ResponseWriter, r *http.Request) {
	x := exchangeOf(r)
	held, value, denied := m.newDevice(x)
	if denied != nil {
		m.refuse(w, x, denied)
		return
	}
	x.outcome = platforms.OK
	policy := m.platform.Device
	page := m.Address(r) + m.platform.Paths.Device
	wire.WriteJSON(w, http.StatusOK, map[string]any{
		"device_code":               value,
		"user_code":                 held.UserCode,
		"verification_uri":          page,
		"verification_uri_complete": page + "?" + policy.UserCodeParameter() + "=" + url.QueryEscape(held.UserCode),
		"expires_in":                policy.Number(held.Expires.Sub(held.Issued)),
		"interval":                  policy.Number(policy.Interval),
	})
}

// newDevice makes the codes for a device authorization request.
func (m *Market) newDevice(x *exchange) (*tokens.DeviceCode, string, *denial) {
	if x.unreadable != nil {
		return nil, "", x.unreadable
	}
	if denied := m.authenticate(x); denied != nil {
		return nil, "", denied
	}
	if m.platform.Device.ClientIDRequired && x.parameters["client_id"] == "" {
		return nil, "", deny(platforms.InvalidRequest, "client_id is missing")
	}
	granted, denied := m.grantedScopes(x.scopes(), m.platform.Scopes)
	if denied != nil {
		return nil, "", denied
	}
	value, err := m.server.random()
	if err != nil {
		return nil, "", deny(platforms.ServerError, err.Error())
	}
	bits, err := m.server.randomBits()
	if err != nil {
		return nil, "", deny(platforms.ServerError, err.Error())
	}
	m.server.secrets.NoteCode(value)
	now := m.now()
	m.mu.Lock()
	defer m.mu.Unlock()
	held := &tokens.DeviceCode{
		ClientID: x.clientID,
		UserCode: m.platform.Device.NewUserCode(bits[:]),
		Asked:    x.scopes(),
		Granted:  granted,
		Issued:   now,
		Expires:  now.Add(m.lifetimes.DeviceCode),
		Interval: m.platform.Device.Interval,
	}
	m.devices.Add(value, held)
	m.judge.Note(func(t *judge.Tally) { t.DeviceCodes.Issued++ })
	return held, value, nil
}
