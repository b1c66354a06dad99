package conditions_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/conditions"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
)

type status = v1alpha1.MarketplaceAccountStatus

func TestTransitions(t *testing.T) {
	with := func(conditionType, reason, message string) status {
		return status{Conditions: []metav1.Condition{{Type: conditionType, Reason: reason, Message: message}}}
	}
	failed := func(reason string) status {
		return status{LastFailure: &v1alpha1.FailureStatus{Count: 1, Reason: reason, Message: "it failed"}}
	}
	asked := func(value string) status { return status{Handled: &v1alpha1.HandledStatus{Renew: value}} }
	ending := with(v1alpha1.ConditionAuthorizationExpiring, v1alpha1.ReasonAuthorizationExpiring, "")
	ending.Authorization = &v1alpha1.AuthorizationStatus{ExpirationTime: metav1.NewTime(noon.Add(36 * time.Hour))}
	reauth := func(reason string) status {
		return with(v1alpha1.ConditionReauthRequired, reason, "sign in at https://…")
	}
	unavailable, rateLimited, mismatch := v1alpha1.ReasonMarketplaceUnavailable, v1alpha1.ReasonRateLimited, v1alpha1.ReasonAccountMismatch
	required, pending := v1alpha1.ReasonSignInRequired, v1alpha1.ReasonSignInPending
	const withheld = "The token is valid until then; its ID token is withheld: it had expired when it came"
	for name, test := range map[string]struct {
		before, after status
		outcome       lifecycle.Outcome
		serial        int64
		want          []conditions.Transition
	}{
		"nothing":     {},
		"the routine": {outcome: lifecycle.Outcome{Obtained: true}},
		"the first token": {outcome: lifecycle.Outcome{Obtained: true, First: true}, serial: 1,
			want: []conditions.Transition{{Event: "TokenIssued", Action: "Issue", Note: "Stored the first token in Secret main-token"}}},
		"the first token of a later grant": {outcome: lifecycle.Outcome{Obtained: true, First: true}, serial: 2,
			want: []conditions.Transition{{Event: "TokenIssued", Action: "Issue", Note: "Stored the token of a new grant in Secret main-token"}}},
		"a renewal that a person asked for": {after: asked("now"), outcome: lifecycle.Outcome{Obtained: true},
			want: []conditions.Transition{{Event: "TokenRenewed", Action: "Renew", Note: "Stored a new token in Secret main-token"}}},
		"a renewal that a person asked for again": {before: asked("now"), after: asked("again"), outcome: lifecycle.Outcome{Obtained: true},
			want: []conditions.Transition{{Event: "TokenRenewed", Action: "Renew", Note: "Stored a new token in Secret main-token"}}},
		"the routine, long after a person asked for a renewal": {before: asked("now"), after: asked("now"), outcome: lifecycle.Outcome{Obtained: true, HandledRenew: true}},
		"a request that was acted on without a renewal":        {before: asked("now"), after: asked("again")},
		"a renewal that ends failures": {before: failed(unavailable), outcome: lifecycle.Outcome{Obtained: true},
			want: []conditions.Transition{{Event: "TokenRenewed", Action: "Renew", Note: "Stored a new token in Secret main-token"}}},
		"a renewal that ends failures, and waits to be published": {before: failed(unavailable), outcome: lifecycle.Outcome{Obtained: true, KeepsFormer: true}},
		"a failure that is over without a renewal":                {before: failed(unavailable)},

		"a failure": {after: failed(unavailable), outcome: lifecycle.Outcome{Attempted: true},
			want: []conditions.Transition{{Event: "RenewalFailed", Warning: true, Action: "Renew", Note: "it failed"}}},
		"a failure of another kind": {before: failed(unavailable), after: failed(rateLimited), outcome: lifecycle.Outcome{Attempted: true},
			want: []conditions.Transition{{Event: "RenewalFailed", Warning: true, Action: "Renew", Note: "it failed"}}},
		"the same failure again": {before: failed(unavailable), after: failed(unavailable), outcome: lifecycle.Outcome{Attempted: true}},
		"a failure from before":  {after: failed(unavailable)},
		"tokens of another account": {after: failed(mismatch), outcome: lifecycle.Outcome{Attempted: true},
			want: []conditions.Transition{{Event: "AccountMismatch", Warning: true, Action: "Renew", Note: "it failed"}}},

		"a person must sign in": {before: reauth(v1alpha1.ReasonNotRequired), after: reauth(required), outcome: lifecycle.Outcome{Failure: &facts.Failure{Message: "there is no grant"}},
			want: []conditions.Transition{{Event: "SignInRequired", Warning: true, Action: "SignIn", Note: "there is no grant"}}},
		"a person must sign in from the beginning": {after: reauth(required),
			want: []conditions.Transition{{Event: "SignInRequired", Warning: true, Action: "SignIn", Note: "A person must sign in; status.signIn says where"}}},
		"a person must sign in still":        {before: reauth(required), after: reauth(required)},
		"a person gave up on the way":        {before: reauth(pending), after: reauth(required)},
		"a person is on the way":             {before: reauth(required), after: reauth(pending)},
		"a person has signed in":             {before: reauth(required), after: reauth(v1alpha1.ReasonNotRequired)},
		"another condition is about sign-in": {after: with(v1alpha1.ConditionAuthenticated, required, "")},

		"the authorization ends soon": {before: with(v1alpha1.ConditionAuthorizationExpiring, v1alpha1.ReasonNotRequired, ""), after: ending,
			want: []conditions.Transition{{Event: "AuthorizationExpiring", Warning: true, Action: "Renew", Note: "The authorization expires in 2 days, on 2026-03-04"}}},
		"the authorization ends soon that was missing": {before: with(v1alpha1.ConditionAuthorizationExpiring, required, ""), after: ending,
			want: []conditions.Transition{{Event: "AuthorizationExpiring", Warning: true, Action: "Renew", Note: "The authorization expires in 2 days, on 2026-03-04"}}},
		"it still ends soon": {before: ending, after: ending},
		"it has ended":       {before: ending, after: with(v1alpha1.ConditionAuthorizationExpiring, v1alpha1.ReasonAuthorizationExpired, "")},

		"an ID token is withheld": {before: with(v1alpha1.ConditionReady, "TokenValid", "The token is valid"), after: with(v1alpha1.ConditionReady, "TokenValid", withheld),
			want: []conditions.Transition{{Event: "IDTokenWithheld", Warning: true, Action: "Publish", Note: withheld}}},
		"an ID token is withheld still":     {before: with(v1alpha1.ConditionReady, "TokenValid", withheld), after: with(v1alpha1.ConditionReady, "TokenValid", withheld+" again")},
		"an ID token is withheld no longer": {before: with(v1alpha1.ConditionReady, "TokenValid", withheld), after: with(v1alpha1.ConditionReady, "TokenValid", "The token is valid")},
	} {
		t.Run(name, func(t *testing.T) {
			look := conditions.Look{Facts: facts.Facts{Now: noon, Account: &v1alpha1.MarketplaceAccount{Status: test.after}}, Outcome: test.outcome}
			look.Account.Name = "main"
			look.Custody.Serial = test.serial
			if diff := cmp.Diff(test.want, conditions.Transitions(&test.before, look)); diff != "" {
				t.Errorf("it tells (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTransitionsBesideTheStatus(t *testing.T) {
	for name, test := range map[string]struct{ got, want conditions.Transition }{
		"a sign-in":           {conditions.SignInCompleted("eBay", ""), conditions.Transition{Event: "SignInCompleted", Action: "SignIn", Note: "A person signed in at eBay"}},
		"a sign-in of a name": {conditions.SignInCompleted("eBay", "17"), conditions.Transition{Event: "SignInCompleted", Action: "SignIn", Note: "A person signed in at eBay as 17"}},
		"another account": {conditions.SignInRejected(facts.Failure{Reason: v1alpha1.ReasonAccountMismatch, Message: "it is another"}),
			conditions.Transition{Event: "AccountMismatch", Warning: true, Action: "SignIn", Note: "it is another"}},
		"a revocation": {conditions.GrantRevoked("done"), conditions.Transition{Event: "GrantRevoked", Action: "Revoke", Note: "done"}},
		"a failed revocation": {conditions.GrantNotRevoked("no way"),
			conditions.Transition{Event: "GrantRevoked", Warning: true, Action: "Revoke", Note: "The grant was not revoked: no way"}},
	} {
		if diff := cmp.Diff(test.want, test.got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
