package demomarket

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Device says how a platform's device flow differs from RFC 8628.
type Device struct {
	// Lifetime is how long a person has to decide.
	Lifetime time.Duration
	// Interval is how long a client has to wait between two polls, in whole seconds. Each poll that comes sooner than that
	// makes it five seconds longer (section 3.5), and no poll before its end is answered.
	Interval time.Duration
	// UserCode is the form of user codes, in which letters of UserCodeLetters take the place of each asterisk.
	UserCode        string
	UserCodeLetters string
	// CodeParameter names the user code in verification_uri_complete. Empty means user_code.
	CodeParameter string
	// ClientIDRequired wants client_id also of a client that authenticates by Basic.
	ClientIDRequired bool
	// Query lets parameters of the device authorization request be in the query.
	Query bool
	// Strings sends expires_in and interval as strings.
	Strings bool
}

// read takes the parameters of a device authorization request.
func (d Device) read(x *exchange, r *http.Request) {
	if d.Query {
		x.readAnywhere(r)
		return
	}
	x.read(r, Form)
}

// codeParameter is the name of the user code on the page.
func (d Device) codeParameter() string {
	if d.CodeParameter == "" {
		return "user_code"
	}
	return d.CodeParameter
}

// newUserCode makes a user code from random bytes.
func (d Device) newUserCode(random []byte) string {
	var made strings.Builder
	for _, place := range d.UserCode {
		if place != '*' || len(random) == 0 {
			made.WriteRune(place)
			continue
		}
		made.WriteByte(d.UserCodeLetters[int(random[0])%len(d.UserCodeLetters)])
		random = random[1:]
	}
	return made.String()
}

// number is a duration in seconds as the platform writes it.
func (d Device) number(duration time.Duration) any {
	if d.Strings {
		return seconds(duration)
	}
	return int64(duration / time.Second)
}

// serveDeviceAuthorization is the device authorization endpoint (RFC 8628 section 3.1).
func (m *Market) serveDeviceAuthorization(w http.ResponseWriter, r *http.Request) {
	x := exchangeOf(r)
	held, value, denied := m.newDevice(x)
	if denied != nil {
		m.refuse(w, x, denied)
		return
	}
	x.outcome = OK
	policy := m.platform.Device
	page := m.address(r) + m.platform.Paths.Device
	writeJSON(w, http.StatusOK, map[string]any{
		"device_code":               value,
		"user_code":                 held.userCode,
		"verification_uri":          page,
		"verification_uri_complete": page + "?" + policy.codeParameter() + "=" + url.QueryEscape(held.userCode),
		"expires_in":                policy.number(held.expires.Sub(held.issued)),
		"interval":                  policy.number(policy.Interval),
	})
}

// newDevice makes the codes for a device authorization request.
func (m *Market) newDevice(x *exchange) (*deviceCode, string, *denial) {
	if x.unreadable != nil {
		return nil, "", x.unreadable
	}
	if denied := m.authenticate(x); denied != nil {
		return nil, "", denied
	}
	if m.platform.Device.ClientIDRequired && x.parameters["client_id"] == "" {
		return nil, "", deny(InvalidRequest, "client_id is missing")
	}
	granted, denied := m.grantedScopes(x.scopes(), m.platform.Scopes)
	if denied != nil {
		return nil, "", denied
	}
	value, err := m.server.random()
	if err != nil {
		return nil, "", deny(ServerError, err.Error())
	}
	bits, err := m.server.randomBits()
	if err != nil {
		return nil, "", deny(ServerError, err.Error())
	}
	m.server.secrets.noteCode(value)
	now := m.now()
	m.mu.Lock()
	defer m.mu.Unlock()
	held := &deviceCode{
		clientID: x.clientID,
		userCode: m.platform.Device.newUserCode(bits[:]),
		asked:    x.scopes(),
		granted:  granted,
		issued:   now,
		expires:  now.Add(m.lifetimes.DeviceCode),
		interval: m.platform.Device.Interval,
	}
	m.devices.add(value, held)
	m.judge.note(func(t *Tally) { t.DeviceCodes.Issued++ })
	return held, value, nil
}
