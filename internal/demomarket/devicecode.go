package demomarket

import (
	"strings"
	"time"
)

const (
	// slowDownStep is what a poll that came too early adds to the interval (RFC 8628 section 3.5).
	slowDownStep = 5 * time.Second
	// pollTolerance is how much sooner than the interval a poll may arrive, since the one before it may have taken longer
	// on its way.
	pollTolerance = 100 * time.Millisecond
)

// verdict is what a person said about a device code.
type verdict int

const (
	undecided verdict = iota
	approved
	rejected
)

// deviceCode is a device code with the user code that belongs to it.
type deviceCode struct {
	clientID string
	userCode string
	asked    []string
	granted  []string
	issued   time.Time
	expires  time.Time
	interval time.Duration // grows
	polled   time.Time     // last; zero before the first
	verdict  verdict
	seller   Seller // who approved it
	used     bool
}

// deviceCodes are all those of a market. The market's lock guards them.
type deviceCodes struct {
	codes map[tokenKey]*deviceCode
	users map[string]*deviceCode // by user code, as plainUserCode writes it
}

// newDeviceCodes returns none yet.
func newDeviceCodes() deviceCodes {
	return deviceCodes{codes: map[tokenKey]*deviceCode{}, users: map[string]*deviceCode{}}
}

// add registers a device code.
func (s deviceCodes) add(value string, held *deviceCode) {
	s.codes[keyOf(value)] = held
	s.users[plainUserCode(held.userCode)] = held
}

// open returns the code that a person may decide about, nil when there is none or no longer.
func (s deviceCodes) open(userCode string, now time.Time) *deviceCode {
	held := s.users[plainUserCode(userCode)]
	if held == nil || held.verdict != undecided || !now.Before(held.expires) {
		return nil
	}
	return held
}

// plainUserCode is a user code without what people add or leave out when they type (RFC 8628 section 6.1).
func plainUserCode(typed string) string {
	return strings.ToUpper(strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return -1
		}
		return r
	}, typed))
}

// deviceCode is RFC 8628 section 3.4.
func (m *Market) deviceCode(x *exchange) (issuance, *denial) {
	presented := x.parameters["device_code"]
	if presented == "" {
		return issuance{}, deny(InvalidRequest, "device_code is missing")
	}
	held := m.devices.codes[keyOf(presented)]
	if held == nil || held.clientID != x.clientID {
		return issuance{}, deny(InvalidDeviceCode, "the device code is not known")
	}
	if denied := m.poll(held); denied != nil {
		return issuance{}, denied
	}
	held.used = true
	m.judge.note(func(t *Tally) { t.DeviceCodes.Used++ })
	return issuance{
		grant:    GrantDeviceCode,
		clientID: x.clientID,
		seller:   held.seller,
		asked:    held.asked,
		granted:  held.granted,
		audience: x.parameters["audience"],
	}, nil
}

// early tells whether a poll at now comes before an interval is over.
func (d *deviceCode) early(now time.Time, interval time.Duration) bool {
	return !d.polled.IsZero() && now.Sub(d.polled) < interval-pollTolerance
}

// poll tells why there are no tokens for a device code, if there are none. The interval grows only with polls that come
// sooner than the platform's own, so that a client which was not told, since the answer was lost, catches up.
func (m *Market) poll(held *deviceCode) *denial {
	now := m.now()
	early, hasty := held.early(now, held.interval), held.early(now, m.platform.Device.Interval)
	held.polled = now
	m.judge.note(func(t *Tally) {
		t.DevicePolls++
		switch {
		case held.used:
			t.DeviceCodes.Reused++
		case !now.Before(held.expires):
			t.DeviceCodes.Expired++
		case early:
			t.EarlyPolls++
		}
	})
	switch {
	case held.used:
		return deny(InvalidDeviceCode, "the device code was used before")
	case !now.Before(held.expires):
		return deny(ExpiredDeviceCode, "the device code has expired")
	case hasty:
		held.interval += slowDownStep
		return deny(SlowDown, "the interval was not over")
	case early:
		return deny(SlowDown, "the interval, which has grown, was not over")
	case held.verdict == rejected:
		return deny(ConsentDenied, "the user denied access")
	case held.verdict == undecided:
		return deny(AuthorizationPending, "the user has not decided yet")
	}
	return nil
}
