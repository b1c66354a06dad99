package facts

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
)

// MayKeepRefreshToken tells whether the refresh token in use still serves after a consent that brought none.
func (f *Facts) MayKeepRefreshToken(next custody.Grant) bool {
	return f.Custody.RefreshToken != "" && !f.Restored() && f.DeadGrant() == nil && next.Account.ID != "" && next.Account.ID == f.Custody.Account.ID
}

// NewImport is the refresh token that a new grant begins with; empty while the one in use goes on. One that was
// refused, or has already become the candidate, is not sent again.
func (f *Facts) NewImport() string {
	imported := f.Request.Imported.RefreshToken
	switch {
	case imported == f.Custody.Imported, f.CandidateGrant() != nil, f.ImportRefused(), f.ImportRests(), f.ImportUsedBefore():
		return ""
	}
	return imported
}

// CandidateGrant is the grant that waits to be accepted; nil when there is none, or when the user has withdrawn it.
func (f *Facts) CandidateGrant() *custody.Grant {
	candidate := f.Custody.Candidate
	switch {
	case candidate == nil:
	case candidate.Consent > 0:
		if f.SignsIn() && candidate.Consent > f.Custody.Accepted && f.Request.MayUse(candidate.ClientID, candidate.From) {
			return candidate
		}
	case !f.Request.RenewsByRefreshToken():
		if candidate.Tokens.For == f.Request.Key { // of this login
			return candidate
		}
	case candidate.Imported == f.Request.Imported.RefreshToken && candidate.Imported != f.Custody.Imported && f.EndedCandidate() == nil:
		return candidate
	}
	return nil
}

// EndedCandidate is the grant that the user's import has become, where its access token ended before anybody said whose it is; nil where there is none.
// It is renewed in place of the import, which is spent, and waits again.
func (f *Facts) EndedCandidate() *custody.Grant {
	candidate := f.Custody.Candidate
	switch {
	case candidate == nil, candidate.Consent > 0, candidate.Imported != f.Request.Imported.RefreshToken, candidate.Imported == f.Custody.Imported:
	case candidate.RefreshToken == "", !f.Request.MayUse(candidate.ClientID, candidate.From), !f.Request.Rotates(), f.Request.Shared && candidate.Unproven:
	case candidate.Account.ID != "", f.ExpectedAccount() == "", !f.CanIdentify(): // nobody is waited for
	case f.Now.Before(candidate.Tokens.ExpiresAt) && candidate.Tokens.IssuedAt.Sub(f.Now) <= f.AttemptTimeout && f.importEntry() == nil && !f.ImportRefused():
		// Its token serves, unless it came ahead of a clock that was set back; and a grant that was sent since has ended by any clock.
	default:
		return candidate
	}
	return nil
}

// ImportUsedBefore tells that the user brought back a refresh token that was used up, as a rollback does.
func (f *Facts) ImportUsedBefore() bool {
	imported := f.Request.Imported.RefreshToken
	return imported != "" && imported != f.Custody.Imported && f.CandidateGrant() == nil && f.EndedCandidate() == nil && slices.Contains(f.Custody.SpentImports, imported)
}

// RefreshToken is the one to send.
func (f *Facts) RefreshToken() string {
	imported := f.NewImport()
	if ended := f.EndedCandidate(); imported != "" && ended != nil {
		return ended.RefreshToken
	}
	return cmp.Or(imported, f.Custody.RefreshToken)
}

// ExpectedAccount is the only account whose tokens are accepted: the one that the spec names, else the one seen
// first; empty when any is.
func (f *Facts) ExpectedAccount() string {
	if f.Account.Spec.AccountID != "" {
		return f.Account.Spec.AccountID
	}
	return f.Custody.Account.ID
}

// ExpectsAccount tells whether an account is the expected one. One that was seen first, and told by a source that its Marketplace has no more, says
// nothing.
func (f *Facts) ExpectsAccount(account custody.Account) bool {
	expected := f.ExpectedAccount()
	return expected == "" || account.ID == expected ||
		f.Account.Spec.AccountID == "" && !f.Custody.Account.SameSource(account) && !f.Request.Platform.Tells(f.Custody.Account.By)
}

// MisplacedGrant is the failure of a grant that a renewal brought for another account; nil when there is none. Where the refresh token
// was not spent for it, a request has it tried once more.
func (f *Facts) MisplacedGrant() *Failure {
	aside := f.Custody.Aside
	switch {
	case aside == nil, f.NewImport() != "", f.AsideIsExpected(), !f.Request.Rotates() && f.RenewalRequested():
		return nil
	case aside.Account.ID != "" && !f.ExpectsAccount(aside.Account):
		return f.AccountMismatch(aside.Account.ID, f.ExpectedAccount())
	}
	return f.AccountMismatch(bounds.Login(aside.Sub()), bounds.Login(f.Custody.Sub()))
}

// AsideIsExpected tells that the spec names the account of the grant that was set aside.
func (f *Facts) AsideIsExpected() bool {
	aside := f.Custody.Aside
	return aside != nil && aside.Account.ID != "" && aside.Account.ID == f.Account.Spec.AccountID
}

// WrongAccount tells that the grant in use belongs to another account than the spec names.
func (f *Facts) WrongAccount() bool {
	id, want := f.Custody.Account.ID, f.Account.Spec.AccountID
	return id != "" && want != "" && id != want
}

// PermanentFailure returns the failure that only a change can cure; nil when there is none. It may concern a new grant alone, while
// the one in use goes on: see CannotRenew.
func (f *Facts) PermanentFailure() *Failure {
	if candidate := f.CandidateGrant(); candidate != nil && candidate.Account.ID != "" && !f.ExpectsAccount(candidate.Account) {
		return f.AccountMismatch(candidate.Account.ID, f.ExpectedAccount())
	}
	if refused := f.SignInRefused(); refused != nil && f.NeedsNewGrant() {
		return &Failure{refused.Reason, refused.Message}
	}
	if failure := f.MisplacedGrant(); failure != nil {
		return failure
	}
	if f.WrongAccount() && !f.Changed() {
		return f.AccountMismatch(f.Custody.Account.ID, f.Account.Spec.AccountID)
	}
	if refused := f.Custody.Refused; refused != nil && f.StillRefused(refused) {
		return &Failure{refused.Reason, refused.Message}
	}
	if f.Request.LogsIn() && f.sendsRefused(f.Custody.Refused, f.Request.LoginParts()) { // before it refused the application with another one
		return &Failure{v1alpha1.ReasonPasswordRejected, fmt.Sprintf("%s has refused user name or password; they are not tried again until they change%s, or their "+
			"Secret is annotated with %s=<anything new>", f.Request.Platform.DisplayName, InSecret(f.Account), v1alpha1.AnnotationRetry)}
	}
	if f.Resting() {
		return f.RestFailure()
	}
	if f.ImportRefused() {
		return &Failure{f.Custody.RefusedImport.Reason, f.Custody.RefusedImport.Message}
	}
	if f.ImportRests() {
		return f.ImportRestFailure()
	}
	if f.ImportUsedBefore() {
		return &Failure{v1alpha1.ReasonGrantRejected, "The refresh token was used up before, and what it became belongs to another state of the " +
			"account; supply a new one" + InSecret(f.Account)}
	}
	if candidate := f.CandidateGrant(); candidate != nil && candidate.Account.ID == "" && f.ExpectedAccount() != "" && !f.CanIdentify() {
		return &Failure{v1alpha1.ReasonAccountMismatch, fmt.Sprintf("%s did not say whose the new tokens are, expected is %s; "+
			"use other credentials, or remove spec.accountID", f.Request.Platform.DisplayName, f.ExpectedAccount())}
	}
	return f.MissingGrant()
}

// MissingGrant is the failure of having no grant to renew by; nil when there is one, or when the grant needs none.
func (f *Facts) MissingGrant() *Failure {
	if !f.Request.RenewsByRefreshToken() || f.NewImport() != "" || f.CandidateGrant() != nil {
		return nil
	}
	cure := "a person must sign in at " + f.Request.Platform.DisplayName
	if !f.SignsIn() {
		cure = "supply one" + InSecret(f.Account)
	}
	switch {
	case f.EndlessRefused():
		return &Failure{v1alpha1.ReasonSignInRequired, fmt.Sprintf("%s refuses the access token, which has no end of its own and no refresh token: %s",
			f.Request.Platform.DisplayName, cure)}
	case f.endlessAlone() && !f.OtherApplication() && !f.ForOtherSpec():
		return nil
	case f.Custody.RefreshToken == "" && f.Custody.Consent > 0 && f.Custody.Tokens != nil:
		return &Failure{v1alpha1.ReasonSignInRequired, fmt.Sprintf("%s gave no refresh token with the last sign-in, so %s again when the token expires; "+
			"it may want a scope for it, such as offline_access, in spec.scopes", f.Request.Platform.DisplayName, cure)}
	case f.Custody.RefreshToken == "" && f.SignsIn():
		return &Failure{v1alpha1.ReasonSignInRequired, "A person must sign in at " + f.Request.Platform.DisplayName}
	case f.Custody.RefreshToken == "":
		return &Failure{v1alpha1.ReasonSignInRequired, "There is no refresh token: " + cure}
	case f.GrantRefused(): // before it refused the application with an import
		return &Failure{v1alpha1.ReasonGrantRejected, f.Request.Platform.DisplayName + " refuses the refresh token: " + cure}
	case f.UnprovenGrant():
		return &Failure{v1alpha1.ReasonSignInRequired, fmt.Sprintf("The refresh token in Secret %q was not put there by tokenkeeper, so it is not sent with the application of "+
			"Marketplace %q: %s, or an admin annotates the Marketplace with %s=<anything new>",
			f.Account.GrantSecretName(), f.Account.Spec.MarketplaceRef.Name, cure, v1alpha1.AnnotationAdoptCustody)}
	case f.OtherApplication():
		return &Failure{v1alpha1.ReasonSignInRequired, "The refresh token belongs to the application or the server that was used before, " +
			"and only that one can renew it: " + cure}
	}
	return nil
}

// OtherApplication tells that the grant in use was given to another application (client_id) than today's, or by another server, which cannot
// renew it.
func (f *Facts) OtherApplication() bool {
	return f.Custody.ClientID != "" && !f.Request.MayUse(f.Custody.ClientID, f.Custody.From)
}

// UnprovenGrant tells that nobody can say whose the refresh token in use is, and that it would be sent with an application that the account
// shares with others: it may be stolen from one of these.
func (f *Facts) UnprovenGrant() bool {
	return f.Request.Shared && f.Custody.Grant.Unproven && f.Custody.RefreshToken != "" && f.Request.RenewsByRefreshToken()
}

// CannotRenew tells that asking for tokens is useless, or does harm, until a change comes.
func (f *Facts) CannotRenew() bool {
	if f.endlessAlone() && f.NewImport() == "" {
		return true // there is nothing to ask with, and no need to
	}
	if f.Request.RenewsByRefreshToken() && f.NewImport() == "" && f.Custody.RefreshToken != "" && !f.WrongAccount() && !f.OtherApplication() && !f.UnprovenGrant() {
		// The grant in use goes on whatever became of a new one.
		return f.Resting() || f.GrantRefused() || f.MisplacedGrant() != nil || f.Custody.Refused != nil && f.StillRefused(f.Custody.Refused)
	}
	return f.PermanentFailure() != nil || f.CandidateGrant() != nil
}

// AccountMismatch is the failure of tokens that belong to the account got, where want is expected.
func (f *Facts) AccountMismatch(got, want string) *Failure {
	cure := "use the credentials of"
	if f.SignsIn() {
		cure = "sign in as"
	}
	return &Failure{v1alpha1.ReasonAccountMismatch, fmt.Sprintf("The tokens belong to account %s, expected is %s; "+
		"%s the expected account, or correct spec.accountID", got, want, cure)}
}

// Changed tells whether the tokens at hand were obtained for another spec than today's.
func (f *Facts) Changed() bool {
	return f.NewImport() != "" || f.ForOtherSpec()
}

// ForOtherSpec tells whether the tokens at hand were obtained for another spec.
func (f *Facts) ForOtherSpec() bool {
	return f.Custody.Tokens != nil && f.Custody.Tokens.For != f.Request.Key
}

// NeedsNewGrant tells that the account gets no tokens any more before a person has signed in.
func (f *Facts) NeedsNewGrant() bool { return f.DeadGrant() != nil }

// DeadGrant is why the account gets no tokens any more before a person has signed in; nil when it does.
func (f *Facts) DeadGrant() *Failure {
	if !f.SignsIn() {
		return nil
	}
	if f.WrongAccount() {
		return f.AccountMismatch(f.Custody.Account.ID, f.Account.Spec.AccountID)
	}
	if failure := f.MisplacedGrant(); failure != nil {
		return failure
	}
	if f.Resting() {
		return f.RestFailure()
	}
	if refused := f.Custody.Refused; refused != nil && reasons.Of(refused.Reason).EndsGrant && f.StillRefused(refused) {
		return &Failure{refused.Reason, refused.Message}
	}
	return f.MissingGrant()
}

// GrantRefused tells that the marketplace does not honour the refresh token any more, whatever end it has named before.
func (f *Facts) GrantRefused() bool {
	return f.Request.RenewsByRefreshToken() && f.NewImport() == "" && f.refreshTokenRefused()
}

// StartsNewGrant tells whether the tokens that are asked for now begin a new grant rather than go on with the one in use.
func (f *Facts) StartsNewGrant() bool {
	return f.NewImport() != "" || !f.Request.RenewsByRefreshToken() || f.Custody.Tokens == nil
}
