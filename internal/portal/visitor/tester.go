package visitor

import (
	"context"
	"net/netip"
	"time"
)

// Tester changes a Reception for the tests of pages, which step a clock and do not wait.
type Tester struct{ Reception *Reception }

// SetSleep replaces the waiting of tokens that are looked at slowly.
func (t Tester) SetSleep(sleep func(ctx context.Context, wait time.Duration) error) {
	t.Reception.doubtful.sleep = sleep
}

// Guess is an attempt from this machine with a token that another authenticator than the cluster's own may know.
func (t Tester) Guess() {
	done, _ := t.Reception.tokens.admit(netip.MustParsePrefix("127.0.0.1/32"))
	done(true)
	_ = t.Reception.doubtful.turns.AllowN(t.Reception.clock.Now(), doubtfulRate)
}

// Lists is how many lists are under way.
func (t Tester) Lists() int { return len(t.Reception.lists.places) }

// FillLists takes all places for lists, and sets how long a further list waits for one.
func (t Tester) FillLists(patience time.Duration) {
	t.Reception.lists.patience = patience
	for range maxLists {
		t.Reception.lists.places <- struct{}{}
	}
}
