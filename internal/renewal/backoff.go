package renewal

import "time"

const (
	firstWait = 10 * time.Second
	// longestWait keeps an account that waits for a marketplace to come back from waiting long after it has.
	longestWait = 10 * time.Minute

	shortestRetryAfter = time.Second

	// LongestRetryAfter is how long a marketplace is obeyed that wants to be left alone.
	LongestRetryAfter = 24 * time.Hour
)

// RetryAt tells when to try again after count failures in a row, the last of them at failed: 10 s, 20 s,
// 40 s and so on up to 10 minutes, and up to a fifth more by spread, so that the accounts of a marketplace
// that was away do not come back at once.
func RetryAt(failed time.Time, count int32, spread float64) time.Time {
	wait := longestWait
	if doublings := max(count, 1) - 1; doublings < 6 {
		wait = min(firstWait<<doublings, longestWait)
	}
	return failed.Add(wait + time.Duration(spread*float64(wait)/5)).Truncate(time.Second)
}

// BoundRetryAfter keeps a wait that a marketplace demands within reason: 1 s to 24 h.
func BoundRetryAfter(wait time.Duration) time.Duration {
	return min(max(wait, shortestRetryAfter), LongestRetryAfter)
}
