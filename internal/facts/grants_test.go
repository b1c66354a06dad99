package facts

import (
	"strings"
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
)

// waiting has a grant wait to be accepted, of a sign-in or an import, and of a seller; none means that nobody has told.
func waiting(consent int64, imported, seller string) change {
	return func(f *Facts) {
		f.Custody.Candidate = &custody.Grant{
			RefreshToken: "new rt", Consent: consent, Imported: imported, ClientID: "app", Account: custody.Account{ID: seller, By: "identity"},
			Tokens: &custody.Tokens{AccessToken: "new at", For: "key", ExpiresAt: morning.Add(time.Second)},
		}
	}
}

// ended has the access token of the grant that waits end now.
func ended(f *Facts) { f.Custody.Candidate.Tokens.ExpiresAt = morning }

func aside(seller, subject string) change {
	return func(f *Facts) {
		f.Custody.Aside = &custody.Grant{RefreshToken: "other rt", Account: custody.Account{ID: seller, By: "identity"}, Subject: subject}
	}
}

// refused has the marketplace refuse what is sent today; requests of any kind do not change that.
func refused(reason string) change {
	return func(f *Facts) {
		refusal := custody.Refusal{Reason: reason, Message: "refused: " + reason}.WithDigest(f.Custody.RefusalDigest(f.RefusedParts(reason)), nil)
		f.Custody.Refused = &refusal
	}
}

// thenApplication has the marketplace refuse the application after what it has refused before; that application serves other accounts again.
func thenApplication(f *Facts) {
	refusal := custody.Refusal{Reason: v1alpha1.ReasonApplicationRejected}.WithDigest(f.Custody.RefusalDigest(f.Request.ClientParts()), f.Custody.Refused)
	f.Custody.Refused, f.AsksAgain = &refusal, true
}

func importRefused(reason string) change {
	return func(f *Facts) {
		imported := f.Request.Imported.RefreshToken
		refusal := custody.Refusal{Reason: reason, Message: "import refused", Imported: imported}
		refusal = refusal.WithDigest(f.Custody.RefusalDigest(f.Request.TokenParts(imported)), nil)
		f.Custody.RefusedImport = &refusal
	}
}

func signInRefused(reason string) change {
	return func(f *Facts) {
		refusal := custody.Refusal{Reason: reason, Message: "sign-in refused"}.WithDigest(f.Custody.RefusalDigest(f.SignInParts(reason)), nil)
		f.Custody.SignIn.Refused = &refusal
	}
}

func importRests(f *Facts) {
	f.Custody.ImportJournal = &custody.Journal{StartedAt: morning, LastAt: morning, Imported: f.Request.Imported.RefreshToken, Attempts: 1, Lost: true}
}

func spent(imported string) change {
	return func(f *Facts) { f.Custody = f.Custody.WithSpentImport(imported) }
}

func noRefreshToken(f *Facts) { f.Custody.RefreshToken = "" }

func otherApplication(f *Facts) { f.Request.Application.ClientID = "other app" }

// unresolved is an account whose Marketplace is not there.
func unresolved(f *Facts) { f.Request = Request{Grant: f.Request.Grant} }

// otherServer is an account whose author has chosen another host.
func otherServer(f *Facts) {
	f.Custody.From = f.Request.Origin()
	if f.Custody.Candidate != nil {
		f.Custody.Candidate.From = f.Custody.From
	}
	if f.Custody.SignIn.Device != nil {
		f.Custody.SignIn.Device.From = f.Custody.From
	}
	platform := *f.Request.Platform
	platform.ChosenHosts = "another"
	f.Request.Platform = &platform
}

func endlessToken(f *Facts) {
	f.Custody.Tokens.ExpiresAt, f.Custody.Tokens.RenewAt = renewal.Never, renewal.Never
}

func restored(f *Facts) { f.Custody.Restored = &custody.Restored{Told: true} }

// neverSignedIn is an account before its first sign-in.
func neverSignedIn(f *Facts) { f.Custody = custody.Custody{RefusalKey: f.Custody.RefusalKey} }

func TestWhichRefreshTokenIsSent(t *testing.T) {
	for name, test := range map[string]struct {
		facts Facts
		want  string
	}{
		"the one in use, whose beginning is in the Secret":       {working(importing), "rt"},
		"another one that the user has brought":                  {working(importing, imports("two")), "two"},
		"not one that was refused":                               {working(importing, imports("two"), importRefused(v1alpha1.ReasonGrantRejected)), "rt"},
		"not one that is the candidate already":                  {working(importing, imports("two"), waiting(0, "two", theSeller)), "rt"},
		"another one than the candidate's":                       {working(importing, imports("three"), waiting(0, "two", theSeller)), "three"},
		"not one whose answer was lost, while the other goes on": {working(importing, imports("two"), importRests), "rt"},
		"not one that was used up before, as a rollback brings":  {working(importing, imports("two"), spent("two")), "rt"},
		"the user has taken the import away":                     {working(importing, imports("")), "rt"},
		"what an import has become whose account nobody told":    {working(importing, imports("two"), spent("two"), waiting(0, "two", ""), ended), "new rt"},
		"not that where it was refused":                          {working(importing, imports("two"), waiting(0, "two", ""), ended, importRefused(v1alpha1.ReasonGrantRejected)), "rt"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.facts.RefreshToken(); got != test.want {
				t.Errorf("%s is sent, want %s", got, test.want)
			}
		})
	}
	holds(t, (*Facts).ImportUsedBefore, rows{
		"an import that was used up":        {working(importing, imports("two"), spent("two")), true},
		"an import that is new":             {working(importing, imports("two"), spent("one")), false},
		"the import that is in use":         {working(importing, spent("import")), false},
		"one that has become the candidate": {working(importing, imports("two"), spent("two"), waiting(0, "two", theSeller)), false},
		"one whose candidate has ended":     {working(importing, imports("two"), spent("two"), waiting(0, "two", ""), ended), false},
		"no import":                         {working(signsIn, spent("two")), false},
	})
}

func TestWhichGrantWaits(t *testing.T) {
	holds(t, func(f *Facts) bool { return f.CandidateGrant() != nil }, rows{
		"none":                                  {working(signsIn), false},
		"that of a sign-in":                     {working(signsIn, waiting(2, "", "")), true},
		"one before the last one accepted":      {working(signsIn, waiting(1, "", "")), false},
		"one for another application":           {working(signsIn, waiting(2, "", ""), otherApplication), false},
		"one of another server":                 {working(signsIn, waiting(2, "", ""), otherServer), false},
		"while the Marketplace is not resolved": {working(signsIn, waiting(2, "", ""), unresolved, func(f *Facts) { f.Custody.Candidate.ClientID = "" }), false},
		"of a sign-in where nobody does":        {working(importing, waiting(2, "import two", "")), false},
		"that of an import":                     {working(importing, imports("two"), waiting(0, "two", "")), true},
		"of an import that the user withdrew":   {working(importing, imports("three"), waiting(0, "two", "")), false},
		"of an import that is in use by now":    {working(importing, waiting(0, "import", "")), false},
		"that of a login":                       {working(byLogin, waiting(0, "", "")), true},
		"of a login that was edited since":      {working(byLogin, waiting(0, "", ""), func(f *Facts) { f.Request.Key = "other key" }), false},
		"that of an import whose token ended":   {working(importing, imports("two"), waiting(0, "two", ""), ended), false},
		"that of a login whose token ended":     {working(byLogin, waiting(0, "", ""), ended), true},
		"that of a sign-in whose token ended":   {working(signsIn, waiting(2, "", ""), ended), true},
	})
}

// TestWhichGrantIsRenewedWhileItWaits: that of an import that is spent, of which nobody said in time whose it is.
func TestWhichGrantIsRenewedWhileItWaits(t *testing.T) {
	waits := func(changes ...change) Facts {
		return working(importing, append([]change{imports("two"), spent("two"), waiting(0, "two", ""), ended}, changes...)...)
	}
	nobody := func(f *Facts) { f.Custody.Account = custody.Account{} }
	shared := func(f *Facts) { f.Request.Shared = true }
	unproven := func(f *Facts) { f.Custody.Candidate.Unproven = true }
	holds(t, func(f *Facts) bool { return f.EndedCandidate() != nil }, rows{
		"none waits":                                                  {working(importing, imports("two")), false},
		"its token has ended":                                         {waits(), true},
		"its token has not ended":                                     {working(importing, imports("two"), waiting(0, "two", "")), false},
		"of a sign-in":                                                {working(importing, imports("two"), waiting(2, "two", ""), ended), false},
		"without a refresh token":                                     {waits(func(f *Facts) { f.Custody.Candidate.RefreshToken = "" }), false},
		"of another seller, which waits for an edit":                  {waits(func(f *Facts) { f.Custody.Candidate.Account.ID = anotherOne }), false},
		"the user has withdrawn the import":                           {waits(imports("three")), false},
		"the import is in use by now":                                 {waits(func(f *Facts) { f.Custody.Imported = "two" }), false},
		"for another application":                                     {waits(otherApplication), false},
		"of another server":                                           {waits(otherServer), false},
		"while the Marketplace is not resolved":                       {waits(unresolved, imports("two")), false},
		"refresh tokens do not rotate":                                {waits(static), false}, // the import can be sent again
		"the marketplace names no seller":                             {waits(nameless, func(f *Facts) { f.Custody.Candidate.From = f.Request.Origin() }), false},
		"anybody is expected":                                         {waits(nobody), false},
		"nobody knows who wrote it":                                   {waits(unproven), true},
		"with the application of many":                                {waits(shared), true},
		"with the application of many, and nobody knows who wrote it": {waits(shared, unproven), false},
	})
	f := waits()
	if plan := f.Plan(); !plan.Due || f.CannotRenew() || f.PermanentFailure() != nil {
		t.Errorf("it is not renewed: %+v, %+v", plan, f.PermanentFailure())
	}
}

// TestARefreshTokenThatStays: some platforms give none with a second consent, since the first one still works.
func TestARefreshTokenThatStays(t *testing.T) {
	of := func(seller string) custody.Grant { return custody.Grant{Account: custody.Account{ID: seller}} }
	for name, test := range map[string]struct {
		facts Facts
		next  custody.Grant
		want  bool
	}{
		"the same seller signed in again":           {working(signsIn), of(theSeller), true},
		"another seller signed in":                  {working(signsIn), of(anotherOne), false},
		"nobody knows who signed in":                {working(signsIn), of(""), false},
		"nobody knows whose either is":              {working(signsIn, func(f *Facts) { f.Custody.Account.ID = "" }), of(""), false},
		"there is none":                             {working(signsIn, noRefreshToken), of(theSeller), false},
		"it is of a backup, and may be spent":       {working(signsIn, restored), of(theSeller), false},
		"the marketplace had refused it before":     {working(signsIn, refused(v1alpha1.ReasonGrantRejected)), of(theSeller), false},
		"the marketplace refused the scopes before": {working(signsIn, refused(v1alpha1.ReasonScopeRejected)), of(theSeller), true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.facts.MayKeepRefreshToken(test.next); got != test.want {
				t.Errorf("it stays: %t", got)
			}
		})
	}
}

// TestWhichSellerIsExpected is the pin: the account that the spec names, else the one seen first (cases C61).
func TestWhichSellerIsExpected(t *testing.T) {
	told := func(id, by string) custody.Account { return custody.Account{ID: id, By: by} }
	unknown := func(f *Facts) { f.Custody.Account = custody.Account{} }
	byClaim := func(f *Facts) {
		platform := *f.Request.Platform
		platform.AccountIDClaim = "user_name"
		f.Request.Platform, f.Custody.Account.By = &platform, platform.ByClaim()
	}
	for name, test := range map[string]struct {
		facts Facts
		told  custody.Account
		want  bool
	}{
		"another one, where what told the first could have told": {working(signsIn, byClaim), told(anotherOne, "identity request"), false},
		"the one seen first": {working(signsIn), told(theSeller, "identity"), true},
		"another one":        {working(signsIn), told(anotherOne, "identity"), false},
		"another name for it, by a source that tells otherwise":      {working(signsIn), told(anotherOne, "claim"), true},
		"another name for it, while the Marketplace is not resolved": {working(signsIn, unresolved), told(anotherOne, "claim"), true},
		"anybody, before the first":                                  {working(signsIn, unknown), told(anotherOne, "identity"), true},
		"the one that the spec names":                                {working(signsIn, expects("17")), told("17", "claim"), true},
		"another than the spec names, whatever the source":           {working(signsIn, expects("17")), told(anotherOne, "claim"), false},
		"the one seen first, where the spec names another since":     {working(signsIn, expects("17")), told(theSeller, "identity"), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.facts.ExpectsAccount(test.told); got != test.want {
				t.Errorf("it is expected: %t", got)
			}
		})
	}
	for by, want := range map[string]bool{"identity": true, "claim": false} {
		f := working(signsIn, waiting(9, "", anotherOne), func(f *Facts) { f.Custody.Candidate.Account.By = by })
		if failure := f.PermanentFailure(); (failure != nil) != want {
			t.Errorf("a grant that waits, told by %s: %+v", by, failure)
		}
	}
	holds(t, (*Facts).AsideIsExpected, rows{
		"nothing was set aside":                                 {working(importing, expects("17")), false},
		"the spec names the account that was set aside":         {working(importing, expects("17"), aside("17", "")), true},
		"the spec names another":                                {working(importing, expects("17"), aside("18", "")), false},
		"the spec names none, and nobody told whose it is":      {working(importing, aside("", "iss sub")), false},
		"the spec names one, and nobody told whose it is":       {working(importing, expects("17"), aside("", "iss sub")), false},
		"the spec names none, and it is known to be of another": {working(importing, aside("18", "")), false},
	})
	holds(t, (*Facts).WrongAccount, rows{
		"the spec names none":            {working(importing), false},
		"the spec names it":              {working(importing, expects(theSeller)), false},
		"the spec names another":         {working(importing, expects(anotherOne)), true},
		"nobody knows whose grant it is": {working(importing, expects(anotherOne), func(f *Facts) { f.Custody.Account.ID = "" }), false},
	})
}

// TestWhatIsWrong has a row for each failure that only a change cures, in the order in which people are told of them.
func TestWhatIsWrong(t *testing.T) {
	const mismatch, signIn, lost = v1alpha1.ReasonAccountMismatch, v1alpha1.ReasonSignInRequired, v1alpha1.ReasonRenewalOutcomeUnknown
	inSecret := func(f *Facts) {
		f.Account.Spec.Grant.RefreshToken = &v1alpha1.RefreshTokenGrant{SecretRef: v1alpha1.SecretReference{Name: "rt-secret"}}
	}
	tests := map[string]struct {
		facts   Facts
		reason  string // empty where nothing is wrong
		message string // part of the message
	}{
		"nothing":               {working(importing), "", ""},
		"nothing, of a sign-in": {working(signsIn), "", ""},
		"nothing, of an application's own tokens":             {working(ownTokens), "", ""},
		"nothing, of a grant of the expected seller":          {working(signsIn, waiting(2, "", theSeller)), "", ""},
		"nothing, of a grant whose seller is asked":           {working(signsIn, waiting(2, "", "")), "", ""},
		"nothing, where any seller will do":                   {working(signsIn, neverSignedIn, waiting(2, "", ""), nameless), "", ""},
		"a grant of another seller waits":                     {working(signsIn, waiting(2, "", anotherOne)), mismatch, "belong to account another, expected is seller; sign in as the expected account"},
		"an import of another seller waits":                   {working(importing, imports("two"), waiting(0, "two", anotherOne)), mismatch, "another, expected is seller; use the credentials of the expected account"},
		"a sign-in was refused, and none came before":         {working(signsIn, neverSignedIn, signInRefused(v1alpha1.ReasonScopeRejected)), v1alpha1.ReasonScopeRejected, "sign-in refused"},
		"a sign-in was refused, and the grant goes on":        {working(signsIn, signInRefused(v1alpha1.ReasonScopeRejected)), "", ""},
		"a renewal brought another seller's tokens":           {working(importing, aside(anotherOne, "")), mismatch, "account another, expected is seller"},
		"a renewal brought tokens of another subject":         {working(importing, aside("", "iss two"), func(f *Facts) { f.Custody.Subject = "iss one" }), mismatch, "account two, expected is one"},
		"a renewal brought them, and a new import is there":   {working(importing, aside(anotherOne, ""), imports("two")), "", ""},
		"a renewal brought them, and the spec names them":     {working(importing, aside(anotherOne, ""), expects(anotherOne), func(f *Facts) { f.Custody.Account.ID = "" }), "", ""},
		"a renewal brought them, and somebody asks again":     {working(importing, aside(anotherOne, ""), static, asked(v1alpha1.AnnotationRenew)), "", ""},
		"a renewal spent the token for them, whoever asks":    {working(importing, aside(anotherOne, ""), asked(v1alpha1.AnnotationRenew)), mismatch, "another"},
		"a renewal of a token that stays, and nobody asks":    {working(importing, aside(anotherOne, ""), static), mismatch, "another"},
		"the spec names another seller than the grant's":      {working(importing, expects(anotherOne)), mismatch, "account seller, expected is another"},
		"the spec names another seller, and an import is new": {working(importing, expects(anotherOne), imports("two")), "", ""},
		"the spec names another seller, for another scope":    {working(importing, expects(anotherOne), func(f *Facts) { f.Request.Key = "other key" }), "", ""},
		"the marketplace refused the grant":                   {working(importing, refused(v1alpha1.ReasonGrantRejected)), v1alpha1.ReasonGrantRejected, "refused: GrantRejected"},
		"it refused another grant than today's":               {working(importing, refused(v1alpha1.ReasonGrantRejected), func(f *Facts) { f.Custody.RefreshToken = "rt 2" }), "", ""},
		"the grant was refused, and the application since":    {working(importing, refused(v1alpha1.ReasonGrantRejected), thenApplication), v1alpha1.ReasonGrantRejected, "Allegro refuses the refresh token: supply one"},
		"the login was refused, and the application since":    {working(byLogin, refused(v1alpha1.ReasonPasswordRejected), thenApplication), v1alpha1.ReasonPasswordRejected, "Allegro has refused user name or password"},
		"the answer to the refresh token was lost":            {working(importing, resting), lost, "its answer was lost"},
		"an import was refused":                               {working(importing, imports("two"), importRefused(v1alpha1.ReasonGrantRejected)), v1alpha1.ReasonGrantRejected, "import refused"},
		"the answer to an import was lost":                    {working(importing, imports("two"), importRests, inSecret), lost, `supply another (Secret "rt-secret")`},
		"an import was used up before":                        {working(importing, imports("two"), spent("two"), inSecret), v1alpha1.ReasonGrantRejected, `was used up before, and what it became belongs to another state of the account; supply a new one (Secret "rt-secret")`},
		"nobody can tell whose the new tokens are":            {working(signsIn, waiting(2, "", ""), nameless), mismatch, "Allegro did not say whose the new tokens are, expected is seller"},
		"nobody has signed in":                                {working(signsIn, neverSignedIn), signIn, "A person must sign in at Allegro"},
		"nobody has brought a refresh token":                  {working(importing, neverSignedIn, imports(""), inSecret), signIn, `There is no refresh token: supply one (Secret "rt-secret")`},
		"a refresh token was never given, and none imported":  {working(importing, noRefreshToken, imports(""), func(f *Facts) { f.Custody.Imported = "" }), signIn, "There is no refresh token: supply one"},
		"a sign-in brought no refresh token":                  {working(signsIn, noRefreshToken), signIn, "gave no refresh token with the last sign-in, so a person must sign in at Allegro again when the token expires"},
		"a sign-in brought none, and its token is gone":       {working(signsIn, noRefreshToken, func(f *Facts) { f.Custody.Tokens = nil }), signIn, "A person must sign in at Allegro"},
		"a sign-in brought a token that does not end":         {working(signsIn, noRefreshToken, endlessToken), "", ""},
		"a token that does not end, of another application":   {working(signsIn, noRefreshToken, endlessToken, otherApplication), signIn, "gave no refresh token"},
		"a token that does not end was refused twice": {working(signsIn, noRefreshToken, endlessToken, func(f *Facts) {
			f.Custody.Verified = &custody.Verification{At: morning, Refusals: 2}
		}), signIn, "Allegro refuses the access token, which has no end of its own and no refresh token: a person must sign in at Allegro"},
		"the grant is another application's":                       {working(signsIn, otherApplication), signIn, "belongs to the application or the server that was used before, and only that one can renew it: a person must sign in at Allegro"},
		"the grant is another server's":                            {working(signsIn, otherServer), signIn, "belongs to the application or the server that was used before"},
		"the grant is another application's, and an import is new": {working(importing, otherApplication, imports("two")), "", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var got Failure
			if failure := test.facts.PermanentFailure(); failure != nil {
				got = *failure
			}
			if got.Reason != test.reason || !strings.Contains(got.Message, test.message) {
				t.Errorf("it is %s: %s\nwant %s: %s", got.Reason, got.Message, test.reason, test.message)
			}
		})
	}
}

// TestWhetherAskingIsUseless: a grant in use goes on whatever became of a new one.
func TestWhetherAskingIsUseless(t *testing.T) {
	holds(t, (*Facts).CannotRenew, rows{
		"a grant that works":                                     {working(importing), false},
		"a grant that was refused":                               {working(importing, refused(v1alpha1.ReasonGrantRejected)), true},
		"another grant than the one that was refused":            {working(importing, refused(v1alpha1.ReasonGrantRejected), func(f *Facts) { f.Custody.RefreshToken = "rt 2" }), false},
		"a grant that was refused, and the application since":    {working(importing, refused(v1alpha1.ReasonGrantRejected), thenApplication), true},
		"a new import after these":                               {working(importing, refused(v1alpha1.ReasonGrantRejected), thenApplication, imports("two")), false},
		"a grant that rests":                                     {working(importing, resting), true},
		"a grant whose renewal brought another seller's tokens":  {working(importing, aside(anotherOne, "")), true},
		"a grant beside a sign-in of another seller":             {working(signsIn, waiting(2, "", anotherOne)), false},
		"a grant beside an import that was refused":              {working(importing, imports("two"), importRefused(v1alpha1.ReasonGrantRejected)), false},
		"a grant beside a new import":                            {working(importing, imports("two")), false},
		"a grant of another seller than the spec names":          {working(importing, expects(anotherOne)), true},
		"a grant of another seller, beside a new import":         {working(importing, expects(anotherOne), imports("two")), false},
		"a grant of another application":                         {working(signsIn, otherApplication), true},
		"no grant":                                               {working(signsIn, neverSignedIn), true},
		"no grant, and one that waits for its seller to be told": {working(signsIn, neverSignedIn, waiting(2, "", "")), true},
		"an import, before the first grant":                      {working(importing, neverSignedIn), false},
		"an application's own tokens":                            {working(ownTokens), false},
		"an application that was refused":                        {working(ownTokens, refused(v1alpha1.ReasonApplicationRejected)), true},
		"a login whose tokens wait for their seller":             {working(byLogin, waiting(0, "", "")), true},
		"a token without an end, and nothing to renew it by":     {working(signsIn, noRefreshToken, endlessToken), true},
		"a token without an end, and a new import":               {working(importing, noRefreshToken, endlessToken, imports("two")), false},
	})
}

func TestWhetherAPersonMustSignIn(t *testing.T) {
	holds(t, (*Facts).NeedsNewGrant, rows{
		"a grant that works":                      {working(signsIn), false},
		"nobody has signed in":                    {working(signsIn, neverSignedIn), true},
		"nobody signs in with this grant":         {working(importing, neverSignedIn, imports("")), false},
		"the spec names another seller":           {working(signsIn, expects(anotherOne)), true},
		"a renewal brought another's tokens":      {working(signsIn, aside(anotherOne, "")), true},
		"the refresh token rests":                 {working(signsIn, resting), true},
		"the marketplace refused the grant":       {working(signsIn, refused(v1alpha1.ReasonGrantRejected)), true},
		"the marketplace refused the application": {working(signsIn, refused(v1alpha1.ReasonApplicationRejected)), false},
		"the marketplace refused another grant":   {working(signsIn, refused(v1alpha1.ReasonGrantRejected), func(f *Facts) { f.Custody.RefreshToken = "rt 2" }), false},
	})
	holds(t, (*Facts).GrantRefused, rows{
		"a grant that works":        {working(signsIn), false},
		"a grant that was refused":  {working(signsIn, refused(v1alpha1.ReasonGrantRejected)), true},
		"a refused application":     {working(signsIn, refused(v1alpha1.ReasonApplicationRejected)), false},
		"and an application since":  {working(signsIn, refused(v1alpha1.ReasonGrantRejected), thenApplication), true},
		"a refused login is none":   {working(byLogin, refused(v1alpha1.ReasonGrantRejected)), false},
		"another grant was refused": {working(signsIn, refused(v1alpha1.ReasonGrantRejected), func(f *Facts) { f.Custody.RefreshToken = "rt 2" }), false},
	})
}

func TestWhetherTokensBeginANewGrant(t *testing.T) {
	noTokens := func(f *Facts) { f.Custody.Tokens = nil }
	holds(t, (*Facts).StartsNewGrant, rows{
		"a renewal":                   {working(importing), false},
		"a new import":                {working(importing, imports("two")), true},
		"a login":                     {working(byLogin), true},
		"the first use of an import":  {working(importing, noTokens), true},
		"an application's own tokens": {working(ownTokens), true},
	})
	otherSpec := func(f *Facts) { f.Request.Key = "other key" }
	holds(t, (*Facts).Changed, rows{
		"nothing":                       {working(importing), false},
		"a new import":                  {working(importing, imports("two")), true},
		"another spec":                  {working(importing, otherSpec), true},
		"another spec before any token": {working(importing, noTokens, otherSpec), false},
	})
}

// TestWhatIsOnRecordOfTheTokenToSend: the journals of the grant in use and of an import speak of their own tokens.
func TestWhatIsOnRecordOfTheTokenToSend(t *testing.T) {
	entry := &custody.Journal{StartedAt: morning, Attempts: 3}
	ofImport := &custody.Journal{StartedAt: morning, Attempts: 5, Imported: "two"}
	both := func(f *Facts) { f.Custody.Journal, f.Custody.ImportJournal = entry, ofImport }
	inUse, brought, another := working(importing, both), working(importing, both, imports("two")), working(importing, both, imports("three"))
	if inUse.Journal() != entry || brought.Journal() != ofImport || another.Journal() != nil {
		t.Errorf("on record are %+v, %+v and %+v", inUse.Journal(), brought.Journal(), another.Journal())
	}
	if kept := inUse.WithJournal(inUse.Custody, nil); kept.Journal != nil || kept.ImportJournal != ofImport {
		t.Errorf("the entry of the grant in use was to be removed: %+v", kept)
	}
	if kept := brought.WithJournal(brought.Custody, nil); kept.Journal != entry || kept.ImportJournal != nil {
		t.Errorf("the entry of the import was to be removed: %+v", kept)
	}
}

// TestATokenOfABackupThatAPersonHasTried is one like any other, of which nothing is on record (cases C62).
func TestATokenOfABackupThatAPersonHasTried(t *testing.T) {
	record := all(refused(v1alpha1.ReasonRenewalOutcomeUnknown), func(f *Facts) {
		f.Custody.Restored = &custody.Restored{Moved: true, Told: true, Imported: "of before"}
		f.Custody.Journal, f.Custody.ImportJournal = &custody.Journal{Attempts: 1}, &custody.Journal{Attempts: 2, Imported: "two"}
		f.Custody.RefusedImport = &custody.Refusal{Reason: v1alpha1.ReasonGrantRejected}
	})
	f := working(importing, record)
	kept := f.WithoutRestored(f.Custody)
	if kept.Restored != nil || kept.Refused != nil || kept.Journal != nil || kept.ImportJournal == nil || kept.RefusedImport == nil {
		t.Errorf("of the grant in use is kept %+v", kept)
	}
	f = working(importing, record, func(f *Facts) { f.Custody.RefusedImport = nil }, imports("two"))
	kept = f.WithoutRestored(f.Custody)
	if kept.Restored == nil || *kept.Restored != (custody.Restored{Moved: true, Told: true}) || kept.Refused == nil || kept.Journal == nil || kept.ImportJournal != nil {
		t.Errorf("beside the import that is sent is kept %+v", kept)
	}
	holds(t, (*Facts).MayBeSpent, rows{
		"nothing was restored":                       {working(importing), false},
		"a token of a backup":                        {working(importing, restored), true},
		"a person asks to send it, and was told":     {working(importing, restored, asked(v1alpha1.AnnotationRenew)), false},
		"a person asks, and was not told":            {working(importing, func(f *Facts) { f.Custody.Restored = &custody.Restored{} }, asked(v1alpha1.AnnotationRenew)), true},
		"a platform whose tokens work twice":         {working(importing, restored, static), false},
		"another import, since the account said so":  {working(importing, restored, imports("two")), false},
		"the import that was there when it did":      {working(importing, func(f *Facts) { f.Custody.Restored = &custody.Restored{Told: true, Imported: "two"} }, imports("two")), true},
		"another import, before the account said so": {working(importing, func(f *Facts) { f.Custody.Restored = &custody.Restored{} }, imports("two")), true},
	})
}
