package peers

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/throttle"
)

// asker is what is known of one refused application, with a clock that only the test moves.
type asker struct {
	*Applications
	t   *testing.T
	now time.Time
}

var app = throttle.Key{Host: "allegro.pl", ClientID: "shop", Credential: "digest"}

func newAsker(t *testing.T) *asker {
	return &asker{Applications: &Applications{}, t: t, now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
}

// refusedAgo is a refusal that an account has in its custody.
func (a *asker) refusedAgo(ago time.Duration, tries int32) *custody.Refusal {
	return &custody.Refusal{At: a.now.Add(-ago), Tries: tries}
}

func (a *asker) asks(who string, refused *custody.Refusal, costs time.Duration) {
	a.t.Helper()
	if ok, next := a.mayAsk(app, types.NamespacedName{Name: who}, refused, costs, a.now); !ok {
		a.t.Fatalf("%s waits until %v", who, next)
	}
}

func (a *asker) waits(who string, refused *custody.Refusal, costs, wait time.Duration) {
	a.t.Helper()
	if ok, next := a.mayAsk(app, types.NamespacedName{Name: who}, refused, costs, a.now); ok || next.Sub(a.now) != wait {
		a.t.Fatalf("%s asks: %v, or waits for %v, want %v", who, ok, next.Sub(a.now), wait)
	}
}

func TestARefusedApplicationIsAskedForAfterFiveMinutesAndThenLessOften(t *testing.T) {
	a := newAsker(t)
	refused := a.refusedAgo(0, 0)
	for _, minutes := range []int{5, 10, 20, 40, 60, 60, 60} {
		wait := time.Duration(minutes) * time.Minute
		a.waits("a", refused, 0, wait)
		a.now = a.now.Add(wait)
		a.asks("a", refused, 0)
		refused = a.refusedAgo(0, refused.Tries+1)
	}
}

func TestOneAccountAsksForAnApplication(t *testing.T) {
	a := newAsker(t)
	refused := a.refusedAgo(0, 0)
	for i := range 10 {
		a.waits(fmt.Sprint(i), refused, 0, 5*time.Minute)
	}
	a.now = a.now.Add(5 * time.Minute)
	a.asks("3", refused, 0)
	a.waits("4", refused, 0, time.Minute)
	a.asks("3", refused, 0) // it waits for its turn
	a.now = a.now.Add(time.Second)
	a.waits("3", a.refusedAgo(0, 1), 0, 10*time.Minute)
	a.waits("4", refused, 0, 10*time.Minute)
	a.now = a.now.Add(10 * time.Minute)
	a.asks("4", refused, 0)
	a.now = a.now.Add(2 * time.Minute) // it was deleted before it could
	a.asks("5", refused, 0)
}

func TestAnAccountAsksThatSendsNeitherPasswordNorSingleUseToken(t *testing.T) {
	a := newAsker(t)
	refused := a.refusedAgo(0, 0)
	a.waits("password", refused, passwordCosts, 7*time.Minute)
	a.waits("single use", refused, singleUseCosts, 6*time.Minute)
	a.waits("neither", refused, 0, 5*time.Minute)
	a.now = a.now.Add(5 * time.Minute)
	a.waits("password", refused, passwordCosts, 2*time.Minute)
	a.asks("neither", refused, 0)
	a.waits("neither", a.refusedAgo(0, 1), 0, 10*time.Minute)
	a.now = a.now.Add(10 * time.Minute) // and if it is not there any more
	a.waits("password", refused, passwordCosts, 2*time.Minute)
	a.waits("single use", refused, singleUseCosts, time.Minute)
	a.now = a.now.Add(time.Minute)
	a.asks("single use", refused, singleUseCosts)
}

func TestAllGoOnWhenOneIsServed(t *testing.T) {
	a := newAsker(t)
	refused := a.refusedAgo(0, 0)
	a.waits("a", refused, 0, 5*time.Minute)
	a.waits("b", refused, passwordCosts, 7*time.Minute)
	a.now = a.now.Add(time.Minute)
	if !a.worked(app, a.now) {
		t.Error("nobody is told")
	}
	if a.worked(app, a.now) || a.worked(throttle.Key{Host: "elsewhere"}, a.now) {
		t.Error("they are told again")
	}
	a.asks("a", refused, 0)
	a.asks("b", refused, passwordCosts)

	// One is refused all the same, such as for a grant that the application may not use: others have no reason to ask, and it asks
	// less and less often.
	a.now = a.now.Add(time.Second)
	alone := a.refusedAgo(0, 1)
	a.waits("a", alone, 0, 10*time.Minute)
	var asked int
	for range 24 * 60 {
		a.now = a.now.Add(time.Minute)
		a.worked(app, a.now)
		if ok, _ := a.mayAsk(app, types.NamespacedName{Name: "a"}, alone, 0, a.now); ok {
			asked++
			alone = a.refusedAgo(0, alone.Tries+1)
		}
	}
	if asked < 20 || asked > 40 {
		t.Errorf("it asked %d times in a day", asked)
	}
}

func TestARestartNeitherHammersNorForgetsAnApplication(t *testing.T) {
	a := newAsker(t)
	former, last := a.refusedAgo(24*time.Hour, 0), a.refusedAgo(10*time.Minute, 3)
	for range 20 { // it crashes again and again
		a.Applications = &Applications{}
		a.waits("former", former, 0, time.Minute)
		a.waits("last", last, 0, 30*time.Minute)
		a.waits("former", former, 0, 30*time.Minute)
	}
	a.now = a.now.Add(30 * time.Minute)
	a.asks("last", last, 0)
	a.Applications = &Applications{}
	a.waits("former", former, 0, time.Minute)
	a.now = a.now.Add(time.Minute)
	a.asks("former", former, 0)
}

func TestApplicationsThatNobodyHasAreForgotten(t *testing.T) {
	a := newAsker(t)
	for i := range 10_000 {
		a.now = a.now.Add(time.Second)
		key := app
		key.Credential = fmt.Sprint(i)
		a.mayAsk(key, types.NamespacedName{}, a.refusedAgo(0, 0), 0, a.now)
	}
	if n := len(a.rejected); n > mostRejected {
		t.Errorf("%d applications are remembered", n)
	}
}

func TestAClockThatIsSetBackDoesNotKeepAnApplicationWaiting(t *testing.T) {
	a := newAsker(t)
	refused := a.refusedAgo(0, 0)
	a.waits("a", refused, 0, 5*time.Minute)
	a.worked(app, a.now)
	a.now = a.now.Add(-24 * time.Hour)
	a.waits("a", refused, 0, 5*time.Minute)
	a.now = a.now.Add(5 * time.Minute)
	a.asks("a", refused, 0)
}
