package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// twoOperators runs two replicas that both believe that they lead, as when leader election is off by mistake. Both see each
// account and renew it, and each is killed from time to time.
func twoOperators(t *testing.T) {
	w := newWorld(t, shared)
	replicas := []*operator{w.started(), w.started()}
	for _, k := range kinds {
		for i := range 3 {
			w.account(k, fmt.Sprint(k.name, "-", i))
		}
	}
	w.expectAtRest()
	random := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		w.renew(w.accounts...)
		<-time.After(time.Duration(random.IntN(300)) * time.Millisecond)
	}
	w.expectAtRest()
	if t.Failed() {
		return
	}
	// And with kills, which a strict platform does not forgive.
	w.accounts = w.without(strict)
	for i := range 20 {
		w.renew(w.accounts...)
		<-time.After(time.Duration(random.IntN(500)) * time.Millisecond)
		replicas[i%2].kill()
		replicas[i%2].start()
	}
	w.expectAtRest()
}

// without are the accounts of the other kinds.
func (w *world) without(k kind) []*account {
	var others []*account
	for _, a := range w.accounts {
		if a.kind != k {
			others = append(others, a)
		}
	}
	return others
}
