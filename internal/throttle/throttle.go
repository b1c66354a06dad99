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
	// ClientID is the application that asks, and Credential a digest of what it proves itself with, under a key that nobody else
	// knows; empty for one that proves nothing. A namesake with another secret is somebody else.
	ClientID, Credential string
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
	// Ending is what must not wait: the token at hand is about to end, or has ended. Due is when it ends.
	Ending Class = iota - 1
	// Urgent is what somebody waits for: an account that is new, edited or was just consented to.
	Urgent
	// Scheduled is what falls due by itself.
	Scheduled
	// Background is what may wait for everything else.
	Background
)

// Rank orders those of one tenant who wait: by class, and in a class by when it was due.
type Rank struct {
	Class Class
	Due   time.Time
	// Asked tells that a person asked for it, and may have it in spite of a wait that the platform wants: see [LeftAlone].
	Asked bool
	// Patience is how long there may be between two attempts to find out whether the host answers again; zero means as long as usual.
	Patience time.Duration
}

// ending tells whether a token is about to end.
func (r Rank) ending(now time.Time) bool { return r.Class == Ending && r.Due.After(now) }

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
	// LeftAlone is that the platform asked for it. Such a wait is interrupted once for a token that is about to end, by the one that ends
	// first, and once for a person's request.
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
	// Refused tells that the client was refused. Until it is accepted again it goes after the other clients of the host.
	Refused bool
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
	tenant  func(W) string
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

// New makes gates that let no more than perHost requests to one host be under way at once. At each gate, tenants take turns.
func New[W comparable](now func() time.Time, perHost int, tenant func(W) string) *Gates[W] {
	return newGates(now, perHost, failuresInARow, pause, tenant)
}

func newGates[W comparable](now func() time.Time, perHost int, failures uint32, pause time.Duration, tenant func(W) string) *Gates[W] {
	return &Gates[W]{
		now: now, tenant: tenant, perHost: max(perHost, 1), failures: failures, pause: pause,
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
	host   *host[W]
	limits Limits
	// rate spaces all requests, and common those of tenants that have had their share: it has a smaller burst, so that a tenant that
	// comes now and then need not wait for one that always does.
	rate, common *rate.Limiter
	breaker      *gobreaker.TwoStepCircuitBreaker[struct{}]
	underway     int
	// called are those whose turn it is, and when it begins. latest is the one whose turn had not begun when called last.
	called  map[W]turn
	latest  W
	waiting queue[W]
	// refused tells that the client was refused when it asked last.
	refused bool
	// closedUntil is when the next request may go through at all, for a cause, and closedAt when that was decided.
	closedAt, closedUntil time.Time
	cause                 Cause
	// waitEnds is the end of a wait that the platform wants, as it was when that began: what is left when it was prolonged is another.
	// interrupted is, for each kind of interruption, the end of the wait in which there was one.
	waitEnds    time.Time
	interrupted [interruptions]time.Time
}

// turn is that of somebody who was called. It holds room at the host, unless it begins when a gate opens again: a client that is kept
// waiting takes nothing from others.
type turn struct {
	begins time.Time
	rank   Rank
	holds  bool
}

// interruption is why somebody goes through although the platform wants to be left alone.
type interruption int

const (
	uninterrupted interruption = iota
	byEnd
	byPerson
	interruptions
)

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
	g.hasten(at, rank.Patience, now)
	why := g.interruption(at, who, rank, now)
	if why == uninterrupted && !g.hasTurn(at, who, rank, now) {
		return nil, at.wait(who, since, now)
	}
	at.uncall(who)
	at.waiting.remove(who)
	done, err := at.breaker.Allow()
	if err != nil { // somebody else is trying whether the host answers
		at.waiting.put(who, rank)
		return nil, at.wait(who, since, now)
	}
	delete(g.at, who)
	at.underway++
	at.host.underway++
	at.host.taken++
	if why != uninterrupted {
		at.interrupted[why] = at.waitEnds
		at.count(now)
	}
	g.advance(at, now)
	return &Pass[W]{gates: g, at: at, done: done, why: why}, Wait{}
}

// hasTurn tells whether it is somebody's turn. Else he is in the queue, or was called for a turn to come.
func (g *Gates[W]) hasTurn(at *gate[W], who W, rank Rank, now time.Time) bool {
	turn, called := at.called[who]
	if !called || !turn.begins.After(now) && now.Before(at.closedUntil) { // nobody called him, or the gate was closed since then
		at.uncall(who)
		at.waiting.put(who, rank)
		g.advance(at, now, who)
		turn, called = at.called[who]
	}
	if !called || turn.begins.After(now) {
		return false
	}
	if !turn.holds && at.host.taken >= g.perHost {
		at.uncall(who)
		at.waiting.put(who, rank)
		return false
	}
	return true
}

// interruption is why somebody may go through a gate whose platform wants to be left alone: once in each wait for a person, and once for
// the token that ends first. The answer to an interruption may demand a longer wait, which cannot be interrupted before
// the first one would have ended: else everybody's token, one after the other, would be a reason.
func (g *Gates[W]) interruption(at *gate[W], who W, rank Rank, now time.Time) interruption {
	if !now.Before(at.closedUntil) || at.cause != LeftAlone || at.open() || at.underway >= at.limits.Concurrency || at.host.taken >= g.perHost && !at.called[who].holds {
		return uninterrupted
	}
	if !now.Before(at.waitEnds) {
		at.waitEnds = at.closedUntil
	}
	if rank.ending(now) && !now.Before(at.interrupted[byEnd]) {
		first := at.endsFirst(who, rank, now)
		if first == who {
			return byEnd
		}
		if g.call != nil {
			g.call(first, 0)
		}
	}
	if rank.Asked && !now.Before(at.interrupted[byPerson]) {
		return byPerson
	}
	return uninterrupted
}

// endsFirst finds, of all who have come, the one whose token ends first.
func (g *gate[W]) endsFirst(who W, rank Rank, now time.Time) W {
	end := rank.Due
	for other, held := range g.waiting.at {
		if held.rank.ending(now) && held.rank.Due.Before(end) {
			who, end = other, held.rank.Due
		}
	}
	for other, turn := range g.called {
		if turn.rank.ending(now) && turn.rank.Due.Before(end) {
			who, end = other, turn.rank.Due
		}
	}
	return who
}

// hasten lets an attempt to find out whether the host answers again come earlier, for somebody who cannot wait as long as usual.
func (g *Gates[W]) hasten(at *gate[W], patience time.Duration, now time.Time) {
	until := at.closedAt.Add(patience)
	if patience <= 0 || at.cause != NoAnswer || !now.Before(at.closedUntil) || !until.Before(at.closedUntil) {
		return
	}
	if until.Before(now) {
		until = now
	}
	at.closedUntil = until
	g.recall(at, until, now)
}

// recall brings forward the turns of those who were called for the end of a wait that ends earlier.
func (g *Gates[W]) recall(at *gate[W], until, now time.Time) {
	for who, held := range at.called {
		if held.begins.After(until) {
			at.called[who] = turn{until, held.rank, held.holds}
			if g.call != nil {
				g.call(who, until.Sub(now))
			}
		}
	}
}

// Count counts a request that cannot wait, such as the exchange of a code, against the rate.
func (g *Gates[W]) Count(key Key, limits Limits) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gate(key, limits).count(g.time())
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
	full := at.host.taken >= g.perHost
	if at.uncall(who) {
		g.advanceHost(at, full, now)
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
	why   interruption
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
	full := at.host.taken >= g.perHost
	at.underway--
	at.host.underway--
	at.host.taken--
	switch {
	case outcome.Unused:
		p.done(errUnused)
		at.interrupted[p.why] = time.Time{}
	case outcome.Unavailable:
		p.done(errUnavailable)
	default:
		p.done(nil)
		at.refused = outcome.Refused
	}
	if at.open() {
		if outcome.Unavailable {
			at.close(now, g.pauseFor(at), NoAnswer)
		}
	} else if at.cause == NoAnswer && now.Before(at.closedUntil) {
		at.closedUntil = now
		g.recall(at, now, now)
	}
	if outcome.RetryAfter > 0 {
		at.close(now, outcome.RetryAfter, LeftAlone)
	}
	g.advanceHost(at, full, now)
}

// pauseFor is how long a circuit stays open, which is no longer than those who wait can.
func (g *Gates[W]) pauseFor(at *gate[W]) time.Duration {
	if patience := at.waiting.leastPatience(); patience > 0 {
		return min(g.pause, patience)
	}
	return g.pause
}

// advanceHost fills the room that somebody left at a gate: by those who wait there and, where the host was full, by others who wait for it.
// Clients that were refused come last, also where they left it themselves.
func (g *Gates[W]) advanceHost(first *gate[W], full bool, now time.Time) {
	h := first.host
	if !full {
		g.advance(first, now)
		return
	}
	for _, refused := range []bool{false, true} {
		if first.refused == refused {
			g.advance(first, now)
		}
		for range h.gates {
			if h.taken >= g.perHost {
				return
			}
			h.next = (h.next + 1) % len(h.gates)
			if at := h.gates[h.next]; at.refused == refused {
				g.advance(at, now)
			}
		}
	}
}

// close lets nobody through for a while.
func (g *gate[W]) close(now time.Time, wait time.Duration, cause Cause) {
	if until := now.Add(wait); until.After(g.closedUntil) {
		g.closedAt, g.closedUntil, g.cause = now, until, cause
		if cause == LeftAlone && !now.Before(g.waitEnds) {
			g.waitEnds = until
		}
	}
}

// open tells whether the circuit is open. The breaker goes over to trying by itself at once, since how long to pause is
// decided here, by a clock that comes from outside.
func (g *gate[W]) open() bool { return g.breaker.State() != gobreaker.StateClosed }

// wait tells somebody what he waits for.
func (g *gate[W]) wait(who W, since, now time.Time) Wait {
	turn := g.called[who].begins
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

// advance calls those whose turn it is, and one whose turn is next: a tenant who comes meanwhile may go before all others. Who is here
// already is not called for a turn that has begun.
func (g *Gates[W]) advance(at *gate[W], now time.Time, here ...W) {
	at.expire(now)
	for at.waiting.len() > 0 && at.free() > 0 {
		begins, behind := at.closedUntil, at.waiting.behind()
		closed := now.Before(begins)
		switch {
		case !closed && at.host.taken >= g.perHost:
			return
		case closed && len(at.called) > 0:
			return // one is enough to find the gate open
		case at.called[at.latest].begins.After(now) && (closed || !behind || at.rate.TokensAt(now) < 1):
			return
		case !closed:
			begins = now.Add(at.reserve(now, behind))
		}
		who, rank := at.waiting.pop()
		at.called[who] = turn{begins, rank, !closed}
		if begins.After(now) {
			at.latest = who
		}
		if !closed {
			at.host.taken++
		}
		if g.call != nil && (begins.After(now) || !slices.Contains(here, who)) {
			g.call(who, begins.Sub(now))
		}
	}
}

// reserve takes a request's place in the rate, and tells how long it is until then.
func (g *gate[W]) reserve(now time.Time, behind bool) time.Duration {
	wait, common := g.rate.ReserveN(now, 1).DelayFrom(now), g.common.ReserveN(now, 1).DelayFrom(now)
	if behind {
		return wait
	}
	return max(wait, common)
}

// count takes the place of a request that has not waited for it.
func (g *gate[W]) count(now time.Time) {
	g.rate.AllowN(now, 1)
	g.common.AllowN(now, 1)
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
	turn, called := g.called[who]
	if called {
		delete(g.called, who)
	}
	if turn.holds {
		g.host.taken--
	}
	return called
}

// expire gives up those who were called and did not come.
func (g *gate[W]) expire(now time.Time) {
	for who, turn := range g.called {
		if now.Sub(turn.begins) > patience {
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
			for _, at := range []*time.Time{&at.closedAt, &at.closedUntil, &at.waitEnds, &at.interrupted[byEnd], &at.interrupted[byPerson]} {
				if !at.IsZero() {
					*at = at.Add(-back)
				}
			}
			for who, held := range at.called {
				at.called[who] = turn{held.begins.Add(-back), held.rank, held.holds}
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
		at = &gate[W]{host: h, called: map[W]turn{}, breaker: g.breaker(), waiting: newQueue(g.tenant)}
		h.gates = append(h.gates, at)
		g.gates[key] = at
	}
	if at.limits != limits {
		at.limit(limits, g.seen)
	}
	return at
}

// limit sets what goes through a gate.
func (g *gate[W]) limit(limits Limits, now time.Time) {
	perSecond, spare := limits.PerSecond, min(catchUp, limits.PerSecond-1)
	if g.limits == (Limits{}) {
		g.rate = rate.NewLimiter(rate.Limit(perSecond), perSecond)
		g.common = rate.NewLimiter(rate.Limit(perSecond), perSecond-spare)
	}
	g.limits = limits
	g.rate.SetLimitAt(now, rate.Limit(perSecond))
	g.rate.SetBurstAt(now, perSecond)
	g.common.SetLimitAt(now, rate.Limit(perSecond))
	g.common.SetBurstAt(now, perSecond-spare)
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
