package demomarket

import (
	"context"
	"net/http"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/demomarket/platforms"
)

// Name is the platform's name.
func (m *Market) Name() string { return m.platform.Name }

// Seller is the seller that exists from the start, whose user is [DefaultUser].
func (m *Market) Seller() platforms.Seller { return m.platform.Seller }

// OtherSeller is the second seller that exists from the start, whose user is [OtherUser].
func (m *Market) OtherSeller() platforms.Seller { return m.platform.OtherSeller }

// SetClockAhead has the Date of answers lie ahead of the time at which they are made, or behind where ahead is negative.
func (m *Market) SetClockAhead(ahead time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clockAhead = ahead
}

// date is the Date of an answer.
func (m *Market) date() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now().Add(m.clockAhead).UTC().Format(http.TimeFormat)
}

// SetLifetimes changes the lifetimes of tokens issued from now on. A zero value changes nothing.
func (m *Market) SetLifetimes(lifetimes Lifetimes) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lifetimes = lifetimes.over(m.lifetimes)
}

// currentLifetimes are the lifetimes of a token issued now.
func (m *Market) currentLifetimes() Lifetimes {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lifetimes
}

// now is the server's clock.
func (m *Market) now() time.Time { return m.server.now() }

// Address is the platform's address as the client of r knows it.
func (m *Market) Address(r *http.Request) string { return m.server.BaseURL(r) + "/" + m.platform.Name }

// issuer is the platform's name for itself in tokens and in discovery.
func (m *Market) issuer(r *http.Request) string { return m.Address(r) + m.platform.IssuerSuffix }

// wait lets d pass, or less when the request ends.
func wait(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// Values is the platform as a value.
func (m *Market) Values() platforms.Platform { return m.platform }
