package grantstore

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/accountmemory"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
)

// Pending is a write for an account that waits in memory: a custody whose write failed after the marketplace had answered, or the removal
// of an entry of the journal.
type Pending struct {
	Account *v1alpha1.MarketplaceAccount
	Custody custody.Custody
	// Unsent is an entry that may be on record although nothing was sent, and Former the one before it; nil for none.
	Unsent, Former *custody.Journal
}

// memory is what this process alone knows of grants. It may be used by many goroutines at once.
type memory struct {
	accounts *accountmemory.Memory[accountMemory]
}

type accountMemory struct {
	pending *Pending // nil when nothing waits
	// departing is the custody of an account that is being deleted; nil for none.
	departing *custody.Custody
	// stale tells that the last write of the grant Secret lost a conflict: the next renewal reads it live.
	stale bool
	// told is what was said last of a grant Secret that is not as the operator writes it; empty where nothing was.
	told string
}

// remember keeps a custody in memory until it is stored.
func (m *memory) remember(pending Pending) {
	m.accounts.Change(pending.Account.UID, func(e *accountMemory) { e.pending = &pending })
}

// RememberUnsent keeps in memory that an entry of the journal may be on record although its token was not sent. former is the entry before it.
func (m *memory) RememberUnsent(account *v1alpha1.MarketplaceAccount, unsent, former *custody.Journal) {
	m.remember(Pending{Account: account.DeepCopy(), Unsent: unsent, Former: former})
}

// Pending returns the write that waits for an account; nil when none does.
func (m *memory) Pending(account types.UID) *Pending { return m.accounts.Of(account).pending }

// AllPending returns every write that waits.
func (m *memory) AllPending() (all []Pending) {
	m.accounts.Each(func(_ types.UID, entry accountMemory) bool {
		if entry.pending != nil {
			all = append(all, *entry.pending)
		}
		return true
	})
	return all
}

// DropPending forgets the write that waits for an account, since it or a newer one succeeded.
func (m *memory) DropPending(account types.UID) {
	m.accounts.Change(account, func(e *accountMemory) { e.pending = nil })
}

// Departing returns the custody of an account that is being deleted, as its grant Secret holds it or held it last: the garbage collector may remove
// that at any time while the account waits for its finalizers, where its owner is deleted in the foreground. gone tells that there is no grant Secret.
func (m *memory) Departing(account types.UID, read custody.Custody, gone bool) (kept custody.Custody) {
	m.accounts.Change(account, func(e *accountMemory) {
		if kept = read; gone && e.departing != nil {
			kept = *e.departing
		} else if !gone {
			e.departing = &read
		}
	})
	return kept
}

// SetStale remembers that the cache was seen not to show the grant Secret of an account as it is.
func (m *memory) SetStale(account types.UID) {
	m.accounts.Change(account, func(e *accountMemory) { e.stale = true })
}

// TakeStale tells once that SetStale was called.
func (m *memory) TakeStale(account types.UID) (stale bool) {
	m.accounts.Change(account, func(e *accountMemory) { stale, e.stale = e.stale, false })
	return stale
}

// FirstTold tells whether this is said of the grant Secret of an account for the first time in a row, and remembers that it was.
func (m *memory) FirstTold(account types.UID, what string) (first bool) {
	m.accounts.Change(account, func(e *accountMemory) { first, e.told = e.told != what, what })
	return first
}

// On returns the custody to store on top of the stored one; false when nothing is to be stored any more, because a newer one was.
func (p *Pending) On(stored custody.Custody) (custody.Custody, bool) {
	if p.Unsent != nil {
		return withdraw(stored, p.Unsent, p.Former)
	}
	next := p.Custody
	if next.Serial < stored.Serial || next.Accepted < stored.Accepted || next.Serial == stored.Serial && isNewer(stored.Tokens, next.Tokens) {
		return stored, false
	}
	// Sign-ins of people go on meanwhile, and visits store them themselves.
	next.Consents, next.SignIn, next.HandledSignIn = stored.Consents, stored.SignIn, stored.HandledSignIn
	if waits := stored.Candidate; waits != nil && waits.Consent > 0 || next.Candidate != nil && next.Candidate.Consent > 0 {
		next.Candidate = waits
	}
	return next, true
}

// withdraw takes back an entry of the journal whose token was not sent. Everything that was stored since then stays.
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

// isNewer tells that the stored tokens differ from the ones in memory, and are as new: another replica did the same.
func isNewer(stored, held *custody.Tokens) bool {
	return stored != nil && held != nil && stored.AccessToken != held.AccessToken && !stored.IssuedAt.Before(held.IssuedAt)
}
