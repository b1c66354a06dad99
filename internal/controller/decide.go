package controller

import (
	"fmt"
	"slices"
	"time"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
)

// view is what deciding needs, all of it values.
type view struct {
	account *v1alpha1.MarketplaceAccount
	custody custody.Custody
	request request
	now     time.Time
	// holder names this process, call is how long a request may take, and attempt how long one may with the storing of its answer.
	holder        string
	call, attempt time.Duration
	// sellerElsewhere tells that another account holds a grant of the same seller and application; looked for where an answer
	// was lost.
	sellerElsewhere bool
	// codeUsed tells that a poll of the device code had no answer, so that it may have become tokens.
	codeUsed bool
	// deferred are the request annotations that wait until the account may have another request, and until when.
	deferred map[string]time.Time
	// edited tells that the request that would be sent is another than the one that was sent last, and editWaits until when an attempt
	// waits that follows an edit; zero when it does not.
	edited    bool
	editWaits time.Time
	// asksAgain tells that it is this account's turn to ask again for its application, which was refused.
	asksAgain bool
	// tokenRefused tells that the marketplace was seen to refuse the token at hand.
	tokenRefused bool
	// digestKey is the key of the custody's digests, should it need one and have none; nil where none could be drawn.
	digestKey []byte
	// retryTicket is for the browser that waits for the result of a sign-in, should the sign-in be rejected; empty where none waits.
	retryTicket string
}

// bringing is the refresh token that a new grant begins with; empty while the one in use goes on. One that was
// refused, or has already become the candidate, is not sent again.
func (v view) bringing() string {
	imported := v.request.imported.RefreshToken
	switch {
	case imported == v.custody.Imported, v.candidate() != nil, v.importRefused(), v.importRests(), v.usedBefore():
		return ""
	}
	return imported
}

// candidate is the grant that waits to be accepted; nil when there is none, or when the user has withdrawn it.
func (v view) candidate() *custody.Grant {
	candidate := v.custody.Candidate
	switch {
	case candidate == nil:
	case candidate.Consent > 0:
		if v.signsIn() && candidate.Consent > v.custody.Accepted && candidate.ClientID == v.request.application.ClientID {
			return candidate
		}
	case !v.request.renewsByRefreshToken():
		if candidate.Tokens.For == v.request.key { // of this login
			return candidate
		}
	case candidate.Imported == v.request.imported.RefreshToken && candidate.Imported != v.custody.Imported:
		return candidate
	}
	return nil
}

// usedBefore tells that the user brought back a refresh token that was used up, as a rollback does.
func (v view) usedBefore() bool {
	imported := v.request.imported.RefreshToken
	return imported != "" && imported != v.custody.Imported && v.candidate() == nil && slices.Contains(v.custody.SpentImports, imported)
}

// refreshToken is the one to send.
func (v view) refreshToken() string {
	if imported := v.bringing(); imported != "" {
		return imported
	}
	return v.custody.RefreshToken
}

// requested tells whether somebody asked for a renewal that was not handled yet. The custody remembers it together
// with the tokens, the status for people.
func (v view) requested() bool {
	value := requestOf(v.account, v1alpha1.AnnotationRenew)
	handled := v.account.Status.Handled
	return value != "" && value != v.custody.HandledRenew && (handled == nil || handled.Renew != value) && !v.waitsToAsk(v1alpha1.AnnotationRenew)
}

// testRequested tells whether somebody asked for a test of the connection that was not handled yet.
func (v view) testRequested() bool {
	value := requestOf(v.account, v1alpha1.AnnotationVerify)
	handled := v.account.Status.Handled
	return value != "" && (handled == nil || handled.Verify != value) && !v.waitsToAsk(v1alpha1.AnnotationVerify)
}

// requestOf returns the value of a request annotation, cut to what the status can hold of it.
func requestOf(account *v1alpha1.MarketplaceAccount, annotation string) string {
	return bounds.Cut(account.Annotations[annotation], bounds.Message)
}

// suspended tells that the marketplace must not be asked.
func (v view) suspended() bool {
	return v.account.Spec.Renewal.Policy == v1alpha1.RenewalSuspended
}

// expectedAccount is the only account whose tokens are accepted: the one that the spec names, else the one seen
// first; empty when any is.
func (v view) expectedAccount() string {
	if v.account.Spec.AccountID != "" {
		return v.account.Spec.AccountID
	}
	return v.custody.Account.ID
}

// expects tells whether an account is the expected one.
func (v view) expects(id string) bool {
	expected := v.expectedAccount()
	return expected == "" || id == expected
}

// expectsOf tells the same of an account as an answer names it. One that was seen first, and told by another source, says nothing.
func (v view) expectsOf(account custody.Account) bool {
	return v.expects(account.ID) || v.account.Spec.AccountID == "" && !v.custody.Account.SameSource(account)
}

// misplaced is the trouble with a grant that a renewal brought for another account; nil when there is none. Where the refresh token
// was not spent for it, a request has it tried once more.
func (v view) misplaced() *trouble {
	aside := v.custody.Aside
	switch {
	case aside == nil, v.bringing() != "", v.asideIsExpected(), !v.request.rotates() && v.requested():
		return nil
	case aside.Account.ID != "" && !v.expectsOf(aside.Account):
		return v.mismatch(aside.Account.ID, v.expectedAccount())
	}
	return v.mismatch(bounds.Cut(aside.Subject, bounds.Name), bounds.Cut(v.custody.Subject, bounds.Name))
}

// asideIsExpected tells that the spec names the account of the grant that was set aside.
func (v view) asideIsExpected() bool {
	aside := v.custody.Aside
	return aside != nil && aside.Account.ID != "" && aside.Account.ID == v.account.Spec.AccountID
}

// misfit tells that the grant in use belongs to another account than the spec names.
func (v view) misfit() bool {
	id, want := v.custody.Account.ID, v.account.Spec.AccountID
	return id != "" && want != "" && id != want
}

// standing returns what only a change can cure; nil when nothing is wrong. It may concern a new grant alone, while
// the one in use goes on: see blocked.
func (v view) standing() *trouble {
	if candidate := v.candidate(); candidate != nil && candidate.Account.ID != "" && !v.expects(candidate.Account.ID) {
		return v.mismatch(candidate.Account.ID, v.expectedAccount())
	}
	if refused := v.signInRefused(); refused != nil && v.needsNewGrant() {
		return &trouble{refused.Reason, refused.Message}
	}
	if trouble := v.misplaced(); trouble != nil {
		return trouble
	}
	if v.misfit() && !v.changed() {
		return v.mismatch(v.custody.Account.ID, v.account.Spec.AccountID)
	}
	if refused := v.custody.Refused; refused != nil && v.stands(refused) {
		return &trouble{refused.Reason, refused.Message}
	}
	if v.resting() {
		return v.restTrouble()
	}
	if v.importRefused() {
		return &trouble{v.custody.RefusedImport.Reason, v.custody.RefusedImport.Message}
	}
	if v.importRests() {
		return v.importRestTrouble()
	}
	if v.usedBefore() {
		return &trouble{v1alpha1.ReasonGrantRejected, "The refresh token was used up before, and what it became belongs to another state of the " +
			"account; supply a new one" + inSecret(v.account)}
	}
	if candidate := v.candidate(); candidate != nil && candidate.Account.ID == "" && v.expectedAccount() != "" && !v.canIdentify() {
		return &trouble{v1alpha1.ReasonAccountMismatch, fmt.Sprintf("%s did not say whose the new tokens are, expected is %s; "+
			"use other credentials, or remove spec.accountID", v.request.platform.DisplayName, v.expectedAccount())}
	}
	return v.grantless()
}

// grantless returns the trouble with having no grant to renew by; nil when there is one, or when the grant needs none.
func (v view) grantless() *trouble {
	if !v.request.renewsByRefreshToken() || v.bringing() != "" || v.candidate() != nil {
		return nil
	}
	cure := "a person must sign in at " + v.request.platform.DisplayName
	if !v.signsIn() {
		cure = "supply one" + inSecret(v.account)
	}
	switch {
	case v.custody.RefreshToken == "" && v.custody.Consent > 0 && v.custody.Tokens != nil:
		return &trouble{v1alpha1.ReasonSignInRequired, fmt.Sprintf("%s gave no refresh token with the last sign-in, so %s again when the token expires; "+
			"it may want a scope for it, such as offline_access, in spec.scopes", v.request.platform.DisplayName, cure)}
	case v.custody.RefreshToken == "" && v.signsIn():
		return &trouble{v1alpha1.ReasonSignInRequired, "A person must sign in at " + v.request.platform.DisplayName}
	case v.custody.RefreshToken == "":
		return &trouble{v1alpha1.ReasonSignInRequired, "There is no refresh token: " + cure}
	case v.foreign():
		return &trouble{v1alpha1.ReasonSignInRequired, "The refresh token belongs to the application that was used before, " +
			"and only that one can renew it: " + cure}
	}
	return nil
}

// foreign tells that the grant in use was given to another application (client_id) than today's, which cannot renew it.
func (v view) foreign() bool {
	return v.custody.ClientID != "" && v.custody.ClientID != v.request.application.ClientID
}

// blocked tells that asking for tokens is useless, or does harm, until something changes.
func (v view) blocked() bool {
	if v.request.renewsByRefreshToken() && v.bringing() == "" && v.custody.RefreshToken != "" && !v.misfit() && !v.foreign() {
		// The grant in use goes on whatever became of a new one.
		return v.resting() || v.misplaced() != nil || v.custody.Refused != nil && v.stands(v.custody.Refused)
	}
	return v.standing() != nil || v.candidate() != nil
}

func (v view) mismatch(got, want string) *trouble {
	cure := "use the credentials of"
	if v.signsIn() {
		cure = "sign in as"
	}
	return &trouble{v1alpha1.ReasonAccountMismatch, fmt.Sprintf("The tokens belong to account %s, expected is %s; "+
		"%s the expected account, or correct spec.accountID", got, want, cure)}
}

// changed tells whether something else is asked for today than the tokens at hand were obtained for.
func (v view) changed() bool {
	return v.bringing() != "" || v.outOfDate()
}

// outOfDate tells whether the tokens at hand were obtained for another spec.
func (v view) outOfDate() bool {
	return v.custody.Tokens != nil && v.custody.Tokens.For != v.request.key
}

// plan decides whether to ask now.
func (v view) plan() renewal.Plan {
	if v.resting() {
		return v.planRest()
	}
	refused := v.custody.Refused
	held := renewal.Held{
		// What failed is tried until it succeeds, whether or not the tokens at hand are due by themselves; and a
		// refusal that does not stand any more calls for an attempt now.
		Changed: v.changed() || v.failing() || v.tokenRefused || refused != nil && !v.stands(refused),
	}
	if tokens := v.custody.Tokens; tokens != nil {
		held.ExpiresAt, held.RenewAt = tokens.ExpiresAt, tokens.RenewAt
	}
	return renewal.Decide(held, renewal.Demand{
		Requested: v.requested(),
		Suspended: v.suspended(),
		Refused:   v.blocked(),
		RetryAt:   v.retryAt(),
		NotBefore: latest(v.demandedUntil(), v.editWaits),

		RestsUntil: v.loginWait(),
	}, v.now)
}

// retryAt is the end of the backoff after failures that pass by themselves; zero when there is none. A changed
// request is not made to wait.
func (v view) retryAt() time.Time {
	if !v.failing() || v.loginDecides() || v.edited {
		return time.Time{}
	}
	failure := v.account.Status.LastFailure
	at := failure.Time.UTC()
	if at.After(v.now) { // the clock was set back
		at = v.now
	}
	next := renewal.RetryAt(at, failure.Count, renewal.Spread(string(v.account.UID)), v.longestWait(at))
	return renewal.Earliest(next, v.graceLimit()) // longer waits would leave no time
}

// longestWait is how long anything may wait from a moment on that stands between the token at hand and its renewal; zero where there is none.
func (v view) longestWait(from time.Time) time.Duration {
	tokens := v.custody.Tokens
	if tokens == nil {
		return 0
	}
	return renewal.LongestWait(tokens.IssuedAt, tokens.ExpiresAt, from)
}

// soonEnough is a wait, or as much of it as the token at hand allows.
func (v view) soonEnough(wait time.Duration) time.Duration {
	if most := v.longestWait(v.now); most > 0 {
		return min(wait, most)
	}
	return wait
}

// notBefore is the end of a wait that the marketplace demanded, or that a login is due.
func (v view) notBefore() time.Time { return latest(v.demandedUntil(), v.loginWait()) }

// demandedUntil is the end of a wait that the marketplace demanded, or the moment at which a token, or the grace of a spent one, that is about
// to end interrupts it.
func (v view) demandedUntil() time.Time {
	until := v.custody.NotBefore
	if until.Sub(v.now) > renewal.LongestRetryAfter { // the clock was set back
		return time.Time{}
	}
	for _, interrupts := range []time.Time{v.interruptsAt(), v.graceLimit()} {
		if !interrupts.IsZero() && interrupts.Before(until) {
			until = interrupts
		}
	}
	return until
}

// interruptsAt is when a token that is about to end interrupts a wait: in its last minutes, or halfway to its end where the wait began in
// these. Zero where there is no token, or it had ended already.
func (v view) interruptsAt() time.Time {
	moment, began := v.lastMinutes(), v.custody.DemandedAt
	if moment.IsZero() || moment.After(began) {
		return moment
	}
	left := v.custody.Tokens.ExpiresAt.Sub(began)
	if left <= 0 {
		return time.Time{}
	}
	return began.Add(left / 2)
}

// failing tells that the last attempt failed in a way that passes by itself.
func (v view) failing() bool {
	failure := v.account.Status.LastFailure
	if failure == nil || v.outdated(failure) {
		return false
	}
	return failure.Reason == v1alpha1.ReasonMarketplaceUnavailable || failure.Reason == v1alpha1.ReasonRateLimited
}

// outdated tells that tokens were stored after a failure: the status is older than the custody.
func (v view) outdated(failure *v1alpha1.FailureStatus) bool {
	return v.custody.Tokens != nil && v.custody.Tokens.IssuedAt.After(failure.Time.Time)
}

// restored tells that the refresh token in use, or the one that the user had brought, is single-use and of a custody that was older than
// the status, as after the restore of a backup or the loss of the grant Secret: it may be spent.
func (v view) restored() bool { return v.custody.Restored != nil && v.request.rotates() }

// fromBackup tells that the token to send was restored, and that the user has not brought it since the account said so.
func (v view) fromBackup() bool {
	if !v.restored() {
		return false
	}
	restored, imported := v.custody.Restored, v.bringing()
	return !restored.Told || imported == "" || imported == restored.Imported
}

// mayBeSpent tells that the token to send was restored, unless a person asks to try all the same, after the account had said so. A request
// from before is no answer to it.
func (v view) mayBeSpent() bool {
	return v.fromBackup() && !(v.custody.Restored.Told && v.requested())
}

// dare makes a restored token that a person asks to try all the same one like any other, of which nothing is on record.
func (v view) dare(kept *custody.Custody) {
	if kept.Restored = nil; v.bringing() == "" {
		kept.Refused, kept.Journal = nil, nil
		return
	}
	kept.Restored = &custody.Restored{Moved: v.custody.Restored.Moved, Told: true} // the one in use may be spent as before
	kept.RefusedImport, kept.ImportJournal = nil, nil
}

// journal is what is on record of the token to send; nil when nothing is.
func (v view) journal() *custody.Journal {
	if v.bringing() == "" {
		return v.custody.Journal
	}
	return v.importEntry()
}

// others is until when another process may be at work on the token to send; zero when none is. After a grace there would be
// no use in waiting longer.
func (v view) others() time.Time {
	journal := v.journal()
	if !v.request.rotates() || journal == nil || journal.Lost || journal.Holder == v.holder || journal.LastAt.After(v.now) { // of the clock before it was set back
		return time.Time{}
	}
	wait := v.attempt
	if grace := v.grace(); grace > 0 {
		wait = min(longestGraceWait, grace/4)
	}
	return ahead(journal.LastAt.Add(wait), v.now)
}

// record puts an entry, or none, on record of the token to send.
func (v view) record(kept *custody.Custody, entry *custody.Journal) {
	if v.bringing() == "" {
		kept.Journal = entry
		return
	}
	kept.ImportJournal = entry
}
