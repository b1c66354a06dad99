package facts

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

var lostAt = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

// afterLoss is an account whose refresh token was sent at lostAt, with a token of 12 hours that was due then.
func afterLoss(changes ...func(*Facts)) Facts {
	v := Facts{
		Account: &v1alpha1.MarketplaceAccount{
			ObjectMeta: metav1.ObjectMeta{Name: "main", Namespace: "shop", Generation: 1},
			Spec:       v1alpha1.MarketplaceAccountSpec{Grant: v1alpha1.Grant{Type: v1alpha1.GrantAuthorizationCode}},
		},
		Request: Request{
			Grant:       v1alpha1.GrantAuthorizationCode,
			Platform:    &marketplace.Platform{DisplayName: "Shop", Rotating: true},
			Application: tokensecret.Application{ClientID: "app"},
		},
		Custody: custody.Custody{
			Grant: custody.Grant{
				RefreshToken: "one", ClientID: "app", Consent: 1,
				Tokens: &custody.Tokens{IssuedAt: lostAt.Add(-11 * time.Hour), RenewAt: lostAt, ExpiresAt: lostAt.Add(time.Hour)},
			},
			Accepted: 1, Consents: 1,
			Journal: &custody.Journal{StartedAt: lostAt, LastAt: lostAt, Holder: "me", Attempts: 1, Lost: true},
		},
		Now: lostAt, Holder: "me", CallTimeout: 30 * time.Second, AttemptTimeout: 80 * time.Second,
	}
	v.Request.Key = v.Custody.Tokens.For
	for _, change := range changes {
		change(&v)
	}
	return v
}

func TestWhenATokenWhoseAnswerWasLostIsSentAgain(t *testing.T) {
	end := lostAt.Add(time.Hour - longestUseMargin)
	journal := func(change func(*custody.Journal)) func(*Facts) {
		return func(v *Facts) { change(v.Custody.Journal) }
	}
	tests := map[string]struct {
		change func(*Facts)
		want   time.Time // zero means never by itself
	}{
		"three minutes before the token ends": {func(*Facts) {}, end},
		"a tenth of a short life before it": {func(v *Facts) {
			v.Custody.Tokens.IssuedAt, v.Custody.Tokens.ExpiresAt = lostAt.Add(-5*time.Minute), lostAt.Add(5*time.Minute)
		}, lostAt.Add(4 * time.Minute)},
		"90 seconds later where the token ends before": {func(v *Facts) { v.Custody.Tokens.ExpiresAt = lostAt.Add(2 * time.Minute) }, lostAt.Add(90 * time.Second)},
		"two calls and a store later where those are longer": {func(v *Facts) {
			v.AttemptTimeout, v.Custody.Tokens.ExpiresAt = 140*time.Second, lostAt.Add(2*time.Minute)
		}, lostAt.Add(140 * time.Second)},
		"before the authorization ends":                   {func(v *Facts) { v.Custody.AuthorizationExpiresAt = lostAt.Add(30 * time.Minute) }, lostAt.Add(27 * time.Minute)},
		"an authorization that had ended says nothing":    {func(v *Facts) { v.Custody.AuthorizationExpiresAt = lostAt.Add(-time.Minute) }, end},
		"an authorization that ends later than the token": {func(v *Facts) { v.Custody.AuthorizationExpiresAt = lostAt.Add(2 * time.Hour) }, end},
		"now, where there is no token":                    {func(v *Facts) { v.Custody.Tokens = nil }, lostAt.Add(90 * time.Second)},
		"now, where the token has expired":                {func(v *Facts) { v.Custody.Tokens.ExpiresAt = lostAt.Add(-time.Hour) }, lostAt.Add(90 * time.Second)},
		"now, where an identity request refused it twice": {func(v *Facts) {
			v.Custody.Identified, v.Custody.Verified = true, &custody.Verification{Refusals: 2}
		}, lostAt.Add(90 * time.Second)},
		"one refusal of an identity request is not enough": {func(v *Facts) {
			v.Custody.Identified, v.Custody.Verified = true, &custody.Verification{Refusals: 1}
		}, end},
		"one that never accepted a token says nothing":    {func(v *Facts) { v.Custody.Verified = &custody.Verification{Refusals: 2} }, end},
		"a last sending ahead of the clock counts as now": {journal(func(j *custody.Journal) { j.LastAt = lostAt.Add(time.Hour) }), end},
		"a last sending ahead of the clock, token at its end": {func(v *Facts) {
			v.Custody.Journal.LastAt, v.Custody.Tokens.ExpiresAt = lostAt.Add(time.Hour), lostAt.Add(time.Minute)
		}, lostAt.Add(90 * time.Second)},
		"a journal from before, without a last sending": {journal(func(j *custody.Journal) { j.LastAt = time.Time{} }), end},
		"after one last resort":                         {journal(func(j *custody.Journal) { j.LastResorts = 1 }), lostAt.Add(90 * time.Second)},
		"after two":                                     {journal(func(j *custody.Journal) { j.LastResorts = 2 }), lostAt.Add(3 * time.Minute)},
		"after six":                                     {journal(func(j *custody.Journal) { j.LastResorts = 6 }), lostAt.Add(48 * time.Minute)},
		"after many, once an hour":                      {journal(func(j *custody.Journal) { j.LastResorts = 1 << 20 }), lostAt.Add(time.Hour)},
		"never, where the Marketplace says so":          {func(v *Facts) { v.Request.Platform.LostAnswerNever = true }, time.Time{}},
		"never, where another account lives on it":      {func(v *Facts) { v.SellerElsewhere = true }, time.Time{}},
		"never, for another application":                {func(v *Facts) { v.Request.Application.ClientID = "another" }, time.Time{}},
		"never, for another account than the spec's": {func(v *Facts) {
			v.Custody.Account.ID, v.Account.Spec.AccountID = "one", "two"
		}, time.Time{}},
		"an import that was brought since a restore": {func(v *Facts) {
			v.Custody.Restored = &custody.Restored{Told: true, Imported: "of before"}
			v.Request.Grant, v.Request.Imported.RefreshToken = v1alpha1.GrantRefreshToken, "import"
			v.Custody.ImportJournal = &custody.Journal{StartedAt: lostAt, LastAt: lostAt, Imported: "import", Attempts: 1, Lost: true}
		}, lostAt.Add(90 * time.Second)},
		"an import, where no grant is in use": {func(v *Facts) {
			v.Custody.Grant, v.Custody.Journal = custody.Grant{}, nil
			v.Request.Grant, v.Request.Imported.RefreshToken = v1alpha1.GrantRefreshToken, "import"
			v.Custody.ImportJournal = &custody.Journal{StartedAt: lostAt, LastAt: lostAt, Imported: "import", Attempts: 1, Lost: true}
		}, lostAt.Add(90 * time.Second)},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			v := afterLoss(test.change)
			if !v.Resting() {
				t.Fatal("the token does not rest")
			}
			at, never := v.NextUse()
			if !at.Equal(test.want) || test.want.IsZero() != (never != "") {
				t.Errorf("it is sent at %v (%q), want %v", at, never, test.want)
			}
			if entry := v.Journal(); v.AheadOfClock() {
				entry.LastAt = v.Now // as it is written down
			}
			v.Now = renewal.Latest(v.Now, test.want)
			if plan := v.planRest(); plan.Due == test.want.IsZero() {
				t.Errorf("the plan of that moment is %+v", plan)
			}
			if v.Now = v.Now.Add(-time.Second); !test.want.IsZero() && v.Now.Before(test.want) && v.planRest().Due {
				t.Error("it is due a second before")
			}
		})
	}
}

func TestWhatDoesNotShortenTheRest(t *testing.T) {
	for name, change := range map[string]func(*Facts){
		"a request": func(v *Facts) {
			v.Account.Annotations = map[string]string{v1alpha1.AnnotationRenew: "now"}
		},
		"an edit":               func(v *Facts) { v.Account.Generation++ },
		"tokens of another key": func(v *Facts) { v.Request.Key = "other" },
		"a token that the marketplace refused once": func(v *Facts) { v.TokenRefused = true },
		"a failure from before": func(v *Facts) {
			v.Account.Status.LastFailure = &v1alpha1.FailureStatus{Reason: v1alpha1.ReasonMarketplaceUnavailable, Time: metav1.NewTime(lostAt.Add(-time.Hour))}
		},
		"another process": func(v *Facts) { v.Holder = "successor" },
	} {
		t.Run(name, func(t *testing.T) {
			v := afterLoss(change)
			if v.Now = lostAt.Add(30 * time.Minute); v.Plan().Due {
				t.Error("the token is sent before its end of use")
			}
			if v.Now = lostAt.Add(58 * time.Minute); !v.Plan().Due {
				t.Error("the token is not sent at its end of use")
			}
		})
	}
}

// TestALastResortThatCouldNotBeSent is not tried again each second.
func TestALastResortThatCouldNotBeSent(t *testing.T) {
	v := afterLoss(func(v *Facts) {
		v.Now = lostAt.Add(57 * time.Minute)
		v.Account.Status.ObservedGeneration = 1
		v.Account.Status.LastFailure = &v1alpha1.FailureStatus{Reason: v1alpha1.ReasonMarketplaceUnavailable, Time: metav1.NewTime(v.Now), Count: 1}
	})
	plan := v.Plan()
	if plan.Due || plan.Look.Sub(v.Now) < 5*time.Second || plan.Look.Sub(v.Now) > 15*time.Second {
		t.Errorf("the plan after its failure is %+v", plan)
	}
}

func TestWhatPutsOffALastResort(t *testing.T) {
	due := lostAt.Add(57 * time.Minute)
	visit := func(begun time.Time) func(*Facts) {
		return func(v *Facts) {
			v.Custody.SignIn.Visits = append(v.Custody.SignIn.Visits, custody.Visit{ExpiresAt: begun.Add(signin.VisitLife)})
		}
	}
	candidate := func(account string) func(*Facts) {
		return func(v *Facts) {
			v.Custody.Account.ID = "seller"
			v.Custody.Candidate = &custody.Grant{Consent: 2, ClientID: "app", Account: custody.Account{ID: account}, Tokens: &custody.Tokens{}}
		}
	}
	tests := map[string]struct {
		change func(*Facts)
		now    time.Time
		want   bool
	}{
		"nothing":                       {func(*Facts) {}, due, true},
		"a browser at the marketplace":  {visit(due.Add(-9 * time.Minute)), due, false},
		"one that left ten minutes ago": {visit(due.Add(-10 * time.Minute)), due, true},
		"one that came back": {func(v *Facts) {
			visit(due)(v)
			v.Custody.SignIn.Visits[0].Used, v.Custody.SignIn.Visits[0].Consent = true, 2
		}, due, true},
		"one whose code is redeemed": {func(v *Facts) { visit(due)(v); v.Custody.SignIn.Visits[0].Used = true }, due, false},
		"one that brought nothing": {func(v *Facts) {
			visit(due)(v)
			v.Custody.SignIn.Visits[0].Used, v.Custody.SignIn.Visits[0].Problem = true, string(signin.CodeRefused)
		}, due, true},
		"browsers, one after the other":      {visit(due.Add(55 * time.Minute)), due.Add(59 * time.Minute), false},
		"for an hour at most":                {visit(due.Add(55 * time.Minute)), due.Add(time.Hour), true},
		"a grant whose account is asked":     {func(v *Facts) { candidate("")(v); v.Custody.Candidate.Unverified = true }, due.Add(2 * time.Hour), false},
		"a grant whose account nobody tells": {candidate(""), due, true},
		"a grant of the right account":       {candidate("seller"), due, false},
		"a grant of another account":         {candidate("other"), due, true},
		"a grant of another application":     {func(v *Facts) { candidate("seller")(v); v.Custody.Candidate.ClientID = "other" }, due, true},
		"a grant that was withdrawn":         {func(v *Facts) { candidate("seller")(v); v.Custody.Candidate.Consent = 1 }, due, true},
		"a device code that is offered": {func(v *Facts) {
			v.Custody.SignIn.Device = &custody.Device{ExpiresAt: due.Add(5 * time.Minute), ClientID: "app"}
		}, due, true},
		"a device code that was used": {func(v *Facts) {
			v.CodeUsed = true
			v.Custody.SignIn.Device = &custody.Device{ExpiresAt: due.Add(5 * time.Minute), ClientID: "app"}
		}, due, false},
		"a wait that the marketplace demands": {func(v *Facts) { v.Custody.NotBefore = due.Add(time.Minute) }, due, false},
		"a suspended account":                 {func(v *Facts) { v.Account.Spec.Renewal.Policy = v1alpha1.RenewalSuspended }, due, false},
		"a custody from a backup":             {func(v *Facts) { v.Custody.Restored = &custody.Restored{Told: true} }, due, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			v := afterLoss(test.change)
			v.Now = test.now
			got := v.Plan().Due && !v.MayBeSpent()
			if got != test.want {
				t.Errorf("the last resort is due: %t, want %t", got, test.want)
			}
		})
	}
}

func TestUseWithinTheGrace(t *testing.T) {
	graceful := func(age time.Duration, changes ...func(*Facts)) Facts {
		return afterLoss(append([]func(*Facts){func(v *Facts) {
			v.Request.Platform.ReuseGrace = time.Minute
			v.Custody.Journal.Lost = false
			v.Now = lostAt.Add(age)
		}}, changes...)...)
	}
	tests := map[string]struct {
		v    Facts
		want Reuse
	}{
		"at once":                             {graceful(0), WithinGrace},
		"at nine tenths of it less a second":  {graceful(52 * time.Second), WithinGrace},
		"at nine tenths":                      {graceful(53 * time.Second), LastResort},
		"after the last try within it":        {graceful(52*time.Second, func(v *Facts) { v.Custody.Journal.LastAt = lostAt.Add(51 * time.Second) }), LastResort},
		"a grace shorter than a call is none": {graceful(0, func(v *Facts) { v.Request.Platform.ReuseGrace = 29 * time.Second }), LastResort},
		"given up before, whatever the grace": {graceful(0, func(v *Facts) { v.Custody.Journal.Lost = true }), LastResort},
		"the clock was set back":              {graceful(-time.Hour), WithinGrace},
		"nothing on record":                   {graceful(0, func(v *Facts) { v.Custody.Journal = nil }), FirstUse},
		"a platform whose tokens do not mind": {graceful(0, func(v *Facts) { v.Request.Platform.Rotating = false }), FirstUse},
		"an import that is not on record":     {graceful(0, func(v *Facts) { v.Custody.Journal = nil }), FirstUse},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := test.v.Reuse(); got != test.want {
				t.Errorf("the use is %d, want %d", got, test.want)
			}
		})
	}
	v := graceful(45*time.Second, func(v *Facts) {
		v.Account.Status.LastFailure = &v1alpha1.FailureStatus{
			Reason: v1alpha1.ReasonMarketplaceUnavailable, Time: metav1.NewTime(lostAt.Add(31 * time.Second)), Count: 3,
		}
		v.Account.Status.ObservedGeneration = 1
		v.Custody.Journal.LastAt = lostAt.Add(31 * time.Second)
	})
	if at := v.RetryAt(); at.Before(lostAt.Add(45*time.Second)) || at.After(lostAt.Add(54*time.Second)) {
		t.Errorf("the last try within the grace is at %v", at.Sub(lostAt))
	}
}
