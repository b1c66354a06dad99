package renewal_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
)

func TestRenewAt(t *testing.T) {
	const most = 1 - 1e-9 // the largest spread, about
	tests := map[string]struct {
		policy renewal.Policy
		life   time.Duration
		spread float64
		want   time.Duration // after the issue
	}{
		"without a policy it is 15 minutes before the end": {
			life: 12 * time.Hour, want: 12*time.Hour - 15*time.Minute,
		},
		"jitter adds up to half of that": {
			life: 12 * time.Hour, spread: most, want: 12*time.Hour - 22*time.Minute - 30*time.Second,
		},
		"jitter in the middle adds a quarter": {
			life: 12 * time.Hour, spread: .5, want: 12*time.Hour - 18*time.Minute - 45*time.Second,
		},
		"the policy says how early": {
			policy: renewal.Policy{Before: time.Hour}, life: 12 * time.Hour, want: 11 * time.Hour,
		},
		"a policy of zero or less means the default": {
			policy: renewal.Policy{Before: -time.Hour}, life: 12 * time.Hour, want: 12*time.Hour - 15*time.Minute,
		},
		"early is never more than a quarter of the life": {
			policy: renewal.Policy{Before: 11 * time.Hour}, life: 12 * time.Hour, want: 9 * time.Hour,
		},
		"and jitter leaves the first half alone": {
			policy: renewal.Policy{Before: 11 * time.Hour}, life: 12 * time.Hour, spread: 1, want: 6 * time.Hour,
		},
		"a short token is renewed after three quarters": {
			life: 5 * time.Minute, want: 225 * time.Second,
		},
		"or after half of its life": {
			life: 5 * time.Minute, spread: 1, want: 150 * time.Second,
		},
		"jitter is no more than half, of what is more than a quarter of the life": {
			policy: renewal.Policy{Before: 4 * time.Hour}, life: 12 * time.Hour, spread: 1, want: 7 * time.Hour,
		},
		"the platform's bound leaves room for the jitter": {
			policy: renewal.Policy{Before: time.Hour, MaxBefore: 15 * time.Minute}, life: 12 * time.Hour, want: 12*time.Hour - 10*time.Minute,
		},
		"the platform's bound holds against jitter": {
			policy: renewal.Policy{Before: 10 * time.Minute, MaxBefore: 12 * time.Minute}, life: 12 * time.Hour, spread: most,
			want: 12*time.Hour - 12*time.Minute,
		},
		"a bound beyond the policy changes nothing": {
			policy: renewal.Policy{Before: 10 * time.Minute, MaxBefore: time.Hour}, life: 12 * time.Hour, want: 12*time.Hour - 10*time.Minute,
		},
		"a token of seconds is kept for ten of them": {
			life: 12 * time.Second, want: 10 * time.Second,
		},
		"a token of a second is kept for ten all the same": {
			life: time.Second, want: 10 * time.Second,
		},
		"a token that has ended before it began is kept for ten seconds": {
			life: -time.Hour, want: 10 * time.Second,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := test.policy.RenewAt(now, now.Add(test.life), test.spread).Sub(now)
			if got != test.want {
				t.Errorf("renewed %v after the issue, want %v", got, test.want)
			}
		})
	}
}

func TestRenewAtIsAWholeSecond(t *testing.T) {
	at := renewal.Policy{Before: 20 * time.Minute}.RenewAt(now.Add(700*time.Millisecond), now.Add(12*time.Hour), .123456789)
	if at.Nanosecond() != 0 {
		t.Errorf("RenewAt is %v: the API stores whole seconds", at)
	}
}

// TestRenewAtStaysWithinBounds draws many tokens, policies and accounts. Times are whole seconds, as platforms and
// the API have them, but for the issue, which is a moment of our own clock.
func TestRenewAtStaysWithinBounds(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		issued := now.Add(time.Duration(random.Int64N(int64(time.Second))))
		life := time.Duration(31+random.Int64N(100_000)) * time.Second
		expires := issued.Add(life).Truncate(time.Second)
		policy := renewal.Policy{
			Before:    time.Duration(random.Int64N(100_000)) * time.Second,
			MaxBefore: time.Duration(random.Int64N(2)*random.Int64N(10_000)) * time.Second,
		}
		spread := random.Float64()
		at := policy.RenewAt(issued, expires, spread)
		say := fmt.Sprintf("%+v, life %v, spread %v", policy, life, spread)

		if half := issued.Add(expires.Sub(issued) / 2); at.Before(half.Truncate(time.Second)) {
			t.Fatalf("%s: renewed at %v, in the first half of its life", say, at.Sub(issued))
		}
		if !at.Before(expires) {
			t.Fatalf("%s: renewed %v after its end", say, at.Sub(expires))
		}
		if policy.MaxBefore > 0 && expires.Sub(at) > policy.MaxBefore {
			t.Fatalf("%s: renewed %v early, the platform refuses", say, expires.Sub(at))
		}
		if early := expires.Sub(at); policy.Before > 0 && early > policy.Before*3/2+time.Second {
			t.Fatalf("%s: renewed %v early, jitter is at most half", say, early)
		}
		if least := min(policy.Before, expires.Sub(issued)/4); policy.Before > 0 && policy.MaxBefore == 0 && expires.Sub(at) < least {
			t.Fatalf("%s: renewed %v early, want %v at least", say, expires.Sub(at), least)
		}
		if again := policy.RenewAt(issued, expires, spread); !again.Equal(at) {
			t.Fatalf("%s: drawn twice, %v and %v", say, at, again)
		}
	}
}

func TestSpreadDependsOnTheUIDAlone(t *testing.T) {
	const uid = "0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0"
	if a, b := renewal.Spread(uid), renewal.Spread(uid); a != b {
		t.Errorf("Spread(%q) = %v and then %v", uid, a, b)
	}
	if a, b := renewal.Spread(uid), renewal.Spread(uid[:len(uid)-1]+"1"); a == b {
		t.Errorf("two UIDs have the spread %v", a)
	}
}

// TestSpreadIsUniform looks at UIDs as the API server makes them, and at the worst there could be: consecutive ones.
// The bound is the value that the chi-squared distribution with 99 degrees of freedom exceeds once in 100,000 times.
func TestSpreadIsUniform(t *testing.T) {
	const accounts, buckets, bound = 10_000, 100, 172.0
	random := rand.New(rand.NewPCG(3, 4))
	tests := map[string]func(i int) string{
		"random UIDs": func(int) string {
			return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", random.Uint32(), random.Uint32()&0xffff, random.Uint32()&0xfff,
				random.Uint32()&0x3fff|0x8000, random.Uint64()&0xffffffffffff)
		},
		"consecutive UIDs": func(i int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012d", i) },
		"short names":      func(i int) string { return fmt.Sprint(i) },
	}
	for name, uid := range tests {
		t.Run(name, func(t *testing.T) {
			var counts [buckets]int
			for i := range accounts {
				spread := renewal.Spread(uid(i))
				if spread < 0 || spread >= 1 {
					t.Fatalf("Spread(%q) = %v, want 0 to 1", uid(i), spread)
				}
				counts[int(spread*buckets)]++
			}
			chi := 0.0
			for _, n := range counts {
				const expected = float64(accounts) / buckets
				chi += (float64(n) - expected) * (float64(n) - expected) / expected
			}
			if chi > bound {
				t.Errorf("chi-squared over %d accounts in %d buckets is %.1f, want at most %.1f", accounts, buckets, chi, bound)
			}
		})
	}
}
