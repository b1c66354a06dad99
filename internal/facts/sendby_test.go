package facts_test

import (
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
)

// A process that stood still after it had written down that it is about to send a token must not send it when another one has.
func TestATokenIsSentInTimeOrNot(t *testing.T) {
	noon := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		grace   time.Duration
		refused int
		want    time.Duration
	}{
		"no grace: the answer is stored before others send it":          {0, 0, 20 * time.Second},
		"no grace, with the other of two client secrets":                {0, 1, 50 * time.Second},
		"a grace shorter than a call is none":                           {20 * time.Second, 0, 20 * time.Second},
		"a minute: it arrives within the grace that another one begins": {time.Minute, 0, 10*time.Second + 24*time.Second},
		"a minute, with the other of two client secrets":                {time.Minute, 1, 10*time.Second + 24*time.Second},
		"as long as a call: before another one sends it":                {30 * time.Second, 0, 7500 * time.Millisecond},
		"an hour: there is time":                                        {time.Hour, 0, 10*time.Second + 54*time.Minute - 30*time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			f := facts.Facts{CallTimeout: 30 * time.Second, AttemptTimeout: 80 * time.Second}
			f.Request.Platform = &marketplace.Platform{Rotating: true, ReuseGrace: test.grace}
			if got := f.SendBy(&custody.Journal{LastAt: noon}, test.refused).Sub(noon); got != test.want {
				t.Errorf("it may be sent for %s, want %s", got, test.want)
			}
		})
	}
}
