package throttle

import (
	"errors"
	"time"

	"github.com/sony/gobreaker/v2"
)

const (
	// failuresInARow open a circuit, for circuitPause before one request tries again. An account by itself waits longer than that
	// after as many failures.
	failuresInARow = 5
	circuitPause   = 30 * time.Second
)

// errUnused and errUnavailable are what the circuit breaker is told.
var (
	errUnused      = errors.New("no request was made")
	errUnavailable = errors.New("no answer")
)

// breaker is a circuit breaker. It is open after failures in a row, and then lets one request at a time find out whether the host answers
// again. It has no pause of its own: the limiter decides how long to wait, by a clock that comes from outside.
type breaker struct {
	steps *gobreaker.TwoStepCircuitBreaker[struct{}]
}

func newBreaker(failures uint32) breaker {
	return breaker{gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests: 1,
		Timeout:     time.Nanosecond,
		ReadyToTrip: func(counts gobreaker.Counts) bool { return counts.ConsecutiveFailures >= failures },
		IsExcluded:  func(err error) bool { return errors.Is(err, errUnused) },
	})}
}

// allow lets a request through whose outcome done is told; false while another one finds out whether the host answers.
func (b breaker) allow() (done func(error), ok bool) {
	done, err := b.steps.Allow()
	return done, err == nil
}

func (b breaker) isOpen() bool { return b.steps.State() != gobreaker.StateClosed }

// isAsNew tells that nothing would be lost with the breaker.
func (b breaker) isAsNew() bool { return !b.isOpen() && b.steps.Counts().ConsecutiveFailures == 0 }
