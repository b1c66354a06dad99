package simulation_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle/states"
	"github.com/tokenkeeper/tokenkeeper/internal/vetting"
)

// pair is an event that came to an account in a state, as "state event".
type pair string

func pairOf(state states.State, event states.Event) pair {
	return pair(string(state) + " " + string(event))
}

// covers counts an event that has come to an account, and holds it against the table of the events that cannot.
func (w *world) covers(f facts.Facts, change lifecycle.Change) {
	if change.Event == "" {
		return
	}
	state := states.Of(&f)
	w.pairs[pairOf(state, change.Event)]++
	w.note("%s comes to %s in state %s", change.Event, f.Account.Name, state)
	if why := states.Impossible(state, change.Event); why != "" {
		w.breaks("%s came to %s in state %s, which cannot be: %s", change.Event, f.Account.Name, state, why)
	}
	if change.Store != nil && f.Request.Platform != nil {
		if out := leftOut(f, *change.Store); len(out) > 0 {
			w.breaks("the next look leaves %v out of what %s stores of %s", out, change.Event, f.Account.Name)
		}
	}
}

// leftOut names the parts of a custody of the operator's own that the next look would take for forged.
func leftOut(f facts.Facts, kept custody.Custody) []string {
	_, form := vetting.Form(kept, f.Now)
	_, addresses := vetting.Addresses(kept, vetting.Platform{
		LeadsTo: f.Request.Platform.LeadsTo, Names: f.Request.Platform.Names, AccountIDs: []string{f.Account.Spec.AccountID},
	})
	return append(form, addresses...)
}

// reportCoverage prints how often each pair was reached, and fails where a possible one never was and enough was played.
func reportCoverage(t *testing.T, pairs map[pair]int, all bool) {
	t.Helper()
	var table strings.Builder
	fmt.Fprintf(&table, "%-15s", "")
	for _, state := range states.All {
		fmt.Fprintf(&table, "%10s", state)
	}
	for _, event := range states.Events {
		fmt.Fprintf(&table, "\n%-15s", event)
		for _, state := range states.All {
			count, impossible := pairs[pairOf(state, event)], states.Impossible(state, event) != ""
			switch {
			case impossible:
				fmt.Fprintf(&table, "%10s", "-")
			default:
				fmt.Fprintf(&table, "%10d", count)
			}
		}
	}
	t.Logf("how often each event came to an account in each state:\n%s", table.String())
	if missing := neverReached(pairs); len(missing) > 0 {
		t.Logf("never reached: %s", strings.Join(missing, ", "))
		if all {
			t.Error("a pair that is possible was never reached")
		}
	}
}

// neverReached are the possible pairs that did not happen.
func neverReached(pairs map[pair]int) []string {
	var missing []string
	for _, event := range states.Events {
		for _, state := range states.All {
			if pairs[pairOf(state, event)] == 0 && states.Impossible(state, event) == "" {
				missing = append(missing, string(pairOf(state, event)))
			}
		}
	}
	slices.Sort(missing)
	return missing
}

// TestPairsNeverReachedAreMissed has all possible pairs happen but one.
func TestPairsNeverReachedAreMissed(t *testing.T) {
	pairs := map[pair]int{}
	for _, all := range neverReached(nil) {
		pairs[pair(all)] = 1
	}
	if missing := neverReached(pairs); len(missing) > 0 {
		t.Errorf("all happened, and %v are missed", missing)
	}
	delete(pairs, pairOf(states.Held, states.Issued))
	if missing := neverReached(pairs); !slices.Equal(missing, []string{"Held Issued"}) {
		t.Errorf("Issued never came to an account in state Held, and %v are missed", missing)
	}
}
