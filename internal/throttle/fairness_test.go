package throttle_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/throttle"
)

// usual are the limits of a Marketplace that names none.
var usual = throttle.Limits{PerSecond: 5, Concurrency: 4}

// answer is how long a platform takes.
const answer = 100 * time.Millisecond

// street is one limiter and the waiters that come to it, at usual limits and with a clock that is a bubble's.
type street struct {
	*throttle.Limiters[string]
	allowance *throttle.Allowance[string]
	turns     map[string]chan struct{}
	began     time.Time
}

func newStreet(names ...[]string) *street {
	s := &street{
		Limiters:  throttle.New(time.Now, 64, tenantOf),
		allowance: throttle.NewAllowance[string](time.Now, 3, time.Minute),
		turns:     map[string]chan struct{}{},
		began:     time.Now(),
	}
	for _, name := range slices.Concat(names...) {
		s.turns[name] = make(chan struct{}, 16)
	}
	s.OnTurn(func(waiter string, after time.Duration) {
		time.AfterFunc(after, func() { s.turns[waiter] <- struct{}{} })
	})
	return s
}

// asks waits until its turn, and makes a request.
func (s *street) asks(key throttle.Key, waiter string, priority throttle.Priority, outcome throttle.Outcome) {
	for {
		permit, _ := s.TryAcquire(key, usual, waiter, priority)
		if permit != nil {
			time.Sleep(answer) //nolint:forbidigo // the clock of the bubble is a fake
			permit.Release(outcome)
			return
		}
		<-s.turns[waiter]
	}
}

// annotates has accounts annotated so often in a minute, one after the other, and lets each ask for what it is allowed to.
func (s *street) annotates(key throttle.Key, names []string, perMinute int, until time.Time, outcome throttle.Outcome) (asked int) {
	waits := map[string]bool{}
	done := make(chan string, len(names))
	for i := 0; time.Now().Before(until); i++ {
		for len(done) > 0 {
			name := <-done
			s.allowance.Done(name, 1)
			delete(waits, name)
		}
		name := names[i%len(names)]
		if ok, _ := s.allowance.Admit(name, 1); ok && !waits[name] {
			waits[name] = true
			asked++
			go func() {
				s.asks(key, name, throttle.Priority{Class: throttle.Urgent, Asked: true}, outcome)
				done <- name
			}()
		}
		time.Sleep(time.Minute / time.Duration(perMinute)) //nolint:forbidigo // the clock of the bubble is a fake
	}
	return asked
}

// lateness is how late the accounts of a tenant are served, each of which falls due once in a life of its token, for some lives.
func (s *street) lateness(key throttle.Key, names []string, life time.Duration, lives int) []time.Duration {
	random := rand.New(rand.NewPCG(7, 7))
	late := make(chan time.Duration)
	for _, name := range names {
		first := time.Duration(random.Int64N(int64(life)))
		go func() {
			for i := range lives {
				due := s.began.Add(first + time.Duration(i)*life)
				time.Sleep(time.Until(due)) //nolint:forbidigo // the clock of the bubble is a fake
				s.asks(key, name, throttle.Priority{Class: throttle.Scheduled, Due: due}, throttle.Outcome{})
				late <- time.Since(due) - answer
			}
		}()
	}
	all := make([]time.Duration, len(names)*lives)
	for i := range all {
		all[i] = <-late
	}
	slices.Sort(all)
	return all
}

func names(tenant string, n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("%s/%d", tenant, i)
	}
	return all
}

func p99(sorted []time.Duration) time.Duration { return sorted[len(sorted)*99/100] }

// TestAGreedyTenantDelaysAModestOneByTwoSlotsAtMost plays ten minutes of a tenant that annotates its accounts 10,000 times a minute,
// beside one whose tokens fall due by themselves, and compares that with the modest one alone.
func TestAGreedyTenantDelaysAModestOneByTwoSlotsAtMost(t *testing.T) {
	const life, lives = 5 * time.Minute, 3
	slot := time.Second / time.Duration(usual.PerSecond)
	played := func(t *testing.T, modest, greedy int, key, namesake throttle.Key, outcome throttle.Outcome) (late []time.Duration, asked int) {
		t.Helper()
		synctest.Test(t, func(*testing.T) {
			quiet, loud := names("modest", modest), names("greedy", greedy)
			s := newStreet(quiet, loud)
			over := make(chan int, 1)
			if greedy > 0 {
				go func() { over <- s.annotates(namesake, loud, 10_000, s.began.Add(life*lives), outcome) }()
			}
			late = s.lateness(key, quiet, life, lives)
			if greedy > 0 {
				asked = <-over
				time.Sleep(time.Hour) //nolint:forbidigo // the clock of the bubble is a fake: whoever waits is served
			}
		})
		return late, asked
	}
	wrong := allegro
	wrong.Credential = "another secret"
	for name, test := range map[string]struct {
		modest, greedy int
		key            throttle.Key
		outcome        throttle.Outcome
		long           bool // not with -short
	}{
		"30 accounts, each renewed over and over":                     {60, 30, allegro, throttle.Outcome{}, false},
		"1,000 accounts, which alone are more than the limiter takes": {60, 1000, allegro, throttle.Outcome{}, false},
		"a modest tenant that needs a tenth of the limiter":           {150, 1000, allegro, throttle.Outcome{}, true},
		"a namesake with a wrong secret":                              {60, 1000, wrong, throttle.Outcome{Refused: true}, true},
		"requests that bring the platform's refusals":                 {60, 1000, allegro, throttle.Outcome{Refused: true}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if test.long && testing.Short() {
				t.Skip("it takes seconds")
			}
			alone, _ := played(t, test.modest, 0, allegro, test.key, test.outcome)
			late, asked := played(t, test.modest, test.greedy, allegro, test.key, test.outcome)
			grown, last := p99(late)-p99(alone), late[len(late)-1]
			t.Logf("p99 %v alone, %v beside the greedy tenant, whose %d requests went through; the last %v", p99(alone), p99(late), asked, last)
			if grown > 2*slot {
				t.Errorf("the p99 of the lateness grew by %v, more than two slots of %v", grown, slot)
			}
			if last > 15*time.Second {
				t.Errorf("somebody was served %v late", last)
			}
			if most := test.greedy * (2 + int(life*lives/time.Minute)); asked > most {
				t.Errorf("the greedy tenant had %d requests, its accounts may have %d", asked, most)
			}
			if asked < test.greedy*3 && test.greedy < 100 {
				t.Errorf("the greedy tenant had %d requests only: requests are not dropped", asked)
			}
		})
	}
}

// served lets everybody in a queue go through one after the other, and tells in which order.
func (w *world) served(key throttle.Key, limits throttle.Limits, first *throttle.Permit[string], n int) []string {
	w.t.Helper()
	var order []string
	w.calls = nil
	for range n {
		first.Release(throttle.Outcome{})
		if len(w.calls) != 1 {
			w.t.Fatalf("called were %q, want one", w.calls)
		}
		waiter, _, _ := strings.Cut(w.calls[0], " in ")
		w.calls = nil
		order = append(order, waiter)
		first = w.enters(key, limits, waiter, throttle.Priority{})
	}
	return order
}

func TestTenantsTakeTurns(t *testing.T) {
	one := throttle.Limits{PerSecond: 1000, Concurrency: 1}
	w := newWorldOf(t, 100, tenantOf)
	first := w.enters(allegro, one, "a/0", scheduled(0))
	for _, waiter := range []string{"a/1", "a/2", "a/3", "a/4", "b/1", "b/2", "c/1"} {
		w.waits(allegro, one, waiter, scheduled(0), throttle.Wait{})
	}
	want := []string{"a/1", "b/1", "c/1", "a/2", "b/2", "a/3", "a/4"}
	if got := w.served(allegro, one, first, len(want)); !slices.Equal(got, want) {
		t.Errorf("served were %v, want %v", got, want)
	}
}

// TestATenantLeavesRoomInTheRate: one that always waits takes no more at once than leaves four requests to others, where the platform
// allows more than that, also since its Marketplace was edited.
func TestATenantLeavesRoomInTheRate(t *testing.T) {
	w := newWorldOf(t, 100, tenantOf)
	w.enters(allegro, throttle.Limits{PerSecond: 20, Concurrency: 1}, "a/0", scheduled(0))
	for i := 1; i < 10; i++ {
		w.waits(allegro, throttle.Limits{PerSecond: 10, Concurrency: 1}, fmt.Sprint("a/", i), scheduled(0), throttle.Wait{})
	}
	w.now = w.now.Add(time.Minute)
	w.calls = nil
	w.enters(allegro, throttle.Limits{PerSecond: 10, Concurrency: 100}, "a/1", scheduled(0))
	w.called("a/2 in 0s", "a/3 in 0s", "a/4 in 0s", "a/5 in 0s", "a/6 in 0s", "a/7 in 100ms")
}

// TestATenantAloneIsServedAtTheRate, also where there is no room to leave.
func TestATenantAloneIsServedAtTheRate(t *testing.T) {
	for _, perSecond := range []int{1, 2, 5, 10} {
		w := newWorldOf(t, 100, tenantOf)
		limits := throttle.Limits{PerSecond: perSecond, Concurrency: 100}
		waiting := names("a", 3*perSecond+9)
		for range 4 * 15 { // quarters of a second
			waiting = slices.DeleteFunc(waiting, func(waiter string) bool {
				permit, _ := w.TryAcquire(allegro, limits, waiter, scheduled(0))
				return permit != nil
			})
			w.now = w.now.Add(time.Second / 4)
		}
		if len(waiting) > 0 {
			t.Errorf("with %d requests in a second %d of %d wait for ever", perSecond, len(waiting), 3*perSecond+9)
		}
	}
}

// TestTheClassOfARequest: one that says nothing about it is one that a person waits for.
func TestTheClassOfARequest(t *testing.T) {
	if got := (throttle.Priority{}).Class; got != throttle.Urgent {
		t.Errorf("the class of a request that names none is %d, want %d", got, throttle.Urgent)
	}
}

func TestATenantThatComesBackIsNotNew(t *testing.T) {
	one := throttle.Limits{PerSecond: 1000, Concurrency: 1}
	w := newWorldOf(t, 100, tenantOf)
	permit := w.enters(allegro, one, "z/0", scheduled(0))
	for i := range 6 {
		w.waits(allegro, one, fmt.Sprint("many/", i), scheduled(0), throttle.Wait{})
	}
	w.waits(allegro, one, "single/0", scheduled(0), throttle.Wait{})
	var order []string
	for range 12 { // a tenant with one account that comes again as soon as it was served
		w.calls = nil
		permit.Release(throttle.Outcome{})
		if len(w.calls) == 0 {
			break
		}
		waiter, _, _ := strings.Cut(w.calls[0], " in ")
		order = append(order, waiter)
		permit = w.enters(allegro, one, waiter, throttle.Priority{})
		if strings.HasPrefix(waiter, "single/") {
			w.waits(allegro, one, fmt.Sprint("single/", len(order)), throttle.Priority{Class: throttle.Urgent}, throttle.Wait{})
		}
	}
	many := 0
	for i, waiter := range order {
		if strings.HasPrefix(waiter, "many/") {
			many++
		}
		if many < 6 && i-2*many > 2 {
			t.Fatalf("served were %v: the one that comes back starves the other", order)
		}
	}
	if many != 6 {
		t.Errorf("served were %v", order)
	}
}

func TestWithinATenantWhatEndsGoesFirst(t *testing.T) {
	one := throttle.Limits{PerSecond: 1000, Concurrency: 1}
	w := newWorldOf(t, 100, tenantOf)
	first := w.enters(allegro, one, "a/0", scheduled(0))
	ending := func(in time.Duration) throttle.Priority {
		return throttle.Priority{Class: throttle.Ending, Due: start.Add(in)}
	}
	w.waits(allegro, one, "a/polls", throttle.Priority{Class: throttle.Background}, throttle.Wait{})
	w.waits(allegro, one, "a/due later", scheduled(2), throttle.Wait{})
	w.waits(allegro, one, "a/due", scheduled(1), throttle.Wait{})
	w.waits(allegro, one, "a/requested", throttle.Priority{Class: throttle.Urgent}, throttle.Wait{})
	w.waits(allegro, one, "a/ends soon", ending(time.Minute), throttle.Wait{})
	w.waits(allegro, one, "a/has ended", ending(-time.Minute), throttle.Wait{})
	want := []string{"a/has ended", "a/ends soon", "a/requested", "a/due", "a/due later", "a/polls"}
	if got := w.served(allegro, one, first, len(want)); !slices.Equal(got, want) {
		t.Errorf("served were %v, want %v", got, want)
	}
}

func TestAClientThatWasRefusedGoesLast(t *testing.T) {
	one := throttle.Limits{PerSecond: 1000, Concurrency: 1}
	w := newWorld(t, 1) // one request at a time for all clients of the host
	wrong := throttle.Key{Host: allegro.Host, ClientID: allegro.ClientID, Credential: "wrong"}
	w.enters(wrong, one, "wrong", scheduled(0)).Release(throttle.Outcome{Refused: true})
	busy := w.enters(wrong, one, "wrong", scheduled(0))
	w.waits(wrong, one, "wrong, too", scheduled(0), throttle.Wait{})
	for i := range 3 {
		w.waits(allegro, one, fmt.Sprint("right ", i), scheduled(0), throttle.Wait{})
	}
	for i := range 3 {
		busy.Release(throttle.Outcome{Refused: i == 0})
		w.called(fmt.Sprint("right ", i, " in 0s"))
		busy = w.enters(allegro, one, fmt.Sprint("right ", i), scheduled(0))
	}
	busy.Release(throttle.Outcome{})
	w.called("wrong, too in 0s")
}

// TestALimiterRemembersNoTenantThatHasGone has many tenants come once.
func TestALimiterRemembersNoTenantThatHasGone(t *testing.T) {
	w := newWorldOf(t, 100, tenantOf)
	one := throttle.Limits{PerSecond: 1000, Concurrency: 1}
	for i := range 3 {
		permit := w.enters(allegro, one, fmt.Sprint("x/", i), scheduled(0))
		for j := range 1000 {
			w.waits(allegro, one, fmt.Sprint(j, "/a"), scheduled(0), throttle.Wait{})
		}
		for j := range 500 {
			w.Forget(fmt.Sprint(j, "/a"))
		}
		for range 500 {
			w.calls = nil
			permit.Release(throttle.Outcome{})
			waiter, _, _ := strings.Cut(w.calls[0], " in ")
			permit = w.enters(allegro, one, waiter, scheduled(0))
		}
		permit.Release(throttle.Outcome{})
		w.now = w.now.Add(time.Minute)
	}
	if n := w.Remembered(); n > 501 {
		t.Errorf("%d tenants are remembered", n)
	}
}

// TestALimiterRemembersTenantsThatCameLately while somebody waits, so that coming back does not make them new: 1,024 at most, and when there
// are more, the 512 of them that came last.
func TestALimiterRemembersTenantsThatCameLately(t *testing.T) {
	w := newWorldOf(t, 100, tenantOf)
	one := throttle.Limits{PerSecond: 1000, Concurrency: 1}
	permit := w.enters(allegro, one, "first/0", scheduled(0))
	for i := range 3 {
		w.waits(allegro, one, fmt.Sprint("waits/", i), scheduled(0), throttle.Wait{})
	}
	var remembered []int
	for i := range 2000 {
		w.now = w.now.Add(10 * time.Millisecond)
		w.waits(allegro, one, fmt.Sprint(i, "/a"), scheduled(0), throttle.Wait{})
		w.calls = nil
		permit.Release(throttle.Outcome{})
		waiter, _, _ := strings.Cut(w.calls[0], " in ")
		permit = w.enters(allegro, one, waiter, scheduled(0))
		remembered = append(remembered, w.Remembered())
	}
	const waiting = 2 // the tenant that waits, and one that has just come
	most := slices.Max(remembered)
	if most != 1024+waiting {
		t.Errorf("%d tenants are remembered at most", most)
	}
	if then := remembered[slices.Index(remembered, most)+1]; then != 512+waiting {
		t.Errorf("when there are more, %d are remembered", then)
	}
}

// BenchmarkTurn is what a turn costs at a limiter at which many tenants wait.
func BenchmarkTurn(b *testing.B) {
	for _, tenants := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprint(tenants, " tenants"), func(b *testing.B) {
			now := start
			limiters := throttle.New(func() time.Time { return now }, 1, tenantOf)
			called := ""
			limiters.OnTurn(func(waiter string, _ time.Duration) { called = waiter })
			limits := throttle.Limits{PerSecond: 1 << 20, Concurrency: 1}
			waiting := make([]string, tenants)
			for i := range waiting {
				waiting[i] = fmt.Sprint(i, "/a")
			}
			permit, _ := limiters.TryAcquire(allegro, limits, "first", throttle.Priority{})
			for _, waiter := range waiting {
				limiters.TryAcquire(allegro, limits, waiter, throttle.Priority{})
			}
			for b.Loop() {
				now = now.Add(time.Millisecond)
				permit.Release(throttle.Outcome{})
				permit, _ = limiters.TryAcquire(allegro, limits, called, throttle.Priority{})
				limiters.TryAcquire(allegro, limits, called, throttle.Priority{}) // and comes again
			}
		})
	}
}
