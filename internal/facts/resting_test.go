package facts

import (
	"strings"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
)

// TestWhatIsToldOfATokenThatRests: why it is not sent, when it is, and what a person can do meanwhile.
func TestWhatIsToldOfATokenThatRests(t *testing.T) {
	resorts := func(n int) change { return func(f *Facts) { f.Custody.Journal.LastResorts = n } }
	for name, test := range map[string]struct {
		facts Facts
		want  string // behind what is the same for all
	}{
		"at first": {working(importing, resting),
			"It rests until 2026-03-02 19:57:00 UTC and is then sent again as a last resort, unless before that a new one is supplied"},
		"at first, of a sign-in": {working(signsIn, resting),
			"It rests until 2026-03-02 19:57:00 UTC and is then sent again as a last resort, unless before that a person signs in again"},
		"after one last resort": {working(importing, resting, resorts(1)),
			"It was sent again once, without an answer that says more; next attempt not before 2026-03-02 09:00:30 UTC, unless before that a new one is supplied"},
		"after two": {working(importing, resting, resorts(2)),
			"It was sent again 2 times, without an answer that says more; next attempt not before 2026-03-02 09:02:00 UTC, unless before that a new one is supplied"},
		"where it is never sent": {working(importing, resting, resorts(1), func(f *Facts) { f.Request.Platform.LostAnswerNever = true }),
			"It is not sent again, since the Marketplace's refreshToken.lostAnswer is Never: nothing more is tried until a new one is supplied"},
	} {
		t.Run(name, func(t *testing.T) {
			test.facts.Custody.Tokens.ExpiresAt = morning.Add(11 * time.Hour)
			got := test.facts.RestFailure()
			const same = "Allegro got the refresh token and its answer was lost, so the token may be spent, and sending it twice could end the grant. "
			if want := same + test.want; got.Reason != v1alpha1.ReasonRenewalOutcomeUnknown || got.Message != want {
				t.Errorf("it says %s: %s\nwant %s", got.Reason, got.Message, want)
			}
		})
	}
}

// TestWhetherAnImportRests: while another grant is in use, which goes on (docs/faults.md).
func TestWhetherAnImportRests(t *testing.T) {
	lost := all(imports("two"), importRests)
	holds(t, (*Facts).ImportRests, rows{
		"its answer was lost":                        {working(importing, lost), true},
		"nothing was sent":                           {working(importing, imports("two")), false},
		"its answer is awaited":                      {working(importing, lost, func(f *Facts) { f.Custody.ImportJournal.Lost = false }), false},
		"the answer of another one was lost":         {working(importing, lost, imports("three")), false},
		"a platform whose refresh tokens work twice": {working(importing, lost, static), false},
		"no grant is in use":                         {working(importing, lost, noRefreshToken), false},
		"the grant in use was refused":               {working(importing, lost, refused(v1alpha1.ReasonGrantRejected)), false},
		"the application of the grant in use was":    {working(importing, lost, refused(v1alpha1.ReasonApplicationRejected)), true},
		"the grant in use is of a backup":            {working(importing, lost, restored), false},
	})
}

func TestAGraceAsLongAsACall(t *testing.T) {
	f := working(importing, func(f *Facts) {
		f.Request.Platform.ReuseGrace = f.CallTimeout
		f.Custody.Journal = &custody.Journal{StartedAt: morning, LastAt: morning, Holder: "me", Attempts: 1}
	})
	if got := f.Reuse(); got != WithinGrace {
		t.Errorf("the use is %d", got)
	}
	if got, want := f.GraceLimit(), morning.Add(25500*time.Millisecond); !got.Equal(want) {
		t.Errorf("nothing holds it up after %s, want %s", got, want)
	}
	if f.Custody.Journal = nil; !f.GraceLimit().IsZero() {
		t.Error("a token that was not sent has a grace")
	}
	if text := f.ImportRestFailure().Message; !strings.Contains(text, "the grant in use goes on") {
		t.Errorf("of an import it is told: %s", text)
	}
}
