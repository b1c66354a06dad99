package facts

import (
	"slices"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
)

// RejectedApplication is the refusal of the application by which the account's tokens, or its device codes, are held up; nil when they are not.
func (f *Facts) RejectedApplication() *custody.Refusal {
	if refused := f.Custody.Refused; refused != nil && reasons.Of(refused.Reason).Subject == reasons.Application && f.StillRefused(refused) {
		return refused
	}
	if f.Request.Grant != v1alpha1.GrantDeviceCode || !f.NeedsSignIn() {
		return nil
	}
	if refused := f.SignInRefused(); refused != nil && reasons.Of(refused.Reason).Subject == reasons.Application {
		return refused
	}
	return nil
}

// PreviousSecretWorked tells that client_secret_previous was accepted the last time, and that both client secrets are the same today.
func (f *Facts) PreviousSecretWorked() bool {
	of := f.Custody.PreviousSecretOf
	return of != "" && (of == f.Request.Inputs.Application || of == f.Custody.RefusalDigest(f.Request.SecretParts()))
}

// ClientSecretSince is when the client secret was put into its Secret: as the Secret tells, or told when tokens were first stored with
// this client secret.
func (f *Facts) ClientSecretSince() time.Time {
	told, known := f.Request.Application.SecretSince, f.Custody.ClientSecret
	if known == nil || known.At.After(told) || known.Of != f.Request.Inputs.Application && known.Of != f.Custody.RefusalDigest(f.Request.ClientSecretParts()) {
		return told
	}
	return known.At
}

// requestParts are the parts that a refusal of a request as a whole covers.
func (f *Facts) requestParts() []string {
	return append([]string{"request", string(f.Request.Grant), f.Request.Application.ClientID, f.Account.Spec.AccountID,
		f.Request.Platform.RequestContent()}, f.Request.LoginParts()...)
}

// RefusedParts are the parts that a refusal of the grant in use, of the login or of the application covers.
func (f *Facts) RefusedParts(reason string) []string {
	switch subject := reasons.Of(reason).Subject; {
	case f.Request.Grant == v1alpha1.GrantPassword && (subject == reasons.Login || subject == reasons.Grant):
		return f.Request.LoginParts()
	case subject == reasons.Grant && f.Request.RenewsByRefreshToken():
		return f.Request.TokenParts(f.Custody.RefreshToken)
	case subject == reasons.Application:
		return f.Request.ClientParts()
	case subject == reasons.Seller:
		return f.requestParts()
	}
	return slices.Concat(f.requestParts(), f.Request.ClientParts())
}

// ImportParts are the parts that a refusal of a refresh token of the user's covers.
func (f *Facts) ImportParts(reason string) []string {
	if reasons.Of(reason).Subject == reasons.Grant {
		return f.Request.TokenParts(f.Request.Imported.RefreshToken)
	}
	return slices.Concat(f.requestParts(), f.Request.ClientParts())
}

// SignInParts are the parts that a refusal of a sign-in covers.
func (f *Facts) SignInParts(reason string) []string {
	if subject := reasons.Of(reason).Subject; subject == reasons.Seller || subject == reasons.Consent {
		return f.requestParts() // the application was not refused
	}
	return slices.Concat(f.requestParts(), f.Request.ClientParts())
}

// sendsRefused tells whether a refusal covers the parts that would be sent now.
func (f *Facts) sendsRefused(refused *custody.Refusal, parts []string) bool {
	return refused.Covers(f.Custody.RefusalDigest(parts))
}

// refreshTokenRefused tells that the marketplace has refused the refresh token in use, whatever it has refused since.
func (f *Facts) refreshTokenRefused() bool {
	refused := f.Custody.Refused
	return refused != nil && (f.sendsRefused(refused, f.Request.TokenParts(f.Custody.RefreshToken)) ||
		refused.Versioned() && reasons.Of(refused.Reason).Subject == reasons.Grant && f.standsByVersion(refused))
}

// StillRefused tells whether a refusal still holds: nothing that could cure it has changed since.
func (f *Facts) StillRefused(refused *custody.Refusal) bool {
	switch subject := reasons.Of(refused.Reason).Subject; {
	case subject == reasons.Application && f.AsksAgain:
		return false
	case subject == reasons.Outcome: // it was given up, or may be spent
		return f.Request.RenewsByRefreshToken() && (f.RefreshToken() == "" || refused.Restored && f.NewImport() == "" && !f.RenewalRequested())
	case (subject == reasons.Grant || subject == reasons.Login) && f.Request.RenewsByRefreshToken() && f.NewImport() != "":
		return false
	case refused.Versioned():
		return f.standsByVersion(refused)
	case !f.sendsRefused(refused, f.RefusedParts(refused.Reason)):
		return false
	}
	return !f.HeedsRequests(refused.Reason) || !f.RenewalRequested()
}

// HeedsRequests tells that a request for a renewal makes the operator send parts again that were refused for this reason: it ends no grant, and locks no login.
func (f *Facts) HeedsRequests(reason string) bool {
	meaning := reasons.Of(reason)
	return !meaning.IgnoresRequests || meaning.Subject == reasons.Grant && f.Request.Grant == v1alpha1.GrantClientCredentials ||
		meaning.Subject == reasons.Login && f.Request.Grant != v1alpha1.GrantPassword
}

// standsByVersion tells whether a refusal of the format before digests still holds: the version of the refused Secret is the same.
func (f *Facts) standsByVersion(refused *custody.Refusal) bool {
	was, is := refused.Inputs, f.Request.Inputs
	switch reasons.Of(refused.Reason).Subject {
	case reasons.Login:
		if was.Credentials != "" {
			return was.Credentials == is.Credentials
		}
	case reasons.Application:
		return was.Application == is.Application && !f.RenewalRequested()
	case reasons.Grant:
		if f.Request.RenewsByRefreshToken() {
			return was.Application == is.Application
		}
	case reasons.Seller:
		was.Application, is.Application = "", ""
		return was == is
	}
	return was == is && !f.RenewalRequested()
}

// ImportRefused tells that the refresh token which the user brought was refused, and nothing that could cure it
// has changed since.
func (f *Facts) ImportRefused() bool {
	refused, imported := f.Custody.RefusedImport, f.Request.Imported.RefreshToken
	if refused == nil || imported == "" {
		return false
	}
	if f.sendsRefused(refused, f.Request.TokenParts(imported)) {
		return true // also where another one was refused since
	}
	if refused.Imported != imported {
		return false
	}
	switch reasons.Of(refused.Reason).Subject {
	case reasons.Grant:
		return refused.Versioned() && refused.Inputs.Application == f.Request.Inputs.Application
	case reasons.Outcome:
		return !refused.Restored || !f.RenewalRequested()
	case reasons.Seller:
		return true
	}
	if refused.Versioned() {
		return refused.Inputs == f.Request.Inputs && !f.RenewalRequested()
	}
	return f.sendsRefused(refused, f.ImportParts(refused.Reason)) && !f.RenewalRequested()
}

// SignInRefused is why the last sign-in brought nothing, while that counts: a fault in the cluster counts
// until it is changed there.
func (f *Facts) SignInRefused() *custody.Refusal {
	refused := f.Custody.SignIn.Refused
	if refused == nil {
		return nil
	}
	switch subject := reasons.Of(refused.Reason).Subject; {
	case subject == reasons.Application && f.AsksAgain:
	case subject == reasons.Seller && refused.AccountID != "":
		if !f.ExpectsAccount(custody.Account{ID: refused.AccountID}) {
			same := *refused
			same.Message = f.AccountMismatch(refused.AccountID, f.ExpectedAccount()).Message
			return &same
		}
	case !refused.Versioned():
		if f.sendsRefused(refused, f.SignInParts(refused.Reason)) {
			return refused
		}
	case subject == reasons.Seller, subject == reasons.Consent:
		if refused.Inputs.Spec == f.Request.Inputs.Spec {
			return refused
		}
	case refused.Inputs == f.Request.Inputs:
		return refused
	}
	return nil
}

// TriedAgain is how often in a row an application was refused when the account asked for it by itself.
func (f *Facts) TriedAgain(earlier *custody.Refusal, reason string) int32 {
	if !f.AsksAgain || earlier == nil || earlier.Reason != reason {
		return 0
	}
	return earlier.Tries + 1
}
