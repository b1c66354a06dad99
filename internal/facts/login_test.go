package facts

import (
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
)

// doubted has the attempt of today's login end without the platform's word, ten seconds ago.
func doubted(waitSeconds int64) change {
	return func(f *Facts) {
		doubt := custody.Doubt{Login: f.Custody.RefusalDigest(f.Request.PasswordParts()), WaitSeconds: waitSeconds, Lost: 1}
		f.Custody.Logins = f.Custody.Logins.With(doubt.Try(f.Custody.RefusalDigest(f.Request.LoginParts()), morning.Add(-10*time.Second)))
	}
}

func clockSetBack(f *Facts) { f.Now = morning.Add(-time.Minute) }

// TestHowLongALoginWaits: nothing but a request on the login's own Secret shortens the wait, since each attempt may count towards a lock
// (cases C05).
func TestHowLongALoginWaits(t *testing.T) {
	for name, test := range map[string]struct {
		facts   Facts
		want    time.Time
		decides bool // that wait, and not the account's backoff
	}{
		"no attempt has failed":                           {working(byLogin), time.Time{}, false},
		"a minute after the last attempt":                 {working(byLogin, doubted(60)), morning.Add(50 * time.Second), true},
		"a minute from now, where the clock was set back": {working(byLogin, doubted(60), clockSetBack), morning, true},
		"whoever asks for a renewal":                      {working(byLogin, doubted(60), asked(v1alpha1.AnnotationRenew)), morning.Add(50 * time.Second), true},
		"not where its Secret asks to try again":          {working(byLogin, doubted(60), loginRetried), time.Time{}, true},
		"not another password":                            {working(byLogin, doubted(60), newPassword), time.Time{}, true},
		"as after any failure":                            {working(byLogin, doubted(0)), time.Time{}, false},
		"not at all where its Secret asks, after any":     {working(byLogin, doubted(0), loginRetried), time.Time{}, true},
		"not of a grant without a login":                  {working(importing, doubted(60)), time.Time{}, false},
		"not before the login is known":                   {working(byLogin, doubted(60), func(f *Facts) { f.Request.Login.Password = "" }), time.Time{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.facts.LoginWait(); !got.Equal(test.want) {
				t.Errorf("it waits until %s, want %s", got, test.want)
			}
			if got := test.facts.NotBefore(); !got.Equal(test.want) {
				t.Errorf("nothing is sent before %s, want %s", got, test.want)
			}
			if got := test.facts.LoginDecides(); got != test.decides {
				t.Errorf("its wait decides: %t", got)
			}
		})
	}
}

// TestWhetherALoginWaitsFromNowOn: what was sent ahead of the clock, which was set back, and waits to be tried again.
func TestWhetherALoginWaitsFromNowOn(t *testing.T) {
	holds(t, (*Facts).AheadOfClock, rows{
		"it was sent ahead of the clock":                  {working(byLogin, doubted(60), clockSetBack), true},
		"it was sent now":                                 {working(byLogin, doubted(60), func(f *Facts) { f.Now = morning.Add(-10 * time.Second) }), false},
		"it was sent ahead, and the account backs off":    {working(byLogin, doubted(0), clockSetBack), false},
		"its Secret asks to try again":                    {working(byLogin, doubted(60), clockSetBack, loginRetried), false},
		"it was refused since":                            {working(byLogin, doubted(60), clockSetBack, refused(v1alpha1.ReasonAccountLocked)), false},
		"it has not failed":                               {working(byLogin, clockSetBack), false},
		"a refresh token rests that was sent before":      {working(importing, resting), false},
		"a refresh token rests that was sent ahead of it": {working(importing, resting, func(f *Facts) { f.Now = f.Custody.Journal.LastAt.Add(-time.Second) }), true},
	})
}

func TestWhetherALoginHasWorked(t *testing.T) {
	worked := func(f *Facts) { f.Custody.Logins.Worked = f.Custody.RefusalDigest(f.Request.PasswordParts()) }
	holds(t, (*Facts).LoginWorked, rows{
		"it has":                    {working(byLogin, worked), true},
		"it has, and is tried anew": {working(byLogin, worked, loginRetried), true},
		"another password has":      {working(byLogin, worked, newPassword), false},
		"none has, and there is no key to tell logins apart by": {working(byLogin, func(f *Facts) { f.Custody.RefusalKey = nil }), false},
	})
}
