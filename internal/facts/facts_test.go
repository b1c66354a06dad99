package facts

import (
	"errors"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// morning is when the accounts of working are looked at.
var morning = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

const (
	importing  = v1alpha1.GrantRefreshToken
	signsIn    = v1alpha1.GrantAuthorizationCode
	byDevice   = v1alpha1.GrantDeviceCode
	byLogin    = v1alpha1.GrantPassword
	ownTokens  = v1alpha1.GrantClientCredentials
	theSeller  = "seller"
	theLogin   = "shop-secret"
	anotherOne = "another"
)

type change = func(*Facts)

// working is an account of a grant that works, at a platform that names its sellers and whose refresh tokens rotate: tokens of twelve hours
// came an hour ago, and nothing is due.
func working(grant v1alpha1.GrantType, changes ...change) Facts {
	account := &v1alpha1.MarketplaceAccount{ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: "shop", UID: "uid-1", Annotations: map[string]string{}}}
	account.Spec.Grant.Type, account.Spec.Environment, account.Spec.MarketplaceRef.Name = grant, "Production", "allegro"
	f := Facts{
		Account: account,
		Request: Request{
			Grant: grant, Key: "key", Platform: shop(account, grant),
			Application: tokensecret.Application{ClientID: "app", ClientSecret: "secret"},
			Inputs:      custody.Inputs{Spec: "1", Marketplace: "1", Application: "app@1"},
		},
		Custody: custody.Custody{
			Grant: custody.Grant{
				GrantedAt: morning.Add(-time.Hour), Account: custody.Account{ID: theSeller, By: "identity"},
				Tokens: &custody.Tokens{
					AccessToken: "at", For: "key", IssuedAt: morning.Add(-time.Hour), RenewAt: morning.Add(10 * time.Hour), ExpiresAt: morning.Add(11 * time.Hour),
				},
			},
			RefusalKey: []byte("a key of digests"),
		},
		Now: morning, Holder: "me", CallTimeout: 30 * time.Second, AttemptTimeout: 80 * time.Second,
	}
	if f.Request.RenewsByRefreshToken() {
		f.Custody.RefreshToken, f.Custody.ClientID = "rt", "app"
	}
	switch grant {
	case signsIn, byDevice:
		f.Custody.Consent, f.Custody.Consents, f.Custody.Accepted, f.Custody.Asked = 1, 1, 1, []string{}
	case importing:
		f.Custody.Imported, f.Request.Imported.RefreshToken = "import", "import"
	case byLogin:
		f.Request.Login = tokensecret.Login{Username: "shop", Password: "correct"}
		f.Request.Inputs.Credentials = theLogin + "@1"
	}
	for _, change := range changes {
		change(&f)
	}
	return f
}

// shop is a platform that names its sellers.
func shop(account *v1alpha1.MarketplaceAccount, grant v1alpha1.GrantType) *marketplace.Platform {
	object := &v1alpha1.Marketplace{}
	object.Name, object.Spec.DisplayName = "allegro", "Allegro"
	object.Spec.Environments = []v1alpha1.Environment{{Name: "Production"}}
	object.Spec.Grants = []v1alpha1.GrantType{grant}
	object.Spec.Endpoints.Token = "https://allegro.example/token"
	object.Spec.Identity.Request = &v1alpha1.IdentityRequest{URL: "https://allegro.example/me", IDPath: "{.id}"}
	platform, err := marketplace.Resolve(object, account)
	if err != nil {
		panic(err)
	}
	platform.Rotating = true
	return platform
}

// nameless has the platform name no seller.
func nameless(f *Facts) {
	f.Request.Platform = &marketplace.Platform{DisplayName: "Allegro", Rotating: true}
}

func asked(annotation string) change {
	return func(f *Facts) { f.Account.Annotations[annotation] = "now" }
}

func imports(refreshToken string) change {
	return func(f *Facts) { f.Request.Imported.RefreshToken = refreshToken }
}

func expects(id string) change { return func(f *Facts) { f.Account.Spec.AccountID = id } }

func suspended(f *Facts) { f.Account.Spec.Renewal.Policy = v1alpha1.RenewalSuspended }

func static(f *Facts) { f.Request.Platform.Rotating = false }

func resting(f *Facts) {
	f.Custody.Journal = &custody.Journal{StartedAt: morning.Add(-time.Minute), LastAt: morning.Add(-time.Minute), Holder: "me", Attempts: 1, Lost: true}
}

// all makes one change of several.
func all(changes ...change) change {
	return func(f *Facts) {
		for _, change := range changes {
			change(f)
		}
	}
}

// holds runs a question about accounts, and wants the answer of each row.
func holds(t *testing.T, question func(*Facts) bool, rows map[string]struct {
	facts Facts
	want  bool
}) {
	t.Helper()
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := question(&row.facts); got != row.want {
				t.Errorf("the answer is %t, want %t", got, row.want)
			}
		})
	}
}

type rows = map[string]struct {
	facts Facts
	want  bool
}

// TestRequests: what a person asks for by an annotation is done once, and where it has to wait, when its time has come.
func TestRequests(t *testing.T) {
	for annotation, request := range map[string]struct {
		question func(*Facts) bool
		told     v1alpha1.HandledStatus
		stored   change
	}{
		v1alpha1.AnnotationRenew:  {(*Facts).RenewalRequested, v1alpha1.HandledStatus{Renew: "now"}, func(f *Facts) { f.Custody.HandledRenew = "now" }},
		v1alpha1.AnnotationSignIn: {(*Facts).SignInRequested, v1alpha1.HandledStatus{SignIn: "now"}, func(f *Facts) { f.Custody.HandledSignIn = "now" }},
		v1alpha1.AnnotationVerify: {(*Facts).TestRequested, v1alpha1.HandledStatus{Verify: "now"}, nil},
	} {
		told := func(handled v1alpha1.HandledStatus) change {
			return func(f *Facts) { f.Account.Status.Handled = &handled }
		}
		waits := func(until time.Duration) change {
			return func(f *Facts) { f.Deferred = map[string]time.Time{annotation: morning.Add(until)} }
		}
		table := rows{
			annotation + ": nobody asks":                          {working(signsIn), false},
			annotation + ": somebody asks":                        {working(signsIn, asked(annotation)), true},
			annotation + ": the status tells that it was handled": {working(signsIn, asked(annotation), told(request.told)), false},
			annotation + ": nothing of it was handled so far":     {working(signsIn, asked(annotation), told(v1alpha1.HandledStatus{})), true},
			annotation + ": the one before was handled":           {working(signsIn, asked(annotation), told(v1alpha1.HandledStatus{Renew: "x", SignIn: "x", Verify: "x"})), true},
			annotation + ": it waits until the account may ask":   {working(signsIn, asked(annotation), waits(time.Second)), false},
			annotation + ": its wait is over":                     {working(signsIn, asked(annotation), waits(0)), true},
		}
		if request.stored != nil {
			table[annotation+": the custody tells that it was handled"] = struct {
				facts Facts
				want  bool
			}{working(signsIn, asked(annotation), request.stored), false}
		}
		holds(t, request.question, table)
	}
	if got := len(RequestOf(working(signsIn, func(f *Facts) {
		f.Account.Annotations[v1alpha1.AnnotationRenew] = strings.Repeat("x", 1<<12)
	}).Account, v1alpha1.AnnotationRenew)); got > 1024 {
		t.Errorf("a request of %d characters goes into the status", got)
	}
}

func TestWhetherTheLastAttemptFailed(t *testing.T) {
	failed := func(reason string, ago time.Duration) change {
		return func(f *Facts) {
			f.Account.Status.LastFailure = &v1alpha1.FailureStatus{Reason: reason, Time: metav1.NewTime(morning.Add(-ago)), Count: 1}
		}
	}
	const down = v1alpha1.ReasonMarketplaceUnavailable
	noTokens := func(f *Facts) { f.Custody.Tokens = nil }
	refusedAt := func(at time.Time) change {
		return func(f *Facts) {
			importRefused(v1alpha1.ReasonGrantRejected)(f)
			f.Custody.RefusedImport.At = at
		}
	}
	holds(t, (*Facts).Failing, rows{
		"it did not":                     {working(importing), false},
		"it did, and is tried again":     {working(importing, failed(down, time.Minute)), true},
		"it did, before the tokens came": {working(importing, failed(down, 2*time.Hour)), false},
		"it did, before tokens of which the status does not tell yet": {working(importing, failed(down, 2*time.Hour), told(-2*time.Hour)), false},
		"it did, and the status tells of the tokens: the clock was set back after they came": {
			working(importing, failed(down, 2*time.Hour), told(0)), true},
		"it did, at the very moment of the tokens":         {working(importing, failed(down, time.Hour)), true},
		"it did, and there are no tokens":                  {working(importing, failed(down, 2*time.Hour), noTokens), true},
		"it did, for a reason that only a change can cure": {working(importing, failed(v1alpha1.ReasonGrantRejected, time.Minute)), false},
		"it did, and an import was refused since":          {working(importing, failed(down, time.Minute), imports("two"), refusedAt(morning)), false},
		"it did, since an import was refused":              {working(importing, failed(down, time.Minute), imports("two"), refusedAt(morning.Add(-time.Minute))), true},
		"it did, and a former import was refused since":    {working(importing, failed(down, time.Minute), imports("two"), refusedAt(morning), imports("three")), true},
	})
	holds(t, (*Facts).Usable, rows{
		"a token that has not expired": {working(importing), true},
		"a token at its end":           {working(importing, func(f *Facts) { f.Now = morning.Add(11 * time.Hour) }), false},
		"no token":                     {working(importing, noTokens), false},
	})
}

func TestWhetherACallTellsTheSeller(t *testing.T) {
	holds(t, (*Facts).CanIdentify, rows{
		"a platform that names sellers":                   {working(importing), true},
		"a platform that names none":                      {working(importing, nameless), false},
		"an application's own tokens, which are nobody's": {working(ownTokens), false},
	})
}

// TestWhenATestIsRepeated: a test that somebody asked for, and that did not reach the marketplace, is repeated after a minute; so is one
// refusal of a token whose refresh token rests, since a second one would end the rest.
func TestWhenATestIsRepeated(t *testing.T) {
	tested := func(verified custody.Verification) change {
		return func(f *Facts) { verified.At = morning.Add(-time.Second); f.Custody.Verified = &verified }
	}
	ask := asked(v1alpha1.AnnotationVerify)
	identified := func(f *Facts) { f.Custody.Identified = true }
	again := morning.Add(59 * time.Second)
	for name, test := range map[string]struct {
		facts Facts
		want  time.Time
	}{
		"there was none":                             {working(importing, ask), time.Time{}},
		"it worked":                                  {working(importing, ask, tested(custody.Verification{})), time.Time{}},
		"nobody answered":                            {working(importing, ask, tested(custody.Verification{Unreachable: true})), again},
		"nobody answered a suspended account":        {working(importing, ask, suspended, tested(custody.Verification{Unreachable: true})), time.Time{}},
		"nobody answered, and nobody asks any more":  {working(importing, tested(custody.Verification{Unreachable: true})), time.Time{}},
		"nobody answered before the token ended":     {working(importing, ask, tested(custody.Verification{Unreachable: true}), func(f *Facts) { f.Custody.Tokens = nil }), time.Time{}},
		"one refusal while the refresh token rests":  {working(importing, ask, identified, resting, tested(custody.Verification{Refusals: 1})), again},
		"two refusals while it rests":                {working(importing, ask, identified, resting, tested(custody.Verification{Refusals: 2})), time.Time{}},
		"one refusal of a token that can be renewed": {working(importing, ask, identified, tested(custody.Verification{Refusals: 1})), time.Time{}},
		"one refusal by what never accepted one":     {working(importing, ask, resting, tested(custody.Verification{Refusals: 1})), time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.facts.NextTest(); !got.Equal(test.want) {
				t.Errorf("it is repeated at %s, want %s", got, test.want)
			}
		})
	}
}

func TestACustodyOfALaterVersion(t *testing.T) {
	for version, newer := range map[int]bool{0: false, tokensecret.CustodyVersion: false, tokensecret.CustodyVersion + 1: true} {
		f := working(importing, func(f *Facts) { f.Custody.Version = version })
		var told *tokensecret.NewerError
		if err := f.NewerCustody(); errors.As(err, &told) != newer || newer && (told.Version != version || told.Secret != f.Account.GrantSecretName()) {
			t.Errorf("of version %d: %v", version, err)
		}
	}
}

func TestWhenWhatWaitsIsActedOn(t *testing.T) {
	for name, test := range map[string]struct {
		facts Facts
		want  time.Time
	}{
		"nothing waits": {working(importing), time.Time{}},
		"an edit waits": {working(importing, func(f *Facts) { f.EditWaits = morning.Add(time.Minute) }), morning.Add(time.Minute)},
		"the first of an edit and two requests": {working(importing, func(f *Facts) {
			f.EditWaits = morning.Add(time.Hour)
			f.Deferred = map[string]time.Time{v1alpha1.AnnotationRenew: morning.Add(3 * time.Minute), v1alpha1.AnnotationVerify: morning.Add(2 * time.Minute)}
		}), morning.Add(2 * time.Minute)},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.facts.NextRequest(); !got.Equal(test.want) {
				t.Errorf("it is at %s, want %s", got, test.want)
			}
		})
	}
}

// TestTheAccountInWords is what the page of a sign-in tells the person who signs in.
func TestTheAccountInWords(t *testing.T) {
	f := working(signsIn, func(f *Facts) { f.Custody.Account.Login = "my-shop" })
	if got := f.SignInAccount(); got.Login != "my-shop" || got.Marketplace != "Allegro" || got.ExpectedID != theSeller || got.Name != "main" || got.Namespace != "shop" || got.Environment != "Production" {
		t.Errorf("of an account that has signed in: %+v", got)
	}
	f = working(signsIn, expects("17"), func(f *Facts) {
		f.Account.Spec.Login, f.Custody.Account.Login, f.Request.Platform = "the-shop", "my-shop", nil
	})
	if got := f.SignInAccount(); got.Login != "the-shop" || got.Marketplace != "allegro" || got.ExpectedID != "17" {
		t.Errorf("of an account whose author names login and account, and whose Marketplace is gone: %+v", got)
	}
}

// TestWhichSecret: messages name the Secret that the author of the account can mend.
func TestWhichSecret(t *testing.T) {
	account := working(byLogin).Account
	if got := InSecret(account) + InApplicationSecret(account); got != ` in the application of Marketplace "allegro"` {
		t.Errorf("of an account that names none: %q", got)
	}
	account.Spec.ApplicationSecretRef.Name = "app-secret"
	if got := InApplicationSecret(account); got != ` in Secret "app-secret"` {
		t.Errorf("of the application: %q", got)
	}
	account.Spec.Grant.RefreshToken = &v1alpha1.RefreshTokenGrant{SecretRef: v1alpha1.SecretReference{Name: "rt-secret"}}
	if got := InSecret(account); got != ` (Secret "rt-secret")` {
		t.Errorf("of a refresh token: %q", got)
	}
	account.Spec.Grant.Password = &v1alpha1.PasswordGrant{SecretRef: v1alpha1.SecretReference{Name: theLogin}}
	if got := InSecret(account); got != ` (Secret "shop-secret")` {
		t.Errorf("of a login: %q", got)
	}
}
