package renewal_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
)

// now is when every decision is made.
var now = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// in is a moment seen from now; negative lies in the past.
func in(d time.Duration) time.Time { return now.Add(d) }

var never time.Time

func TestDecide(t *testing.T) {
	fresh := renewal.Held{ExpiresAt: in(time.Hour), RenewAt: in(45 * time.Minute)}
	scheduled := renewal.Held{ExpiresAt: in(15 * time.Minute), RenewAt: in(-time.Second)}
	expired := renewal.Held{ExpiresAt: in(-time.Minute), RenewAt: in(-time.Hour)}
	changed := renewal.Held{ExpiresAt: in(time.Hour), RenewAt: in(45 * time.Minute), Changed: true}

	tests := map[string]struct {
		held   renewal.Held
		demand renewal.Demand
		want   renewal.Plan
	}{
		"nothing held is due": {
			want: renewal.Plan{Due: true, Because: renewal.Missing},
		},
		"a fresh token waits for its moment": {
			held: fresh,
			want: renewal.Plan{Look: fresh.RenewAt},
		},
		"a token is due at the very moment": {
			held: renewal.Held{ExpiresAt: in(time.Hour), RenewAt: now},
			want: renewal.Plan{Due: true, Because: renewal.Scheduled},
		},
		"a token is not due a moment earlier": {
			held: renewal.Held{ExpiresAt: in(time.Hour), RenewAt: in(1)},
			want: renewal.Plan{Look: in(1)},
		},
		"a token whose moment has passed is due": {
			held: scheduled,
			want: renewal.Plan{Due: true, Because: renewal.Scheduled},
		},
		"an expired token is due": {
			held: expired,
			want: renewal.Plan{Due: true, Because: renewal.Scheduled},
		},
		"an expired token waits for its moment, so that tokens of seconds are no flood": {
			held: renewal.Held{ExpiresAt: in(-time.Second), RenewAt: in(8 * time.Second)},
			want: renewal.Plan{Look: in(8 * time.Second)},
		},
		"a token that expires before its moment is looked at then": {
			held: renewal.Held{ExpiresAt: in(time.Minute), RenewAt: in(time.Hour)},
			want: renewal.Plan{Look: in(time.Minute)},
		},
		"a token for another spec is due": {
			held: changed,
			want: renewal.Plan{Due: true, Because: renewal.Changed},
		},
		"what is missing cannot have changed": {
			held: renewal.Held{Changed: true},
			want: renewal.Plan{Due: true, Because: renewal.Missing},
		},

		"a request makes a fresh token due": {
			held:   fresh,
			demand: renewal.Demand{Requested: true},
			want:   renewal.Plan{Due: true, Because: renewal.Requested},
		},
		"a request is the reason, whatever else there is": {
			held:   changed,
			demand: renewal.Demand{Requested: true},
			want:   renewal.Plan{Due: true, Because: renewal.Requested},
		},
		"a request overrules the backoff": {
			held:   fresh,
			demand: renewal.Demand{Requested: true, RetryAt: in(time.Minute)},
			want:   renewal.Plan{Due: true, Because: renewal.Requested},
		},
		"nothing overrules a rest": {
			held:   fresh,
			demand: renewal.Demand{Requested: true, RetryAt: in(time.Second), NotBefore: in(2 * time.Second), RestsUntil: in(time.Minute)},
			want:   renewal.Plan{Because: renewal.Requested, Look: in(time.Minute)},
		},
		"the longest of all waits counts": {
			held:   changed,
			demand: renewal.Demand{RetryAt: in(time.Second), NotBefore: in(2 * time.Minute), RestsUntil: in(time.Minute)},
			want:   renewal.Plan{Because: renewal.Changed, Look: in(2 * time.Minute)},
		},
		"a request overrules a wait that the marketplace demands: whether it goes through is up to the gate": {
			held:   fresh,
			demand: renewal.Demand{Requested: true, RetryAt: in(time.Hour), NotBefore: in(time.Minute)},
			want:   renewal.Plan{Due: true, Because: renewal.Requested},
		},

		"the backoff holds up what is scheduled": {
			held:   scheduled,
			demand: renewal.Demand{RetryAt: in(40 * time.Second)},
			want:   renewal.Plan{Because: renewal.Scheduled, Look: in(40 * time.Second)},
		},
		"the backoff holds up what is missing": {
			demand: renewal.Demand{RetryAt: in(40 * time.Second)},
			want:   renewal.Plan{Because: renewal.Missing, Look: in(40 * time.Second)},
		},
		"the backoff holds up what has changed": {
			held:   changed,
			demand: renewal.Demand{RetryAt: in(40 * time.Second)},
			want:   renewal.Plan{Because: renewal.Changed, Look: in(40 * time.Second)},
		},
		"the backoff ends at its very moment": {
			held:   scheduled,
			demand: renewal.Demand{RetryAt: now},
			want:   renewal.Plan{Due: true, Because: renewal.Scheduled},
		},
		"the longer of backoff and demanded wait counts: the wait": {
			held:   scheduled,
			demand: renewal.Demand{RetryAt: in(time.Minute), NotBefore: in(5 * time.Minute)},
			want:   renewal.Plan{Because: renewal.Scheduled, Look: in(5 * time.Minute)},
		},
		"the longer of backoff and demanded wait counts: the backoff": {
			held:   scheduled,
			demand: renewal.Demand{RetryAt: in(5 * time.Minute), NotBefore: in(time.Minute)},
			want:   renewal.Plan{Because: renewal.Scheduled, Look: in(5 * time.Minute)},
		},
		"an account that waits past the end of its token is looked at when that ends": {
			held:   scheduled,
			demand: renewal.Demand{NotBefore: in(time.Hour)},
			want:   renewal.Plan{Because: renewal.Scheduled, Look: scheduled.ExpiresAt},
		},
		"an account whose token has ended is looked at when the wait is over": {
			held:   expired,
			demand: renewal.Demand{NotBefore: in(time.Hour)},
			want:   renewal.Plan{Because: renewal.Scheduled, Look: in(time.Hour)},
		},
		"a wait does not bring forward a token that is not due": {
			held:   fresh,
			demand: renewal.Demand{RetryAt: in(time.Minute), NotBefore: in(2 * time.Minute)},
			want:   renewal.Plan{Look: fresh.RenewAt},
		},

		"a suspended account is never due": {
			demand: renewal.Demand{Suspended: true},
			want:   renewal.Plan{Because: renewal.Missing},
		},
		"a suspended account is not due on request": {
			held:   fresh,
			demand: renewal.Demand{Suspended: true, Requested: true},
			want:   renewal.Plan{Because: renewal.Requested, Look: fresh.RenewAt},
		},
		"a suspended account is looked at when its token ends": {
			held:   scheduled,
			demand: renewal.Demand{Suspended: true},
			want:   renewal.Plan{Because: renewal.Scheduled, Look: scheduled.ExpiresAt},
		},
		"a suspended account whose token ended before its moment is looked at in that moment": {
			held:   renewal.Held{ExpiresAt: in(-time.Second), RenewAt: in(time.Second)},
			demand: renewal.Demand{Suspended: true},
			want:   renewal.Plan{Look: in(time.Second)},
		},
		"a suspended account whose token has ended is not looked at": {
			held:   expired,
			demand: renewal.Demand{Suspended: true},
			want:   renewal.Plan{Because: renewal.Scheduled},
		},
		"a refused account is never due": {
			demand: renewal.Demand{Refused: true},
			want:   renewal.Plan{Because: renewal.Missing},
		},
		"a refused account is not due on request": {
			held:   scheduled,
			demand: renewal.Demand{Refused: true, Requested: true},
			want:   renewal.Plan{Because: renewal.Requested, Look: scheduled.ExpiresAt},
		},
		"a refused account does not wake for its backoff": {
			held:   expired,
			demand: renewal.Demand{Refused: true, RetryAt: in(time.Minute), NotBefore: in(time.Minute)},
			want:   renewal.Plan{Because: renewal.Scheduled},
		},
		"a refused account is looked at when its token is due, and then when it ends": {
			held:   fresh,
			demand: renewal.Demand{Refused: true},
			want:   renewal.Plan{Look: fresh.RenewAt},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := renewal.Decide(test.held, test.demand, now)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestDecideNeverSpins tries every combination: what is not due names a moment ahead or none at all, so that an
// account cannot wake itself over and over, and one that is due names none.
func TestDecideNeverSpins(t *testing.T) {
	moments := []time.Time{never, in(-time.Hour), now, in(1), in(time.Minute), in(time.Hour)}
	flags := []bool{false, true}
	for _, expires := range moments {
		for _, renew := range moments {
			for _, retry := range moments {
				for _, notBefore := range moments {
					for bits := range 16 {
						held := renewal.Held{ExpiresAt: expires, RenewAt: renew, Changed: flags[bits&1]}
						demand := renewal.Demand{
							Requested: flags[bits>>1&1], Suspended: flags[bits>>2&1], Refused: flags[bits>>3&1],
							RetryAt: retry, NotBefore: notBefore,
						}
						plan := renewal.Decide(held, demand, now)
						switch {
						case plan.Due && (demand.Suspended || demand.Refused):
							t.Errorf("Decide(%+v, %+v) asks a marketplace that must not be asked", held, demand)
						case plan.Due && notBefore.After(now) && !demand.Requested:
							t.Errorf("Decide(%+v, %+v) does not wait as the marketplace demands", held, demand)
						case plan.Due && (!plan.Look.IsZero() || plan.Because == ""):
							t.Errorf("Decide(%+v, %+v) = %+v, want a reason and no other moment", held, demand, plan)
						case !plan.Look.IsZero() && !plan.Look.After(now):
							t.Errorf("Decide(%+v, %+v) = %+v, a look that is not ahead", held, demand, plan)
						case !plan.Due && plan.Look.IsZero() && !demand.Suspended && !demand.Refused:
							t.Errorf("Decide(%+v, %+v) = %+v, which sleeps for ever", held, demand, plan)
						}
					}
				}
			}
		}
	}
}

func TestEarliest(t *testing.T) {
	tests := map[string]struct {
		times []time.Time
		want  time.Time
	}{
		"of none is none":                 {},
		"of unset ones is none":           {times: []time.Time{never, never}},
		"of one is that one":              {times: []time.Time{in(time.Hour)}, want: in(time.Hour)},
		"of several is the first in time": {times: []time.Time{in(time.Hour), in(time.Minute), in(2 * time.Hour)}, want: in(time.Minute)},
		"does not count the unset":        {times: []time.Time{never, in(time.Hour), never, in(2 * time.Hour)}, want: in(time.Hour)},
		"may lie in the past":             {times: []time.Time{in(time.Hour), in(-time.Hour)}, want: in(-time.Hour)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := renewal.Earliest(test.times...); !got.Equal(test.want) {
				t.Errorf("Earliest(%v) = %v, want %v", test.times, got, test.want)
			}
		})
	}
}

func TestLatestAndAhead(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	before, after := now.Add(-time.Nanosecond), now.Add(time.Nanosecond)
	for _, test := range [][3]time.Time{{now, after, after}, {after, now, after}, {now, now, now}, {time.Time{}, now, now}} {
		if got := renewal.Latest(test[0], test[1]); !got.Equal(test[2]) {
			t.Errorf("the later of %v and %v is %v", test[0], test[1], got)
		}
	}
	for moment, want := range map[time.Time]time.Time{before: {}, now: {}, after: after} {
		if got := renewal.Ahead(moment, now); !got.Equal(want) {
			t.Errorf("Ahead(%v) = %v, want %v", moment, got, want)
		}
	}
}
