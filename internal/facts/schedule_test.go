package facts

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
)

// life has the token at hand live for so long, and end so long from now.
func life(whole, left time.Duration) change {
	return func(f *Facts) {
		f.Custody.Tokens.ExpiresAt = f.Now.Add(left)
		f.Custody.Tokens.IssuedAt = f.Custody.Tokens.ExpiresAt.Add(-whole)
		f.Custody.Tokens.RenewAt = f.Custody.Tokens.IssuedAt.Add(whole * 3 / 4)
	}
}

func noTokens(f *Facts) { f.Custody.Tokens = nil }

func failed(ago time.Duration, count int32) change {
	return func(f *Facts) {
		f.Account.Status.LastFailure = &v1alpha1.FailureStatus{Reason: v1alpha1.ReasonMarketplaceUnavailable, Time: metav1.NewTime(f.Now.Add(-ago)), Count: count}
	}
}

func TestWhetherTokensAreDue(t *testing.T) {
	due := func(f *Facts) bool { return f.Plan().Due }
	holds(t, due, rows{
		"tokens that were just renewed":               {working(importing), false},
		"tokens whose time to be renewed has come":    {working(importing, life(12*time.Hour, time.Hour)), true},
		"tokens whose time has come, while suspended": {working(importing, life(12*time.Hour, time.Hour), suspended), false},
		"no tokens":              {working(importing, noTokens), true},
		"tokens of another spec": {working(importing, func(f *Facts) { f.Request.Key = "other key" }), true},
		"tokens that the marketplace was seen to refuse": {working(importing, func(f *Facts) { f.TokenRefused = true }), true},
		"tokens that somebody wants renewed":             {working(importing, asked(v1alpha1.AnnotationRenew)), true},
		"tokens beside a failure whose wait is over":     {working(importing, failed(time.Hour/2, 1)), true},
		"tokens beside a failure of a moment ago":        {working(importing, failed(time.Second, 1)), false},
		"a failure of a moment ago, and an edit since":   {working(importing, failed(time.Second, 1), func(f *Facts) { f.Edited = true }), true},
		"a failure of a moment ago, and a request":       {working(importing, failed(time.Second, 1), asked(v1alpha1.AnnotationRenew)), true},
		"tokens beside a refusal that was cured":         {working(importing, refused(v1alpha1.ReasonGrantRejected), newRefreshToken), true},
		"tokens beside a refusal that stands":            {working(importing, refused(v1alpha1.ReasonGrantRejected)), false},
		"a login whose attempt a moment ago was lost":    {working(byLogin, noTokens, doubted(60)), false},
		"a login that its Secret asks to try again":      {working(byLogin, noTokens, failed(time.Second, 5), doubted(60), loginRetried), true},
	})
	f := working(importing)
	if plan := f.Plan(); !plan.Look.Equal(f.Custody.Tokens.RenewAt) {
		t.Errorf("the next look is at %s, and its tokens are due at %s", plan.Look, f.Custody.Tokens.RenewAt)
	}
}

// told is a status that speaks of a token of an hour with so much left.
func told(left time.Duration) change {
	return func(f *Facts) {
		expires := f.Now.Add(left)
		f.Account.Status.AccessToken = &v1alpha1.AccessTokenStatus{
			Serial: 1, IssuedTime: metav1.NewTime(expires.Add(-time.Hour)), ExpirationTime: metav1.NewTime(expires),
		}
	}
}

// TestTheWaitAfterAFailure never takes more than a quarter of what is left of the token (cases C22).
func TestTheWaitAfterAFailure(t *testing.T) {
	for name, test := range map[string]struct {
		facts       Facts
		least, most time.Duration // from the failure on
	}{
		"ten seconds and up to a fifth more":                              {working(importing, failed(0, 1)), 10 * time.Second, 12 * time.Second},
		"ten minutes after many":                                          {working(importing, failed(0, 20)), 10 * time.Minute, 12 * time.Minute},
		"a quarter of four minutes":                                       {working(importing, life(time.Hour, 4*time.Minute), failed(0, 20)), time.Minute, time.Minute},
		"ten seconds once the token has expired":                          {working(importing, life(time.Hour, -time.Minute), failed(0, 20)), 10 * time.Second, 10 * time.Second},
		"as long as it takes without a token":                             {working(importing, noTokens, failed(0, 20)), 10 * time.Minute, 12 * time.Minute},
		"ten seconds where the clock was set back behind the token":       {working(importing, life(time.Hour, 21*time.Hour), told(21*time.Hour), failed(0, 1)), 10 * time.Second, 12 * time.Second},
		"a quarter of four minutes of a token whose grant Secret is lost": {working(importing, noTokens, told(4*time.Minute), failed(0, 20)), time.Minute, time.Minute},
		"ten seconds once that has expired":                               {working(importing, noTokens, told(-time.Minute), failed(0, 20)), 10 * time.Second, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.facts.RetryAt().Sub(morning); got < test.least || got > test.most {
				t.Errorf("it is tried again after %s, want %s to %s", got, test.least, test.most)
			}
		})
	}
	setBack := working(importing, failed(-time.Hour, 1))
	if got := setBack.RetryAt(); !got.IsZero() {
		t.Errorf("after a failure that lies ahead, since the clock was set back, it waits until %s: a wait from now on would begin anew at each look", got)
	}
	for name, test := range map[string]struct {
		facts Facts
		want  time.Duration
	}{
		"a wait without a token":             {working(importing, noTokens), time.Hour},
		"a wait that the token allows":       {working(importing, life(12*time.Hour, 11*time.Hour)), time.Hour},
		"a wait that is too long for it":     {working(importing, life(time.Hour, 40*time.Minute)), 10 * time.Minute},
		"a wait where the token has expired": {working(importing, life(time.Hour, -time.Minute)), 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.facts.SoonEnough(time.Hour); got != test.want {
				t.Errorf("it is %s, want %s", got, test.want)
			}
		})
	}
}

// TestAWaitThatTheMarketplaceDemands is obeyed, but interrupted once where a token is about to end (cases C14).
func TestAWaitThatTheMarketplaceDemands(t *testing.T) {
	demanded := func(wait, ago time.Duration) change {
		return func(f *Facts) {
			f.Custody.DemandedAt = f.Now.Add(-ago)
			f.Custody.NotBefore = f.Custody.DemandedAt.Add(wait)
		}
	}
	for name, test := range map[string]struct {
		facts Facts
		want  time.Duration // from now; a day ago means none
	}{
		"none":             {working(importing), -24 * time.Hour},
		"as long as it is": {working(importing, demanded(time.Hour, time.Minute)), 59 * time.Minute},
		"a day":            {working(importing, noTokens, demanded(24*time.Hour, 0)), 24 * time.Hour},
		"more than a day, as the clock was set back":     {working(importing, noTokens, demanded(24*time.Hour, -time.Second)), -24 * time.Hour},
		"a moment that lies ahead of the clock":          {working(importing, noTokens, demanded(time.Hour, -20*time.Hour)), -24 * time.Hour},
		"interrupted two minutes before the token ends":  {working(importing, life(time.Hour, 40*time.Minute), demanded(time.Hour, 0)), 38 * time.Minute},
		"interrupted a quarter before a short life ends": {working(importing, life(4*time.Minute, 3*time.Minute), demanded(time.Hour, 0)), 2 * time.Minute},
		"interrupted halfway where it begins in these":   {working(importing, life(time.Hour, time.Minute), demanded(time.Hour, 0)), 30 * time.Second},
		"not interrupted where the token had ended":      {working(importing, life(time.Hour, -time.Minute), demanded(time.Hour, 0)), time.Hour},
		"not interrupted where it ended at that moment":  {working(importing, life(time.Hour, 0), demanded(time.Hour, 0)), time.Hour},
		"not interrupted without a token":                {working(importing, noTokens, demanded(time.Hour, 0)), time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			got, want := test.facts.DemandedUntil(), morning.Add(test.want)
			if test.want < 0 {
				want = time.Time{}
			}
			if !got.Equal(want) {
				t.Errorf("it ends at %s, want %s", got, want)
			}
		})
	}
}

// TestHowLongAnotherProcessIsWaitedFor: it may be storing the answer to the token that is to be sent.
func TestHowLongAnotherProcessIsWaitedFor(t *testing.T) {
	sent := func(holder string, ago time.Duration, changes ...change) Facts {
		return working(importing, all(append([]change{func(f *Facts) {
			f.Custody.Journal = &custody.Journal{StartedAt: morning.Add(-ago), LastAt: morning.Add(-ago), Holder: holder, Attempts: 1}
		}}, changes...)...))
	}
	grace := func(grace time.Duration) change { return func(f *Facts) { f.Request.Platform.ReuseGrace = grace } }
	for name, test := range map[string]struct {
		facts Facts
		want  time.Duration // from now; zero means not at all
	}{
		"nothing was sent":       {working(importing), 0},
		"this process sent it":   {sent("me", time.Second), 0},
		"an attempt and a store": {sent("other", time.Second), 79 * time.Second},
		"it had its time":        {sent("other", 80*time.Second), 0},
		"it gave up":             {sent("other", time.Second, func(f *Facts) { f.Custody.Journal.Lost = true }), 0},
		"it sent it in the future, by a clock of before":   {sent("other", -time.Second), 0},
		"a platform whose refresh tokens work twice":       {sent("other", time.Second, static), 0},
		"ten seconds where a spent token works a minute":   {sent("other", time.Second, grace(time.Minute)), 9 * time.Second},
		"a quarter of a shorter grace":                     {sent("other", time.Second, grace(36*time.Second)), 8 * time.Second},
		"an attempt, where the grace is shorter than that": {sent("other", time.Second, grace(20*time.Second)), 79 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			want := time.Time{}
			if test.want > 0 {
				want = morning.Add(test.want)
			}
			if got := test.facts.OtherProcessUntil(); !got.Equal(want) {
				t.Errorf("until %s, want %s", got, want)
			}
		})
	}
}

func TestHowEarlyTokensAreRenewed(t *testing.T) {
	f := working(importing, func(f *Facts) { f.Request.Platform.RenewBefore, f.Request.Platform.MaxBefore = time.Hour, 2*time.Hour })
	if got := f.Policy(); got != (renewal.Policy{Before: time.Hour, MaxBefore: 2 * time.Hour}) {
		t.Errorf("as the platform says: %+v", got)
	}
	f.Account.Spec.Renewal.Before = v1alpha1.DurationOf(5 * time.Minute)
	if got := f.Policy(); got.Before != 5*time.Minute {
		t.Errorf("as the account says: %+v", got)
	}
}
