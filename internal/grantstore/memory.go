package grantstore

import (
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
)

// Pending is what waits in memory to be stored of an account: a custody whose write failed after the marketplace had answered, or that
// an entry of the journal has to go.
type Pending struct {
	Account *v1alpha1.MarketplaceAccount
	Custody custody.Custody
	// Unsent is an entry that may be on record although nothing was sent, and Former the one before it; nil for none.
	Unsent, Former *custody.Journal
}

// memory is what the process alone knows of accounts. It may be used by many goroutines at once.
type memory struct {
	mu       sync.Mutex // guards accounts
	accounts map[types.UID]accountMemory
}

type accountMemory struct {
	pending *Pending // nil when nothing waits
	// stale tells that the last write of the grant Secret lost a conflict: the next renewal reads it live.
	stale bool
}

func (m *memory) change(account types.UID, change func(*accountMemory)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	entry := m.accounts[account]
	change(&entry)
	if entry == (accountMemory{}) {
		delete(m.accounts, account)
		return
	}
	if m.accounts == nil {
		m.accounts = map[types.UID]accountMemory{}
	}
	m.accounts[account] = entry
}

// remember keeps a custody in memory until it is stored.
func (m *memory) remember(pending Pending) {
	m.change(pending.Account.UID, func(e *accountMemory) { e.pending = &pending })
}

// RememberUnsent keeps in memory that an entry of the journal may be on record, whose token was not sent. former is the entry before it.
func (m *memory) RememberUnsent(account *v1alpha1.MarketplaceAccount, unsent, former *custody.Journal) {
	m.remember(Pending{Account: account.DeepCopy(), Unsent: unsent, Former: former})
}

// Pending returns what waits to be stored of an account; nil when nothing does.
func (m *memory) Pending(account types.UID) *Pending {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.accounts[account].pending
}

// AllPending returns everything that waits to be stored.
func (m *memory) AllPending() []Pending {
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []Pending
	for _, entry := range m.accounts {
		if entry.pending != nil {
			all = append(all, *entry.pending)
		}
	}
	return all
}

// DropPending forgets what waits of an account, since it or something newer was stored.
func (m *memory) DropPending(account types.UID) {
	m.change(account, func(e *accountMemory) { e.pending = nil })
}

// SetStale remembers that the cache was seen not to show the grant Secret of an account as it is.
func (m *memory) SetStale(account types.UID) {
	m.change(account, func(e *accountMemory) { e.stale = true })
}

// TakeStale tells once that SetStale was called.
func (m *memory) TakeStale(account types.UID) (stale bool) {
	m.change(account, func(e *accountMemory) { stale, e.stale = e.stale, false })
	return stale
}

// Forget drops what is in memory of an account that is gone.
func (m *memory) Forget(account types.UID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.accounts, account)
}

// On returns what to store on top of what is stored now; false when nothing is to be stored any more, because something newer was.
func (p *Pending) On(stored custody.Custody) (custody.Custody, bool) {
	if p.Unsent != nil {
		return withdraw(stored, p.Unsent, p.Former)
	}
	next := p.Custody
	if next.Serial < stored.Serial || next.Accepted < stored.Accepted || next.Serial == stored.Serial && isNewer(stored.Tokens, next.Tokens) {
		return stored, false
	}
	// What people do to sign in goes on meanwhile, and visits store it themselves.
	next.Consents, next.SignIn, next.HandledSignIn = stored.Consents, stored.SignIn, stored.HandledSignIn
	if waits := stored.Candidate; waits != nil && waits.Consent > 0 || next.Candidate != nil && next.Candidate.Consent > 0 {
		next.Candidate = waits
	}
	return next, true
}

// withdraw takes an entry of the journal back whose token was not sent. Everything that was stored since then stays.
func withdraw(stored custody.Custody, unsent, former *custody.Journal) (custody.Custody, bool) {
	place := &stored.Journal
	if unsent.Imported != "" {
		place = &stored.ImportJournal
	}
	if held := *place; held == nil || held.Holder != unsent.Holder || held.Attempts != unsent.Attempts || !held.StartedAt.Equal(unsent.StartedAt) {
		return stored, false
	}
	*place = former
	return stored, true
}

// isNewer tells that other tokens than those in memory were stored, and are as new: another replica did the same.
func isNewer(stored, held *custody.Tokens) bool {
	return stored != nil && held != nil && stored.AccessToken != held.AccessToken && !stored.IssuedAt.Before(held.IssuedAt)
}
