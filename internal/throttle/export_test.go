package throttle

// Len is how many limiters there are.
func (s *Limiters[W]) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.limiters)
}

// Len is how many hosts are remembered.
func (f *FailFast) Len() int { return f.limiters.Len() }

// Remembered is how many tenants a set of limiters remembers.
func (s *Limiters[W]) Remembered() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.limiters {
		n += len(at.waiting.lines)
	}
	return n
}
