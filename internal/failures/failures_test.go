package failures_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/failures"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
)

// login is an account that logs in at eBay, with its credentials in a Secret.
func login() facts.Facts {
	account := &v1alpha1.MarketplaceAccount{Spec: v1alpha1.MarketplaceAccountSpec{
		ApplicationSecretRef: v1alpha1.SecretReference{Name: "app"},
		Grant:                v1alpha1.Grant{Type: v1alpha1.GrantPassword, Password: &v1alpha1.PasswordGrant{SecretRef: v1alpha1.SecretReference{Name: "login"}}},
	}}
	return facts.Facts{Account: account, Request: facts.Request{Platform: &marketplace.Platform{DisplayName: "eBay"}, Grant: v1alpha1.GrantPassword}}
}

func TestWhatAFailureMeans(t *testing.T) {
	for _, test := range []struct {
		kind   answer.Kind
		reason string
		says   string
	}{
		{answer.GrantRejected, "GrantRejected", `eBay refuses the refresh token (no); it is not tried again until a new one is supplied (Secret "login")`},
		{answer.PasswordRejected, "PasswordRejected", `eBay refuses user name or password (no); they are not tried again until they change (Secret "login"), ` +
			`or their Secret is annotated with tokenkeeper.dev/retry=<anything new>`},
		{answer.AccountLocked, "AccountLocked", `eBay does not let this login in (no); when that is mended there, annotate its Secret (Secret "login") with ` +
			`tokenkeeper.dev/retry=<anything new>, or change the password in it`},
		{answer.ApplicationRejected, "ApplicationRejected", `eBay refuses the application (no); check client_id and client_secret in Secret "app"; ` +
			`one account of the application asks again now and then`},
		{answer.ScopeRejected, "ScopeRejected", "eBay refuses the scopes (no); correct spec.scopes, or the application at the marketplace"},
		{answer.InvalidRequest, "InvalidSpec", "eBay does not accept the request (no); correct the account's spec or the Marketplace"},
		{answer.ConsentDenied, "SignInRequired", "The last sign-in at eBay was declined there"},
		{answer.Throttled, "RateLimited", "eBay asks for fewer requests (no)"},
		{answer.Unavailable, "MarketplaceUnavailable", "eBay is unavailable: no"},
		{answer.Malformed, "MarketplaceUnavailable", "eBay gave an answer that cannot be used: no"},
		{answer.Pending, "MarketplaceUnavailable", "no"},
	} {
		e := &answer.Error{Kind: test.kind, Message: "no"}
		failure, passes := failures.Of(login(), e)
		if failure.Reason != test.reason || failure.Message != test.says || passes != e.Passes() {
			t.Errorf("%v: %q %q, passes %v; want %q %q", test.kind, failure.Reason, failure.Message, passes, test.reason, test.says)
		}
	}
	if failure, _ := failures.Of(login(), errors.New("x")); failure.Reason == "" || failure.Message == "" {
		t.Errorf("another error is %+v", failure)
	}
}

// TestTheCureOfALoginThatIsNotSent: there is no Secret of a login to annotate.
func TestTheCureOfALoginThatIsNotSent(t *testing.T) {
	const says = "eBay does not let this login in (no); when that is mended there, annotate the account with "
	for name, test := range map[string]struct {
		grant v1alpha1.GrantType
		kept  custody.Grant
		want  string
	}{
		"of an application":                           {v1alpha1.GrantClientCredentials, custody.Grant{}, "tokenkeeper.dev/renew=<anything new>"},
		"of a person who has signed in":               {v1alpha1.GrantAuthorizationCode, custody.Grant{RefreshToken: "rt"}, "tokenkeeper.dev/renew=<anything new>"},
		"of a person who signs in for the first time": {v1alpha1.GrantDeviceCode, custody.Grant{}, "tokenkeeper.dev/sign-in=<anything new>"},
	} {
		for _, kind := range []answer.Kind{answer.AccountLocked, answer.PasswordRejected} {
			f := login()
			f.Account.Spec.Grant = v1alpha1.Grant{Type: test.grant}
			f.Request.Grant, f.Custody.Grant = test.grant, test.kept
			if got, _ := failures.Of(f, &answer.Error{Kind: kind, Message: "no"}); got.Message != says+test.want {
				t.Errorf("%s %s: %q", kind, name, got.Message)
			}
		}
	}
}

func TestKindOf(t *testing.T) {
	for reason, want := range map[string]answer.Kind{
		"GrantRejected": answer.GrantRejected, "AccountLocked": answer.AccountLocked, "ApplicationRejected": answer.ApplicationRejected,
		"RateLimited": answer.Throttled, "Suspended": answer.Unavailable,
	} {
		if got := failures.KindOf(reason); got != want {
			t.Errorf("%s means %v, want %v", reason, got, want)
		}
	}
}

func TestDeclined(t *testing.T) {
	f := login()
	want := facts.Failure{Reason: "SignInRequired", Message: "The last sign-in at eBay was declined there"}
	if got := failures.Declined(f); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	f.Request.Grant = v1alpha1.GrantDeviceCode
	want.Message += "; annotate the account with tokenkeeper.dev/sign-in=<anything new> for another code"
	if got := failures.Declined(f); got != want {
		t.Errorf("with a device code %+v, want %+v", got, want)
	}
}

// TestALoginThatNobodyRefuses: the message names both causes, how often, and what makes one attempt (cases C05).
func TestALoginThatNobodyRefuses(t *testing.T) {
	f := login()
	for times, want := range map[int]string{
		1: "1st", 2: "2nd", 3: "3rd", 4: "4th", 10: "10th", 11: "11th", 12: "12th", 13: "13th", 20: "20th", 21: "21st", 22: "22nd", 103: "103rd", 111: "111th",
	} {
		got := failures.LockedOrKeptOut(f, &answer.Error{Status: 403}, times)
		for _, part := range []string{"HTTP 403 without an error code for the " + want + " time: ", "a firewall", "locked the login", `Secret (Secret "login") with tokenkeeper.dev/retry=<anything new>`} {
			if got.Reason != v1alpha1.ReasonAccountLocked || !strings.Contains(got.Message, part) {
				t.Errorf("it says %s: %s, without %q", got.Reason, got.Message, part)
			}
		}
	}
}
