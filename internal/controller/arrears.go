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
	// shareOfWrites is the part of the workers that may be writing before statuses wait, and leastWrites how many may at least.
	// A quarter of that many may write what waited.
	shareOfWrites = 8
	leastWrites   = 8
	// longestArrears is how long a status waits at most.
	longestArrears = time.Minute
)

// arrears are the accounts whose status does not tell of their last renewal yet. Tokens go first: while the API server is behind
// with what it was given to write, a status that has no other news waits until there is room again, or for long enough. It may be
// used by many goroutines at once.
type arrears struct {
	// limit is how many writes may be under way before statuses wait, and room how many there may be with those that waited.
	limit, room int
	// call puts an account into the work queue. It is set before anything is written.
	call func(client.ObjectKey)

	mu       sync.Mutex // guards what follows
	underway int
	// owed are those that wait, and called those that were called and have not been looked at since.
	owed, called sets.Set[client.ObjectKey]
}

func newArrears(workers int) *arrears {
	limit := max(leastWrites, workers/shareOfWrites)
	return &arrears{limit: limit, room: limit / 4, owed: sets.New[client.ObjectKey](), called: sets.New[client.ObjectKey]()}
}

// write writes something that others may have to wait for.
func (a *arrears) write(write func() error) error {
	a.change(func() { a.underway++ })
	defer a.change(func() { a.underway-- })
	return write()
}

// postpone tells whether an account's status has to wait, and remembers the account.
func (a *arrears) postpone(account client.ObjectKey) (waits bool) {
	a.change(func() {
		if waits = a.underway >= a.limit; waits {
			a.owed.Insert(account)
		}
	})
	return waits
}

// looked tells that somebody has looked at an account.
func (a *arrears) looked(account client.ObjectKey) {
	a.change(func() { a.called.Delete(account) })
}

// change changes something, and calls who has waited if there is room then.
func (a *arrears) change(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
	for a.underway+a.called.Len() < a.room {
		account, some := a.owed.PopAny()
		if !some {
			return
		}
		a.called.Insert(account)
		a.call(account)
	}
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
