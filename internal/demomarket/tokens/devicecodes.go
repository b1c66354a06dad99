package tokens

import (
	"errors"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
)

// Verdict is the decision of a person about a device code.
type Verdict int

// The decisions.
const (
	Undecided Verdict = iota
	Approved
	Rejected
)

// DeviceCode is a device code with the user code that belongs to it.
type DeviceCode struct {
	ClientID string
	UserCode string
	Asked    []string
	Granted  []string
	Issued   time.Time
	Expires  time.Time
	Interval time.Duration // grows
	Polled   time.Time     // last; zero before the first
	Verdict  Verdict
	Seller   platforms.Seller // for whom it was approved
	Used     bool
}

// DeviceCodes are the device codes of a market. The market's lock guards them.
type DeviceCodes struct {
	Codes map[Key]*DeviceCode
	users map[string]*DeviceCode // by user code, as plainUserCode writes it
}

// NewDeviceCodes returns none yet.
func NewDeviceCodes() DeviceCodes {
	return DeviceCodes{Codes: map[Key]*DeviceCode{}, users: map[string]*DeviceCode{}}
}

// Add registers a device code.
func (s DeviceCodes) Add(value string, held *DeviceCode) {
	s.Codes[KeyOf(value)] = held
	s.users[plainUserCode(held.UserCode)] = held
}

// Open returns the code that a person may decide about, nil when there is none or no longer.
func (s DeviceCodes) Open(userCode string, now time.Time) *DeviceCode {
	held := s.users[plainUserCode(userCode)]
	if held == nil || held.Verdict != Undecided || !now.Before(held.Expires) {
		return nil
	}
	return held
}

// plainUserCode is a user code without the hyphens, spaces and case that people change when they type (RFC 8628 section 6.1).
func plainUserCode(typed string) string {
	return strings.ToUpper(strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return -1
		}
		return r
	}, typed))
}

// pollTolerance is how much sooner than the interval a poll may arrive, since the one before it may have taken longer
// on its way.
const pollTolerance = 100 * time.Millisecond

// Early tells whether a poll at now comes before an interval is over.
func (d *DeviceCode) Early(now time.Time, interval time.Duration) bool {
	return !d.Polled.IsZero() && now.Sub(d.Polled) < interval-pollTolerance
}

// Decide lets a person decide, once and in time.
func (d *DeviceCode) Decide(said Verdict, seller platforms.Seller, now time.Time) error {
	if d.Verdict != Undecided || !now.Before(d.Expires) {
		return errors.New("nobody can decide about this user code any more")
	}
	d.Verdict, d.Seller = said, seller
	return nil
}
