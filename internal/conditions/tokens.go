package conditions

import (
	"cmp"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
)

// reportHandled tells the requests by annotation that were acted on, also by an earlier look whose status was not written.
func (l *Look) reportHandled() {
	renew, signIn := facts.RequestOf(l.Account, v1alpha1.AnnotationRenew), facts.RequestOf(l.Account, v1alpha1.AnnotationSignIn)
	l.HandledRenew = l.HandledRenew || renew != "" && renew == l.Custody.HandledRenew
	l.HandledSignIn = l.HandledSignIn || signIn != "" && signIn == l.Custody.HandledSignIn
	if !l.HandledRenew && !l.HandledVerify && !l.HandledSignIn {
		return
	}
	handled := l.Account.Status.Handled
	if handled == nil {
		handled = &v1alpha1.HandledStatus{}
		l.Account.Status.Handled = handled
	}
	if l.HandledRenew {
		handled.Renew = renew
	}
	if l.HandledVerify {
		handled.Verify = facts.RequestOf(l.Account, v1alpha1.AnnotationVerify)
	}
	if l.HandledSignIn {
		handled.SignIn = signIn
	}
}

// reportTokens tells the times of the tokens, their Secret and their account.
func (l Look) reportTokens() {
	status, tokens := &l.Account.Status, l.Custody.Tokens
	if !l.ServedUntil.IsZero() {
		status.TokenSecretName = l.Account.TokenSecretName()
	}
	switch {
	case tokens != nil:
		status.AccessToken = &v1alpha1.AccessTokenStatus{
			Serial:         l.Custody.Serial,
			IssuedTime:     metav1.NewTime(tokens.IssuedAt),
			ExpirationTime: metav1.NewTime(tokens.ExpiresAt),
			RenewalTime:    metav1.NewTime(tokens.RenewAt),
		}
		if !l.Unresolved && l.GrantRefused() {
			status.AccessToken.RenewalTime = metav1.Time{}
		}
		if l.Endless() {
			status.AccessToken.ExpirationTime, status.AccessToken.RenewalTime = metav1.Time{}, metav1.Time{}
		}
	case l.Custody.Serial > 0:
		if status.AccessToken == nil {
			status.AccessToken = &v1alpha1.AccessTokenStatus{}
		}
		status.AccessToken.Serial = l.Custody.Serial // the times of the last token stay
	}
	status.Account = nil
	if id, login := l.Custody.Account.ID, cmp.Or(l.Custody.Account.Login, l.Account.Spec.Login); id != "" || tokens != nil && login != "" {
		status.Account = &v1alpha1.AccountStatus{ID: bounds.Cut(id, bounds.Name), Login: bounds.Cut(login, bounds.Name)}
	}
}

// reportTest tells how the last test of the connection went.
func (l Look) reportTest() {
	status := &l.Account.Status
	status.ConnectionTest = nil
	verified := l.Custody.Verified
	if verified == nil || !l.Usable() || l.refusedSince(verified.At) {
		return
	}
	test := &v1alpha1.ConnectionTestStatus{
		Time: metav1.NewTime(verified.At), Result: v1alpha1.ConnectionTestPassed, Message: bounds.Shorten(verified.Failure, bounds.Message),
	}
	switch {
	case verified.Unsupported:
		test.Result = v1alpha1.ConnectionTestUnsupported
	case verified.Failure != "":
		test.Result = v1alpha1.ConnectionTestFailed
	}
	status.ConnectionTest = test
}

// refusedSince tells that the marketplace has refused the grant, its login or its application after a moment: a test that passed then proves
// nothing any more.
func (l Look) refusedSince(at time.Time) bool {
	refused := l.Custody.Refused
	return refused != nil && (l.Unresolved || l.StillRefused(refused)) && !refused.At.Before(at)
}

// reportApplication counts down the life of the client secret: to the end that its Secret names, else by the platform's
// rule from when it was put there.
func (l Look) reportApplication() {
	if l.Unresolved {
		return
	}
	l.Account.Status.Application = nil
	application := l.Request.Application
	end := application.SecretExpiresAt
	if lifetime := l.Request.Platform.ApplicationSecretLifetime; end.IsZero() && lifetime > 0 && !application.SecretNeverExpires {
		end = l.ClientSecretSince().Add(lifetime)
	}
	if end.IsZero() {
		return
	}
	l.Account.Status.Application = &v1alpha1.ApplicationStatus{
		SecretExpirationTime: metav1.NewTime(renewal.Representable(end)),
		DaysRemaining:        new(renewal.Days(end, l.Now)),
	}
}
