package renewal

import "time"

const day = 24 * time.Hour

// MaxDays is the most days that are counted: 273 years, close to the longest time.Duration. Dates such as the end of
// the year 9999 are written to mean "never".
const MaxDays = 99_999

// Days returns how many days are left until end, a day that has begun counted as one, as people count; 0
// when none is left, and MaxDays when there are more.
func Days(end, now time.Time) int32 {
	left := min(end.Sub(now), MaxDays*day) // of times further apart Sub is the longest Duration
	return int32(max(0, (left+day-1)/day))
}

// NextDay returns when Days(end, …) will change next; the zero time when it will not any more.
func NextDay(end, now time.Time) time.Time {
	days := Days(end, now)
	if days == 0 {
		return time.Time{}
	}
	return end.Add(-time.Duration(days-1) * day)
}

// Never stands for no end: the last moment that RFC 3339 can write.
var Never = time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC)

// AuthorizationEnd returns when an authorization ends.
//
// told is the moment that the marketplace's answer named, and wins. Otherwise the lifetime counts from
// renewed when sliding, else from granted. The zero time means that nothing ends.
func AuthorizationEnd(told, granted, renewed time.Time, lifetime time.Duration, sliding bool) time.Time {
	switch {
	case !told.IsZero():
		return told
	case lifetime <= 0:
		return time.Time{}
	case sliding:
		return Representable(renewed.Add(lifetime))
	default:
		return Representable(granted.Add(lifetime))
	}
}

// Representable returns t, or the moment nearest to it that RFC 3339 can write: its years have four digits. A time beyond
// can neither be stored nor told.
func Representable(t time.Time) time.Time {
	switch t = t.UTC(); {
	case t.Year() > 9999:
		return Never
	case t.Year() < 0:
		return time.Date(0, time.January, 1, 0, 0, 0, 0, time.UTC)
	}
	return t
}
