package chaos_test

import (
	"testing"
	"time"
)

// clockJumps sets the operator's clock under its feet: while nothing happens, and while it is killed in the middle of a
// renewal. The marketplace's clock goes on as it should.
func clockJumps(t *testing.T) {
	for name, jump := range map[string]time.Duration{"an hour forward": time.Hour, "an hour back": -time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Run("in a running operator", func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, shared)
				o := w.started()
				w.accountsOfAllKinds("")
				w.expectAtRest()
				for _, ahead := range []time.Duration{jump, 0, -jump} {
					o.setClock(ahead)
					w.renew(w.accounts...)
					w.expectAtRest()
				}
			})
			t.Run("in the middle of a renewal", func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, shared)
				o := w.started()
				all := w.holdable(o, lenient, points)
				w.killAt(o, all)
				o.setClock(jump)
				if jump > 0 { // by the operator's clock the grace is over
					w.cluster.observer.forgive(w.ns)
					for _, h := range all {
						h.lost = h.loses && h.rotates
					}
				}
				o.start()
				w.expectAtRest()
			})
			t.Run("where a pair was lost", func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, shared)
				o := w.started()
				all := w.holdable(o, []kind{strict}, points)
				w.killAt(o, all)
				o.setClock(jump)
				o.start()
				for _, h := range all {
					h.lost = h.loses
				}
				w.expectAtRest()
				for _, h := range all {
					if h.lost {
						w.signIn(h.account)
					}
				}
				w.expectAtRest()
			})
		})
	}
}
