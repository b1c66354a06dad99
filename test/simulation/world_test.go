//go:debug randseednop=0
package simulation_test

import (
	"context"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand" //nolint:depguard // the source that libraries share
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

const namespace = "shop"

// world is one history: an API server, marketplaces, operators, and the people and users who do something. It runs in a bubble of
// testing/synctest, whose clock moves when everybody waits, and one goroutine at a time does something.
type world struct {
	seed uint64
	// linksInSecret has links of sign-ins stand in Secrets, as they do in every fourth history.
	linksInSecret bool
	api           *apiServer
	markets       map[string]*market
	// processes are the operators, also the ended ones.
	processes []*process
	begun     int
	restartAt []time.Time
	// clockOffset is how far the operators' clocks are ahead.
	clockOffset time.Duration
	clockSet    time.Time
	refusals    []*standingRefusal
	// shops are the accounts by name, in the order in which they were made.
	shops []*shop
	kept  map[ref]client.Object
	// looking names the account that an operator works on.
	looking string
	// noPortal has operators run without pages where people sign in.
	noPortal bool
	// owed are events that are still to be told.
	owed []owed
	// byUser tells that a user writes.
	byUser bool

	// calls counts calls of operators, and mostCalls bounds them.
	calls, mostCalls int
	// calmSince is when the last disturbance ended that may hold an account up.
	calmSince time.Time
	telling   bool
	story     io.Writer
	digest    uint64
	// broken is the invariant that does not hold; empty while all do.
	broken string
	began  time.Time
	years  float64
	pairs  map[pair]int
}

// shop is the knowledge of an account beside the operator's.
type shop struct {
	name, market, seller string
	grant                v1alpha1.GrantType
	// known is the name that the script has for it, reference the Marketplace that it names, application the Secret of its application, and
	// brings that of a refresh token of the user.
	known, reference, application, brings string
	deletion                              v1alpha1.DeletionPolicy
	// answers are the reasons that answers to it meant since its last failure, and refresh is its last refresh token.
	answers []string
	refresh string
	// excuses are why the account may need a person: grants that no operator could have kept.
	excuses []string
	// verifyAsked is when a person asked for a test last.
	verifyAsked time.Time
	// restored tells that an older custody was put in place, and asked that a person asked for a renewal since.
	restored, asked bool
	// broughtSpent tells that the user has brought a refresh token that was used before, and nothing is left that tells.
	broughtSpent bool
	// untold are refresh tokens that were put back in place of all that told that they were sent.
	untold []string
	// published is the access token that workloads read, and serial that of its custody.
	published *issue
	serial    int64
	imports   int
	needs     needs
	// refused tells that the API server has refused a call in the last look at it.
	refused bool
}

// standingRefusal is how the API server fails from a moment on.
type standingRefusal struct {
	refusal
	verb  string
	kind  kind
	in    int
	times int
	until time.Time
}

func newWorld(seed uint64) *world {
	rand.Seed(int64(seed)) //nolint:staticcheck // what libraries draw, such as the jitter between two tries of a write, has to be the same, too
	w := &world{seed: seed, linksInSecret: seed%4 == 3, markets: map[string]*market{}, mostCalls: 20000, began: time.Now(), pairs: map[pair]int{}}
	w.api = newAPIServer(time.Now)
	w.api.observe = w.observe
	w.calm()
	hash := fnv.New64a()
	w.digest = hash.Sum64()
	w.user(func() error {
		return w.api.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	})
	return w
}

// note adds a line to the transcript.
func (w *world) note(format string, args ...any) {
	if !w.telling {
		return
	}
	line := fmt.Sprintf("%s ", time.Since(w.began).Truncate(time.Millisecond)) + fmt.Sprintf(format, args...)
	for i := range len(line) {
		w.digest = (w.digest ^ uint64(line[i])) * 1099511628211
	}
	if w.story != nil {
		fmt.Fprintln(w.story, line)
	}
}

// breaks notes that an invariant does not hold. The first one counts.
func (w *world) breaks(format string, args ...any) {
	if w.broken == "" {
		w.broken = fmt.Sprintf(format, args...)
		w.note("broken: %s", w.broken)
	}
}

// calm notes that a disturbance ends now, calmFrom that it will.
func (w *world) calm() { w.calmFrom(time.Now()) }

func (w *world) calmFrom(end time.Time) {
	if end.After(w.calmSince) {
		w.calmSince = end
	}
}

// calmFor is for how long nothing has held up the operators.
func (w *world) calmFor() time.Duration { return time.Since(w.calmSince) }

// user runs the act of a user.
func (w *world) user(do func() error) {
	w.byUser = true
	defer func() { w.byUser = false }()
	if err := do(); err != nil {
		w.note("a user is told: %v", err)
	}
}

// alive are the processes that work.
func (w *world) alive() []*process {
	return slices.DeleteFunc(slices.Clone(w.processes), func(p *process) bool { return p.dead })
}

// leader is the process that began last; nil where none works.
func (w *world) leader() *process {
	for _, p := range slices.Backward(w.processes) {
		if !p.dead && !p.stalled {
			return p
		}
	}
	return nil
}

// start starts another operator.
func (w *world) start() *process {
	w.begun++
	p := w.begin(fmt.Sprintf("p%d", w.begun))
	w.processes = slices.DeleteFunc(w.processes, func(p *process) bool { return p.dead })
	for _, s := range w.shops {
		s.needs.patience.restart()
	}
	w.calm()
	return p
}

// await waits for the work of one goroutine.
func (w *world) await(done <-chan struct{}) { <-done }

// passCall lets time pass while a request is under way.
func (w *world) passCall(ctx context.Context, long time.Duration) {
	end := time.Now().Add(long)
	if deadline, ok := ctx.Deadline(); ok && deadline.Before(end) {
		end = deadline
	}
	w.run(end)
	time.Sleep(time.Millisecond) //nolint:forbidigo // in virtual time
}

// run lets all parts do their due work until a moment.
func (w *world) run(until time.Time) {
	for w.broken == "" {
		next := until
		w.restartAt = slices.DeleteFunc(w.restartAt, func(at time.Time) bool {
			if at.After(time.Now()) {
				if at.Before(next) {
					next = at
				}
				return false
			}
			if len(w.alive()) == 0 {
				w.start()
			}
			return true
		})
		if w.work(&next) {
			continue
		}
		w.atRest()
		wait := time.Until(next)
		if wait <= 0 {
			return
		}
		time.Sleep(wait) //nolint:forbidigo // in virtual time
		w.years += float64(len(w.shops)) * wait.Hours() / (365 * 24)
	}
}

// work has one process work on one account; false where nothing is due before next.
func (w *world) work(next *time.Time) bool {
	for _, p := range w.processes {
		if p.dead || p.stalled {
			continue
		}
		if time.Now().Before(p.lagUntil) {
			if p.lagUntil.Before(*next) {
				*next = p.lagUntil
			}
		} else {
			p.cache.deliver()
		}
		request, ready, at := p.queue.next()
		if ready {
			w.look(p, request)
			return true
		}
		if !at.IsZero() && at.Before(*next) {
			*next = at
		}
	}
	return false
}

// look has a process look at an account.
func (w *world) look(p *process, request reconcile.Request) {
	defer w.worksOn(request.Name)()
	w.isLookedAt(request.Name)
	if s := w.shop(request.Name); s != nil {
		s.refused = false
	}
	w.await(p.queue.work(request))
}

// worksOn notes the account that an operator works on, until it is told that this is over.
func (w *world) worksOn(name string) (over func()) {
	before := w.looking
	w.looking = name
	return func() { w.looking = before }
}

// refusalOf is how the API server fails a call; nil where it does not.
func (w *world) refusalOf(verb string, at ref) *refusal {
	var found *refusal
	w.refusals = slices.DeleteFunc(w.refusals, func(r *standingRefusal) bool {
		if !r.until.IsZero() && !time.Now().Before(r.until) {
			return true
		}
		if found != nil || r.verb != "" && r.verb != verb || r.kind != "" && r.kind != at.kind {
			return false
		}
		if r.in > 0 {
			r.in--
			return false
		}
		found = &r.refusal
		w.calm()
		if r.until.IsZero() {
			r.times--
			return r.times <= 0
		}
		return false
	})
	return found
}

// notesRefusal notes that the API server has not done its part in the look under way, which is repeated.
func (w *world) notesRefusal(err error) {
	if s := w.shop(w.looking); s != nil && err != nil {
		s.refused = true
	}
}

// shop finds an account by name; nil where there is none.
func (w *world) shop(name string) *shop {
	for _, s := range w.shops {
		if s.name == name || s.known == name {
			return s
		}
	}
	return nil
}

// excuse notes why an account may need a person.
func (w *world) excuse(name, why string) {
	if s := w.shop(name); s != nil && !slices.Contains(s.excuses, why) {
		s.excuses = append(s.excuses, why)
	}
}

func (w *world) excuseAll(why string) {
	for _, s := range w.shops {
		w.excuse(s.name, why)
	}
}

// excuseHolder excuses the account that holds a refresh token, or that the user has brought it to.
func (w *world) excuseHolder(token, why string) {
	for _, s := range w.shops {
		c := w.custody(s)
		if c.RefreshToken == token || c.Candidate != nil && c.Candidate.RefreshToken == token || w.imported(s) == token {
			w.excuse(s.name, why)
		}
	}
}

// holderOfCode is the account that waits for a device code; empty where none does.
func (w *world) holderOfCode(code string) string {
	for _, s := range w.shops {
		if waiting := w.custody(s).SignIn.Device; waiting != nil && waiting.Code == code {
			return s.name
		}
	}
	return ""
}

// account is the account of a shop as the API server has it; nil where there is none.
func (w *world) account(s *shop) *v1alpha1.MarketplaceAccount {
	object, ok := w.api.stored(ref{accounts, client.ObjectKey{Namespace: namespace, Name: s.name}}).(*v1alpha1.MarketplaceAccount)
	if !ok {
		return nil
	}
	return object
}

func (w *world) secret(name string) *corev1.Secret {
	object, ok := w.api.stored(ref{secrets, client.ObjectKey{Namespace: namespace, Name: name}}).(*corev1.Secret)
	if !ok {
		return nil
	}
	return object
}

// custody is the content of a shop's grant Secret.
func (w *world) custody(s *shop) custody.Custody {
	secret := w.secret(s.name + v1alpha1.GrantSecretSuffix)
	if secret == nil {
		return custody.Custody{}
	}
	held, err := tokensecret.DecodeCustody(secret)
	if err != nil {
		return custody.Custody{}
	}
	return held
}

// imported is the refresh token in the user's Secret.
func (w *world) imported(s *shop) string {
	secret := w.secret(s.brings)
	if secret == nil {
		return ""
	}
	return string(secret.Data[v1alpha1.RefreshTokenKeyRefreshToken])
}

// condition is a condition of the status, in a few words.
func (w *world) condition(s *shop, name string) string {
	account := w.account(s)
	if account == nil {
		return "gone"
	}
	for _, condition := range account.Status.Conditions {
		if condition.Type == name {
			return string(condition.Status) + " " + condition.Reason
		}
	}
	return "absent"
}

// conditions are all that a status says, in a line.
func (w *world) conditions(s *shop) string {
	account := w.account(s)
	if account == nil {
		return "gone"
	}
	var all []string
	for _, condition := range account.Status.Conditions {
		all = append(all, fmt.Sprintf("%s=%s %s (%s)", condition.Type, condition.Status, condition.Reason, condition.Message))
	}
	return strings.Join(all, "; ")
}
