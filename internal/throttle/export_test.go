package throttle

// Remembered is how many tenants a set of gates remembers.
func (g *Gates[W]) Remembered() (n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, at := range g.gates {
		n += len(at.waiting.lines)
	}
	return n
}
