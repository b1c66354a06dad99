package signin_test

import (
	"sync"
	"testing"
	"time"

	testingclock "k8s.io/utils/clock/testing"
)

// tick is how often a clock looks at the wall clock.
const tick = 5 * time.Millisecond

// clock goes as fast as the wall clock does, and a story puts it forward. The operator and the marketplace go by it; the API
// server and the browser do not.
type clock struct {
	*testingclock.FakeClock
	mu    sync.Mutex // guards ahead
	ahead time.Duration
}

func newClock(t *testing.T) *clock {
	t.Helper()
	c := &clock{FakeClock: testingclock.NewFakeClock(time.Now())}
	ticker := time.NewTicker(tick)
	var going sync.WaitGroup
	done := make(chan struct{})
	going.Go(func() {
		for {
			select {
			case <-ticker.C:
				c.Step(0)
			case <-done:
				return
			}
		}
	})
	t.Cleanup(func() { ticker.Stop(); close(done); going.Wait() })
	return c
}

// Step puts the clock forward, and wakes every program that waits for that.
func (c *clock) Step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
	c.SetTime(time.Now().Add(c.ahead))
}
