package throttle_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/throttle"
)

// demanded is a limiter whose platform wants to be left alone for ten minutes.
func demanded(t *testing.T) (w *world, opens time.Time) {
	w = newWorld(t, 100)
	w.enters(allegro, wide, "first", scheduled(0)).Release(throttle.Outcome{RetryAfter: 10 * time.Minute})
	return w, start.Add(10 * time.Minute)
}

func endsIn(now time.Time, left time.Duration) throttle.Priority {
	return throttle.Priority{Class: throttle.Ending, Due: now.Add(left)}
}

var (
	person = throttle.Priority{Class: throttle.Urgent, Asked: true}
	again  = throttle.Outcome{RetryAfter: 10 * time.Minute}
)

func TestAWaitIsInterruptedOnceForATokenThatEnds(t *testing.T) {
	w, opens := demanded(t)
	alone := throttle.Wait{Cause: throttle.LeftAlone, Until: opens}
	w.waits(allegro, wide, "due", scheduled(0), alone)
	w.waits(allegro, wide, "has ended", endsIn(w.now, -time.Second), alone)
	w.waits(allegro, wide, "new", throttle.Priority{Class: throttle.Urgent}, alone)
	w.enters(allegro, wide, "ends", endsIn(w.now, 2*time.Minute)).Release(throttle.Outcome{})
	w.waits(allegro, wide, "ends, too", endsIn(w.now, time.Minute), alone)
	w.now = opens
	w.enters(allegro, wide, "due", scheduled(0))
}

func TestAWaitIsInterruptedByTheTokenThatEndsFirst(t *testing.T) {
	w := newWorld(t, 100)
	two := throttle.Limits{PerSecond: 1000, Concurrency: 2}
	alone := throttle.Wait{Cause: throttle.LeftAlone, Until: start.Add(10 * time.Minute)}
	a := w.enters(allegro, two, "a", scheduled(0))
	w.enters(allegro, two, "b", scheduled(0)).Release(again)
	person := w.enters(allegro, two, "asked for", person)
	w.waits(allegro, two, "ends first", endsIn(w.now, 30*time.Second), alone) // there is no room
	a.Release(throttle.Outcome{})
	person.Release(throttle.Outcome{})
	w.calls = nil
	w.waits(allegro, two, "ends later", endsIn(w.now, time.Minute), alone)
	w.called("ends first in 0s")
	w.enters(allegro, two, "ends first", endsIn(w.now, 30*time.Second)).ReleaseUnused() // it did not ask in the end
	w.enters(allegro, two, "ends later", endsIn(w.now, time.Minute)).Release(throttle.Outcome{})
	w.waits(allegro, two, "ends first", endsIn(w.now, 30*time.Second), alone)
}

func TestAnInterruptionThatProlongsTheWaitIsNoReasonForAnother(t *testing.T) {
	w, opens := demanded(t)
	w.enters(allegro, wide, "ends", endsIn(w.now, time.Minute)).Release(throttle.Outcome{RetryAfter: time.Hour})
	w.enters(allegro, wide, "asked for", person).Release(throttle.Outcome{RetryAfter: time.Hour})
	for i := range 10 { // neither the next token nor the next person, until the first wait would have been over
		w.now = start.Add(time.Duration(i) * time.Minute)
		w.waits(allegro, wide, fmt.Sprint("ends ", i), endsIn(w.now, time.Minute), throttle.Wait{Cause: throttle.LeftAlone, Until: start.Add(time.Hour)})
		w.waits(allegro, wide, fmt.Sprint("asked for ", i), person, throttle.Wait{Cause: throttle.LeftAlone, Until: start.Add(time.Hour)})
	}
	w.now = opens // what is left of the hour is a wait of its own
	w.enters(allegro, wide, "asked for again", person).Release(throttle.Outcome{})
	w.enters(allegro, wide, "ends later", endsIn(w.now, time.Minute)).Release(throttle.Outcome{})
	w.waits(allegro, wide, "ends last", endsIn(w.now, time.Minute), throttle.Wait{Cause: throttle.LeftAlone, Until: start.Add(time.Hour)})
}

func TestAPersonsRequestGoesThroughOnceInEachWait(t *testing.T) {
	w, opens := demanded(t)
	alone := throttle.Wait{Cause: throttle.LeftAlone, Until: opens}
	w.enters(allegro, wide, "asked for", person).Release(throttle.Outcome{})
	w.waits(allegro, wide, "asked for, too", person, alone)
	w.enters(other, wide, "another client", person)
	w.now = opens
	w.enters(allegro, wide, "asked for, too", person).Release(again)
	w.enters(allegro, wide, "in the next wait", person).Release(again)
	w.waits(allegro, wide, "once more", person, throttle.Wait{Cause: throttle.LeftAlone, Until: opens.Add(10 * time.Minute)})
}

func TestAnInterruptionKeepsToTheConcurrency(t *testing.T) {
	w := newWorld(t, 100)
	one := throttle.Limits{PerSecond: 1000, Concurrency: 2}
	a := w.enters(allegro, one, "a", scheduled(0))
	b := w.enters(allegro, one, "b", scheduled(0))
	b.Release(again)
	c := w.enters(allegro, one, "c", person)
	w.waits(allegro, one, "d", endsIn(w.now, time.Minute), throttle.Wait{Cause: throttle.LeftAlone, Until: start.Add(10 * time.Minute)})
	a.Release(throttle.Outcome{})
	d := w.enters(allegro, one, "d", endsIn(w.now, time.Minute))
	c.Release(throttle.Outcome{})
	d.Release(throttle.Outcome{})
}

func TestClientsThatAreKeptWaitingTakeNoRoomFromOthers(t *testing.T) {
	w := newWorld(t, 2)
	for i := range 10 {
		key := throttle.Key{Host: allegro.Host, ClientID: fmt.Sprint("left alone ", i)}
		w.enters(key, wide, fmt.Sprint(i, " a"), scheduled(0)).Release(again)
		w.waits(key, wide, fmt.Sprint(i, " b"), scheduled(0), throttle.Wait{Cause: throttle.LeftAlone, Until: start.Add(10 * time.Minute)})
	}
	a := w.enters(other, wide, "a", scheduled(0))
	b := w.enters(other, wide, "b", scheduled(0))
	w.now = start.Add(10 * time.Minute)
	first := throttle.Key{Host: allegro.Host, ClientID: "left alone 0"}
	w.waits(first, wide, "0 b", scheduled(0), throttle.Wait{}) // there is no room now
	w.calls = nil
	a.Release(throttle.Outcome{})
	w.called("0 b in 0s")
	b.Release(throttle.Outcome{})
	w.enters(first, wide, "0 b", scheduled(0))
}

func TestAnOpenCircuitIsNotInterrupted(t *testing.T) {
	w := newWorld(t, 100)
	w.fail(allegro)
	w.waits(allegro, wide, "asked for", person, throttle.Wait{Cause: throttle.NoAnswer, Until: start.Add(30 * time.Second)})
	w.waits(allegro, wide, "ends", endsIn(w.now, time.Minute), throttle.Wait{Cause: throttle.NoAnswer, Until: start.Add(30 * time.Second)})
}

// patient is a waiter that can wait as long between two attempts.
func patient(patience time.Duration) throttle.Priority {
	return throttle.Priority{Class: throttle.Scheduled, Patience: patience}
}

func TestAnOpenCircuitIsTriedSoonerWhereATokenIsAboutToEnd(t *testing.T) {
	w := newWorld(t, 100)
	w.fail(allegro)
	w.waits(allegro, wide, "has time", patient(time.Hour), throttle.Wait{Cause: throttle.NoAnswer, Until: start.Add(30 * time.Second)})
	w.called("has time in 30s")
	w.waits(allegro, wide, "has none", patient(10*time.Second), throttle.Wait{Cause: throttle.NoAnswer, Until: start.Add(10 * time.Second)})
	w.called("has time in 10s")
	w.now = start.Add(10 * time.Second)
	probe := w.enters(allegro, wide, "has time", patient(time.Hour))
	w.waits(allegro, wide, "has none", patient(10*time.Second), throttle.Wait{Cause: throttle.NoAnswer})
	probe.Release(throttle.Outcome{Unavailable: true})
	w.called("has none in 10s") // it waits, so that the next pause is short at once
	w.now = start.Add(20 * time.Second)
	w.enters(allegro, wide, "has none", patient(10*time.Second)).Release(throttle.Outcome{Unavailable: true})
	w.waits(allegro, wide, "has time", patient(time.Hour), throttle.Wait{Cause: throttle.NoAnswer, Until: start.Add(50 * time.Second)})
	w.now = start.Add(35 * time.Second) // a waiter comes whose moment has passed already
	w.calls = nil
	w.waits(allegro, wide, "late", patient(5*time.Second), throttle.Wait{Cause: throttle.NoAnswer})
	w.called("has time in 0s")
	w.enters(allegro, wide, "has time", patient(time.Hour)).Release(throttle.Outcome{})
	w.enters(allegro, wide, "anybody", scheduled(0))
}

func TestWhoWasCalledForTheEndOfAPauseIsCalledWhenItEndsEarlier(t *testing.T) {
	w := newWorld(t, 100)
	w.fail(allegro)
	w.waits(allegro, wide, "waits", scheduled(0), throttle.Wait{Cause: throttle.NoAnswer, Until: start.Add(30 * time.Second)})
	w.called("waits in 30s")
	w.waits(allegro, wide, "short", patient(time.Second), throttle.Wait{Cause: throttle.NoAnswer, Until: start.Add(time.Second)})
	w.called("waits in 1s")
}
