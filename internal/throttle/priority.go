package throttle

import (
	"cmp"
	"time"
)

// Class is how pressing a request is.
type Class int

// The classes, the most pressing first.
const (
	// Ending is a renewal that must not wait: the token at hand is about to end, or has ended. Due is when it ends.
	Ending Class = iota - 1
	// Urgent is a request that a person waits for: of an account that is new, edited or was just consented to.
	Urgent
	// Scheduled is a renewal that falls due by itself.
	Scheduled
	// Background is a request that may wait for all the rest.
	Background
)

// Priority orders the waiters of one tenant: by class, and in a class by when the request was due.
type Priority struct {
	Class Class
	Due   time.Time
	// Asked tells that a person asked for it, and may have it in spite of a wait that the platform wants: see [LeftAlone].
	Asked bool
	// Patience is how long there may be between two attempts to find out whether the host answers again; zero means as long as usual.
	Patience time.Duration
}

// endsSoon tells whether a token is about to end.
func (p Priority) endsSoon(now time.Time) bool { return p.Class == Ending && p.Due.After(now) }

func (p Priority) compare(other Priority) int {
	return cmp.Or(cmp.Compare(p.Class, other.Class), p.Due.Compare(other.Due))
}
