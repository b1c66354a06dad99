package conditions_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/conditions"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// noon is when accounts are looked at.
var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

type change = func(*conditions.Look)

// lookAt is a look at an account that is in order: it signs in by browser, and its token of twelve hours was issued an hour ago.
func lookAt(changes ...change) conditions.Look {
	l := conditions.Look{
		Facts: facts.Facts{
			Now: noon,
			Account: &v1alpha1.MarketplaceAccount{
				ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: "shop", Generation: 3},
				Spec:       v1alpha1.MarketplaceAccountSpec{Grant: v1alpha1.Grant{Type: v1alpha1.GrantAuthorizationCode}},
			},
			Request: facts.Request{
				Grant:       v1alpha1.GrantAuthorizationCode,
				Platform:    &marketplace.Platform{DisplayName: "eBay"},
				Application: tokensecret.Application{ClientID: "app"},
				Key:         "key",
			},
			Custody: custody.Custody{
				Serial: 4, Accepted: 1, Consents: 1,
				Grant: custody.Grant{
					RefreshToken: "one", ClientID: "app", Consent: 1, GrantedAt: noon.Add(-time.Hour),
					Account: custody.Account{ID: "17", Login: "my-shop"},
					Tokens: &custody.Tokens{
						IssuedAt: noon.Add(-time.Hour), RenewAt: noon.Add(8 * time.Hour), ExpiresAt: noon.Add(11 * time.Hour), For: "key",
					},
				},
			},
		},
		Outcome: lifecycle.Outcome{ServedUntil: noon.Add(11 * time.Hour)},
	}
	for _, change := range changes {
		change(&l)
	}
	return l
}

// fails is a failure that this look brought to light.
func fails(reason string) change {
	return func(l *conditions.Look) { l.Failure = &facts.Failure{Reason: reason, Message: "It fails"} }
}

// unresolved is a failure for which the marketplace cannot be asked.
func unresolved(reason string) change {
	return func(l *conditions.Look) {
		l.Request, l.Unresolved = facts.Request{}, true
		fails(reason)(l)
	}
}

// refused is a refusal of the grant in use, or of what renews it, that stands.
func refused(reason string) change {
	return func(l *conditions.Look) {
		l.Custody.Refused = &custody.Refusal{Reason: reason, Message: "It is refused", At: noon.Add(-time.Minute)}
	}
}

// signInRefused is a sign-in that was not used.
func signInRefused(reason string) change {
	return func(l *conditions.Look) {
		l.Custody.SignIn.Refused = &custody.Refusal{Reason: reason, Message: "It is refused"}
	}
}

func noGrant(l *conditions.Look) { l.Custody.Grant, l.ServedUntil = custody.Grant{}, time.Time{} }

func suspended(l *conditions.Look) { l.Account.Spec.Renewal.Policy = v1alpha1.RenewalSuspended }

func expired(l *conditions.Look) {
	l.Custody.Tokens.ExpiresAt, l.Custody.Tokens.RenewAt, l.ServedUntil = noon.Add(-time.Minute), noon.Add(-time.Minute), noon.Add(-time.Minute)
}

// ends is an authorization that ends in some days.
func ends(days float64) change {
	return func(l *conditions.Look) {
		l.Custody.AuthorizationExpiresAt = noon.Add(time.Duration(days * 24 * float64(time.Hour)))
	}
}

func link(l *conditions.Look) {
	l.Invited, l.Invitation = true, &v1alpha1.SignInStatus{URL: "https://portal/x", ExpirationTime: metav1.NewTime(noon.Add(time.Hour))}
}

func device(l *conditions.Look) {
	l.Account.Spec.Grant.Type, l.Request.Grant = v1alpha1.GrantDeviceCode, v1alpha1.GrantDeviceCode
}

func imported(l *conditions.Look) {
	l.Account.Spec.Grant = v1alpha1.Grant{Type: v1alpha1.GrantRefreshToken, RefreshToken: &v1alpha1.RefreshTokenGrant{}}
	l.Account.Spec.Grant.RefreshToken.SecretRef.Name = "import"
	l.Request.Grant, l.Custody.Consent = v1alpha1.GrantRefreshToken, 0
}

func password(l *conditions.Look) {
	l.Account.Spec.Grant.Type, l.Request.Grant = v1alpha1.GrantPassword, v1alpha1.GrantPassword
	l.Custody.RefreshToken, l.Custody.Consent = "", 0
}

// row is what a condition says after a look.
type row struct {
	look conditions.Look
	want string // "True TokenValid: message"; empty where the condition is absent
}

// check holds what a condition says against a table.
func check(t *testing.T, conditionType string, rows map[string]row) {
	t.Helper()
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			was := row.look.Account.DeepCopy()
			after := conditions.Report(row.look).Account
			if got := said(after, conditionType); got != row.want {
				t.Errorf("it says\n%s\nwant\n%s", got, row.want)
			}
			if !equality.Semantic.DeepEqual(was, row.look.Account) {
				t.Error("the account that was looked at has changed")
			}
		})
	}
}

// said is what a condition says.
func said(account *v1alpha1.MarketplaceAccount, conditionType string) string {
	condition := meta.FindStatusCondition(account.Status.Conditions, conditionType)
	if condition == nil {
		return ""
	}
	return fmt.Sprintf("%s %s: %s", condition.Status, condition.Reason, condition.Message)
}

func TestReady(t *testing.T) {
	check(t, v1alpha1.ConditionReady, map[string]row{
		"a token that is good": {lookAt(), "True TokenValid: The token is valid until 2026-03-02 23:00:00 UTC"},
		"whatever else fails":  {lookAt(fails(v1alpha1.ReasonGrantRejected)), "True TokenValid: The token is valid until 2026-03-02 23:00:00 UTC"},
		"and where nothing can be asked": {lookAt(unresolved(v1alpha1.ReasonSecretNotFound)),
			"True TokenValid: The token is valid until 2026-03-02 23:00:00 UTC"},
		"without its ID token": {lookAt(func(l *conditions.Look) { l.Withheld = "; its ID token is withheld: it had expired" }),
			"True TokenValid: The token is valid until 2026-03-02 23:00:00 UTC; its ID token is withheld: it had expired"},
		"with an end that cannot be read": {lookAt(func(l *conditions.Look) { l.Custody.Tokens.EndUnreadable = true }),
			"True TokenValid: The token is valid until 2026-03-02 23:00:00 UTC; the marketplace tells its end in a way that cannot be read, " +
				"so it counts for 10 minutes at most: look at spec.tokenResponse of the Marketplace"},
		"a token that workloads do not read yet": {lookAt(func(l *conditions.Look) {
			l.Custody.Tokens.EndUnreadable, l.ServedUntil = true, noon.Add(time.Hour)
		}), "True TokenValid: The token is valid until 2026-03-02 13:00:00 UTC"},
		"a token that has expired": {lookAt(expired), "False Renewing: A token is being obtained"},
		"in the very moment":       {lookAt(func(l *conditions.Look) { l.ServedUntil = noon }), "False Renewing: A token is being obtained"},
		"no token yet":             {lookAt(imported, noGrant, func(l *conditions.Look) { l.Request.Imported.RefreshToken = "one" }), "False Renewing: A token is being obtained"},
		"a token for another spec": {lookAt(func(l *conditions.Look) { l.Request.Key = "other" }), "False Renewing: A token is being obtained"},
		"a token of another account": {lookAt(func(l *conditions.Look) { l.Account.Spec.AccountID = "18" }),
			"False AccountMismatch: The tokens belong to account 17, expected is 18; sign in as the expected account, or correct spec.accountID"},
		"a failure, and no token": {lookAt(expired, fails(v1alpha1.ReasonMarketplaceUnavailable)), "False MarketplaceUnavailable: It fails"},
	})
}

func TestAuthenticated(t *testing.T) {
	failed := func(seconds int) change {
		return func(l *conditions.Look) {
			l.Account.Status.LastFailure = &v1alpha1.FailureStatus{
				Time: metav1.NewTime(noon.Add(time.Duration(-seconds) * time.Second)), Reason: v1alpha1.ReasonMarketplaceUnavailable, Message: "It failed", Count: 1,
			}
		}
	}
	verified := func(failure string) change {
		return func(l *conditions.Look) { l.Custody.Verified = &custody.Verification{At: noon, Failure: failure} }
	}
	lost := func(l *conditions.Look) {
		l.Request.Platform.Rotating = true
		l.Custody.Journal = &custody.Journal{StartedAt: noon.Add(-time.Minute), LastAt: noon.Add(-time.Minute), Attempts: 1, Lost: true}
	}
	rows := map[string]row{
		"a grant that works": {lookAt(), "True TokenValid: Authenticated as my-shop (17)"},
		"by its ID alone":    {lookAt(func(l *conditions.Look) { l.Custody.Account.Login = "" }), "True TokenValid: Authenticated as 17"},
		"by its name alone":  {lookAt(func(l *conditions.Look) { l.Custody.Account.ID = "" }), "True TokenValid: Authenticated as my-shop"},
		"by the name that people gave it": {lookAt(func(l *conditions.Look) {
			l.Custody.Account, l.Account.Spec.Login = custody.Account{}, "ours"
		}), "True TokenValid: Authenticated as ours"},
		"by no name":           {lookAt(func(l *conditions.Look) { l.Custody.Account = custody.Account{} }), "True TokenValid: Authenticated"},
		"for some days":        {lookAt(ends(5.5)), "True TokenValid: Authenticated as my-shop (17), authorization expires in 6 days"},
		"for less than a day":  {lookAt(ends(.5)), "True TokenValid: Authenticated as my-shop (17), authorization expires within a day"},
		"for what is no time":  {lookAt(ends(100_000)), "True TokenValid: Authenticated as my-shop (17), authorization expires in more than 99999 days"},
		"after its end":        {lookAt(ends(-1)), "True TokenValid: Authenticated as my-shop (17), authorization has expired"},
		"renewals prolong it":  {lookAt(ends(5), func(l *conditions.Look) { l.Request.Platform.AuthorizationSlides = true }), "True TokenValid: Authenticated as my-shop (17), authorization renews itself"},
		"the connection works": {lookAt(verified("")), "True TokenValid: Authenticated as my-shop (17), connection tested at 2026-03-02 12:00:00 UTC"},
		"the connection fails": {lookAt(verified("no answer")), "True TokenValid: Authenticated as my-shop (17), connection tested at 2026-03-02 12:00:00 UTC: no answer"},
		"before the first token": {lookAt(imported, noGrant, func(l *conditions.Look) { l.Request.Imported.RefreshToken = "one" }),
			"Unknown Renewing: A token is being obtained"},
		"scopes are missing": {lookAt(func(l *conditions.Look) {
			l.Request.Platform.Scopes, l.Custody.Tokens.Scope = []string{"a", "b", "c"}, "b"
		}), "True ScopesReduced: Authenticated as my-shop (17), without the scopes a, c"},
		"an older account of the seller": {lookAt(func(l *conditions.Look) { l.DuplicateOf = "MarketplaceAccount old" }),
			"True DuplicateAccount: Authenticated as my-shop (17); MarketplaceAccount old holds tokens of the same account"},
		"a new refresh token that cannot be read": {lookAt(imported, func(l *conditions.Look) {
			l.Request.Unreadable = &facts.Failure{Reason: v1alpha1.ReasonSecretInvalid, Message: "it is empty"}
		}), "True SecretInvalid: Authenticated as my-shop (17); what was supplied since then is not used: it is empty"},
		"times that cannot be read": {lookAt(func(l *conditions.Look) {
			l.Request.Application.Misdated, l.Request.Imported.Misdated = "mend one", "mend another"
		}), "True TokenValid: Authenticated as my-shop (17); nothing is counted by a time that cannot be read: mend one; nothing is counted by a time that cannot be read: mend another"},
		"the last sign-in was of another seller": {lookAt(signInRefused(v1alpha1.ReasonAccountMismatch)),
			"True AccountMismatch: Authenticated as my-shop (17); the last sign-in was not used: It is refused"},
		"the last sign-in was declined": {lookAt(signInRefused(v1alpha1.ReasonSignInRequired)),
			"True TokenValid: Authenticated as my-shop (17); the last sign-in was not used: It is refused"},

		"a look that was broken off": {lookAt(signInRefused(v1alpha1.ReasonAccountMismatch), func(l *conditions.Look) { l.Unresolved, l.Interrupted = true, true }),
			"True TokenValid: Authenticated as my-shop (17)"},
		"nobody has signed in": {lookAt(noGrant), "False SignInRequired: A person must sign in at eBay"},
		"a person is signing in": {lookAt(noGrant, func(l *conditions.Look) {
			l.Custody.SignIn.Visits = []custody.Visit{{ExpiresAt: noon.Add(10 * time.Minute)}}
		}), "False SignInPending: A person is signing in at eBay, until 2026-03-02 12:10:00 UTC at the latest"},
		"renewal is suspended, and nobody has signed in": {lookAt(noGrant, suspended),
			"Unknown Suspended: A person must sign in, and spec.renewal.policy is Suspended; set it to Automatic for a link"},
		"renewal is suspended":                        {lookAt(suspended), "True TokenValid: Authenticated as my-shop (17)"},
		"renewal is suspended, and the token is over": {lookAt(suspended, expired), "Unknown Suspended: There is no valid token for this spec and spec.renewal.policy is Suspended; set it to Automatic"},
		"renewal is suspended, and the spec another": {lookAt(suspended, func(l *conditions.Look) { l.Request.Key = "other" }),
			"Unknown Suspended: There is no valid token for this spec and spec.renewal.policy is Suspended; set it to Automatic"},
		"the grant is refused":     {lookAt(refused(v1alpha1.ReasonGrantRejected)), "False GrantRejected: It is refused"},
		"nobody knows the outcome": {lookAt(lost), "Unknown RenewalOutcomeUnknown: eBay got the refresh token and its answer was lost, so the token may be spent, and sending it twice could end the grant. It rests until 2026-03-02 22:57:00 UTC and is then sent again as a last resort, unless before that a person signs in again"},

		"a failure that passes":  {lookAt(failed(5)), "Unknown MarketplaceUnavailable: It failed; next attempt not before " + renewal.ClockTime(retryAt(lookAt(failed(5))))},
		"a demanded wait":        {lookAt(failed(5), func(l *conditions.Look) { l.Custody.NotBefore = noon.Add(time.Hour) }), "Unknown MarketplaceUnavailable: It failed; next attempt not before 2026-03-02 13:00:00 UTC"},
		"an attempt that is due": {lookAt(failed(60)), "Unknown MarketplaceUnavailable: It failed"},
		"an attempt that waits for its turn": {lookAt(failed(60), func(l *conditions.Look) { l.Waits = []lifecycle.Purpose{lifecycle.Renewing} }),
			"Unknown MarketplaceUnavailable: It failed; next attempt not before " + renewal.ClockTime(retryAt(lookAt(failed(60))))},
		"a failure from before the last token": {lookAt(failed(7200)), "True TokenValid: Authenticated as my-shop (17)"},
		"a test that did not get through": {lookAt(func(l *conditions.Look) {
			l.Account.Annotations = map[string]string{v1alpha1.AnnotationVerify: "now"}
			l.Custody.Verified = &custody.Verification{At: noon, Failure: "no answer", Unreachable: true}
		}), "Unknown MarketplaceUnavailable: eBay: no answer"},
		"the spec is wrong":                         {lookAt(unresolved(v1alpha1.ReasonInvalidSpec)), "Unknown InvalidSpec: It fails"},
		"the marketplace does not take the request": {lookAt(fails(v1alpha1.ReasonInvalidSpec)), "False InvalidSpec: It fails"},
	}
	for _, reason := range []string{
		v1alpha1.ReasonPasswordRejected, v1alpha1.ReasonAccountLocked, v1alpha1.ReasonApplicationRejected, v1alpha1.ReasonScopeRejected,
		v1alpha1.ReasonAccountMismatch, v1alpha1.ReasonPortalNotConfigured,
	} {
		rows[reason] = row{lookAt(fails(reason)), "False " + reason + ": It fails"}
	}
	for _, reason := range []string{v1alpha1.ReasonRateLimited, v1alpha1.ReasonSecretConflict} {
		rows[reason] = row{lookAt(fails(reason)), "Unknown " + reason + ": It fails"}
	}
	for _, reason := range []string{v1alpha1.ReasonMarketplaceNotFound, v1alpha1.ReasonSecretNotFound, v1alpha1.ReasonSecretInvalid} {
		rows[reason] = row{lookAt(unresolved(reason)), "Unknown " + reason + ": It fails"}
	}
	check(t, v1alpha1.ConditionAuthenticated, rows)
}

func TestReauthRequired(t *testing.T) {
	unattended := func(l *conditions.Look) { l.Custody.SignIn.Unattended = facts.MaxUnattended }
	ended := func(count int, at time.Time) change {
		return func(l *conditions.Look) {
			l.Custody.SignIn.Ended = &custody.EndedCodes{Count: count, At: at, Why: "it was good for 5s"}
		}
	}
	inSecret := func(l *conditions.Look) { l.LinksInSecret = true }
	notShown := func(l *conditions.Look) { l.LinksInSecret, l.NotShown = true, "its place is taken" }
	more := func(l *conditions.Look) {
		l.Custody.Asked, l.Request.Platform.Scopes = []string{"a"}, []string{"a", "b", "c"}
	}
	rows := map[string]row{
		"all is well":               {lookAt(), "False NotRequired: No sign-in is needed"},
		"a failure that passes":     {lookAt(fails(v1alpha1.ReasonMarketplaceUnavailable)), "False NotRequired: No sign-in is needed"},
		"a change helps":            {lookAt(fails(v1alpha1.ReasonApplicationRejected)), "False NotRequired: No sign-in is needed"},
		"a reference is broken":     {lookAt(noGrant, unresolved(v1alpha1.ReasonSecretNotFound)), "False NotRequired: No sign-in is needed"},
		"nobody has signed in":      {lookAt(noGrant), "True SignInRequired: A person must sign in at eBay"},
		"there is a link":           {lookAt(noGrant, link), "True SignInRequired: A person must sign in at eBay; sign in at https://portal/x before 2026-03-02 13:00:00 UTC"},
		"there is a code":           {lookAt(noGrant, device, link, func(l *conditions.Look) { l.Invitation.UserCode = "AB-CD" }), "True SignInRequired: A person must sign in at eBay; sign in at https://portal/x, check that it shows the code AB-CD or enter it where it asks for one, before 2026-03-02 13:00:00 UTC"},
		"there is a link elsewhere": {lookAt(noGrant, link, inSecret), "True SignInRequired: A person must sign in at eBay; sign in at https://portal/x by the link in Secret \"main-sign-in\" before 2026-03-02 13:00:00 UTC"},
		"there is a code elsewhere": {lookAt(noGrant, device, link, inSecret), "True SignInRequired: A person must sign in at eBay; sign in at https://portal/x by the link and the code in Secret \"main-sign-in\" before 2026-03-02 13:00:00 UTC"},
		"nothing can be shown":      {lookAt(more, notShown), "True SignInRequired: Nobody has consented to the scopes b, c yet: the token is without them until a person signs in again; no link or code can be shown: its place is taken"},
		"nothing else is wrong": {lookAt(noGrant, notShown, func(l *conditions.Look) {
			l.Failure = &facts.Failure{Reason: v1alpha1.ReasonSecretConflict, Message: l.NotShown}
		}), "True SignInRequired: A person must sign in at eBay; its place is taken"},
		"nobody uses the codes":     {lookAt(noGrant, device, unattended), "True SignInRequired: A person must sign in at eBay; nobody used the last 12 codes: annotate the account with tokenkeeper.dev/sign-in=<anything new> for another"},
		"the code ends at once":     {lookAt(noGrant, device, ended(1, noon)), "True SignInRequired: A person must sign in at eBay; eBay ended the code before it could be used (it was good for 5s)"},
		"codes end at once":         {lookAt(noGrant, device, ended(2, noon)), "True SignInRequired: A person must sign in at eBay; eBay ended each of the last 2 codes before it could be used (it was good for 5s): the next one follows at " + renewal.ClockTime(nextCode(lookAt(device, ended(2, noon))))},
		"each code ends at once":    {lookAt(noGrant, device, ended(facts.MaxUnattended, noon)), "True SignInRequired: A person must sign in at eBay; eBay ended each of the last 12 codes before it could be used (it was good for 5s): annotate the account with tokenkeeper.dev/sign-in=<anything new> for another"},
		"a code follows now":        {lookAt(noGrant, device, ended(2, noon.Add(-time.Hour))), "True SignInRequired: A person must sign in at eBay; eBay ended each of the last 2 codes before it could be used (it was good for 5s)"},
		"there is no portal":        {lookAt(noGrant, fails(v1alpha1.ReasonPortalNotConfigured), func(l *conditions.Look) { l.NoPortal = true }), "True PortalNotConfigured: It fails; there is no page to start from: run the operator with --portal-url"},
		"scopes were added":         {lookAt(more), "True SignInRequired: Nobody has consented to the scopes b, c yet: the token is without them until a person signs in again"},
		"scopes were added, a link": {lookAt(more, link), "True SignInRequired: Nobody has consented to the scopes b, c yet: the token is without them until a person signs in again; sign in at https://portal/x before 2026-03-02 13:00:00 UTC"},
		"the authorization ended":   {lookAt(ends(-1)), "True AuthorizationExpired: The authorization ended on 2026-03-01; authorize the account again"},
		"it ends now":               {lookAt(ends(0), link), "True AuthorizationExpired: The authorization ended on 2026-03-02; authorize the account again; sign in at https://portal/x before 2026-03-02 13:00:00 UTC"},
		"it ends soon":              {lookAt(ends(1)), "False NotRequired: No sign-in is needed"},
		"the grant is dead, and no code can be had": {lookAt(noGrant, device, fails(v1alpha1.ReasonMarketplaceUnavailable)),
			"True SignInRequired: A person must sign in at eBay; It fails"},
		"the grant is dead, and renewal suspended": {lookAt(noGrant, suspended), "False NotRequired: No sign-in is needed"},
		"the grant is refused, and a link": {lookAt(refused(v1alpha1.ReasonGrantRejected), link),
			"True GrantRejected: It is refused; sign in at https://portal/x before 2026-03-02 13:00:00 UTC"},
	}
	for _, reason := range []string{
		v1alpha1.ReasonSignInRequired, v1alpha1.ReasonSignInPending, v1alpha1.ReasonAuthorizationExpired, v1alpha1.ReasonGrantRejected,
		v1alpha1.ReasonPasswordRejected, v1alpha1.ReasonAccountLocked, v1alpha1.ReasonAccountMismatch, v1alpha1.ReasonRenewalOutcomeUnknown,
	} {
		rows[reason] = row{lookAt(fails(reason)), "True " + reason + ": It fails"}
	}
	check(t, v1alpha1.ConditionReauthRequired, rows)
}

func TestAuthorizationExpiring(t *testing.T) {
	sliding := func(l *conditions.Look) { l.Request.Platform.AuthorizationSlides = true }
	told := func(days float64) change { // by an earlier look
		return func(l *conditions.Look) {
			l.Account.Status.Authorization = &v1alpha1.AuthorizationStatus{ExpirationTime: metav1.NewTime(noon.Add(time.Duration(days * 24 * float64(time.Hour))))}
		}
	}
	check(t, v1alpha1.ConditionAuthorizationExpiring, map[string]row{
		"it does not end":       {lookAt(), "False NotRequired: The authorization does not end by itself"},
		"it ends later":         {lookAt(ends(15)), "False NotRequired: The authorization ends on 2026-03-17"},
		"it ends in 14 days":    {lookAt(ends(14)), "True AuthorizationExpiring: The authorization expires in 14 days, on 2026-03-16; authorize the account again before that"},
		"the warning is later":  {lookAt(ends(10), func(l *conditions.Look) { l.Account.Spec.Authorization.WarnBefore = "24h" }), "False NotRequired: The authorization ends on 2026-03-12"},
		"there is a link":       {lookAt(ends(1), link), "True AuthorizationExpiring: The authorization expires within a day, on 2026-03-03; authorize the account again before that; sign in at https://portal/x before 2026-03-02 13:00:00 UTC"},
		"it has ended":          {lookAt(ends(-1)), "True AuthorizationExpired: The authorization ended on 2026-03-01; authorize the account again"},
		"it ends now":           {lookAt(ends(0), link), "True AuthorizationExpired: The authorization ended on 2026-03-02; authorize the account again; sign in at https://portal/x before 2026-03-02 13:00:00 UTC"},
		"renewals prolong it":   {lookAt(ends(2), sliding), "False NotRequired: Each renewal prolongs the authorization; without one it ends on 2026-03-04"},
		"and one is overdue":    {lookAt(ends(2), sliding, func(l *conditions.Look) { l.Custody.Tokens.RenewAt = noon }), "True AuthorizationExpiring: The authorization expires in 2 days, on 2026-03-04; authorize the account again before that"},
		"its end is unreadable": {lookAt(func(l *conditions.Look) { l.Custody.AuthorizationEndUnreadable = true }), "False NotRequired: The authorization does not end by itself; the marketplace tells the end in a way that cannot be read, so refreshToken.lifetime of the Marketplace counts"},

		"nobody has signed in": {lookAt(noGrant), "Unknown SignInRequired: There is no authorization whose end is known: A person must sign in at eBay"},
		"the grant is refused": {lookAt(ends(15), refused(v1alpha1.ReasonGrantRejected)), "Unknown GrantRejected: There is no authorization whose end is known: It is refused"},
		"another refusal":      {lookAt(ends(15), refused(v1alpha1.ReasonScopeRejected)), "False NotRequired: The authorization ends on 2026-03-17"},
		"no token yet": {lookAt(imported, noGrant, func(l *conditions.Look) { l.Request.Imported.RefreshToken = "one" }),
			"Unknown Renewing: There is no authorization whose end is known: a token is being obtained"},
		"a login needs none":                     {lookAt(password), "False NotRequired: The authorization does not end by itself"},
		"a reference is broken":                  {lookAt(unresolved(v1alpha1.ReasonSecretNotFound)), "False NotRequired: The authorization does not end by itself"},
		"a reference is broken, and an end told": {lookAt(told(1), unresolved(v1alpha1.ReasonSecretNotFound)), "True AuthorizationExpiring: The authorization expires within a day, on 2026-03-03; authorize the account again before that"},
		"the Marketplace is gone, of which codes ended early": {lookAt(told(1), unresolved(v1alpha1.ReasonMarketplaceNotFound), device, func(l *conditions.Look) {
			l.Custody.SignIn.Ended = &custody.EndedCodes{Count: 1, At: noon, Why: "it was good for 5s"}
		}), "True AuthorizationExpiring: The authorization expires within a day, on 2026-03-03; authorize the account again before that"},
		"a reference is broken, and no token": {lookAt(noGrant, unresolved(v1alpha1.ReasonSecretNotFound)), "Unknown SecretNotFound: There is no authorization whose end is known: It fails"},
	})
}

func TestStalled(t *testing.T) {
	lost := func(l *conditions.Look) {
		l.Request.Platform.Rotating = true
		l.Custody.Journal = &custody.Journal{StartedAt: noon.Add(-time.Minute), LastAt: noon.Add(-time.Minute), Attempts: 1, Lost: true}
	}
	rows := map[string]row{
		"all is well":                         {lookAt(), ""},
		"a person must sign in":               {lookAt(noGrant), "True SignInRequired: A person must sign in at eBay"},
		"the grant is refused":                {lookAt(refused(v1alpha1.ReasonGrantRejected)), "True GrantRejected: It is refused"},
		"a new grant beside one that goes on": {lookAt(fails(v1alpha1.ReasonAccountMismatch)), ""},
		"the API server did not do its part":  {lookAt(noGrant, func(l *conditions.Look) { l.Interrupted = true }), ""},
		"a reference is broken":               {lookAt(unresolved(v1alpha1.ReasonSecretNotFound)), "True SecretNotFound: It fails"},
		"suspended":                           {lookAt(suspended, expired), "True Suspended: There is no valid token for this spec and spec.renewal.policy is Suspended; set it to Automatic"},
		"suspended, and another failure":      {lookAt(suspended, fails(v1alpha1.ReasonScopeRejected)), "True ScopeRejected: It fails"},
		"a token rests":                       {lookAt(lost), ""},
		"a token rests, and is refused":       {lookAt(lost, refused(v1alpha1.ReasonApplicationRejected), fails(v1alpha1.ReasonScopeRejected)), "True ScopeRejected: It fails"},
		"a token rests for good": {lookAt(lost, func(l *conditions.Look) { l.Request.Platform.LostAnswerNever = true }),
			"True RenewalOutcomeUnknown: eBay got the refresh token and its answer was lost, so the token may be spent, and sending it twice could end the grant. It is not sent again, since the Marketplace's refreshToken.lostAnswer is Never: nothing more is tried until a person signs in again"},
		"it was stalled before": {lookAt(func(l *conditions.Look) {
			l.Account.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionStalled, Status: metav1.ConditionTrue}}
		}), ""},
	}
	for _, reason := range []string{v1alpha1.ReasonInvalidSpec, v1alpha1.ReasonSecretConflict, v1alpha1.ReasonSuspended} {
		rows[reason] = row{lookAt(fails(reason)), "True " + reason + ": It fails"}
	}
	for _, reason := range []string{
		v1alpha1.ReasonRenewing, v1alpha1.ReasonMarketplaceUnavailable, v1alpha1.ReasonRateLimited, v1alpha1.ReasonSignInPending, v1alpha1.ReasonApplicationRejected,
	} {
		rows[reason] = row{lookAt(noGrant, fails(reason)), ""}
	}
	check(t, v1alpha1.ConditionStalled, rows)
}

func TestEveryConditionIsOfThisLook(t *testing.T) {
	account := conditions.Report(lookAt(noGrant, fails(v1alpha1.ReasonSecretConflict), func(l *conditions.Look) {
		l.Failure.Message = strings.Repeat("ż", 600)
	})).Account
	if account.Status.ObservedGeneration != 3 {
		t.Errorf("the status is of generation %d", account.Status.ObservedGeneration)
	}
	for _, name := range []string{
		v1alpha1.ConditionReady, v1alpha1.ConditionAuthenticated, v1alpha1.ConditionReauthRequired, v1alpha1.ConditionAuthorizationExpiring,
		v1alpha1.ConditionStalled,
	} {
		condition := meta.FindStatusCondition(account.Status.Conditions, name)
		if condition == nil || condition.ObservedGeneration != 3 || !condition.LastTransitionTime.Time.Equal(noon) {
			t.Errorf("%s is %+v", name, condition)
		}
		if condition != nil && len(condition.Message) > bounds.Message {
			t.Errorf("%s says %d bytes", name, len(condition.Message))
		}
	}
}

func retryAt(l conditions.Look) time.Time { return l.RetryAt() }

func nextCode(l conditions.Look) time.Time { return l.NextCode() }
