package driver

import (
	"context"

	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/answer"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

// SeekSeller looks for another account with a grant of the same seller: sending a refresh token a second time could end that grant too. It looks only
// while the journal says that the account's refresh token was sent.
func (d *Driver) SeekSeller(ctx context.Context, l Look) (sought Look, err error) {
	l.SellerElsewhere, err = d.Sellers.HoldElsewhere(ctx, l.Facts)
	return l, err
}

// Identify asks for the account of the candidate grant, or of the tokens that have just come.
func (d *Driver) Identify(ctx context.Context, l Look) (Look, error) {
	l, due, err := d.Confirm(ctx, l, lifecycle.Identify)
	if err != nil || !due {
		return l, err
	}
	asking, cancel := context.WithTimeout(ctx, timeouts.Identify)
	defer cancel()
	identity, failure := d.OAuth.Identify(asking, l.Facts, lifecycle.TokenToIdentify(l.Facts))
	return d.Apply(ctx, l, lifecycle.AfterIdentity(l.Facts, identity, failure))
}

// revokeWrong ends the grant of a wrong account, unless another MarketplaceAccount may live on it: some platforms end all grants of a seller and
// application together. Two IDs are of different accounts only where the same source has told both.
func (d *Driver) revokeWrong(ctx context.Context, l Look, wrong custody.Grant) {
	if l.Request.Shared && wrong.Unproven {
		return
	}
	if wrong.RefreshToken == "" || wrong.Account.ID == "" || wrong.Account.ID == l.Custody.Account.ID || !wrong.Account.SameSource(l.Custody.Account) {
		return
	}
	log := logf.FromContext(ctx)
	if holders, err := d.Sellers.OtherAccounts(ctx, l.Account, wrong.Account.ID); err != nil || len(holders) > 0 {
		return
	}
	endpoint, err := d.OAuth.Endpoint(ctx, l.Request, v1alpha1.GrantRefreshToken)
	if err != nil {
		log.Info("Leaving the grant of another account unrevoked", "reason", err.Error())
		return
	}
	address, why, _ := d.OAuth.RevocationAddress(ctx, l.Request)
	if address == "" {
		log.Info("Leaving the grant of another account unrevoked", "reason", why)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeouts.RevokeWrong)
	defer cancel()
	if err := d.OAuth.Revoke(ctx, l.Facts, endpoint, address, wrong.RefreshToken); err != nil {
		log.Info("Revoking the grant of another account", "reason", answer.AsError(err).Error())
	}
}

// AcceptOrReject deals with a grant that a person has just given: it identifies the account of the grant, and accepts or rejects the grant.
func (d *Driver) AcceptOrReject(ctx context.Context, l Look) (Look, error) {
	l.Tried = lifecycle.AllBut(lifecycle.DecideCandidate, lifecycle.Identify)
	var err error
	for err == nil {
		action := lifecycle.Next(&l.Facts, l.Tried)
		l.Try(action)
		switch action {
		case lifecycle.DecideCandidate:
			l, err = d.OnceConfirmed(ctx, l, action, lifecycle.DecideOnCandidate)
		case lifecycle.Identify:
			l, err = d.Identify(ctx, l)
		default:
			return l, nil
		}
	}
	return l, err
}
