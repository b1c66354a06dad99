package statusreport

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/internal/conditions"
)

const (
	// shareOfWrites is the part of the workers that may be writing before the times of new tokens wait to be written, and leastWrites
	// is the smallest number of writers before they wait. Statuses that waited are written by a quarter of that number.
	shareOfWrites = 8
	leastWrites   = 8
	// longestBacklog bounds how long the times of a new token wait, and longestClosed how long the news of a closed limiter does.
	longestBacklog = time.Minute
	longestClosed  = 10 * time.Second
)

// Backlog holds the accounts whose status is older than their tokens. Tokens go first: a status whose news may wait is held back
// while many writes are under way, until there is room again or the longest wait is over. It may be used by many goroutines at once.
type Backlog struct {
	// call puts an account into the work queue. It is set before anything is written.
	call func(client.ObjectKey)

	mu       sync.Mutex // guards the fields below
	underway int
	lines    [conditions.Urgencies]line
}

// line are accounts whose status waits, of the same urgency.
type line struct {
	// limit is how many writes may be under way before statuses wait, room how many there may be with those that waited, and longest
	// how long one waits at most.
	limit, room int
	longest     time.Duration
	// since is when each waiting account came. Each is owed a call, or was called and has not been looked at since.
	since        map[client.ObjectKey]time.Time
	owed, called sets.Set[client.ObjectKey]
}

func newLine(limit, room int, longest time.Duration) line {
	return line{
		limit: limit, room: room, longest: longest,
		since: map[client.ObjectKey]time.Time{}, owed: sets.New[client.ObjectKey](), called: sets.New[client.ObjectKey](),
	}
}

// NewBacklog makes a backlog for a controller with so many workers.
func NewBacklog(workers int) *Backlog {
	limit := max(leastWrites, workers/shareOfWrites)
	return &Backlog{lines: [conditions.Urgencies]line{
		// The times of tokens wait while the API server is behind with its writes.
		conditions.TokenTimesOnly: newLine(limit, limit/4, longestBacklog),
		// That the limiter is closed waits while anything is written, and is written by one account after the other: many accounts meet
		// the closed limiter in the same second, in which other accounts are renewed.
		conditions.LimiterClosedOnly: newLine(1, 1, longestClosed),
	}}
}

// OnRoom sets what puts an account into the work queue once there is room for its status. It is set before anything is written.
func (b *Backlog) OnRoom(call func(client.ObjectKey)) { b.call = call }

// Write does one write to the API server and counts it while it is under way: statuses that may wait do so while many are.
func (b *Backlog) Write(write func() error) error {
	b.change(func() { b.underway++ })
	defer b.change(func() { b.underway-- })
	return write()
}

// Postpone tells until when the status of an account has to wait, and remembers the account; zero when the status is to be written now.
func (b *Backlog) Postpone(account client.ObjectKey, urgency conditions.Urgency, now time.Time) (until time.Time) {
	b.change(func() {
		line := &b.lines[urgency]
		since, waited := line.since[account]
		if !waited {
			since = now
		}
		end := since.Add(line.longest)
		for i := range b.lines {
			b.lines[i].owed.Delete(account)
			delete(b.lines[i].since, account)
		}
		if b.underway >= line.limit && now.Before(end) {
			line.since[account] = since
			line.owed.Insert(account)
			until = end
		}
	})
	return until
}

// Looked notes that a reconcile of the account has ended.
func (b *Backlog) Looked(account client.ObjectKey) {
	b.change(func() {
		for i := range b.lines {
			line := &b.lines[i]
			line.called.Delete(account)
			if !line.owed.Has(account) {
				delete(line.since, account)
			}
		}
	})
}

// change applies a change, and then calls waiting accounts as far as there is room.
func (b *Backlog) change(change func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change()
	for i := range b.lines {
		line := &b.lines[i]
		for b.underway+line.called.Len() < line.room {
			account, some := line.owed.PopAny()
			if !some {
				break
			}
			line.called.Insert(account)
			b.call(account)
		}
	}
}
