package demomarket

import (
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/judge"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/tokens"
)

const (
	// slowDownStep is added to the interval by a poll that came too early (RFC 8628 section 3.5).
	slowDownStep = 5 * time.Second
)

// deviceCode is RFC 8628 section 3.4.
func (m *Market) deviceCode(x *exchange) (issuance, *denial) {
	presented := x.parameters["device_code"]
	if presented == "" {
		return issuance{}, deny(platforms.InvalidRequest, "device_code is missing")
	}
	held := m.devices.Codes[tokens.KeyOf(presented)]
	if held == nil || held.ClientID != x.clientID {
		return issuance{}, deny(platforms.InvalidDeviceCode, "the device code is not known")
	}
	if denied := m.poll(held); denied != nil {
		return issuance{}, denied
	}
	held.Used = true
	m.judge.Note(func(t *judge.Tally) { t.DeviceCodes.Used++ })
	return issuance{
		grant:    platforms.GrantDeviceCode,
		clientID: x.clientID,
		seller:   held.Seller,
		asked:    held.Asked,
		granted:  held.Granted,
		audience: x.parameters["audience"],
	}, nil
}

// poll tells why there are no tokens for a device code, if there are none. The interval grows only with polls that come
// sooner than the platform's own, so that a client which was not told, since the answer was lost, catches up.
func (m *Market) poll(held *tokens.DeviceCode) *denial {
	now := m.now()
	early, hasty := held.Early(now, held.Interval), held.Early(now, m.platform.Device.Interval)
	held.Polled = now
	m.judge.Note(func(t *judge.Tally) {
		t.DevicePolls++
		switch {
		case held.Used:
			t.DeviceCodes.Reused++
		case !now.Before(held.Expires):
			t.DeviceCodes.Expired++
		case early:
			t.EarlyPolls++
		}
	})
	switch {
	case held.Used:
		return deny(platforms.InvalidDeviceCode, "the device code was used before")
	case !now.Before(held.Expires):
		return deny(platforms.ExpiredDeviceCode, "the device code has expired")
	case hasty:
		held.Interval += slowDownStep
		return deny(platforms.SlowDown, "the interval was not over")
	case early:
		return deny(platforms.SlowDown, "the interval, which has grown, was not over")
	case held.Verdict == tokens.Rejected:
		return deny(platforms.ConsentDenied, "the user denied access")
	case held.Verdict == tokens.Undecided:
		return deny(platforms.AuthorizationPending, "the user has not decided yet")
	}
	return nil
}
