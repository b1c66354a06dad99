package main

import (
	"crypto/sha256"
	"runtime"
	"slices"
	"testing"
	"time"
)

func TestSlowest(t *testing.T) {
	usual := slices.Repeat([]time.Duration{time.Millisecond}, 30)
	slow := slices.Clone(usual)
	for i := 12; i < 22; i++ {
		slow[i] = 3 * time.Millisecond
	}
	for name, test := range map[string]struct {
		samples []time.Duration
		want    float64
	}{
		"as usual":            {usual, 1},
		"ten slow seconds":    {slow, 3},
		"slow from the start": {slices.Concat(slow[12:], usual), 3},
		"five slow seconds":   {slow[17:], 2},
		"too short a time":    {usual[:9], 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := slowest(test.samples, 10); got != test.want {
				t.Errorf("slowest is %v, want %v", got, test.want)
			}
		})
	}
}

func TestPulse(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := threadTime()
	sha256.Sum256(make([]byte, 1<<16))
	if took := threadTime() - before; took <= 0 {
		t.Errorf("a computation takes %v", took)
	}
	if got := startPulse(t.Context()).end(); got != 0 {
		t.Errorf("after no second the pulse is %v, want none", got)
	}
}
