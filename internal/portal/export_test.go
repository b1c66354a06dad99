package portal

import (
	"context"
	"time"
)

// Serve is Start with a listener that a test has made.
var Serve = (*Portal).serve

// SetSleep replaces the waiting of tokens that are looked at slowly.
func SetSleep(p *Portal, sleep func(ctx context.Context, wait time.Duration) error) {
	p.doubtful.sleep = sleep
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
