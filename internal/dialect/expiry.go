package dialect

import (
	"encoding/json"
	"math"
	"strings"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Unreadable follows the standard name of an expiry that the platform's answer tells in a way which cannot be read. The dialect sets a member of
// that name instead of the expiry.
const Unreadable = "_unreadable"

const (
	// maxSeconds is about 100 years: a longer lifetime is a mistake, such as a moment in milliseconds.
	maxSeconds = 100 * 365 * 24 * 3600
	// longestBehind and longestAhead are how far from now a number of seconds is taken for a moment, and not for a lifetime of
	// half a century.
	longestBehind, longestAhead = 366 * 24 * time.Hour, 5 * 366 * 24 * time.Hour
)

// expiry writes an expiry as a whole number of seconds from now. An expiry that cannot be read is left out, and said to be so: a token must not be
// thrown away because its end is told badly, nor be trusted for longer than it may live. usual is the lifetime that the Marketplace names; zero
// when it names none.
func (d *dialect) expiry(answer map[string]any, name string, value any, usual time.Duration) {
	if value == nil {
		return
	}
	seconds, readable := d.remaining(value)
	if !readable || seconds < 1 || seconds > maxSeconds || thousandfold(seconds, usual.Seconds()) || thousandfold(usual.Seconds(), seconds) {
		answer[name+Unreadable] = true
		return
	}
	answer[name] = int64(seconds)
}

// saysNone tells that a platform writes that there is no end: Keycloak has 0 for refresh tokens that do not end.
func saysNone(value any) bool {
	text, isText := value.(string)
	return isText && strings.TrimSpace(text) == "" || strings.TrimSpace(asText(value)) == "0"
}

// thousandfold tells whether a lifetime is a thousand times what is usual: it is told in another unit.
func thousandfold(seconds, usual float64) bool {
	return usual >= 1 && math.Abs(seconds/usual-1000) < 10
}

// remaining is how many seconds are left until the end that a value tells.
func (d *dialect) remaining(value any) (seconds float64, readable bool) {
	now := d.now()
	if d.Response.ExpiryUnit == v1alpha1.ExpiryUnitRFC3339 {
		at, ok := momentOf(asText(value))
		return at.Sub(now).Seconds(), ok
	}
	number, err := json.Number(strings.TrimSpace(asText(value))).Float64()
	if err != nil || math.IsNaN(number) {
		return 0, false
	}
	switch d.Response.ExpiryUnit {
	case v1alpha1.ExpiryUnitMilliseconds:
		return number / 1e3, true
	case v1alpha1.ExpiryUnitUnixSeconds:
		return number - float64(now.Unix()), true
	case v1alpha1.ExpiryUnitUnixMilliseconds:
		return (number - float64(now.UnixMilli())) / 1e3, true
	}
	fromNow := number - float64(now.Unix())
	return number, fromNow < -longestBehind.Seconds() || fromNow > longestAhead.Seconds()
}

// momentLayouts are the ways to write a moment that mean the same to everybody. A date without a zone, or with its day and month in doubt, is not
// among them.
var momentLayouts = []string{
	time.RFC3339, "2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05Z07", "2006-01-02T15:04Z07:00", "2006-01-02T15:04Z0700",
	"20060102T150405Z0700", "Mon, 02 Jan 2006 15:04:05Z0700", "Mon, 2 Jan 2006 15:04:05Z0700",
}

// momentOf reads a moment: RFC 3339, or one of its like (ISO 8601, RFC 9110 section 5.6.7).
func momentOf(text string) (time.Time, bool) {
	text = strings.TrimSpace(text)
	for _, zone := range []string{" UTC", " GMT", "UTC", "GMT"} {
		if rest, ok := strings.CutSuffix(text, zone); ok {
			text = rest + "Z"
			break
		}
	}
	if len(text) > 10 && (text[10] == ' ' || text[10] == 't') && strings.Count(text[:10], "-") == 2 {
		text = text[:10] + "T" + text[11:]
	}
	text = strings.NewReplacer(" +", "+", " -", "-", " Z", "Z", "z", "Z").Replace(text)
	for _, layout := range momentLayouts {
		if at, err := time.Parse(layout, text); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}
