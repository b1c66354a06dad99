package facts

import (
	"slices"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
)

// ending has the authorization end so long from now.
func ending(in time.Duration) change {
	return func(f *Facts) { f.Custody.AuthorizationExpiresAt = f.Now.Add(in) }
}

func wants(scopes ...string) change {
	return func(f *Facts) { f.Request.Platform.Scopes = scopes }
}

// TestWhenALinkOrACodeWaits for a person.
func TestWhenALinkOrACodeWaits(t *testing.T) {
	const day = 24 * time.Hour
	request := asked(v1alpha1.AnnotationSignIn)
	begun := func(f *Facts) { f.Custody.SignIn.Requested, f.Custody.HandledSignIn = "now", "now" }
	holds(t, (*Facts).NeedsSignIn, rows{
		"the grant works":                                   {working(signsIn), false},
		"nobody has signed in":                              {working(signsIn, neverSignedIn), true},
		"nobody has signed in with a device code":           {working(byDevice, neverSignedIn), true},
		"nobody signs in with this grant":                   {working(importing, neverSignedIn, request), false},
		"nobody has signed in, and renewal is suspended":    {working(signsIn, neverSignedIn, suspended), false},
		"somebody asks":                                     {working(signsIn, request), true},
		"somebody has asked, and a link waits":              {working(signsIn, request, begun), true},
		"somebody has asked, and takes it back":             {working(signsIn, begun), false},
		"somebody has asked, and that was handled":          {working(signsIn, request, func(f *Facts) { f.Custody.HandledSignIn = "now" }), false},
		"a person has signed in, and is not identified yet": {working(signsIn, neverSignedIn, waiting(2, "", "")), false},
		"somebody asks while one is not identified yet":     {working(signsIn, waiting(2, "", ""), request), true},
		"the spec has a scope that nobody consented to":     {working(signsIn, wants("orders")), true},
		"the authorization ends in two weeks":               {working(signsIn, ending(14*day)), true},
		"the authorization ends in two weeks and a second":  {working(signsIn, ending(14*day+time.Second)), false},
	})
}

func TestWhichScopesNobodyConsentedTo(t *testing.T) {
	consented := func(scopes ...string) change { return func(f *Facts) { f.Custody.Asked = scopes } }
	for name, test := range map[string]struct {
		facts Facts
		want  []string
	}{
		"none": {working(signsIn, wants("orders", "offers"), consented("offers", "orders", "sales")), nil},
		"those that the person was not asked for":  {working(signsIn, wants("orders", "offers", "sales"), consented("orders")), []string{"offers", "sales"}},
		"it is not known what they were asked for": {working(signsIn, wants("orders"), func(f *Facts) { f.Custody.Asked = nil }), nil},
		"nobody has signed in":                     {working(signsIn, wants("orders"), noRefreshToken), nil},
		"nobody signs in with this grant":          {working(importing, wants("orders"), consented()), nil},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.facts.Unconsented(); !slices.Equal(got, test.want) {
				t.Errorf("they are %v, want %v", got, test.want)
			}
		})
	}
}

// TestWhenAnAuthorizationBegan: the user may tell it of an import, also later.
func TestWhenAnAuthorizationBegan(t *testing.T) {
	month := morning.Add(-30 * 24 * time.Hour)
	told := func(at time.Time) change { return func(f *Facts) { f.Request.Imported.GrantedAt = at } }
	for name, test := range map[string]struct {
		facts Facts
		want  time.Time
	}{
		"with its first use": {working(importing), morning.Add(-time.Hour)},
		"as the user tells":  {working(importing, told(month)), month},
		"with its first use, where the user tells of a future": {working(importing, told(morning.Add(time.Second))), morning.Add(-time.Hour)},
		"with its first use, where the user tells of another":  {working(importing, told(month), imports("two")), morning.Add(-time.Hour)},
		"never, without a refresh token":                       {working(importing, noRefreshToken), time.Time{}},
		"never, without tokens":                                {working(importing, noTokens), time.Time{}},
		"never, of a login":                                    {working(byLogin), time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			if got, _ := test.facts.AuthorizationTimes(); !got.Equal(test.want) {
				t.Errorf("it began at %s, want %s", got, test.want)
			}
		})
	}
}

func TestWhoIsSigningIn(t *testing.T) {
	visits := func(visits ...custody.Visit) change { return func(f *Facts) { f.Custody.SignIn.Visits = visits } }
	soon, late := morning.Add(time.Minute), morning.Add(5*time.Minute)
	f := working(signsIn, visits(custody.Visit{ExpiresAt: soon}, custody.Visit{ExpiresAt: late}, custody.Visit{ExpiresAt: soon}, custody.Visit{ExpiresAt: late.Add(1), Used: true}))
	if got := f.VisitUntil(); !got.Equal(late) {
		t.Errorf("the last of them must be back at %s, want %s", got, late)
	}
	f = working(signsIn, visits(custody.Visit{ExpiresAt: morning}))
	if got := f.VisitUntil(); !got.IsZero() {
		t.Errorf("a person whose time is over must be back at %s", got)
	}
}
