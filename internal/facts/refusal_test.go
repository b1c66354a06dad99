package facts

import (
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
)

// What may change after a refusal.
func newPassword(f *Facts)      { f.Request.Login.Password = "another" }
func loginRetried(f *Facts)     { f.Request.Login.Retry = "now" }
func newClientSecret(f *Facts)  { f.Request.Application.ClientSecret = "another" }
func applicationRetry(f *Facts) { f.Request.Application.Retry = "now" }
func newRefreshToken(f *Facts)  { f.Custody.RefreshToken = "rt 2" }
func asksAgain(f *Facts)        { f.AsksAgain = true }
func labelled(f *Facts) { // a tool has set a label on each Secret
	f.Request.Inputs.Application, f.Request.Inputs.Credentials = "app@2", theLogin+"@2"
}

// plain is a platform with nothing but a token endpoint, and otherRequest an edit of it: another path of the same host.
func plain(f *Facts) { tokenEndpoint(f, "https://allegro.example/token") }

func otherRequest(f *Facts) { tokenEndpoint(f, "https://allegro.example/v2/token") }

func tokenEndpoint(f *Facts, url string) {
	f.Request.Platform = &marketplace.Platform{DisplayName: "Allegro", Rotating: true, TokenURL: url}
}

// TestWhatCuresARefusal: a refusal stands until what was refused is another, whatever else changes: platforms lock logins, and end grants
// (cases C31). A request for a renewal cures it only where asking again does no harm.
func TestWhatCuresARefusal(t *testing.T) {
	request := asked(v1alpha1.AnnotationRenew)
	for _, row := range []struct {
		name   string
		reason string
		grant  v1alpha1.GrantType
		cures  map[string]change
		leaves map[string]change
	}{
		{
			"a login", v1alpha1.ReasonPasswordRejected, byLogin,
			map[string]change{"a password": newPassword, "a request on its Secret": loginRetried},
			map[string]change{"a client secret": newClientSecret, "a request": request, "a label": labelled, "an edit": otherRequest},
		},
		{
			"a login that is the grant", v1alpha1.ReasonGrantRejected, byLogin,
			map[string]change{"a password": newPassword, "a request on its Secret": loginRetried},
			map[string]change{"a client secret": newClientSecret, "a request": request, "a label": labelled},
		},
		{
			"a login at the platform, of which a refresh token is sent", v1alpha1.ReasonAccountLocked, importing,
			map[string]change{"a request, which locks nothing": request, "an import": imports("two"), "another application": otherApplication, "an edit": otherRequest},
			map[string]change{"a label": labelled, "its own successor": newRefreshToken},
		},
		{
			"a login at the platform, which an application asks without", v1alpha1.ReasonPasswordRejected, ownTokens,
			map[string]change{"a request, which locks nothing": request, "a client secret": newClientSecret},
			map[string]change{"a label": labelled},
		},
		{
			"a refresh token", v1alpha1.ReasonGrantRejected, importing,
			map[string]change{"another": newRefreshToken, "an import": imports("two"), "another application": otherApplication},
			map[string]change{"a client secret": newClientSecret, "a request": request, "a label": labelled, "an edit": otherRequest},
		},
		{
			"an application's own tokens", v1alpha1.ReasonGrantRejected, ownTokens,
			map[string]change{"a client secret": newClientSecret, "a request, which ends no grant": request, "an edit": otherRequest},
			map[string]change{"a label": labelled},
		},
		{
			"an application", v1alpha1.ReasonApplicationRejected, importing,
			map[string]change{"a client secret": newClientSecret, "a request on its Secret": applicationRetry, "a request": request, "its turn to ask again": asksAgain},
			map[string]change{"a refresh token": newRefreshToken, "a label": labelled, "an edit": otherRequest},
		},
		{
			"another seller's tokens", v1alpha1.ReasonAccountMismatch, ownTokens,
			map[string]change{"another seller in the spec": expects("17"), "an edit": otherRequest},
			map[string]change{"a client secret": newClientSecret, "a request": request, "its turn to ask again": asksAgain},
		},
		{
			"the scopes", v1alpha1.ReasonScopeRejected, importing,
			map[string]change{"an edit": otherRequest, "a client secret": newClientSecret, "a request": request, "another seller in the spec": expects("17")},
			map[string]change{"a label": labelled, "a refresh token": newRefreshToken, "its turn to ask again": asksAgain},
		},
	} {
		for name, cure := range row.cures {
			f := working(row.grant, plain, refused(row.reason))
			if !f.StillRefused(f.Custody.Refused) {
				t.Fatalf("%s is not refused", row.name)
			}
			if cure(&f); f.StillRefused(f.Custody.Refused) {
				t.Errorf("%s: %s does not cure it", row.name, name)
			}
		}
		for name, change := range row.leaves {
			if f := working(row.grant, plain, refused(row.reason), change); !f.StillRefused(f.Custody.Refused) {
				t.Errorf("%s: %s cures it", row.name, name)
			}
		}
	}
}

// TestWhatCuresALossOrABackup: nothing was refused, and what is known of the refresh token does not change by an edit.
func TestWhatCuresALossOrABackup(t *testing.T) {
	ofBackup := func(f *Facts) {
		f.Custody.Refused = &custody.Refusal{Reason: v1alpha1.ReasonRenewalOutcomeUnknown, Restored: true}
	}
	givenUp := func(f *Facts) {
		f.Custody.Refused = &custody.Refusal{Reason: v1alpha1.ReasonRenewalOutcomeUnknown}
	}
	still := func(f *Facts) bool { return f.StillRefused(f.Custody.Refused) }
	holds(t, still, rows{
		"of a backup":                             {working(importing, ofBackup), true},
		"of a backup, and an import is new":       {working(importing, ofBackup, imports("two")), false},
		"of a backup, and somebody asks":          {working(importing, ofBackup, asked(v1alpha1.AnnotationRenew)), false},
		"given up":                                {working(importing, givenUp, noRefreshToken), true},
		"given up, and somebody asks":             {working(importing, givenUp, noRefreshToken, asked(v1alpha1.AnnotationRenew)), true},
		"given up, and an import is new":          {working(importing, givenUp, noRefreshToken, imports("two")), false},
		"given up, and another grant is in use":   {working(importing, givenUp), false},
		"given up by a grant of another kind now": {working(byLogin, givenUp, noRefreshToken), false},
	})
}

// TestRefusalsOfBefore: those of the format before digests stand until the version of what was refused changes.
func TestRefusalsOfBefore(t *testing.T) {
	request := asked(v1alpha1.AnnotationRenew)
	before := func(reason string) change {
		return func(f *Facts) { f.Custody.Refused = &custody.Refusal{Reason: reason, Inputs: f.Request.Inputs} }
	}
	loginOfBefore := func(f *Facts) { // where the login's Secret was not told apart
		f.Request.Inputs.Credentials = ""
		before(v1alpha1.ReasonPasswordRejected)(f)
	}
	credentials := func(f *Facts) { f.Request.Inputs.Credentials = "login@2" }
	application := func(f *Facts) { f.Request.Inputs.Application = "app@2" }
	spec := func(f *Facts) { f.Request.Inputs.Spec = "2" }
	still := func(f *Facts) bool { return f.StillRefused(f.Custody.Refused) }
	const login, grant, app, seller, scopes = v1alpha1.ReasonPasswordRejected, v1alpha1.ReasonGrantRejected, v1alpha1.ReasonApplicationRejected,
		v1alpha1.ReasonAccountMismatch, v1alpha1.ReasonScopeRejected
	holds(t, still, rows{
		"a login":                                       {working(byLogin, before(login)), true},
		"a login, in another version":                   {working(byLogin, before(login), credentials), false},
		"a login, in another spec":                      {working(byLogin, before(login), spec), true},
		"a login, and somebody asks":                    {working(byLogin, before(login), request), true},
		"a login of an older format":                    {working(byLogin, loginOfBefore), true},
		"a login of an older format, and somebody asks": {working(byLogin, loginOfBefore, request), false},
		"a login of an older format, in another spec":   {working(byLogin, loginOfBefore, spec), false},
		"an application":                                {working(importing, before(app)), true},
		"an application, in another version":            {working(importing, before(app), application), false},
		"an application, in another spec":               {working(importing, before(app), spec), true},
		"an application, and somebody asks":             {working(importing, before(app), request), false},
		"a refresh token":                               {working(importing, before(grant)), true},
		"a refresh token, of another application":       {working(importing, before(grant), application), false},
		"a refresh token, in another spec":              {working(importing, before(grant), spec), true},
		"a refresh token, and somebody asks":            {working(importing, before(grant), request), true},
		"own tokens":                                    {working(ownTokens, before(grant)), true},
		"own tokens, in another spec":                   {working(ownTokens, before(grant), spec), false},
		"own tokens, and somebody asks":                 {working(ownTokens, before(grant), request), false},
		"another seller":                                {working(ownTokens, before(seller)), true},
		"another seller, and another client secret":     {working(ownTokens, before(seller), application), true},
		"another seller, in another spec":               {working(ownTokens, before(seller), spec), false},
		"the scopes":                                    {working(importing, before(scopes)), true},
		"the scopes, and another client secret":         {working(importing, before(scopes), application), false},
		"the scopes, and somebody asks":                 {working(importing, before(scopes), request), false},
	})
}

func TestWhetherAnImportIsRefused(t *testing.T) {
	request := asked(v1alpha1.AnnotationRenew)
	brought := imports("two")
	// by has the import be refused, as something else than its refresh token.
	by := func(reason string) change {
		return func(f *Facts) {
			refusal := custody.Refusal{Reason: reason, Imported: "two"}.WithDigest(f.Custody.RefusalDigest(f.ImportParts(reason)), nil)
			f.Custody.RefusedImport = &refusal
		}
	}
	before := func(reason string) change {
		return func(f *Facts) {
			f.Custody.RefusedImport = &custody.Refusal{Reason: reason, Imported: "two", Inputs: f.Request.Inputs}
		}
	}
	application := func(f *Facts) { f.Request.Inputs.Application = "app@2" }
	ofBackup := func(f *Facts) {
		f.Custody.RefusedImport = &custody.Refusal{Reason: v1alpha1.ReasonRenewalOutcomeUnknown, Imported: "two", Restored: true}
	}
	const grant, scopes, seller, lost = v1alpha1.ReasonGrantRejected, v1alpha1.ReasonScopeRejected, v1alpha1.ReasonAccountMismatch, v1alpha1.ReasonRenewalOutcomeUnknown
	holds(t, (*Facts).ImportRefused, rows{
		"none was":                                          {working(importing, plain, brought), false},
		"it was":                                            {working(importing, plain, brought, by(grant)), true},
		"it was, whoever asks":                              {working(importing, plain, brought, by(grant), request), true},
		"it was, of another client secret":                  {working(importing, plain, brought, by(grant), newClientSecret), true},
		"it was, of another application":                    {working(importing, plain, brought, by(grant), otherApplication), false},
		"another one was":                                   {working(importing, plain, brought, by(grant), imports("three")), false},
		"it was taken away":                                 {working(importing, plain, brought, by(grant), imports("")), false},
		"it was, and another one since":                     {working(importing, plain, brought, by(grant), func(f *Facts) { f.Custody.RefusedImport.Imported = "three" }), true},
		"its scopes were":                                   {working(importing, plain, brought, by(scopes)), true},
		"its scopes were, and somebody asks":                {working(importing, plain, brought, by(scopes), request), false},
		"its scopes were, and the spec has others":          {working(importing, plain, brought, by(scopes), otherRequest), false},
		"the scopes of another one were":                    {working(importing, plain, brought, by(scopes), imports("three")), false},
		"its seller was":                                    {working(importing, plain, brought, by(seller), otherRequest, request), true},
		"before digests, it was":                            {working(importing, plain, brought, before(grant)), true},
		"before digests, it was, of another application":    {working(importing, plain, brought, before(grant), application), false},
		"before digests, its scopes were":                   {working(importing, plain, brought, before(scopes)), true},
		"before digests, its scopes, and somebody asks":     {working(importing, plain, brought, before(scopes), request), false},
		"before digests, its scopes, of another version":    {working(importing, plain, brought, before(scopes), application), false},
		"its answer was lost":                               {working(importing, plain, brought, by(lost), request), true},
		"it is of a backup":                                 {working(importing, plain, brought, ofBackup), true},
		"it is of a backup, and somebody asks all the same": {working(importing, plain, brought, ofBackup, request), false},
	})
}

// TestWhetherASignInIsRefused: what somebody has to mend in the cluster counts until something is changed there.
func TestWhetherASignInIsRefused(t *testing.T) {
	before := func(reason string) change {
		return func(f *Facts) { f.Custody.SignIn.Refused = &custody.Refusal{Reason: reason, Inputs: f.Request.Inputs} }
	}
	asOther := func(f *Facts) {
		f.Custody.SignIn.Refused = &custody.Refusal{Reason: v1alpha1.ReasonAccountMismatch, AccountID: anotherOne, Message: "of before"}
	}
	application := func(f *Facts) { f.Request.Inputs.Application = "app@2" }
	spec := func(f *Facts) { f.Request.Inputs.Spec = "2" }
	const consent, app, seller, scopes = v1alpha1.ReasonSignInRequired, v1alpha1.ReasonApplicationRejected, v1alpha1.ReasonAccountMismatch, v1alpha1.ReasonScopeRejected
	holds(t, func(f *Facts) bool { return f.SignInRefused() != nil }, rows{
		"none was":          {working(signsIn, plain), false},
		"a person declined": {working(signsIn, plain, signInRefused(consent)), true},
		"a person declined what is asked no more":             {working(signsIn, plain, signInRefused(consent), otherRequest), false},
		"a person declined, and the client secret is another": {working(signsIn, plain, signInRefused(consent), newClientSecret), true},
		"the application": {working(signsIn, plain, signInRefused(app)), true},
		"the application, and its client secret is another":   {working(signsIn, plain, signInRefused(app), newClientSecret), false},
		"the application, whose turn it is to ask again":      {working(signsIn, plain, signInRefused(app), asksAgain), false},
		"the scopes, at the turn to ask again":                {working(signsIn, plain, signInRefused(scopes), asksAgain), true},
		"nobody told whose the tokens are":                    {working(signsIn, plain, signInRefused(seller)), true},
		"nobody told, and the client secret is another":       {working(signsIn, plain, signInRefused(seller), newClientSecret), true},
		"another seller signed in":                            {working(signsIn, plain, asOther), true},
		"another seller, whom the spec names since":           {working(signsIn, plain, asOther, expects(anotherOne)), false},
		"before digests, the application":                     {working(signsIn, plain, before(app)), true},
		"before digests, the application, of another version": {working(signsIn, plain, before(app), application), false},
		"before digests, a person declined":                   {working(signsIn, plain, before(consent)), true},
		"before digests, a person, of another version":        {working(signsIn, plain, before(consent), application), true},
		"before digests, a person, in another spec":           {working(signsIn, plain, before(consent), spec), false},
		"before digests, nobody told, of another version":     {working(signsIn, plain, before(seller), application), true},
		"before digests, nobody told, in another spec":        {working(signsIn, plain, before(seller), spec), false},
	})
	f := working(signsIn, asOther, expects("17"))
	if got := f.SignInRefused().Message; got != f.AccountMismatch(anotherOne, "17").Message {
		t.Errorf("it tells of the seller who is expected today: %s", got)
	}
}

// TestWhichApplicationHoldsUp: of a device code, nothing else tells of the application than the sign-in.
func TestWhichApplicationHoldsUp(t *testing.T) {
	const app = v1alpha1.ReasonApplicationRejected
	holds(t, func(f *Facts) bool { return f.RejectedApplication() != nil }, rows{
		"none":              {working(byDevice, plain), false},
		"that of a renewal": {working(importing, plain, refused(app)), true},
		"that of a renewal, before its client secret":        {working(importing, plain, refused(app), newClientSecret), false},
		"a grant was refused":                                {working(importing, plain, refused(v1alpha1.ReasonGrantRejected)), false},
		"that of a device code":                              {working(byDevice, plain, neverSignedIn, func(f *Facts) { f.Custody.RefusalKey = []byte("key") }, signInRefused(app)), true},
		"that of a device code that nobody needs":            {working(byDevice, plain, signInRefused(app)), false},
		"that of a browser's sign-in, which tries by itself": {working(signsIn, plain, neverSignedIn, signInRefused(app)), false},
		"a device code that a person declined":               {working(byDevice, plain, neverSignedIn, signInRefused(v1alpha1.ReasonSignInRequired)), false},
	})
}

func TestHowOftenAnApplicationAskedAgain(t *testing.T) {
	const app = v1alpha1.ReasonApplicationRejected
	for name, test := range map[string]struct {
		facts   Facts
		earlier *custody.Refusal
		want    int32
	}{
		"the first refusal":                          {working(importing, asksAgain), nil, 0},
		"asked again by itself":                      {working(importing, asksAgain), &custody.Refusal{Reason: app, Tries: 2}, 3},
		"asked again by somebody":                    {working(importing), &custody.Refusal{Reason: app, Tries: 2}, 0},
		"refused for something else in the meantime": {working(importing, asksAgain), &custody.Refusal{Reason: v1alpha1.ReasonScopeRejected, Tries: 2}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.facts.TriedAgain(test.earlier, app); got != test.want {
				t.Errorf("%d times, want %d", got, test.want)
			}
		})
	}
}

func TestTheClientSecretOfBefore(t *testing.T) {
	worked := func(of func(*Facts) string) change { return func(f *Facts) { f.Custody.PreviousSecretOf = of(f) } }
	digest := func(f *Facts) string { return f.Custody.RefusalDigest(f.Request.SecretParts()) }
	version := func(f *Facts) string { return f.Request.Inputs.Application }
	noKey := func(f *Facts) { f.Custody.RefusalKey = nil }
	holds(t, (*Facts).PreviousSecretWorked, rows{
		"it did not": {working(importing), false},
		"it did":     {working(importing, worked(digest)), true},
		"it did, and the client secret is another":  {working(importing, worked(digest), newClientSecret), false},
		"it did, of the Marketplace's application":  {working(importing, worked(version)), true},
		"nothing is on record, and there is no key": {working(importing, noKey), false},
	})
}

func TestSinceWhenTheClientSecretIsWhatItIs(t *testing.T) {
	told := morning.Add(-24 * time.Hour)
	known := func(of string, at time.Time) change {
		return func(f *Facts) { f.Custody.ClientSecret = &custody.Since{Of: of, At: at} }
	}
	since := func(f *Facts) { f.Request.Application.SecretSince = told }
	digested := func(f *Facts) {
		known(f.Custody.RefusalDigest(f.Request.ClientSecretParts()), told.Add(-time.Hour))(f)
	}
	for name, test := range map[string]struct {
		facts Facts
		want  time.Time
	}{
		"as its Secret tells": {working(importing, since), told},
		"longer, where a tool has made the Secret look younger":   {working(importing, since, digested), told.Add(-time.Hour)},
		"as its Secret tells, where it is another":                {working(importing, since, digested, newClientSecret), told},
		"longer, of the Marketplace's own application":            {working(importing, since, known("app@1", told.Add(-time.Hour))), told.Add(-time.Hour)},
		"as its Secret tells, where that is longer than is known": {working(importing, since, known("app@1", told.Add(time.Hour))), told},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.facts.ClientSecretSince(); !got.Equal(test.want) {
				t.Errorf("since %s, want %s", got, test.want)
			}
		})
	}
}
