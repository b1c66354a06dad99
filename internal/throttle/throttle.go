package throttle

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/sony/gobreaker/v2"
	"golang.org/x/time/rate"
)

const (
	// failuresInARow open a circuit, for a pause before one request tries again. An account by itself waits longer than that
	// after as many failures.
	failuresInARow = 5
	pause          = 30 * time.Second
	// patience is how long a place is kept for somebody who was called.
	patience = 10 * time.Second
)

// Key names a gate.
type Key struct {
	// Host is where tokens are asked for: a host, with its port where it has one.
	Host string
	// ClientID is the application that asks.
	ClientID string
}

// Limits bound what goes through a gate. Both are at least 1.
type Limits struct {
	// PerSecond is how many requests begin in a second, Concurrency how many are under way at once.
	PerSecond, Concurrency int
}

// Class is how pressing a request is.
type Class int

// The classes, the most pressing first.
const (
	// Urgent is what somebody waits for: an account that is new, edited or was just consented to.
	Urgent Class = iota
	// Scheduled is what falls due by itself.
	Scheduled
	// Background is what may wait for everything else.
	Background
)

// Rank orders those who wait: by class, and in a class by when it was due.
type Rank struct {
	Class Class
	Due   time.Time
}

func (r Rank) compare(other Rank) int {
	return cmp.Or(cmp.Compare(r.Class, other.Class), r.Due.Compare(other.Due))
}

// Cause is why somebody has to wait.
type Cause int

const (
	// Turn is that others go first.
	Turn Cause = iota
	// NoAnswer is that the host failed to answer several times in a row.
	NoAnswer
	// LeftAlone is that the platform asked for it.
	LeftAlone
)

// Wait tells that a request may not be made now. Whoever gets it is called later, and should come back by himself now and
// then all the same.
type Wait struct {
	Cause Cause
	// Until is when his turn comes, or when the gate opens again; zero when neither is known.
	Until time.Time
	// Since is when he came to the gate.
	Since time.Time
}

// Outcome is what became of a request.
type Outcome struct {
	// Unused tells that no request was made, Unavailable that it failed to get an answer, which counts for the circuit
	// breaker.
	Unused, Unavailable bool
	// RetryAfter is how long the platform wants to be left alone; zero when it does not.
	RetryAfter time.Duration
}

// Host is what is known of all gates to one host.
type Host struct {
	Name string
	// Waiting and Underway count requests, Open the clients whose circuit is open.
	Waiting, Underway, Open int
}

// Gates are all gates. W names somebody who waits, at one gate at a time. They may be used by many goroutines at once.
type Gates[W comparable] struct {
	now     func() time.Time
	perHost int
	// failures in a row open a circuit, and pause is how long it stays so before one request tries again.
	failures uint32
	pause    time.Duration

	mu    sync.Mutex
	call  func(who W, after time.Duration)
	gates map[Key]*gate[W]
	hosts map[string]*host[W]
	// at is where somebody waits or was called, and since when.
	at map[W]presence[W]
	// seen is the time of the last look at the clock, sweepAt the number of gates at which to look for those that nobody uses.
	seen    time.Time
	sweepAt int
}

// New makes gates that let no more than perHost requests to one host be under way at once.
func New[W comparable](now func() time.Time, perHost int) *Gates[W] {
	return newGates[W](now, perHost, failuresInARow, pause)
}

func newGates[W comparable](now func() time.Time, perHost int, failures uint32, pause time.Duration) *Gates[W] {
	return &Gates[W]{
		now: now, perHost: max(perHost, 1), failures: failures, pause: pause,
		gates: map[Key]*gate[W]{}, hosts: map[string]*host[W]{}, at: map[W]presence[W]{}, sweepAt: 64,
	}
}

// OnCall sets how somebody is called whose turn has come, or comes after a while. It must not block.
func (g *Gates[W]) OnCall(call func(who W, after time.Duration)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.call = call
}

// presence is somebody's at a gate.
type presence[W comparable] struct {
	gate  *gate[W]
	since time.Time
}

// host is what the gates to one host share.
type host[W comparable] struct {
	name  string
	gates []*gate[W]
	// taken counts the requests under way, and those who were called for one.
	taken, underway int
	// next is the gate that goes first when there is room again.
	next int
}

// gate is the way to one host for one client.
type gate[W comparable] struct {
	host     *host[W]
	limits   Limits
	rate     *rate.Limiter
	breaker  *gobreaker.TwoStepCircuitBreaker[struct{}]
	underway int
	// called are those whose turn it is, and when it begins.
	called  map[W]time.Time
	waiting queue[W]
	// closedUntil is when the next request may go through at all, for a cause.
	closedUntil time.Time
	cause       Cause
}

// errUnused and errUnavailable are what the circuit breaker is told.
var (
	errUnused      = errors.New("no request was made")
	errUnavailable = errors.New("no answer")
)

// Enter lets somebody through the gate, or tells that he has to wait. The pass must be given back by Leave.
func (g *Gates[W]) Enter(key Key, limits Limits, who W, rank Rank) (*Pass[W], Wait) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.time()
	at := g.gate(key, limits)
	if g.at[who].gate != at {
		g.drop(who, now)
		g.at[who] = presence[W]{at, now}
	}
	since := g.at[who].since
	turn, called := at.called[who]
	switch {
	case called && turn.After(now):
		return nil, at.wait(who, since, now)
	case called && !now.Before(at.closedUntil):
	default: // nobody called him, or the gate was closed since then
		at.uncall(who)
		at.waiting.put(who, rank)
		g.advance(at, now, who)
		if turn, called = at.called[who]; !called || turn.After(now) {
			return nil, at.wait(who, since, now)
		}
	}
	at.uncall(who)
	done, err := at.breaker.Allow()
	if err != nil { // somebody else is trying whether the host answers
		at.waiting.put(who, rank)
		return nil, at.wait(who, since, now)
	}
	delete(g.at, who)
	at.underway++
	at.host.underway++
	at.host.taken++
	g.advance(at, now)
	return &Pass[W]{gates: g, at: at, done: done}, Wait{}
}

// Count counts a request that cannot wait, such as the exchange of a code, against the rate.
func (g *Gates[W]) Count(key Key, limits Limits) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gate(key, limits).rate.AllowN(g.time(), 1)
}

// Forget drops somebody who does not want to go through any more.
func (g *Gates[W]) Forget(who W) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.drop(who, g.time())
}

func (g *Gates[W]) drop(who W, now time.Time) {
	at := g.at[who].gate
	if at == nil {
		return
	}
	delete(g.at, who)
	at.waiting.remove(who)
	if at.uncall(who) {
		g.advanceHost(at.host, at, now)
	}
}

// Hosts tells about all hosts, sorted by name.
func (g *Gates[W]) Hosts() []Host {
	g.mu.Lock()
	defer g.mu.Unlock()
	hosts := make([]Host, 0, len(g.hosts))
	for _, h := range g.hosts {
		host := Host{Name: h.name, Underway: h.underway}
		for _, at := range h.gates {
			host.Waiting += at.waiting.len() + len(at.called)
			if at.open() {
				host.Open++
			}
		}
		hosts = append(hosts, host)
	}
	slices.SortFunc(hosts, func(a, b Host) int { return cmp.Compare(a.Name, b.Name) })
	return hosts
}

// Pass is the right to make one request.
type Pass[W comparable] struct {
	gates *Gates[W]
	at    *gate[W]
	done  func(error)
	once  sync.Once
}

// Leave gives the pass back. Only the first call counts.
func (p *Pass[W]) Leave(outcome Outcome) {
	p.once.Do(func() { p.gates.leave(p, outcome) })
}

func (g *Gates[W]) leave(p *Pass[W], outcome Outcome) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.time()
	at := p.at
	at.underway--
	at.host.underway--
	at.host.taken--
	switch {
	case outcome.Unused:
		p.done(errUnused)
	case outcome.Unavailable:
		p.done(errUnavailable)
	default:
		p.done(nil)
	}
	if at.open() {
		if outcome.Unavailable {
			at.close(now.Add(g.pause), NoAnswer)
		}
	} else if at.cause == NoAnswer {
		at.closedUntil = time.Time{}
	}
	if outcome.RetryAfter > 0 {
		at.close(now.Add(outcome.RetryAfter), LeftAlone)
	}
	g.advanceHost(at.host, at, now)
}

// advanceHost fills the room that somebody left at a gate: by those who wait there, else by others for the same host.
func (g *Gates[W]) advanceHost(h *host[W], first *gate[W], now time.Time) {
	g.advance(first, now)
	for range h.gates {
		if h.taken >= g.perHost {
			return
		}
		h.next = (h.next + 1) % len(h.gates)
		g.advance(h.gates[h.next], now)
	}
}

// close lets nobody through for a while.
func (g *gate[W]) close(until time.Time, cause Cause) {
	if until.After(g.closedUntil) {
		g.closedUntil, g.cause = until, cause
	}
}

// open tells whether the circuit is open. The breaker goes over to trying by itself at once, since how long to pause is
// decided here, by a clock that comes from outside.
func (g *gate[W]) open() bool { return g.breaker.State() != gobreaker.StateClosed }

// wait tells somebody what he waits for.
func (g *gate[W]) wait(who W, since, now time.Time) Wait {
	turn := g.called[who]
	if turn.IsZero() && now.Before(g.closedUntil) {
		turn = g.closedUntil
	}
	switch {
	case now.Before(g.closedUntil):
		return Wait{Cause: g.cause, Until: turn, Since: since}
	case g.open():
		return Wait{Cause: NoAnswer, Until: turn, Since: since}
	}
	return Wait{Cause: Turn, Until: turn, Since: since}
}

// advance calls those whose turn it is. Who is here already is not called for a turn that has begun.
func (g *Gates[W]) advance(at *gate[W], now time.Time, here ...W) {
	at.expire(now)
	for at.waiting.len() > 0 && at.free() > 0 && at.host.taken < g.perHost {
		turn := at.closedUntil
		switch {
		case !now.Before(turn):
			turn = now.Add(at.rate.ReserveN(now, 1).DelayFrom(now))
		case len(at.called) > 0:
			return // one is enough to find the gate open
		}
		who := at.waiting.pop()
		at.called[who] = turn
		at.host.taken++
		if g.call != nil && (turn.After(now) || !slices.Contains(here, who)) {
			g.call(who, turn.Sub(now))
		}
	}
}

// free is how many more may be called.
func (g *gate[W]) free() int {
	limit := g.limits.Concurrency
	if g.open() {
		limit = 1
	}
	return limit - g.underway - len(g.called)
}

// uncall takes somebody back who was called, and tells whether he was.
func (g *gate[W]) uncall(who W) bool {
	_, called := g.called[who]
	if called {
		delete(g.called, who)
		g.host.taken--
	}
	return called
}

// expire gives up those who were called and did not come.
func (g *gate[W]) expire(now time.Time) {
	for who, turn := range g.called {
		if now.Sub(turn) > patience {
			g.uncall(who)
		}
	}
}

// time is the time. When the clock was set back, everything that was planned moves with it.
func (g *Gates[W]) time() time.Time {
	now := g.now()
	if back := g.seen.Sub(now); back > 0 {
		for who, here := range g.at {
			here.since = here.since.Add(-back)
			g.at[who] = here
		}
		for _, at := range g.gates {
			if !at.closedUntil.IsZero() {
				at.closedUntil = at.closedUntil.Add(-back)
			}
			for who, turn := range at.called {
				at.called[who] = turn.Add(-back)
			}
		}
	}
	g.seen = now
	return now
}

// gate finds or makes the gate of a key, and keeps its limits up to date.
func (g *Gates[W]) gate(key Key, limits Limits) *gate[W] {
	limits = Limits{PerSecond: max(limits.PerSecond, 1), Concurrency: max(limits.Concurrency, 1)}
	at := g.gates[key]
	if at == nil {
		if len(g.gates) >= g.sweepAt {
			g.sweep()
			g.sweepAt = max(64, 2*len(g.gates))
		}
		h := g.hosts[key.Host]
		if h == nil {
			h = &host[W]{name: key.Host}
			g.hosts[key.Host] = h
		}
		at = &gate[W]{host: h, rate: rate.NewLimiter(rate.Limit(limits.PerSecond), limits.PerSecond), called: map[W]time.Time{}, breaker: g.breaker()}
		h.gates = append(h.gates, at)
		g.gates[key] = at
	}
	if at.limits != limits {
		at.limits = limits
		at.rate.SetLimitAt(g.seen, rate.Limit(limits.PerSecond))
		at.rate.SetBurstAt(g.seen, limits.PerSecond)
	}
	return at
}

// breaker makes a circuit breaker that has no pause of its own.
func (g *Gates[W]) breaker() *gobreaker.TwoStepCircuitBreaker[struct{}] {
	return gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		MaxRequests: 1,
		Timeout:     time.Nanosecond,
		ReadyToTrip: func(counts gobreaker.Counts) bool { return counts.ConsecutiveFailures >= g.failures },
		IsExcluded:  func(err error) bool { return errors.Is(err, errUnused) },
	})
}

// sweep drops the gates that are as good as new.
func (g *Gates[W]) sweep() {
	for key, at := range g.gates {
		if at.underway > 0 || at.waiting.len() > 0 || len(at.called) > 0 || g.seen.Before(at.closedUntil) ||
			at.breaker.State() != gobreaker.StateClosed || at.breaker.Counts().ConsecutiveFailures > 0 ||
			at.rate.TokensAt(g.seen) < float64(at.limits.PerSecond) {
			continue
		}
		delete(g.gates, key)
		at.host.gates = slices.DeleteFunc(at.host.gates, func(other *gate[W]) bool { return other == at })
		if len(at.host.gates) == 0 {
			delete(g.hosts, key.Host)
		}
	}
}
