package renewal_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
)

const day = 24 * time.Hour

func TestDays(t *testing.T) {
	tests := map[string]struct {
		left time.Duration
		want int32
	}{
		"six days to the second are six":    {6 * day, 6},
		"a second more is seven":            {6*day + time.Second, 7},
		"a second less is six":              {6*day - time.Second, 6},
		"five days and a half are six":      {5*day + 12*time.Hour, 6},
		"a day to the second is one":        {day, 1},
		"the last day is one":               {5 * time.Hour, 1},
		"the last moment is one":            {1, 1},
		"the end is none":                   {0, 0},
		"a long time after it is none":      {-400 * day, 0},
		"eBay's 547.5 days are 548":         {47_304_000 * time.Second, 548},
		"a hundred years are counted whole": {36_525 * day, 36_525},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := renewal.Days(now.Add(test.left), now); got != test.want {
				t.Errorf("Days with %v left = %d, want %d", test.left, got, test.want)
			}
		})
	}
}

func TestDaysOfDatesFarAwayAreCapped(t *testing.T) {
	end := time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC)
	tests := map[string]struct {
		end  time.Time
		want int32
		next time.Time
	}{
		"the end of the year 9999 is how people write never": {end, renewal.MaxDays, end.Add(-(renewal.MaxDays - 1) * day)},
		"a moment that no Duration reaches":                  {time.Date(290_000, 1, 1, 0, 0, 0, 0, time.UTC), renewal.MaxDays, time.Date(290_000, 1, 1, 0, 0, 0, 0, time.UTC).Add(-(renewal.MaxDays - 1) * day)},
		"the cap to the second":                              {now.Add(renewal.MaxDays * day), renewal.MaxDays, now.Add(day)},
		"a second more than the cap":                         {now.Add(renewal.MaxDays*day + time.Second), renewal.MaxDays, now.Add(day + time.Second)},
		"a day less than the cap":                            {now.Add((renewal.MaxDays - 1) * day), renewal.MaxDays - 1, now.Add(day)},
		"a date before Christ":                               {time.Date(-44, 3, 15, 0, 0, 0, 0, time.UTC), 0, time.Time{}},
		"the zero time":                                      {time.Time{}, 0, time.Time{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := renewal.Days(test.end, now); got != test.want {
				t.Errorf("Days = %d, want %d", got, test.want)
			}
			if got := renewal.NextDay(test.end, now); !got.Equal(test.next) {
				t.Errorf("NextDay = %v, want %v", got, test.next)
			}
		})
	}
}

func TestTimesThatCannotBeWrittenBecomeTheNearestThatCan(t *testing.T) {
	last := time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC)
	tests := map[string]struct{ at, want time.Time }{
		"today":                              {now, now},
		"the last second of the year 9999":   {last, last},
		"the first of the year 9999":         {last.AddDate(-1, 0, 1), last.AddDate(-1, 0, 1)},
		"the year 10000":                     {last.Add(time.Second), last},
		"the year 9999 west of Greenwich":    {time.Date(9999, 12, 31, 23, 0, 0, 0, time.FixedZone("", -10*3600)), last},
		"the year 0":                         {time.Date(0, 5, 1, 0, 0, 0, 0, time.UTC), time.Date(0, 5, 1, 0, 0, 0, 0, time.UTC)},
		"the year before, east of Greenwich": {time.Date(0, 1, 1, 0, 0, 0, 0, time.FixedZone("", 3600)), time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := renewal.Representable(test.at)
			if !got.Equal(test.want) {
				t.Errorf("Representable = %v, want %v", got, test.want)
			}
			if _, err := got.MarshalJSON(); err != nil {
				t.Errorf("it cannot be stored: %v", err)
			}
		})
	}
	end := renewal.AuthorizationEnd(time.Time{}, last, now, 365*day, false)
	if !end.Equal(last) {
		t.Errorf("an authorization that was granted in the year 9999 ends at %v, want %v", end, last)
	}
}

func TestNextDay(t *testing.T) {
	tests := map[string]struct {
		left, want time.Duration // want is from now; zero means no moment at all
	}{
		"in the middle of a day it is the end of that day": {2*day + 12*time.Hour, 12 * time.Hour},
		"on the dot it is a day later":                     {2 * day, day},
		"a second before, it is that second":               {2*day + time.Second, time.Second},
		"on the last day it is the end":                    {5 * time.Hour, 5 * time.Hour},
		"a day to the second is the last":                  {day, day},
		"at the end there is none":                         {0, 0},
		"after the end there is none":                      {-time.Hour, 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var want time.Time
			if test.want != 0 {
				want = now.Add(test.want)
			}
			if got := renewal.NextDay(now.Add(test.left), now); !got.Equal(want) {
				t.Errorf("NextDay with %v left = %v, want %v", test.left, got, want)
			}
		})
	}
}

// TestSteppingByNextDayMissesNothing walks from each of many moments to the end. Each step changes the number of
// days, and nothing changes between two.
func TestSteppingByNextDayMissesNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 1000 {
		at := now.Add(time.Duration(random.Int64N(int64(day))))
		end := now.Add(time.Duration(random.Int64N(int64(20 * day))))
		for steps := 0; ; steps++ {
			days, next := renewal.Days(end, at), renewal.NextDay(end, at)
			if next.IsZero() {
				break
			}
			switch {
			case steps > 21:
				t.Fatalf("from %v to %v there is no end of steps", at, end)
			case !next.After(at):
				t.Fatalf("with %v left, the next step is %v away", end.Sub(at), next.Sub(at))
			case renewal.Days(end, next) == days:
				t.Fatalf("with %v left, a step leaves %d days as they were", end.Sub(at), days)
			case renewal.Days(end, next.Add(-1)) != days:
				t.Fatalf("with %v left, %d days change before the step", end.Sub(at), days)
			}
			at = next
		}
		if at.Before(end) {
			t.Fatalf("the steps end %v too early", end.Sub(at))
		}
	}
}

func TestAuthorizationEnd(t *testing.T) {
	told, granted, renewed := now.Add(30*day), now.Add(-90*day), now.Add(-day)
	tests := map[string]struct {
		told     time.Time
		lifetime time.Duration
		sliding  bool
		want     time.Time
	}{
		"what the marketplace tells wins":                   {told: told, lifetime: 365 * day, want: told},
		"it wins over a sliding lifetime too":               {told: told, lifetime: 365 * day, sliding: true, want: told},
		"it counts without a lifetime":                      {told: told, want: told},
		"a fixed lifetime counts from the consent":          {lifetime: 365 * day, want: granted.Add(365 * day)},
		"a sliding lifetime counts from the last renewal":   {lifetime: 90 * day, sliding: true, want: renewed.Add(90 * day)},
		"without a lifetime nothing ends":                   {},
		"without a lifetime nothing ends, sliding or not":   {sliding: true},
		"a lifetime that makes no sense is as good as none": {lifetime: -time.Hour},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := renewal.AuthorizationEnd(test.told, granted, renewed, test.lifetime, test.sliding)
			if !got.Equal(test.want) {
				t.Errorf("the authorization ends at %v, want %v", got, test.want)
			}
		})
	}
}
