package cards

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/portal/words"
)

// in says it in the language that a browser asks for.
func in(t *testing.T, accepted string) Texts {
	t.Helper()
	speech, err := words.NewSpeech()
	if err != nil {
		t.Fatal(err)
	}
	return Texts{speech.To(accepted)}
}

func english(t *testing.T) Texts { return in(t, "en") }
func german(t *testing.T) Texts  { return in(t, "de") }
func polish(t *testing.T) Texts  { return in(t, "pl") }

func TestStatusInWords(t *testing.T) {
	soon := conditions{"AuthorizationExpiring": "True AuthorizationExpiring"}
	for sentence, test := range map[string]struct {
		account    *v1alpha1.MarketplaceAccount
		en, de, pl string
	}{
		"nothing ends": {found(nil), "Authenticated", "Authentifiziert", "Uwierzytelnione"},
		"in six days": {
			found(soon, ends(6*day)),
			"Authenticated, expires in 6 days", "Authentifiziert, läuft in 6 Tagen ab", "Uwierzytelnione, wygasa za 6 dni",
		},
		"in two days": {
			found(soon, ends(2*day)),
			"Authenticated, expires in 2 days", "Authentifiziert, läuft in 2 Tagen ab", "Uwierzytelnione, wygasa za 2 dni",
		},
		"in some hours": {
			found(soon, ends(3*time.Hour)),
			"Authenticated, expires within a day", "Authentifiziert, läuft innerhalb eines Tages ab", "Uwierzytelnione, wygasa w ciągu doby",
		},
		"it has expired": {
			found(nil, ends(-time.Hour)),
			"Authentication has expired", "Die Authentifizierung ist abgelaufen", "Uwierzytelnienie wygasło",
		},
		"each renewal prolongs it": {
			found(nil, prolonged(90*day)),
			"Authenticated, renews itself", "Authentifiziert, verlängert sich von selbst", "Uwierzytelnione, odnawia się samo",
		},
		"renewals that prolonged it have not come for too long": {
			found(nil, prolonged(-time.Hour)),
			"Authentication has expired", "Die Authentifizierung ist abgelaufen", "Uwierzytelnienie wygasło",
		},
		"soon, and nobody says when": {
			found(soon), "Authentication expires soon", "Die Authentifizierung läuft bald ab", "Uwierzytelnienie wkrótce wygaśnie",
		},
		"a person must sign in": {
			found(conditions{"ReauthRequired": "True SignInRequired", "Authenticated": "False SignInRequired"}),
			"Sign-in needed", "Anmeldung erforderlich", "Wymagane logowanie",
		},
		"the marketplace does not answer": {
			found(conditions{"Authenticated": "Unknown MarketplaceUnavailable"}, ends(90*day)),
			"Allegro cannot be reached", "Allegro ist nicht erreichbar", "Allegro nie odpowiada",
		},
		"more scopes are asked for": {
			found(conditions{"ReauthRequired": "True SignInRequired"}),
			"More permissions are asked for", "Es werden mehr Berechtigungen gebraucht", "Potrzebne są dodatkowe uprawnienia",
		},
		"a reason of tomorrow": {
			found(conditions{"Authenticated": "False Tomorrow"}), "Not authenticated", "Nicht authentifiziert", "Nieuwierzytelnione",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			s := summaryOf(test.account, noon)
			got := []string{english(t).says(s, "Allegro"), german(t).says(s, "Allegro"), polish(t).says(s, "Allegro")}
			if diff := cmp.Diff([]string{test.en, test.de, test.pl}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWhatToDo(t *testing.T) {
	for sentence, test := range map[string]struct {
		said conditions
		how  means
		want []string
	}{
		"nothing": {nil, ownSignIn, nil},
		"sign in": {conditions{"ReauthRequired": "True GrantRejected"}, ownSignIn, []string{"Sign in at Allegro again."}},
		"bring a refresh token": {
			conditions{"ReauthRequired": "True GrantRejected"}, noSignIn, []string{"Tell the person who set up this account that it needs a new refresh token."},
		},
		"a warning": {
			conditions{"Authenticated": "True ScopesReduced"}, ownSignIn,
			[]string{"Some permissions were not granted.", "Sign in again and grant all of them, or tell your administrator."},
		},
		"only others may sign in": {
			conditions{"ReauthRequired": "True GrantRejected"}, othersSignIn, []string{"Somebody with the right to change this account has to sign in."},
		},
		"only others may finish a sign-in": {
			conditions{"ReauthRequired": "True SignInPending"}, othersSignIn, []string{"Somebody with the right to change this account has to sign in."},
		},
		"something else is in the way of a sign-in": {
			conditions{"ReauthRequired": "True GrantRejected", "Authenticated": "False ApplicationRejected"}, hinderedSignIn,
			[]string{"Allegro refuses the application.", "Tell your administrator. Its ID or its secret may be wrong."},
		},
		"nobody may sign in": {conditions{"ReauthRequired": "True GrantRejected"}, suspendedSignIn, nil},
		"somebody unlocks the login, whoever looks": {
			conditions{"ReauthRequired": "True AccountLocked"}, othersSignIn,
			[]string{"Check at Allegro whether the login is locked, and unlock it there if it is. Then the person who set up this account has to confirm that. The details say how."},
		},
		"sign in soon": {
			conditions{"AuthorizationExpiring": "True AuthorizationExpiring"}, ownSignIn, []string{"Sign in again before that. Until then everything keeps working."},
		},
		"sign in soon, and something is wrong besides": {
			conditions{"AuthorizationExpiring": "True AuthorizationExpiring", "Authenticated": "Unknown MarketplaceUnavailable"}, ownSignIn,
			[]string{
				"Nothing to do: we keep trying.", "Authentication expires soon.",
				"Sign in again before that. Until then everything keeps working.",
			},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := english(t).todo(summaryOf(found(test.said), noon), "Allegro", test.how)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestNoSignInIsAdvisedThatCannotSucceed, to nobody. At a browser a person can sign in although the link cannot be shown.
func TestNoSignInIsAdvisedThatCannotSucceed(t *testing.T) {
	signIn, administrator := []string{"Sign in at Allegro."}, []string{"The access cannot be stored.", "Tell your administrator."}
	for grant, want := range map[v1alpha1.GrantType][]string{v1alpha1.GrantAuthorizationCode: signIn, v1alpha1.GrantDeviceCode: administrator} {
		account := found(conditions{"ReauthRequired": "True SignInRequired", "Authenticated": "False SignInRequired", "Ready": "False SecretConflict"})
		account.Spec.Grant.Type = grant
		entry := ByUrgency([]*v1alpha1.MarketplaceAccount{account}, noon)[0]
		if diff := cmp.Diff(want, Of(english(t), entry, "Allegro", true, noon).Todo); diff != "" {
			t.Errorf("%s: %s", grant, diff)
		}
	}
	account := found(conditions{"ReauthRequired": "True SignInRequired", "Ready": "False InvalidSpec"})
	account.Spec.Grant.Type = v1alpha1.GrantAuthorizationCode
	entry := ByUrgency([]*v1alpha1.MarketplaceAccount{account}, noon)[0]
	want := []string{"The settings of this account do not fit.", "Tell your administrator."}
	if diff := cmp.Diff(want, Of(english(t), entry, "Allegro", false, noon).Todo); diff != "" {
		t.Error(diff)
	}
}

func TestHowLongItStillWorks(t *testing.T) {
	stuck := conditions{"ReauthRequired": "True GrantRejected", "Authenticated": "False GrantRejected"}
	scopes := found(conditions{"ReauthRequired": "True SignInRequired"}, usable(time.Hour))
	if got := english(t).stillWorks(summaryOf(scopes, noon), noon); got != "" {
		t.Errorf("an account for which more scopes are asked says %q", got)
	}
	for after, want := range map[time.Duration]string{
		10 * time.Second:             "Your integration keeps working for another minute.",
		59 * time.Minute:             "Your integration keeps working for another 59 minutes.",
		90 * time.Minute:             "Your integration keeps working for another hour.",
		8*time.Hour + 30*time.Minute: "Your integration keeps working for another 8 hours.",
		50 * time.Hour:               "Your integration keeps working for another 2 days.",
		-time.Minute:                 "",
	} {
		if got := english(t).stillWorks(summaryOf(found(stuck, usable(after)), noon), noon); got != want {
			t.Errorf("after %s: %q, want %q", after, got, want)
		}
	}
	if got := english(t).stillWorks(summaryOf(found(nil, usable(time.Hour)), noon), noon); got != "" {
		t.Errorf("an account that works says %q", got)
	}
	if got, want := polish(t).stillWorks(summaryOf(found(stuck, usable(3*time.Hour)), noon), noon),
		"Twoja integracja działa jeszcze przez 3 godziny."; got != want {
		t.Errorf("in Polish %q, want %q", got, want)
	}
}

func TestSecretOfTheApplication(t *testing.T) {
	for after, want := range map[time.Duration]string{
		31 * day:  "",
		30 * day:  "in 30 days",
		time.Hour: "within a day",
		0:         "has ended",
	} {
		status := &v1alpha1.ApplicationStatus{SecretExpirationTime: metav1.NewTime(noon.Add(after))}
		if got := english(t).application(status, noon); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("after %s: %q, want %q", after, got, want)
		}
	}
	if got := english(t).application(nil, noon); got != "" {
		t.Errorf("without an end: %q", got)
	}
}

func TestDetailsHoldNoTicket(t *testing.T) {
	said := details(&v1alpha1.MarketplaceAccountStatus{Conditions: []metav1.Condition{
		{Type: "AuthorizationExpiring", Status: "True", Reason: "AuthorizationExpiring", Message: "sign in at https://tokens.example.com/sign-in/shop/a?ticket=abc before that"},
		{Type: "ReauthRequired", Status: "False", Reason: "NotRequired", Message: "No sign-in is needed"},
		{Type: "Ready", Status: "True", Reason: "TokenValid", Message: "The token is valid"},
		{Type: "Unheard", Status: "True", Reason: "Of", Message: "Never mind"},
	}, ConnectionTest: &v1alpha1.ConnectionTestStatus{Result: "Failed", Message: "HTTP 500 at https://tokens.example.com/sign-in/shop/a?ticket=abc"}})
	want := []string{
		"Ready=True, TokenValid: The token is valid", "AuthorizationExpiring=True, AuthorizationExpiring: sign in at … before that",
		"Connection test Failed: HTTP 500 at …",
	}
	if diff := cmp.Diff(want, said); diff != "" {
		t.Error(diff)
	}
}

func TestDetailsHoldNoCode(t *testing.T) {
	said := details(&v1alpha1.MarketplaceAccountStatus{
		SignIn: &v1alpha1.SignInStatus{URL: "https://market.example/device?code=AB-CD", UserCode: "AB-CD"},
		Conditions: []metav1.Condition{{
			Type: "Ready", Status: "False", Reason: "SignInRequired", Message: "sign in at https://market.example/device?code=AB-CD with the code AB-CD",
		}},
	})
	if diff := cmp.Diff([]string{"Ready=False, SignInRequired: sign in at … with the code …"}, said); diff != "" {
		t.Error(diff)
	}
}

func TestTheLastTestInWords(t *testing.T) {
	for sentence, test := range map[string]struct {
		result     v1alpha1.ConnectionTestResult
		ago        time.Duration
		en, de, pl string
	}{
		"today":       {v1alpha1.ConnectionTestPassed, time.Hour, "Tested at 11:00 UTC: works.", "Verbindungstest, 11:00 Uhr (UTC): funktioniert.", "Test połączenia, 11:00 (UTC): działa."},
		"before":      {v1alpha1.ConnectionTestFailed, 24 * time.Hour, "Tested at 30 November 2026, 12:00 UTC: failed.", "Verbindungstest, 30. November 2026, 12:00 Uhr (UTC): fehlgeschlagen.", "Test połączenia, 30 listopada 2026, 12:00 (UTC): nie powiódł się."},
		"unsupported": {v1alpha1.ConnectionTestUnsupported, 0, "The connection cannot be tested at Allegro.", "Die Verbindung lässt sich bei Allegro nicht testen.", "W serwisie Allegro nie można przetestować połączenia."},
	} {
		t.Run(sentence, func(t *testing.T) {
			status := &v1alpha1.ConnectionTestStatus{Time: metav1.NewTime(noon.Add(-test.ago)), Result: test.result}
			got := []string{
				english(t).tested(status, "Allegro", noon), german(t).tested(status, "Allegro", noon), polish(t).tested(status, "Allegro", noon),
			}
			if diff := cmp.Diff([]string{test.en, test.de, test.pl}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if got := english(t).tested(nil, "Allegro", noon); got != "" {
		t.Errorf("without a test: %q", got)
	}
}

func TestWhatWasAskedForFitsTheGrant(t *testing.T) {
	for grant, want := range map[v1alpha1.GrantType]string{
		v1alpha1.GrantAuthorizationCode: "A new link for signing in was asked for and is not here yet. Refresh the page in a few seconds.",
		v1alpha1.GrantDeviceCode:        "A code for signing in was asked for and is not here yet. Refresh the page in a few seconds.",
		v1alpha1.GrantPassword:          "",
	} {
		account := found(nil)
		account.Spec.Grant.Type = grant
		account.Annotations = map[string]string{v1alpha1.AnnotationSignIn: "now"}
		if got := english(t).pending(account); got != want {
			t.Errorf("%s: %q, want %q", grant, got, want)
		}
	}
}
