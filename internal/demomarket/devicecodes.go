package demomarket

import (
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
)

// verdict is the decision of a person about a device code.
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
	seller   platforms.Seller // who approved it
	used     bool
}

// deviceCodes are the device codes of a market. The market's lock guards them.
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

// plainUserCode is a user code without the hyphens, spaces and case that people change when they type (RFC 8628 section 6.1).
func plainUserCode(typed string) string {
	return strings.ToUpper(strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return -1
		}
		return r
	}, typed))
}
