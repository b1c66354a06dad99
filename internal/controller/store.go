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
	"github.com/tokenkeeper/tokenkeeper/internal/marketplace"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

const (
	storeTimeout = 20 * time.Second
)

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

// store writes one account's custody, each time on top of what was read or written last.
type store struct {
	*Reconciler
	found *found
	held  *corev1.Secret // nil while there is none
}

// openStore reads the custody live. It returns nil when the grant Secret cannot be used; found says why.
func (r *Reconciler) openStore(ctx context.Context, f *found) (*store, error) {
	held, err := readSecret(ctx, r.Live, client.ObjectKey{Namespace: f.account.Namespace, Name: f.account.GrantSecretName()})
	if err != nil {
		return nil, err
	}
	custody, err := tokensecret.DecodeCustody(held)
	if err != nil {
		f.trouble = &trouble{v1alpha1.ReasonSecretInvalid, err.Error()}
		return nil, nil
	}
	f.custody = custody
	return &store{Reconciler: r, found: f, held: held}, nil
}

// unstored is a custody whose write failed, and the version of the Secret that it was to be written on.
type unstored struct {
	custody tokensecret.Custody
	onto    string
}

// rescue stores what an earlier reconcile obtained and could not store, before anything else is looked at.
func (r *Reconciler) rescue(ctx context.Context, f *found) error {
	waiting, ok := r.unstored.Load(f.account.UID)
	if !ok {
		return nil
	}
	s, err := r.openStore(ctx, f)
	if err != nil || s == nil {
		return err
	}
	pair := waiting.(unstored)
	gained := pair.custody.Serial > f.custody.Serial
	if !gained && s.version() != pair.onto {
		r.unstored.Delete(f.account.UID) // somebody stored something newer
		return nil
	}
	f.obtained, f.first = gained, pair.custody.Serial == 1
	f.handledRenew = f.requested()
	return s.write(ctx, pair.custody)
}

// journal records that the refresh token is about to be spent. That proves the store writable, and makes
// every writer with an older view lose. forbidden tells that the token must not be sent again.
func (s *store) journal(ctx context.Context) (forbidden bool, err error) {
	custody := s.found.custody
	entry := tokensecret.Journal{StartedAt: s.found.now, Imported: s.found.bringing()}
	spend := s.found.spend()
	if spend != spendFresh {
		entry = *custody.Journal
	}
	switch spend {
	case spendForbidden:
		return true, s.outcomeUnknown(ctx)
	case spendLastTime:
		entry.Retried = true
	}
	entry.Attempts++
	custody.Journal = &entry
	return false, s.write(ctx, custody)
}

// outcomeUnknown gives up a single-use refresh token that was sent and whose answer is lost.
func (s *store) outcomeUnknown(ctx context.Context) error {
	return s.refuse(ctx, trouble{v1alpha1.ReasonRenewalOutcomeUnknown, fmt.Sprintf("%s got the refresh token and its answer was lost; "+
		"sending a single-use token twice would end the grant: supply a new one", s.found.request.platform.DisplayName)}, s.found.custody)
}

// tokens stores what the marketplace gave: the one copy of it that survives us.
func (s *store) tokens(ctx context.Context, got issued) error {
	v := s.found.view
	custody := v.custody
	if v.newImport() || custody.GrantedAt.IsZero() {
		custody.GrantedAt = v.request.imported.GrantedAt
		if custody.GrantedAt.IsZero() {
			custody.GrantedAt = v.now
		}
		custody.AuthorizationExpiresAt = time.Time{}
	}
	if told := got.AuthorizationExpiresAt; !told.IsZero() || v.request.platform.AuthorizationSlides {
		custody.AuthorizationExpiresAt = told
	}
	if v.request.renewsByRefreshToken() {
		custody.RefreshToken = got.RefreshToken
	} else {
		custody.RefreshToken = "" // a login is renewed by logging in, even where a refresh token came with it
	}
	custody.Imported = v.request.imported.RefreshToken
	custody.Serial++
	custody.Account = got.account
	custody.PreviousSecretOf = ""
	if got.byPreviousSecret {
		custody.PreviousSecretOf = v.request.inputs.Application
	}
	custody.Tokens = &tokensecret.Tokens{
		AccessToken: got.AccessToken,
		IDToken:     got.IDToken,
		TokenType:   got.TokenType,
		Scope:       got.Scope,
		For:         v.request.key,
		IssuedAt:    got.IssuedAt.UTC().Truncate(time.Second),
		ExpiresAt:   got.ExpiresAt.UTC(),
		RenewAt:     v.policy().RenewAt(got.IssuedAt, got.ExpiresAt, renewal.Spread(string(v.account.UID))).UTC(),
	}
	custody.Journal, custody.Refused, custody.Verified, custody.NotBefore = nil, nil, nil, time.Time{}
	return s.keep(ctx, custody)
}

// policy is how early this account's tokens are renewed.
func (v view) policy() renewal.Policy {
	platform := v.request.platform
	return renewal.Policy{Before: v.account.Spec.Renewal.Before.Or(platform.RenewBefore), MaxBefore: platform.MaxBefore}
}

// failure records what an attempt that brought no tokens must leave behind: no more than its meaning needs.
func (s *store) failure(ctx context.Context, failure error, kept issued) error {
	f := s.found
	trouble, passes := troubleOf(f.view, failure)
	f.failed, f.trouble = true, &trouble
	custody := f.custody
	asked := grant.AsError(failure)
	switch {
	case !asked.OutcomeUnknown || isMismatch(failure):
		custody.Journal = nil
	case custody.Journal != nil && f.spend() == spendForbidden:
		return s.outcomeUnknown(ctx)
	}
	if kept.RefreshToken != "" {
		custody.RefreshToken = kept.RefreshToken
		custody.Imported = f.request.imported.RefreshToken
		custody.Serial++
	}
	custody.NotBefore = time.Time{}
	if asked.RetryAfter > 0 {
		custody.NotBefore = f.now.Add(renewal.BoundRetryAfter(asked.RetryAfter)).Truncate(time.Second)
	}
	switch {
	case !passes:
		return s.refuse(ctx, trouble, custody)
	case kept.RefreshToken != "":
		return s.keep(ctx, custody)
	case custody.Journal == f.custody.Journal && custody.NotBefore.Equal(f.custody.NotBefore):
		return nil // count and time in the status say the rest
	}
	return s.write(ctx, custody)
}

func isMismatch(failure error) bool {
	_, ok := errors.AsType[*mismatchError](failure)
	return ok
}

// distrust takes back tokens that were stored and turned out not to be fit for use. The refresh token that came
// with them stays: its predecessor is spent.
func (s *store) distrust(ctx context.Context, before *tokensecret.Tokens, failure error) error {
	f := s.found
	trouble, _ := troubleOf(f.view, failure)
	f.failed, f.obtained, f.trouble = true, false, &trouble
	custody := f.custody
	custody.Tokens = before
	return s.keep(ctx, custody)
}

// refuse records a refusal that only a change can cure.
func (s *store) refuse(ctx context.Context, why trouble, custody tokensecret.Custody) error {
	s.found.failed, s.found.trouble = true, &why
	custody.Refused = &tokensecret.Refused{Reason: why.reason, Message: why.message, At: s.found.now, Inputs: s.found.request.inputs}
	return s.keep(ctx, custody)
}

// verified records a test of the connection.
func (s *store) verified(ctx context.Context, identity marketplace.Identity, failure string) error {
	custody := s.found.custody
	custody.Verified = &tokensecret.Verification{At: s.found.now, Failure: failure}
	if identity.ID != "" && (custody.Account.ID == "" || custody.Account.ID == identity.ID) {
		custody.Account = tokensecret.Account(identity)
	}
	return s.write(ctx, custody)
}

// keep writes a custody that must not be lost: while the write fails it waits in memory, and the next
// reconcile stores it before anything else. It outlives the reconcile's context.
func (s *store) keep(ctx context.Context, custody tokensecret.Custody) error {
	s.unstored.Store(s.found.account.UID, unstored{custody, s.version()})
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	return retry.OnError(storeBackoff, mayPass, func() error { return s.write(ctx, custody) })
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
	if s.held == nil {
		err = s.Client.Create(ctx, secret)
	} else {
		tokensecret.Merge(secret, s.held)
		err = s.Client.Update(ctx, secret)
	}
	if err != nil {
		return fmt.Errorf("storing the grant: %w", err)
	}
	s.held, s.found.custody = secret, custody
	s.unstored.Delete(account.UID)
	return nil
}
