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
		"a spread of next to nothing adds next to none": {count: 7, spread: 1e-9, want: 10 * time.Minute},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := renewal.RetryAt(now, test.count, test.spread).Sub(now); got != test.want {
				t.Errorf("RetryAt waits %v, want %v", got, test.want)
			}
		})
	}
}

func TestRetryAtNeverShrinks(t *testing.T) {
	for _, spread := range []float64{0, .25, .5, .75, .999} {
		before := now
		for count := int32(1); count < 50; count++ {
			at := renewal.RetryAt(now, count, spread)
			if at.Before(before) {
				t.Errorf("failure %d with spread %v waits shorter than the one before", count, spread)
			}
			before = at
		}
	}
}

func TestBoundRetryAfter(t *testing.T) {
	tests := map[string]struct{ demanded, want time.Duration }{
		"a reasonable wait is obeyed":  {90 * time.Second, 90 * time.Second},
		"nothing is a second":          {0, time.Second},
		"a fraction is a second":       {time.Millisecond, time.Second},
		"the past is a second":         {-time.Hour, time.Second},
		"a day is obeyed":              {24 * time.Hour, renewal.LongestRetryAfter},
		"more is a day":                {25 * time.Hour, 24 * time.Hour},
		"what overflowed is a day too": {math.MaxInt64, 24 * time.Hour},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := renewal.BoundRetryAfter(test.demanded); got != test.want {
				t.Errorf("BoundRetryAfter(%v) = %v, want %v", test.demanded, got, test.want)
			}
		})
	}
}
