package chaos_test

import (
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// figures are the results of random kills.
type figures struct {
	kills, idle, portalKills             int
	calls, renewals, strictRenewals      int
	doubleSpends, graceReuses, abandoned int
	notReady                             int
	windowKills, losses                  int
	saved, recovered, lastResorts        int
	lostUnsent, lostSent                 int
	lostCommitted, lostAnswered          int
	windows                              []window
}

// allFigures are the figures of all shards.
type allFigures struct {
	mu sync.Mutex
	figures
}

var figuresOfAll allFigures

func (f *allFigures) add(other *figures) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for to, from := range map[*int]int{
		&f.kills: other.kills, &f.idle: other.idle, &f.portalKills: other.portalKills, &f.calls: other.calls, &f.renewals: other.renewals,
		&f.strictRenewals: other.strictRenewals, &f.doubleSpends: other.doubleSpends, &f.graceReuses: other.graceReuses,
		&f.abandoned: other.abandoned, &f.notReady: other.notReady, &f.windowKills: other.windowKills, &f.losses: other.losses, &f.saved: other.saved,
		&f.lostUnsent: other.lostUnsent, &f.lostSent: other.lostSent, &f.lostAnswered: other.lostAnswered,
		&f.lostCommitted: other.lostCommitted, &f.recovered: other.recovered, &f.lastResorts: other.lastResorts,
	} {
		*to += from
	}
	f.windows = append(f.windows, other.windows...)
}

// print writes the report; nothing when there was no random kill.
func (f *allFigures) print(out io.Writer) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.kills == 0 {
		return nil
	}
	var toWrite, toStore []time.Duration
	for _, w := range f.windows {
		toWrite, toStore = append(toWrite, w.toWrite), append(toStore, w.toStore)
	}
	_, err := fmt.Fprintf(out, `killed at random
  kills                                  %d (%d of an operator with nothing to do), and %d of portals apart
  answers with tokens                    %d of %d token requests
  refresh tokens spent twice, no grace   %d, of %d last resorts
  the same within the grace              %d
  pairs whose answer nobody took         %d
  accounts not in order in the end       %d, of those that get over everything
a strict platform without grace, beside them
  answers with tokens                    %d
  kills with a renewal on record there   %d
  accounts lost                          %d: %d not sent yet, %d sent without effect, %d committed and lost, %d answered
  accounts not lost                      %d, %d of them not sent yet or without effect
  per kill                               %s
  per renewal                            %s
the only copy of a pair is in memory, over %d renewals that were not killed
  until the write that stores it leaves  p50 %s, p99 %s
  until the API server has it            p50 %s, p99 %s, longest %s
`,
		f.kills, f.idle, f.portalKills, f.renewals, f.calls, f.doubleSpends, f.lastResorts, f.graceReuses, f.abandoned, f.notReady,
		f.strictRenewals, f.windowKills, f.losses, f.lostUnsent, f.lostSent, f.lostCommitted, f.lostAnswered, f.saved, f.recovered,
		rate(f.losses, f.kills), rate(f.losses, f.strictRenewals),
		len(f.windows), quantile(toWrite, .5), quantile(toWrite, .99),
		quantile(toStore, .5), quantile(toStore, .99), quantile(toStore, 1))
	return err
}

func rate(part, whole int) string {
	if whole == 0 {
		return "none"
	}
	return fmt.Sprintf("%.2f %%", 100*float64(part)/float64(whole))
}

func quantile(of []time.Duration, q float64) time.Duration {
	if len(of) == 0 {
		return 0
	}
	slices.Sort(of)
	return of[min(int(q*float64(len(of))), len(of)-1)].Round(10 * time.Microsecond)
}
