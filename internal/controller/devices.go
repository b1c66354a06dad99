package controller

import (
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/accountmemory"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
)

// poll is when to ask about a device code again, or for one. It lives in memory: after a restart a code is polled when its
// interval is over, since the time of its last poll is not known.
type poll struct {
	code     string // empty while there is none
	next     time.Time
	wait     time.Duration // until next, when that was set
	interval time.Duration
	failures int32
	// unanswered tells that a poll was sent and had no answer, so that the code may have become tokens.
	unanswered bool
}

// after sets the next poll.
func (p *poll) after(wait time.Duration, now time.Time) {
	p.wait, p.next = wait, now.Add(wait)
}

// approval holds the tokens of an approved device code until they are stored: the only copy.
type approval struct {
	account *v1alpha1.MarketplaceAccount
	got     lifecycle.Issued
	asked   []string
}

// deviceMemory holds the polls and approvals of device codes that are in this process alone. It may be used by many goroutines at once.
type deviceMemory struct {
	accounts *accountmemory.Memory[deviceState]
}

type deviceState struct {
	poll *poll // nil where it is not known
	// approval waits to be stored; nil when none does.
	approval *approval
}

// poll returns when to ask again, if that is known.
func (m deviceMemory) poll(account types.UID) (poll, bool) {
	if held := m.accounts.Of(account).poll; held != nil {
		return *held, true
	}
	return poll{}, false
}

func (m deviceMemory) setPoll(account types.UID, next poll) {
	m.accounts.Change(account, func(s *deviceState) { s.poll = &next })
}

func (m deviceMemory) forgetPoll(account types.UID) {
	m.accounts.Change(account, func(s *deviceState) { s.poll = nil })
}

// approval returns the tokens that wait to be stored; nil when none do.
func (m deviceMemory) approval(account types.UID) *approval { return m.accounts.Of(account).approval }

// setApproval remembers the tokens of an approved device code until they are stored, and then nil.
func (m deviceMemory) setApproval(account types.UID, approved *approval) {
	m.accounts.Change(account, func(s *deviceState) { s.approval = approved })
}

// approved returns the accounts whose tokens wait to be stored.
func (m deviceMemory) approved() (accounts []*v1alpha1.MarketplaceAccount) {
	m.accounts.Each(func(_ types.UID, state deviceState) bool {
		if state.approval != nil {
			accounts = append(accounts, state.approval.account)
		}
		return true
	})
	return accounts
}
