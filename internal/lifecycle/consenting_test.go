package lifecycle_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// broughtBy is what the sign-in of a seller brings; none means that the answer does not say whose.
func broughtBy(seller string) lifecycle.Consent {
	issued := (&market{}).issue("next RT", noon)
	issued.Account = custody.Account{ID: seller, By: "answer"}
	return lifecycle.Consent{Issued: issued}
}

// nameless has the platform tell of no seller by a request.
func nameless(f *facts.Facts) {
	f.Request.Platform = &marketplace.Platform{DisplayName: "Allegro", TokenURL: "https://allegro.example/token", Rotating: true, TokenLifetime: 12 * time.Hour}
}

// TestSignInsAreCounted: by its number a grant is known for the latest, and so is one that nobody has accepted yet.
func TestSignInsAreCounted(t *testing.T) {
	for name, test := range map[string]struct {
		facts                       facts.Facts
		got                         lifecycle.Consent
		consents, accepted, consent int64 // consent is the grant's in use
	}{
		"the first one":              {with(v1alpha1.GrantAuthorizationCode, dead, func(f *facts.Facts) { f.Custody.Consents = 0 }), broughtBy("17"), 1, 1, 1},
		"a second one":               {with(v1alpha1.GrantAuthorizationCode), broughtBy("17"), 2, 2, 2},
		"one as another seller":      {with(v1alpha1.GrantAuthorizationCode), broughtBy("5"), 2, 1, 1},
		"one that is told otherwise": {with(v1alpha1.GrantAuthorizationCode, toldOtherwise), broughtBy("5"), 2, 2, 2},
		"one of whom nobody knows":   {with(v1alpha1.GrantAuthorizationCode), broughtBy(""), 2, 1, 1},
		"one after one that waits":   {with(v1alpha1.GrantAuthorizationCode, candidate(2, "")), broughtBy("17"), 3, 3, 3},
	} {
		t.Run(name, func(t *testing.T) {
			kept := lifecycle.AfterConsent(test.facts, test.got).Store
			if kept.Consents != test.consents || kept.Accepted != test.accepted || kept.Consent != test.consent {
				t.Errorf("%d sign-ins, %d accepted, the grant in use is of %d", kept.Consents, kept.Accepted, kept.Consent)
			}
			if kept.Candidate != nil && kept.Candidate.Asked == nil {
				t.Error("it is forgotten that nothing was asked for by name")
			}
		})
	}
}

// TestWhatIsKnownOnceItIsStored: what has just come is looked at in the same look, and a refused token is forgotten.
func TestWhatIsKnownOnceItIsStored(t *testing.T) {
	refused := func(f *facts.Facts) { f.TokenRefused = true }
	code := func(changes ...change) facts.Facts {
		return with(v1alpha1.GrantAuthorizationCode, append(changes, refused)...)
	}
	unverified := broughtBy("17")
	unverified.Unverified = true
	for name, test := range map[string]struct {
		facts                facts.Facts
		event                func(facts.Facts) lifecycle.Change
		live, fresh, refused bool
	}{
		"a sign-in":                                {code(), func(f facts.Facts) lifecycle.Change { return lifecycle.AfterConsent(f, broughtBy("17")) }, true, true, false},
		"a sign-in of whom nobody knows":           {code(), func(f facts.Facts) lifecycle.Change { return lifecycle.AfterConsent(f, broughtBy("")) }, true, true, false},
		"a sign-in whose ID token is not verified": {code(), func(f facts.Facts) lifecycle.Change { return lifecycle.AfterConsent(f, unverified) }, true, false, true},
		"a sign-in beside a custody of a later version": {code(func(f *facts.Facts) { f.Custody.Version = tokensecret.CustodyVersion + 1 }), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterConsent(f, broughtBy("17"))
		}, true, false, true},
		"an outage": {code(), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterFailure(f, rejection(answer.Unavailable), true)
		}, false, false, true},
		"the token is refused":           {code(), lifecycle.AfterRefusedToken, true, false, false},
		"tokens that were stored before": {code(), func(facts.Facts) lifecycle.Change { return lifecycle.StoredBefore() }, false, true, false},
		"a test sees the token refused": {with(v1alpha1.GrantAuthorizationCode), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterTest(f, answer.Identity{}, &answer.IdentityError{Status: 401})
		}, false, false, true},
		"a renewal that brings another seller's tokens": {with(v1alpha1.GrantRefreshToken, refused), func(f facts.Facts) lifecycle.Change {
			return lifecycle.AfterIssued(f, broughtBy("5").Issued)
		}, true, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			change := test.event(test.facts)
			written := test.facts.Custody
			if change.Store != nil {
				written = *change.Store
			}
			f, _, _ := change.Stored(test.facts, written)
			if f.Live != test.live || f.Fresh != test.fresh || f.TokenRefused != test.refused {
				t.Errorf("live %t, fresh %t, refused %t", f.Live, f.Fresh, f.TokenRefused)
			}
		})
	}
}

func TestWhyASignInIsRejected(t *testing.T) {
	why := func(got lifecycle.Consent) string {
		f := with(v1alpha1.GrantAuthorizationCode, nameless)
		return lifecycle.AfterConsent(f, got).Store.SignIn.Refused.Message
	}
	if got := why(broughtBy("5")); !strings.HasPrefix(got, "The tokens belong to account 5, expected is 17; sign in as the expected account") {
		t.Errorf("of another seller: %s", got)
	}
	if got := why(broughtBy("")); !strings.HasPrefix(got, "Allegro did not say who signed in, expected is 17; ask for what makes it say so") {
		t.Errorf("of whom nobody knows: %s", got)
	}
	for name, test := range map[string]struct {
		held []custody.Ticket
		want int
	}{
		"the browser may begin again":                {nil, 1},
		"with one link, however often it comes back": {[]custody.Ticket{{Hash: signin.Hash("again"), ExpiresAt: noon.Add(time.Minute)}}, 1},
		"beside the links of others":                 {[]custody.Ticket{{Hash: signin.Hash("other"), ExpiresAt: noon.Add(time.Minute)}}, 2},
	} {
		f := with(v1alpha1.GrantAuthorizationCode, func(f *facts.Facts) { f.Visiting, f.RetryTicket, f.Custody.SignIn.Tickets = true, "again", test.held })
		if kept := lifecycle.AfterConsent(f, broughtBy("5")).Store; len(kept.SignIn.Tickets) != test.want {
			t.Errorf("%s: %d links", name, len(kept.SignIn.Tickets))
		}
	}
	// The candidate that is rejected is forgotten, and not another one.
	f := with(v1alpha1.GrantAuthorizationCode, candidate(2, ""))
	if kept := lifecycle.AfterConsent(f, broughtBy("5")).Store; kept.Candidate == nil {
		t.Error("a grant that waits is forgotten since another was rejected")
	}
}

// TestAnAccountWithoutAPortal says so only where nothing but a sign-in is missing.
func TestAnAccountWithoutAPortal(t *testing.T) {
	o := lifecycle.WithoutPortal(with(v1alpha1.GrantAuthorizationCode, dead))
	if !o.NoPortal || o.Failure == nil || o.Failure.Reason != v1alpha1.ReasonPortalNotConfigured || o.Failure.Message != "A person must sign in at Allegro" {
		t.Errorf("before the first sign-in: %+v", o.Failure)
	}
	if o = lifecycle.WithoutPortal(with(v1alpha1.GrantAuthorizationCode, signInAsked)); !o.NoPortal || o.Failure != nil {
		t.Errorf("of an account that works: %+v", o.Failure)
	}
	if o = lifecycle.WithoutPortal(with(v1alpha1.GrantAuthorizationCode, expects("5"))); !o.NoPortal || o.Failure != nil {
		t.Errorf("of another seller's grant: %+v", o.Failure)
	}
}

// TestAnAccountThatCannotShowALink says so where nothing but a sign-in is missing, and whatever is wrong besides goes on being told.
func TestAnAccountThatCannotShowALink(t *testing.T) {
	o := lifecycle.NotShown(with(v1alpha1.GrantAuthorizationCode, dead), "its place is taken")
	if o.NotShown != "its place is taken" || o.Failure == nil || o.Failure.Reason != v1alpha1.ReasonSecretConflict || o.Failure.Message != o.NotShown {
		t.Errorf("before the first sign-in: %+v", o.Failure)
	}
	for name, of := range map[string]facts.Facts{
		"an account that works":  with(v1alpha1.GrantAuthorizationCode, signInAsked),
		"another seller's grant": with(v1alpha1.GrantAuthorizationCode, expects("5")),
	} {
		if o = lifecycle.NotShown(of, "its place is taken"); o.NotShown == "" || o.Failure != nil {
			t.Errorf("of %s: %+v", name, o.Failure)
		}
	}
	if o = (lifecycle.Outcome{NotShown: "one"}).With(lifecycle.Outcome{}); o.NotShown != "one" {
		t.Error("the next step has it forgotten")
	}
}

// TestLinksThatTheStatusHasShownEnd when links are to stand in Secrets: other people may have read them.
func TestLinksThatTheStatusHasShownEnd(t *testing.T) {
	open := custody.Ticket{Hash: signin.Hash("old"), ExpiresAt: noon.Add(time.Hour)}
	shown := func(address string) change {
		return func(f *facts.Facts) {
			f.LinksInSecret = true
			f.Account.Status.SignIn = &v1alpha1.SignInStatus{URL: address}
			f.Custody.SignIn.Tickets = []custody.Ticket{open, open}
		}
	}
	for name, test := range map[string]struct {
		facts facts.Facts
		works int
	}{
		"the status shows a link":      {with(v1alpha1.GrantAuthorizationCode, dead, shown("https://former.example/sign-in/shop/main?ticket=old")), 1},
		"the status shows its address": {with(v1alpha1.GrantAuthorizationCode, dead, shown("https://portal/sign-in/shop/main")), 3},
		"the status shows a link, as it should": {with(v1alpha1.GrantAuthorizationCode, dead, shown("https://portal/sign-in/shop/main?ticket=old"), func(f *facts.Facts) {
			f.LinksInSecret = false
		}), 3},
		"the status shows nothing": {with(v1alpha1.GrantAuthorizationCode, dead, shown(""), func(f *facts.Facts) { f.Account.Status.SignIn = nil }), 3},
	} {
		change, _ := lifecycle.AfterOffer(test.facts, "new", time.Hour, false)
		works := 0
		for _, ticket := range change.Store.SignIn.Tickets {
			if !ticket.Used {
				works++
			}
		}
		if last := change.Store.SignIn.Tickets[2]; works != test.works || last.Used || last.Hash != signin.Hash("new") {
			t.Errorf("%s: %d links work, the last is %+v", name, works, last)
		}
		if test.facts.Custody.SignIn.Tickets[0].Used {
			t.Errorf("%s: the custody at hand was changed", name)
		}
	}
}

func TestWhatIsKeptOfADeviceCode(t *testing.T) {
	f := with(v1alpha1.GrantDeviceCode, dead, func(f *facts.Facts) { f.Request.Platform.Scopes = []string{"orders"} })
	code := answer.DeviceCode{Code: "device", UserCode: "AB-CD", URL: "https://allegro.example/device", ExpiresAt: noon.Add(time.Hour), Interval: 5 * time.Second}
	kept := lifecycle.AfterCode(f, code).Store.SignIn.Device
	if kept.IntervalSeconds != 5 || kept.UserCode != "AB-CD" || kept.URL != "https://allegro.example/device" || kept.ClientID != "app" || len(kept.Asked) != 1 || !kept.StartedAt.Equal(noon) {
		t.Errorf("of a code is kept %+v", kept)
	}
	code.CompleteURL = "https://allegro.example/device?code=AB-CD"
	if kept.Page != "" {
		t.Errorf("of a link without the code is kept %s besides", kept.Page)
	}
	if kept := lifecycle.AfterCode(f, code).Store.SignIn.Device; kept.URL != code.CompleteURL || kept.Page != code.URL {
		t.Errorf("the link that holds the code already is not kept: %s", kept.URL)
	}
	// What was wrong with the one before is over; but that another seller signed in is still told.
	for reason, stays := range map[string]bool{v1alpha1.ReasonSignInRequired: false, v1alpha1.ReasonScopeRejected: false, v1alpha1.ReasonAccountMismatch: true} {
		f.Custody.SignIn.Refused = &custody.Refusal{Reason: reason}
		if kept := lifecycle.AfterCode(f, code).Store; (kept.SignIn.Refused != nil) != stays {
			t.Errorf("after a code %s is kept: %t", reason, !stays)
		}
	}
}

func TestCodesThatEndEarly(t *testing.T) {
	lived := func(life, age time.Duration) facts.Facts {
		return with(v1alpha1.GrantDeviceCode, dead, device, func(f *facts.Facts) {
			f.Custody.SignIn.Device.StartedAt = f.Now.Add(-age)
			f.Custody.SignIn.Device.ExpiresAt = f.Custody.SignIn.Device.StartedAt.Add(life)
		})
	}
	for name, test := range map[string]struct {
		facts facts.Facts
		early bool
	}{
		"before half of its time": {lived(time.Hour, 29*time.Minute), true},
		"after half of its time":  {lived(time.Hour, 30*time.Minute), false},
		"at the end of its time":  {lived(time.Hour, time.Hour), false},
	} {
		t.Run(name, func(t *testing.T) {
			kept := lifecycle.AfterEndedCode(test.facts, &answer.Error{Kind: answer.CodeExpired}).Store
			if (kept.SignIn.Ended != nil) != test.early || (kept.SignIn.Device == nil) != test.early {
				t.Errorf("the platform has ended it early: %+v", kept.SignIn.Ended)
			}
		})
	}
	for life, usable := range map[time.Duration]bool{59 * time.Second: false, time.Minute: true} {
		if _, ask := lifecycle.BeforeCode(lived(life, time.Hour)); ask != usable {
			t.Errorf("after a code that was good for %s another is asked for: %t", life, ask)
		}
	}
}

// TestNoCodeIsWrittenOnce: each attempt would be a write.
func TestNoCodeIsWrittenOnce(t *testing.T) {
	no := func(message string) error {
		return &answer.Error{Kind: answer.ScopeRejected, Code: "invalid_scope", Status: 400, Message: message}
	}
	keyed := func(f *facts.Facts) { f.Custody.RefusalKey = f.NewKey }
	// known is an account whose code was refused before, as changed then.
	known := func(before change, changes ...change) facts.Facts {
		f := with(v1alpha1.GrantDeviceCode, dead, nameless, before)
		f.Custody.SignIn.Refused = lifecycle.AfterNoCode(f, no("no")).Store.SignIn.Refused
		for _, change := range changes {
			change(&f)
		}
		return f
	}
	unkeyed := func(f *facts.Facts) { f.Custody.RefusalKey, f.NewKey = nil, nil }
	otherSpec := func(f *facts.Facts) { f.Request.Inputs.Spec = "2" }
	otherSecret := func(f *facts.Facts) { f.Request.Application.ClientSecret = "other" }
	for name, test := range map[string]struct {
		facts   facts.Facts
		failure error
		writes  bool
	}{
		"the same again":                                 {known(keyed), no("no"), false},
		"the same again, before digests":                 {known(unkeyed), no("no"), false},
		"the same of another version, before digests":    {known(unkeyed, otherSpec), no("no"), true},
		"the same of another version":                    {known(keyed, otherSpec), no("no"), false},
		"the same of another client secret":              {known(keyed, otherSecret), no("no"), true},
		"another message":                                {known(keyed), no("never"), true},
		"another reason":                                 {known(keyed), rejection(answer.ApplicationRejected), true},
		"the same again, and somebody has asked":         {known(keyed, signInAsked), no("no"), true},
		"the same again, and a code has ended meanwhile": {known(keyed, device), no("no"), true},
		"the first time":                                 {with(v1alpha1.GrantDeviceCode, dead), no("no"), true},
	} {
		t.Run(name, func(t *testing.T) {
			change := lifecycle.AfterNoCode(test.facts, test.failure)
			if got := change.Store != nil; got != test.writes {
				t.Errorf("it is written: %t", got)
			}
			if o := change.NotStored(); o.Failure == nil {
				t.Error("it is not told")
			}
		})
	}
	// An account that asks again for its application counts how often it was refused.
	f := known(keyed)
	f.Custody.SignIn.Refused = &custody.Refusal{Reason: v1alpha1.ReasonApplicationRejected, Tries: 2}
	f.AsksAgain = true
	if kept := lifecycle.AfterNoCode(f, rejection(answer.ApplicationRejected)).Store; kept.SignIn.Refused.Tries != 3 {
		t.Errorf("it has asked %d times", kept.SignIn.Refused.Tries)
	}
}

func TestWhenToAskForACodeAgain(t *testing.T) {
	f := with(v1alpha1.GrantDeviceCode, dead)
	if got := lifecycle.NextCodeAfter(f, 1, rejection(answer.Unavailable)); got < 10*time.Second || got > 12*time.Second {
		t.Errorf("after the first failure in %s", got)
	}
	if got := lifecycle.NextCodeAfter(f, 1, &answer.Error{Kind: answer.Throttled, RetryAfter: time.Minute}); got != time.Minute {
		t.Errorf("after a demanded wait in %s", got)
	}
	if got := lifecycle.NextCodeAfter(f, 9, rejection(answer.Unavailable)); got < 5*time.Minute {
		t.Errorf("after many failures in %s", got)
	}
	ended := with(v1alpha1.GrantDeviceCode, func(f *facts.Facts) { f.Custody.Tokens.ExpiresAt = f.Now.Add(-time.Minute) })
	if got := lifecycle.NextCodeAfter(ended, 9, rejection(answer.Unavailable)); got > 10*time.Second {
		t.Errorf("after many failures and the end of the token in %s", got)
	}
}
