// Package room bounds how many looks at accounts are worked on at once, and so the memory that they hold. A look that waits for a marketplace makes
// room meanwhile, and goes on without waiting when it has its answer, which may be the only copy of new tokens.
package room

import (
	"context"
	"sync"
)

// Room has places for looks. It may be used by many goroutines at once.
type Room struct {
	places int

	mu    sync.Mutex // guards count
	free  *sync.Cond // that a place is
	count int        // of looks that have a place; more than there are while some have come back
}

// New returns a room with so many places; zero or less is taken for one.
func New(places int) *Room {
	r := &Room{places: max(places, 1)}
	r.free = sync.NewCond(&r.mu)
	return r
}

// place is that of one look, which one goroutine works on.
type place struct {
	room   *Room
	inside bool
}

type key struct{}

// Enter waits for a place. The returned context is that of the look, which has the place until leave is called.
func (r *Room) Enter(ctx context.Context) (look context.Context, leave func()) {
	r.mu.Lock()
	for r.count >= r.places {
		r.free.Wait()
	}
	r.count++
	r.mu.Unlock()
	p := &place{room: r, inside: true}
	return context.WithValue(ctx, key{}, p), p.stepOut
}

// StepOut gives the place of a look away until back is called, which does not wait. Without a place, and outside already, both do nothing.
func StepOut(look context.Context) (back func()) {
	p, _ := look.Value(key{}).(*place)
	if p == nil || !p.inside {
		return func() {}
	}
	p.stepOut()
	return p.stepIn
}

func (p *place) stepOut() { p.step(false, -1) }

func (p *place) stepIn() { p.step(true, 1) }

func (p *place) step(inside bool, by int) {
	if p.inside == inside {
		return
	}
	p.inside = inside
	p.room.mu.Lock()
	defer p.room.mu.Unlock()
	p.room.count += by
	if by < 0 && p.room.count < p.room.places {
		p.room.free.Signal()
	}
}
