package facts

import (
	"testing"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
)

// twoClocks is an account at QuickBooks: renewals prolong its authorization by 100 days, and five years after the consent it ends.
func twoClocks(granted time.Duration, changes ...func(*Facts)) Facts {
	const day = 24 * time.Hour
	return afterLoss(append([]func(*Facts){func(f *Facts) {
		f.Custody.Journal = nil
		f.Custody.GrantedAt = lostAt.Add(-granted)
		f.Custody.Tokens.RenewAt = lostAt.Add(time.Minute)
		f.Request.Platform = &marketplace.Platform{
			DisplayName: "QuickBooks", AuthorizationSlides: true, AuthorizationLifetime: 100 * day, AuthorizationMaxLifetime: 1825 * day,
		}
	}}, changes...)...)
}

func TestAnAuthorizationWithTwoClocks(t *testing.T) {
	const day = 24 * time.Hour
	issued := lostAt.Add(-11 * time.Hour)
	tests := map[string]struct {
		facts     Facts
		want      time.Time
		prolonged bool
	}{
		"young: the next renewal prolongs it":       {twoClocks(10 * day), issued.Add(100 * day), true},
		"four days before the end, none does":       {twoClocks(1821 * day), lostAt.Add(4 * day), false},
		"100 days before the end, the last one has": {twoClocks(1725 * day), lostAt.Add(100 * day).Add(-11 * time.Hour), true},
		"the answer told the end": {
			twoClocks(10*day, func(f *Facts) { f.Custody.AuthorizationMaxExpiresAt = lostAt.Add(3 * day) }), lostAt.Add(3 * day), false,
		},
		"the answer told both": {
			twoClocks(10*day, func(f *Facts) {
				f.Custody.AuthorizationExpiresAt, f.Custody.AuthorizationMaxExpiresAt = lostAt.Add(2*day), lostAt.Add(3*day)
			}), lostAt.Add(2 * day), true,
		},
		"no end beyond the one that slides": {
			twoClocks(1821*day, func(f *Facts) { f.Request.Platform.AuthorizationMaxLifetime = 0 }), issued.Add(100 * day), true,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, end := test.facts.AuthorizationTimes()
			if !end.Equal(test.want) {
				t.Errorf("it ends at %s, want %s", end, test.want)
			}
			if got := test.facts.Prolonged(); got != test.prolonged {
				t.Errorf("the next renewal prolongs it: %t", got)
			}
		})
	}
}

// endless is an account whose access token has no end, and no refresh token.
func endless(changes ...func(*Facts)) Facts {
	object := &v1alpha1.Marketplace{}
	object.Name = "shop"
	object.Spec.Environments = []v1alpha1.Environment{{Name: "Production"}}
	object.Spec.Grants = []v1alpha1.GrantType{v1alpha1.GrantAuthorizationCode}
	object.Spec.Identity.Request = &v1alpha1.IdentityRequest{URL: "https://api.example.com/me"}
	return afterLoss(append([]func(*Facts){func(f *Facts) {
		account := f.Account.DeepCopy()
		account.Spec.Environment = "Production"
		platform, err := marketplace.Resolve(object, account)
		if err != nil {
			panic(err)
		}
		f.Request.Platform, f.Custody.Journal, f.Custody.RefreshToken = platform, nil, ""
		f.Custody.Tokens.ExpiresAt, f.Custody.Tokens.RenewAt = renewal.Never, renewal.Never
	}}, changes...)...)
}

func tested(ago time.Duration, verification custody.Verification) func(*Facts) {
	return func(f *Facts) { verification.At = lostAt.Add(-ago); f.Custody.Verified = &verification }
}

func TestATokenWithoutAnEnd(t *testing.T) {
	issued := lostAt.Add(-11 * time.Hour)
	tests := map[string]struct {
		facts Facts
		test  time.Time
		fails string // the reason
	}{
		"is tested a day after it came":            {endless(), issued.Add(24 * time.Hour), ""},
		"is tested a day after the last test":      {endless(tested(time.Hour, custody.Verification{})), lostAt.Add(23 * time.Hour), ""},
		"is tested soon where nobody answered":     {endless(tested(time.Minute, custody.Verification{Failure: "it is closed", Unreachable: true})), lostAt.Add(59 * time.Minute), ""},
		"is tested once more where it was refused": {endless(tested(0, custody.Verification{Failure: "refused", Refusals: 1})), lostAt.Add(Retest), ""},
		"is dead where it was refused twice":       {endless(tested(0, custody.Verification{Failure: "refused", Refusals: 2})), time.Time{}, v1alpha1.ReasonSignInRequired},
		"is left alone while suspended":            {endless(func(f *Facts) { f.Account.Spec.Renewal.Policy = v1alpha1.RenewalSuspended }), time.Time{}, ""},
		"of another application needs a sign-in":   {endless(func(f *Facts) { f.Request.Application.ClientID = "other" }), issued.Add(24 * time.Hour), v1alpha1.ReasonSignInRequired},
		"for another spec needs a sign-in":         {endless(func(f *Facts) { f.Request.Key = "other" }), issued.Add(24 * time.Hour), v1alpha1.ReasonSignInRequired},
		"that nothing can test is left alone":      {endless(func(f *Facts) { f.Request.Platform = &marketplace.Platform{DisplayName: "Shop"} }), time.Time{}, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := test.facts.DailyTest(); !got.Equal(test.test) {
				t.Errorf("it is tested at %s, want %s", got, test.test)
			}
			failure, reason := test.facts.DeadGrant(), ""
			if failure != nil {
				reason = failure.Reason
			}
			if reason != test.fails {
				t.Errorf("the failure is %v, want reason %q", failure, test.fails)
			}
			if !test.facts.CannotRenew() || test.facts.Plan().Due {
				t.Error("it would be renewed, with nothing to renew it by")
			}
		})
	}
}
