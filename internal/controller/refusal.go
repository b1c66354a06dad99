package controller

import (
	"slices"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
)

// A refusal stands while the operator would send again what was refused. That is told by the content: tools that label Secrets, and
// edits of the spec or the Marketplace that change no request, make new versions of the same.

// loginParts are what a platform refuses of a login. Nothing else counts, not even a request for a renewal: platforms lock accounts
// after a few attempts.
func (r request) loginParts() []string {
	return []string{"login", r.tokenHost(), r.login.Username, r.login.Password, r.login.Retry}
}

// tokenParts are what a platform refuses of a refresh token.
func (r request) tokenParts(refreshToken string) []string {
	return []string{"refresh token", r.tokenHost(), refreshToken, r.application.ClientID}
}

// clientParts are what a platform refuses of an application. Of a Marketplace's own the version of the Secret stands for the client
// secret, which tenants could otherwise guess at by their grant Secret.
func (r request) clientParts() []string {
	parts := []string{"application", r.tokenHost(), string(r.platform.ClientAuthentication()), r.application.ClientID}
	if r.shared {
		return append(parts, "shared", r.inputs.Application)
	}
	return slices.Concat(parts, r.secretParts(), []string{r.application.Retry})
}

// secretParts are the client secrets.
func (r request) secretParts() []string {
	return []string{"client secrets", r.application.ClientSecret, r.application.PreviousSecret}
}

// previousSecretWorked tells that client_secret_previous was accepted the last time, and that both client secrets are the same today.
func (v view) previousSecretWorked() bool {
	of := v.custody.PreviousSecretOf
	return of != "" && (of == v.request.inputs.Application || of == v.custody.RefusalDigest(v.request.secretParts()))
}

// keyRefusals draws the key under which refusals are digested, where there is none yet.
func (s *store) keyRefusals(kept *custody.Custody) error {
	keyed, err := kept.WithRefusalKey(s.Random)
	*kept = keyed
	return err
}

// clientSecrets tells one pair of client secrets from another: by digest, or by version where that has to do.
func (s *store) clientSecrets(kept *custody.Custody) string {
	if s.found.request.shared || s.keyRefusals(kept) != nil {
		return s.found.request.inputs.Application
	}
	return kept.RefusalDigest(s.found.request.secretParts())
}

// clientSecretSince is when the client secret was put into its Secret: as the Secret tells, or told when tokens were first stored with
// this client secret.
func (v view) clientSecretSince() time.Time {
	told, known := v.request.application.SecretSince, v.custody.ClientSecret
	if known == nil || known.At.After(told) {
		return told
	}
	if known.Of == v.request.inputs.Application || known.Of == v.custody.RefusalDigest(v.request.clientSecretParts()) {
		return known.At
	}
	return told
}

// clientSecretParts are the client secret alone.
func (r request) clientSecretParts() []string {
	return []string{"client secret", r.application.ClientID, r.application.ClientSecret}
}

// dateClientSecret keeps since when the client secret is what it is, where the platform ends client secrets.
func (s *store) dateClientSecret(kept *custody.Custody) {
	v := s.found.view
	if v.request.platform.ApplicationSecretLifetime <= 0 {
		return
	}
	since := &custody.Since{Of: v.request.inputs.Application, At: v.clientSecretSince()}
	if !v.request.shared && s.keyRefusals(kept) == nil {
		since.Of = kept.RefusalDigest(v.request.clientSecretParts())
	}
	kept.ClientSecret = since
}

// requestParts are what a platform refuses of a request whose parts are in order by themselves.
func (v view) requestParts() []string {
	return append([]string{"request", string(v.request.grant), v.request.application.ClientID, v.account.Spec.AccountID,
		v.request.platform.RequestContent()}, v.request.loginParts()...)
}

// tokenHost is the host that is sent the credentials: another one has not refused them.
func (r request) tokenHost() string {
	if r.platform.TokenURL == "" {
		return hostOf(r.platform.Issuer)
	}
	return hostOf(r.platform.TokenURL)
}

// refusedParts are what a refusal of the grant in use, of the login or of the application speaks of.
func (v view) refusedParts(reason string) []string {
	ofLogin := v.request.grant == v1alpha1.GrantPassword
	switch {
	case reason == v1alpha1.ReasonPasswordRejected, reason == v1alpha1.ReasonAccountLocked,
		reason == v1alpha1.ReasonGrantRejected && ofLogin:
		return v.request.loginParts()
	case reason == v1alpha1.ReasonGrantRejected && v.request.renewsByRefreshToken():
		return v.request.tokenParts(v.custody.RefreshToken)
	case reason == v1alpha1.ReasonApplicationRejected:
		return v.request.clientParts()
	case reason == v1alpha1.ReasonAccountMismatch:
		return v.requestParts()
	}
	return slices.Concat(v.requestParts(), v.request.clientParts())
}

// importParts are what a refusal of a refresh token that the user brought speaks of.
func (v view) importParts(reason string) []string {
	if reason == v1alpha1.ReasonGrantRejected {
		return v.request.tokenParts(v.request.imported.RefreshToken)
	}
	return slices.Concat(v.requestParts(), v.request.clientParts())
}

// signInParts are what a refusal of a sign-in speaks of.
func (v view) signInParts(reason string) []string {
	switch reason {
	case v1alpha1.ReasonAccountMismatch, v1alpha1.ReasonSignInRequired:
		return v.requestParts() // the application was not refused
	}
	return slices.Concat(v.requestParts(), v.request.clientParts())
}

// sendsRefused tells whether a refusal covers what would be sent now.
func (v view) sendsRefused(refused *custody.Refusal, parts []string) bool {
	return refused.Covers(v.custody.RefusalDigest(parts))
}

// stands tells whether a refusal still holds: nothing that could cure it has changed since.
func (v view) stands(refused *custody.Refusal) bool {
	switch {
	case refused.Reason == v1alpha1.ReasonApplicationRejected && v.asksAgain:
		return false
	case refused.Reason == v1alpha1.ReasonRenewalOutcomeUnknown: // it was given up, or may be spent
		return v.request.renewsByRefreshToken() && (v.refreshToken() == "" || refused.Restored && v.bringing() == "" && !v.requested())
	case refused.Reason == v1alpha1.ReasonGrantRejected && v.request.renewsByRefreshToken() && v.bringing() != "":
		return false
	case refused.Versioned():
		return v.standsByVersion(refused)
	case !v.sendsRefused(refused, v.refusedParts(refused.Reason)):
		return false
	}
	return v.deafToRequests(refused.Reason) || !v.requested()
}

// deafToRequests tells that a request for a renewal does not make the operator send again what was refused for this reason.
func (v view) deafToRequests(reason string) bool {
	switch reason {
	case v1alpha1.ReasonPasswordRejected, v1alpha1.ReasonAccountLocked, v1alpha1.ReasonAccountMismatch:
		return true
	}
	return reason == v1alpha1.ReasonGrantRejected && v.request.grant != v1alpha1.GrantClientCredentials
}

// standsByVersion tells whether a refusal of the format before digests still holds: the version of what was refused is the same.
func (v view) standsByVersion(refused *custody.Refusal) bool {
	was, is := refused.Inputs, v.request.inputs
	switch refused.Reason {
	case v1alpha1.ReasonPasswordRejected, v1alpha1.ReasonAccountLocked:
		if was.Credentials != "" {
			return was.Credentials == is.Credentials
		}
	case v1alpha1.ReasonApplicationRejected:
		return was.Application == is.Application && !v.requested()
	case v1alpha1.ReasonGrantRejected:
		if v.request.renewsByRefreshToken() {
			return was.Application == is.Application
		}
	case v1alpha1.ReasonAccountMismatch:
		was.Application, is.Application = "", ""
		return was == is
	}
	return was == is && !v.requested()
}

// importRefused tells that the refresh token which the user brought was refused, and nothing that could cure it
// has changed since.
func (v view) importRefused() bool {
	refused, imported := v.custody.RefusedImport, v.request.imported.RefreshToken
	if refused == nil || imported == "" {
		return false
	}
	if v.sendsRefused(refused, v.importParts(v1alpha1.ReasonGrantRejected)) {
		return true // also where another one was refused since
	}
	if refused.Imported != imported {
		return false
	}
	switch refused.Reason {
	case v1alpha1.ReasonGrantRejected:
		return refused.Versioned() && refused.Inputs.Application == v.request.inputs.Application
	case v1alpha1.ReasonRenewalOutcomeUnknown:
		return !refused.Restored || !v.requested()
	case v1alpha1.ReasonAccountMismatch:
		return true
	}
	if refused.Versioned() {
		return refused.Inputs == v.request.inputs && !v.requested()
	}
	return v.sendsRefused(refused, v.importParts(refused.Reason)) && !v.requested()
}

// signInRefused is why the last sign-in brought nothing, while that counts: what somebody has to mend in the cluster counts
// until something is changed there.
func (v view) signInRefused() *custody.Refusal {
	refused := v.custody.SignIn.Refused
	switch {
	case refused == nil:
	case refused.Reason == v1alpha1.ReasonApplicationRejected && v.asksAgain:
	case refused.Reason == v1alpha1.ReasonAccountMismatch && refused.AccountID != "":
		if !v.expects(refused.AccountID) {
			same := *refused
			same.Message = v.mismatch(refused.AccountID, v.expectedAccount()).message
			return &same
		}
	case !refused.Versioned():
		if v.sendsRefused(refused, v.signInParts(refused.Reason)) {
			return refused
		}
	case refused.Reason == v1alpha1.ReasonAccountMismatch, refused.Reason == v1alpha1.ReasonSignInRequired:
		if refused.Inputs.Spec == v.request.inputs.Spec {
			return refused
		}
	case refused.Inputs == v.request.inputs:
		return refused
	}
	return nil
}

// refusal is the record of a refusal of these parts, which goes on from an earlier one. Where no key can be drawn it is kept by
// versions.
func (s *store) refusal(kept *custody.Custody, why trouble, parts []string, earlier *custody.Refusal) *custody.Refusal {
	refused := &custody.Refusal{Reason: why.reason, Message: why.message, At: s.found.now, Inputs: s.found.request.inputs}
	if s.keyRefusals(kept) == nil {
		*refused = refused.WithDigest(kept.RefusalDigest(parts), earlier)
	}
	return refused
}

// triedAgain is how often in a row an application was refused when the account asked for it by itself.
func (v view) triedAgain(earlier *custody.Refusal, reason string) int32 {
	if !v.asksAgain || earlier == nil || earlier.Reason != reason {
		return 0
	}
	return earlier.Tries + 1
}

// signInRefusal is the record of a sign-in that brought nothing.
func (s *store) signInRefusal(kept *custody.Custody, why trouble) *custody.Refusal {
	return s.refusal(kept, why, s.found.signInParts(why.reason), nil)
}
