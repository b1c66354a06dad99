package controller

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/internal/conditions"
)

const (
	// shareOfWrites is the part of the workers that may be writing before the times of new tokens wait to be told, and leastWrites
	// how many may at least. A quarter of that many may write what waited.
	shareOfWrites = 8
	leastWrites   = 8
	// longestBacklog is how long the times of a new token wait at most, and longestClosed what a closed limiter means.
	longestBacklog = time.Minute
	longestClosed  = 10 * time.Second
)

// statusBacklog holds the accounts whose status does not tell yet how they are. Tokens go first: a status whose news may wait does so
// while others write, until there is room again, or for long enough. It may be used by many goroutines at once.
type statusBacklog struct {
	// call puts an account into the work queue. It is set before anything is written.
	call func(client.ObjectKey)

	mu       sync.Mutex // guards what follows
	underway int
	lines    [conditions.Urgencies]line
}

// line are accounts whose status waits, of the same urgency.
type line struct {
	// limit is how many writes may be under way before statuses wait, room how many there may be with those that waited, and longest
	// how long one waits at most.
	limit, room int
	longest     time.Duration
	// since is when those came who wait. They are owed a call, or were called and have not been looked at since.
	since        map[client.ObjectKey]time.Time
	owed, called sets.Set[client.ObjectKey]
}

func newLine(limit, room int, longest time.Duration) line {
	return line{
		limit: limit, room: room, longest: longest,
		since: map[client.ObjectKey]time.Time{}, owed: sets.New[client.ObjectKey](), called: sets.New[client.ObjectKey](),
	}
}

func newStatusBacklog(workers int) *statusBacklog {
	limit := max(leastWrites, workers/shareOfWrites)
	return &statusBacklog{lines: [conditions.Urgencies]line{
		// The times of tokens wait while the API server is behind with what it was given to write.
		conditions.TokenTimesOnly: newLine(limit, limit/4, longestBacklog),
		// That the limiter is closed waits while anything is written, and is told by one account after the other: many learn of it in the
		// same second, in which others are renewed.
		conditions.LimiterClosedOnly: newLine(1, 1, longestClosed),
	}}
}

// write writes something that others may have to wait for.
func (a *statusBacklog) write(write func() error) error {
	a.change(func() { a.underway++ })
	defer a.change(func() { a.underway-- })
	return write()
}

// postpone tells until when an account's status has to wait, and remembers the account; zero when it is to be told now.
func (a *statusBacklog) postpone(account client.ObjectKey, urgency conditions.Urgency, now time.Time) (until time.Time) {
	a.change(func() {
		line := &a.lines[urgency]
		since, waited := line.since[account]
		if !waited {
			since = now
		}
		end := since.Add(line.longest)
		for i := range a.lines {
			a.lines[i].owed.Delete(account)
			delete(a.lines[i].since, account)
		}
		if a.underway >= line.limit && now.Before(end) {
			line.since[account] = since
			line.owed.Insert(account)
			until = end
		}
	})
	return until
}

// looked tells that somebody has looked at an account.
func (a *statusBacklog) looked(account client.ObjectKey) {
	a.change(func() {
		for i := range a.lines {
			line := &a.lines[i]
			line.called.Delete(account)
			if !line.owed.Has(account) {
				delete(line.since, account)
			}
		}
	})
}

// change changes something, and calls who has waited if there is room then.
func (a *statusBacklog) change(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
	for i := range a.lines {
		line := &a.lines[i]
		for a.underway+line.called.Len() < line.room {
			account, some := line.owed.PopAny()
			if !some {
				break
			}
			line.called.Insert(account)
			a.call(account)
		}
	}
}
