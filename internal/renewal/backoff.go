package renewal

import "time"

const (
	firstWait = 10 * time.Second
	// longestWait keeps an account that waits for a marketplace to come back from waiting long after it has.
	longestWait = 10 * time.Minute

	// shareOfRest is the part of a token's remaining life that anything waits at most, a quarter. A wait of leastWait is always allowed,
	// or of that part of a shorter life than a minute which leastShare is.
	shareOfRest = 4
	leastWait   = 10 * time.Second
	leastShare  = 6

	firstAsk, longestAsk = 5 * time.Minute, time.Hour

	shortestRetryAfter = time.Second

	// LongestRetryAfter is how long a marketplace is obeyed that wants to be left alone.
	LongestRetryAfter = 24 * time.Hour
)

// RetryAt tells when to try again after count failures in a row, the last of them at failed: 10 s, 20 s,
// 40 s and so on up to 10 minutes, and up to a fifth more by spread, so that the accounts of a marketplace
// that was away do not come back at once. It is no later than most after the failure, see [LongestWait]; zero means no such bound.
func RetryAt(failed time.Time, count int32, spread float64, most time.Duration) time.Time {
	wait := min(firstWait<<min(max(count, 1)-1, 6), longestWait)
	wait += time.Duration(spread * float64(wait) / 5)
	if most > 0 {
		wait = min(wait, max(most, time.Second))
	}
	return failed.Add(wait).Truncate(time.Second)
}

// AskAgainAt tells when to ask again for an application that was refused at a moment, after as many tries in a row: 5 minutes later, then
// 10, 20, 40, and an hour from then on. A platform that does not know a new secret everywhere yet does so within minutes.
func AskAgainAt(refused time.Time, tries int32) time.Time {
	return refused.Add(min(firstAsk<<min(max(tries, 0), 4), longestAsk))
}

// LongestWait is how long anything may wait from a moment on that stands between a token and its renewal, however often it has failed:
// a quarter of the token's remaining life, and 10 s when little or nothing remains, or a sixth of a life of less than a minute. So
// no token stays expired because of a wait when its cause is over.
func LongestWait(issued, expires, from time.Time) time.Duration {
	return max(expires.Sub(from)/shareOfRest, min(leastWait, max(expires.Sub(issued), time.Second)/leastShare))
}

// BoundRetryAfter keeps a wait that a marketplace demands within reason: at least 1 s. One of more than 24 h, or of nothing, is none: zero.
func BoundRetryAfter(wait time.Duration) time.Duration {
	if wait <= 0 || wait > LongestRetryAfter {
		return 0
	}
	return max(wait, shortestRetryAfter)
}
