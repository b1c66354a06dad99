package lifecycle_test

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

// TestWhatIsNext has a row for each action. An account that works has its tokens published, and is held against others of its seller.
func TestWhatIsNext(t *testing.T) {
	const code, importing, deviceCode, login = v1alpha1.GrantAuthorizationCode, v1alpha1.GrantRefreshToken, v1alpha1.GrantDeviceCode, v1alpha1.GrantPassword
	const nothing = "Publish, FindDuplicate"
	asks := func(annotation string) change {
		return func(f *facts.Facts) { f.Account.Annotations[annotation] = "now" }
	}
	unresolved := func(f *facts.Facts) { f.Unresolved = true }
	recalled := func(f *facts.Facts) { f.Request.Recalled = true }
	suspended := func(f *facts.Facts) { f.Account.Spec.Renewal.Policy = v1alpha1.RenewalSuspended }
	refused := func(f *facts.Facts) { f.TokenRefused = true }
	unverified := func(f *facts.Facts) { f.Custody.Candidate.Unverified = true }
	verified := func(f *facts.Facts) { f.Verified = true }
	fresh := func(f *facts.Facts) { f.Fresh = true }
	sellerUnknown := func(f *facts.Facts) { f.Custody.Account = custody.Account{} }
	aside := func(f *facts.Facts) {
		f.Custody.Aside = &custody.Grant{RefreshToken: "other RT", Account: custody.Account{ID: "5"}, Tokens: tokens("other")}
		f.Custody.Account.ID = "5"
	}
	ended := func(f *facts.Facts) { f.Custody.Candidate.Tokens.ExpiresAt = noon }
	pollLater := func(f *facts.Facts) { f.PollAt = noon.Add(time.Second) }
	linked := func(f *facts.Facts) {
		f.ShownTicket = signin.Hash("ticket")
		f.Custody.SignIn.Tickets = []custody.Ticket{{Hash: signin.Hash("ticket"), ExpiresAt: noon.Add(time.Hour)}}
	}
	inSecret := func(f *facts.Facts) { f.LinksInSecret = true }
	holding := func(f *facts.Facts) { f.HoldsSignIn = true }
	taken := func(f *facts.Facts) { f.PlaceTaken = "another Secret is there" }
	lost := func(ahead time.Duration) change {
		return func(f *facts.Facts) {
			f.Custody.Journal = &custody.Journal{StartedAt: noon, LastAt: noon.Add(ahead), Attempts: 1, Lost: true}
		}
	}
	others := func(f *facts.Facts) {
		f.Custody.Tokens.RenewAt = noon
		f.Custody.Journal = &custody.Journal{StartedAt: noon, LastAt: noon, Attempts: 1, Holder: "another process"}
	}
	due := func(f *facts.Facts) { f.Custody.Tokens.RenewAt = noon }
	endless := func(ago time.Duration) change {
		return func(f *facts.Facts) {
			f.Custody.Tokens.IssuedAt, f.Custody.Tokens.RenewAt, f.Custody.Tokens.ExpiresAt = noon.Add(-ago), renewal.Never, renewal.Never
		}
	}
	for name, test := range map[string]struct {
		facts facts.Facts
		want  string // one after another, each tried once
	}{
		"an account that works":                                  {with(importing), nothing},
		"tokens whose time has come":                             {with(importing, due), "Renew, " + nothing},
		"tokens whose time has come, while suspended":            {with(importing, due, suspended), nothing},
		"tokens that another process is renewing":                {with(importing, others), nothing},
		"what it refers to is not in order":                      {with(importing, due, unresolved), "Publish"},
		"it is not in order, and there are no tokens":            {with(importing, dead, unresolved), ""},
		"a device code has become tokens":                        {with(deviceCode, func(f *facts.Facts) { f.Approved = true }), "StoreApproval, " + nothing},
		"a sign-in whose ID token was not verified":              {with(code, candidate(2, ""), unverified), "VerifyIDToken, " + nothing},
		"one whose ID token was verified in this look":           {with(code, candidate(2, ""), unverified, verified), "Identify, " + nothing},
		"a sign-in of whom nobody has told":                      {with(code, candidate(2, "")), "Identify, " + nothing},
		"one whose tokens have ended by now":                     {with(code, candidate(2, ""), ended), "DecideCandidate, " + nothing},
		"one of the expected seller":                             {with(code, candidate(2, "17")), "DecideCandidate, " + nothing},
		"one of anybody, where anybody will do":                  {with(code, candidate(2, ""), sellerUnknown, nameless), "DecideCandidate, Publish"},
		"one of another seller":                                  {with(code, candidate(2, "5")), "DecideCandidate, " + nothing},
		"one of another seller whose ID token was not verified":  {with(code, candidate(2, "5"), unverified), "VerifyIDToken, " + nothing},
		"an import of another seller":                            {with(importing, candidate(0, "5")), nothing},
		"one, while suspended":                                   {with(code, candidate(2, ""), suspended), nothing},
		"one whose platform tells of no seller":                  {with(code, candidate(2, ""), nameless), nothing},
		"an import of whom nobody has told":                      {with(importing, candidate(0, "")), "Identify, " + nothing},
		"one whose tokens have ended, of an import":              {with(importing, candidate(0, ""), ended), "Renew, " + nothing},
		"one of another seller whose tokens have ended":          {with(importing, candidate(0, "5"), ended), nothing},
		"tokens that have just come, and are somebody's":         {with(importing, fresh, sellerUnknown), "Identify, Publish"},
		"tokens that have just come, and are the known seller's": {with(importing, fresh), nothing},
		"tokens of before that are somebody's":                   {with(importing, sellerUnknown), "Publish"},
		"the spec names the seller of a grant set aside":         {with(importing, aside, expects("5")), "UseAside, " + nothing},
		"it does, while suspended":                               {with(importing, aside, expects("5"), suspended), nothing},
		"a refresh token that rests":                             {with(importing, lost(0)), nothing},
		"one that rests by a clock that was set back":            {with(importing, lost(time.Hour)), "CountRestFromNow, " + nothing},
		"a login that waits":                                     {with(login, doubted(0)), nothing},
		"one that waits by a clock that was set back":            {with(login, doubted(time.Hour)), "CountRestFromNow, " + nothing},
		"nobody has signed in with a device code":                {with(deviceCode, dead), "StartCode, FindDuplicate"},
		"nobody has, and it is not time for another":             {with(deviceCode, dead, pollLater), "FindDuplicate"},
		"nobody has, and a code waits":                           {with(deviceCode, dead, device), "Poll, FindDuplicate"},
		"a code waits, and it is not time to ask":                {with(deviceCode, dead, device, pollLater), "FindDuplicate"},
		"a code waits, and somebody asks for another":            {with(deviceCode, dead, device, signInAsked), "StartCode, FindDuplicate"},
		"a code that has ended, at once":                         {with(deviceCode, dead, device, pollLater, func(f *facts.Facts) { f.Custody.SignIn.Device.ExpiresAt = noon }), "StartCode, FindDuplicate"},
		"twelve codes that nobody has used":                      {with(deviceCode, dead, func(f *facts.Facts) { f.Custody.SignIn.Unattended = facts.MaxUnattended }), "FindDuplicate"},
		"nobody has signed in at a browser":                      {with(code, dead), "OfferLink, FindDuplicate"},
		"nobody has, and the status shows a link":                {with(code, dead, linked), "FindDuplicate"},
		"nobody has, and there is no portal":                     {with(code, dead, linked, func(f *facts.Facts) { f.Link = "" }), "OfferLink, FindDuplicate"},
		"nobody has, and the link stands in a Secret":            {with(code, dead, linked, inSecret), "FindDuplicate, PublishSignIn"},
		"nobody has, and that Secret shows no link yet":          {with(code, dead, inSecret), "OfferLink, FindDuplicate, PublishSignIn"},
		"nobody has, and the place of that Secret is taken":      {with(code, dead, inSecret, taken), "FindDuplicate, PublishSignIn"},
		"it is taken, and somebody asks for another link":        {with(code, linked, signInAsked, inSecret, taken), nothing + ", PublishSignIn"},
		"it is taken, and there is no portal":                    {with(code, dead, inSecret, taken, func(f *facts.Facts) { f.Link = "" }), "OfferLink, FindDuplicate, PublishSignIn"},
		"nobody has with a code, and its place is taken":         {with(deviceCode, dead, inSecret, taken), "FindDuplicate, PublishSignIn"},
		"a code waits in a Secret":                               {with(deviceCode, dead, device, pollLater, inSecret), "FindDuplicate, PublishSignIn"},
		"a link stands in a Secret that nobody needs":            {with(code, inSecret, holding), nothing + ", PublishSignIn"},
		"it does, and links stand in the status now":             {with(code, holding), nothing + ", PublishSignIn"},
		"nobody needs a link, and there is none":                 {with(code, inSecret), nothing},
		"nobody has, while suspended":                            {with(code, dead, inSecret, suspended), "FindDuplicate"},
		"it is not in order, and a link stands in a Secret":      {with(code, dead, inSecret, holding, unresolved), ""},
		"somebody asks for another link":                         {with(code, linked, signInAsked), "OfferLink, " + nothing},
		"the tokens are of another seller than the spec names":   {with(code, expects("5"), linked), "FindDuplicate"},
		"somebody asks for a test":                               {with(importing, asks(v1alpha1.AnnotationVerify)), nothing + ", Test"},
		"a token without an end that came a day ago":             {with(importing, endless(24*time.Hour)), nothing + ", Test"},
		"a token without an end that came later":                 {with(importing, endless(24*time.Hour-time.Second)), nothing},
		"somebody asks for a test, while suspended":              {with(importing, asks(v1alpha1.AnnotationVerify), suspended), nothing},
		"somebody asks for a test of a token that was refused":   {with(importing, asks(v1alpha1.AnnotationVerify), refused), "Renew, " + nothing + ", RecordRefusedToken"},
		"a test that did not reach the marketplace": {with(importing, asks(v1alpha1.AnnotationVerify), func(f *facts.Facts) {
			f.Account.Status.Handled = &v1alpha1.HandledStatus{Verify: "now"}
			f.Custody.Verified = &custody.Verification{At: noon.Add(-facts.Retest), Unreachable: true}
		}), nothing + ", Test"},
		"a test that did not reach it a moment ago": {with(importing, asks(v1alpha1.AnnotationVerify), func(f *facts.Facts) {
			f.Account.Status.Handled = &v1alpha1.HandledStatus{Verify: "now"}
			f.Custody.Verified = &custody.Verification{At: noon.Add(-facts.Retest + time.Second), Unreachable: true}
		}), nothing},
		"a login that works":                         {with(login), nothing},
		"Secrets of users were recalled":             {with(importing, recalled), nothing},
		"they were, and tokens are due":              {with(importing, recalled, due), "ReadSecrets, Renew, " + nothing},
		"they were, and somebody asks for a test":    {with(importing, recalled, asks(v1alpha1.AnnotationVerify)), "Publish, FindDuplicate, ReadSecrets, Test"},
		"they were, and a refusal may stand":         {with(importing, recalled, func(f *facts.Facts) { f.Custody.RefusedImport = &custody.Refusal{} }), "ReadSecrets, " + nothing},
		"they were, and a reference is not in order": {with(importing, recalled, due, unresolved), "Publish"},
	} {
		t.Run(name, func(t *testing.T) {
			var done []string
			for tried := lifecycle.Actions(0); ; {
				action := lifecycle.Next(&test.facts, tried)
				if action == lifecycle.Wait {
					break
				}
				done, tried = append(done, action.String()), tried.With(action)
			}
			if got := strings.Join(done, ", "); got != test.want {
				t.Errorf("it is %s, want %s", got, test.want)
			}
		})
	}
	everything := with(code, dead)
	if got := lifecycle.Next(&everything, lifecycle.Every); got != lifecycle.Wait {
		t.Errorf("where every action was tried, %s is next", got)
	}
	if got := lifecycle.Next(&everything, lifecycle.AllBut(lifecycle.OfferLink)); got != lifecycle.OfferLink {
		t.Errorf("where every action was tried but one, %s is next", got)
	}
}

// TestWhoLooksAtASignIn: the process that has taken it, as long as that may take, since a person waits there.
func TestWhoLooksAtASignIn(t *testing.T) {
	for name, test := range map[string]struct {
		facts facts.Facts
		rests bool
	}{
		"one that has just come":                    {with(v1alpha1.GrantAuthorizationCode, candidate(2, ""), came(0)), true},
		"one that came a moment ago":                {with(v1alpha1.GrantAuthorizationCode, candidate(2, ""), came(2*timeouts.Identify-time.Second)), true},
		"one that came two identity requests ago":   {with(v1alpha1.GrantAuthorizationCode, candidate(2, ""), came(2*timeouts.Identify)), false},
		"one that will have come, by another clock": {with(v1alpha1.GrantAuthorizationCode, candidate(2, ""), came(-time.Second)), false},
		"an import, where nobody waits":             {with(v1alpha1.GrantRefreshToken, candidate(0, ""), came(0)), false},
		"none":                                      {with(v1alpha1.GrantAuthorizationCode), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := lifecycle.CandidateRests(&test.facts); got != test.rests {
				t.Errorf("another process looks at it: %t", got)
			}
			o := lifecycle.Conclusion(&test.facts)
			if (o.LookAgain > 0) != test.rests {
				t.Errorf("it is looked at again in %s", o.LookAgain)
			}
		})
	}
}

func came(ago time.Duration) change {
	return func(f *facts.Facts) { f.Custody.Candidate.Tokens.IssuedAt = noon.Add(-ago) }
}

// TestWhatALookConcludes: requests that there is nothing to act on with are handled, and a person is told what to sign in by.
func TestWhatALookConcludes(t *testing.T) {
	const code, importing, deviceCode = v1alpha1.GrantAuthorizationCode, v1alpha1.GrantRefreshToken, v1alpha1.GrantDeviceCode
	asks := func(annotation string) change {
		return func(f *facts.Facts) { f.Account.Annotations[annotation] = "now" }
	}
	shown := func(f *facts.Facts) {
		f.ShownTicket, f.CallbackURL = signin.Hash("ticket"), "https://portal.example/callback/allegro"
		f.Account.Status.SignIn = &v1alpha1.SignInStatus{URL: "https://portal.example/sign-in?ticket=ticket"}
		f.Custody.SignIn.Tickets = []custody.Ticket{{Hash: signin.Hash("ticket"), ExpiresAt: noon.Add(time.Hour)}}
	}
	for name, test := range map[string]struct {
		facts         facts.Facts
		renew, verify bool
		invitation    string
		postponed     time.Time
	}{
		"an account that works":                       {facts: with(importing)},
		"a request that can be acted on":              {facts: with(importing, asks(v1alpha1.AnnotationRenew))},
		"a request where nobody has signed in":        {facts: with(code, dead, asks(v1alpha1.AnnotationRenew)), renew: true},
		"a test of a token":                           {facts: with(importing, asks(v1alpha1.AnnotationVerify))},
		"a test where there is no token, nor will be": {facts: with(code, dead, asks(v1alpha1.AnnotationVerify)), verify: true},
		"a test where there will be one":              {facts: with(importing, asks(v1alpha1.AnnotationVerify), func(f *facts.Facts) { f.Custody.Tokens = nil })},
		"a link":                                      {facts: with(code, dead, shown), invitation: "https://portal.example/sign-in?ticket=ticket"},
		"a link, and there is no portal":              {facts: with(code, dead, shown, func(f *facts.Facts) { f.Link = "" })},
		"a link that nobody needs":                    {facts: with(code, shown)},
		"no link yet":                                 {facts: with(code, dead)},
		"a code":                                      {facts: with(deviceCode, dead, device, func(f *facts.Facts) { f.Custody.SignIn.Device.URL = "https://allegro.example/device" }), invitation: "https://allegro.example/device"},
		"no code":                                     {facts: with(deviceCode, dead)},
		"its references are not in order":             {facts: with(code, dead, shown, func(f *facts.Facts) { f.Unresolved = true })},
		"another process is renewing": {facts: with(importing, func(f *facts.Facts) {
			f.Custody.Tokens.RenewAt = noon
			f.Custody.Journal = &custody.Journal{StartedAt: noon, LastAt: noon, Attempts: 1, Holder: "another process"}
		}), postponed: noon.Add(80 * time.Second)},
	} {
		t.Run(name, func(t *testing.T) {
			o := lifecycle.Conclusion(&test.facts)
			url := ""
			if o.Invitation != nil {
				url = o.Invitation.URL
			}
			if o.HandledRenew != test.renew || o.HandledVerify != test.verify || url != test.invitation || !o.Postponed.Equal(test.postponed) || o.Invited == test.facts.Unresolved {
				t.Errorf("it is %+v", o)
			}
		})
	}
}

// TestOutcomesOfALook: the next step's is told with those before.
func TestOutcomesOfALook(t *testing.T) {
	why := func(reason string) *facts.Failure { return &facts.Failure{Reason: reason} }
	in := func(wait time.Duration) lifecycle.Outcome { return lifecycle.Outcome{LookAgain: wait} }
	for name, test := range map[string]struct {
		first, next, want time.Duration
	}{
		"nothing to look at again":  {0, 0, 0},
		"the first has":             {time.Minute, 0, time.Minute},
		"the next has":              {0, time.Minute, time.Minute},
		"the sooner is the first's": {time.Minute, time.Hour, time.Minute},
		"the sooner is the next's":  {time.Hour, time.Minute, time.Minute},
	} {
		if got := in(test.first).With(in(test.next)).LookAgain; got != test.want {
			t.Errorf("%s: in %s, want %s", name, got, test.want)
		}
	}
	for name, test := range map[string]struct {
		first, next         lifecycle.Outcome
		failure             string
		attempted, obtained bool
		keepsFormer         bool
	}{
		"an attempt tells more than what was known": {lifecycle.Outcome{Failure: why("A")}, lifecycle.Outcome{Attempted: true, Failure: why("B")}, "B", true, false, false},
		"an attempt that says no more":              {lifecycle.Outcome{Failure: why("A")}, lifecycle.Outcome{Attempted: true}, "", true, false, false},
		"tokens end what was wrong":                 {lifecycle.Outcome{Attempted: true, Failure: why("A")}, lifecycle.Outcome{Obtained: true}, "", false, true, false},
		"what is wrong besides does not count more": {lifecycle.Outcome{Failure: why("A")}, lifecycle.Outcome{Failure: why("B")}, "A", false, false, false},
		"what is wrong besides counts alone":        {lifecycle.Outcome{Obtained: true}, lifecycle.Outcome{Failure: why("B")}, "B", false, true, false},
		"tokens end what was wrong, and wait":       {lifecycle.Outcome{Obtained: true}, lifecycle.Outcome{KeepsFormer: true}, "", false, true, true},
		"newer tokens do not wait":                  {lifecycle.Outcome{KeepsFormer: true}, lifecycle.Outcome{Obtained: true}, "", false, true, false},
	} {
		got := test.first.With(test.next)
		reason := ""
		if got.Failure != nil {
			reason = got.Failure.Reason
		}
		if reason != test.failure || got.Attempted != test.attempted || got.Obtained != test.obtained || got.KeepsFormer != test.keepsFormer {
			t.Errorf("%s: %s, attempted %t, obtained %t, keeps the former %t", name, reason, got.Attempted, got.Obtained, got.KeepsFormer)
		}
	}
	closed := lifecycle.Outcome{LimiterClosed: true}
	if !(lifecycle.Outcome{}).With(closed).LimiterClosed || (lifecycle.Outcome{Failure: why("A")}).With(closed).LimiterClosed {
		t.Error("the limiter holds a healthy account, and no other")
	}
}

// TestWhatIsOnRecordBeforeATokenIsSent, of one that works once (docs/faults.md).
func TestWhatIsOnRecordBeforeATokenIsSent(t *testing.T) {
	const importing = v1alpha1.GrantRefreshToken
	entryOf := func(imported string) change {
		return func(f *facts.Facts) {
			f.Custody.ImportJournal = &custody.Journal{StartedAt: noon.Add(-time.Hour), LastAt: noon.Add(-time.Hour), Attempts: 1, Imported: imported, Holder: "process-1", Lost: true}
		}
	}
	noGrant := func(f *facts.Facts) { f.Custody.RefreshToken, f.Custody.Imported = "", "" }
	for name, test := range map[string]struct {
		facts    facts.Facts
		attempts int
		spent    string
	}{
		"a renewal": {with(importing), 1, ""},
		"a renewal, whatever is known of an import": {with(importing, entryOf("second import")), 1, ""},
		"an import": {with(importing, imports("second import")), 1, ""},
		"an import after another that may be spent": {with(importing, imports("third import"), entryOf("second import")), 1, "second import"},
		"an import, once more":                      {with(importing, imports("second import"), entryOf("second import"), noGrant), 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			sending := lifecycle.BeforeSending(test.facts)
			if sending.Forbidden || sending.Entry == nil || sending.Entry.Attempts != test.attempts || !sending.Entry.LastAt.Equal(noon) || sending.Entry.Holder != "process-1" {
				t.Fatalf("on record is %+v, forbidden %t", sending.Entry, sending.Forbidden)
			}
			if got := strings.Join(sending.Store.SpentImports, " "); got != test.spent {
				t.Errorf("spent may be %q, want %q", got, test.spent)
			}
		})
	}
	if sending := lifecycle.BeforeSending(with(importing, static)); sending.Entry != nil || sending.Store != nil || sending.Forbidden {
		t.Error("of a token that works twice something is on record")
	}
}

// TestAnUnprovenTokenIsNotSent with an application that the account shares with others. One that the user has brought is sent.
func TestAnUnprovenTokenIsNotSent(t *testing.T) {
	const importing = v1alpha1.GrantRefreshToken
	shared := func(f *facts.Facts) { f.Request.Shared, f.Custody.Grant.Unproven = true, true }
	sending := lifecycle.BeforeSending(with(importing, shared))
	if o := sending.NotStored(); !sending.Forbidden || sending.Store != nil || o.Failure == nil || o.Failure.Reason != v1alpha1.ReasonSignInRequired {
		t.Errorf("it is forbidden: %t, stored is %+v, and it says %+v", sending.Forbidden, sending.Store, o.Failure)
	}
	if sending := lifecycle.BeforeSending(with(importing, shared, imports("second import"))); sending.Forbidden || sending.Entry == nil {
		t.Errorf("an import is forbidden: %t, on record is %+v", sending.Forbidden, sending.Entry)
	}
}

// TestLastResortsAreCounted: by their number they are told apart from a second use, and their waits grow (docs/faults.md).
func TestLastResortsAreCounted(t *testing.T) {
	f := with(v1alpha1.GrantRefreshToken, func(f *facts.Facts) {
		f.Custody.Journal = &custody.Journal{StartedAt: noon, LastAt: noon, Attempts: 1, Holder: "process-1", Lost: true}
	})
	lost := &answer.Error{Kind: answer.Unavailable, OutcomeUnknown: true}
	for n, want := range []time.Duration{90 * time.Second, 3 * time.Minute, 6 * time.Minute} {
		f.Now = f.Custody.Tokens.ExpiresAt.Add(time.Duration(n) * time.Hour)
		sending := lifecycle.BeforeSending(f)
		if sending.Forbidden || sending.Entry.LastResorts != n+1 || sending.Entry.Attempts != n+2 || !sending.Entry.LastAt.Equal(f.Now) {
			t.Fatalf("on record of last resort %d is %+v", n+1, sending.Entry)
		}
		f.Custody = *sending.Store
		if change := lifecycle.AfterFailure(f, lost, true); change.Store != nil {
			f.Custody = *change.Store
		}
		if at, never := f.NextUse(); never != "" || !at.Equal(f.Now.Add(want)) {
			t.Errorf("after last resort %d the next is in %s, want %s", n+1, at.Sub(f.Now), want)
		}
	}
}

// TestATokenOfABackup is not sent before a person says so, and the account says what its grant Secret is (cases C62).
func TestATokenOfABackup(t *testing.T) {
	const importing = v1alpha1.GrantRefreshToken
	restored := func(f *facts.Facts) { f.Custody.Restored = &custody.Restored{} }
	moved := func(f *facts.Facts) { f.Custody.Restored = &custody.Restored{Moved: true} }
	seen := func(at time.Time) change {
		return func(f *facts.Facts) {
			f.Account.Status.AccessToken = &v1alpha1.AccessTokenStatus{IssuedTime: metav1.NewTime(at)}
		}
	}
	for name, test := range map[string]struct {
		facts    facts.Facts
		says     string
		ofImport bool
	}{
		"older than the status tells":                      {with(importing, restored, seen(noon)), "is older than the token of 2026-03-02 12:00:00 UTC that this account had", false},
		"older, of a status that does not tell since when": {with(importing, restored, seen(time.Time{})), "is older than what this account had", false},
		"older, of an account that has no status":          {with(importing, restored), "is older than what this account had", false},
		"of another account":                               {with(importing, moved, seen(noon)), "was written for another account or in another cluster", false},
		"that holds an import which may be sent":           {with(importing, restored, imports("second import")), "is older than what this account had", true},
	} {
		t.Run(name, func(t *testing.T) {
			sending := lifecycle.BeforeSending(test.facts)
			o := sending.NotStored()
			if !sending.Forbidden || o.Failure == nil || o.Failure.Reason != v1alpha1.ReasonRenewalOutcomeUnknown || !strings.Contains(o.Failure.Message, test.says) {
				t.Fatalf("forbidden %t, it says %+v", sending.Forbidden, o.Failure)
			}
			kept := sending.Store
			refused := kept.Refused
			if test.ofImport {
				refused = kept.RefusedImport
			}
			if refused == nil || !refused.Restored || !kept.Restored.Told || kept.Restored.Imported != test.facts.Request.Imported.RefreshToken || (kept.RefusedImport != nil) != test.ofImport {
				t.Errorf("kept is %+v", kept)
			}
			test.facts.Custody = *kept
			test.facts.Account.Annotations[v1alpha1.AnnotationRenew] = "later"
			if sending := lifecycle.BeforeSending(test.facts); sending.Forbidden || sending.Entry.Attempts != 1 || sending.Former != nil {
				t.Errorf("after a person has said so it is forbidden: %t, on record is %+v", sending.Forbidden, sending.Entry)
			}
		})
	}
}

// TestWhatCouldNotBeStoredBefore is told once it is: tokens that have come, and whether they are the first.
func TestWhatCouldNotBeStoredBefore(t *testing.T) {
	pending := func(serial int64, access string) custody.Custody {
		next := custody.Custody{Serial: serial, Grant: custody.Grant{Tokens: tokens(access)}}
		if access == "" {
			next.Tokens = nil
		}
		return next
	}
	for name, test := range map[string]struct {
		facts           facts.Facts
		next            custody.Custody
		obtained, first bool
	}{
		"the first tokens":         {with(v1alpha1.GrantRefreshToken, dead), pending(1, "AT"), true, true},
		"later tokens":             {with(v1alpha1.GrantRefreshToken), pending(5, "next AT"), true, false},
		"the same tokens":          {with(v1alpha1.GrantRefreshToken), pending(5, "AT"), false, false},
		"a custody without tokens": {with(v1alpha1.GrantRefreshToken), pending(5, ""), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			change := lifecycle.StorePending(test.facts, test.next)
			if _, o, _ := change.Stored(test.facts, *change.Store); o.Obtained != test.obtained || o.First != test.first {
				t.Errorf("obtained %t, the first %t", o.Obtained, o.First)
			}
		})
	}
}
