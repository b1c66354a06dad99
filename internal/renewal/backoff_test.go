package renewal_test

import (
	"math"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
)

func TestRetryAt(t *testing.T) {
	tests := map[string]struct {
		count  int32
		spread float64
		most   time.Duration
		want   time.Duration
	}{
		"the first failure waits 10 seconds":            {count: 1, want: 10 * time.Second},
		"each further one twice as long: the second":    {count: 2, want: 20 * time.Second},
		"each further one twice as long: the third":     {count: 3, want: 40 * time.Second},
		"each further one twice as long: the fourth":    {count: 4, want: 80 * time.Second},
		"each further one twice as long: the fifth":     {count: 5, want: 160 * time.Second},
		"each further one twice as long: the sixth":     {count: 6, want: 320 * time.Second},
		"from the seventh on it is 10 minutes":          {count: 7, want: 10 * time.Minute},
		"the hundredth is no longer":                    {count: 100, want: 10 * time.Minute},
		"nor is the last that can be counted":           {count: math.MaxInt32, want: 10 * time.Minute},
		"a count that was lost is a first failure":      {count: 0, want: 10 * time.Second},
		"so is one that makes no sense":                 {count: math.MinInt32, want: 10 * time.Second},
		"spread adds up to a fifth":                     {count: 7, spread: .999999, want: 12*time.Minute - time.Second},
		"half a spread adds a tenth":                    {count: 3, spread: .5, want: 44 * time.Second},
		"a fraction of a second does not count":         {count: 1, spread: .3, want: 10 * time.Second},
		"no longer than the token allows":               {count: 7, spread: .5, most: 150 * time.Second, want: 150 * time.Second},
		"a bound that is longer changes nothing":        {count: 2, most: time.Hour, want: 20 * time.Second},
		"a bound holds for the first failure as well":   {count: 1, most: 3300 * time.Millisecond, want: 3 * time.Second},
		"it is a second at least":                       {count: 1, most: time.Millisecond, want: time.Second},
		"a spread of next to nothing adds next to none": {count: 7, spread: 1e-9, want: 10 * time.Minute},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := renewal.RetryAt(now, test.count, test.spread, test.most).Sub(now); got != test.want {
				t.Errorf("RetryAt waits %v, want %v", got, test.want)
			}
		})
	}
}

func TestRetryAtNeverShrinks(t *testing.T) {
	for _, spread := range []float64{0, .25, .5, .75, .999} {
		before := now
		for count := int32(1); count < 50; count++ {
			at := renewal.RetryAt(now, count, spread, 0)
			if at.Before(before) {
				t.Errorf("failure %d with spread %v waits shorter than the one before", count, spread)
			}
			before = at
		}
	}
}

func TestBoundRetryAfter(t *testing.T) {
	tests := map[string]struct{ demanded, want time.Duration }{
		"a reasonable wait is obeyed": {90 * time.Second, 90 * time.Second},
		"nothing is no wait":          {0, 0},
		"a fraction is a second":      {time.Millisecond, time.Second},
		"nor is the past":             {-time.Hour, 0},
		"a day is obeyed":             {24 * time.Hour, renewal.LongestRetryAfter},
		"more is no wait":             {24*time.Hour + 1, 0},
		"nor is what overflowed":      {math.MaxInt64, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := renewal.BoundRetryAfter(test.demanded); got != test.want {
				t.Errorf("BoundRetryAfter(%v) = %v, want %v", test.demanded, got, test.want)
			}
		})
	}
}

func TestLongestWait(t *testing.T) {
	tests := map[string]struct{ life, from, want time.Duration }{
		"a quarter of what is left":                    {time.Hour, 44 * time.Minute, 4 * time.Minute},
		"of a long token it is long":                   {12 * time.Hour, 8 * time.Hour, time.Hour},
		"ten seconds when little is left":              {time.Hour, 59*time.Minute + 50*time.Second, 10 * time.Second},
		"a quarter of forty seconds is ten":            {time.Hour, 59*time.Minute + 20*time.Second, 10 * time.Second},
		"ten seconds when it has just ended":           {time.Hour, time.Hour, 10 * time.Second},
		"and for as long as it stays so":               {time.Hour, 30 * time.Hour, 10 * time.Second},
		"of a minute's life it is ten seconds as well": {time.Minute, 55 * time.Second, 10 * time.Second},
		"a shorter life makes it shorter":              {30 * time.Second, 28 * time.Second, 5 * time.Second},
		"of twenty seconds it is a third of ten":       {20 * time.Second, 12 * time.Second, 20 * time.Second / 6},
		"a life of nothing does not make it nothing":   {0, 0, time.Second / 6},
		"nor does one that ended before it began":      {-time.Hour, 0, time.Second / 6},
		"before the issue, the clock was set back":     {time.Hour, -3 * time.Hour, time.Hour},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := renewal.LongestWait(now, now.Add(test.life), now.Add(test.from)); got != test.want {
				t.Errorf("LongestWait is %v, want %v", got, test.want)
			}
		})
	}
}

// TestNoTokenEndsBetweenTwoAttempts plays outages of any length that end before a token does: with at least as much left as two attempts
// take, the last one comes in time, and after an outage that lasts longer it comes within ten seconds.
func TestNoTokenEndsBetweenTwoAttempts(t *testing.T) {
	for _, life := range []time.Duration{20 * time.Second, time.Minute, 5 * time.Minute, time.Hour, 12 * time.Hour} {
		least := min(10*time.Second, life/6)
		issued, expires := now, now.Add(life)
		for _, spread := range []float64{0, .3, .999} {
			begins := renewal.Policy{}.RenewAt(issued, expires, spread)
			for back := begins; back.Before(expires.Add(life)); back = back.Add(life/97 + time.Second) {
				at, count := begins, int32(0)
				for at.Before(back) { // nobody answers
					count++
					at = renewal.RetryAt(at, count, spread, renewal.LongestWait(issued, expires, at))
				}
				if late := at.Sub(back); at.After(expires) && late > least+time.Second {
					t.Errorf("life %v, spread %v, back %v before the end: tried %v later, with an expired token", life, spread, expires.Sub(back), late)
				}
			}
		}
	}
}

func TestAskAgainAt(t *testing.T) {
	for tries, want := range map[int32]time.Duration{
		math.MinInt32: 5 * time.Minute, -1: 5 * time.Minute, 0: 5 * time.Minute, 1: 10 * time.Minute, 2: 20 * time.Minute,
		3: 40 * time.Minute, 4: time.Hour, 5: time.Hour, math.MaxInt32: time.Hour,
	} {
		if got := renewal.AskAgainAt(now, tries).Sub(now); got != want {
			t.Errorf("after %d tries it is asked for again after %v, want %v", tries, got, want)
		}
	}
}
