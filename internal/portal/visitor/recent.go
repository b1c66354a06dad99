package visitor

import "container/list"

// recent remembers the entries that were used last, up to a number of them. The zero value remembers nothing; it is not safe for
// concurrent use.
type recent[K comparable, V any] struct {
	limit   int
	entries map[K]*list.Element
	order   list.List // the last used first
}

type remembered[K comparable, V any] struct {
	key   K
	value V
}

func newRecent[K comparable, V any](limit int) *recent[K, V] {
	return &recent[K, V]{limit: limit, entries: make(map[K]*list.Element)}
}

func (r *recent[K, V]) get(key K) (value V, found bool) {
	element, found := r.entries[key]
	if !found {
		return value, false
	}
	r.order.MoveToFront(element)
	return element.Value.(*remembered[K, V]).value, true
}

// put remembers a value, and forgets the one that was not used for longest when there are too many.
func (r *recent[K, V]) put(key K, value V) {
	if element, found := r.entries[key]; found {
		element.Value.(*remembered[K, V]).value = value
		r.order.MoveToFront(element)
		return
	}
	r.entries[key] = r.order.PushFront(&remembered[K, V]{key, value})
	if len(r.entries) > r.limit {
		oldest := r.order.Back()
		r.order.Remove(oldest)
		delete(r.entries, oldest.Value.(*remembered[K, V]).key)
	}
}
