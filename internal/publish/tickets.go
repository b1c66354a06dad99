package publish

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// tickets are stored as hashes and wait to be shown, by the UID of their account. They may be used by many goroutines at once.
type tickets struct {
	mu      sync.Mutex // guards waiting
	waiting map[types.UID]string
}

func (t *tickets) keep(account types.UID, ticket string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waiting == nil {
		t.waiting = map[types.UID]string{}
	}
	t.waiting[account] = ticket
}

// of is the ticket of an account that waits; empty where none does.
func (t *tickets) of(account types.UID) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.waiting[account]
}

// hash is the stored form of the ticket of an account that waits; empty where none does.
func (t *tickets) hash(account types.UID) string {
	if ticket := t.of(account); ticket != "" {
		return signin.Hash(ticket)
	}
	return ""
}

func (t *tickets) forget(account types.UID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.waiting, account)
}
