package controller

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/driver"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
	"github.com/tokenkeeper/tokenkeeper/internal/throttle"
	"github.com/tokenkeeper/tokenkeeper/internal/watches"
)

func TestRank(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	created, due := now.Add(-time.Hour), now.Add(-time.Minute)
	end := now.Add(time.Hour)
	urgent := throttle.Priority{Class: throttle.Urgent, Due: created}
	tokens := func(v *facts.Facts) {
		v.Custody.Tokens = &custody.Tokens{IssuedAt: created, RenewAt: due, ExpiresAt: end}
	}
	ends := func(in time.Duration) func(*facts.Facts) {
		return func(v *facts.Facts) { v.Custody.Tokens.ExpiresAt = now.Add(in) }
	}
	ending := func(in time.Duration) throttle.Priority {
		return throttle.Priority{Class: throttle.Ending, Due: now.Add(in)}
	}
	short := func(v *facts.Facts) { v.Custody.Tokens.IssuedAt = now.Add(-80 * time.Second) }
	waits := func(v *facts.Facts) {
		v.Deferred = map[string]time.Time{v1alpha1.AnnotationRenew: now.Add(time.Minute)}
	}
	asked := urgent
	asked.Asked = true
	askedEnding := ending(time.Minute)
	askedEnding.Asked = true
	failed := func(v *facts.Facts) {
		v.Account.Status.LastFailure = &v1alpha1.FailureStatus{Time: metav1.NewTime(due), Reason: v1alpha1.ReasonMarketplaceUnavailable, Count: 1}
	}
	requested := func(v *facts.Facts) {
		metav1.SetMetaDataAnnotation(&v.Account.ObjectMeta, v1alpha1.AnnotationRenew, "now")
	}
	edited := func(v *facts.Facts) { v.Edited = true }
	for name, test := range map[string]struct {
		is   []func(*facts.Facts)
		want throttle.Priority
	}{
		"a new account":                     {nil, urgent},
		"one that falls due":                {[]func(*facts.Facts){tokens}, throttle.Priority{Class: throttle.Scheduled, Due: due}},
		"one that somebody asks for":        {[]func(*facts.Facts){tokens, requested}, asked},
		"one that has no more requests":     {[]func(*facts.Facts){tokens, requested, waits}, throttle.Priority{Class: throttle.Scheduled, Due: due}},
		"one whose token is about to end":   {[]func(*facts.Facts){tokens, ends(2 * time.Minute)}, ending(2 * time.Minute)},
		"a second before that":              {[]func(*facts.Facts){tokens, ends(2*time.Minute + time.Second)}, throttle.Priority{Class: throttle.Scheduled, Due: due}},
		"one whose token has ended":         {[]func(*facts.Facts){tokens, failed, ends(-time.Hour)}, ending(-time.Hour)},
		"one that ends and was edited":      {[]func(*facts.Facts){tokens, edited, ends(time.Minute)}, ending(time.Minute)},
		"one that ends and is asked for":    {[]func(*facts.Facts){tokens, requested, ends(time.Minute)}, askedEnding},
		"a short token with a third left":   {[]func(*facts.Facts){tokens, short, ends(40 * time.Second)}, throttle.Priority{Class: throttle.Scheduled, Due: due}},
		"a short token with a fifth left":   {[]func(*facts.Facts){tokens, short, ends(20 * time.Second)}, ending(20 * time.Second)},
		"one that was edited":               {[]func(*facts.Facts){tokens, edited}, urgent},
		"a new one that failed":             {[]func(*facts.Facts){failed}, throttle.Priority{Class: throttle.Scheduled}},
		"one that failed and is asked for":  {[]func(*facts.Facts){tokens, failed, requested}, asked},
		"one that failed and was edited":    {[]func(*facts.Facts){tokens, failed, edited}, urgent},
		"one that failed, and nothing else": {[]func(*facts.Facts){tokens, failed}, throttle.Priority{Class: throttle.Scheduled}},
	} {
		t.Run(name, func(t *testing.T) {
			v := facts.Facts{Now: now, Account: &v1alpha1.MarketplaceAccount{
				ObjectMeta: metav1.ObjectMeta{Generation: 1, CreationTimestamp: metav1.NewTime(created)},
				Status:     v1alpha1.MarketplaceAccountStatus{ObservedGeneration: 1},
			}}
			for _, is := range test.is {
				is(&v)
			}
			if test.want.Due.IsZero() {
				test.want.Due = v.RetryAt()
			}
			if v.Custody.Tokens != nil {
				test.want.Patience = renewal.LongestWait(v.Custody.Tokens.IssuedAt, v.Custody.Tokens.ExpiresAt, now)
			}
			if got := priorityOf(v); got != test.want || got.Due.IsZero() {
				t.Errorf("the priority is %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestWhenAWaitThatTheMarketplaceDemandsEnds(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	at := func(minutes float64) time.Time { return now.Add(time.Duration(minutes * float64(time.Minute))) }
	for name, test := range map[string]struct {
		issued, ends, demanded, until, want float64 // minutes from now
	}{
		"it is obeyed while the token lives longer":            {-40, 20, 0, 10, 10},
		"a token that ends within it interrupts it":            {-40, 20, 0, 60, 18},
		"so it does after a day's life":                        {-1430, 10, 0, 600, 8},
		"a wait that ends in the last two minutes is obeyed":   {-40, 20, 0, 17, 17},
		"a short token interrupts it later":                    {-2, 2, 0, 60, 1},
		"a wait that begins in the last minutes: halfway":      {-59, 1, 0, 60, .5},
		"the interruption was answered with another wait":      {-59, 1.5, -.5, 60, .5},
		"a token that had ended interrupts nothing":            {-70, -10, 0, 60, 60},
		"nor does one that ended in the very moment":           {-60, 0, 0, 60, 60},
		"a wait of a custody from before says no beginning":    {-40, 20, -1e6, 60, 18},
		"more than a day ahead: the clock was set back":        {-40, 20, 0, 1441, 18},
		"more than a day ahead, and the token ends much later": {-40, 2000, 0, 1441, -1},
	} {
		t.Run(name, func(t *testing.T) {
			v := facts.Facts{Now: now, Account: &v1alpha1.MarketplaceAccount{}}
			v.Custody.Tokens = &custody.Tokens{IssuedAt: at(test.issued), ExpiresAt: at(test.ends)}
			v.Custody.NotBefore, v.Custody.DemandedAt = at(test.until), at(test.demanded)
			want := at(test.want)
			if test.until > 1440 {
				want = time.Time{}
			}
			if got := v.NotBefore(); !got.Equal(want) {
				t.Errorf("it ends at %v, want %v", got, want)
			}
		})
	}
}

// TestTheLimiterIsTheOnlyTrouble tells whether a status that says so may wait: not where the account has been told more itself.
func TestTheLimiterIsTheOnlyTrouble(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	failed := func(l *driver.Look) {
		l.Account.Status.LastFailure = &v1alpha1.FailureStatus{Time: metav1.NewTime(now), Reason: v1alpha1.ReasonMarketplaceUnavailable, Count: 1}
	}
	wrong := func(l *driver.Look) { *l = l.Failing(&facts.Failure{Reason: v1alpha1.ReasonInvalidSpec}) }
	for name, test := range map[string]struct {
		change func(*driver.Look)
		cause  throttle.Cause
		closed bool
		reason string // empty where nothing is wrong
	}{
		"nobody answers":                {nil, throttle.NoAnswer, true, v1alpha1.ReasonMarketplaceUnavailable},
		"the marketplace is left alone": {nil, throttle.LeftAlone, true, v1alpha1.ReasonRateLimited},
		"it waits for its turn":         {nil, throttle.Turn, false, ""},
		"it was told itself":            {failed, throttle.NoAnswer, false, ""},
		"another failure is known":      {wrong, throttle.NoAnswer, false, v1alpha1.ReasonInvalidSpec},
	} {
		t.Run(name, func(t *testing.T) {
			l := driver.Look{Facts: facts.Facts{
				Account: &v1alpha1.MarketplaceAccount{}, Now: now, Request: facts.Request{Platform: &marketplace.Platform{DisplayName: "eBay"}},
			}}
			if test.change != nil {
				test.change(&l)
			}
			l = l.With(whyWaiting(l.Facts, throttle.Wait{Cause: test.cause}))
			reason := ""
			if l.Failure != nil {
				reason = l.Failure.Reason
			}
			if l.LimiterClosed != test.closed || reason != test.reason {
				t.Errorf("closed %v for %q, want %v for %q", l.LimiterClosed, reason, test.closed, test.reason)
			}
		})
	}
}

// TestPlannedLooksAreScheduled: where a look ends, it says when the next one is, and how pressing that will be.
func TestPlannedLooksAreScheduled(t *testing.T) {
	if result := after(time.Time{}, time.Time{}.Add(time.Minute)); result.Priority == nil || *result.Priority != watches.PriorityScheduled {
		t.Errorf("a look that is planned has the priority %v, want %d", result.Priority, watches.PriorityScheduled)
	}
}
