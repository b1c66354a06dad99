package lifecycle

import (
	"slices"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
)

// RejectedApplication is the refusal of the application by which the account's tokens, or its device codes, are held up; nil when they are not.
func (f Facts) RejectedApplication() *custody.Refusal {
	if refused := f.Custody.Refused; refused != nil && refused.Reason == v1alpha1.ReasonApplicationRejected && f.StillRefused(refused) {
		return refused
	}
	if f.Request.Grant != v1alpha1.GrantDeviceCode || !f.NeedsSignIn() {
		return nil
	}
	if refused := f.SignInRefused(); refused != nil && refused.Reason == v1alpha1.ReasonApplicationRejected {
		return refused
	}
	return nil
}

// PreviousSecretWorked tells that client_secret_previous was accepted the last time, and that both client secrets are the same today.
func (f Facts) PreviousSecretWorked() bool {
	of := f.Custody.PreviousSecretOf
	return of != "" && (of == f.Request.Inputs.Application || of == f.Custody.RefusalDigest(f.Request.SecretParts()))
}

// ClientSecretSince is when the client secret was put into its Secret: as the Secret tells, or told when tokens were first stored with
// this client secret.
func (f Facts) ClientSecretSince() time.Time {
	told, known := f.Request.Application.SecretSince, f.Custody.ClientSecret
	if known == nil || known.At.After(told) {
		return told
	}
	if known.Of == f.Request.Inputs.Application || known.Of == f.Custody.RefusalDigest(f.Request.ClientSecretParts()) {
		return known.At
	}
	return told
}

// requestParts are what a platform refuses of a request whose parts are in order by themselves.
func (f Facts) requestParts() []string {
	return append([]string{"request", string(f.Request.Grant), f.Request.Application.ClientID, f.Account.Spec.AccountID,
		f.Request.Platform.RequestContent()}, f.Request.LoginParts()...)
}

// RefusedParts are what a refusal of the grant in use, of the login or of the application speaks of.
func (f Facts) RefusedParts(reason string) []string {
	ofLogin := f.Request.Grant == v1alpha1.GrantPassword
	switch {
	case reason == v1alpha1.ReasonPasswordRejected, reason == v1alpha1.ReasonAccountLocked,
		reason == v1alpha1.ReasonGrantRejected && ofLogin:
		return f.Request.LoginParts()
	case reason == v1alpha1.ReasonGrantRejected && f.Request.RenewsByRefreshToken():
		return f.Request.TokenParts(f.Custody.RefreshToken)
	case reason == v1alpha1.ReasonApplicationRejected:
		return f.Request.ClientParts()
	case reason == v1alpha1.ReasonAccountMismatch:
		return f.requestParts()
	}
	return slices.Concat(f.requestParts(), f.Request.ClientParts())
}

// ImportParts are what a refusal of a refresh token that the user brought speaks of.
func (f Facts) ImportParts(reason string) []string {
	if reason == v1alpha1.ReasonGrantRejected {
		return f.Request.TokenParts(f.Request.Imported.RefreshToken)
	}
	return slices.Concat(f.requestParts(), f.Request.ClientParts())
}

// SignInParts are what a refusal of a sign-in speaks of.
func (f Facts) SignInParts(reason string) []string {
	switch reason {
	case v1alpha1.ReasonAccountMismatch, v1alpha1.ReasonSignInRequired:
		return f.requestParts() // the application was not refused
	}
	return slices.Concat(f.requestParts(), f.Request.ClientParts())
}

// sendsRefused tells whether a refusal covers what would be sent now.
func (f Facts) sendsRefused(refused *custody.Refusal, parts []string) bool {
	return refused.Covers(f.Custody.RefusalDigest(parts))
}

// StillRefused tells whether a refusal still holds: nothing that could cure it has changed since.
func (f Facts) StillRefused(refused *custody.Refusal) bool {
	switch {
	case refused.Reason == v1alpha1.ReasonApplicationRejected && f.AsksAgain:
		return false
	case refused.Reason == v1alpha1.ReasonRenewalOutcomeUnknown: // it was given up, or may be spent
		return f.Request.RenewsByRefreshToken() && (f.RefreshToken() == "" || refused.Restored && f.NewImport() == "" && !f.RenewalRequested())
	case refused.Reason == v1alpha1.ReasonGrantRejected && f.Request.RenewsByRefreshToken() && f.NewImport() != "":
		return false
	case refused.Versioned():
		return f.standsByVersion(refused)
	case !f.sendsRefused(refused, f.RefusedParts(refused.Reason)):
		return false
	}
	return f.deafToRequests(refused.Reason) || !f.RenewalRequested()
}

// deafToRequests tells that a request for a renewal does not make the operator send again what was refused for this reason.
func (f Facts) deafToRequests(reason string) bool {
	switch reason {
	case v1alpha1.ReasonPasswordRejected, v1alpha1.ReasonAccountLocked, v1alpha1.ReasonAccountMismatch:
		return true
	}
	return reason == v1alpha1.ReasonGrantRejected && f.Request.Grant != v1alpha1.GrantClientCredentials
}

// standsByVersion tells whether a refusal of the format before digests still holds: the version of what was refused is the same.
func (f Facts) standsByVersion(refused *custody.Refusal) bool {
	was, is := refused.Inputs, f.Request.Inputs
	switch refused.Reason {
	case v1alpha1.ReasonPasswordRejected, v1alpha1.ReasonAccountLocked:
		if was.Credentials != "" {
			return was.Credentials == is.Credentials
		}
	case v1alpha1.ReasonApplicationRejected:
		return was.Application == is.Application && !f.RenewalRequested()
	case v1alpha1.ReasonGrantRejected:
		if f.Request.RenewsByRefreshToken() {
			return was.Application == is.Application
		}
	case v1alpha1.ReasonAccountMismatch:
		was.Application, is.Application = "", ""
		return was == is
	}
	return was == is && !f.RenewalRequested()
}

// ImportRefused tells that the refresh token which the user brought was refused, and nothing that could cure it
// has changed since.
func (f Facts) ImportRefused() bool {
	refused, imported := f.Custody.RefusedImport, f.Request.Imported.RefreshToken
	if refused == nil || imported == "" {
		return false
	}
	if f.sendsRefused(refused, f.ImportParts(v1alpha1.ReasonGrantRejected)) {
		return true // also where another one was refused since
	}
	if refused.Imported != imported {
		return false
	}
	switch refused.Reason {
	case v1alpha1.ReasonGrantRejected:
		return refused.Versioned() && refused.Inputs.Application == f.Request.Inputs.Application
	case v1alpha1.ReasonRenewalOutcomeUnknown:
		return !refused.Restored || !f.RenewalRequested()
	case v1alpha1.ReasonAccountMismatch:
		return true
	}
	if refused.Versioned() {
		return refused.Inputs == f.Request.Inputs && !f.RenewalRequested()
	}
	return f.sendsRefused(refused, f.ImportParts(refused.Reason)) && !f.RenewalRequested()
}

// SignInRefused is why the last sign-in brought nothing, while that counts: what somebody has to mend in the cluster counts
// until something is changed there.
func (f Facts) SignInRefused() *custody.Refusal {
	refused := f.Custody.SignIn.Refused
	switch {
	case refused == nil:
	case refused.Reason == v1alpha1.ReasonApplicationRejected && f.AsksAgain:
	case refused.Reason == v1alpha1.ReasonAccountMismatch && refused.AccountID != "":
		if !f.Expects(refused.AccountID) {
			same := *refused
			same.Message = f.AccountMismatch(refused.AccountID, f.ExpectedAccount()).Message
			return &same
		}
	case !refused.Versioned():
		if f.sendsRefused(refused, f.SignInParts(refused.Reason)) {
			return refused
		}
	case refused.Reason == v1alpha1.ReasonAccountMismatch, refused.Reason == v1alpha1.ReasonSignInRequired:
		if refused.Inputs.Spec == f.Request.Inputs.Spec {
			return refused
		}
	case refused.Inputs == f.Request.Inputs:
		return refused
	}
	return nil
}

// TriedAgain is how often in a row an application was refused when the account asked for it by itself.
func (f Facts) TriedAgain(earlier *custody.Refusal, reason string) int32 {
	if !f.AsksAgain || earlier == nil || earlier.Reason != reason {
		return 0
	}
	return earlier.Tries + 1
}
