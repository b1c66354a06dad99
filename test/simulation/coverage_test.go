package simulation_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle/states"
)

// pair is an event that came to an account in a state, as "state event".
type pair string

func pairOf(state states.State, event states.Event) pair {
	return pair(string(state) + " " + string(event))
}

// covers counts an event that has come to an account, and holds it against the table of those that cannot.
func (w *world) covers(f facts.Facts, change lifecycle.Change) {
	if change.Event == "" {
		return
	}
	state := states.Of(&f)
	w.pairs[pairOf(state, change.Event)]++
	if why := states.Impossible(state, change.Event); why != "" {
		w.breaks("%s came to %s in state %s, which cannot be: %s", change.Event, f.Account.Name, state, why)
	}
}

// reportCoverage prints how often each pair was reached, and fails where a possible one never was and enough was played.
func reportCoverage(t *testing.T, pairs map[pair]int, all bool) {
	t.Helper()
	var table strings.Builder
	fmt.Fprintf(&table, "%-15s", "")
	for _, state := range states.All {
		fmt.Fprintf(&table, "%10s", state)
	}
	var missing []string
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
			if count == 0 && !impossible {
				missing = append(missing, string(pairOf(state, event)))
			}
		}
	}
	t.Logf("how often each event came to an account in each state:\n%s", table.String())
	slices.Sort(missing)
	if len(missing) > 0 {
		t.Logf("never reached: %s", strings.Join(missing, ", "))
		if all {
			t.Error("a pair that is possible was never reached")
		}
	}
}
