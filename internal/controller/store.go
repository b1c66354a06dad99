package controller

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/grant"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

const storeTimeout = 20 * time.Second

// storeBackoff is how a write is tried again before the reconcile gives up and the custody waits in memory.
var storeBackoff = wait.Backoff{Steps: 6, Duration: 50 * time.Millisecond, Factor: 3, Jitter: 0.1}

// heldCustody reads the grant Secret from the cache; nil when there is none.
func (r *Reconciler) heldCustody(ctx context.Context, account *v1alpha1.MarketplaceAccount) (*corev1.Secret, error) {
	return readSecret(ctx, r.Client, client.ObjectKey{Namespace: account.Namespace, Name: account.GrantSecretName()})
}

func readSecret(ctx context.Context, from client.Reader, key client.ObjectKey) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	if err := from.Get(ctx, key, secret); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		return nil, fmt.Errorf("reading Secret %q: %w", key, err)
	}
	return secret, nil
}

// unstored is what waits to be stored, and whose it is: a custody, or that an entry of the journal has to go.
type unstored struct {
	account *v1alpha1.MarketplaceAccount
	custody custody.Custody
	// unsent is an entry that may be on record although nothing was sent, and former the one before it; nil for none.
	unsent, former *custody.Journal
}

// store writes one account's custody, each time on top of what was read or written last.
type store struct {
	*Reconciler
	found *found
	held  *corev1.Secret // nil while there is none
	// visiting tells that a browser waits, retried that whoever writes tries again when it fails.
	visiting, retried bool
	// late tells that the look had begun with another state of the grant Secret.
	late bool
}

// openStore reads the custody live. It returns nil when the grant Secret cannot be used; found says why.
func (r *Reconciler) openStore(ctx context.Context, f *found) (*store, error) {
	held, err := readSecret(ctx, r.Live, client.ObjectKey{Namespace: f.account.Namespace, Name: f.account.GrantSecretName()})
	if err != nil {
		return nil, err
	}
	if held != nil && ownSecret(f.account, held) == nil {
		f.trouble, f.unresolved = conflict(f.account, held), true
		return nil, nil
	}
	before := f.grantSecret
	if _, err := f.take(held); err != nil && !(f.inHand && tokensecret.IsNewer(err)) {
		f.trouble, f.unresolved = &trouble{v1alpha1.ReasonSecretInvalid, err.Error()}, true
		return nil, nil
	}
	return &store{Reconciler: r, found: f, held: held, late: !sameVersion(before, held)}, nil
}

// sameVersion tells whether two reads of a Secret brought the same; nil stands for none.
func sameVersion(a, b *corev1.Secret) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.UID == b.UID && a.ResourceVersion == b.ResourceVersion
}

// ownSecret returns a Secret that belongs to the account, and nil for one that does not, such as a former account's of its name.
func ownSecret(account *v1alpha1.MarketplaceAccount, secret *corev1.Secret) *corev1.Secret {
	if secret == nil || !tokensecret.Owned(secret, account) {
		return nil
	}
	return secret
}

// take looks at the account with this grant Secret; nil when there is none. outdated tells that it is older than what the status tells of,
// which was written after it.
func (f *found) take(held *corev1.Secret) (outdated bool, err error) {
	held = ownSecret(f.account, held)
	kept, err := tokensecret.DecodeCustody(held)
	if tokensecret.IsNewer(err) { // nothing is decided by it, and an answer in hand is stored on top of it
		f.custody, f.grantSecret = kept, held
	}
	if err != nil {
		return false, err
	}
	if f.moved(kept, held) {
		kept.Restored = &custody.Restored{Moved: true}
	}
	if seen := f.account.Status.AccessToken; seen != nil && seen.Serial > kept.Serial { // not the time of issue: clocks are set back
		kept = kept.Outdated(seen.Serial)
		outdated = true
	}
	f.custody, f.grantSecret = kept, held
	return outdated, nil
}

// moved tells that a custody was written for another account, as after a restore that gave the account a new UID, or in another
// cluster. One without a witness, from before, is this account's where its Secret is controlled by it.
func (v view) moved(kept custody.Custody, held *corev1.Secret) bool {
	switch was := kept.Witness; {
	case held == nil:
		return false
	case was.Account == "":
		controller, _ := tokensecret.ControllingAccount(held)
		return controller != v.account.UID
	default:
		return was.Account != v.account.UID || was.Cluster != "" && v.cluster != "" && was.Cluster != v.cluster
	}
}

// witness is what a custody says when it is written now.
func (v view) witness() custody.Witness {
	witness := custody.Witness{Account: v.account.UID, Cluster: v.cluster}
	if witness.Cluster == "" && v.custody.Witness.Account == v.account.UID {
		witness.Cluster = v.custody.Witness.Cluster
	}
	return witness
}

// newer is why nothing is decided by the custody; nil when something may be.
func (f *found) newer() error {
	if f.custody.Version <= tokensecret.CustodyVersion {
		return nil
	}
	return &tokensecret.NewerError{Secret: f.account.GrantSecretName(), Version: f.custody.Version}
}

// rescue stores what an earlier reconcile obtained and could not store, before anything else is looked at.
func (r *Reconciler) rescue(ctx context.Context, f *found) error {
	value, ok := r.unstored.Load(f.account.UID)
	if !ok {
		return nil
	}
	f.inHand = true
	defer func() { f.inHand = false }()
	s, err := r.openStore(ctx, f)
	if err != nil || s == nil {
		return err
	}
	waiting := value.(unstored)
	if waiting.unsent != nil {
		return s.withdraw(ctx, waiting.unsent, waiting.former)
	}
	pair := waiting.custody
	if pair.Serial < f.custody.Serial || pair.Accepted < f.custody.Accepted || pair.Serial == f.custody.Serial && outdoes(f.custody.Tokens, pair.Tokens) {
		r.unstored.Delete(f.account.UID) // somebody stored something newer
		return nil
	}
	// What people do to sign in goes on meanwhile, and is stored by whoever serves them.
	pair.Consents, pair.SignIn, pair.HandledSignIn = f.custody.Consents, f.custody.SignIn, f.custody.HandledSignIn
	if waits := f.custody.Candidate; waits != nil && waits.Consent > 0 || pair.Candidate != nil && pair.Candidate.Consent > 0 {
		pair.Candidate = waits
	}
	held := f.custody.Tokens
	f.obtained = pair.Tokens != nil && (held == nil || held.AccessToken != pair.Tokens.AccessToken)
	f.first = f.obtained && pair.Serial == 1
	return s.write(ctx, pair)
}

// withdraw takes an entry of the journal back whose token was not sent. What others have stored since then stays.
func (s *store) withdraw(ctx context.Context, unsent, former *custody.Journal) error {
	kept := s.found.custody
	place := &kept.Journal
	if unsent.Imported != "" {
		place = &kept.ImportJournal
	}
	if held := *place; held == nil || held.Holder != unsent.Holder || held.Attempts != unsent.Attempts || !held.StartedAt.Equal(unsent.StartedAt) {
		s.unstored.Delete(s.found.account.UID)
		return nil
	}
	*place = former
	return s.write(ctx, kept)
}

// outdoes tells that other tokens than those in memory were stored, and are as new: another replica did the same.
func outdoes(stored, held *custody.Tokens) bool {
	return stored != nil && held != nil && stored.AccessToken != held.AccessToken && !stored.IssuedAt.Before(held.IssuedAt)
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
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if err := s.write(ctx, kept); err != nil {
		if mayPass(err) { // it may be on record all the same, of a token that was not sent
			s.unstored.Store(s.found.account.UID, unstored{account: s.found.account.DeepCopy(), unsent: &entry, former: former})
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
	asked := grant.AsError(failure)
	switch entry := f.journal(); {
	case entry == nil, !sent, !f.request.rotates(): // nothing new is known of a token that was not sent, or is not spent by that
	case asked.Kind == grant.GrantRejected, !asked.OutcomeUnknown && entry.Attempts == 1:
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
	s.remember(kept)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	return retry.OnError(storeBackoff, mayPass, func() error { return s.write(ctx, kept) })
}

// remember keeps a custody in memory until it is stored.
func (s *store) remember(kept custody.Custody) {
	s.unstored.Store(s.found.account.UID, unstored{account: s.found.account.DeepCopy(), custody: kept})
}

// mayPass tells whether writing the same again may succeed.
func mayPass(err error) bool {
	network, isNetwork := errors.AsType[net.Error](err)
	return apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) || apierrors.IsTooManyRequests(err) ||
		apierrors.IsInternalError(err) || apierrors.IsServiceUnavailable(err) || isNetwork && network != nil
}

// write writes the custody on top of the Secret that was read or written last, and loses against any other
// write since.
func (s *store) write(ctx context.Context, kept custody.Custody) error {
	account := s.found.account
	kept.Version, kept.Witness = max(kept.Version, s.found.custody.Version), s.found.witness()
	secret, err := tokensecret.EncodeCustody(account, owner(account), kept, s.held)
	if err != nil {
		return err
	}
	write := func() error { return s.Client.Create(ctx, secret) }
	if s.held != nil {
		tokensecret.Merge(secret, s.held)
		write = func() error { return s.Client.Update(ctx, secret) }
	}
	if s.visiting { // the controller has to hear of what visitors store
		err = write()
	} else {
		err = s.writeOwn(secret, write)
	}
	if err != nil {
		s.found.blame(unwritable(account.GrantSecretName(), err))
		return fmt.Errorf("storing the grant: %w", err)
	}
	s.held, s.found.custody, s.found.grantSecret = secret, kept, secret
	if !s.visiting { // what the controller waits to store is its own business
		s.unstored.Delete(account.UID)
	}
	if s.late { // there may be more to do about it, and this write keeps the watch from telling
		s.found.recheck = time.Second
	}
	return nil
}
