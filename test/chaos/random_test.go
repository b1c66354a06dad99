package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
	"github.com/tokenkeeper/tokenkeeper/test/leak"
)

const (
	// shortLife keeps renewals coming by themselves, beside the requested ones.
	shortLife = 40 * time.Second
	// answerTime is how long the platforms take, half of it before they act: as a near one does.
	answerTime = 60 * time.Millisecond
	// longestLife is how long an operator lives after its first write, but for one life in a while.
	longestLife = 500 * time.Millisecond
	// shortKills are the kills of the short form.
	shortKills = 12
)

// randomKills kills operators at random moments, again and again, while renewals are under way.
func randomKills(t *testing.T) {
	seed := *seed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("-chaos.seed=%d", seed)
	if !*long {
		newShard(t, seed, 2, lenient).killUntil(func(done int) bool { return done >= shortKills })
		return
	}
	var all atomic.Int64
	deadline := time.Now().Add(*killTime)
	for number := range *shards {
		t.Run(fmt.Sprint("shard ", number), func(t *testing.T) {
			t.Parallel()
			newShard(t, seed+uint64(number), *each, kinds).killUntil(func(int) bool {
				return all.Add(1) > int64(*kills) || time.Now().After(deadline)
			})
		})
	}
}

// shard is an operator with accounts of its own.
type shard struct {
	*world
	o      *operator
	random *rand.Rand
	figures
	// broken are strict accounts whose renewal a kill broke off after it was written down: only they may be lost.
	broken map[*account]brokenOff
	// searched counts the kills since the log was searched.
	searched int
	// finished is when an operator last lived until it had finished what it had begun.
	finished time.Time
}

func newShard(t *testing.T, seed uint64, each int, kinds []kind) *shard {
	t.Helper()
	s := &shard{world: newWorld(t, shared), random: rand.New(rand.NewPCG(seed, 0)), broken: map[*account]brokenOff{}}
	for _, platform := range s.market.Names() {
		s.market.Platform(platform).SetLifetimes(demomarket.Lifetimes{Access: shortLife})
		s.market.Platform(platform).Slow(answerTime)
	}
	for _, k := range kinds {
		for i := range each {
			s.account(k, fmt.Sprint(k.name, "-", i))
		}
	}
	s.quiet = true
	s.o = s.started()
	s.expectAtRest()
	s.finished = time.Now()
	s.o.kill()
	return s
}

// killUntil kills the operator until it is enough, and then looks whether all is well.
func (s *shard) killUntil(enough func(done int) bool) {
	s.t.Helper()
	defer func() { s.count(); figuresOfAll.add(&s.figures) }() // also when a promise was broken
	for !enough(s.kills) && !s.t.Failed() {
		s.liveAndDie()
		s.resolve()
		if s.searched++; s.searched >= 100 {
			s.search()
		}
	}
	s.o.start()
	for len(s.broken) > 0 && !s.t.Failed() { // they say so when no other replica can have the answer any more
		s.resolve()
		<-time.After(time.Second)
	}
	s.expectAtRest()
}

// liveAndDie lets an operator begin to work and kills it.
func (s *shard) liveAndDie() {
	s.t.Helper()
	for _, a := range s.accounts {
		if s.random.IntN(3) == 0 {
			s.renew(a)
		}
	}
	begun := make(chan struct{}, 1)
	remove := s.o.proxy.add(&interception{match: func(c *call) bool {
		if c.writes() && c.account() != "" {
			select {
			case begun <- struct{}{}:
			default:
			}
		}
		return false
	}})
	s.o.start()
	select {
	case <-begun:
	case <-time.After(20 * time.Second):
		s.idle++ // nothing was due
	}
	remove()
	life := time.Duration(s.random.Int64N(int64(longestLife)))
	for _, a := range s.accounts {
		if s.random.IntN(6) == 0 {
			s.renew(a)
		}
	}
	if time.Since(s.finished) > mustFinish {
		s.finish()
	}
	s.endAfter(life)
	s.kills++
	s.o.proxy.server.CloseClientConnections()
	<-time.After(30 * time.Millisecond) // for the writes that the API server has begun
	s.noteBroken()
}

// mustFinish is how long operators may be killed in the middle of their renewals: after that one lives until these are finished, however slow the machine
// is. It is a third of the grace of the platform that has one, since that forgives what is finished within it and nothing else.
var mustFinish = demomarket.Allegro().RefreshToken.ReuseGrace / 3

// finish waits until each renewal that may cost a grace is finished, for half of the grace at most.
func (s *shard) finish() {
	s.t.Helper()
	unfinished := slices.DeleteFunc(slices.Clone(s.accounts), func(a *account) bool { return !a.rotates || a.strict })
	begun := time.Now()
	for len(unfinished) > 0 && time.Since(begun) < mustFinish*3/2 {
		<-time.After(100 * time.Millisecond)
		unfinished = slices.DeleteFunc(unfinished, func(a *account) bool { return s.grantState(a) != underway })
	}
	s.finished = time.Now()
}

// endAfter kills the operator after a while. A portal apart dies alone before it, or together with it, or not.
func (s *shard) endAfter(life time.Duration) {
	if !*apart {
		<-time.After(life)
		s.o.kill()
		return
	}
	switch s.random.IntN(4) {
	case 0:
		alone := time.Duration(s.random.Int64N(int64(life) + 1))
		<-time.After(alone)
		s.o.portal.kill()
		s.portalKills++
		<-time.After(life - alone)
		s.o.process.kill()
	case 1, 2:
		<-time.After(life)
		s.o.kill()
		s.portalKills++
	default:
		<-time.After(life)
		s.o.process.kill()
	}
}

// brokenOff says how far a renewal had come when it was broken off: whether its request had arrived, whether the platform had acted, and
// whether its answer was on its way.
type brokenOff struct{ sent, committed, answered bool }

// noteBroken finds the strict accounts whose renewal the last kill broke off.
func (s *shard) noteBroken() {
	s.t.Helper()
	hit := false
	for _, a := range s.accounts {
		if !a.strict {
			continue
		}
		if _, known := s.broken[a]; known || s.grantState(a) != underway {
			continue
		}
		hit = true
		counted := s.front.count(a.name)
		s.broken[a] = brokenOff{sent: counted.asked > 0, committed: counted.issued > 0, answered: counted.answered > 0}
	}
	if hit {
		s.windowKills++
	}
}

// resolve lets a person sign in where a pair was lost, which only a kill in the window explains.
func (s *shard) resolve() {
	s.t.Helper()
	for _, a := range s.accounts {
		if !a.strict {
			continue
		}
		how, broken := s.broken[a]
		switch s.grantState(a) {
		case lost:
			if !broken {
				s.t.Errorf("%s is lost, and no kill explains it: %s", a.name, s.says(a, v1alpha1.ConditionReauthRequired))
				continue
			}
			if !strings.HasPrefix(s.says(a, v1alpha1.ConditionReauthRequired), "True "+v1alpha1.ReasonGrantRejected) {
				continue // the operator was killed before it said so
			}
			s.losses++
			committed := s.front.count(a.name).issued > 0 // in the renewal, or in a last resort that a kill broke off as well
			switch {
			case how.answered:
				s.lostAnswered++
			case committed:
				s.lostCommitted++
			case how.sent:
				s.lostSent++
			default:
				s.lostUnsent++
			}
			if !committed {
				s.t.Errorf("%s is lost, although the platform had not acted", a.name)
			}
			delete(s.broken, a)
			s.signIn(a)
		case fine:
			if broken { // the API server had it all the same, or a last resort found the token unspent
				s.saved++
				if !how.committed {
					s.recovered++
				}
				delete(s.broken, a)
			}
		}
	}
}

// grantState is the state of the grant of a strict account, as its grant Secret has it.
type grantState int

const (
	fine grantState = iota
	underway
	lost
)

func (s *shard) grantState(a *account) grantState {
	s.t.Helper()
	secret, err := s.secretOf(a, "grant")
	s.Expect(err).NotTo(HaveOccurred())
	kept, err := tokensecret.DecodeCustody(secret)
	s.Expect(err).NotTo(HaveOccurred())
	rejected := func(refused *custody.Refusal) bool {
		return refused != nil && refused.Reason == v1alpha1.ReasonGrantRejected
	}
	switch {
	case kept.Journal != nil || kept.ImportJournal != nil:
		return underway
	case rejected(kept.RefusedImport) && kept.RefusedImport.Imported == a.brought,
		rejected(kept.Refused) && kept.Imported == a.brought:
		return lost
	}
	return fine
}

// search looks for credentials in the logs before they grow too long.
func (s *shard) search() {
	s.t.Helper()
	s.searched = 0
	secrets := leak.For(s.market.Secrets()...)
	for _, log := range s.logs {
		found, err := log.search(secrets)
		s.Expect(err).NotTo(HaveOccurred())
		s.Expect(found).To(BeEmpty(), "what must not be said is in the log %s", log.path)
	}
}

// comesToOrder tells whether an account is in order, or will be when the renewal is over that may be under way: tokens are short-lived here.
func (s *shard) comesToOrder(a *account) bool {
	for range 100 {
		if s.inOrder(a) == nil {
			return true
		}
		<-time.After(100 * time.Millisecond)
	}
	return false
}

// count takes over the counts of marketplace and front.
func (s *shard) count() {
	report := s.market.Report().Total
	s.calls = report.Count("", "")
	s.doubleSpends, s.graceReuses, s.abandoned = report.DoubleSpends, report.GraceReuses, report.AbandonedPairs
	s.lastResorts = s.front.lastResorts()
	for _, a := range s.accounts {
		s.renewals += s.front.count(a.name).number
		if !a.strict && !s.comesToOrder(a) {
			s.notReady++
		}
		if a.strict {
			s.strictRenewals += s.front.count(a.name).number
		}
	}
	s.windows = s.front.measured()
}
