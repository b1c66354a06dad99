package controller

import (
	"context"
	"fmt"
	"time"

	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/conditions"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

// consented stores what a person's sign-in has brought. The grant in use stays until the new one is known to belong to
// the expected account. unverified tells that the issuer's keys could not be had. Whoever calls it tries again when it
// fails.
func (s *store) consented(ctx context.Context, got lifecycle.Issued, asked []string, unverified bool) error {
	s.retried = true
	f := s.found
	custody := f.Custody
	custody.Consents++
	custody.SignIn = custody.SignIn.Clone()
	next := f.ConsentOf(got, asked)
	next.Consent, next.Unverified = custody.Consents, unverified
	expected, id := f.ExpectedAccount(), next.Account.ID
	switch {
	case unverified, f.NewerCustody() != nil, id == "" && expected != "" && f.CanIdentify():
		custody.Candidate = &next
		custody.SignIn = custody.SignIn.WithoutDevice()
		return s.save(ctx, custody)
	case !f.Expects(id):
		return s.discard(ctx, custody, next)
	}
	return s.accept(ctx, custody, next)
}

// accept puts a grant that a person gave into use, instead of the one before.
func (s *store) accept(ctx context.Context, kept custody.Custody, next custody.Grant) error {
	f := s.found
	if next.RefreshToken == "" && f.MayKeepRefreshToken(next) {
		// As in a renewal, an answer without one leaves the old one in force; platforms do so when somebody consents again.
		next.RefreshToken, next.GrantedAt = kept.RefreshToken, kept.GrantedAt
		next.AuthorizationExpiresAt, next.AuthorizationEndUnreadable = kept.AuthorizationExpiresAt, kept.AuthorizationEndUnreadable
		next.AuthorizationMaxExpiresAt = kept.AuthorizationMaxExpiresAt
	} else {
		kept.Journal = nil // of the grant before
	}
	next.Unverified = false
	kept.Serial++
	kept.Accepted = next.Consent
	kept.Grant = next
	kept.NotBefore = time.Time{}
	kept = kept.Recovered()
	kept.Candidate, kept.Aside, kept.Verified, kept.Refused, kept.RefusedImport = nil, nil, nil, nil, nil
	kept.HandledRenew = lifecycle.RequestOf(f.Account, v1alpha1.AnnotationRenew)
	kept.SignIn = kept.SignIn.Completed()
	s.dateClientSecret(&kept)
	if err := s.save(ctx, kept); err != nil {
		return err
	}
	f.Obtained, f.First, f.Attempted, f.Failure = true, true, false, nil
	if s.visiting { // nobody reports what was found here
		s.emit(f.Account, conditions.TokenIssued(f.Account, kept.Serial))
	}
	s.emit(f.Account, conditions.SignInCompleted(f.Request.Platform.DisplayName, kept.Account.ID))
	return nil
}

// discard drops the tokens of another account than the expected one, and revokes them where that can be done without harm.
func (s *store) discard(ctx context.Context, kept custody.Custody, wrong custody.Grant) error {
	f := s.found
	why := f.AccountMismatch(wrong.Account.ID, f.ExpectedAccount())
	if wrong.Account.ID == "" {
		why.Message = fmt.Sprintf("%s did not say who signed in, expected is %s; ask for what makes it say so, such as a scope, "+
			"or create another MarketplaceAccount", f.Request.Platform.DisplayName, f.ExpectedAccount())
	}
	if kept.Candidate != nil && kept.Candidate.Consent == wrong.Consent {
		kept.Candidate = nil
	}
	kept.SignIn = kept.SignIn.WithoutDevice()
	kept.SignIn.Refused = s.signInRefusal(&kept, *why)
	kept.SignIn.Refused.AccountID = wrong.Account.ID
	if s.visiting {
		s.again(&kept)
	}
	if err := s.save(ctx, kept); err != nil {
		return err
	}
	f.Rejected, f.SignedInAs = true, wrong.Account.ID
	if f.NeedsNewGrant() && !s.visiting {
		f.Attempted, f.Failure = true, why
	} else {
		s.emit(f.Account, conditions.SignInRejected(*why))
	}
	s.revokeWrong(ctx, f, wrong)
	return nil
}

// revokeWrong ends the grant of a wrong account, unless another MarketplaceAccount may live on it: some platforms end all
// grants of a seller and application with one.
func (r *Reconciler) revokeWrong(ctx context.Context, f *found, wrong custody.Grant) {
	if wrong.RefreshToken == "" || wrong.Account.ID == "" || wrong.Account.ID == f.Custody.Account.ID {
		return
	}
	log := logf.FromContext(ctx)
	if others, err := r.accountsOfSeller(ctx, f.Account, wrong.Account.ID); err != nil || len(others) > 0 {
		return
	}
	endpoint, err := r.endpoint(ctx, f.Request, v1alpha1.GrantRefreshToken)
	if err != nil {
		log.Info("Leaving the grant of another account unrevoked", "reason", err.Error())
		return
	}
	address, why, _ := r.revocationAddress(ctx, f.Request)
	if address == "" {
		log.Info("Leaving the grant of another account unrevoked", "reason", why)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeouts.RevokeWrong)
	defer cancel()
	if err := endpoint.Revoke(ctx, address, wrong.RefreshToken); err != nil {
		log.Info("Revoking the grant of another account", "reason", answer.AsError(err).Error())
	}
}
