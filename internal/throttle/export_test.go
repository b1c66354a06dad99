package throttle

// Remembered is how many tenants a set of limiters remembers.
func (s *Limiters[W]) Remembered() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.limiters {
		n += len(at.waiting.lines)
	}
	return n
}
