package throttle_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/throttle"
)

var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// world is a set of limiters with a clock that only the test moves.
type world struct {
	*throttle.Limiters[string]
	t     *testing.T
	now   time.Time
	calls []string
}

// tenantOf is what stands before the slash.
func tenantOf(waiter string) string {
	tenant, _, _ := strings.Cut(waiter, "/")
	return tenant
}

// untenanted makes one tenant of all.
func untenanted(string) string { return "" }

func newWorld(t *testing.T, perHost int) *world {
	return newWorldOf(t, perHost, untenanted)
}

func newWorldOf(t *testing.T, perHost int, tenant func(string) string) *world {
	w := &world{t: t, now: start}
	w.Limiters = throttle.New(func() time.Time { return w.now }, perHost, tenant)
	w.OnTurn(func(waiter string, after time.Duration) {
		w.calls = append(w.calls, fmt.Sprintf("%s in %v", waiter, after))
	})
	return w
}

var (
	allegro = throttle.Key{Host: "allegro.pl", ClientID: "shop"}
	other   = throttle.Key{Host: "allegro.pl", ClientID: "other"}
	ebay    = throttle.Key{Host: "api.ebay.com", ClientID: "shop"}
	wide    = throttle.Limits{PerSecond: 1000, Concurrency: 1000}
)

func scheduled(minute int) throttle.Priority {
	return throttle.Priority{Class: throttle.Scheduled, Due: start.Add(time.Duration(minute) * time.Minute)}
}

// enters goes through, or fails the test.
func (w *world) enters(key throttle.Key, limits throttle.Limits, waiter string, priority throttle.Priority) *throttle.Permit[string] {
	w.t.Helper()
	permit, wait := w.TryAcquire(key, limits, waiter, priority)
	if permit == nil {
		w.t.Fatalf("%s waits: %+v", waiter, wait)
	}
	return permit
}

// waits does not go through, or fails the test.
func (w *world) waits(key throttle.Key, limits throttle.Limits, waiter string, priority throttle.Priority, want throttle.Wait) {
	w.t.Helper()
	permit, wait := w.TryAcquire(key, limits, waiter, priority)
	if permit != nil || wait.Cause != want.Cause || !wait.Until.Equal(want.Until) {
		w.t.Fatalf("%s goes through: %v, waits: %+v, want %+v", waiter, permit != nil, wait, want)
	}
}

func (w *world) called(want ...string) {
	w.t.Helper()
	if !slices.Equal(w.calls, want) {
		w.t.Fatalf("called were %q, want %q", w.calls, want)
	}
	w.calls = nil
}

func TestConcurrencyIsBoundedAndTheFirstInRankGoesFirst(t *testing.T) {
	w := newWorld(t, 100)
	two := throttle.Limits{PerSecond: 1000, Concurrency: 2}
	a := w.enters(allegro, two, "a", scheduled(1))
	b := w.enters(allegro, two, "b", scheduled(1))
	w.waits(allegro, two, "later", scheduled(9), throttle.Wait{})
	w.waits(allegro, two, "background", throttle.Priority{Class: throttle.Background}, throttle.Wait{})
	w.waits(allegro, two, "sooner", scheduled(3), throttle.Wait{})
	w.waits(allegro, two, "as soon", scheduled(3), throttle.Wait{})
	w.waits(allegro, two, "new", throttle.Priority{Class: throttle.Urgent, Due: start.Add(time.Hour)}, throttle.Wait{})
	w.waits(allegro, two, "later", scheduled(9), throttle.Wait{}) // coming back does not change the place
	w.called()
	for _, want := range []string{"new", "sooner", "as soon", "later", "background"} {
		a.Release(throttle.Outcome{})
		a.Release(throttle.Outcome{}) // a permit counts once
		w.called(want + " in 0s")
		w.waits(allegro, two, "uncalled", throttle.Priority{Class: throttle.Background, Due: start}, throttle.Wait{}) // the place of a waiter that was called is kept
		a = w.enters(allegro, two, want, scheduled(1))
	}
	a.Release(throttle.Outcome{})
	b.Release(throttle.Outcome{})
	w.called("uncalled in 0s")
	if hosts := w.Hosts(); len(hosts) != 1 || hosts[0] != (throttle.Host{Name: "allegro.pl", Waiting: 1}) {
		t.Errorf("the hosts are %+v", hosts)
	}
}

func TestRateSpacesRequests(t *testing.T) {
	w := newWorld(t, 100)
	limits := throttle.Limits{PerSecond: 2, Concurrency: 10}
	w.enters(allegro, limits, "a", scheduled(0))
	w.enters(allegro, limits, "b", scheduled(0))
	w.waits(allegro, limits, "c", scheduled(0), throttle.Wait{Until: start.Add(500 * time.Millisecond)})
	w.waits(allegro, limits, "d", scheduled(0), throttle.Wait{})
	w.called("c in 500ms")
	w.waits(allegro, limits, "c", scheduled(0), throttle.Wait{Until: start.Add(500 * time.Millisecond)}) // too early
	w.now = start.Add(500 * time.Millisecond)
	w.enters(allegro, limits, "c", scheduled(0))
	w.called("d in 500ms")
	w.now = start.Add(time.Second)
	w.enters(allegro, limits, "d", scheduled(0))
	w.now = start.Add(time.Minute)
	w.Count(allegro, limits) // a code was exchanged, which could not wait
	w.enters(allegro, limits, "e", scheduled(0))
	w.waits(allegro, limits, "f", scheduled(0), throttle.Wait{Until: start.Add(time.Minute + 500*time.Millisecond)})
}

func TestLimitsFollowTheMarketplace(t *testing.T) {
	w := newWorld(t, 100)
	one := throttle.Limits{PerSecond: 1000, Concurrency: 1}
	w.enters(allegro, one, "a", scheduled(0))
	w.waits(allegro, one, "b", scheduled(0), throttle.Wait{})
	w.enters(allegro, throttle.Limits{PerSecond: 1000, Concurrency: 2}, "b", scheduled(0))
	w.waits(allegro, throttle.Limits{}, "c", scheduled(0), throttle.Wait{}) // no limits at all mean one at a time
}

func TestHostsAndClientsDoNotHurtEachOther(t *testing.T) {
	w := newWorld(t, 3)
	one := throttle.Limits{PerSecond: 1000, Concurrency: 1}
	w.enters(allegro, one, "a", scheduled(0))
	w.waits(allegro, one, "b", scheduled(0), throttle.Wait{})
	w.enters(other, wide, "c", scheduled(0))
	d := w.enters(other, wide, "d", scheduled(0))
	w.waits(other, wide, "e", scheduled(0), throttle.Wait{}) // all clients of a host share its workers
	for i := range 3 {
		w.enters(ebay, wide, fmt.Sprint("ebay ", i), scheduled(0))
	}
	d.Release(throttle.Outcome{})
	w.called("e in 0s")
	w.enters(other, wide, "e", scheduled(0))
	if hosts := w.Hosts(); len(hosts) != 2 || hosts[0] != (throttle.Host{Name: "allegro.pl", Waiting: 1, Underway: 3}) {
		t.Errorf("the hosts are %+v", hosts)
	}
}

func TestRoomAtAHostGoesToWhoeverWaits(t *testing.T) {
	w := newWorld(t, 1)
	a := w.enters(allegro, wide, "a", scheduled(0))
	w.waits(other, wide, "b", scheduled(0), throttle.Wait{})
	a.Release(throttle.Outcome{})
	w.called("b in 0s")
	w.enters(other, wide, "b", scheduled(0))
}

// fail makes requests that get no answer until the circuit opens.
func (w *world) fail(key throttle.Key) {
	w.t.Helper()
	for i := range 5 {
		w.enters(key, wide, fmt.Sprint("failing ", i), scheduled(0)).Release(throttle.Outcome{Unavailable: true})
	}
}

func TestCircuitOpensAfterFailuresInARow(t *testing.T) {
	w := newWorld(t, 100)
	for range 20 { // one success in between is enough
		for range 4 {
			w.enters(allegro, wide, "a", scheduled(0)).Release(throttle.Outcome{Unavailable: true})
		}
		w.enters(allegro, wide, "a", scheduled(0)).Release(throttle.Outcome{})
	}
	w.fail(allegro)
	reopens := start.Add(30 * time.Second)
	w.waits(allegro, wide, "first", scheduled(1), throttle.Wait{Cause: throttle.NoAnswer, Until: reopens})
	w.called("first in 30s")
	w.waits(allegro, wide, "second", scheduled(2), throttle.Wait{Cause: throttle.NoAnswer, Until: reopens})
	w.waits(allegro, wide, "third", scheduled(3), throttle.Wait{Cause: throttle.NoAnswer, Until: reopens})
	w.called() // no other is troubled
	w.enters(other, wide, "another client", scheduled(0))
	if hosts := w.Hosts(); hosts[0] != (throttle.Host{Name: "allegro.pl", Waiting: 3, Underway: 1, Open: 1}) {
		t.Errorf("the hosts are %+v", hosts)
	}

	w.now = reopens
	first := w.enters(allegro, wide, "first", scheduled(1))
	w.waits(allegro, wide, "second", scheduled(2), throttle.Wait{Cause: throttle.NoAnswer})
	w.now = reopens.Add(5 * time.Second)
	first.Release(throttle.Outcome{Unavailable: true})
	w.called("second in 30s")
	w.waits(allegro, wide, "first", scheduled(1), throttle.Wait{Cause: throttle.NoAnswer, Until: reopens.Add(35 * time.Second)})

	w.now = reopens.Add(35 * time.Second)
	w.enters(allegro, wide, "second", scheduled(2)).Release(throttle.Outcome{})
	w.called("first in 0s", "third in 0s")
	w.enters(allegro, wide, "third", scheduled(3))
	w.enters(allegro, wide, "fourth", scheduled(4))
}

func TestOneWaiterAloneComesByItselfToAClosedLimiter(t *testing.T) {
	w := newWorld(t, 100)
	w.fail(allegro)
	for _, test := range []struct {
		waiter string
		called bool
	}{{"first", true}, {"second", false}, {"third", false}} {
		if _, wait := w.TryAcquire(allegro, wide, test.waiter, scheduled(1)); wait.Called != test.called {
			t.Errorf("%s was called: %t, want %t", test.waiter, wait.Called, test.called)
		}
	}
	w.now = start.Add(30 * time.Second)
	w.enters(allegro, wide, "first", scheduled(1)).Release(throttle.Outcome{})
	w.called("first in 30s", "second in 0s", "third in 0s")
	if _, wait := w.TryAcquire(allegro, wide, "fourth", scheduled(1)); wait.Called {
		t.Error("one that goes through has nothing to come back for")
	}
}

func TestAPermitThatWasNotUsedTellsNothing(t *testing.T) {
	w := newWorld(t, 100)
	w.fail(allegro)
	w.now = w.now.Add(30 * time.Second)
	w.enters(allegro, wide, "a", scheduled(0)).ReleaseUnused()
	b := w.enters(allegro, wide, "b", scheduled(0))
	w.waits(allegro, wide, "c", scheduled(0), throttle.Wait{Cause: throttle.NoAnswer})
	b.Release(throttle.Outcome{})
	w.enters(allegro, wide, "c", scheduled(0))
}

// TestAPermitThatWasNotUsedTakesNoPlaceInTheRate: a waiter that cannot make its request is let through again when it comes back, and is not called
// by the limiter meanwhile. A turn that began when the limiter opened had taken no place, and gives none back.
func TestAPermitThatWasNotUsedTakesNoPlaceInTheRate(t *testing.T) {
	one := throttle.Limits{PerSecond: 1, Concurrency: 10}
	w := newWorld(t, 100)
	w.enters(allegro, one, "a", scheduled(0)).ReleaseUnused()
	w.enters(allegro, one, "a", scheduled(0)).Release(throttle.Outcome{RetryAfter: time.Second / 2})
	w.waits(allegro, one, "b", scheduled(0), throttle.Wait{Cause: throttle.LeftAlone, Until: start.Add(time.Second / 2)})
	w.now = start.Add(time.Second / 2)
	w.enters(allegro, one, "b", scheduled(0)).ReleaseUnused()
	w.waits(allegro, one, "c", scheduled(0), throttle.Wait{Until: start.Add(time.Second)})

	w = newWorld(t, 100)
	w.enters(allegro, one, "a", scheduled(0)).Release(throttle.Outcome{RetryAfter: 2500 * time.Millisecond})
	w.now = start.Add(2 * time.Second)
	w.enters(allegro, one, "asked for", person).ReleaseUnused()
	w.now = start.Add(2500 * time.Millisecond)
	w.enters(allegro, one, "b", scheduled(0))

	w = newWorld(t, 100)
	five := throttle.Limits{PerSecond: 5, Concurrency: 1} // of which a tenant that has had its share takes one at once
	held := w.enters(allegro, five, "a", scheduled(0))
	for i := range 8 {
		w.waits(allegro, five, fmt.Sprint(i), scheduled(i), throttle.Wait{})
	}
	for i := range 8 {
		held.ReleaseUnused()
		w.called(fmt.Sprintf("%d in 0s", i))
		held = w.enters(allegro, five, fmt.Sprint(i), scheduled(i))
	}
}

func TestAPlatformThatWantsToBeLeftAloneIs(t *testing.T) {
	w := newWorld(t, 100)
	a := w.enters(allegro, wide, "a", scheduled(0))
	w.enters(allegro, wide, "b", scheduled(0)).Release(throttle.Outcome{RetryAfter: time.Minute})
	a.Release(throttle.Outcome{RetryAfter: time.Second}) // the longer one counts
	opens := start.Add(time.Minute)
	for _, waiter := range []string{"c", "d"} {
		w.waits(allegro, wide, waiter, scheduled(0), throttle.Wait{Cause: throttle.LeftAlone, Until: opens})
	}
	w.called("c in 1m0s")
	w.enters(other, wide, "another client", scheduled(0))
	w.now = opens
	w.enters(allegro, wide, "c", scheduled(0))
	w.called("d in 0s")
	w.enters(allegro, wide, "d", scheduled(0))
}

func TestWhoDoesNotComeLosesHisPlace(t *testing.T) {
	w := newWorld(t, 100)
	one := throttle.Limits{PerSecond: 1000, Concurrency: 1}
	a := w.enters(allegro, one, "a", scheduled(0))
	w.waits(allegro, one, "lost", scheduled(1), throttle.Wait{})
	w.waits(allegro, one, "b", scheduled(2), throttle.Wait{})
	a.Release(throttle.Outcome{})
	w.called("lost in 0s")
	w.now = w.now.Add(10 * time.Second)
	w.waits(allegro, one, "b", scheduled(2), throttle.Wait{})
	w.now = w.now.Add(time.Second)
	w.enters(allegro, one, "b", scheduled(2))
}

func TestWhoGivesUpMakesRoom(t *testing.T) {
	w := newWorld(t, 100)
	one := throttle.Limits{PerSecond: 1000, Concurrency: 1}
	a := w.enters(allegro, one, "a", scheduled(0))
	for i, waiter := range []string{"gone", "gone, too", "moved", "b"} {
		w.waits(allegro, one, waiter, scheduled(i), throttle.Wait{})
	}
	w.Forget("gone, too")
	a.Release(throttle.Outcome{})
	w.called("gone in 0s")
	w.Forget("gone")
	w.called("moved in 0s")
	w.enters(ebay, one, "moved", scheduled(0)) // to another platform
	w.called("b in 0s")
	w.Forget("nobody")
	w.enters(allegro, one, "b", scheduled(0))
}

func TestAClockThatIsSetBackKeepsNoneWaiting(t *testing.T) {
	w := newWorld(t, 100)
	w.fail(allegro)
	w.waits(allegro, wide, "a", scheduled(0), throttle.Wait{Cause: throttle.NoAnswer, Until: start.Add(30 * time.Second)})
	w.now = start.Add(-time.Hour)
	w.waits(allegro, wide, "a", scheduled(0), throttle.Wait{Cause: throttle.NoAnswer, Until: w.now.Add(30 * time.Second)})
	w.now = w.now.Add(30 * time.Second)
	w.enters(allegro, wide, "a", scheduled(0)).Release(throttle.Outcome{})
	for i := range 5 {
		w.enters(allegro, wide, fmt.Sprint(i), scheduled(0))
	}
}

// TestSinceWhenAWaiterWaits moves with a clock that is set back, as long as it has waited.
func TestSinceWhenAWaiterWaits(t *testing.T) {
	w := newWorld(t, 1)
	w.enters(allegro, wide, "a", scheduled(0))
	w.waits(allegro, wide, "b", scheduled(0), throttle.Wait{})
	w.now = start.Add(time.Minute)
	if _, wait := w.TryAcquire(allegro, wide, "b", scheduled(0)); !wait.Since.Equal(start) {
		t.Errorf("it waits since %s, want %s", wait.Since, start)
	}
	w.now = start.Add(-time.Hour)
	if _, wait := w.TryAcquire(allegro, wide, "b", scheduled(0)); !wait.Since.Equal(w.now.Add(-time.Minute)) {
		t.Errorf("it waits since %s, want a minute before %s", wait.Since, w.now)
	}
}

func TestUnusedLimitersAreForgotten(t *testing.T) {
	w := newWorld(t, 100)
	hosts := func(name string, n int) (permits []*throttle.Permit[string]) {
		for i := range n {
			permits = append(permits, w.enters(throttle.Key{Host: fmt.Sprint(name, i)}, wide, "a", scheduled(0)))
		}
		return permits
	}
	release := func(permits []*throttle.Permit[string]) {
		for _, permit := range permits {
			permit.Release(throttle.Outcome{})
		}
		w.now = w.now.Add(time.Minute)
	}
	release(hosts("unused ", 64))
	busy := hosts("busy ", 1)
	if n := len(w.Hosts()); n != 1 {
		t.Errorf("%d hosts are remembered, of which one is asked", n)
	}
	busy = append(busy, hosts("busy, too, ", 999)...)
	if n := len(w.Hosts()); n != 1000 {
		t.Errorf("%d hosts are remembered of 1000 that are asked", n)
	}
	release(busy)
	for range 3 {
		release(hosts("later ", 200))
	}
	if n := len(w.Hosts()); n > 400 {
		t.Errorf("%d hosts are remembered of which 200 are asked now and then", n)
	}
}

func TestHostsThatNobodyAsksAnyMoreAreForgotten(t *testing.T) {
	w := newWorld(t, 100)
	for i := range 1000 {
		w.now = w.now.Add(time.Second)
		w.enters(throttle.Key{Host: fmt.Sprint("host ", i)}, wide, "a", scheduled(0)).Release(throttle.Outcome{})
	}
	if n := len(w.Hosts()); n > 64 {
		t.Errorf("%d hosts are remembered that nobody asks any more", n)
	}
}

// TestHostsThatFailedAreForgottenToo has accounts choose one dead host after the other, as they may, and one host that is asked all the time
// and does not answer either.
func TestHostsThatFailedAreForgottenToo(t *testing.T) {
	w := newWorld(t, 100)
	w.fail(allegro)
	for i := range 1000 {
		w.now = w.now.Add(30 * time.Second)
		for _, key := range []throttle.Key{allegro, {Host: fmt.Sprint("dead ", i)}} {
			w.enters(key, wide, "a", scheduled(0)).Release(throttle.Outcome{Unavailable: true})
		}
	}
	if n := len(w.Hosts()); n > 64 {
		t.Errorf("%d hosts are remembered that nobody asks any more", n)
	}
	if all := w.Hosts(); all[0].Name != allegro.Host || all[0].Open != 1 {
		t.Errorf("the host that is asked is remembered as %+v, want an open circuit", all[0])
	}
}

// TestEverybodyGetsThroughWithinTheLimits lets many come again and again, as the accounts of a work queue do.
func TestEverybodyGetsThroughWithinTheLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const accounts, perHost = 300, 6
		limits := throttle.Limits{PerSecond: 50, Concurrency: 4}
		limiters := throttle.New(time.Now, perHost, func(int) string { return "" })
		random := rand.New(rand.NewPCG(1, 2))
		took := make([]time.Duration, accounts)
		for i := range took {
			took[i] = time.Duration(random.Int64N(int64(300 * time.Millisecond)))
		}
		turns := make([]chan struct{}, accounts)
		for i := range turns {
			turns[i] = make(chan struct{}, 10)
		}
		limiters.OnTurn(func(waiter int, after time.Duration) {
			time.AfterFunc(after, func() { turns[waiter] <- struct{}{} })
		})
		var hosts, clients [2]atomic.Int32
		var begun [2][]time.Time
		var mu sync.Mutex
		var all sync.WaitGroup
		for waiter := range accounts {
			host, client := waiter%2, waiter/2%2
			all.Go(func() {
				key := throttle.Key{Host: fmt.Sprint(host), ClientID: fmt.Sprint(client)}
				for {
					permit, _ := limiters.TryAcquire(key, limits, waiter, scheduled(waiter%7))
					if permit == nil {
						<-turns[waiter]
						continue
					}
					if host == 0 {
						if n := clients[client].Add(1); n > 4 {
							t.Errorf("%d requests of one client are under way", n)
						}
						mu.Lock()
						begun[client] = append(begun[client], time.Now())
						mu.Unlock()
					}
					if n := hosts[host].Add(1); n > perHost {
						t.Errorf("%d requests to one host are under way", n)
					}
					time.Sleep(took[waiter]) //nolint:forbidigo // the clock of the bubble is a fake
					hosts[host].Add(-1)
					if host == 0 {
						clients[client].Add(-1)
					}
					permit.Release(throttle.Outcome{})
					return
				}
			})
		}
		all.Wait() // which a forgotten account would make a deadlock
		for _, times := range begun {
			slices.SortFunc(times, time.Time.Compare)
			for i := 100; i < len(times); i++ {
				if times[i].Sub(times[i-100]) < time.Second {
					t.Errorf("100 requests began within %v", times[i].Sub(times[i-100]))
				}
			}
		}
	})
}
