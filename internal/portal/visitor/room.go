package visitor

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/utils/clock"

	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

// slowLane lets attempts pass one after the other.
type slowLane struct {
	clock clock.PassiveClock
	turns *rate.Limiter
	sleep func(ctx context.Context, wait time.Duration) error
}

func newSlowLane(clock clock.PassiveClock) *slowLane {
	return &slowLane{clock: clock, turns: rate.NewLimiter(doubtfulRate, doubtfulRate), sleep: sleep}
}

// wait waits for a turn, unless too many attempts wait already.
func (s *slowLane) wait(ctx context.Context) error {
	now := s.clock.Now()
	turn := s.turns.ReserveN(now, 1)
	wait := turn.DelayFrom(now)
	if wait > timeouts.DoubtfulToken {
		turn.CancelAt(now)
		return &LimitedError{wait}
	}
	return s.sleep(ctx, wait)
}

func sleep(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return &ClusterError{"waiting to review a token", ctx.Err()}
	}
}

// room bounds how much is done at once.
type room struct {
	places   chan struct{}
	patience time.Duration
}

// enter waits for a place. The caller leaves it, as often as it likes.
func (m *room) enter(ctx context.Context) (leave func(), err error) {
	leave = sync.OnceFunc(func() { <-m.places })
	select {
	case m.places <- struct{}{}: // which is free, however late it is
		return leave, nil
	default:
	}
	patient, cancel := context.WithTimeout(ctx, m.patience)
	defer cancel()
	select {
	case m.places <- struct{}{}:
		return leave, nil
	case <-patient.Done():
		if err := ctx.Err(); err != nil {
			return nil, &ClusterError{"waiting to make a list", err}
		}
		return nil, &BusyError{m.patience}
	}
}
