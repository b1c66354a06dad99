package main

import (
	"context"
	"crypto/sha256"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// pulseWindow is over how many seconds a slow machine is noticed.
const pulseWindow = 10

// pulse measures the machine itself: how much processor time the same computation takes, once a second. Whoever shares a virtual
// machine's processors slows it down without a trace in its accounts, and every figure with it.
type pulse struct {
	took []time.Duration
	stop context.CancelFunc
	done chan struct{}
}

func startPulse(ctx context.Context) *pulse {
	ctx, stop := context.WithCancel(ctx)
	p := &pulse{stop: stop, done: make(chan struct{})}
	go p.beat(ctx)
	return p
}

// beat takes a sample each second.
func (p *pulse) beat(ctx context.Context) {
	defer close(p.done)
	runtime.LockOSThread() // whose processor time is looked at
	defer runtime.UnlockOSThread()
	data := make([]byte, 1<<20)
	seconds := time.NewTicker(time.Second)
	defer seconds.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-seconds.C:
		}
		before := threadTime()
		sha256.Sum256(data)
		p.took = append(p.took, threadTime()-before)
	}
}

// end returns how many times as long as usual the computation took in the slowest seconds.
func (p *pulse) end() float64 {
	p.stop()
	<-p.done
	return slowest(p.took, pulseWindow)
}

// slowest compares the slowest samples in a row, by their mean, with the median of all; zero when there are too few.
func slowest(samples []time.Duration, inRow int) float64 {
	if len(samples) < inRow {
		return 0
	}
	var sum, most time.Duration
	for i, took := range samples {
		sum += took
		if i >= inRow {
			sum -= samples[i-inRow]
		}
		if i >= inRow-1 {
			most = max(most, sum)
		}
	}
	usual := slices.Sorted(slices.Values(samples))[len(samples)/2]
	return float64(most) / float64(inRow) / float64(max(usual, 1))
}

// threadTime is the processor time that this thread has had, to the nanosecond: getrusage(2) is as coarse as the timer.
func threadTime() time.Duration {
	var used unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &used); err != nil {
		return 0
	}
	return time.Duration(used.Nano())
}
