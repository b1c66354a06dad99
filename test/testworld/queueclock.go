package testworld

import (
	"time"

	"k8s.io/utils/clock"
	testingclock "k8s.io/utils/clock/testing"
)

// QueueClock is a story's clock for a work queue, which looks every ten seconds. The fake clock's own ticker counts all ticks of a step, and there
// are three millions in a year.
type QueueClock struct{ *testingclock.FakeClock }

// NewTicker implements clock.WithTicker: a step is one tick.
func (c QueueClock) NewTicker(every time.Duration) clock.Ticker {
	t := ticker{ticks: make(chan time.Time, 1), stopped: make(chan struct{})}
	timer := c.NewTimer(every)
	go func() {
		defer timer.Stop()
		for {
			select {
			case <-t.stopped:
				return
			case at := <-timer.C():
				timer.Reset(every)
				select {
				case t.ticks <- at:
				default:
				}
			}
		}
	}()
	return t
}

type ticker struct {
	ticks   chan time.Time
	stopped chan struct{}
}

// C implements clock.Ticker.
func (t ticker) C() <-chan time.Time { return t.ticks }

// Stop implements clock.Ticker.
func (t ticker) Stop() { close(t.stopped) }
