package facts

import (
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
)

// TestWhetherToAskForACode: platforms are not asked for codes that nobody uses, and not at once for what has just failed.
func TestWhetherToAskForACode(t *testing.T) {
	unattended := func(n int) change { return func(f *Facts) { f.Custody.SignIn.Unattended = n } }
	ended := func(count int, ago time.Duration) change {
		return func(f *Facts) { f.Custody.SignIn.Ended = &custody.EndedCodes{Count: count, At: morning.Add(-ago)} }
	}
	lives := func(f *Facts) {
		f.Custody.SignIn.Device = &custody.Device{ClientID: "app", ExpiresAt: morning.Add(time.Minute)}
	}
	demanded := func(f *Facts) { f.Custody.NotBefore = morning.Add(time.Second) }
	edited := func(f *Facts) { f.EditWaits = morning.Add(time.Second) }
	request := asked(v1alpha1.AnnotationSignIn)
	holds(t, (*Facts).MayStartCode, rows{
		"nothing speaks against it":                   {working(byDevice), true},
		"eleven codes that nobody has used":           {working(byDevice, unattended(11)), true},
		"twelve":                                      {working(byDevice, unattended(12)), false},
		"twelve, and somebody asks":                   {working(byDevice, unattended(12), request), true},
		"twelve, the last of which can still be used": {working(byDevice, unattended(12), lives), true},
		"one code that the platform has ended":        {working(byDevice, ended(1, 0)), true},
		"two, a moment ago":                           {working(byDevice, ended(2, time.Second)), false},
		"two, a while ago":                            {working(byDevice, ended(2, time.Minute)), true},
		"eleven, an hour ago":                         {working(byDevice, ended(11, time.Hour)), true},
		"twelve, a day ago":                           {working(byDevice, ended(12, 24*time.Hour)), false},
		"a wait that the marketplace demands":         {working(byDevice, demanded), false},
		"a wait after an edit":                        {working(byDevice, edited), false},
		"a person has declined":                       {working(byDevice, signInRefused(v1alpha1.ReasonSignInRequired)), false},
		"another seller has signed in":                {working(byDevice, signInRefused(v1alpha1.ReasonAccountMismatch)), true},
		"the marketplace was down":                    {working(byDevice, signInRefused(v1alpha1.ReasonMarketplaceUnavailable)), true},
	})
	if at := working(byDevice, ended(1, 0)); !at.NextCode().IsZero() {
		t.Error("the first code that the platform ends makes the next one wait: it may have been used, and the answer lost")
	}
	holds(t, (*Facts).CodeLives, rows{
		"there is none":                         {working(byDevice), false},
		"a code":                                {working(byDevice, lives), true},
		"a code at its end":                     {working(byDevice, lives, func(f *Facts) { f.Now = morning.Add(time.Minute) }), false},
		"of another application":                {working(byDevice, lives, otherApplication), false},
		"of another server":                     {working(byDevice, lives, otherServer), false},
		"while the Marketplace is not resolved": {working(byDevice, lives, unresolved, func(f *Facts) { f.Custody.SignIn.Device.ClientID = "" }), false},
		"that asks for scopes of before":        {working(byDevice, lives, func(f *Facts) { f.Custody.SignIn.Device.Asked = []string{"orders"} }), false},
	})
}
