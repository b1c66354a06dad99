package lifecycle_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
)

func imports(refreshToken string) change {
	return func(f *facts.Facts) { f.Request.Imported.RefreshToken = refreshToken }
}

func static(f *facts.Facts) { f.Request.Platform.Rotating = false }

// toldOtherwise has the seller that was seen first told by another source than answers of today.
func toldOtherwise(f *facts.Facts) { f.Custody.Account.By = "access token sub" }

// TestWhichTokensAreUsed: a new grant waits until it is known to be the expected seller's; one that goes on is used.
func TestWhichTokensAreUsed(t *testing.T) {
	const importing = v1alpha1.GrantRefreshToken
	second := imports("second import")
	first := func(f *facts.Facts) { f.Custody = custody.Custody{} }
	for name, test := range map[string]struct {
		facts       facts.Facts
		seller      string
		used, first bool
	}{
		"a renewal": {with(importing), "", true, false},
		"an import of the seller that was seen first":                 {with(importing, second), "17", true, true},
		"an import of whom nobody can tell, where nobody must":        {with(importing, second, nameless), "", true, true},
		"an import of whom nobody can tell, where the spec names one": {with(importing, second, nameless, expects("17")), "", false, false},
		"an import of whom the marketplace tells when asked":          {with(importing, second), "", false, false},
		"an import of another seller":                                 {with(importing, second, nameless), "5", false, false},
		"the first import":                                            {with(importing, first), "", true, true},
		"the first login":                                             {with(v1alpha1.GrantPassword, first), "17", true, true},
		"a later login":                                               {with(v1alpha1.GrantPassword), "17", true, false},
		"a later login whose seller the marketplace tells otherwise":  {with(v1alpha1.GrantPassword, toldOtherwise), "5", true, false},
		"an import whose seller the marketplace tells otherwise":      {with(importing, second, toldOtherwise), "5", true, true},
		"an import of another than the spec names, told otherwise":    {with(importing, second, toldOtherwise, expects("17")), "5", false, false},
		"a later login as another seller":                             {with(v1alpha1.GrantPassword), "5", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			change := lifecycle.AfterIssued(test.facts, broughtBy(test.seller).Issued)
			_, o, _ := change.Stored(test.facts, *change.Store)
			if o.Obtained != test.used || o.First != test.first || (change.Store.Candidate != nil) == test.used {
				t.Errorf("used %t, first %t, waiting %+v", o.Obtained, o.First, change.Store.Candidate)
			}
		})
	}
}

// TestWhatBecomesOfAGrantThatWaits when tokens are obtained: what they stand for is over, and what the user withdrew may come back.
func TestWhatBecomesOfAGrantThatWaits(t *testing.T) {
	const login = v1alpha1.GrantPassword
	formerLogin := func(f *facts.Facts) {
		candidate(0, "5")(f)
		f.Custody.Candidate.Imported, f.Request.Imported.RefreshToken = "", ""
	}
	withdrawn := func(f *facts.Facts) { candidate(0, "5")(f); f.Request.Imported.RefreshToken = "import" }
	for name, test := range map[string]struct {
		facts facts.Facts
		stays bool
	}{
		"that of a login":                      {with(login, formerLogin), false},
		"that of an import that was withdrawn": {with(v1alpha1.GrantRefreshToken, withdrawn), true},
		"that of a sign-in":                    {with(v1alpha1.GrantAuthorizationCode, candidate(2, "5")), true},
		"none":                                 {with(v1alpha1.GrantRefreshToken), false},
	} {
		t.Run(name, func(t *testing.T) {
			if kept := lifecycle.AfterIssued(test.facts, broughtBy("17").Issued).Store; (kept.Candidate != nil) != test.stays {
				t.Errorf("waiting is %+v", kept.Candidate)
			}
		})
	}
	f := with(v1alpha1.GrantRefreshToken, imports("second import"), func(f *facts.Facts) {
		f.Custody.Journal, f.Custody.ImportJournal = &custody.Journal{Attempts: 1}, &custody.Journal{Attempts: 1, Imported: "second import"}
	})
	if kept := lifecycle.AfterIssued(f, broughtBy("17").Issued).Store; kept.Journal != nil || kept.ImportJournal != nil {
		t.Errorf("on record of the grant before, and of the import that was used, are %+v and %+v", kept.Journal, kept.ImportJournal)
	}
}

// TestWhatIsToldOfAnothersTokens also where somebody had asked for the renewal that brought them.
func TestWhatIsToldOfAnothersTokens(t *testing.T) {
	asked := func(f *facts.Facts) { f.Account.Annotations[v1alpha1.AnnotationRenew] = "now" }
	for name, f := range map[string]facts.Facts{
		"of a refresh token that works once":          with(v1alpha1.GrantRefreshToken, asked),
		"of one that stays, by itself":                with(v1alpha1.GrantRefreshToken, static),
		"of one that stays, since somebody has asked": with(v1alpha1.GrantRefreshToken, static, asked),
	} {
		change := lifecycle.AfterIssued(f, broughtBy("5").Issued)
		o := change.NotStored()
		if o.Failure == nil || !strings.HasPrefix(o.Failure.Message, "The tokens belong to account 5, expected is 17") {
			t.Errorf("%s it is told: %+v", name, o.Failure)
		}
		if spent := change.Store.RefreshToken == ""; spent != f.Request.Rotates() {
			t.Errorf("%s it is kept: %t", name, !spent)
		}
	}
}

// doubts plays attempts to log in, each when the wait after the one before is over, and returns these waits and the last change.
func doubts(f facts.Facts, attempts int, failure error) (waits []time.Duration, last lifecycle.Change) {
	for range attempts {
		last = lifecycle.AfterFailure(f, failure, true)
		f.Custody = *last.Store
		wait := time.Duration(0)
		if until := f.LoginWait(); !until.IsZero() {
			wait = until.Sub(f.Now)
			f.Now = until
		}
		waits = append(waits, wait)
	}
	return waits, last
}

// TestALoginInDoubt: platforms lock logins, and some refuse without a code (cases C05; docs/faults.md has the rule for users).
func TestALoginInDoubt(t *testing.T) {
	denied := &answer.Error{Kind: answer.Unavailable, Status: 403}
	lost := &answer.Error{Kind: answer.Unavailable, OutcomeUnknown: true}

	waits, last := doubts(with(v1alpha1.GrantPassword), 3, denied)
	if want := []time.Duration{time.Minute, 10 * time.Minute, time.Hour}; !slices.Equal(waits, want) {
		t.Errorf("after denials it waits for %v, want %v", waits, want)
	}
	if o := last.NotStored(); o.Failure.Reason != v1alpha1.ReasonMarketplaceUnavailable || !strings.HasSuffix(o.Failure.Message, "(attempt 3 of 4)") {
		t.Errorf("after the third one it is told %+v", o.Failure)
	}
	if waits, last = doubts(with(v1alpha1.GrantPassword), 4, denied); waits[3] != 0 {
		t.Errorf("after the fourth one it waits for %v", waits)
	}
	if o := last.NotStored(); o.Failure.Reason != v1alpha1.ReasonAccountLocked || !strings.Contains(o.Failure.Message, "for the 4th time") || last.Store.Refused.Reason != v1alpha1.ReasonAccountLocked {
		t.Errorf("after the fourth one it is told %+v", o.Failure)
	}

	if waits, _ = doubts(with(v1alpha1.GrantPassword), 6, lost); !slices.Equal(waits, []time.Duration{0, 0, 0, 24 * time.Hour, 24 * time.Hour, 24 * time.Hour}) {
		t.Errorf("after answers that were lost a login that never worked waits for %v", waits)
	}
	worked := with(v1alpha1.GrantPassword, func(f *facts.Facts) {
		f.Custody.RefusalKey = f.NewKey
		f.Custody.Logins.Worked = f.Custody.RefusalDigest(f.Request.PasswordParts())
	})
	if change := lifecycle.AfterFailure(worked, lost, true); change.Store != nil {
		t.Error("a login that has worked is in doubt")
	}
	if kept := lifecycle.AfterIssued(with(v1alpha1.GrantPassword), broughtBy("17").Issued).Store; kept.Logins.Worked == "" || len(kept.Logins.Doubts) != 0 {
		t.Errorf("a login that works is not remembered: %+v", kept.Logins)
	}
	noKey := with(v1alpha1.GrantPassword, func(f *facts.Facts) { f.NewKey = nil })
	if kept := lifecycle.AfterFailure(noKey, denied, true).Store; len(kept.Logins.Doubts) != 0 {
		t.Error("a login is remembered by something else than a digest")
	}
}

// TestWhatWasTriedUnderEarlierRequests is not tried again either once the login counts as locked.
func TestWhatWasTriedUnderEarlierRequests(t *testing.T) {
	denied := &answer.Error{Kind: answer.Unavailable, Status: 403}
	f := with(v1alpha1.GrantPassword, func(f *facts.Facts) { f.Custody.Refused = &custody.Refusal{Digests: []string{"of before"}} })
	var tried []string
	for i := range 4 {
		f.Request.Login.Retry = []string{"", "one", "two", "three"}[i]
		f.Custody = *lifecycle.AfterFailure(f, denied, true).Store
		tried = append(tried, f.Custody.RefusalDigest(f.Request.LoginParts()))
	}
	for _, digest := range append(tried, "of before") {
		if !f.Custody.Refused.Covers(digest) {
			t.Errorf("the refusal covers %v, and not %s", f.Custody.Refused.Digests, digest)
		}
	}
	f = with(v1alpha1.GrantPassword)
	for range 4 {
		f.Custody = *lifecycle.AfterFailure(f, denied, true).Store
	}
	if !f.Custody.Refused.Covers(f.Custody.RefusalDigest(f.Request.LoginParts())) {
		t.Errorf("where nothing was refused before, the refusal covers %v", f.Custody.Refused.Digests)
	}
}

// TestAFailureAfterALoginInDoubt: an outage counts too where it hits another login, or a request to try again, so that the wait of the former
// one does not hold; and where it hits the attempt after that wait, which is over and must not keep the backoff from following.
func TestAFailureAfterALoginInDoubt(t *testing.T) {
	denied := &answer.Error{Kind: answer.Unavailable, Status: 403}
	inDoubt := func(changes ...change) facts.Facts {
		f := with(v1alpha1.GrantPassword)
		f.Custody = *lifecycle.AfterFailure(f, denied, true).Store
		for _, change := range changes {
			change(&f)
		}
		return f
	}
	retried := func(f *facts.Facts) { f.Request.Login.Retry = "now" }
	another := func(f *facts.Facts) { f.Request.Login.Password = "another" }
	waited := func(f *facts.Facts) { f.Now = f.LoginWait() }
	for name, test := range map[string]struct {
		facts  facts.Facts
		sent   bool
		doubts int
		stored bool
	}{
		"of the same login":                     {inDoubt(), true, 1, false},
		"of the same login after its wait":      {inDoubt(waited), true, 1, true},
		"of a request to try again":             {inDoubt(retried), true, 1, true},
		"of a request that was not sent at all": {inDoubt(retried), false, 1, true},
		"of another login":                      {inDoubt(another), true, 2, true},
		"where none was in doubt":               {with(v1alpha1.GrantPassword), true, 0, false},
		"of another grant":                      {with(v1alpha1.GrantRefreshToken), true, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			kept := test.facts.Custody
			change := lifecycle.AfterFailure(test.facts, &answer.Error{Kind: answer.Unavailable, Status: 503}, test.sent)
			if change.Store != nil {
				kept = *change.Store
			}
			if (change.Store != nil) != test.stored || len(kept.Logins.Doubts) != test.doubts {
				t.Errorf("stored %t, in doubt are %+v", change.Store != nil, kept.Logins.Doubts)
			}
			f := test.facts
			f.Custody = kept
			if test.stored && (!f.LoginWait().IsZero() || f.LoginDecides()) {
				t.Errorf("it waits until %s, and no backoff follows: %t", f.LoginWait(), f.LoginDecides())
			}
		})
	}
}

// TestWhichPairOfClientSecretsItWas: by digest, and by the version of the Secret where tenants could guess at it, or no key can be drawn.
func TestWhichPairOfClientSecretsItWas(t *testing.T) {
	got := broughtBy("").Issued
	got.ByPreviousSecret = true
	shared := func(f *facts.Facts) { f.Request.Shared = true }
	noKey := func(f *facts.Facts) { f.NewKey = nil }
	ends := func(f *facts.Facts) { f.Request.Platform.ApplicationSecretLifetime = 24 * time.Hour }
	for name, test := range map[string]struct {
		facts   facts.Facts
		version bool
	}{
		"the account's own application": {with(v1alpha1.GrantRefreshToken, ends), false},
		"the Marketplace's application": {with(v1alpha1.GrantRefreshToken, ends, shared), true},
		"no key can be drawn":           {with(v1alpha1.GrantRefreshToken, ends, noKey), true},
	} {
		kept := lifecycle.AfterIssued(test.facts, got).Store
		if (kept.PreviousSecretOf == "app@1") != test.version || kept.PreviousSecretOf == "" {
			t.Errorf("%s: it was that of %q", name, kept.PreviousSecretOf)
		}
		if (kept.ClientSecret.Of == "app@1") != test.version || kept.ClientSecret.Of == "" {
			t.Errorf("%s: the client secret is known as %q", name, kept.ClientSecret.Of)
		}
	}
	for by, previous := range map[string]bool{"previous": true, "current": false} { // whatever was so before
		f := with(v1alpha1.GrantDeviceCode, dead, func(f *facts.Facts) { f.Custody.PreviousSecretOf = "before" })
		consent := broughtBy("17")
		consent.ByPreviousSecret = previous
		code := answer.DeviceCode{Code: "device", ExpiresAt: noon.Add(time.Hour), ByPreviousSecret: previous}
		for event, kept := range map[string]*custody.Custody{
			"a renewal": lifecycle.AfterIssued(f, consent.Issued).Store, "a sign-in": lifecycle.AfterConsent(f, consent).Store, "a device code": lifecycle.AfterCode(f, code).Store,
		} {
			if kept.PreviousSecretOf == "before" || (kept.PreviousSecretOf != "") != previous {
				t.Errorf("after %s by the %s client secret it was that of %q", event, by, kept.PreviousSecretOf)
			}
		}
	}
	if kept := lifecycle.AfterIssued(with(v1alpha1.GrantRefreshToken), got).Store; kept.ClientSecret != nil {
		t.Error("where client secrets do not end, one is remembered")
	}
}

// TestWhatIsLeftOfAJournal after a failure: what is known of a refresh token that works once.
func TestWhatIsLeftOfAJournal(t *testing.T) {
	entry := func(attempts int, lost bool) change {
		return func(f *facts.Facts) {
			f.Custody.Journal = &custody.Journal{StartedAt: noon, LastAt: noon, Attempts: attempts, Lost: lost}
		}
	}
	graceful := func(f *facts.Facts) { f.Request.Platform.ReuseGrace = time.Minute }
	down, lost := rejection(answer.Unavailable), error(&answer.Error{Kind: answer.Unavailable, OutcomeUnknown: true})
	for name, test := range map[string]struct {
		facts   facts.Facts
		failure error
		sent    bool
		want    string // lost, kept or gone
		reason  string
	}{
		"the platform has not acted":                    {with(v1alpha1.GrantRefreshToken, entry(1, false)), down, true, "gone", v1alpha1.ReasonMarketplaceUnavailable},
		"it has not acted on the second sending":        {with(v1alpha1.GrantRefreshToken, entry(2, false)), down, true, "kept", v1alpha1.ReasonMarketplaceUnavailable},
		"it refuses the second sending":                 {with(v1alpha1.GrantRefreshToken, entry(2, false)), rejection(answer.GrantRejected), true, "gone", v1alpha1.ReasonGrantRejected},
		"the answer is lost":                            {with(v1alpha1.GrantRefreshToken, entry(1, false)), lost, true, "lost", v1alpha1.ReasonRenewalOutcomeUnknown},
		"the answer is lost within a grace":             {with(v1alpha1.GrantRefreshToken, entry(1, false), graceful), lost, true, "kept", v1alpha1.ReasonMarketplaceUnavailable},
		"the token was not sent":                        {with(v1alpha1.GrantRefreshToken, entry(1, false)), down, false, "kept", v1alpha1.ReasonMarketplaceUnavailable},
		"a platform whose tokens work twice":            {with(v1alpha1.GrantRefreshToken, entry(1, false), static), down, true, "kept", v1alpha1.ReasonMarketplaceUnavailable},
		"an outage answers a last resort":               {with(v1alpha1.GrantRefreshToken, entry(2, true)), down, true, "lost", v1alpha1.ReasonRenewalOutcomeUnknown},
		"a last resort is refused with the application": {with(v1alpha1.GrantRefreshToken, entry(2, true)), rejection(answer.ApplicationRejected), true, "lost", v1alpha1.ReasonApplicationRejected},
	} {
		t.Run(name, func(t *testing.T) {
			change := lifecycle.AfterFailure(test.facts, test.failure, test.sent)
			kept := test.facts.Custody
			if change.Store != nil {
				kept = *change.Store
			}
			got := "gone"
			if kept.Journal != nil && kept.Journal.Lost {
				got = "lost"
			} else if kept.Journal != nil {
				got = "kept"
			}
			if o := change.NotStored(); got != test.want || o.Failure == nil || o.Failure.Reason != test.reason {
				t.Errorf("it is %s, and told is %+v", got, o.Failure)
			}
		})
	}
}

// TestARefusalThatIsTriedAgain without a verdict: it is forgotten where a person asked for that, so that it is tried on; and where the account
// asks for its application now and then, it stands and is told.
func TestARefusalThatIsTriedAgain(t *testing.T) {
	const importing = v1alpha1.GrantRefreshToken
	const application, grant, scopes = v1alpha1.ReasonApplicationRejected, v1alpha1.ReasonGrantRejected, v1alpha1.ReasonScopeRejected
	asked := func(f *facts.Facts) { f.Account.Annotations[v1alpha1.AnnotationRenew] = "now" }
	asksAgain := func(f *facts.Facts) { f.AsksAgain = true }
	newSecret := func(f *facts.Facts) { f.Request.Application.ClientSecret = "another" }
	misplaced := func(f *facts.Facts) {
		f.Custody.Aside = &custody.Grant{RefreshToken: "RT", Account: custody.Account{ID: "5"}, Tokens: tokens("other")}
	}
	refused := func(reason string) change {
		return func(f *facts.Facts) {
			f.Custody.RefusalKey = f.NewKey
			f.Custody = *lifecycle.AfterFailure(*f, rejection(map[string]answer.Kind{
				application: answer.ApplicationRejected, grant: answer.GrantRejected, scopes: answer.ScopeRejected,
			}[reason]), true).Store
		}
	}
	for name, test := range map[string]struct {
		facts             facts.Facts
		refused, imported bool // what stays
		told              string
	}{
		"nothing was":                                          {with(importing), false, false, v1alpha1.ReasonMarketplaceUnavailable},
		"an application, and a person asks":                    {with(importing, refused(application), asked), false, false, v1alpha1.ReasonMarketplaceUnavailable},
		"an application, and its client secret is another":     {with(importing, refused(application), newSecret), true, false, v1alpha1.ReasonMarketplaceUnavailable},
		"an application, at its turn to ask again":             {with(importing, refused(application), asksAgain), true, false, application},
		"the scopes, at the turn to ask again":                 {with(importing, refused(scopes), asksAgain), true, false, v1alpha1.ReasonMarketplaceUnavailable},
		"the scopes, and a person asks":                        {with(importing, refused(scopes), asked), false, false, v1alpha1.ReasonMarketplaceUnavailable},
		"an application's own tokens, and a person asks":       {with(v1alpha1.GrantClientCredentials, refused(grant), asked), false, false, v1alpha1.ReasonMarketplaceUnavailable},
		"a grant, and a person asks":                           {with(importing, refused(grant), asked), true, false, v1alpha1.ReasonMarketplaceUnavailable},
		"an import's scopes, and a person asks":                {with(importing, imports("second"), refused(scopes), asked), false, false, v1alpha1.ReasonMarketplaceUnavailable},
		"an import's scopes, and the client secret is another": {with(importing, imports("second"), refused(scopes), newSecret), false, true, v1alpha1.ReasonMarketplaceUnavailable},
		"another seller's tokens came, and a person asks":      {with(importing, static, misplaced, asked), false, false, v1alpha1.ReasonAccountMismatch},
		"another import's scopes, and a person asks":           {with(importing, imports("second"), refused(scopes), imports("third"), asked), false, true, v1alpha1.ReasonMarketplaceUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			change := lifecycle.AfterFailure(test.facts, rejection(answer.Unavailable), true)
			kept := test.facts.Custody
			if change.Store != nil {
				kept = *change.Store
			}
			o := change.NotStored()
			if (kept.Refused != nil) != test.refused || (kept.RefusedImport != nil) != test.imported || o.Failure == nil || o.Failure.Reason != test.told {
				t.Errorf("refused stays %+v and %+v, told is %+v", kept.Refused, kept.RefusedImport, o.Failure)
			}
		})
	}
	later := with(importing, refused(application), asksAgain, func(f *facts.Facts) { f.Now = f.Now.Add(time.Hour) })
	if stored := lifecycle.AfterFailure(later, rejection(answer.Unavailable), true).Store; stored == nil || !stored.Refused.At.Equal(later.Now) {
		t.Errorf("an application that was asked for of a platform that is down is asked for again at once: %+v", stored)
	}
}
