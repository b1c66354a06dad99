package throttle

import "container/heap"

// queue holds those who wait, each once, the first in rank in front.
type queue[W comparable] struct {
	items places[W]
	at    map[W]*place[W]
	count int
}

type place[W comparable] struct {
	who   W
	rank  Rank
	order int // of arrival, between equals
	index int
}

// put adds somebody, or gives him another rank.
func (q *queue[W]) put(who W, rank Rank) {
	if held := q.at[who]; held != nil {
		held.rank = rank
		heap.Fix(&q.items, held.index)
		return
	}
	if q.at == nil {
		q.at = map[W]*place[W]{}
	}
	q.count++
	added := &place[W]{who: who, rank: rank, order: q.count}
	q.at[who] = added
	heap.Push(&q.items, added)
}

// pop takes out the first.
func (q *queue[W]) pop() W {
	first := heap.Pop(&q.items).(*place[W])
	delete(q.at, first.who)
	return first.who
}

// remove takes somebody out, and tells whether he was there.
func (q *queue[W]) remove(who W) bool {
	held := q.at[who]
	if held == nil {
		return false
	}
	heap.Remove(&q.items, held.index)
	delete(q.at, who)
	return true
}

func (q *queue[W]) len() int { return len(q.items) }

// places implements heap.Interface.
type places[W comparable] []*place[W]

func (p places[W]) Len() int { return len(p) }

func (p places[W]) Less(i, j int) bool {
	if order := p[i].rank.compare(p[j].rank); order != 0 {
		return order < 0
	}
	return p[i].order < p[j].order
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
