package renewal

import "time"

const day = 24 * time.Hour

// Days returns how many days are left until end, a day that has begun counted as one, as people count; 0
// when none is left.
func Days(end, now time.Time) int32 {
	left := end.Sub(now)
	if left <= 0 {
		return 0
	}
	return int32((left + day - 1) / day) //nolint:gosec // a time.Duration is at most 106752 days
}

// NextDay returns when Days(end, …) will change next; the zero time when it will not any more.
func NextDay(end, now time.Time) time.Time {
	days := Days(end, now)
	if days == 0 {
		return time.Time{}
	}
	return end.Add(-time.Duration(days-1) * day)
}

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
		return renewed.Add(lifetime)
	default:
		return granted.Add(lifetime)
	}
}
