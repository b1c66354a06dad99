package chaos_test

import (
	"context"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// point is a moment between two steps of a renewal.
type point struct {
	at string
	// journaled tells that only a renewal which writes a journal passes it.
	journaled bool
	// hold keeps the renewal of an account there.
	hold func(*held)
	// loses tells that a pair may be lost by a kill there, where the platform gives no second one; answers is how often the
	// marketplace gives tokens until all is well again.
	loses   bool
	answers int
}

// points are all of them, in the order in which a renewal passes them.
var points = []point{
	{at: "before the journal is written", journaled: true, answers: 1, hold: func(h *held) { h.write((*call).journals, true) }},
	{at: "after the journal is written", journaled: true, answers: 1, loses: true, hold: func(h *held) { h.write((*call).journals, false) }},
	{at: "when the request has arrived and is dropped", answers: 1, loses: true, hold: func(h *held) { h.atMarket(true, false) }},
	{at: "when the request has arrived and is acted on", answers: 2, loses: true, hold: func(h *held) { h.atMarket(true, true) }},
	{at: "when the platform has committed", answers: 2, loses: true, hold: func(h *held) { h.atMarket(false, false) }},
	{at: "when the answer has arrived", answers: 2, loses: true, hold: func(h *held) { h.write(func(c *call) bool { return c.stores }, true) }},
	{at: "when the tokens are stored", answers: 1, hold: func(h *held) { h.write(func(c *call) bool { return c.stores }, false) }},
	{at: "before the token Secret is written", answers: 1, hold: func(h *held) { h.write((*call).publishes, true) }},
	{at: "after the token Secret is written", answers: 1, hold: func(h *held) { h.write((*call).publishes, false) }},
	{at: "before the status is written", answers: 1, hold: func(h *held) { h.write((*call).reports, true) }},
	{at: "after the status is written", answers: 1, hold: func(h *held) { h.write((*call).reports, false) }},
}

// held is an account whose renewal is held at a point until the operator is dead.
type held struct {
	*account
	point
	o *operator

	before  count
	reached chan struct{}
	once    sync.Once
	release chan struct{} // closed when the operator is dead
}

// here notes that the renewal has come to the point, and waits there.
func (h *held) here() {
	h.once.Do(func() { close(h.reached) })
	<-h.release
}

// write holds a write to the API server, before it is passed on or before its success is.
func (h *held) write(match func(*call) bool, before bool) {
	i := &interception{match: func(c *call) bool { return c.account() == h.name && match(c) }}
	if before {
		i.before = func(context.Context, http.ResponseWriter) bool { h.here(); panic(http.ErrAbortHandler) }
	} else {
		i.after = func(context.Context) error { h.here(); return http.ErrAbortHandler }
	}
	remove := h.o.proxy.add(i)
	go func() { <-h.release; remove() }()
}

// atMarket holds a token request as it arrives, or its answer before it leaves. One that is acted on is let go when the
// operator is dead.
func (h *held) atMarket(arrival, acted bool) {
	hold := func(*http.Request) {
		h.here()
		if arrival && !acted {
			panic(http.ErrAbortHandler)
		}
	}
	if arrival {
		h.o.w.front.at(h.name, hold, nil)
	} else {
		h.o.w.front.at(h.name, nil, hold)
	}
	go func() { <-h.release; h.o.w.front.at(h.name, nil, nil) }()
}

// killsAtEveryPoint kills the operator while one account of each kind is at each point.
func killsAtEveryPoint(t *testing.T) {
	rounds := 1
	if *long {
		rounds = 10
	}
	w := newWorld(t, shared)
	o := w.started()
	all := w.holdable(o, lenient, points)
	for range rounds {
		w.killAt(o, all)
		o.start()
		for _, h := range all {
			w.expectAccount(h.account)
			got := w.front.count(h.name).number - h.before.number
			w.Expect(got).To(Equal(h.answers), "answers with tokens: %s, killed %s", h.kind.name, h.at)
		}
		w.expectAtRest()
	}
}

// killsWithoutGrace does so on a platform that takes a second use for theft.
func killsWithoutGrace(t *testing.T) {
	w := newWorld(t, shared)
	o := w.started()
	all := w.holdable(o, []kind{strict}, points)
	w.killAt(o, all)
	if !*long {
		// The operator waits until no other replica can still have the answer. Nothing else here depends on the time.
		o.setClock(2 * time.Minute)
	}
	o.start()
	for _, h := range all {
		h.lost = h.loses
		w.expectAccount(h.account)
	}
	w.expectAtRest()
	for _, h := range all {
		if h.lost {
			w.Expect(w.says(h.account, v1alpha1.ConditionReady)).To(HavePrefix("True"), "the access token of %s is good still", h.name)
			w.signIn(h.account)
		}
	}
	w.expectAtRest()
}

// lastResorts lets the end of use come for accounts whose answers were lost on a platform that takes a second use for theft: what was
// not acted on goes on, and what was says so.
func lastResorts(t *testing.T) {
	w := newWorld(t, shared)
	o := w.started()
	var losing []point
	for _, p := range points {
		if p.loses {
			losing = append(losing, p)
		}
	}
	all := w.holdable(o, []kind{strict}, losing)
	w.killAt(o, all)
	o.setClock(2 * time.Minute)
	o.start()
	for _, h := range all {
		h.lost = true
		w.expectAccount(h.account)
	}
	w.expectAtRest()
	o.kill()
	o.setClock(12 * time.Hour) // past the end of their access tokens by the operator's clock
	o.start()
	acted := 0
	for _, h := range all {
		if h.answers == 1 { // the platform had not acted
			h.lost = false
			w.expectAccount(h.account)
			continue
		}
		acted++
		w.Eventually(func() string { return w.says(h.account, v1alpha1.ConditionReauthRequired) }).Should(
			HavePrefix("True "+v1alpha1.ReasonGrantRejected), h.name)
	}
	w.expectJudged()
	w.Expect(w.market.Report().Platforms[strict.platform].DoubleSpends).To(Equal(acted))
	w.Expect(w.front.lastResorts()).To(BeNumerically(">=", len(all)))
	w.Expect(w.cluster.observer.problemsOf(w.ns)).To(BeEmpty())
}

// askedToEnd tells the operator to end, as Kubernetes does, while answers are on their way and the API server refuses to store any. It
// stores them before it ends, so that a strict platform forgives that too.
func askedToEnd(t *testing.T) {
	w := newWorld(t, shared)
	o := w.started()
	all := w.holdable(o, []kind{strict, graceful}, []point{
		{at: "when the platform has committed", hold: func(h *held) { h.atMarket(false, false) }},
	})
	let := w.holdAll(all)
	var refused atomic.Int64
	accept := o.proxy.add(&interception{
		match:  func(c *call) bool { return c.stores && refused.Add(1) > 0 },
		before: refuse(http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable),
	})
	ended := o.end()
	let()
	w.Eventually(refused.Load).Should(BeNumerically(">=", 2*len(all)), "attempts to store a pair")
	accept()
	w.Eventually(ended, patience).Should(Receive(BeNil()), "the operator ends when all is stored")
	o.start()
	for _, h := range all {
		w.expectAccount(h.account)
		w.Expect(w.front.count(h.name).number-h.before.number).To(Equal(1), "answers with tokens: %s", h.kind.name)
	}
	w.expectAtRest()
}

// holdable makes an account for each kind and point, and waits until all are in order.
func (w *world) holdable(o *operator, kinds []kind, points []point) []*held {
	w.t.Helper()
	var all []*held
	for _, k := range kinds {
		for i, p := range points {
			if p.journaled && !k.rotates {
				continue
			}
			all = append(all, &held{account: w.account(k, k.name+"-"+string(rune('a'+i))), point: p, o: o})
		}
	}
	w.expectAtRest()
	return all
}

// killAt asks for a renewal of every account, and kills the operator when each is at its point.
func (w *world) killAt(o *operator, all []*held) {
	w.t.Helper()
	let := w.holdAll(all)
	o.kill()
	let()
}

// holdAll asks for a renewal of every account, and waits until each is at its point. The returned function lets them go.
func (w *world) holdAll(all []*held) (let func()) {
	w.t.Helper()
	release := make(chan struct{})
	let = sync.OnceFunc(func() { close(release) })
	w.t.Cleanup(let) // a story that ends early lets everybody go
	for _, h := range all {
		h.before, h.reached, h.once, h.release = w.front.count(h.name), make(chan struct{}), sync.Once{}, release
		h.hold(h)
	}
	w.renew(accountsOf(all)...)
	deadline := time.After(15 * time.Second) // a write that is held is given up after 20
	for _, h := range all {
		select {
		case <-h.reached:
		case <-deadline:
			w.t.Errorf("%s did not come to the point %s", h.name, h.at)
		}
	}
	return let
}

func accountsOf(all []*held) []*account {
	accounts := make([]*account, 0, len(all))
	for _, h := range all {
		accounts = append(accounts, h.account)
	}
	return slices.Clip(accounts)
}

// lostBy is a fault that takes the answer of an account's request away, once.
func (w *world) lostBy(a *account, fault demomarket.Fault) *demomarket.Injected {
	return w.market.Platform(a.platform).Inject(fault.Once().When(func(r demomarket.Request) bool {
		sent := maps.Clone(r.Parameters)
		if sent["client_id"] == "" {
			sent["client_id"] = clientOf(r)
		}
		return w.front.accountOf(sent) == a.name
	}))
}

func clientOf(r demomarket.Request) string {
	id, _, _ := (&http.Request{Header: r.Header}).BasicAuth()
	return id
}
