package judge

import (
	"net/url"
	"sync"
)

// shortestSecret is the length below which a value would be found in any text by chance.
const shortestSecret = 4

// Secrets remembers the values that must not appear in logs, events or status. It is safe for concurrent use.
type Secrets struct {
	mu    sync.Mutex
	known map[string]struct{}
	ring  []string
	size  int // of the ring when it is full; none when negative
	next  int
}

// NewSecrets returns a log of this size: 100000 when it is zero, none when it is less.
func NewSecrets(size int) *Secrets {
	if size == 0 {
		size = 100_000
	}
	return &Secrets{known: map[string]struct{}{}, size: size}
}

// Note remembers values, each once, instead of the oldest when the log is full.
func (l *Secrets) Note(values ...string) {
	if l.size < 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, value := range values {
		if _, known := l.known[value]; known || len(value) < shortestSecret {
			continue
		}
		l.known[value] = struct{}{}
		if len(l.ring) < l.size {
			l.ring = append(l.ring, value)
			continue
		}
		delete(l.known, l.ring[l.next])
		l.ring[l.next] = value
		l.next = (l.next + 1) % l.size
	}
}

// NoteCode remembers a code, also as it looks in the address of a callback.
func (l *Secrets) NoteCode(code string) { l.Note(code, url.QueryEscape(code)) }

// All returns the values that are remembered.
func (l *Secrets) All() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.ring...)
}
