package conditions_test

import (
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/conditions"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
)

func TestWhenToLookAgain(t *testing.T) {
	second := func(n float64) float64 { return n / 3600 } // in hours
	due := func(l *conditions.Look) { l.Custody.Tokens.RenewAt = noon }
	waits := func(turn float64) change {
		return func(l *conditions.Look) { l.Waits, l.TurnAt = []lifecycle.Purpose{lifecycle.Renewing}, at(turn).Time }
	}
	told := was(func(s *status) { s.ObservedGeneration = 1 })
	ending := func(hours float64) change { // a token of an hour
		return func(l *conditions.Look) {
			tokens := l.Custody.Tokens
			tokens.IssuedAt, tokens.RenewAt, tokens.ExpiresAt, l.ServedUntil = at(hours-1).Time, noon, at(hours).Time, at(hours).Time
		}
	}
	authorization := func(hours float64, days *int32) change {
		return was(func(s *status) {
			s.Authorization = &v1alpha1.AuthorizationStatus{ExpirationTime: at(hours), DaysRemaining: days}
		})
	}
	for name, test := range map[string]struct {
		look       conditions.Look
		invitation float64
		want       float64 // hours from noon; 0 for never
	}{
		"at the renewal":                    {look: lookAt(), want: 8},
		"a renewal that came due meanwhile": {look: lookAt(due), want: second(1)},
		"it is left to another process":     {look: lookAt(due, func(l *conditions.Look) { l.Postponed = at(second(40)).Time }), want: second(40)},
		"at what can only be waited for":    {look: lookAt(func(l *conditions.Look) { l.LookAgain = 10 * time.Second }), want: second(10)},
		"at the invitation":                 {look: lookAt(), invitation: 2, want: 2},
		"when a request is acted on":        {look: lookAt(func(l *conditions.Look) { l.Deferred = map[string]time.Time{v1alpha1.AnnotationVerify: at(1).Time} }), want: 1},
		"when the application is asked for": {look: lookAt(func(l *conditions.Look) { l.AskAgainAt = at(3).Time }), want: 3},
		"and that was before":               {look: lookAt(func(l *conditions.Look) { l.AskAgainAt = at(-3).Time }), want: 8},
		"when a test is repeated": {look: lookAt(annotated(v1alpha1.AnnotationVerify, "now"), func(l *conditions.Look) {
			l.Custody.Verified = &custody.Verification{At: noon, Unreachable: true}
		}), want: second(60)},
		"while a test waits for its turn":       {look: lookAt(func(l *conditions.Look) { l.TestQueued = true }), want: second(30)},
		"while it waits for its turn":           {look: lookAt(due, waits(0)), want: second(30)},
		"its status tells that it waits":        {look: lookAt(due, waits(0), told), want: second(300)},
		"it waits to be polled, too":            {look: lookAt(due, waits(0), told), invitation: second(10), want: second(30)},
		"it waits to be polled later":           {look: lookAt(due, waits(0), told), invitation: second(200), want: second(200)},
		"when its turn comes":                   {look: lookAt(due, waits(second(10))), want: second(10)},
		"when its turn is far":                  {look: lookAt(due, waits(1)), want: second(30)},
		"and its status tells that it waits":    {look: lookAt(due, waits(1), told), want: second(300)},
		"at a turn within minutes":              {look: lookAt(due, waits(second(200)), told), want: second(200)},
		"when its turn has come":                {look: lookAt(due, waits(second(-10))), want: second(30)},
		"it ends while it waits":                {look: lookAt(ending(second(20)), waits(0)), want: second(20)},
		"what is far is not put off":            {look: lookAt(waits(0)), want: 8},
		"when the published token ends":         {look: lookAt(func(l *conditions.Look) { l.ServedUntil = at(5).Time }), want: 5},
		"at the renewal of a refused grant":     {look: lookAt(refused(v1alpha1.ReasonGrantRejected)), want: 8},
		"never":                                 {look: lookAt(noGrant)},
		"nothing can be asked":                  {look: lookAt(unresolved(v1alpha1.ReasonSecretNotFound), func(l *conditions.Look) { l.ServedUntil = time.Time{} }), want: 11},
		"nothing can be asked, and no token":    {look: lookAt(noGrant, unresolved(v1alpha1.ReasonSecretNotFound))},
		"nothing can be asked, and none usable": {look: lookAt(expired, unresolved(v1alpha1.ReasonSecretNotFound))},
		"at the turn of a day":                  {look: lookAt(authorization(20*24+5, new(int32(21)))), want: 5},
		"not of one that renews itself":         {look: lookAt(authorization(20*24+5, nil)), want: 8},
		"the clock was set back behind the token": {look: lookAt(func(l *conditions.Look) {
			tokens := l.Custody.Tokens
			tokens.IssuedAt, tokens.RenewAt, tokens.ExpiresAt, l.ServedUntil = at(20).Time, at(28).Time, at(32).Time, at(32).Time
		}), want: 12},
		"when the warning begins": {look: lookAt(authorization(14*24+3, nil)), want: 3},
	} {
		t.Run(name, func(t *testing.T) {
			var invitation, want time.Time
			if test.invitation != 0 {
				invitation = at(test.invitation).Time
			}
			if test.want != 0 {
				want = at(test.want).Time
			}
			if got := test.look.Next(invitation); !got.Equal(want) {
				t.Errorf("the next look is at %v, want %v", got, want)
			}
		})
	}
	lastMinutes := lookAt(ending(second(130)), waits(0))
	if got, want := lastMinutes.Next(time.Time{}), lastMinutes.LastMinutes(); !got.Equal(want) || !want.Before(at(second(30)).Time) {
		t.Errorf("an account that waits for its turn is next looked at on %v, and its last minutes begin at %v", got, want)
	}
}

// TestAccountsOfAnApplicationCountDownOneAfterTheOther, although their client secret has a day less at the same moment.
func TestAccountsOfAnApplicationCountDownOneAfterTheOther(t *testing.T) {
	first, last := at(2).Time, at(1).Time
	const accounts = 100
	seen := map[time.Time]bool{}
	for i := range accounts {
		l := lookAt(was(func(s *status) { s.Application = &v1alpha1.ApplicationStatus{SecretExpirationTime: at(7*24 + 1)} }))
		l.Account.UID = types.UID(fmt.Sprint("account-", i))
		next := l.Next(time.Time{})
		seen[next], first, last = true, renewal.Earliest(first, next), renewal.Latest(last, next)
	}
	if len(seen) != accounts || first.Before(at(1).Time) || !last.Before(at(2).Time) || last.Sub(first) < 50*time.Minute {
		t.Errorf("%d accounts count down at %d moments from %v to %v", accounts, len(seen), first, last)
	}
	ended := lookAt(was(func(s *status) { s.Application = &v1alpha1.ApplicationStatus{SecretExpirationTime: at(0)} }))
	if next := ended.Next(time.Time{}); !next.Equal(at(8).Time) {
		t.Errorf("an account whose client secret has ended is next looked at on %v", next)
	}
}

func TestTheFirstReportOfAnAccountThatWaits(t *testing.T) {
	waits := func(l *conditions.Look) {
		l.Waits, l.WaitsSince = []lifecycle.Purpose{lifecycle.Renewing}, noon.Add(-28*time.Second)
	}
	for name, test := range map[string]struct {
		look conditions.Look
		want bool
	}{
		"it has just come":               {lookAt(waits), false},
		"it does not wait":               {lookAt(), true},
		"it does not wait any more":      {lookAt(waits, func(l *conditions.Look) { l.Waits = nil }), true},
		"it has waited":                  {lookAt(waits, func(l *conditions.Look) { l.WaitsSince = noon.Add(-29 * time.Second) }), true},
		"it fails":                       {lookAt(waits, fails(v1alpha1.ReasonRateLimited)), true},
		"it has been reported on before": {lookAt(waits, was(func(s *status) { s.ObservedGeneration = 1 })), true},
	} {
		if got := test.look.FirstReportIsDue(); got != test.want {
			t.Errorf("%s: its report is due: %v", name, got)
		}
	}
}

// TestAClientSecretThatDoesNotEnd is not counted down, however old it is.
func TestAClientSecretThatDoesNotEnd(t *testing.T) {
	old := func(l *conditions.Look) { l.Request.Application.SecretSince = noon.Add(-24 * time.Hour) }
	if got := conditions.Report(lookAt(old)).Account.Status.Application; got != nil {
		t.Errorf("it is told to end at %s", got.SecretExpirationTime)
	}
	ends := func(l *conditions.Look) { l.Request.Platform.ApplicationSecretLifetime = 48 * time.Hour }
	if got := conditions.Report(lookAt(old, ends)).Account.Status.Application; got == nil || !got.SecretExpirationTime.Time.Equal(noon.Add(24*time.Hour)) {
		t.Errorf("where the platform ends client secrets after two days it is told %+v", got)
	}
}
