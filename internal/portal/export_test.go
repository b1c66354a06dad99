package portal

import (
	"context"
	"net/netip"
	"time"
)

// Serve is Start with a listener that a test has made.
var Serve = (*Portal).serve

// SetSleep replaces the waiting of tokens that are looked at slowly.
func SetSleep(p *Portal, sleep func(ctx context.Context, wait time.Duration) error) {
	p.doubtful.sleep = sleep
}

// Guess is an attempt with a token that another authenticator than the cluster's own may know.
func Guess(p *Portal) {
	done, _ := p.tokens.admit(netip.MustParsePrefix("127.0.0.1/32"))
	done(true)
	_ = p.doubtful.turns.AllowN(p.clock.Now(), doubtfulRate)
}

// Lists is how many lists are under way.
func Lists(p *Portal) int { return len(p.lists.places) }

// FillLists takes all places for lists, and sets how long others wait for one.
func FillLists(p *Portal, patience time.Duration) {
	p.lists.patience = patience
	for range maxLists {
		p.lists.places <- struct{}{}
	}
}

// PressedFor sets how long an answer to a button waits for what becomes of it.
func PressedFor(p *Portal, wait time.Duration) { p.outcomeWait = wait }
