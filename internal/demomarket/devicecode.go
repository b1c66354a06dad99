package demomarket

import (
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/judge"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
)

const (
	// slowDownStep is added to the interval by a poll that came too early (RFC 8628 section 3.5).
	slowDownStep = 5 * time.Second
	// pollTolerance is how much sooner than the interval a poll may arrive, since the one before it may have taken longer
	// on its way.
	pollTolerance = 100 * time.Millisecond
)

// deviceCode is RFC 8628 section 3.4.
func (m *Market) deviceCode(x *exchange) (issuance, *denial) {
	presented := x.parameters["device_code"]
	if presented == "" {
		return issuance{}, deny(platforms.InvalidRequest, "device_code is missing")
	}
	held := m.devices.codes[keyOf(presented)]
	if held == nil || held.clientID != x.clientID {
		return issuance{}, deny(platforms.InvalidDeviceCode, "the device code is not known")
	}
	if denied := m.poll(held); denied != nil {
		return issuance{}, denied
	}
	held.used = true
	m.judge.Note(func(t *judge.Tally) { t.DeviceCodes.Used++ })
	return issuance{
		grant:    platforms.GrantDeviceCode,
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
	m.judge.Note(func(t *judge.Tally) {
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
		return deny(platforms.InvalidDeviceCode, "the device code was used before")
	case !now.Before(held.expires):
		return deny(platforms.ExpiredDeviceCode, "the device code has expired")
	case hasty:
		held.interval += slowDownStep
		return deny(platforms.SlowDown, "the interval was not over")
	case early:
		return deny(platforms.SlowDown, "the interval, which has grown, was not over")
	case held.verdict == rejected:
		return deny(platforms.ConsentDenied, "the user denied access")
	case held.verdict == undecided:
		return deny(platforms.AuthorizationPending, "the user has not decided yet")
	}
	return nil
}
