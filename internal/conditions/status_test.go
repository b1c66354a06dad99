package conditions_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/conditions"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
)

// at is a moment as the API has it, in hours from noon and of whole seconds.
func at(hours float64) metav1.Time {
	return metav1.NewTime(noon.Add(time.Duration(hours * float64(time.Hour))))
}

// annotated is an account on which a person asks for something.
func annotated(annotation, value string) change {
	return func(l *conditions.Look) { l.Account.Annotations = map[string]string{annotation: value} }
}

// was is what the status says from before.
func was(change func(*status)) change {
	return func(l *conditions.Look) { change(&l.Account.Status) }
}

// report is the status after a look.
func report(changes ...change) status { return conditions.Report(lookAt(changes...)).Account.Status }

func TestFailuresAreCounted(t *testing.T) {
	last := func(hours float64, count int32) change {
		return was(func(s *status) {
			s.LastFailure = &v1alpha1.FailureStatus{Time: at(hours), Reason: v1alpha1.ReasonRateLimited, Message: "Before", Count: count}
		})
	}
	attempted := func(l *conditions.Look) { l.Attempted = true }
	for name, test := range map[string]struct {
		changes []change
		want    *v1alpha1.FailureStatus
	}{
		"no failure": {},
		"the first": {[]change{fails(v1alpha1.ReasonMarketplaceUnavailable), attempted},
			&v1alpha1.FailureStatus{Time: at(0), Reason: v1alpha1.ReasonMarketplaceUnavailable, Message: "It fails", Count: 1}},
		"another, of any kind": {[]change{last(-.5, 3), fails(v1alpha1.ReasonMarketplaceUnavailable), attempted},
			&v1alpha1.FailureStatus{Time: at(0), Reason: v1alpha1.ReasonMarketplaceUnavailable, Message: "It fails", Count: 4}},
		"one more than can be counted": {[]change{last(-.5, math.MaxInt32), fails(v1alpha1.ReasonMarketplaceUnavailable), attempted},
			&v1alpha1.FailureStatus{Time: at(0), Reason: v1alpha1.ReasonMarketplaceUnavailable, Message: "It fails", Count: math.MaxInt32}},
		"the first since tokens were stored": {[]change{last(-2, 3), fails(v1alpha1.ReasonMarketplaceUnavailable), attempted},
			&v1alpha1.FailureStatus{Time: at(0), Reason: v1alpha1.ReasonMarketplaceUnavailable, Message: "It fails", Count: 1}},
		"nothing was asked": {[]change{last(-.5, 3), fails(v1alpha1.ReasonMarketplaceUnavailable)},
			&v1alpha1.FailureStatus{Time: at(-.5), Reason: v1alpha1.ReasonRateLimited, Message: "Before", Count: 3}},
		"tokens came":           {[]change{last(-.5, 3), func(l *conditions.Look) { l.Obtained = true }}, nil},
		"tokens came that wait": {[]change{last(-.5, 3), func(l *conditions.Look) { l.Obtained, l.KeepsFormer = true, true }}, nil},
		"tokens wait that came before": {[]change{last(-.5, 3), func(l *conditions.Look) { l.KeepsFormer = true }},
			&v1alpha1.FailureStatus{Time: at(-.5), Reason: v1alpha1.ReasonRateLimited, Message: "Before", Count: 3}},
		"tokens came, by what is stored": {[]change{last(-2, 3)}, nil},
		"a long story": {[]change{fails(v1alpha1.ReasonMarketplaceUnavailable), attempted, func(l *conditions.Look) {
			l.Failure.Message = strings.Repeat("x", bounds.Message+1)
		}}, &v1alpha1.FailureStatus{Time: at(0), Reason: v1alpha1.ReasonMarketplaceUnavailable, Message: strings.Repeat("x", bounds.Message-3) + "…", Count: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, report(test.changes...).LastFailure); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAFailureStands(t *testing.T) {
	last := was(func(s *status) {
		s.LastFailure = &v1alpha1.FailureStatus{Time: at(-.5), Reason: v1alpha1.ReasonScopeRejected, Message: "Before", Count: 1}
	})
	for name, test := range map[string]struct {
		changes []change
		want    *facts.Failure
	}{
		"none":                     {},
		"one that was seen to end": {changes: []change{last}},
		"one that was cured, until a look": {[]change{last, func(l *conditions.Look) {
			l.Custody.Refused = &custody.Refusal{Reason: v1alpha1.ReasonScopeRejected, Inputs: custody.Inputs{Spec: "former"}}
		}}, &facts.Failure{Reason: v1alpha1.ReasonScopeRejected, Message: "Before"}},
		"the one of this look": {[]change{last, fails(v1alpha1.ReasonRateLimited)}, &facts.Failure{Reason: v1alpha1.ReasonRateLimited, Message: "It fails"}},
		"what is not known":    {changes: []change{last, noGrant, func(l *conditions.Look) { l.Unresolved = true }}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, conditions.Report(lookAt(test.changes...)).Failure); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestRequestsThatWereActedOn(t *testing.T) {
	for name, test := range map[string]struct {
		changes []change
		want    *v1alpha1.HandledStatus
	}{
		"none":                         {},
		"one that waits":               {changes: []change{annotated(v1alpha1.AnnotationRenew, "now")}},
		"a renewal":                    {[]change{annotated(v1alpha1.AnnotationRenew, "now"), func(l *conditions.Look) { l.HandledRenew = true }}, &v1alpha1.HandledStatus{Renew: "now"}},
		"a renewal, by what is stored": {[]change{annotated(v1alpha1.AnnotationRenew, "now"), func(l *conditions.Look) { l.Custody.HandledRenew = "now" }}, &v1alpha1.HandledStatus{Renew: "now"}},
		"another is stored":            {changes: []change{annotated(v1alpha1.AnnotationRenew, "now"), func(l *conditions.Look) { l.Custody.HandledRenew = "then" }}},
		"a test":                       {[]change{annotated(v1alpha1.AnnotationVerify, "now"), func(l *conditions.Look) { l.HandledVerify = true }}, &v1alpha1.HandledStatus{Verify: "now"}},
		"a sign-in":                    {[]change{annotated(v1alpha1.AnnotationSignIn, "now"), func(l *conditions.Look) { l.HandledSignIn = true }}, &v1alpha1.HandledStatus{SignIn: "now"}},
		"a sign-in, by what is stored": {[]change{annotated(v1alpha1.AnnotationSignIn, "now"), func(l *conditions.Look) { l.Custody.HandledSignIn = "now" }}, &v1alpha1.HandledStatus{SignIn: "now"}},
		"beside others": {[]change{annotated(v1alpha1.AnnotationVerify, "now"), was(func(s *status) { s.Handled = &v1alpha1.HandledStatus{Renew: "a", SignIn: "b"} }),
			func(l *conditions.Look) { l.HandledVerify = true }}, &v1alpha1.HandledStatus{Renew: "a", Verify: "now", SignIn: "b"}},
		"more than the status holds": {[]change{annotated(v1alpha1.AnnotationRenew, strings.Repeat("x", bounds.Message+1)), func(l *conditions.Look) { l.HandledRenew = true }},
			&v1alpha1.HandledStatus{Renew: strings.Repeat("x", bounds.Message)}},
	} {
		t.Run(name, func(t *testing.T) {
			after := conditions.Report(lookAt(test.changes...))
			if diff := cmp.Diff(test.want, after.Account.Status.Handled); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if told := after.HandledRenew || after.HandledVerify || after.HandledSignIn; told != (test.want != nil) {
				t.Errorf("that a request was acted on: %v", told)
			}
		})
	}
}

func TestWhatIsToldOfTheToken(t *testing.T) {
	token := &v1alpha1.AccessTokenStatus{Serial: 4, IssuedTime: at(-1), RenewalTime: at(8), ExpirationTime: at(11)}
	notRenewed := token.DeepCopy()
	notRenewed.RenewalTime = metav1.Time{}
	seller := &v1alpha1.AccountStatus{ID: "17", Login: "my-shop"}
	noTokens := func(l *conditions.Look) { l.Custody.Tokens, l.ServedUntil = nil, time.Time{} }
	for name, test := range map[string]struct {
		changes []change
		token   *v1alpha1.AccessTokenStatus
		account *v1alpha1.AccountStatus
		secret  string
	}{
		"a token":                                 {nil, token, seller, "main-token"},
		"a token that is not published":           {[]change{func(l *conditions.Look) { l.ServedUntil = time.Time{} }}, token, seller, ""},
		"a grant that is refused":                 {[]change{refused(v1alpha1.ReasonGrantRejected)}, notRenewed, seller, "main-token"},
		"while nothing can be asked":              {[]change{refused(v1alpha1.ReasonGrantRejected), unresolved(v1alpha1.ReasonSecretNotFound)}, token, seller, "main-token"},
		"a token that was given up":               {[]change{noTokens}, &v1alpha1.AccessTokenStatus{Serial: 4}, seller, ""},
		"what was told of it stays":               {[]change{noTokens, was(func(s *status) { s.AccessToken = &v1alpha1.AccessTokenStatus{Serial: 3, IssuedTime: at(-5)} })}, &v1alpha1.AccessTokenStatus{Serial: 4, IssuedTime: at(-5)}, seller, ""},
		"no token ever":                           {[]change{noGrant, func(l *conditions.Look) { l.Custody.Serial = 0 }}, nil, nil, ""},
		"no token, and a name":                    {[]change{noGrant, func(l *conditions.Look) { l.Custody.Serial, l.Account.Spec.Login = 0, "ours" }}, nil, nil, ""},
		"a name that people gave":                 {[]change{func(l *conditions.Look) { l.Custody.Account.Login, l.Account.Spec.Login = "", "ours" }}, token, &v1alpha1.AccountStatus{ID: "17", Login: "ours"}, "main-token"},
		"a name alone":                            {[]change{func(l *conditions.Look) { l.Custody.Account, l.Account.Spec.Login = custody.Account{}, "ours" }}, token, &v1alpha1.AccountStatus{Login: "ours"}, "main-token"},
		"no name":                                 {[]change{func(l *conditions.Look) { l.Custody.Account = custody.Account{} }}, token, nil, "main-token"},
		"a seller of whom there is none any more": {[]change{func(l *conditions.Look) { l.Custody.Account = custody.Account{} }, was(func(s *status) { s.Account = seller })}, token, nil, "main-token"},
		"long names": {[]change{func(l *conditions.Look) {
			l.Custody.Account = custody.Account{ID: strings.Repeat("1", bounds.Name+1), Login: strings.Repeat("x", bounds.Name+1)}
		}}, token, &v1alpha1.AccountStatus{ID: strings.Repeat("1", bounds.Name), Login: strings.Repeat("x", bounds.Name)}, "main-token"},
	} {
		t.Run(name, func(t *testing.T) {
			after := report(test.changes...)
			if diff := cmp.Diff(test.token, after.AccessToken); diff != "" {
				t.Errorf("the token (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.account, after.Account); diff != "" {
				t.Errorf("the account (-want +got):\n%s", diff)
			}
			if after.TokenSecretName != test.secret {
				t.Errorf("the Secret is %q, want %q", after.TokenSecretName, test.secret)
			}
		})
	}
}

func TestWhatIsToldOfTheConnectionTest(t *testing.T) {
	verified := func(v custody.Verification) change {
		v.At = noon.Add(-time.Minute)
		return func(l *conditions.Look) { l.Custody.Verified = &v }
	}
	before := was(func(s *status) {
		s.ConnectionTest = &v1alpha1.ConnectionTestStatus{Result: v1alpha1.ConnectionTestPassed}
	})
	refusedAt := func(hours float64) change {
		return func(l *conditions.Look) {
			l.Custody.Refused = &custody.Refusal{Reason: v1alpha1.ReasonGrantRejected, At: at(hours).Time}
		}
	}
	minute := 1. / 60
	for name, test := range map[string]struct {
		changes []change
		want    *v1alpha1.ConnectionTestStatus
	}{
		"no test":                    {changes: []change{before}},
		"it passed":                  {[]change{verified(custody.Verification{})}, &v1alpha1.ConnectionTestStatus{Time: at(-minute), Result: v1alpha1.ConnectionTestPassed}},
		"it failed":                  {[]change{verified(custody.Verification{Failure: "no"})}, &v1alpha1.ConnectionTestStatus{Time: at(-minute), Result: v1alpha1.ConnectionTestFailed, Message: "no"}},
		"there is none":              {[]change{verified(custody.Verification{Failure: "no call", Unsupported: true})}, &v1alpha1.ConnectionTestStatus{Time: at(-minute), Result: v1alpha1.ConnectionTestUnsupported, Message: "no call"}},
		"the token has expired":      {changes: []change{verified(custody.Verification{}), expired}},
		"the grant was refused then": {changes: []change{verified(custody.Verification{}), refusedAt(-minute)}},
		"it was refused before":      {[]change{verified(custody.Verification{}), refusedAt(-1)}, &v1alpha1.ConnectionTestStatus{Time: at(-minute), Result: v1alpha1.ConnectionTestPassed}},
		"nobody knows whether the refusal stands": {changes: []change{verified(custody.Verification{}), refusedAt(0), unresolved(v1alpha1.ReasonSecretNotFound)}},
		"a refusal that does not stand": {[]change{verified(custody.Verification{}), refusedAt(0), func(l *conditions.Look) { l.Custody.Refused.Inputs.Application = "former" }},
			&v1alpha1.ConnectionTestStatus{Time: at(-minute), Result: v1alpha1.ConnectionTestPassed}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, report(test.changes...).ConnectionTest); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsToldOfTheAuthorization(t *testing.T) {
	sliding := func(l *conditions.Look) { l.Request.Platform.AuthorizationSlides = true }
	before := was(func(s *status) {
		s.Authorization = &v1alpha1.AuthorizationStatus{GrantedTime: at(-5), ExpirationTime: at(36), DaysRemaining: new(int32(9))}
	})
	says := func(hours float64, days *int32) *v1alpha1.AuthorizationStatus {
		return &v1alpha1.AuthorizationStatus{GrantedTime: at(-1), ExpirationTime: at(hours), DaysRemaining: days}
	}
	for name, test := range map[string]struct {
		changes []change
		want    *v1alpha1.AuthorizationStatus
	}{
		"it does not end":               {changes: []change{before}},
		"it ends":                       {[]change{ends(1.5)}, says(36, new(int32(2)))},
		"it has ended":                  {[]change{ends(-1)}, says(-24, new(int32(0)))},
		"it renews itself":              {[]change{ends(1.5), sliding}, says(36, nil)},
		"but for a failure":             {[]change{ends(1.5), sliding, fails(v1alpha1.ReasonMarketplaceUnavailable)}, says(36, new(int32(2)))},
		"but it is suspended":           {[]change{ends(1.5), sliding, suspended}, says(36, new(int32(2)))},
		"but a renewal is overdue":      {[]change{ends(1.5), sliding, func(l *conditions.Look) { l.Custody.Tokens.RenewAt = noon }}, says(36, new(int32(2)))},
		"it is refused":                 {changes: []change{ends(1.5), refused(v1alpha1.ReasonGrantRejected), before}},
		"nothing is known any more":     {changes: []change{unresolved(v1alpha1.ReasonSecretNotFound)}},
		"what was told is counted down": {[]change{before, unresolved(v1alpha1.ReasonSecretNotFound)}, &v1alpha1.AuthorizationStatus{GrantedTime: at(-5), ExpirationTime: at(36), DaysRemaining: new(int32(2))}},
		"it ends after all years": {[]change{func(l *conditions.Look) {
			l.Custody.AuthorizationExpiresAt = time.Date(10500, 1, 1, 0, 0, 0, 0, time.UTC)
		}}, &v1alpha1.AuthorizationStatus{GrantedTime: at(-1), ExpirationTime: metav1.NewTime(time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)), DaysRemaining: new(int32(99_999))}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, report(test.changes...).Authorization); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsToldOfTheClientSecret(t *testing.T) {
	expires := func(hours float64) change {
		return func(l *conditions.Look) { l.Request.Application.SecretExpiresAt = at(hours).Time }
	}
	lives := func(l *conditions.Look) {
		l.Request.Platform.ApplicationSecretLifetime, l.Request.Application.SecretSince = 48*time.Hour, at(-12).Time
	}
	never := func(l *conditions.Look) { l.Request.Application.SecretNeverExpires = true }
	before := was(func(s *status) { s.Application = &v1alpha1.ApplicationStatus{SecretExpirationTime: at(1)} })
	ends := func(hours float64, days int32) *v1alpha1.ApplicationStatus {
		return &v1alpha1.ApplicationStatus{SecretExpirationTime: at(hours), DaysRemaining: new(days)}
	}
	for name, test := range map[string]struct {
		changes []change
		want    *v1alpha1.ApplicationStatus
	}{
		"it does not end":           {changes: []change{before}},
		"its Secret tells":          {[]change{expires(25)}, ends(25, 2)},
		"the platform has a rule":   {[]change{lives}, ends(36, 2)},
		"its Secret knows better":   {[]change{lives, expires(5)}, ends(5, 1)},
		"its Secret knows no end":   {changes: []change{lives, never}},
		"nothing is known any more": {[]change{before, unresolved(v1alpha1.ReasonSecretNotFound)}, &v1alpha1.ApplicationStatus{SecretExpirationTime: at(1)}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, report(test.changes...).Application); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatIsToldOfTheSignIn(t *testing.T) {
	before := was(func(s *status) { s.SignIn = &v1alpha1.SignInStatus{URL: "https://portal/former"} })
	for name, test := range map[string]struct {
		changes []change
		want    string
	}{
		"a link":                 {[]change{before, link}, "https://portal/x"},
		"none is needed":         {[]change{before, func(l *conditions.Look) { l.Invited = true }}, ""},
		"nobody looked after it": {[]change{before}, "https://portal/former"},
	} {
		got := ""
		if signIn := report(test.changes...).SignIn; signIn != nil {
			got = signIn.URL
		}
		if got != test.want {
			t.Errorf("%s: it is %q, want %q", name, got, test.want)
		}
	}
}

func TestMissingScopes(t *testing.T) {
	missing := func(l *conditions.Look) { l.Request.Platform.Scopes, l.Custody.Tokens.Scope = []string{"a", "b"}, "b" }
	for name, test := range map[string]struct {
		look conditions.Look
		want []string
	}{
		"one":              {lookAt(missing), []string{"a"}},
		"none":             {lookAt(), nil},
		"no token":         {lookAt(missing, noGrant), nil},
		"nothing is known": {lookAt(missing, unresolved(v1alpha1.ReasonSecretNotFound)), nil},
	} {
		if diff := cmp.Diff(test.want, test.look.MissingScopes()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
