// Package accountmemory holds what a process alone knows of accounts, each by its UID: a new account of the same name inherits nothing. One owner has all
// memories, so that an account which is deleted, or has left, is forgotten in one place.
package accountmemory

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Owner forgets accounts. Its zero value owns nothing. It may be used by many goroutines at once.
type Owner struct {
	mu     sync.Mutex // guards forget
	forget []func(*v1alpha1.MarketplaceAccount)
}

// OnForget has a function called for each account that is forgotten. The account may lack everything but namespace, name and UID.
func (o *Owner) OnForget(forget func(*v1alpha1.MarketplaceAccount)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.forget = append(o.forget, forget)
}

// Forget drops an account from all memories.
func (o *Owner) Forget(account *v1alpha1.MarketplaceAccount) {
	o.mu.Lock()
	all := o.forget
	o.mu.Unlock()
	for _, forget := range all {
		forget(account)
	}
}

// Memory is one kind of knowledge: a T for each account. The zero value of T is the same as to know nothing. It may be used by many goroutines at once.
type Memory[T comparable] struct {
	mu    sync.Mutex // guards known
	known map[types.UID]T
}

// New returns a memory of which an owner drops the accounts that it forgets. Without an owner, that is nil, they are dropped by Change alone.
func New[T comparable](owner *Owner) *Memory[T] {
	m := &Memory[T]{known: map[types.UID]T{}}
	if owner != nil {
		owner.OnForget(func(account *v1alpha1.MarketplaceAccount) { m.Set(account.UID, *new(T)) })
	}
	return m
}

// Of is the knowledge of an account.
func (m *Memory[T]) Of(account types.UID) T {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.known[account]
}

// Set replaces the knowledge of an account.
func (m *Memory[T]) Set(account types.UID, known T) {
	m.Change(account, func(before *T) { *before = known })
}

// Change changes the knowledge of an account. No other change comes in between.
func (m *Memory[T]) Change(account types.UID, change func(*T)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	known := m.known[account]
	change(&known)
	if known == *new(T) {
		delete(m.known, account)
		return
	}
	m.known[account] = known
}

// Each calls a function for each account in the memory, in no order, until the function returns false. The function must not use the memory.
func (m *Memory[T]) Each(each func(account types.UID, known T) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for account, known := range m.known {
		if !each(account, known) {
			return
		}
	}
}
