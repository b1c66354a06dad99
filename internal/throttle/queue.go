package throttle

import (
	"cmp"
	"container/heap"
	"time"
)

const (
	// catchUp is how many turns a tenant may take one after the other that has not had its share lately: two tokens of a modest tenant that
	// fall due together are not told apart by a tenant that always waits.
	catchUp = 4
	// mostIdle bounds how many tenants are remembered of which no request waits. It is more than have turns within a minute at usual limits.
	mostIdle = 1024
)

// queue holds the waiters, each once. Tenants take turns: in each round every tenant that waits is served once. Of one tenant the waiter of the
// first priority is served.
type queue[W comparable] struct {
	tenantOf func(W) string
	at       map[W]*place[W]
	lines    map[string]*line[W]
	// waiting are the lines that are not empty, the next to be served in front.
	waiting lines[W]
	// round is the latest in which a line was served. idle are empty lines that were served lately: coming back does
	// not make them new.
	round int64
	idle  []*line[W]
	count int64
}

// line holds the waiters of one tenant, the first priority in front.
type line[W comparable] struct {
	tenant string
	items  places[W]
	// round is the one in which it is served next, and order its place among those of the same round.
	round, order int64
	index        int
	idle         bool
}

type place[W comparable] struct {
	waiter   W
	line     *line[W]
	priority Priority
	order    int64 // of arrival, between equals
	index    int
}

func newQueue[W comparable](tenantOf func(W) string) queue[W] {
	return queue[W]{tenantOf: tenantOf}
}

// put adds a waiter, or gives it another priority.
func (q *queue[W]) put(waiter W, priority Priority) {
	if held := q.at[waiter]; held != nil {
		held.priority = priority
		heap.Fix(&held.line.items, held.index)
		return
	}
	if q.at == nil {
		q.at, q.lines = map[W]*place[W]{}, map[string]*line[W]{}
	}
	tenant := q.tenantOf(waiter)
	of := q.lines[tenant]
	if of == nil {
		of = &line[W]{tenant: tenant, round: q.round - catchUp}
		q.lines[tenant] = of
	}
	q.count++
	added := &place[W]{waiter: waiter, line: of, priority: priority, order: q.count}
	q.at[waiter] = added
	heap.Push(&of.items, added)
	if len(of.items) == 1 {
		of.round, of.order = max(of.round, q.round-catchUp), q.count
		heap.Push(&q.waiting, of)
	}
}

// pop takes out the first.
func (q *queue[W]) pop() (W, Priority) {
	of := q.waiting[0]
	first := heap.Pop(&of.items).(*place[W])
	delete(q.at, first.waiter)
	if latest := max(of.round, q.round); latest != q.round {
		q.round = latest
		q.tidy()
	}
	q.count++
	of.round, of.order = of.round+1, q.count
	q.reorder(of)
	return first.waiter, first.priority
}

// remove takes a waiter out, and tells whether it was there.
func (q *queue[W]) remove(waiter W) bool {
	held := q.at[waiter]
	if held == nil {
		return false
	}
	heap.Remove(&held.line.items, held.index)
	delete(q.at, waiter)
	q.reorder(held.line)
	return true
}

// reorder puts a line into its place after a waiter has left it.
func (q *queue[W]) reorder(of *line[W]) {
	if len(of.items) > 0 {
		heap.Fix(&q.waiting, of.index)
		return
	}
	heap.Remove(&q.waiting, of.index)
	switch {
	case len(q.waiting) == 0: // no tenant is kept waiting, so that none has had more than a share
		*q = newQueue[W](q.tenantOf) // maps do not shrink by themselves
	case !of.idle:
		of.idle = true
		if q.idle = append(q.idle, of); len(q.idle) > mostIdle {
			q.tidy()
		}
	}
}

// tidy forgets the idle lines to which it makes no difference any more that they were served, and the oldest of too many.
func (q *queue[W]) tidy() {
	kept := q.idle[:0]
	for i, of := range q.idle {
		switch {
		case len(of.items) > 0:
			of.idle = false
		case of.round > q.round-catchUp && len(q.idle)-i <= mostIdle/2:
			kept = append(kept, of)
		default:
			delete(q.lines, of.tenant)
		}
	}
	clear(q.idle[len(kept):])
	q.idle = kept
}

// belowShare tells whether the tenant that is served next has had less than its share.
func (q *queue[W]) belowShare() bool { return q.waiting[0].round < q.round }

func (q *queue[W]) len() int { return len(q.at) }

// leastPatience is the shortest of all waiters; zero when all have time.
func (q *queue[W]) leastPatience() time.Duration {
	var least time.Duration
	for _, held := range q.at {
		patience := held.priority.Patience
		least = min(cmp.Or(least, patience), cmp.Or(patience, least))
	}
	return least
}

// places implements heap.Interface.
type places[W comparable] []*place[W]

func (p places[W]) Len() int { return len(p) }

func (p places[W]) Less(i, j int) bool {
	return cmp.Or(p[i].priority.compare(p[j].priority), cmp.Compare(p[i].order, p[j].order)) == -1
}

func (p places[W]) Swap(i, j int) {
	p[i], p[j] = p[j], p[i]
	p[i].index, p[j].index = i, j
}

// Push implements heap.Interface.
func (p *places[W]) Push(x any) {
	added := x.(*place[W])
	added.index = len(*p)
	*p = append(*p, added)
}

// Pop implements heap.Interface.
func (p *places[W]) Pop() any {
	last := (*p)[len(*p)-1]
	(*p)[len(*p)-1] = nil
	*p = (*p)[:len(*p)-1]
	return last
}

// lines implements heap.Interface.
type lines[W comparable] []*line[W]

func (l lines[W]) Len() int { return len(l) }

func (l lines[W]) Less(i, j int) bool {
	return cmp.Or(cmp.Compare(l[i].round, l[j].round), cmp.Compare(l[i].order, l[j].order)) == -1
}

func (l lines[W]) Swap(i, j int) {
	l[i], l[j] = l[j], l[i]
	l[i].index, l[j].index = i, j
}

// Push implements heap.Interface.
func (l *lines[W]) Push(x any) {
	added := x.(*line[W])
	added.index = len(*l)
	*l = append(*l, added)
}

// Pop implements heap.Interface.
func (l *lines[W]) Pop() any {
	last := (*l)[len(*l)-1]
	(*l)[len(*l)-1] = nil
	*l = (*l)[:len(*l)-1]
	return last
}
