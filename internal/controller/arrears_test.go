package controller

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/throttle"
)

// newCalled makes arrears that remember who was called.
func newCalled(workers int) (a *arrears, called *[]client.ObjectKey) {
	a, called = newArrears(workers), &[]client.ObjectKey{}
	a.call = func(account client.ObjectKey) { *called = append(*called, account) }
	return a, called
}

// writing does something while n writes are under way.
func writing(a *arrears, n int, do func()) {
	if n == 0 {
		do()
		return
	}
	_ = a.write(func() error {
		writing(a, n-1, do)
		return nil
	})
}

// waits tells whether a status has to wait.
func waits(a *arrears, account int, what news) bool {
	return !a.postpone(accountNamed(account), what, time.Time{}).IsZero()
}

func accountNamed(i int) client.ObjectKey {
	return client.ObjectKey{Namespace: "shop", Name: fmt.Sprint("account-", i)}
}

func TestStatusesWaitWhileMuchIsWritten(t *testing.T) {
	const accounts = 10
	g := NewWithT(t)
	a, called := newCalled(256) // 32 may write before statuses wait, and 8 with those that waited
	g.Expect(waits(a, 0, newTimes)).To(BeFalse(), "nobody writes")
	writing(a, 31, func() { g.Expect(waits(a, 0, newTimes)).To(BeFalse(), "there is room") })
	writing(a, 32, func() {
		for i := range accounts {
			g.Expect(waits(a, i, newTimes)).To(BeTrue(), "as many write as may")
			g.Expect(waits(a, i, newTimes)).To(BeTrue(), "as many write as may")
		}
		g.Expect(*called).To(BeEmpty(), "there is no room yet")
	})
	g.Expect(*called).To(HaveLen(8), "and no more at once")
	writing(a, 3, func() {
		a.looked((*called)[0])
		g.Expect(*called).To(HaveLen(8), "others write")
	})
	g.Expect(*called).To(HaveLen(9))
	for _, account := range *called {
		a.looked(account)
	}
	g.Expect(*called).To(HaveLen(accounts))
	var want []client.ObjectKey
	for i := range accounts {
		want = append(want, accountNamed(i))
	}
	g.Expect(*called).To(ConsistOf(want), "each is called once")
}

func TestClosedGatesAreToldOneAfterTheOther(t *testing.T) {
	g := NewWithT(t)
	a, called := newCalled(256)
	g.Expect(waits(a, 0, closedGate)).To(BeFalse(), "nobody writes")
	writing(a, 2, func() {
		for i := range 3 {
			g.Expect(waits(a, i, closedGate)).To(BeTrue(), "others write")
		}
		g.Expect(waits(a, 3, newTimes)).To(BeFalse(), "which is not much")
		g.Expect(waits(a, 3, pressing)).To(BeFalse(), "and it is pressing")
	})
	for i := range 3 {
		g.Expect(*called).To(HaveLen(i + 1))
		a.looked((*called)[i])
	}
	g.Expect(*called).To(ConsistOf(accountNamed(0), accountNamed(1), accountNamed(2)))
}

func TestWhoIsToldOtherwiseIsNotCalled(t *testing.T) {
	for name, end := range map[string]func(a *arrears){
		"it is told":             func(a *arrears) { a.postpone(accountNamed(0), pressing, time.Time{}) },
		"it has waited for long": func(a *arrears) { a.postpone(accountNamed(0), closedGate, time.Time{}.Add(10*time.Second)) },
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			a, called := newCalled(256)
			writing(a, 1, func() {
				g.Expect(waits(a, 0, closedGate)).To(BeTrue())
				end(a)
				g.Expect(waits(a, 1, closedGate)).To(BeTrue())
			})
			g.Expect(*called).To(ConsistOf(accountNamed(1)))
		})
	}
}

// TestNobodyWaitsForLongerThanHeMay: who is called in vain waits no longer than the others, and a look at the very end is not put off.
func TestNobodyWaitsForLongerThanHeMay(t *testing.T) {
	g := NewWithT(t)
	a, called := newCalled(256)
	since := time.Date(2026, 3, 2, 9, 0, 0, 7e8, time.UTC)
	end := since.Add(10 * time.Second)
	writing(a, 1, func() { g.Expect(a.postpone(accountNamed(0), closedGate, since)).To(Equal(end)) })
	g.Expect(*called).To(HaveLen(1))
	writing(a, 1, func() {
		g.Expect(a.postpone(accountNamed(0), closedGate, since.Add(9*time.Second))).To(Equal(end), "others have begun to write")
		a.looked(accountNamed(0))
		g.Expect(a.postpone(accountNamed(0), closedGate, end)).To(BeZero())
		a.looked(accountNamed(0))
		g.Expect(a.postpone(accountNamed(0), closedGate, end)).To(Equal(end.Add(10*time.Second)), "what comes then is something else")
	})
}

// TestNobodyWhoWaitsIsForgotten: whatever ends last, a write or a look, calls who has waited.
func TestNobodyWhoWaitsIsForgotten(t *testing.T) {
	for _, workers := range []int{1, 16, 256} {
		t.Run(fmt.Sprint(workers, " workers"), func(t *testing.T) {
			g := NewWithT(t)
			a, called := newCalled(workers)
			for i := range 20 {
				what := []news{newTimes, closedGate}[i%2]
				writing(a, a.lines[what].limit, func() { g.Expect(waits(a, i, what)).To(BeTrue()) })
			}
			for i := 0; i < len(*called); i++ { // a call leads to a look, which may write or not
				writing(a, i%2, func() {})
				a.looked((*called)[i])
			}
			g.Expect(*called).To(HaveLen(20))
		})
	}
}

func TestRoutine(t *testing.T) {
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
	type status = v1alpha1.MarketplaceAccountStatus
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
			if got := routine(was, test.after); got != test.want {
				t.Errorf("routine is %v, want %v", got, test.want)
			}
			NewWithT(t).Expect(was).To(Equal(before()), "it only looks")
		})
	}
	if routine(&status{}, renewed()) {
		t.Error("the first token is news")
	}
}

func TestNews(t *testing.T) {
	now := metav1.NewTime(time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC))
	before := func() *v1alpha1.MarketplaceAccountStatus {
		return &v1alpha1.MarketplaceAccountStatus{
			ObservedGeneration: 1,
			AccessToken:        &v1alpha1.AccessTokenStatus{Serial: 4, IssuedTime: now},
			Conditions: []metav1.Condition{
				{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonTokenValid},
				{Type: v1alpha1.ConditionAuthenticated, Status: metav1.ConditionTrue, Reason: v1alpha1.ReasonTokenValid},
			},
		}
	}
	type status = v1alpha1.MarketplaceAccountStatus
	// due is an account whose token falls due.
	due := func(changes ...func(*found)) *found {
		f := &found{Facts: lifecycle.Facts{
			Account: &v1alpha1.MarketplaceAccount{ObjectMeta: metav1.ObjectMeta{Generation: 1}, Status: *before()},
			Custody: custody.Custody{Grant: custody.Grant{Tokens: &custody.Tokens{RenewAt: now.Time, ExpiresAt: now.Add(time.Hour)}}},
			Request: lifecycle.Request{Platform: &marketplace.Platform{DisplayName: "eBay"}},
			Now:     now.Time,
		}}
		for _, change := range changes {
			change(f)
		}
		return f
	}
	held := func(cause throttle.Cause) func(*found) {
		return func(f *found) { f.explain(throttle.Wait{Cause: cause}) }
	}
	unknown := func(s *status) {
		s.Conditions[1].Status, s.Conditions[1].Reason = metav1.ConditionUnknown, v1alpha1.ReasonMarketplaceUnavailable
	}
	expired := func(s *status) {
		s.Conditions[0].Status, s.Conditions[0].Reason = metav1.ConditionFalse, v1alpha1.ReasonMarketplaceUnavailable
	}
	renewed := func(s *status) { s.AccessToken = &v1alpha1.AccessTokenStatus{Serial: 5, IssuedTime: now} }
	for name, test := range map[string]struct {
		found   *found
		changes []func(*status)
		want    news
	}{
		"nobody answers":                {due(held(throttle.NoAnswer)), []func(*status){unknown}, closedGate},
		"the marketplace is left alone": {due(held(throttle.LeftAlone)), []func(*status){unknown}, closedGate},
		"and the token expires":         {due(held(throttle.NoAnswer)), []func(*status){unknown, expired}, closedGate},
		"it expires before its turn":    {due(held(throttle.Turn)), []func(*status){unknown, expired}, pressing},
		"nothing else is new":           {due(held(throttle.NoAnswer)), nil, pressing},
		"something else is wrong":       {due(func(f *found) { f.Note(&lifecycle.Failure{}) }, held(throttle.NoAnswer)), []func(*status){unknown}, pressing},
		"it was told itself": {due(func(f *found) {
			f.Account.Status.LastFailure = &v1alpha1.FailureStatus{Time: now, Reason: v1alpha1.ReasonMarketplaceUnavailable, Count: 1}
		}, held(throttle.NoAnswer)), []func(*status){unknown}, pressing},
		"somebody asks for a renewal":     {due(func(f *found) { metav1.SetMetaDataAnnotation(&f.Account.ObjectMeta, v1alpha1.AnnotationRenew, "now") }, held(throttle.NoAnswer)), []func(*status){unknown}, pressing},
		"it has no token yet":             {due(func(f *found) { f.Custody.Tokens = nil }, held(throttle.NoAnswer)), []func(*status){unknown}, pressing},
		"the spec was edited":             {due(held(throttle.NoAnswer)), []func(*status){unknown, func(s *status) { s.ObservedGeneration = 2 }}, pressing},
		"there is a link to sign in":      {due(held(throttle.NoAnswer)), []func(*status){unknown, func(s *status) { s.SignIn = &v1alpha1.SignInStatus{} }}, pressing},
		"it was renewed":                  {due(), []func(*status){renewed}, newTimes},
		"it was renewed and has new news": {due(), []func(*status){renewed, unknown}, pressing},
		"it has got its first token":      {due(func(f *found) { f.First = true }), []func(*status){renewed}, pressing},
	} {
		t.Run(name, func(t *testing.T) {
			after := before()
			for _, change := range test.changes {
				change(after)
			}
			if got := test.found.news(before(), after); got != test.want {
				t.Errorf("the news are %v, want %v", got, test.want)
			}
		})
	}
}
