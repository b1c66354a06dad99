package conditions_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/conditions"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
)

// looked is a look after which the account has a status.
func looked(after *status) conditions.Look {
	return conditions.Look{Facts: facts.Facts{Account: &v1alpha1.MarketplaceAccount{Status: *after}}}
}

func TestAStatusThatTellsTheTimesOfTokensWaits(t *testing.T) {
	issued := metav1.NewTime(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC))
	later := metav1.NewTime(issued.Add(time.Hour))
	before := func() *v1alpha1.MarketplaceAccountStatus {
		return &v1alpha1.MarketplaceAccountStatus{
			ObservedGeneration: 1,
			TokenSecretName:    "main-token",
			Account:            &v1alpha1.AccountStatus{ID: "17"},
			AccessToken:        &v1alpha1.AccessTokenStatus{Serial: 4, IssuedTime: issued},
			Authorization:      &v1alpha1.AuthorizationStatus{GrantedTime: issued, ExpirationTime: issued, DaysRemaining: new(int32(1))},
			Conditions: []metav1.Condition{
				{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonTokenValid, Message: "until 10:00", LastTransitionTime: issued},
			},
		}
	}
	renewed := func(changes ...func(*v1alpha1.MarketplaceAccountStatus)) *v1alpha1.MarketplaceAccountStatus {
		after := before()
		after.AccessToken = &v1alpha1.AccessTokenStatus{Serial: 5, IssuedTime: later}
		after.Authorization.ExpirationTime, after.Authorization.DaysRemaining = later, new(int32(2))
		after.Conditions[0].Message = "until 11:00"
		for _, change := range changes {
			change(after)
		}
		return after
	}
	for name, test := range map[string]struct {
		after *status
		want  bool
	}{
		"a renewal":                 {renewed(), true},
		"no renewal":                {before(), false},
		"the second that is untold": {renewed(func(s *status) { s.AccessToken.Serial = 6 }), false},
		"a refresh token given up":  {renewed(func(s *status) { s.AccessToken = nil }), false},
		"an edited spec":            {renewed(func(s *status) { s.ObservedGeneration = 2 }), false},
		"a request that was heard":  {renewed(func(s *status) { s.Handled = &v1alpha1.HandledStatus{Renew: "now"} }), false},
		"a failure":                 {renewed(func(s *status) { s.LastFailure = &v1alpha1.FailureStatus{Count: 1} }), false},
		"another seller":            {renewed(func(s *status) { s.Account.ID = "18" }), false},
		"another consent":           {renewed(func(s *status) { s.Authorization.GrantedTime = later }), false},
		"an end that is known":      {renewed(func(s *status) { s.Authorization = nil }), false},
		"another Secret":            {renewed(func(s *status) { s.TokenSecretName = "other" }), false},
		"another condition":         {renewed(func(s *status) { s.Conditions[0].Status = metav1.ConditionFalse }), false},
		"another reason":            {renewed(func(s *status) { s.Conditions[0].Reason = v1alpha1.ReasonDuplicateAccount }), false},
		"one condition more":        {renewed(func(s *status) { s.Conditions = append(s.Conditions, s.Conditions[0]) }), false},
	} {
		t.Run(name, func(t *testing.T) {
			was := before()
			want := conditions.Immediate
			if test.want {
				want = conditions.TokenTimesOnly
			}
			if got := conditions.UrgencyOf(was, looked(test.after), false); got != want {
				t.Errorf("the urgency is %v, want %v", got, want)
			}
			if diff := cmp.Diff(before(), was); diff != "" {
				t.Errorf("it only looks: %s", diff)
			}
			first := looked(test.after)
			first.First = true
			if got := conditions.UrgencyOf(was, first, false); got != conditions.Immediate {
				t.Errorf("with the first token of a grant the urgency is %v", got)
			}
		})
	}
	if got := conditions.UrgencyOf(&status{}, looked(renewed()), false); got != conditions.Immediate {
		t.Errorf("of the first token the urgency is %v", got)
	}
}

func TestAStatusThatTellsOfAClosedLimiterWaits(t *testing.T) {
	before := func() *status {
		return &status{
			ObservedGeneration: 1,
			AccessToken:        &v1alpha1.AccessTokenStatus{Serial: 4, IssuedTime: metav1.NewTime(noon)},
			Conditions: []metav1.Condition{
				{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonTokenValid},
				{Type: v1alpha1.ConditionAuthenticated, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonTokenValid},
			},
		}
	}
	unknown := func(s *status) {
		s.Conditions[1].Status, s.Conditions[1].Reason = metav1.ConditionUnknown, v1alpha1.ReasonMarketplaceUnavailable
	}
	expired := func(s *status) {
		s.Conditions[0].Status, s.Conditions[0].Reason = metav1.ConditionFalse, v1alpha1.ReasonMarketplaceUnavailable
	}
	for name, test := range map[string]struct {
		closed, needed bool
		changes        []func(*status)
		want           conditions.Urgency
	}{
		"the limiter is closed":          {closed: true, changes: []func(*status){unknown}, want: conditions.LimiterClosedOnly},
		"and the token expires":          {closed: true, changes: []func(*status){unknown, expired}, want: conditions.LimiterClosedOnly},
		"the limiter is open":            {changes: []func(*status){unknown, expired}},
		"nothing is new":                 {closed: true},
		"a person waits for the tokens":  {closed: true, needed: true, changes: []func(*status){unknown}},
		"the spec was edited":            {closed: true, changes: []func(*status){unknown, func(s *status) { s.ObservedGeneration = 2 }}},
		"there is a link to sign in":     {closed: true, changes: []func(*status){unknown, func(s *status) { s.SignIn = &v1alpha1.SignInStatus{} }}},
		"a link to sign in and no other": {closed: true, changes: []func(*status){func(s *status) { s.SignIn = &v1alpha1.SignInStatus{} }}},
	} {
		t.Run(name, func(t *testing.T) {
			after, was := before(), before()
			for _, change := range test.changes {
				change(after)
			}
			look := looked(after)
			look.LimiterClosed = test.closed
			if got := conditions.UrgencyOf(was, look, test.needed); got != test.want {
				t.Errorf("the urgency is %v, want %v", got, test.want)
			}
			if diff := cmp.Diff(before(), was); diff != "" {
				t.Errorf("it only looks: %s", diff)
			}
		})
	}
}
