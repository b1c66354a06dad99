package demomarket

import (
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/tokens"
)

// Down makes every endpoint answer with a maintenance page for d by the server's clock, or until Up when d is zero.
func (m *Market) Down(d time.Duration) {
	now := m.now()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.outage.down, m.outage.until = true, tokens.After(now, d)
}

// Up ends Down.
func (m *Market) Up() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.outage.down = false
}

// Slow adds latency to every answer, in real time, beside that of [Options.Latency]. Zero ends it.
func (m *Market) Slow(latency time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.outage.slow = latency
}

// IsDown tells whether the platform is down now.
func (m *Market) IsDown() bool {
	now := m.now()
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.outage.down && (m.outage.until.IsZero() || now.Before(m.outage.until))
}

// slowness is the latency of an answer.
func (m *Market) slowness() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.server.latency + m.outage.slow
}
