package controller

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/grantstore"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
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
	secret, err := r.grants.Live(ctx, f.Account)
	if err != nil {
		return nil, err
	}
	if secret != nil && grantstore.Own(f.Account, secret) == nil {
		f.Failure, f.Unresolved = conflict(f.Account, secret), true
		return nil, nil
	}
	before := f.grantSecret
	if _, err := r.take(f, secret); err != nil && !(f.inHand && tokensecret.IsNewer(err)) {
		f.Failure, f.Unresolved = &lifecycle.Failure{Reason: v1alpha1.ReasonSecretInvalid, Message: err.Error()}, true
		return nil, nil
	}
	return &store{Reconciler: r, grants: r.grants, found: f, held: f.held(), late: !sameVersion(before, secret)}, nil
}

// held is the grant Secret that was looked at last.
func (f *found) held() grantstore.Held {
	return grantstore.Held{Secret: f.grantSecret, Custody: f.Custody}
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
	held, err := r.grants.Decode(f.Account, secret)
	if err == nil || tokensecret.IsNewer(err) { // nothing is decided by a newer one, and an answer in hand is stored on top of it
		f.Custody, f.grantSecret = held.Custody, held.Secret
	}
	return held.Outdated, err
}

// storePending stores what an earlier reconcile obtained and could not store, before anything else is looked at.
func (r *Reconciler) storePending(ctx context.Context, f *found) error {
	pending := r.grants.Pending(f.Account.UID)
	if pending == nil {
		return nil
	}
	f.inHand = true
	defer func() { f.inHand = false }()
	s, err := r.openStore(ctx, f)
	if err != nil || s == nil {
		return err
	}
	pair, ok := pending.On(f.Custody)
	if !ok {
		r.grants.DropPending(f.Account.UID)
		return nil
	}
	held := f.Custody.Tokens
	f.Obtained = pair.Tokens != nil && (held == nil || held.AccessToken != pair.Tokens.AccessToken)
	f.First = f.Obtained && pair.Serial == 1
	return s.write(ctx, pair)
}

// journal records that the refresh token is about to be spent. That proves the store writable, and makes
// every writer with an older view lose. forbidden tells that the token must not be sent again.
func (s *store) journal(ctx context.Context) (forbidden bool, err error) {
	if s.found.MayBeSpent() {
		return true, s.restored(ctx)
	}
	kept := s.found.Custody
	former, use := s.found.Journal(), s.found.Reuse()
	if s.found.FromBackup() {
		s.found.OverrideRestored(&kept)
		former, use = nil, lifecycle.FirstUse
	}
	entry := custody.Journal{StartedAt: s.found.Now, Imported: s.found.NewImport()}
	if former != nil {
		entry = *former
		entry.StartedAt = lifecycle.NotAfter(former.StartedAt, s.found.Now)
	}
	switch {
	case use != lifecycle.LastResort:
	case !entry.Lost:
		return true, s.rest(ctx)
	default:
		entry.LastResorts++
	}
	entry.Attempts++
	entry.LastAt, entry.Holder = s.found.Now, s.holder
	if other := kept.ImportJournal; entry.Imported != "" && other != nil && other.Imported != entry.Imported {
		kept = kept.WithSpentImport(other.Imported) // what may be spent stays so when the user brings it back
	}
	s.found.SetJournal(&kept, &entry)
	ctx, cancel := context.WithTimeout(ctx, timeouts.Store)
	defer cancel()
	if err := s.write(ctx, kept); err != nil {
		if grantstore.MayPass(err) { // it may be on record all the same, of a token that was not sent
			s.grants.RememberUnsent(s.found.Account, &entry, former)
		}
		return false, err
	}
	return false, nil
}

// restored does not spend a refresh token that may be spent already.
func (s *store) restored(ctx context.Context) error {
	says := "is older than what this account had, as after the restore of a backup: its single-use refresh token may be spent"
	if seen := s.found.Account.Status.AccessToken; seen != nil && !seen.IssuedTime.IsZero() {
		says = fmt.Sprintf("is older than the token of %s that this account had, as after the restore of a backup: its single-use refresh token "+
			"may be spent", lifecycle.ClockTime(seen.IssuedTime.Time))
	}
	if s.found.Custody.Restored.Moved {
		says = "was written for another account or in another cluster, as after the restore of a backup or a move: its single-use refresh token " +
			"may be spent, or in use there"
	}
	why := lifecycle.Failure{Reason: v1alpha1.ReasonRenewalOutcomeUnknown, Message: fmt.Sprintf("Secret %q %s, and sending it again could end the grant. Nothing more is tried until %s; "+
		"to try all the same, annotate the account with %s=<anything new>", s.found.Account.GrantSecretName(),
		says, s.found.HowToRenewGrant(), v1alpha1.AnnotationRenew)}
	kept := s.found.Custody
	kept.Restored = &custody.Restored{Moved: kept.Restored.Moved, Told: true, Imported: s.found.Request.Imported.RefreshToken}
	if imported := s.found.NewImport(); imported != "" {
		kept.RefusedImport = s.refusal(&kept, why, s.found.ImportParts(why.Reason), kept.RefusedImport)
		kept.RefusedImport.Imported, kept.RefusedImport.Restored = imported, true
	} else {
		kept.Refused = s.refusal(&kept, why, s.found.RefusedParts(why.Reason), kept.Refused)
		kept.Refused.Restored = true
	}
	return s.keepRefusal(ctx, why, kept)
}

// rest leaves a single-use refresh token alone that was sent and whose answer is lost, until its end of use. The serial tells an
// older custody, in which it was not sent yet, from this one.
func (s *store) rest(ctx context.Context) error {
	f := s.found
	custody := f.Custody
	custody.Serial++
	entry := *f.Journal()
	entry.Lost = true
	entry.StartedAt, entry.LastAt = lifecycle.NotAfter(entry.StartedAt, f.Now), lifecycle.NotAfter(entry.LastAt, f.Now)
	f.SetJournal(&custody, &entry)
	custody.HandledRenew = lifecycle.RequestOf(f.Account, v1alpha1.AnnotationRenew)
	after := f.Facts
	after.Custody = custody
	if elsewhere, err := s.heldElsewhere(ctx, after); err == nil { // else the next look tells
		f.SellerElsewhere, after.SellerElsewhere = elsewhere, elsewhere
	}
	f.Attempted, f.Failure = true, after.PermanentFailure()
	return s.keep(ctx, custody)
}

// tokens stores what the marketplace gave: the one copy of it that survives us. A new grant of which it is not known
// that it belongs to the expected account becomes the candidate, and the grant in use stays.
func (s *store) tokens(ctx context.Context, got lifecycle.Issued) error {
	f := s.found
	custody := f.Custody
	begun := f.StartsNewGrant()
	next := f.GrantOf(got)
	expected, id := f.ExpectedAccount(), next.Account.ID
	custody.Serial++
	custody.NotBefore = time.Time{}
	custody.HandledRenew = lifecycle.RequestOf(f.Account, v1alpha1.AnnotationRenew)
	if f.Request.RenewsByRefreshToken() {
		f.SetJournal(&custody, nil)
	}
	if f.Request.Rotates() {
		custody = custody.WithSpentImport(f.NewImport())
	}
	s.loggedIn(&custody)
	s.dateClientSecret(&custody)
	custody.PreviousSecretOf = ""
	if got.ByPreviousSecret {
		custody.PreviousSecretOf = s.clientSecrets(&custody)
	}
	if !begun && f.RenewedAsOther(got) {
		return s.setAside(ctx, custody, next, got)
	}
	mustKnow := f.CanIdentify() || f.Account.Spec.AccountID != ""
	if begun && !f.Expects(id) && (id != "" || mustKnow) {
		custody.Candidate = &next
		if id != "" {
			f.Attempted, f.Failure = true, f.AccountMismatch(id, expected)
		}
		return s.keep(ctx, custody)
	}
	f.use(&custody, next)
	if err := s.keep(ctx, custody); err != nil {
		return err
	}
	f.Obtained, f.First = true, begun && (f.Request.RenewsByRefreshToken() || custody.Serial == 1)
	return nil
}

// setAside keeps a pair of another account without using it. The token that is published stays; a single-use refresh token that the
// pair was given for is spent.
func (s *store) setAside(ctx context.Context, kept custody.Custody, wrong custody.Grant, got lifecycle.Issued) error {
	wrong.Account = got.Account
	kept.Aside = &wrong
	if s.found.Request.Rotates() {
		kept.RefreshToken = ""
	}
	after := s.found.Facts
	after.Custody = kept
	s.found.Attempted, s.found.Failure = true, after.MisplacedGrant()
	if s.found.Failure == nil { // the request was this one
		s.found.Failure = after.AccountMismatch(wrong.Account.ID, after.ExpectedAccount())
	}
	return s.keep(ctx, kept)
}

// use puts a grant into use.
func (f *found) use(stored *custody.Custody, next custody.Grant) {
	if f.NewImport() != "" { // the one before is not in use any more
		stored.Journal = nil
	}
	stored.Grant = next
	if f.Request.RenewsByRefreshToken() { // a login leaves the refresh token as it was
		*stored = stored.Recovered()
	}
	if stored.Candidate != nil && stored.Candidate.Consent == 0 && stored.Candidate.Imported == next.Imported {
		stored.Candidate = nil // and one that the user withdrew is kept: it may come back
	}
	stored.Refused, stored.Verified, stored.Aside = nil, nil, nil
	if !f.ImportRefused() {
		stored.RefusedImport = nil
	}
	if !f.NeedsSignIn() { // the account is in order without what a person tried
		stored.SignIn.Refused = nil
	}
}

// judge accepts the candidate, whose account is now known, or keeps it waiting for another expectation. identified tells that an
// identity request told the account.
func (s *store) judge(ctx context.Context, account custody.Account, identified bool) error {
	f := s.found
	kept := f.Custody
	candidate := *f.CandidateGrant()
	candidate.Account, candidate.Identified = account, identified
	if candidate.Consent > 0 {
		s.retried = true // it is stored already
		kept.SignIn = kept.SignIn.Clone()
		if !f.Expects(account.ID) {
			return s.discard(ctx, kept, candidate)
		}
		return s.accept(ctx, kept, candidate)
	}
	if !f.Expects(account.ID) {
		kept.Candidate = &candidate
		f.Attempted, f.Failure = true, f.AccountMismatch(account.ID, f.ExpectedAccount())
		return s.keep(ctx, kept)
	}
	kept.Serial++
	kept.Grant = candidate
	kept.NotBefore = time.Time{} // of the grant before
	if f.Request.RenewsByRefreshToken() {
		kept.Journal = nil
		kept = kept.Recovered()
	}
	kept.Candidate, kept.Aside, kept.Verified, kept.Refused, kept.RefusedImport = nil, nil, nil, nil, nil
	if err := s.keep(ctx, kept); err != nil {
		return err
	}
	f.Obtained, f.First = true, true
	return nil
}

// giveUp drops a candidate whose tokens expired before anybody could say whose they are.
func (s *store) giveUp(ctx context.Context) error {
	f := s.found
	custody := f.Custody
	candidate := f.CandidateGrant()
	custody.Candidate = nil
	why := lifecycle.Failure{Reason: v1alpha1.ReasonAccountMismatch, Message: fmt.Sprintf("%s did not tell in time whose the new grant is, so it was not used; supply a new one%s",
		f.Request.Platform.DisplayName, lifecycle.InSecret(f.Account))}
	switch {
	case candidate != nil && candidate.Consent > 0:
		why = lifecycle.Failure{Reason: v1alpha1.ReasonSignInRequired, Message: fmt.Sprintf("%s did not tell in time who had signed in, so the last sign-in was not used; "+
			"a person must sign in again", f.Request.Platform.DisplayName)}
		return s.drop(ctx, why)
	case candidate == nil, !f.Request.Rotates():
		return s.write(ctx, custody) // what it began with can be sent again
	}
	return s.refuseImport(ctx, why, custody, candidate.Imported)
}

// drop forgets a sign-in that waited, and records why.
func (s *store) drop(ctx context.Context, why lifecycle.Failure) error {
	custody := s.found.Custody
	custody.Candidate = nil
	custody.SignIn = custody.SignIn.Clone()
	custody.SignIn.Refused = s.signInRefusal(&custody, why)
	s.found.blameNewGrant(&why)
	if err := s.write(ctx, custody); err != nil {
		return err
	}
	s.found.Dropped = &why
	return nil
}

// learn notes whose the grant in use is.
func (s *store) learn(ctx context.Context, account custody.Account) error {
	kept := s.found.Custody
	kept.Account, kept.Identified = account, true
	return s.write(ctx, kept)
}

// failure records what an attempt that brought no tokens must leave behind: no more than its meaning needs. sent tells
// that the marketplace was asked for tokens.
func (s *store) failure(ctx context.Context, failure error, sent bool) error {
	f := s.found
	trouble, passes := lifecycle.FailureOf(f.Facts, failure)
	f.Attempted, f.Failure = true, &trouble
	custody := f.Custody
	asked := answer.AsError(failure)
	switch entry := f.Journal(); {
	case entry == nil, !sent, !f.Request.Rotates(): // nothing new is known of a token that was not sent, or is not spent by that
	case asked.Kind == answer.GrantRejected, !asked.OutcomeUnknown && entry.Attempts == 1:
		f.SetJournal(&custody, nil)
	case entry.Lost: // what became of it is as unknown as before, and its own waits hold
		if passes {
			f.Failure = f.PermanentFailure()
		}
	case asked.OutcomeUnknown && f.Reuse() == lifecycle.LastResort:
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
		custody.NotBefore, custody.DemandedAt = f.Now.Add(wait).Truncate(time.Second), f.Now
	}
	switch {
	case !passes:
		return s.refuse(ctx, trouble, custody)
	case custody.Journal == f.Custody.Journal && custody.ImportJournal == f.Custody.ImportJournal && custody.NotBefore.Equal(f.Custody.NotBefore) && !doubted:
		return nil // count and time in the status say the rest
	}
	return s.keep(ctx, custody)
}

// refuse records a refusal that only a change can cure: of a token that the user brought, or of anything else.
func (s *store) refuse(ctx context.Context, why lifecycle.Failure, kept custody.Custody) error {
	imported := s.found.NewImport()
	if imported != "" && reasons.Of(why.Reason).Subject != reasons.Application {
		return s.refuseImport(ctx, why, kept, imported)
	}
	kept.Refused = s.refusal(&kept, why, s.found.RefusedParts(why.Reason), kept.Refused)
	kept.Refused.Tries = s.found.TriedAgain(s.found.Custody.Refused, why.Reason)
	if err := s.keepRefusal(ctx, why, kept); err != nil {
		return err
	}
	s.askAgain(s.found)
	return nil
}

// refuseImport records that a refresh token which the user brought is of no use.
func (s *store) refuseImport(ctx context.Context, why lifecycle.Failure, kept custody.Custody, imported string) error {
	kept.RefusedImport = s.refusal(&kept, why, s.found.ImportParts(why.Reason), kept.RefusedImport)
	kept.RefusedImport.Imported = imported
	return s.keepRefusal(ctx, why, kept)
}

func (s *store) keepRefusal(ctx context.Context, why lifecycle.Failure, kept custody.Custody) error {
	s.found.Attempted, s.found.Failure = true, &why
	kept.HandledRenew = lifecycle.RequestOf(s.found.Account, v1alpha1.AnnotationRenew)
	return s.keep(ctx, kept)
}

// verified records a test of the connection.
func (s *store) verified(ctx context.Context, account custody.Account, verification custody.Verification) error {
	kept := s.found.Custody
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
	held, err := s.grants.Write(ctx, s.found.Account, s.held, kept, retry)
	if err != nil {
		s.found.Note(unwritable(s.found.Account.GrantSecretName(), err))
		return err
	}
	s.held, s.found.Custody, s.found.grantSecret = held, held.Custody, held.Secret
	if s.late { // there may be more to do about it, and this write keeps the watch from telling
		s.found.LookAgain = time.Second
	}
	return nil
}
