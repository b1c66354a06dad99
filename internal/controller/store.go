package controller

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
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
	custody tokensecret.Custody
	// unsent is an entry that may be on record although nothing was sent, and former the one before it; nil for none.
	unsent, former *tokensecret.Journal
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
		f.trouble, f.unresolved = conflict(f.account, held.Name), true
		return nil, nil
	}
	before := f.grantSecret
	if _, err := f.take(held); err != nil {
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
	custody, err := tokensecret.DecodeCustody(held)
	if err != nil {
		return false, err
	}
	if seen := f.account.Status.AccessToken; seen != nil && seen.Serial > custody.Serial { // not the time of issue: clocks are set back
		custody.Outdate(seen.Serial)
		outdated = true
	}
	f.custody, f.grantSecret = custody, held
	return outdated, nil
}

// rescue stores what an earlier reconcile obtained and could not store, before anything else is looked at.
func (r *Reconciler) rescue(ctx context.Context, f *found) error {
	value, ok := r.unstored.Load(f.account.UID)
	if !ok {
		return nil
	}
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
func (s *store) withdraw(ctx context.Context, unsent, former *tokensecret.Journal) error {
	custody := s.found.custody
	place := &custody.Journal
	if unsent.Imported != "" {
		place = &custody.ImportJournal
	}
	if held := *place; held == nil || held.Holder != unsent.Holder || held.Attempts != unsent.Attempts || !held.StartedAt.Equal(unsent.StartedAt) {
		s.unstored.Delete(s.found.account.UID)
		return nil
	}
	*place = former
	return s.write(ctx, custody)
}

// outdoes tells that other tokens than those in memory were stored, and are as new: another replica did the same.
func outdoes(stored, held *tokensecret.Tokens) bool {
	return stored != nil && held != nil && stored.AccessToken != held.AccessToken && !stored.IssuedAt.Before(held.IssuedAt)
}

// journal records that the refresh token is about to be spent. That proves the store writable, and makes
// every writer with an older view lose. forbidden tells that the token must not be sent again.
func (s *store) journal(ctx context.Context) (forbidden bool, err error) {
	if s.found.mayBeSpent() {
		return true, s.restored(ctx)
	}
	custody := s.found.custody
	former := s.found.journal()
	entry := tokensecret.Journal{StartedAt: s.found.now, Imported: s.found.bringing()}
	spend := s.found.spend()
	if spend != spendFresh {
		entry = *former
	}
	switch spend {
	case spendForbidden:
		return true, s.outcomeUnknown(ctx)
	case spendLastTime:
		entry.Retried = true
	}
	entry.Attempts++
	entry.LastAt, entry.Holder = s.found.now, s.holder
	s.found.record(&custody, &entry)
	s.found.dare(&custody)
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if err := s.write(ctx, custody); err != nil {
		if mayPass(err) { // it may be on record all the same, of a token that was not sent
			s.unstored.Store(s.found.account.UID, unstored{account: s.found.account.DeepCopy(), unsent: &entry, former: former})
		}
		return false, err
	}
	return false, nil
}

// restored does not spend a refresh token that may be spent already.
func (s *store) restored(ctx context.Context) error {
	last := "what this account had"
	if seen := s.found.account.Status.AccessToken; seen != nil && !seen.IssuedTime.IsZero() {
		last = fmt.Sprintf("the token of %s that this account had", clockTime(seen.IssuedTime.Time))
	}
	why := trouble{v1alpha1.ReasonRenewalOutcomeUnknown, fmt.Sprintf("Secret %q is older than %s, as after the restore "+
		"of a backup: its single-use refresh token may be spent, and sending it again could end the grant. Nothing more is tried until %s; "+
		"to try all the same, annotate the account with %s=<anything new>", s.found.account.GrantSecretName(),
		last, s.found.newGrant(), v1alpha1.AnnotationRenew)}
	custody := s.found.custody
	custody.Restored = &tokensecret.Restored{Told: true, Imported: s.found.request.imported.RefreshToken}
	if imported := s.found.bringing(); imported != "" {
		custody.RefusedImport = s.refusal(&custody, why, s.found.importParts(why.reason), custody.RefusedImport)
		custody.RefusedImport.Imported, custody.RefusedImport.Restored = imported, true
	} else {
		custody.Refused = s.refusal(&custody, why, s.found.refusedParts(why.reason), custody.Refused)
		custody.Refused.Restored = true
	}
	return s.keepRefusal(ctx, why, custody)
}

// outcomeUnknown gives up a single-use refresh token that was sent and whose answer is lost.
func (s *store) outcomeUnknown(ctx context.Context) error {
	custody := s.found.custody
	custody.Serial++
	s.found.record(&custody, nil)
	custody.Spend(s.found.bringing())
	if s.found.bringing() == "" {
		custody.RefreshToken = ""
	}
	return s.refuse(ctx, trouble{v1alpha1.ReasonRenewalOutcomeUnknown, fmt.Sprintf("%s got the refresh token and its answer was lost; "+
		"sending a single-use token twice would end the grant: nothing more is tried until %s",
		s.found.request.platform.DisplayName, s.found.newGrant())}, custody)
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
	if f.request.rotates() {
		f.record(&custody, nil)
		custody.Spend(f.bringing())
	}
	s.loggedIn(&custody)
	custody.PreviousSecretOf = ""
	if got.byPreviousSecret {
		custody.PreviousSecretOf = s.clientSecrets(&custody)
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

// use puts a grant into use.
func (f *found) use(custody *tokensecret.Custody, next tokensecret.Grant) {
	if f.bringing() != "" { // the one before is not in use any more
		custody.Journal = nil
	}
	custody.Grant = next
	if f.request.renewsByRefreshToken() { // a login leaves the refresh token as it was
		custody.Recover()
	}
	if custody.Candidate != nil && custody.Candidate.Consent == 0 && custody.Candidate.Imported == next.Imported {
		custody.Candidate = nil // and one that the user withdrew is kept: he may bring it back
	}
	custody.Refused, custody.Verified = nil, nil
	if !f.importRefused() {
		custody.RefusedImport = nil
	}
	if !f.needsSignIn() { // the account is in order without what a person tried
		custody.SignIn.Refused = nil
	}
}

// begins tells whether the tokens that are asked for now begin a new grant rather than go on with the one in use.
func (v view) begins() bool {
	return v.bringing() != "" || !v.request.renewsByRefreshToken() || v.custody.Tokens == nil
}

// grant is what the grant becomes with the tokens that were issued.
func (v view) grant(got issued) tokensecret.Grant {
	next := v.custody.Grant
	if imported := v.bringing(); imported != "" || next.GrantedAt.IsZero() {
		next.GrantedAt = v.request.imported.GrantedAt
		if next.GrantedAt.IsZero() || next.GrantedAt.After(v.now) { // nobody has consented later than now
			next.GrantedAt = v.now
		}
		next.AuthorizationExpiresAt = time.Time{}
		next.Imported = imported
		next.Account = tokensecret.Account{}
		next.Consent, next.Asked = 0, nil
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
	if got.accountID != next.Account.ID && (got.accountID != "" || v.outOfDate() && !v.request.renewsByRefreshToken()) {
		next.Account = tokensecret.Account{ID: got.accountID}
	}
	next.Tokens = v.tokensOf(got)
	return next
}

// tokensOf is what is kept of tokens that were issued.
func (v view) tokensOf(got issued) *tokensecret.Tokens {
	end, withheld := got.ExpiresAt, v.uselessIDToken(got)
	if withheld != "" {
		end = got.AccessTokenExpiresAt
	}
	return &tokensecret.Tokens{
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

// judge accepts the candidate, whose account is now known, or keeps it waiting for another expectation.
func (s *store) judge(ctx context.Context, account tokensecret.Account) error {
	f := s.found
	custody := f.custody
	candidate := *f.candidate()
	candidate.Account = account
	if candidate.Consent > 0 {
		s.retried = true // it is stored already
		custody.SignIn = custody.SignIn.Clone()
		if !f.expects(account.ID) {
			return s.discard(ctx, custody, candidate)
		}
		return s.accept(ctx, custody, candidate)
	}
	if !f.expects(account.ID) {
		custody.Candidate = &candidate
		f.failed, f.trouble = true, f.mismatch(account.ID, f.expectedAccount())
		return s.keep(ctx, custody)
	}
	custody.Serial++
	custody.Grant = candidate
	custody.NotBefore = time.Time{} // of the grant before
	if f.request.renewsByRefreshToken() {
		custody.Journal = nil
		custody.Recover()
	}
	custody.Candidate, custody.Verified, custody.Refused, custody.RefusedImport = nil, nil, nil, nil
	if err := s.keep(ctx, custody); err != nil {
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
func (s *store) learn(ctx context.Context, account tokensecret.Account) error {
	custody := s.found.custody
	custody.Account = account
	return s.write(ctx, custody)
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
	case entry == nil, !sent: // nothing new is known of a token that was not sent
	case !asked.OutcomeUnknown && (!asked.Passes() || entry.Attempts == 1):
		f.record(&custody, nil)
	case !asked.OutcomeUnknown && entry.Retried: // that was not its last time
		again := *entry
		again.Retried = false
		f.record(&custody, &again)
	case f.spend() == spendForbidden:
		return s.outcomeUnknown(ctx)
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
func (s *store) refuse(ctx context.Context, why trouble, custody tokensecret.Custody) error {
	imported := s.found.bringing()
	if imported != "" && why.reason != v1alpha1.ReasonApplicationRejected {
		return s.refuseImport(ctx, why, custody, imported)
	}
	custody.Refused = s.refusal(&custody, why, s.found.refusedParts(why.reason), custody.Refused)
	custody.Refused.Tries = s.found.triedAgain(s.found.custody.Refused, why.reason)
	if err := s.keepRefusal(ctx, why, custody); err != nil {
		return err
	}
	s.askAgain(s.found)
	return nil
}

// refuseImport records that a refresh token which the user brought is of no use.
func (s *store) refuseImport(ctx context.Context, why trouble, custody tokensecret.Custody, imported string) error {
	custody.RefusedImport = s.refusal(&custody, why, s.found.importParts(why.reason), custody.RefusedImport)
	custody.RefusedImport.Imported = imported
	return s.keepRefusal(ctx, why, custody)
}

func (s *store) keepRefusal(ctx context.Context, why trouble, custody tokensecret.Custody) error {
	s.found.failed, s.found.trouble = true, &why
	custody.HandledRenew = requestOf(s.found.account, v1alpha1.AnnotationRenew)
	return s.keep(ctx, custody)
}

// verified records a test of the connection.
func (s *store) verified(ctx context.Context, account tokensecret.Account, verification tokensecret.Verification) error {
	custody := s.found.custody
	custody.Verified = &verification
	if account.ID != "" && (custody.Account.ID == "" || custody.Account.ID == account.ID) {
		custody.Account = account
	}
	return s.write(ctx, custody)
}

// save writes a custody that must not be lost, in the way of whoever waits for it.
func (s *store) save(ctx context.Context, custody tokensecret.Custody) error {
	if s.retried {
		return s.write(ctx, custody)
	}
	return s.keep(ctx, custody)
}

// keep writes a custody that must not be lost: while the write fails it waits in memory, and the next
// reconcile stores it before anything else. It outlives the reconcile's context.
func (s *store) keep(ctx context.Context, custody tokensecret.Custody) error {
	s.remember(custody)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	return retry.OnError(storeBackoff, mayPass, func() error { return s.write(ctx, custody) })
}

// remember keeps a custody in memory until it is stored.
func (s *store) remember(custody tokensecret.Custody) {
	s.unstored.Store(s.found.account.UID, unstored{account: s.found.account.DeepCopy(), custody: custody})
}

// mayPass tells whether writing the same again may succeed.
func mayPass(err error) bool {
	network, isNetwork := errors.AsType[net.Error](err)
	return apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) || apierrors.IsTooManyRequests(err) ||
		apierrors.IsInternalError(err) || apierrors.IsServiceUnavailable(err) || isNetwork && network != nil
}

// version is that of the Secret which was read or written last; empty while there is none.
func (s *store) version() string {
	if s.held == nil {
		return ""
	}
	return s.held.ResourceVersion
}

// write writes the custody on top of the Secret that was read or written last, and loses against any other
// write since.
func (s *store) write(ctx context.Context, custody tokensecret.Custody) error {
	account := s.found.account
	secret, err := tokensecret.EncodeCustody(account, owner(account), custody, s.version())
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
	s.held, s.found.custody, s.found.grantSecret = secret, custody, secret
	if !s.visiting { // what the controller waits to store is its own business
		s.unstored.Delete(account.UID)
	}
	if s.late { // there may be more to do about it, and this write keeps the watch from telling
		s.found.recheck = time.Second
	}
	return nil
}
