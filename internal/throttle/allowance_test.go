package throttle_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/throttle"
)

const (
	renew throttle.Request = 1 << iota
	verify
)

// purse is an allowance of three at once and one a minute, with a clock that only the test moves.
type purse struct {
	*throttle.Allowance[string]
	t   *testing.T
	now time.Time
}

func newPurse(t *testing.T) *purse {
	p := &purse{t: t, now: start}
	p.Allowance = throttle.NewAllowance[string](func() time.Time { return p.now }, 3, time.Minute)
	return p
}

func (p *purse) admits(asker string, request throttle.Request) {
	p.t.Helper()
	if ok, next := p.Admit(asker, request); !ok {
		p.t.Fatalf("%s has to wait until %v", asker, next)
	}
}

func (p *purse) refuses(asker string, request throttle.Request, until time.Time) {
	p.t.Helper()
	if ok, next := p.Admit(asker, request); ok || !next.Equal(until) {
		p.t.Fatalf("%s is let through: %v, or waits until %v, want %v", asker, ok, next, until)
	}
}

// carriesOut does a request from its beginning to its end.
func (p *purse) carriesOut(asker string, request throttle.Request) {
	p.t.Helper()
	p.admits(asker, request)
	p.Done(asker, request)
}

func TestAllowanceIsThreeAtOnceAndOneAMinute(t *testing.T) {
	p := newPurse(t)
	for range 3 {
		p.carriesOut("a", renew)
	}
	p.refuses("a", renew, start.Add(time.Minute))
	p.carriesOut("b", renew) // others have their own
	p.now = start.Add(59 * time.Second)
	p.refuses("a", renew, start.Add(time.Minute))
	for i := range 5 {
		p.now = start.Add(time.Duration(i+1) * time.Minute)
		p.carriesOut("a", renew)
		p.refuses("a", renew, p.now.Add(time.Minute))
	}
	p.now = p.now.Add(time.Hour)
	for range 3 {
		p.carriesOut("a", renew)
	}
	p.refuses("a", renew, p.now.Add(time.Minute))
}

func TestAllowanceCountsAllRequestsTogether(t *testing.T) {
	p := newPurse(t)
	p.carriesOut("a", renew)
	p.carriesOut("a", verify)
	p.carriesOut("a", verify)
	p.refuses("a", renew, start.Add(time.Minute))
	p.refuses("a", verify, start.Add(time.Minute))
}

func TestAllowanceOfARequestThatWaitsIsUsedOnce(t *testing.T) {
	p := newPurse(t)
	for range 100 { // it waits for its turn, or another value takes its place
		p.admits("a", renew)
	}
	p.admits("a", verify)
	p.Done("a", renew)
	p.carriesOut("a", renew)
	p.refuses("a", renew, start.Add(time.Minute))
	p.admits("a", verify)
}

func TestAllowanceWhenTheClockIsSetBack(t *testing.T) {
	p := newPurse(t)
	for range 3 {
		p.carriesOut("a", renew)
	}
	p.now = start.Add(-24 * time.Hour)
	p.refuses("a", renew, p.now.Add(time.Minute))
	p.now = p.now.Add(time.Minute)
	p.carriesOut("a", renew)
}

func TestAllowanceRemembersTheLastMinutesAlone(t *testing.T) {
	p := newPurse(t)
	for i := range 100_000 {
		p.now = p.now.Add(time.Second)
		p.admits(fmt.Sprint(i), renew)
	}
	if n := p.Len(); n > 512 {
		t.Errorf("%d accounts are remembered, of which 60 have asked in the last minute", n)
	}
}

// TestAllowanceForgetsAskers that have all of theirs again, when there are many, also after a crowd that had to be remembered.
func TestAllowanceForgetsAskers(t *testing.T) {
	p := newPurse(t)
	for i := range 64 {
		p.carriesOut(fmt.Sprint(i), renew)
	}
	p.now = p.now.Add(time.Minute)
	if p.carriesOut("another", renew); p.Len() != 1 {
		t.Errorf("%d askers are remembered of which one has asked in the last minute", p.Len())
	}
	for i := range 1000 {
		p.carriesOut(fmt.Sprint(i), renew)
	}
	if n := p.Len(); n != 1001 {
		t.Errorf("%d askers are remembered of 1001 that have asked in the last minute", n)
	}
	p.now = p.now.Add(time.Hour)
	for i := range 200 {
		p.carriesOut(fmt.Sprint("later ", i), renew)
	}
	if n := p.Len(); n > 400 {
		t.Errorf("%d askers are remembered after a crowd, of which 200 have asked in the last minute", n)
	}
}
