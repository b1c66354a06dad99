package controller

import (
	"sync"
	"time"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

const (
	// shareOfWrites is the part of the workers that may be writing before the times of new tokens wait to be told, and leastWrites
	// how many may at least. A quarter of that many may write what waited.
	shareOfWrites = 8
	leastWrites   = 8
	// longestArrears is how long the times of a new token wait at most, and longestUntold what a closed gate means.
	longestArrears = time.Minute
	longestUntold  = 10 * time.Second
)

// news are what a status has to tell that may wait.
type news int

const (
	// pressing news do not wait.
	pressing news = iota
	// newTimes are those of the tokens of a renewal.
	newTimes
	// closedGate is that no token was asked for, and what that means. It waits while anybody writes, and is told by one account after
	// the other: many learn of a closed gate in the same second, and others are renewed then.
	closedGate
	kindsOfNews
)

// arrears are the accounts whose status does not tell yet how they are. Tokens go first: a status whose news may wait does so
// while others write, until there is room again, or for long enough. It may be used by many goroutines at once.
type arrears struct {
	// call puts an account into the work queue. It is set before anything is written.
	call func(client.ObjectKey)

	mu       sync.Mutex // guards what follows
	underway int
	lines    [kindsOfNews]line
}

// line are accounts that wait with the same kind of news.
type line struct {
	// limit is how many writes may be under way before statuses wait, and room how many there may be with those that waited.
	limit, room int
	// owed are those that wait, and called those that were called and have not been looked at since.
	owed, called sets.Set[client.ObjectKey]
}

func newLine(limit, room int) line {
	return line{limit: limit, room: room, owed: sets.New[client.ObjectKey](), called: sets.New[client.ObjectKey]()}
}

func newArrears(workers int) *arrears {
	limit := max(leastWrites, workers/shareOfWrites)
	return &arrears{lines: [kindsOfNews]line{newTimes: newLine(limit, limit/4), closedGate: newLine(1, 1)}}
}

// write writes something that others may have to wait for.
func (a *arrears) write(write func() error) error {
	a.change(func() { a.underway++ })
	defer a.change(func() { a.underway-- })
	return write()
}

// postpone tells whether an account's status has to wait, and remembers the account.
func (a *arrears) postpone(account client.ObjectKey, what news) (waits bool) {
	a.change(func() {
		line := &a.lines[what]
		if waits = what != pressing && a.underway >= line.limit; waits {
			line.owed.Insert(account)
		}
	})
	return waits
}

// looked tells that somebody has looked at an account.
func (a *arrears) looked(account client.ObjectKey) {
	a.change(func() {
		for i := range a.lines {
			a.lines[i].called.Delete(account)
		}
	})
}

// change changes something, and calls who has waited if there is room then.
func (a *arrears) change(change func()) {
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

// news tells what kind of news a status has, and until when it may wait with them.
func (f *found) news(before, after *v1alpha1.MarketplaceAccountStatus) (what news, until time.Time) {
	switch {
	case !f.first && routine(before, after):
		return newTimes, after.AccessToken.IssuedTime.Add(longestArrears)
	case len(f.waits) > 0 && opinion(before, after):
		return closedGate, latest(f.waitsSince, f.expired()).Add(longestUntold)
	}
	return pressing, time.Time{}
}

// expired is when the token that workloads read expired; zero when it has not.
func (f *found) expired() time.Time {
	if f.now.Before(f.servedUntil) {
		return time.Time{}
	}
	return f.servedUntil
}

// routine tells whether a status has no other news than those of every renewal: the times of its tokens, how far they move the
// authorization's end, and messages that name them.
func routine(before, after *v1alpha1.MarketplaceAccountStatus) bool {
	if before.AccessToken == nil || after.AccessToken == nil || before.AccessToken.Serial+1 != after.AccessToken.Serial {
		return false // which also bounds how far a status stays behind
	}
	told := before.DeepCopy()
	told.AccessToken = after.AccessToken
	if told.Authorization != nil && after.Authorization != nil {
		told.Authorization.ExpirationTime, told.Authorization.DaysRemaining = after.Authorization.ExpirationTime, after.Authorization.DaysRemaining
	}
	if len(told.Conditions) != len(after.Conditions) {
		return false
	}
	for i := range told.Conditions {
		told.Conditions[i].Message = after.Conditions[i].Message
	}
	return apiequality.Semantic.DeepEqual(told, after)
}

// opinion tells whether a status has no other news than what its conditions say.
func opinion(before, after *v1alpha1.MarketplaceAccountStatus) bool {
	told := before.DeepCopy()
	told.Conditions = after.Conditions
	return len(before.Conditions) > 0 && apiequality.Semantic.DeepEqual(told, after) && !apiequality.Semantic.DeepEqual(before, after)
}
