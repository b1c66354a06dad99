package controller

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/grantstore"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// store writes one account's custody, each time on top of what was read or written last.
type store struct {
	*Reconciler
	// grants is where it is written: the controller's store, or that of visits.
	grants *grantstore.Store
	found  *found
	held   grantstore.Held
	// visiting tells that a browser waits, retried that whoever writes tries again when it fails.
	visiting, retried bool
	// late tells that the look had begun with another state of the grant Secret.
	late bool
}

// openStore reads the custody live. It returns nil when the grant Secret cannot be used; found says why.
func (r *Reconciler) openStore(ctx context.Context, f *found) (*store, error) {
	secret, err := r.grants.Live(ctx, f.account)
	if err != nil {
		return nil, err
	}
	if secret != nil && grantstore.Own(f.account, secret) == nil {
		f.trouble, f.unresolved = conflict(f.account, secret), true
		return nil, nil
	}
	before := f.grantSecret
	if _, err := r.take(f, secret); err != nil && !(f.inHand && tokensecret.IsNewer(err)) {
		f.trouble, f.unresolved = &trouble{v1alpha1.ReasonSecretInvalid, err.Error()}, true
		return nil, nil
	}
	return &store{Reconciler: r, grants: r.grants, found: f, held: f.held(), late: !sameVersion(before, secret)}, nil
}

// held is the grant Secret that was looked at last.
func (f *found) held() grantstore.Held {
	return grantstore.Held{Secret: f.grantSecret, Custody: f.custody}
}

// sameVersion tells whether two reads of a Secret brought the same; nil stands for none.
func sameVersion(a, b *corev1.Secret) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.UID == b.UID && a.ResourceVersion == b.ResourceVersion
}

// take looks at the account with this grant Secret; nil when there is none. outdated tells that it is older than what the status tells of,
// which was written after it.
func (r *Reconciler) take(f *found, secret *corev1.Secret) (outdated bool, err error) {
	held, err := r.grants.Decode(f.account, secret)
	if err == nil || tokensecret.IsNewer(err) { // nothing is decided by a newer one, and an answer in hand is stored on top of it
		f.custody, f.grantSecret = held.Custody, held.Secret
	}
	return held.Outdated, err
}

// newer is why nothing is decided by the custody; nil when something may be.
func (v view) newer() error {
	if v.custody.Version <= tokensecret.CustodyVersion {
		return nil
	}
	return &tokensecret.NewerError{Secret: v.account.GrantSecretName(), Version: v.custody.Version}
}

// storePending stores what an earlier reconcile obtained and could not store, before anything else is looked at.
func (r *Reconciler) storePending(ctx context.Context, f *found) error {
	pending := r.grants.Pending(f.account.UID)
	if pending == nil {
		return nil
	}
	f.inHand = true
	defer func() { f.inHand = false }()
	s, err := r.openStore(ctx, f)
	if err != nil || s == nil {
		return err
	}
	pair, ok := pending.On(f.custody)
	if !ok {
		r.grants.DropPending(f.account.UID)
		return nil
	}
	held := f.custody.Tokens
	f.obtained = pair.Tokens != nil && (held == nil || held.AccessToken != pair.Tokens.AccessToken)
	f.first = f.obtained && pair.Serial == 1
	return s.write(ctx, pair)
}

// journal records that the refresh token is about to be spent. That proves the store writable, and makes
// every writer with an older view lose. forbidden tells that the token must not be sent again.
func (s *store) journal(ctx context.Context) (forbidden bool, err error) {
	if s.found.mayBeSpent() {
		return true, s.restored(ctx)
	}
	kept := s.found.custody
	former, use := s.found.journal(), s.found.reuse()
	if s.found.fromBackup() {
		s.found.dare(&kept)
		former, use = nil, firstUse
	}
	entry := custody.Journal{StartedAt: s.found.now, Imported: s.found.bringing()}
	if former != nil {
		entry = *former
		entry.StartedAt = since(former.StartedAt, s.found.now)
	}
	switch {
	case use != answerLost:
	case !entry.Lost:
		return true, s.rest(ctx)
	default:
		entry.LastResorts++
	}
	entry.Attempts++
	entry.LastAt, entry.Holder = s.found.now, s.holder
	if other := kept.ImportJournal; entry.Imported != "" && other != nil && other.Imported != entry.Imported {
		kept = kept.WithSpentImport(other.Imported) // what may be spent stays so when the user brings it back
	}
	s.found.record(&kept, &entry)
	ctx, cancel := context.WithTimeout(ctx, grantstore.Timeout)
	defer cancel()
	if err := s.write(ctx, kept); err != nil {
		if grantstore.MayPass(err) { // it may be on record all the same, of a token that was not sent
			s.grants.RememberUnsent(s.found.account, &entry, former)
		}
		return false, err
	}
	return false, nil
}

// restored does not spend a refresh token that may be spent already.
func (s *store) restored(ctx context.Context) error {
	says := "is older than what this account had, as after the restore of a backup: its single-use refresh token may be spent"
	if seen := s.found.account.Status.AccessToken; seen != nil && !seen.IssuedTime.IsZero() {
		says = fmt.Sprintf("is older than the token of %s that this account had, as after the restore of a backup: its single-use refresh token "+
			"may be spent", clockTime(seen.IssuedTime.Time))
	}
	if s.found.custody.Restored.Moved {
		says = "was written for another account or in another cluster, as after the restore of a backup or a move: its single-use refresh token " +
			"may be spent, or in use there"
	}
	why := trouble{v1alpha1.ReasonRenewalOutcomeUnknown, fmt.Sprintf("Secret %q %s, and sending it again could end the grant. Nothing more is tried until %s; "+
		"to try all the same, annotate the account with %s=<anything new>", s.found.account.GrantSecretName(),
		says, s.found.newGrant(), v1alpha1.AnnotationRenew)}
	kept := s.found.custody
	kept.Restored = &custody.Restored{Moved: kept.Restored.Moved, Told: true, Imported: s.found.request.imported.RefreshToken}
	if imported := s.found.bringing(); imported != "" {
		kept.RefusedImport = s.refusal(&kept, why, s.found.importParts(why.reason), kept.RefusedImport)
		kept.RefusedImport.Imported, kept.RefusedImport.Restored = imported, true
	} else {
		kept.Refused = s.refusal(&kept, why, s.found.refusedParts(why.reason), kept.Refused)
		kept.Refused.Restored = true
	}
	return s.keepRefusal(ctx, why, kept)
}

// rest leaves a single-use refresh token alone that was sent and whose answer is lost, until its end of use. The serial tells an
// older custody, in which it was not sent yet, from this one.
func (s *store) rest(ctx context.Context) error {
	f := s.found
	custody := f.custody
	custody.Serial++
	entry := *f.journal()
	entry.Lost = true
	entry.StartedAt, entry.LastAt = since(entry.StartedAt, f.now), since(entry.LastAt, f.now)
	f.record(&custody, &entry)
	custody.HandledRenew = requestOf(f.account, v1alpha1.AnnotationRenew)
	after := f.view
	after.custody = custody
	if elsewhere, err := s.heldElsewhere(ctx, after); err == nil { // else the next look tells
		f.sellerElsewhere, after.sellerElsewhere = elsewhere, elsewhere
	}
	f.failed, f.trouble = true, after.standing()
	return s.keep(ctx, custody)
}

// tokens stores what the marketplace gave: the one copy of it that survives us. A new grant of which it is not known
// that it belongs to the expected account becomes the candidate, and the grant in use stays.
func (s *store) tokens(ctx context.Context, got issued) error {
	f := s.found
	custody := f.custody
	begun := f.begins()
	next := f.grant(got)
	expected, id := f.expectedAccount(), next.Account.ID
	custody.Serial++
	custody.NotBefore = time.Time{}
	custody.HandledRenew = requestOf(f.account, v1alpha1.AnnotationRenew)
	if f.request.renewsByRefreshToken() {
		f.record(&custody, nil)
	}
	if f.request.rotates() {
		custody = custody.WithSpentImport(f.bringing())
	}
	s.loggedIn(&custody)
	s.dateClientSecret(&custody)
	custody.PreviousSecretOf = ""
	if got.byPreviousSecret {
		custody.PreviousSecretOf = s.clientSecrets(&custody)
	}
	if !begun && f.wrongAccountOf(got) {
		return s.setAside(ctx, custody, next, got)
	}
	mustKnow := f.canIdentify() || f.account.Spec.AccountID != ""
	if begun && !f.expects(id) && (id != "" || mustKnow) {
		custody.Candidate = &next
		if id != "" {
			f.failed, f.trouble = true, f.mismatch(id, expected)
		}
		return s.keep(ctx, custody)
	}
	f.use(&custody, next)
	if err := s.keep(ctx, custody); err != nil {
		return err
	}
	f.obtained, f.first = true, begun && (f.request.renewsByRefreshToken() || custody.Serial == 1)
	return nil
}

// wrongAccountOf tells that a renewal brought tokens of another account than the expected one: by what the answer names, or by the
// subject of the ID token, which stays the same as long as its issuer does.
func (v view) wrongAccountOf(got issued) bool {
	if got.account.ID != "" && !v.expectsOf(got.account) {
		return true
	}
	if got.account.ID != "" && got.account.ID == v.account.Spec.AccountID {
		return false
	}
	was, is := strings.Fields(v.custody.Subject), strings.Fields(got.subject)
	return len(was) > 1 && len(is) > 1 && was[0] == is[0] && v.custody.Subject != got.subject
}

// setAside keeps a pair of another account without using it. The token that is published stays; a single-use refresh token that the
// pair was given for is spent.
func (s *store) setAside(ctx context.Context, kept custody.Custody, wrong custody.Grant, got issued) error {
	wrong.Account = got.account
	kept.Aside = &wrong
	if s.found.request.rotates() {
		kept.RefreshToken = ""
	}
	after := s.found.view
	after.custody = kept
	s.found.failed, s.found.trouble = true, after.misplaced()
	if s.found.trouble == nil { // the request was this one
		s.found.trouble = after.mismatch(wrong.Account.ID, after.expectedAccount())
	}
	return s.keep(ctx, kept)
}

// use puts a grant into use.
func (f *found) use(stored *custody.Custody, next custody.Grant) {
	if f.bringing() != "" { // the one before is not in use any more
		stored.Journal = nil
	}
	stored.Grant = next
	if f.request.renewsByRefreshToken() { // a login leaves the refresh token as it was
		*stored = stored.Recovered()
	}
	if stored.Candidate != nil && stored.Candidate.Consent == 0 && stored.Candidate.Imported == next.Imported {
		stored.Candidate = nil // and one that the user withdrew is kept: it may come back
	}
	stored.Refused, stored.Verified, stored.Aside = nil, nil, nil
	if !f.importRefused() {
		stored.RefusedImport = nil
	}
	if !f.needsSignIn() { // the account is in order without what a person tried
		stored.SignIn.Refused = nil
	}
}

// begins tells whether the tokens that are asked for now begin a new grant rather than go on with the one in use.
func (v view) begins() bool {
	return v.bringing() != "" || !v.request.renewsByRefreshToken() || v.custody.Tokens == nil
}

// grant is what the grant becomes with the tokens that were issued.
func (v view) grant(got issued) custody.Grant {
	next := v.custody.Grant
	if imported := v.bringing(); imported != "" || next.GrantedAt.IsZero() {
		next.GrantedAt = v.request.imported.GrantedAt
		if next.GrantedAt.IsZero() || next.GrantedAt.After(v.now) { // nobody has consented later than now
			next.GrantedAt = v.now
		}
		next.AuthorizationExpiresAt = time.Time{}
		next.Imported = imported
		next.Account, next.Identified = custody.Account{}, false
		next.Consent, next.Asked, next.Subject = 0, nil, ""
	}
	if got.subject != "" {
		next.Subject = got.subject
	}
	if told := got.AuthorizationExpiresAt; !told.IsZero() || v.request.platform.AuthorizationSlides || got.AuthorizationEndUnreadable {
		next.AuthorizationExpiresAt, next.AuthorizationEndUnreadable = told, got.AuthorizationEndUnreadable
	}
	if v.request.renewsByRefreshToken() { // a login is renewed by logging in; what another grant left stays
		next.RefreshToken = got.RefreshToken
		next.ClientID = v.request.application.ClientID
	} else {
		next.Consent, next.Asked = 0, nil
	}
	if got.account.ID != next.Account.ID && (got.account.ID != "" || v.outOfDate() && !v.request.renewsByRefreshToken()) {
		next.Account = got.account
	}
	next.Tokens = v.tokensOf(got)
	return next
}

// tokensOf is what is kept of tokens that were issued.
func (v view) tokensOf(got issued) *custody.Tokens {
	end, withheld := got.ExpiresAt, v.uselessIDToken(got)
	if withheld != "" {
		end = got.AccessTokenExpiresAt
	}
	return &custody.Tokens{
		AccessToken:     got.AccessToken,
		IDToken:         got.IDToken,
		IDTokenWithheld: withheld,
		TokenType:       got.TokenType,
		Scope:           got.Scope,
		For:             v.request.key,
		IssuedAt:        got.IssuedAt.UTC().Truncate(time.Second),
		ExpiresAt:       end.UTC(),
		EndUnreadable:   got.EndUnreadable,
		RenewAt:         v.policy().RenewAt(got.IssuedAt, end, renewal.Spread(string(v.account.UID))).UTC(),
	}
}

// judge accepts the candidate, whose account is now known, or keeps it waiting for another expectation. identified tells that an
// identity request told the account.
func (s *store) judge(ctx context.Context, account custody.Account, identified bool) error {
	f := s.found
	kept := f.custody
	candidate := *f.candidate()
	candidate.Account, candidate.Identified = account, identified
	if candidate.Consent > 0 {
		s.retried = true // it is stored already
		kept.SignIn = kept.SignIn.Clone()
		if !f.expects(account.ID) {
			return s.discard(ctx, kept, candidate)
		}
		return s.accept(ctx, kept, candidate)
	}
	if !f.expects(account.ID) {
		kept.Candidate = &candidate
		f.failed, f.trouble = true, f.mismatch(account.ID, f.expectedAccount())
		return s.keep(ctx, kept)
	}
	kept.Serial++
	kept.Grant = candidate
	kept.NotBefore = time.Time{} // of the grant before
	if f.request.renewsByRefreshToken() {
		kept.Journal = nil
		kept = kept.Recovered()
	}
	kept.Candidate, kept.Aside, kept.Verified, kept.Refused, kept.RefusedImport = nil, nil, nil, nil, nil
	if err := s.keep(ctx, kept); err != nil {
		return err
	}
	f.obtained, f.first = true, true
	return nil
}

// giveUp drops a candidate whose tokens expired before anybody could say whose they are.
func (s *store) giveUp(ctx context.Context) error {
	f := s.found
	custody := f.custody
	candidate := f.candidate()
	custody.Candidate = nil
	why := trouble{v1alpha1.ReasonAccountMismatch, fmt.Sprintf("%s did not tell in time whose the new grant is, so it was not used; supply a new one%s",
		f.request.platform.DisplayName, inSecret(f.account))}
	switch {
	case candidate != nil && candidate.Consent > 0:
		why = trouble{v1alpha1.ReasonSignInRequired, fmt.Sprintf("%s did not tell in time who had signed in, so the last sign-in was not used; "+
			"a person must sign in again", f.request.platform.DisplayName)}
		return s.drop(ctx, why)
	case candidate == nil, !f.request.rotates():
		return s.write(ctx, custody) // what it began with can be sent again
	}
	return s.refuseImport(ctx, why, custody, candidate.Imported)
}

// drop forgets a sign-in that waited, and records why.
func (s *store) drop(ctx context.Context, why trouble) error {
	custody := s.found.custody
	custody.Candidate = nil
	custody.SignIn = custody.SignIn.Clone()
	custody.SignIn.Refused = s.signInRefusal(&custody, why)
	s.found.blameNewGrant(&why)
	if err := s.write(ctx, custody); err != nil {
		return err
	}
	s.found.dropped = &why
	return nil
}

// learn notes whose the grant in use is.
func (s *store) learn(ctx context.Context, account custody.Account) error {
	kept := s.found.custody
	kept.Account, kept.Identified = account, true
	return s.write(ctx, kept)
}

// policy is how early this account's tokens are renewed.
func (v view) policy() renewal.Policy {
	platform := v.request.platform
	return renewal.Policy{Before: v.account.Spec.Renewal.Before.Or(platform.RenewBefore), MaxBefore: platform.MaxBefore}
}

// failure records what an attempt that brought no tokens must leave behind: no more than its meaning needs. sent tells
// that the marketplace was asked for tokens.
func (s *store) failure(ctx context.Context, failure error, sent bool) error {
	f := s.found
	trouble, passes := troubleOf(f.view, failure)
	f.failed, f.trouble = true, &trouble
	custody := f.custody
	asked := answer.AsError(failure)
	switch entry := f.journal(); {
	case entry == nil, !sent, !f.request.rotates(): // nothing new is known of a token that was not sent, or is not spent by that
	case asked.Kind == answer.GrantRejected, !asked.OutcomeUnknown && entry.Attempts == 1:
		f.record(&custody, nil)
	case entry.Lost: // what became of it is as unknown as before, and its own waits hold
		if passes {
			f.trouble = f.standing()
		}
	case asked.OutcomeUnknown && f.reuse() == answerLost:
		return s.rest(ctx)
	}
	doubted := s.mayBeLocked(asked, sent)
	if doubted {
		if locked := s.doubtLogin(&custody, asked, sent); locked != nil {
			return s.refuse(ctx, *locked, custody)
		}
	}
	custody.NotBefore, custody.DemandedAt = time.Time{}, time.Time{}
	if wait := renewal.BoundRetryAfter(asked.RetryAfter); wait > 0 {
		custody.NotBefore, custody.DemandedAt = f.now.Add(wait).Truncate(time.Second), f.now
	}
	switch {
	case !passes:
		return s.refuse(ctx, trouble, custody)
	case custody.Journal == f.custody.Journal && custody.ImportJournal == f.custody.ImportJournal && custody.NotBefore.Equal(f.custody.NotBefore) && !doubted:
		return nil // count and time in the status say the rest
	}
	return s.keep(ctx, custody)
}

// refuse records a refusal that only a change can cure: of a token that the user brought, or of anything else.
func (s *store) refuse(ctx context.Context, why trouble, kept custody.Custody) error {
	imported := s.found.bringing()
	if imported != "" && why.reason != v1alpha1.ReasonApplicationRejected {
		return s.refuseImport(ctx, why, kept, imported)
	}
	kept.Refused = s.refusal(&kept, why, s.found.refusedParts(why.reason), kept.Refused)
	kept.Refused.Tries = s.found.triedAgain(s.found.custody.Refused, why.reason)
	if err := s.keepRefusal(ctx, why, kept); err != nil {
		return err
	}
	s.askAgain(s.found)
	return nil
}

// refuseImport records that a refresh token which the user brought is of no use.
func (s *store) refuseImport(ctx context.Context, why trouble, kept custody.Custody, imported string) error {
	kept.RefusedImport = s.refusal(&kept, why, s.found.importParts(why.reason), kept.RefusedImport)
	kept.RefusedImport.Imported = imported
	return s.keepRefusal(ctx, why, kept)
}

func (s *store) keepRefusal(ctx context.Context, why trouble, kept custody.Custody) error {
	s.found.failed, s.found.trouble = true, &why
	kept.HandledRenew = requestOf(s.found.account, v1alpha1.AnnotationRenew)
	return s.keep(ctx, kept)
}

// verified records a test of the connection.
func (s *store) verified(ctx context.Context, account custody.Account, verification custody.Verification) error {
	kept := s.found.custody
	kept.Verified = &verification
	kept.Identified = kept.Identified || verification.Failure == ""
	if account.ID != "" && (kept.Account.ID == "" || kept.Account.ID == account.ID) {
		if kept.Account.By != "" {
			account.By = kept.Account.By
		}
		kept.Account = account
	}
	return s.write(ctx, kept)
}

// save writes a custody that must not be lost, in the way of whoever waits for it.
func (s *store) save(ctx context.Context, kept custody.Custody) error {
	if s.retried {
		return s.write(ctx, kept)
	}
	return s.keep(ctx, kept)
}

// keep writes a custody that must not be lost: while the write fails it waits in memory, and the next
// reconcile stores it before anything else. It outlives the reconcile's context.
func (s *store) keep(ctx context.Context, kept custody.Custody) error {
	return s.put(ctx, kept, grantstore.UntilStored)
}

// write writes the custody on top of the Secret that was read or written last, and loses against any other
// write since.
func (s *store) write(ctx context.Context, kept custody.Custody) error {
	return s.put(ctx, kept, grantstore.Once)
}

func (s *store) put(ctx context.Context, kept custody.Custody, retry grantstore.Retry) error {
	held, err := s.grants.Write(ctx, s.found.account, s.held, kept, retry)
	if err != nil {
		s.found.blame(unwritable(s.found.account.GrantSecretName(), err))
		return err
	}
	s.held, s.found.custody, s.found.grantSecret = held, held.Custody, held.Secret
	if s.late { // there may be more to do about it, and this write keeps the watch from telling
		s.found.recheck = time.Second
	}
	return nil
}
